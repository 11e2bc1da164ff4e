/*
 * members: who is on a list; how many may be.
 * links: qmgr/bounce/members.c
 */
#include "tests/unit/unit.h"

#include "members.h"
#include "service/message.h"
#include "base/banned.h"

static void
text_names_members(void **state)
{
	static const struct { const char *text, *want; uint32_t bad; unsigned line; } cases[] = {
		{ "", "", 0, 0 },
		{ "# owner: x@y\na@b.example\n\nC@d.example", "a@b.example C@d.example", 0, 0 },
		{ "a@b, c@d\te@f <g@h>,,\r\n", "a@b c@d e@f g@h", 0, 0 },
		{ "a@b (Al, the first) c@d # e@f\n(no end g@h", "a@b c@d", 0, 0 },
		{ "bob\n\\alice\n", "bob alice", 0, 0 },
		{ "\"q r\"@x.example", "\"q r\"@x.example", 0, 0 },
		{ "a@b\n|/bin/sh\n/etc/passwd\n:include:/etc/shadow\n\"|sh -c x\"\n-oQ\n@\na@b@c", "a@b", 7, 2 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct buf rcpts, got;
		struct members m;
		struct span list, word;

		buf_init(&rcpts, 1 << 16);
		buf_init(&got, 1 << 16);
		buf_adds(&got, "");
		members_parse(span_str(cases[i].text), &m, &rcpts);
		for (list = buf_span(&rcpts); msg_list_next(&list, &word); )
			if (word.n)
				buf_addf(&got, "%s%.*s", got.len ? " " : "", SPAN_FMT(word));
		if (!span_is(buf_span(&got), cases[i].want) || m.bad != cases[i].bad || m.bad_line != cases[i].line)
			fail_msg("%zu: \"%.*s\", %u bad, line %u", i, SPAN_FMT(buf_span(&got)), m.bad, m.bad_line);
		buf_fini(&rcpts);
		buf_fini(&got);
	}
}

/* A million lines: linear, and a clear end. */
static void
members_are_bounded(void **state)
{
	struct buf text, rcpts;
	struct members m;

	(void)state;
	buf_init(&text, 32 << 20);
	buf_init(&rcpts, MEMBERS_TEXT_MAX);
	for (unsigned i = 0; i < 1000000; i++)
		buf_addf(&text, "u%u@x.example\n", i);
	members_parse(buf_span(&text), &m, &rcpts);
	assert_true(m.too_many && m.n == MEMBERS_MAX && !rcpts.over);
	buf_fini(&text);
	buf_fini(&rcpts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_names_members),
		cmocka_unit_test(members_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
