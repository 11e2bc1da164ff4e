/* test_mailstore.c: the Maildir driver through its interface, with foreign hands in the directory. */
#include "mail/store/mailstore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#include "base/fdio.h"
#include "mail/store/filename.h"
#include "mail/store/jointsync.h"
#include "tests/unit/storebed.h"
#include "tests/unit/unit.h"

/* The only entry of a directory. */
static void
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

static unsigned
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

static struct mailstore *
open_store(void)
{
	enum store_result r;
	struct mailstore *ms = mailstore_new("Maildir", true, &r);

	assert_int_equal(r, STORE_OK);
	return ms;
}

static struct mailfolder *
open_folder(struct mailstore *ms, const char *name, unsigned how)
{
	enum store_result r;
	struct mailfolder *f = mailfolder_open(ms, span_str(name), how, &r);

	if (r != STORE_OK)
		fprintf(stderr, "open: %s\n", mailstore_cause(ms));
	assert_int_equal(r, STORE_OK);
	return f;
}

static uint32_t
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
test_append_read(void **state)
{
	struct mailstore *ms = open_store();
	struct mailfolder *f;
	struct mailtext t;
	const struct mail_message *m;

	(void)state;
	assert_int_equal(append(ms, "INBOX", "A: b\r\n\r\nx\r\r\ny\rz\n", MFLAG_SEEN, "$Label1"), 1);
	assert_int_equal(append(ms, "inbox", "", 0, NULL), 2);
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_count(f), 2);
	m = mailfolder_messages(f);
	assert_int_equal(m[0].uid, 1);
	assert_int_equal(m[0].flags, MFLAG_SEEN | MFLAG_RECENT);
	assert_int_equal(m[0].keywords, 1);
	assert_string_equal(mailfolder_keyword_name(f, 0), "$Label1");
	assert_int_equal(m[0].date, 1000000000);
	assert_int_equal(m[0].size, 13);
	mailtext_init(&t);
	assert_int_equal(mailfolder_read(f, 0, &t), STORE_OK);
	assert_true(span_is(t.text, "A: b\n\nx\r\ny\rz\n"));
	assert_int_equal(m[0].crlf_size, mailtext_crlf_size(t.text));
	assert_int_equal(mailfolder_read_head(f, 0, 1000, &t), STORE_OK);
	assert_true(span_is(t.text, "A: b\n\n"));
	assert_int_equal(mailfolder_read(f, 1, &t), STORE_OK);
	assert_int_equal(t.text.n, 0);
	mailtext_fini(&t);
	mailfolder_close(f);
	mailstore_free(ms);
}

static void
test_uids_last(void **state)
{
	struct mailstore *ms = open_store();
	struct mailfolder *f;
	struct mailfolder_changes ch;
	uint32_t validity, index = 1;

	(void)state;
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(append(ms, "INBOX", "x\n", 0, NULL), i);
	f = open_folder(ms, "INBOX", 0);
	validity = mailfolder_uidvalidity(f);
	index = 2;
	assert_int_equal(mailfolder_expunge(f, &index, 1), STORE_OK);
	assert_int_equal(mailfolder_refresh(f, false, &ch), STORE_OK);
	assert_int_equal(mailfolder_count(f), 3);
	assert_int_equal(ch.nexpunged, 0);
	assert_int_equal(mailfolder_refresh(f, true, &ch), STORE_OK);
	assert_int_equal(ch.nexpunged, 1);
	assert_int_equal(ch.expunged[0].index, 2);
	assert_int_equal(ch.expunged[0].uid, 3);
	assert_int_equal(mailfolder_count(f), 2);
	mailfolder_close(f);
	mailstore_free(ms);
	assert_int_equal(mailstore_index_drop("Maildir"), STORE_OK);
	ms = open_store();
	assert_int_equal(append(ms, "INBOX", "x\n", 0, NULL), 4);	/* not 3 again */
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_uidvalidity(f), validity);
	assert_int_equal(mailfolder_uidnext(f), 5);
	mailfolder_close(f);
	/* the file lost or damaged: another UIDVALIDITY, UIDs of the names stay */
	put_file("Maildir/merpati-uid", "merpati-uid 1 0000000001 0000000001 0000000001 x 00000000\n");
	f = open_folder(ms, "INBOX", 0);
	assert_int_not_equal(mailfolder_uidvalidity(f), 1);
	assert_int_equal(mailfolder_count(f), 3);
	assert_int_equal(mailfolder_messages(f)[2].uid, 4);
	assert_int_equal(mailfolder_uidnext(f), 5);
	mailfolder_close(f);
	mailstore_free(ms);
}

/* A maildrop names the sizes of what it leaves behind, and only of that. */
static void
test_maildrop_sizes(void **state)
{
	struct mailstore *ms = open_store();
	struct mailfolder *f;
	uint32_t first = 0;
	char name[256];

	(void)state;
	put_file("Maildir/cur/1000.M1P1.host:2,S", "A: b\n\nfirst\n");
	put_file("Maildir/cur/2000.M1P1.host:2,S", "A: b\n\nsecond\n");
	f = open_folder(ms, "INBOX", MAILFOLDER_PLAIN);
	assert_int_equal(mailfolder_count(f), 2);
	assert_int_equal(mailfolder_messages(f)[0].crlf_size, 15);
	assert_int_equal(mailfolder_messages(f)[1].crlf_size, 16);
	assert_int_equal(access("Maildir/cur/1000.M1P1.host:2,S", F_OK), 0);
	assert_int_equal(mailfolder_expunge(f, &first, 1), STORE_OK);
	only_name("Maildir/cur", name);
	assert_string_equal(name, "2000.M1P1.host:2,S");
	assert_int_equal(rename("Maildir/cur/2000.M1P1.host:2,S", "Maildir/cur/2000.M1P1.host:2,FS"), 0);
	mailfolder_close(f);		/* another program was faster */
	only_name("Maildir/cur", name);
	assert_string_equal(name, "2000.M1P1.host:2,FS");
	f = open_folder(ms, "INBOX", MAILFOLDER_PLAIN);
	mailfolder_close(f);
	only_name("Maildir/cur", name);
	assert_string_equal(name, "2000.M1P1.host,S=13,W=16:2,FS");
	mailstore_free(ms);
}

static void
test_foreign_files(void **state)
{
	struct mailstore *ms = open_store();
	struct mailstore_status st;
	struct mailfolder *f;
	struct utimbuf old = { 900000000, 900000000 };
	char name[256];

	(void)state;
	put_file("Maildir/new/2000.M1P1.host", "A: b\n\nsecond\n");
	put_file("Maildir/new/1000.M1P1.host", "A: b\n\nfirst\n");
	utime("Maildir/new/1000.M1P1.host", &old);
	put_file("Maildir/new/.hidden", "x");
	assert_int_equal(mkdir("Maildir/new/dir", 0700), 0);
	assert_int_equal(symlink("/etc/passwd", "Maildir/new/link"), 0);
	assert_int_equal(mkfifo("Maildir/new/fifo", 0600), 0);
	assert_int_equal(mailstore_status(ms, SPAN("INBOX"), STATUS_SIZES, &st), STORE_OK);
	assert_int_equal(st.messages, 2);
	assert_int_equal(st.recent, 2);
	assert_int_equal(st.uidnext, 3);
	f = open_folder(ms, "INBOX", MAILFOLDER_READONLY);
	assert_int_equal(mailfolder_count(f), 2);
	assert_int_equal(mailfolder_messages(f)[0].uid, 1);
	assert_true(mailfolder_messages(f)[0].flags & MFLAG_RECENT);
	assert_int_equal(mailfolder_date(f, 0), 900000000);
	assert_int_equal(mailfolder_messages(f)[0].size, 12);
	assert_int_equal(mailfolder_messages(f)[0].crlf_size, 15);
	mailfolder_close(f);
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_count(f), 2);
	assert_true(mailfolder_messages(f)[1].flags & MFLAG_RECENT);
	assert_int_equal(mailfolder_messages(f)[1].uid, 2);
	mailfolder_close(f);
	assert_int_equal(count_names("Maildir/cur"), 2);
	unlink("Maildir/cur/2000.M1P1.host,S=13,W=16,U=2:2,");
	only_name("Maildir/cur", name);
	assert_string_equal(name, "1000.M1P1.host,S=12,W=15,U=1:2,");
	f = open_folder(ms, "INBOX", 0);
	assert_false(mailfolder_messages(f)[0].flags & MFLAG_RECENT);
	mailfolder_close(f);
	mailstore_free(ms);
}

static void
test_duplicates(void **state)
{
	struct mailstore *ms = open_store();
	struct mailfolder *f;
	struct mailfolder_changes ch;

	(void)state;
	assert_int_equal(append(ms, "INBOX", "x\n", 0, NULL), 1);
	put_file("Maildir/cur/5000.other,S=2,W=3,U=1:2,S", "y\n");	/* the same UID */
	put_file("Maildir/cur/6000.other,S=2,W=3,U=77:2,S", "z\n");	/* a UID that this folder never gave */
	put_file("Maildir/cur/7000.twin,S=2,W=3:2,S", "t\n");		/* the same base twice */
	put_file("Maildir/cur/7000.twin,S=2,W=3:2,F", "u\n");
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_count(f), 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(mailfolder_messages(f)[i].uid, i + 1);
	put_file("Maildir/cur/8000.late,S=2,W=3,U=3:2,S", "l\n");
	assert_int_equal(mailfolder_refresh(f, true, &ch), STORE_OK);
	assert_int_equal(ch.arrived, 1);
	assert_int_equal(mailfolder_messages(f)[5].uid, 6);
	mailfolder_close(f);
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_count(f), 6);
	mailfolder_close(f);
	mailstore_free(ms);
}

static void
test_two_sessions(void **state)
{
	struct mailstore *a = open_store(), *b = open_store();
	struct mailfolder *fa, *fb;
	struct mailfolder_changes ch;
	struct mailtext t;
	uint32_t index = 0, failed[1];
	size_t nfailed;
	int letter;

	(void)state;
	append(a, "INBOX", "one\n", 0, NULL);
	append(a, "INBOX", "two\n", 0, NULL);
	fa = open_folder(a, "INBOX", 0);
	fb = open_folder(b, "INBOX", 0);
	letter = mailfolder_keyword(fa, SPAN("Work"), true);
	assert_int_equal(letter, 0);
	assert_int_equal(mailfolder_set_flags(fa, &index, 1, MAILFLAG_ADD, MFLAG_SEEN, 1, UINT64_MAX, NULL, NULL), STORE_OK);
	/* b still has the old name: it reads, and sets a flag beside a's */
	mailtext_init(&t);
	assert_int_equal(mailfolder_read(fb, 0, &t), STORE_OK);
	assert_true(span_is(t.text, "one\n"));
	assert_int_equal(mailfolder_set_flags(fb, &index, 1, MAILFLAG_ADD, MFLAG_FLAGGED, 0, UINT64_MAX, NULL, NULL), STORE_OK);
	assert_int_equal(mailfolder_refresh(fa, true, &ch), STORE_OK);
	assert_int_equal(ch.nchanged, 1);
	assert_int_equal(ch.changed[0], 0);
	assert_int_equal(mailfolder_messages(fa)[0].flags & MFLAG_ALL, MFLAG_SEEN | MFLAG_FLAGGED);
	assert_int_equal(mailfolder_messages(fa)[0].keywords, 1);
	assert_int_equal(mailfolder_refresh(fb, true, &ch), STORE_OK);
	assert_string_equal(mailfolder_keyword_name(fb, 0), "Work");
	/* UNCHANGEDSINCE */
	assert_int_equal(mailfolder_set_flags(fb, &index, 1, MAILFLAG_SET, 0, 0, 1, failed, &nfailed), STORE_OK);
	assert_int_equal(nfailed, 1);
	/* a expunges what b shows */
	assert_int_equal(mailfolder_expunge(fa, &index, 1), STORE_OK);
	assert_int_equal(mailfolder_read(fb, 0, &t), STORE_GONE);
	append(a, "INBOX", "three\n", 0, NULL);
	assert_int_equal(mailfolder_refresh(fb, false, &ch), STORE_OK);
	assert_int_equal(ch.arrived, 1);
	assert_int_equal(mailfolder_count(fb), 3);
	index = 1;
	assert_int_equal(mailfolder_set_flags(fa, &index, 1, MAILFLAG_SET, MFLAG_DELETED, 0, UINT64_MAX, NULL, NULL), STORE_OK);
	assert_int_equal(mailfolder_refresh(fb, true, &ch), STORE_OK);
	assert_int_equal(ch.nexpunged, 1);
	assert_int_equal(ch.nchanged, 1);
	assert_int_equal(ch.changed[0], 0);
	assert_int_equal(mailfolder_messages(fb)[0].uid, 2);
	mailtext_fini(&t);
	mailfolder_close(fa);
	mailfolder_close(fb);
	mailstore_free(a);
	mailstore_free(b);
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

/* Old files in tmp/ go, at the first delivery there; young ones stay, and so do those whose date alone is old. */
static void
test_deliver_sweeps_tmp(void **state)
{
	static const struct { const char *name; time_t atime, mtime; bool stays; } files[] = {
		{ "D1700000000.Qx", -40 * 3600, -40 * 3600, false }, { "1700000000.Qy", -37 * 3600, -50 * 3600, false },
		{ "young", -35 * 3600, -35 * 3600, true }, { "dated", 0, -1000 * 3600, true },
	};
	struct mail_delivery d = { .path = "sweep.test/u/Maildir", .create = true, .queue_id = SPAN("4c7Q2x9kTz000000"), .rcpt = 3,
	    .arrival = 1700000000, .host = "mx.d.test", .head = SPAN("Return-Path: <a@b>\n"), .body = SPAN("A: b\n\nx\n") };
	char path[256];
	struct buf cause;

	(void)state;
	d.body_crlf_size = mailtext_crlf_size(d.body);
	buf_init(&cause, 4096);
	assert_true(make_dirs(AT_FDCWD, "sweep.test/u/Maildir/tmp", 0700) && make_dirs(AT_FDCWD, "sweep.test/u/Maildir/new", 0700) &&
	    make_dirs(AT_FDCWD, "sweep.test/u/Maildir/cur", 0700));
	for (size_t i = 0; i < NELEMS(files); i++) {
		struct timespec t[2] = { { .tv_sec = time(NULL) + files[i].atime }, { .tv_sec = time(NULL) + files[i].mtime } };

		snprintf(path, sizeof(path), "sweep.test/u/Maildir/tmp/%s", files[i].name);
		close(open(path, O_WRONLY | O_CREAT, 0600));
		assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
	}
	assert_int_equal(mailstore_deliver(&d, &cause), STORE_OK);
	for (size_t i = 0; i < NELEMS(files); i++) {
		snprintf(path, sizeof(path), "sweep.test/u/Maildir/tmp/%s", files[i].name);
		assert_int_equal(access(path, F_OK) == 0, files[i].stays);
	}
	buf_fini(&cause);
}

static void
test_deliver(void **state)
{
	struct mail_delivery d = { .path = "d.test/u/Maildir", .create = true, .queue_id = SPAN("4c7Q2x9kTz000000"), .rcpt = 3,
	    .arrival = 1700000000, .host = "mx.d.test", .head = SPAN("Return-Path: <a@b>\n"), .body = SPAN("A: b\n\nx\n") };
	struct mailstore *ms;
	struct mailfolder *f;
	enum store_result r;
	struct buf cause;
	char name[256];

	(void)state;
	d.body_crlf_size = mailtext_crlf_size(d.body);
	buf_init(&cause, 4096);
	assert_int_equal(mailstore_deliver(&d, &cause), STORE_OK);
	only_name("d.test/u/Maildir/new", name);
	assert_string_equal(name, "1700000000.Q4c7Q2x9kTz000000R3.mx.d.test,S=27,W=31");
	assert_int_equal(mailstore_deliver(&d, &cause), STORE_EXISTS);
	only_name("d.test/u/Maildir/new", name);
	ms = mailstore_new("d.test/u/Maildir", false, &r);
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_count(f), 1);
	assert_int_equal(mailfolder_date(f, 0), 1700000000);
	mailfolder_close(f);
	mailstore_free(ms);
	d.maybe_repeated = true;	/* it lies in cur/ now */
	assert_int_equal(mailstore_deliver(&d, &cause), STORE_EXISTS);
	d.rcpt = 4;
	assert_int_equal(mailstore_deliver(&d, &cause), STORE_OK);
	assert_int_equal(count_names("d.test/u/Maildir/tmp"), 0);
	d.path = "nobody/Maildir";
	d.create = false;
	assert_int_equal(mailstore_deliver(&d, &cause), STORE_NOTFOUND);
	buf_fini(&cause);
}

/* In place of libc's: what a wall of the machine may say to names for files that had none. */
static int linkat_errno, linkat_asked;

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	linkat_asked++;
	errno = linkat_errno;
	return linkat_errno ? -1 : (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

/* One step after the other for all of them: what one mailbox does not let happen, happens to the others. */
static void
deliver_all(void)
{
	static const struct mail_quota tight = { .bytes = 10, .messages = 1 };
	static const struct {
		const char *path;
		bool create, over;
		enum store_result result, again;
		int files;
	} rows[] = {
		{ "all.test/a/Maildir", true, false, STORE_OK, STORE_EXISTS, 1 },
		{ "all.test/file/Maildir", true, false, STORE_DENIED, STORE_DENIED, -1 },
		{ "all.test/b/Maildir", true, false, STORE_OK, STORE_EXISTS, 1 },
		{ "all.test/full/Maildir", true, true, STORE_QUOTA, STORE_QUOTA, 0 },
		{ "all.test/missing/Maildir", false, false, STORE_NOTFOUND, STORE_NOTFOUND, -1 },
		{ "all.test/c/Maildir", true, false, STORE_OK, STORE_EXISTS, 1 },
		{ "all.test/d/Maildir", true, false, STORE_OK, STORE_EXISTS, 1 },
		{ "all.test/a/Maildir", true, false, STORE_OK, STORE_EXISTS, 2 },
	};
	struct mail_delivery d[NELEMS(rows)];
	struct mail_delivered r[NELEMS(rows)];
	char path[300];

	assert_int_equal(mkdir("all.test", 0700), 0);
	close(open("all.test/file", O_WRONLY | O_CREAT, 0600));
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < NELEMS(rows); i++) {
			d[i] = (struct mail_delivery){ .path = rows[i].path, .create = rows[i].create,
				.queue_id = SPAN("4c7Q2x9kTz000001"), .rcpt = (uint32_t)i, .arrival = 1700000000, .host = "mx.d.test",
				.head = SPAN("Return-Path: <a@b>\n"), .body = SPAN("A: b\n\nx\n"),
				.maybe_repeated = round == 2, .limit = rows[i].over ? &tight : NULL };
			d[i].body_crlf_size = mailtext_crlf_size(d[i].body);
		}
		mailstore_deliver_all(d, r, NELEMS(rows));
		for (size_t i = 0; i < NELEMS(rows); i++) {
			assert_int_equal(r[i].result, round ? rows[i].again : rows[i].result);
			assert_int_equal(r[i].err == 0, r[i].result == STORE_OK);
			assert_int_equal(r[i].cause.len == 0, r[i].result == STORE_OK);
			buf_fini(&r[i].cause);
		}
		for (size_t i = 0; i < NELEMS(rows); i++) {
			snprintf(path, sizeof(path), "%s/new", rows[i].path);
			if (i > 0 && rows[i].files >= 0)
				assert_int_equal(count_names(path), rows[i].files);
			snprintf(path, sizeof(path), "%s/tmp", rows[i].path);
			if (rows[i].files >= 0)
				assert_int_equal(count_names(path), 0);
		}
	}
}

static void
test_deliver_all(void **state)
{
	bool unnamed = jointsync_unnamed_may(-1) && jointsync_unnamed_may(open(".", O_RDONLY | O_CLOEXEC));

	(void)state;
	linkat_asked = 0;
	deliver_all();
	assert_int_equal(linkat_asked > 0, unnamed);
}

/* No name for them on this machine: tried once, then all by way of tmp/. */
static void
test_deliver_all_by_name(void **state)
{
	bool unnamed = jointsync_unnamed_may(-1) && jointsync_unnamed_may(open(".", O_RDONLY | O_CLOEXEC));

	(void)state;
	linkat_asked = 0;
	linkat_errno = EPERM;
	deliver_all();
	linkat_errno = 0;
	if (unnamed) {
		assert_int_equal(linkat_asked, 5);	/* of those that were written already; 4 mailboxes, one of them twice */
		assert_false(jointsync_unnamed_may(-1));
	}
	jointsync_init();
}

/* One of several sessions: appends, flags, copies' renames, and a look at everything after each step. */
static int
busy_session(unsigned seed)
{
	enum store_result r;
	struct mailstore *ms = mailstore_new("Maildir", false, &r);
	struct mailfolder *f = mailfolder_open(ms, SPAN("INBOX"), 0, &r);
	struct mailfolder_changes ch;
	struct mailtext t;
	int bad = f ? 0 : 1;

	mailtext_init(&t);
	for (unsigned i = 0; i < 40 && !bad; i++) {
		const struct mail_message *m;
		uint32_t index;

		append(ms, "INBOX", "A: b\n\nbody\n", 0, NULL);
		if (mailfolder_refresh(f, i % 3 != 0, &ch) != STORE_OK)
			bad |= 2;
		m = mailfolder_messages(f);
		for (size_t k = 1; k < mailfolder_count(f); k++)
			if (m[k].uid <= m[k - 1].uid)
				bad |= 4;
		seed = seed * 1103515245 + 12345;
		index = mailfolder_count(f) ? seed / 65536 % (uint32_t)mailfolder_count(f) : 0;
		r = mailfolder_set_flags(f, &index, 1, i % 2 ? MAILFLAG_ADD : MAILFLAG_SET, (uint8_t)(seed >> 20) & MFLAG_ALL, 0,
		    UINT64_MAX, NULL, NULL);
		if (r != STORE_OK || mailfolder_read(f, index, &t) != STORE_OK || t.text.n != 11)
			bad |= 8;	/* nobody expunges: every message can be read */
		for (size_t k = 0; k < mailfolder_count(f); k++)
			if (mailfolder_messages(f)[k].flags & MFLAG_GONE)
				bad |= 16;
	}
	mailtext_fini(&t);
	mailfolder_close(f);
	mailstore_free(ms);
	return bad;
}

/* A program that knows no lock: what mutt does to flags. */
static int
foreign_program(void)
{
	for (int round = 0; round < 60; round++) {
		DIR *d = opendir("Maildir/cur");
		struct dirent *e;

		while (d && (e = readdir(d))) {
			char old[600], new[600], *colon;

			if (e->d_name[0] == '.' || !(colon = strrchr(e->d_name, ':')))
				continue;
			snprintf(old, sizeof(old), "Maildir/cur/%s", e->d_name);
			snprintf(new, sizeof(new), "Maildir/cur/%.*s:2,%s", (int)(colon - e->d_name), e->d_name, round % 2 ? "F" : "FS");
			if (rename(old, new) == 0)
				usleep(300);
		}
		closedir(d);
	}
	return 0;
}

static void
test_many_at_once(void **state)
{
	enum { SESSIONS = 4 };
	struct mailstore *ms = open_store();
	struct mailfolder *f;
	pid_t pid[SESSIONS + 1];
	int status;

	(void)state;
	for (unsigned i = 0; i < SESSIONS; i++)
		if ((pid[i] = fork()) == 0)
			_exit(busy_session(i + 1));
	if ((pid[SESSIONS] = fork()) == 0)
		_exit(foreign_program());
	for (unsigned i = 0; i < SESSIONS; i++) {
		waitpid(pid[i], &status, 0);
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			fail_msg("session %u: status %x", i, (unsigned)status);
	}
	kill(pid[SESSIONS], SIGKILL);
	waitpid(pid[SESSIONS], &status, 0);
	f = open_folder(ms, "INBOX", 0);
	assert_int_equal(mailfolder_count(f), SESSIONS * 40);
	for (size_t i = 0; i < mailfolder_count(f); i++)
		assert_int_equal(mailfolder_messages(f)[i].uid, i + 1);
	assert_int_equal(count_names("Maildir/tmp"), 0);
	mailfolder_close(f);
	mailstore_free(ms);
}

/* A disk that is full in the middle of a message leaves nothing behind. */
static void
test_no_space(void **state)
{
	struct mail_delivery d = { .path = "Maildir", .create = true, .queue_id = SPAN("4c7Q2x9kTz000000"), .rcpt = 0,
	    .arrival = 1700000000, .host = "h", .head = SPAN("Return-Path: <a@b>\n"), .body = SPAN("A: b\n\nx\n") };
	struct rlimit small = { 20, 20 };
	int status;
	pid_t pid;

	(void)state;
	mailstore_free(open_store());
	pid = fork();
	if (pid == 0) {
		struct buf cause;

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &small);
		buf_init(&cause, 4096);
		_exit(mailstore_deliver(&d, &cause) == STORE_ERROR ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(count_names("Maildir/tmp"), 0);
	assert_int_equal(count_names("Maildir/new"), 0);
}

static void
test_lock(void **state)
{
	struct mailstore *a = open_store(), *b = open_store();

	(void)state;
	assert_int_equal(mailstore_lock(a), STORE_OK);
	assert_int_equal(mailstore_lock(b), STORE_BUSY);
	mailstore_free(a);
	assert_int_equal(mailstore_lock(b), STORE_OK);
	mailstore_free(b);
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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_logins, store_dir_setup, store_teardown),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_filenames),
		cmocka_unit_test_setup_teardown(test_append_read, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_uids_last, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_maildrop_sizes, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_foreign_files, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_duplicates, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_two_sessions, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_folders, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_as_many_folders_as_there_may_be, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_uses, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_deliver, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_deliver_all, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_deliver_all_by_name, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_deliver_sweeps_tmp, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_many_at_once, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_no_space, store_dir_setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_lock, store_dir_setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
