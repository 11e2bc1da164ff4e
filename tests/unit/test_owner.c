/* test_owner.c: whose a virtual mailbox is, and the bounds of uids and gids. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "mail/owner.h"
#include "base/banned.h"

static char dir[] = "/tmp/merpati-owner-XXXXXX";

struct owner_case {
	const char *key;
	enum owner_answer answer;
	uint32_t uid, gid;		/* OWN */
	const char *why;		/* else: a part of it */
};

static struct maps *
maps(const char *spec)
{
	struct buf err;
	struct maps *m;

	buf_init(&err, 1000);
	m = maps_open(span_str(spec), &err);
	if (!m)
		fail_msg("%s: %s", spec, buf_cstr(&err));
	buf_fini(&err);
	return m;
}

/* As conf/users compiles to */
static struct maps *
users(void)
{
	static const struct { const char *key, *value; } rows[] = {
		{ "plain@d.test", "::" }, { "own@d.test", "5001:5002:" }, { "home@d.test", "5001:5003:x/y/" }, { "low@d.test", "99:5002:" },
		{ "least@d.test", "100:1:" }, { "zero@d.test", "0:5002:" }, { "most@d.test", "4294967295:5002:" }, { "half@d.test", "5001::" },
		{ "root@d.test", "5001:0:" }, { "word@d.test", "mail:mail:" }, { "odd@d.test", "5001" },
	};
	struct map_maker *m = map_maker_new();
	struct buf path, spec;
	struct maps *out;

	buf_init(&path, 1000);
	buf_init(&spec, 1000);
	buf_addf(&path, "%s/users.cdb", dir);
	buf_addf(&spec, "cdb:%s/users", dir);
	for (size_t i = 0; i < NELEMS(rows); i++)
		assert_int_equal(map_maker_add(m, span_str(rows[i].key), span_str(rows[i].value)), MAP_ADDED);
	assert_true(map_maker_write(m, buf_cstr(&path), 0644));
	map_maker_free(m);
	out = maps(buf_cstr(&spec));
	unlink(buf_cstr(&path));
	buf_fini(&path);
	buf_fini(&spec);
	return out;
}

static void
look(const struct owner_rules *rules, const struct owner_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct owner_case *c = &cases[i];
		struct owner_ids ids = { 0, 0 };
		enum owner_answer answer;
		struct buf why;

		buf_init(&why, 1000);
		buf_adds(&why, "");
		answer = owner_find(rules, span_str(c->key), &ids, &why);
		if (answer != c->answer || (answer == OWNER_OWN && (ids.uid != c->uid || ids.gid != c->gid)) ||
		    (c->why ? !strstr(buf_cstr(&why), c->why) : why.len > 0))
			fail_msg("%s: %d, %u:%u, \"%s\"", c->key, answer, ids.uid, ids.gid, buf_cstr(&why));
		buf_fini(&why);
	}
}

static void
users_have_their_own(void **state)
{
	static const struct owner_case cases[] = {
		{ "plain@d.test", OWNER_SHARED, 0, 0, NULL },
		{ "nobody@d.test", OWNER_SHARED, 0, 0, NULL },
		{ "@d.test", OWNER_SHARED, 0, 0, NULL },
		{ "odd@d.test", OWNER_SHARED, 0, 0, NULL },
		{ "own@d.test", OWNER_OWN, 5001, 5002, NULL },
		{ "home@d.test", OWNER_OWN, 5001, 5003, NULL },
		{ "least@d.test", OWNER_OWN, 100, 1, NULL },
		{ "low@d.test", OWNER_WRONG, 0, 0, "uid 99 is below virtual_minimum_uid (100)" },
		{ "zero@d.test", OWNER_WRONG, 0, 0, "uid \"0\" is not a number above 0" },
		{ "most@d.test", OWNER_WRONG, 0, 0, "uid \"4294967295\" is not" },
		{ "word@d.test", OWNER_WRONG, 0, 0, "uid \"mail\" is not" },
		{ "half@d.test", OWNER_WRONG, 0, 0, "gid \"\" is not" },
		{ "root@d.test", OWNER_WRONG, 0, 0, "gid \"0\" is not" },
	};
	struct owner_rules rules = { .users = users(), .uids = maps(""), .gids = maps(""), .delimiters = SPAN("+"), .least = 100 };

	(void)state;
	look(&rules, cases, NELEMS(cases));
	maps_free(rules.users);
	maps_free(rules.uids);
	maps_free(rules.gids);
}

static void
tables_tell_of_the_others(void **state)
{
	static const struct owner_case cases[] = {
		{ "own@d.test", OWNER_OWN, 5001, 5002, NULL },		/* the users table comes first */
		{ "plain@d.test", OWNER_OWN, 6001, 7001, NULL },
		{ "x+plain@d.test", OWNER_OWN, 6002, 7009, NULL },
		{ "x+tag@d.test", OWNER_OWN, 6003, 7009, NULL },
		{ "anybody@d.test", OWNER_OWN, 6004, 7009, NULL },
		{ "@d.test", OWNER_OWN, 6004, 7009, NULL },
		{ "blanks@d.test", OWNER_OWN, 6006, 7009, NULL },
		{ "low@e.test", OWNER_WRONG, 0, 0, "uid 5 is below" },
		{ "minus@e.test", OWNER_WRONG, 0, 0, "uid \"-6001\" is not" },
		{ "big@e.test", OWNER_WRONG, 0, 0, "uid \"18446744073709557617\" is not" },
		{ "nogid@e.test", OWNER_WRONG, 0, 0, "virtual_gid_maps has no entry" },
		{ "none@f.test", OWNER_WRONG, 0, 0, "virtual_uid_maps has no entry" },
		{ "", OWNER_WRONG, 0, 0, "no entry" },
		{ "@", OWNER_WRONG, 0, 0, "no entry" },
	};
	struct owner_rules rules = { .users = users(), .delimiters = SPAN("+"), .least = 100,
		.uids = maps("inline:{ {plain@d.test = 6001}, {x+plain@d.test = 6002}, {x@d.test = 6003}, {@d.test = 6004}, {low@e.test = 5}, "
		    "{minus@e.test = -6001}, {big@e.test = 18446744073709557617}, {nogid@e.test = 6005}, {blanks@d.test =  6006 } }"),
		.gids = maps("inline:{ {plain@d.test = 7001}, {@d.test = 7009}, {low@e.test = 7009}, {minus@e.test = 7009}, {big@e.test = 7009} }") };

	(void)state;
	look(&rules, cases, NELEMS(cases));
	maps_free(rules.users);
	maps_free(rules.uids);
	maps_free(rules.gids);
}

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_have_their_own),
		cmocka_unit_test(tables_tell_of_the_others),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
