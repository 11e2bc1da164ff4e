/* test_users.c: lines of the users table and values of users.cdb. */
#include "mail/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/banned.h"

struct line_case {
	const char *line;
	bool ok;
	const char *formatted;	/* NULL: as the line */
};

static const struct line_case lines[] = {
	{ "a@b.test:$y$x:::", true, "a@b.test:$y$x::::" },
	{ "a@b.test:$y$x", true, "a@b.test:$y$x::::" },
	{ "a@b.test:$y$x|SCRAM-SHA-1$4096,c2E=$a,b:::b.test/a:", true, NULL },
	{ "a@b.test:$y$x:5001:5002:b.test/a:", true, NULL },
	{ "a@b.test:$y$x:4294967294:1::", true, NULL },
	{ "a@b.test:$y$x:5001:0::", false, NULL },
	{ "a@b.test:$y$x:5001:mail::", false, NULL },
	{ "a@b.test:$y$x: 5001:5002::", false, NULL },
	{ "a@b.test:$y$x:1000::b.test/a:", false, NULL },
	{ "a@b.test:$y$x::5:b.test/a:", false, NULL },
	{ "a@b.test:!$y$x::::\r\n", true, "a@b.test:!$y$x::::" },
	{ "a@b.test:!::::", true, NULL },
	{ "", false, NULL },
	{ "a@b.test", false, NULL },
	{ "a@b.test::::", false, NULL },
	{ "a@b.test:plain::::", false, NULL },
	{ "a@b.test:$y$ x::::", false, NULL },
	{ "A@b.test:$y$x::::", false, NULL },
	{ "a b@b.test:$y$x::::", false, NULL },
	{ "a\tb@b.test:$y$x::::", false, NULL },
	{ "../a@b.test:$y$x::::", false, NULL },
	{ "a@b@c.test:$y$x::::", false, NULL },
	{ "@b.test:$y$x::::", false, NULL },
	{ "a@:$y$x::::", false, NULL },
	{ "a@b.test:$y$x:0:0::", false, NULL },
	{ "a@b.test:$y$x:-1:::", false, NULL },
	{ "a@b.test:$y$x:4294967295:::", false, NULL },
	{ "a@b.test:$y$x:::/etc:", false, NULL },
	{ "a@b.test:$y$x:::a/../b:", false, NULL },
	{ "a@b.test:$y$x:::a//b:", false, NULL },
	{ "a@b.test:$y$x:::h:more", false, NULL },
	{ "a@b.test:$y$x:::h::", false, NULL },
};

static void
lines_are_parsed(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(lines); i++) {
		struct user_record u;
		struct buf err, out;

		buf_init(&err, 256);
		buf_init(&out, 4096);
		if (user_parse_line(span_str(lines[i].line), &u, &err) != lines[i].ok)
			fail_msg("line %zu: \"%s\": %s", i, lines[i].line, buf_cstr(&err));
		assert_int_equal(err.len == 0, lines[i].ok);
		if (lines[i].ok) {
			user_format_line(&out, &u);
			assert_string_equal(buf_cstr(&out), lines[i].formatted ? lines[i].formatted : lines[i].line);
		}
		buf_fini(&err);
		buf_fini(&out);
	}
}

struct mailbox_case {
	const char *address, *value, *mailbox;	/* NULL: refused */
};

static const struct mailbox_case mailboxes[] = {
	{ "u1@bench.test", "::", "bench.test/u1" },
	{ "u1@bench.test", "1000:100:", "bench.test/u1" },
	{ "u1@bench.test", "1000:100:x/", "x/" },
	{ "u1@bench.test", "::home/x", "home/x" },
	{ "u1@bench.test", "::home/x:", "home/x" },
	{ "u1@bench.test", "::/etc", NULL },
	{ "u1@bench.test", "::a/..", NULL },
	{ "u1@bench.test", "", NULL },
	{ "u1@bench.test", "0:0", "bench.test/u1" },	/* nobody becomes that: owner.h */
	{ "u1", "::", NULL },
	{ "..@bench.test", "::", NULL },
	{ "a@..", "::", NULL },
	{ "a/b@bench.test", "::", NULL },
};

static void
values_name_mailboxes(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(mailboxes); i++) {
		const struct mailbox_case *c = &mailboxes[i];
		struct buf out;
		bool ok;

		buf_init(&out, 1024);
		ok = user_mailbox(span_str(c->address), span_str(c->value), &out);
		if (ok != (c->mailbox != NULL))
			fail_msg("case %zu: %s %s", i, c->address, c->value);
		assert_string_equal(buf_cstr(&out), c->mailbox ? c->mailbox : "");
		buf_fini(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_parsed),
		cmocka_unit_test(values_name_mailboxes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
