/* test_mailstore_folders.c: names of folders and of files, what folders are for, who makes them. */
#include "tests/unit/mailstorebed.h"

#include <signal.h>
#include <sys/wait.h>

static void
test_names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "a..b", ".a", "a.", "../x", "a/b", "/etc", "~root", "INBOX/../x",
	    "cur", "new", "tmp", "a\x01", "a\x7f", "\xff", "\xc0\x80", "\xed\xa0\x80", "a\xc2\x85", " a", "a .b", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u" };
	static const char *const good[] = { "INBOX", "inbox", "Sent", "A.B", "Entw\xc3\xbcrfe", "a&b", "a b", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
	char big[300];

	(void)state;
	for (size_t i = 0; i < NELEMS(bad); i++)
		if (mailstore_name_check(span_str(bad[i])) != STORE_BADNAME)
			fail_msg("taken: %s", bad[i]);
	for (size_t i = 0; i < NELEMS(good); i++)
		if (mailstore_name_check(span_str(good[i])) != STORE_OK)
			fail_msg("refused: %s", good[i]);
	memset(big, 'x', sizeof(big));
	assert_int_equal(mailstore_name_check(span_of(big, 200)), STORE_OK);
	assert_int_equal(mailstore_name_check(span_of(big, 201)), STORE_BADNAME);
	assert_int_equal(mailstore_name_check(span_of("a\0b", 3)), STORE_BADNAME);
}

static void
test_filenames(void **state)
{
	static const struct {
		const char *name, *again;	/* again: as formatted; NULL: no message */
	} rows[] = {
		{ "1000.Qabc R1.host,S=5,W=6,U=7:2,FS", "1000.Qabc R1.host,S=5,W=6,U=7:2,FS" },
		{ "x:2,SF", "x:2,FS" },
		{ "x:2,ab", "x:2,ab" },
		{ "x:2,Zq", "x:2,Zq" },
		{ "x,S=1,foo=2,W=1,,U=3", "x,S=1,W=1,U=3,foo=2,:2," },
		{ "x,S=-1", "x,S=-1:2," },
		{ "x,S=10,W=9", "x:2," },
		{ "x,S=10,W=21", "x:2," },
		{ "x,U=0", "x,U=0:2," },
		{ "x,U=4294967295", "x,U=4294967295:2," },
		{ "x:1,foo", "x:2," },
		{ "a:b:2,S", "a:b:2,S" },
		{ ".x", NULL }, { "", NULL }, { ",U=1", NULL }, { "a\nb", NULL },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct filename f;
		char out[FILENAME_MAX_ + 1];

		assert_int_equal(filename_parse(span_str(rows[i].name), &f), rows[i].again != NULL);
		if (!rows[i].again)
			continue;
		assert_true(filename_format(&f, true, out));
		assert_string_equal(out, rows[i].again);
	}
}

static void
collect(void *ctx, struct span name)
{
	buf_addspan(ctx, name);
	buf_addc(ctx, ' ');
}

static void
test_folders(void **state)
{
	struct mailstore *ms = open_store();
	struct mailfolder *f;
	struct buf names;
	uint32_t index[2] = { 0, 1 }, uids[2], validity;

	(void)state;
	buf_init(&names, 4096);
	assert_int_equal(mailstore_create(ms, SPAN("A")), STORE_OK);
	assert_int_equal(mailstore_create(ms, SPAN("A")), STORE_EXISTS);
	assert_int_equal(mailstore_create(ms, SPAN("A.B")), STORE_OK);
	assert_int_equal(mailstore_create(ms, SPAN("../x")), STORE_BADNAME);
	assert_int_equal(mailstore_list(ms, collect, &names), STORE_OK);
	assert_string_equal(buf_cstr(&names), "INBOX A A.B ");
	assert_int_equal(mailstore_rename(ms, SPAN("A"), SPAN("A.B")), STORE_EXISTS);
	assert_int_equal(mailstore_rename(ms, SPAN("A"), SPAN("C")), STORE_OK);
	buf_reset(&names);
	assert_int_equal(mailstore_list(ms, collect, &names), STORE_OK);
	assert_string_equal(buf_cstr(&names), "INBOX C C.B ");
	append(ms, "INBOX", "one\n", MFLAG_SEEN, "K");
	append(ms, "INBOX", "two\n", 0, NULL);
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_copy(f, index, 2, SPAN("C"), false, uids, &validity), STORE_OK);
	assert_int_equal(uids[1], 2);
	assert_int_equal(mailfolder_copy(f, index, 2, SPAN("Nowhere"), false, uids, &validity), STORE_NOTFOUND);
	assert_int_equal(mailfolder_copy(f, index, 1, SPAN("C"), true, uids, &validity), STORE_OK);
	assert_int_equal(uids[0], 3);
	mailfolder_close(f);
	f = open_folder(ms, "C", 0);
	assert_int_equal(mailfolder_count(f), 3);
	assert_int_equal(mailfolder_messages(f)[2].flags, MFLAG_SEEN | MFLAG_RECENT);
	assert_int_equal(mailfolder_messages(f)[2].keywords, 1);
	assert_string_equal(mailfolder_keyword_name(f, 0), "K");
	mailfolder_close(f);
	assert_int_equal(mailstore_rename(ms, SPAN("INBOX"), SPAN("Old")), STORE_OK);
	f = open_folder(ms, "Old", 0);
	assert_int_equal(mailfolder_count(f), 1);
	mailfolder_close(f);
	assert_int_equal(mailstore_delete(ms, SPAN("C")), STORE_OK);
	assert_int_equal(mailstore_delete(ms, SPAN("C")), STORE_NOTFOUND);
	assert_int_equal(mailstore_delete(ms, SPAN("INBOX")), STORE_DENIED);
	buf_reset(&names);
	assert_int_equal(mailstore_list(ms, collect, &names), STORE_OK);
	assert_string_equal(buf_cstr(&names), "INBOX C.B Old ");
	assert_int_equal(mailstore_subscribe(ms, SPAN("Old"), true), STORE_OK);
	assert_int_equal(mailstore_subscribe(ms, SPAN("X.Y"), true), STORE_OK);
	assert_int_equal(mailstore_subscribe(ms, SPAN("Old"), false), STORE_OK);
	buf_reset(&names);
	assert_int_equal(mailstore_list_subscribed(ms, collect, &names), STORE_OK);
	assert_string_equal(buf_cstr(&names), "X.Y ");
	buf_fini(&names);
	mailstore_free(ms);
}

static void
count_uses(void *ctx, struct span name, unsigned use)
{
	unsigned *seen = ctx;

	if (span_is(name, "Sent") && use == MAILUSE_SENT)
		*seen |= 1 << 8;
	if (span_is(name, "Gesendet"))
		*seen |= 1 << 9;
	*seen |= use;
}

/* Folders of a new user; lines that somebody wrote by hand */
/* The last folder that there may be, and one too many; what is no folder does not count. */
static void
test_as_many_folders_as_there_may_be(void **state)
{
	enum store_result r;
	struct mailstore *ms = mailstore_new("Maildir", true, &r);
	char name[64];

	(void)state;
	assert_int_equal(r, STORE_OK);
	for (int i = 0; i < MAILSTORE_FOLDERS_MAX - 1; i++) {
		snprintf(name, sizeof(name), "Maildir/.f%d", i);
		assert_return_code(mkdir(name, 0700), errno);
	}
	assert_int_equal(mailstore_create(ms, SPAN("last")), STORE_OK);
	assert_int_equal(mailstore_create(ms, SPAN("more")), STORE_LIMIT);
	assert_return_code(rmdir("Maildir/.f0"), errno);
	assert_int_equal(mailstore_create(ms, SPAN("more")), STORE_OK);
	mailstore_free(ms);
}

static void
test_uses(void **state)
{
	struct mailstore *ms = open_store();
	unsigned seen = 0;
	FILE *f;

	(void)state;
	assert_int_equal(mailstore_create(ms, SPAN("Junk")), STORE_OK);	/* a first login was cut short */
	assert_int_equal(mailstore_create_defaults(ms), STORE_OK);
	assert_int_equal(mailstore_list_uses(ms, count_uses, &seen), STORE_OK);
	assert_int_equal(seen, 0x11f);
	assert_int_equal(mailstore_exists(ms, SPAN("Trash")), STORE_OK);
	assert_int_equal(mailstore_set_use(ms, SPAN("Gesendet"), MAILUSE_SENT), STORE_OK);
	assert_int_equal(mailstore_delete(ms, SPAN("Trash")), STORE_OK);
	assert_int_equal(mailstore_create_defaults(ms), STORE_OK);
	assert_int_equal(mailstore_exists(ms, SPAN("Trash")), STORE_NOTFOUND);
	seen = 0;
	assert_int_equal(mailstore_list_uses(ms, count_uses, &seen), STORE_OK);
	assert_int_equal(seen, 0x30f);
	f = fopen("Maildir/merpati-special-use", "w");
	assert_non_null(f);
	fputs("Sent ../x\nSent\n\nNonsense a\nsent Gesendet\nTrash \nJunk cur", f);
	fclose(f);
	seen = 0;
	assert_int_equal(mailstore_list_uses(ms, count_uses, &seen), STORE_OK);
	assert_int_equal(seen, 1 << 9 | MAILUSE_SENT);
	assert_int_equal(mailstore_set_use(ms, SPAN("../x"), MAILUSE_SENT), STORE_BADNAME);
	mailstore_free(ms);
}

static void
tally(void *ctx, struct span name)
{
	(void)name;
	++*(unsigned *)ctx;
}

/* First logins at once, again and again: nobody ends before all is there, nothing is there twice. */
static void
test_first_logins(void **state)
{
	unsigned subscribed, uses;

	(void)state;
	for (int round = 0; round < 10; round++) {
		char path[64];
		int ready[2], go[2];
		struct mailstore *ms;

		snprintf(path, sizeof(path), "Maildir%d", round);
		assert_int_equal(pipe(ready) | pipe(go), 0);
		for (int i = 0; i < 4; i++) {
			enum store_result r;

			if (fork())
				continue;
			close(go[1]);
			ms = mailstore_new(path, true, &r);
			(void)!write(ready[1], "", 1);
			(void)!read(go[0], &r, 1);
			_exit(mailstore_create_defaults(ms) != STORE_OK || mailstore_exists(ms, SPAN("Trash")) != STORE_OK);
		}
		for (int i = 0; i < 4; i++)
			assert_int_equal(read(ready[0], path + 60, 1), 1);
		close(go[1]);
		for (int i = 0; i < 4; i++) {
			int status = -1;

			assert_true(wait(&status) > 0);
			assert_int_equal(status, 0);
		}
		close(go[0]), close(ready[0]), close(ready[1]);
		ms = mailstore_new(path, false, &(enum store_result){ 0 });
		subscribed = uses = 0;
		assert_int_equal(mailstore_list_subscribed(ms, tally, &subscribed), STORE_OK);
		assert_int_equal(mailstore_list_uses(ms, count_uses, &uses), STORE_OK);
		assert_int_equal(subscribed, MAILUSE_COUNT);
		assert_int_equal(uses, 0x11f);
		mailstore_free(ms);
	}
}

/* The user's own programs may put anything where the mailbox keeps its notes: nobody waits for it. */
static void
test_strange_files(void **state)
{
	static const char *const names[] = { "merpati-uid", "merpati-uidlist", "dovecot-keywords", "merpati-uidvalidity",
		"subscriptions", "merpati-special-use", "merpati-pop3.lock", "merpati-quota", "merpati.arrivals", "merpati.index",
		"maildirfolder" };
	struct mail_quota limit = { .bytes = 1000000 };

	(void)state;
	alarm(30);
	for (size_t i = 0; i < 3 * NELEMS(names); i++) {
		char path[64];
		unsigned subscribed = 0;
		struct mailfolder *f;
		enum store_result r;
		struct mailstore *ms;

		snprintf(path, sizeof(path), "Maildir/%s", names[i / 3]);
		ms = mailstore_new("Maildir", true, &r);
		assert_non_null(ms);
		assert_int_equal(i % 3 == 0 ? mkfifo(path, 0600) : i % 3 == 1 ? mkdir(path, 0700) : symlink("/dev/zero", path), 0);
		mailstore_limit(ms, &limit);
		r = mailstore_create_defaults(ms);
		r = mailstore_list_subscribed(ms, tally, &subscribed);
		f = mailfolder_open(ms, SPAN("INBOX"), MAILFOLDER_TRACK, &r);
		mailfolder_close(f);
		r = mailstore_lock(ms);
		mailstore_free(ms);
		remove_tree("Maildir");
	}
	alarm(0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_logins, store_dir_setup, store_teardown),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_filenames),
		cmocka_unit_test_setup_teardown(test_folders, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_as_many_folders_as_there_may_be, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_uses, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_strange_files, store_dir_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
