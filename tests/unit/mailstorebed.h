/* mailstorebed.h: hands of another program in a Maildir, and short forms of the driver's calls. */
#ifndef TESTS_MAILSTOREBED_H
#define TESTS_MAILSTOREBED_H

#include "mail/store/mailstore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/store/filename.h"
#include "tests/unit/storebed.h"
#include "tests/unit/unit.h"

/* The only entry of a directory. */
static inline void
only_name(const char *dir, char out[256])
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(out, 256, "%s", e->d_name);
			n++;
		}
	closedir(d);
	assert_int_equal(n, 1);
}

static inline unsigned
count_names(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static inline struct mailstore *
open_store(void)
{
	enum store_result r;
	struct mailstore *ms = mailstore_new("Maildir", true, &r);

	assert_int_equal(r, STORE_OK);
	return ms;
}

static inline struct mailfolder *
open_folder(struct mailstore *ms, const char *name, unsigned how)
{
	enum store_result r;
	struct mailfolder *f = mailfolder_open(ms, span_str(name), how, &r);

	if (r != STORE_OK)
		fprintf(stderr, "open: %s\n", mailstore_cause(ms));
	assert_int_equal(r, STORE_OK);
	return f;
}

static inline uint32_t
append(struct mailstore *ms, const char *folder, const char *text, uint8_t flags, const char *keyword)
{
	struct span keywords[1] = { span_str(keyword) };
	struct mailappend_how how = { .flags = flags, .keywords = keywords, .nkeywords = keyword != NULL, .date = 1000000000 };
	enum store_result r;
	struct mailappend *a = mailappend_begin(ms, span_str(folder), &r);
	uint32_t validity, uid;

	assert_non_null(a);
	for (const char *p = text; *p; p++)	/* by single bytes: CR and LF are apart */
		assert_int_equal(mailappend_write(a, span_of(p, 1)), STORE_OK);
	r = mailappend_commit(a, &how, &validity, &uid);
	if (r != STORE_OK)
		fprintf(stderr, "append: %s\n", mailstore_cause(ms));
	assert_int_equal(r, STORE_OK);
	assert_true(validity > 0);
	return uid;
}

#endif
