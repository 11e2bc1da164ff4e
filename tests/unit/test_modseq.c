/* test_modseq.c: numbers of changes hold over sessions, foreign hands and lost caches (RFC 7162); a client misses nothing. */
#include "mail/store/mailstore.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/store/uidfile.h"
#include "tests/unit/storebed.h"
#include "tests/unit/unit.h"

#define CUR "Maildir/cur"
#define UIDS_MAX 4000

struct view {
	struct mailstore *ms;
	struct mailfolder *f;
};

static struct view
look(unsigned how)
{
	enum store_result r;
	struct view v = { mailstore_new("Maildir", false, &r), NULL };

	assert_non_null(v.ms);
	v.f = mailfolder_open(v.ms, SPAN("INBOX"), how, &r);
	assert_int_equal(r, STORE_OK);
	return v;
}

static void
leave(struct view *v)
{
	mailfolder_close(v->f);
	mailstore_free(v->ms);
}

static uint64_t
highest(void)
{
	struct view v = look(0);
	uint64_t h = mailfolder_highestmodseq(v.f);

	for (size_t i = 0; i < mailfolder_count(v.f); i++)
		assert_in_range(mailfolder_messages(v.f)[i].modseq, 1, h);
	leave(&v);
	return h;
}

static void
foreign_add(int n)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "Maildir/new/%d.x%d.host", 1000 + n, n);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0 && write_all(fd, "a\n\nb\n", 5));
	close(fd);
}

/* The nth file of cur/, or none. */
static bool
nth_name(unsigned n, char out[300])
{
	DIR *d = opendir(CUR);
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d)))
		if (e->d_name[0] != '.' && n-- == 0)
			found = snprintf(out, 300, "%s", e->d_name) > 0;
	if (d)
		closedir(d);
	return found;
}

static bool
foreign_flags(unsigned n, const char *flags)
{
	char name[300], old[400], new[400];

	if (!nth_name(n, name))
		return false;
	snprintf(old, sizeof(old), CUR "/%s", name);
	*strchr(name, ':') = '\0';
	snprintf(new, sizeof(new), CUR "/%s:2,%s", name, flags);
	return rename(old, new) == 0;
}

static bool
foreign_remove(unsigned n)
{
	char name[300], path[400];

	if (!nth_name(n, name))
		return false;
	snprintf(path, sizeof(path), CUR "/%s", name);
	return unlink(path) == 0;
}

static void
set(struct mailfolder *f, uint32_t index, enum mailflag_op op, uint8_t flags)
{
	assert_int_equal(mailfolder_set_flags(f, &index, 1, op, flags, 0, UINT64_MAX, NULL, NULL), STORE_OK);
}

/* Each kind of change raises it, nothing else does. */
static void
test_rises_with_changes(void **state)
{
	uint64_t h[8];
	struct view v;
	uint32_t zero = 0;

	(void)state;
	h[0] = highest();
	foreign_add(1), foreign_add(2);
	h[1] = highest();
	v = look(0);
	set(v.f, 0, MAILFLAG_ADD, MFLAG_SEEN);
	assert_true(mailfolder_messages(v.f)[0].modseq == mailfolder_highestmodseq(v.f));
	leave(&v);
	h[2] = highest();
	assert_true(foreign_flags(0, "FS"));
	h[3] = highest();
	v = look(0);
	assert_int_equal(mailfolder_expunge(v.f, &zero, 1), STORE_OK);
	leave(&v);
	h[4] = highest();
	assert_true(foreign_remove(0));
	h[5] = highest();
	for (int i = 1; i <= 5; i++)
		if (h[i] <= h[i - 1])
			fail_msg("step %d: %llu after %llu", i, (unsigned long long)h[i], (unsigned long long)h[i - 1]);
	assert_true(h[0] >= 1);
	v = look(0);
	leave(&v);
	assert_true(highest() == h[5]);
	assert_int_equal(mailstore_index_drop("Maildir"), STORE_OK);
	assert_true(highest() == h[5]);
}

/* Setting what is set already is no change. */
static void
test_no_change_no_number(void **state)
{
	struct view v;
	uint64_t h;

	(void)state;
	foreign_add(1);
	v = look(0);
	set(v.f, 0, MAILFLAG_SET, MFLAG_SEEN);
	h = mailfolder_highestmodseq(v.f);
	set(v.f, 0, MAILFLAG_SET, MFLAG_SEEN);
	set(v.f, 0, MAILFLAG_ADD, 0);
	set(v.f, 0, MAILFLAG_REMOVE, MFLAG_DELETED);
	assert_true(mailfolder_highestmodseq(v.f) == h);
	leave(&v);
	assert_true(highest() == h);
}

static void
test_tracked_is_exact(void **state)
{
	struct mail_range *r;
	struct view v;
	uint64_t h, m[5];
	uint32_t gone[] = { 1, 3 };
	size_t n;

	(void)state;
	for (int i = 0; i < 5; i++)
		foreign_add(i);
	v = look(MAILFOLDER_TRACK);
	h = mailfolder_highestmodseq(v.f);
	set(v.f, 2, MAILFLAG_ADD, MFLAG_FLAGGED);
	for (int i = 0; i < 5; i++)
		m[i] = mailfolder_messages(v.f)[i].modseq;
	assert_true(m[2] > h && m[0] == h);
	leave(&v);
	v = look(0);			/* not tracked: the index is there, and used */
	for (int i = 0; i < 5; i++)
		assert_true(mailfolder_messages(v.f)[i].modseq == m[i]);
	assert_int_equal(mailfolder_expunge(v.f, gone, 2), STORE_OK);
	h = mailfolder_highestmodseq(v.f);
	leave(&v);
	foreign_remove(0);
	v = look(MAILFOLDER_TRACK);
	assert_true(mailfolder_expunged(v.f, m[2], &r, &n));
	assert_int_equal(n, 3);
	free(r);
	assert_true(mailfolder_expunged(v.f, h, &r, &n));
	assert_int_equal(n, 1);
	free(r);
	assert_true(mailfolder_expunged(v.f, mailfolder_highestmodseq(v.f), &r, &n));
	assert_int_equal(n, 0);
	free(r);
	leave(&v);
	assert_int_equal(mailstore_index_drop("Maildir"), STORE_OK);
	v = look(MAILFOLDER_TRACK);
	assert_false(mailfolder_expunged(v.f, h, &r, &n));	/* forgotten, and said so */
	leave(&v);
}

/* Expunges are kept up to a bound: then the older ones are not known any more. */
static void
test_expunges_are_bounded(void **state)
{
	struct mail_range *r;
	struct view v;
	uint64_t first, late = 0;
	size_t n;

	(void)state;
	for (int i = 0; i < 1200; i++)
		foreign_add(i);
	v = look(MAILFOLDER_TRACK);
	first = mailfolder_highestmodseq(v.f);
	for (uint32_t i = 0; i < 1100; i++) {
		assert_int_equal(mailfolder_expunge(v.f, &i, 1), STORE_OK);
		if (i == 1000)
			late = mailfolder_highestmodseq(v.f);
	}
	assert_false(mailfolder_expunged(v.f, first, &r, &n));
	assert_true(mailfolder_expunged(v.f, late, &r, &n));
	assert_int_equal(n, 99);
	assert_int_equal(r[0].lo, 1002);
	free(r);
	leave(&v);
}

static void
other_boot(void)
{
	char line[192], sum[9];
	int fd = open("Maildir/merpati-uid", O_RDWR);
	char *at;

	assert_int_equal(pread(fd, line, sizeof(line), 0), sizeof(line));
	at = memmem(line, sizeof(line), uidfile_boot(), 36);
	assert_non_null(at);
	memset(at, '1', 36);
	snprintf(sum, sizeof(sum), "%08x", store_crc32c(span_of(line, (size_t)(at + 37 - line))));
	memcpy(at + 37, sum, 8);
	assert_int_equal(pwrite(fd, line, sizeof(line), 0), sizeof(line));
	close(fd);
}

static void
test_another_boot(void **state)
{
	struct uidfile u;
	struct view v;
	uint64_t h;

	(void)state;
	foreign_add(1);
	v = look(MAILFOLDER_TRACK);
	set(v.f, 0, MAILFLAG_ADD, MFLAG_SEEN);
	h = mailfolder_highestmodseq(v.f);
	leave(&v);
	other_boot();
	assert_int_equal(mailstore_index_drop("Maildir"), STORE_OK);
	v = look(0);
	assert_true(mailfolder_highestmodseq(v.f) > h);
	assert_true(mailfolder_messages(v.f)[0].modseq == mailfolder_highestmodseq(v.f));
	h = mailfolder_highestmodseq(v.f);
	leave(&v);
	assert_true(highest() == h);
	other_boot();			/* giving a UID writes the file too, before anybody has looked */
	uidfile_init(&u);
	assert_true(uidfile_lock(&u, "Maildir") && uidfile_raise(&u, u.next + 1));
	uidfile_close(&u);
	assert_true(highest() > h);
}

/* Another session adds the flag to one message; with \\Deleted it removes it, too. */
static void
another_sets(uint32_t index, uint8_t flags)
{
	int status;

	if (fork() == 0) {
		struct view b = look(0);

		set(b.f, index, MAILFLAG_ADD, flags);
		_exit(flags & MFLAG_DELETED && mailfolder_expunge(b.f, &index, 1) != STORE_OK);
	}
	wait(&status);
	assert_int_equal(status, 0);
}

/* A message that is gone, and that the client still counts, makes the numbers of the others no less exact. */
static void
test_exact_beside_a_gone_one(void **state)
{
	struct mailfolder_changes ch;
	struct view a;
	uint64_t h;

	(void)state;
	for (int i = 0; i < 4; i++)
		foreign_add(i);
	a = look(MAILFOLDER_TRACK);
	h = mailfolder_messages(a.f)[2].modseq;
	another_sets(3, MFLAG_DELETED);
	for (uint32_t i = 0; i < 2; i++) {
		another_sets(i, MFLAG_SEEN);
		assert_int_equal(mailfolder_refresh(a.f, false, &ch), STORE_OK);
		assert_int_equal(ch.nchanged, 1);
		assert_true(mailfolder_messages(a.f)[i].modseq > h);
		assert_true(mailfolder_messages(a.f)[2].modseq == h);
		assert_int_equal(mailfolder_count(a.f), 4);
	}
	leave(&a);
}

/* A condition is checked against what is there, not against what this session has seen. */
static void
test_unchangedsince(void **state)
{
	struct mailfolder_changes ch;
	struct view a, b;
	uint32_t index[] = { 0, 1 }, failed[2];
	uint64_t h;
	size_t n;
	int status;

	(void)state;
	foreign_add(1), foreign_add(2);
	a = look(MAILFOLDER_TRACK);
	h = mailfolder_highestmodseq(a.f);
	if (fork() == 0) {
		b = look(0);
		set(b.f, 1, MAILFLAG_ADD, MFLAG_ANSWERED);
		_exit(0);
	}
	wait(&status);
	assert_int_equal(status, 0);
	assert_int_equal(mailfolder_set_flags(a.f, index, 2, MAILFLAG_ADD, MFLAG_DRAFT, 0, h, failed, &n), STORE_OK);
	assert_int_equal(n, 1);
	assert_int_equal(failed[0], 1);
	assert_int_equal(mailfolder_refresh(a.f, true, &ch), STORE_OK);	/* the other's change is still told */
	assert_int_equal(ch.nchanged, 1);
	assert_int_equal(ch.changed[0], 1);
	assert_int_equal(mailfolder_messages(a.f)[1].flags & MFLAG_ALL, MFLAG_ANSWERED);
	assert_int_equal(mailfolder_set_flags(a.f, index, 2, MAILFLAG_ADD, MFLAG_DRAFT, 0, 0, failed, &n), STORE_OK);
	assert_int_equal(n, 2);
	leave(&a);
}

/*
 * Anything at once: two long sessions, short ones, foreign hands, lost indexes. Clients that look now and then, by whatever
 * session there is, must end with what a whole look tells.
 */
struct client {
	uint64_t since;
	int16_t flags[UIDS_MAX];	/* -1: not there */
};

static void
synchronise(struct client *c, struct view *v)
{
	const struct mail_message *m = mailfolder_messages(v->f);
	size_t count = mailfolder_count(v->f), n = 0;
	struct mail_range *r = NULL;
	bool here[UIDS_MAX] = { false };

	for (size_t i = 0; i < count; i++)
		if (!(m[i].flags & MFLAG_GONE))
			here[m[i].uid] = true;
	if (!mailfolder_expunged(v->f, c->since, &r, &n)) {
		r = x_new(struct mail_range);
		*r = (struct mail_range){ 1, UIDS_MAX - 1 };
		n = 1;
	}
	for (size_t k = 0; k < n; k++)
		for (uint32_t uid = r[k].lo; uid <= r[k].hi; uid++)
			if (!here[uid])
				c->flags[uid] = -1;
	free(r);
	for (size_t i = 0; i < count; i++)
		if (here[m[i].uid] && m[i].modseq > c->since)
			c->flags[m[i].uid] = m[i].flags & MFLAG_ALL;
	for (uint32_t uid = 1; uid < UIDS_MAX; uid++) {
		size_t at = mailfolder_find(v->f, uid);
		int16_t truth = here[uid] ? m[at].flags & MFLAG_ALL : -1;

		if (c->flags[uid] != truth)
			fail_msg("since %llu: UID %u has %d, is %d (modseq %llu)", (unsigned long long)c->since, uid,
			    c->flags[uid], truth, here[uid] ? (unsigned long long)m[at].modseq : 0);
	}
	assert_true(mailfolder_highestmodseq(v->f) >= c->since);
	c->since = mailfolder_highestmodseq(v->f);
}

static void
own_change(struct view *v, unsigned what)
{
	uint32_t n = (uint32_t)mailfolder_count(v->f), i = n ? (what >> 8) % n : 0;

	if (n == 0)
		return;
	if (what % 5 == 0)
		assert_int_equal(mailfolder_expunge(v->f, &i, 1), STORE_OK);
	else
		set(v->f, i, what % 5 < 3 ? MAILFLAG_ADD : MAILFLAG_REMOVE, 1 << (what >> 4) % 3);
}

static void
look_about(struct view *v)
{
	struct mailfolder_changes ch;

	assert_int_equal(mailfolder_refresh(v->f, true, &ch), STORE_OK);
}

static void
step(struct view *v, struct client *c, unsigned what, int *added)
{
	static const char *const flags[] = { "", "S", "F", "FS" };
	unsigned n = what >> 8;

	switch (what % 16) {
	case 0 ... 5:
		own_change(v, n);
		break;
	case 6:
		foreign_add(++*added);
		break;
	case 7:
		foreign_flags(n % 20, flags[n % 4]);
		break;
	case 8:
		foreign_remove(n % 40);
		break;
	case 9:
		if (n % 8 == 0)
			assert_int_equal(mailstore_index_drop("Maildir"), STORE_OK);
		break;
	case 10 ... 12:
		look_about(v);
		break;
	default:
		look_about(v);
		synchronise(&c[n % 4], v);
		break;
	}
}

/* LMDB may be open once a process: short sessions are children, and the clients lie in shared memory. */
static void
short_session(struct client *c, unsigned what, int *added)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct view v = look(what & 1 ? MAILFOLDER_TRACK : 0);

		for (unsigned i = 0; i < 4; i++)
			step(&v, c, what * 2654435761u >> (i * 3), added);
		if (what & 6)
			leave(&v);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void
test_no_client_misses_anything(void **state)
{
	struct client *c = mmap(NULL, 5 * sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int *added = (int *)&c[4];

	(void)state;
	for (unsigned seed = 1; seed <= 6; seed++) {
		struct view v = look(seed & 1 ? MAILFOLDER_TRACK : 0);

		srandom(seed);
		for (int i = 0; i < 250; i++) {
			unsigned what = (unsigned)random();

			if (seed == 1 && i == 0)
				memset(c, 0xff, 4 * sizeof(*c));
			for (int k = 0; k < 4 && i == 0 && seed == 1; k++)
				c[k].since = 0;
			if (what % 3)
				step(&v, c, what >> 2, added);
			else
				short_session(c, what >> 2, added);
		}
		leave(&v);
	}
	assert_true(*added > 50);
	munmap(c, 5 * sizeof(*c));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rises_with_changes, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_no_change_no_number, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_tracked_is_exact, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_expunges_are_bounded, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_another_boot, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_exact_beside_a_gone_one, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_unchangedsince, store_box_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_no_client_misses_anything, store_box_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
