/* test_tickets.c: the ring of ticket keys, from one keyd to the next. links: master/keyd/tickets.c */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "master/keyd/tickets.h"
#include "base/banned.h"

#define KEY 80

static int
memory(char fill)
{
	char bytes[TICKETS_BYTES];
	int fd = memfd_create("ring", MFD_CLOEXEC);

	memset(bytes, fill, sizeof(bytes));
	assert_true(fd >= 0 && write(fd, bytes, sizeof(bytes)) == sizeof(bytes));
	return fd;
}

static void
a_new_keyd_has_the_old_keys(void **state)
{
	int fd = memory(0);
	char first[KEY], all[3 * KEY];

	(void)state;
	tickets_open(dup(fd));
	assert_int_equal(tickets_all().n, KEY);
	assert_true(tickets_rotate_in() > 0);
	memcpy(first, tickets_all().p, KEY);
	tickets_open(dup(fd));
	assert_int_equal(tickets_all().n, KEY);
	assert_memory_equal(tickets_all().p, first, KEY);
	for (size_t i = 2; i < 5; i++) {		/* the fourth has no place */
		tickets_rotate();
		assert_int_equal(tickets_all().n, (i < 3 ? i : 3) * KEY);
		assert_memory_not_equal(tickets_all().p, tickets_all().p + KEY, KEY);
		if (i < 4)
			assert_memory_equal(tickets_all().p + (i - 1) * KEY, first, KEY);
	}
	memcpy(all, tickets_all().p, sizeof(all));
	tickets_open(fd);
	assert_memory_equal(tickets_all().p, all, sizeof(all));
}

/* Whatever stands there: a key that is new, and nothing out of bounds. */
static void
nonsense_is_not_used(void **state)
{
	(void)state;
	for (int fill = 1; fill < 256; fill += 127) {
		tickets_open(memory((char)fill));
		assert_int_equal(tickets_all().n, KEY);
		assert_true(tickets_all().p[0] != tickets_all().p[1] || tickets_all().p[1] != tickets_all().p[2]);
	}
	tickets_open(-1);
	assert_int_equal(tickets_all().n, KEY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_keyd_has_the_old_keys),
		cmocka_unit_test(nonsense_is_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
