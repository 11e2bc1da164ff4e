/* storebed.h: a directory of its own for each test of the mail store, entered at its beginning and removed at its end. */
#ifndef TESTS_STOREBED_H
#define TESTS_STOREBED_H

#include <stdlib.h>

#include "base/buf.h"
#include "mail/store/mailstore.h"
#include "tests/unit/tmptree.h"

/* For cmocka_unit_test_setup_teardown. *state is the directory's path. */
static inline int
store_dir_setup(void **state)
{
	char *dir = x_strdup("/tmp/store-test-XXXXXX");

	mailstore_init();
	assert_non_null(mkdtemp(dir));
	assert_return_code(chdir(dir), 0);
	*state = dir;
	return 0;
}

/* The same with an empty mailbox, Maildir, in it. */
static inline int
store_box_setup(void **state)
{
	enum store_result r;

	store_dir_setup(state);
	mailstore_free(mailstore_new("Maildir", true, &r));
	return r == STORE_OK ? 0 : -1;
}

static inline int
store_teardown(void **state)
{
	int r = leave_tree(*state);

	free(*state);
	return r;
}

#endif
