/* test_view.c: a folder that a session left and takes up again: all that changed meanwhile is told once, and hostile views harm nobody. */
#include "mail/store/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "tests/unit/storebed.h"
#include "tests/unit/unit.h"

#define MANY 600

/* From outside, as another program would. */
static void
add(unsigned from, unsigned n, const char *(*flags)(unsigned))
{
	for (unsigned i = from; i < from + n; i++) {
		char path[200];
		FILE *f;

		snprintf(path, sizeof(path), "Maildir/cur/%u.m%u.x:2,%s", 1600000000 + i, i, flags(i));
		f = fopen(path, "we");
		assert_non_null(f);
		fputs("Subject: x\n\nx\n", f);
		fclose(f);
	}
}

static const char *seen(unsigned i UNUSED) { return "S"; }
static const char *mixed(unsigned i) { return i % 2 ? "S" : ""; }

struct sight {
	struct mailstore *ms;
	struct mailfolder *f;
};

static struct sight
look(unsigned how)
{
	enum store_result r;
	struct sight s = { mailstore_new("Maildir", false, &r), NULL };

	s.f = mailfolder_open(s.ms, SPAN("INBOX"), how, &r);
	assert_non_null(s.f);
	return s;
}

static void
leave(struct sight *s)
{
	mailfolder_close(s->f);
	mailstore_free(s->ms);
}

static bool
view_of(unsigned how, struct buf *out)
{
	struct sight s = look(how);
	struct mailfolder_changes ch;
	bool ok;

	buf_init(out, MAILFOLDER_VIEW_MAX);
	assert_int_equal(mailfolder_refresh(s.f, true, &ch), STORE_OK);
	ok = mailfolder_view(s.f, out);
	leave(&s);
	return ok;
}

static struct sight
resume(unsigned how, struct span view)
{
	enum store_result r;
	struct sight s = { mailstore_new("Maildir", false, &r), NULL };

	s.f = mailfolder_reopen(s.ms, SPAN("INBOX"), how, view, &r);
	return s;
}

/* Another session marks message 2, expunges 4 and 6, and one message comes. */
static void
change(void)
{
	static const uint32_t marked[] = { 1 }, removed[] = { 3, 5 };
	struct sight s = look(0);

	assert_int_equal(mailfolder_set_flags(s.f, marked, 1, MAILFLAG_ADD, MFLAG_FLAGGED, 0, UINT64_MAX, NULL, NULL), STORE_OK);
	assert_int_equal(mailfolder_expunge(s.f, removed, 2), STORE_OK);
	leave(&s);
	add(90000, 1, seen);
}

static void
told(unsigned how, struct span view, size_t count)
{
	struct sight s = resume(how, view);
	struct mailfolder_changes ch;

	assert_non_null(s.f);
	assert_int_equal(mailfolder_refresh(s.f, false, &ch), STORE_OK);	/* numbers are in use */
	assert_int_equal(ch.nexpunged, 0);
	assert_int_equal(ch.arrived, 1);
	assert_int_equal(ch.nchanged, 1);
	assert_int_equal(ch.changed[0], 1);
	assert_int_equal(mailfolder_count(s.f), count + 1);
	assert_true(mailfolder_messages(s.f)[3].flags & MFLAG_GONE);
	assert_int_equal(mailfolder_messages(s.f)[6].uid, 7);
	assert_int_equal(mailfolder_refresh(s.f, true, &ch), STORE_OK);
	assert_int_equal(ch.nexpunged, 2);
	assert_int_equal(ch.expunged[0].index, 5);
	assert_int_equal(ch.expunged[1].index, 3);
	assert_int_equal(ch.nchanged, 0);
	assert_int_equal(ch.arrived, 0);
	assert_int_equal(mailfolder_refresh(s.f, true, &ch), STORE_OK);
	assert_int_equal(ch.nexpunged + ch.nchanged + ch.arrived, 0);
	leave(&s);
}

static void
untouched(unsigned how, struct span view, size_t count)
{
	struct sight s = resume(how, view);
	struct mailfolder_changes ch;

	assert_non_null(s.f);
	assert_int_equal(mailfolder_refresh(s.f, true, &ch), STORE_OK);
	assert_int_equal(ch.nexpunged + ch.nchanged + ch.arrived, 0);
	assert_int_equal(mailfolder_count(s.f), count);
	leave(&s);
}

static void
message_by_message(void **state UNUSED)
{
	struct view v;
	struct buf b;

	add(0, 10, seen);
	assert_true(view_of(0, &b));
	assert_true(view_parse(buf_span(&b), &v) && v.exact && v.count == 10 && v.uidnext == 11);
	assert_true(b.len < 40);
	untouched(0, buf_span(&b), 10);
	change();
	told(0, buf_span(&b), 10);
	buf_fini(&b);
}

static void
by_modseq(void **state UNUSED)
{
	struct view v;
	struct buf b;

	add(0, MANY, mixed);
	assert_false(view_of(0, &b));		/* too much, and nobody would know what has changed */
	buf_fini(&b);
	assert_true(view_of(MAILFOLDER_TRACK, &b));
	assert_true(view_parse(buf_span(&b), &v) && !v.exact && v.count == MANY);
	assert_true(b.len < 40);
	untouched(MAILFOLDER_TRACK, buf_span(&b), MANY);
	change();
	told(MAILFOLDER_TRACK, buf_span(&b), MANY);
	assert_int_equal(mailstore_index_drop("Maildir"), STORE_OK);	/* what was removed is forgotten */
	assert_null(resume(MAILFOLDER_TRACK, buf_span(&b)).f);
	buf_fini(&b);
}

/* \Recent stays this session's, and what it has not told yet is told by the next process. */
static void
recent_and_untold(void **state UNUSED)
{
	struct mailfolder_changes ch;
	struct buf b, first;
	struct sight s;

	add(0, 3, seen);
	view_of(0, &first);
	add(3, 2, seen);
	s = look(0);
	assert_true(mailfolder_messages(s.f)[4].flags & MFLAG_RECENT);
	unlink("Maildir/cur/1600000001.m1.x,S=14,W=17,U=2:2,S");
	add(5, 1, seen);
	assert_int_equal(mailfolder_refresh(s.f, false, &ch), STORE_OK);
	assert_int_equal(ch.arrived, 1);
	buf_init(&b, MAILFOLDER_VIEW_MAX);
	assert_true(mailfolder_view(s.f, &b));
	leave(&s);
	s = resume(0, buf_span(&b));
	assert_non_null(s.f);
	assert_int_equal(mailfolder_count(s.f), 6);
	assert_true(mailfolder_messages(s.f)[1].flags & MFLAG_GONE);
	assert_true(mailfolder_messages(s.f)[4].flags & MFLAG_RECENT);
	assert_int_equal(mailfolder_refresh(s.f, true, &ch), STORE_OK);
	assert_int_equal(ch.nexpunged, 1);
	assert_int_equal(ch.arrived + ch.nchanged, 0);
	leave(&s);
	buf_fini(&b);
	buf_fini(&first);
}

/* Another program puts back what this client was told to be gone: numbers would be wrong. */
static void
what_comes_back(void **state UNUSED)
{
	struct mailfolder_changes ch;
	struct sight s;
	struct buf b;

	add(0, 5, seen);
	s = look(0);
	assert_int_equal(rename("Maildir/cur/1600000001.m1.x,S=14,W=17,U=2:2,S", "Maildir/away"), 0);
	assert_int_equal(mailfolder_refresh(s.f, true, &ch), STORE_OK);
	assert_int_equal(ch.nexpunged, 1);
	buf_init(&b, MAILFOLDER_VIEW_MAX);
	assert_true(mailfolder_view(s.f, &b));
	leave(&s);
	assert_int_equal(rename("Maildir/away", "Maildir/cur/1600000001.m1.x,S=14,W=17,U=2:2,S"), 0);
	assert_null(resume(0, buf_span(&b)).f);
	buf_fini(&b);
}

static void
damaged(void **state UNUSED)
{
	struct buf b;

	add(0, 10, mixed);
	assert_true(view_of(0, &b));
	for (size_t i = 0; i < b.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct sight s;

			b.p[i] = (char)(b.p[i] ^ 1u << bit);
			s = resume(0, buf_span(&b));
			if (s.f)
				mailfolder_close(s.f);
			mailstore_free(s.ms);
			b.p[i] = (char)(b.p[i] ^ 1u << bit);
		}
		assert_null(resume(0, span_of(b.p, i)).f);
	}
	unlink("Maildir/merpati-uid");		/* another UIDVALIDITY */
	assert_null(resume(0, buf_span(&b)).f);
	buf_fini(&b);
}

#define IN_BOX(f) cmocka_unit_test_setup_teardown(f, store_box_setup, store_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BOX(message_by_message), IN_BOX(by_modseq), IN_BOX(recent_and_untold), IN_BOX(what_comes_back), IN_BOX(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
