/* test_resolve.c: addresses against tables: class, existence, expansion, next hop. */
#include "tests/unit/unit.h"

#include "mail/resolve.h"

#include "base/banned.h"

static const struct resolve_spec spec = {
	.mydestination = "host.example, localhost",
	.virtual_mailbox_domains = "virtual.example, inline:{{bench.test = x}}",
	.virtual_alias_domains = "alias.example",
	.relay_domains = "relay.example",
	.virtual_mailbox_maps = "inline:{{m@virtual.example = special/m/}, {up@virtual.example = ../x}}",
	.virtual_alias_maps = "inline:{{sales@virtual.example = a@virtual.example, b@virtual.example},"
	    " {@alias.example = @virtual.example}, {loop1@virtual.example = loop2@virtual.example},"
	    " {loop2@virtual.example = loop1@virtual.example}, {self@virtual.example = self@virtual.example, a@virtual.example},"
	    " {both@virtual.example = a@virtual.example A@Virtual.Example}, {bobby = bob@host.example}}",
	.alias_maps = "inline:{{postmaster = root}, {root = bob}, {list = bob, carol, list-owner@far.example},"
	    " {prog = |/bin/cat \"x y\"}, {qprog = \"|/bin/cat x\"}, {file = /var/mail/x}, {incl = :include:/etc/list},"
	    " {mixed = bob, |false}, {bob2 = \\bob2, carol}, {carol2 = ghost}, {d0=d1},{d1=d2},{d2=d3},{d3=d4},{d4=d5},"
	    "{d5=d6},{d6=d7},{d7=d8},{d8=d9},{d9=d10},{d10=d11},{d11=bob},"
	    "{team = bob, carol, x@far.example, \":include:/etc/team\"}, {owner-team = carol},"
	    " {mine = \\mine, bob}, {mine2 = mine2, far@far.example}, {owner-mine2 = bob}}",
	.relay_recipient_maps = "inline:{{r@relay.example = ok}}",
	.transport_maps = "inline:{{a@far.example = smtp:[10.0.0.1]:2525}, {far2.example = smtp:hub.example},"
	    " {.sub.example = error:5.7.1 not there}, {gone.example = discard:}, {odd.example = uucp:x}, {nn.example = :[h]}}",
	.users = "inline:{{a@virtual.example = ::}, {b@virtual.example = ::custom/b}, {self@virtual.example = ::},"
	    " {u1@bench.test = ::}, {bad@virtual.example = ::../../etc}}",
	.system_users = "inline:{bob = 1, carol = 1, bob2 = 1, mine2 = 1}",
	.lists = "inline:{{l@virtual.example = L}, {owner-l@virtual.example = O a@virtual.example}, {l@far.example = L}}",
	.lists_directory = "/lists",
	.relocated_maps = "inline:{{gone@virtual.example = there@far.example}, {old = new@far.example}, {@moved.example = m@far.example}}",
	.canonical_maps = "inline:{{Old.Name@virtual.example = a@virtual.example}}",
	.recursion_limit = 10,
	.relayhost = "", .recipient_delimiter = "+", .myorigin = "host.example",
};

static struct resolver *
make(const struct resolve_spec *s)
{
	struct buf err;
	struct resolver *r;

	buf_init(&err, 1024);
	r = resolver_new(s, &err);
	if (!r)
		fail_msg("%s", buf_cstr(&err));
	buf_fini(&err);
	return r;
}

static void
test_check(void **state)
{
	static const struct {
		const char *address;
		enum resolve_status status;
		enum address_class cls;
	} cases[] = {
		{ "bob@host.example", RESOLVE_OK, CLASS_LOCAL },
		{ "BOB@HOST.Example", RESOLVE_OK, CLASS_LOCAL },
		{ "bob+tag@localhost", RESOLVE_OK, CLASS_LOCAL },
		{ "+bob@localhost", RESOLVE_UNKNOWN, CLASS_LOCAL },
		{ "nobody@host.example", RESOLVE_UNKNOWN, CLASS_LOCAL },
		{ "bobby@host.example", RESOLVE_OK, CLASS_LOCAL },
		{ "bobby@virtual.example", RESOLVE_UNKNOWN, CLASS_VIRTUAL },
		{ "postmaster@host.example", RESOLVE_OK, CLASS_LOCAL },
		{ "Postmaster@virtual.example", RESOLVE_OK, CLASS_VIRTUAL },
		{ "postmaster@relay.example", RESOLVE_UNKNOWN, CLASS_RELAY },
		{ "a@virtual.example", RESOLVE_OK, CLASS_VIRTUAL },
		{ "a+x+y@virtual.example", RESOLVE_OK, CLASS_VIRTUAL },
		{ "m@virtual.example", RESOLVE_OK, CLASS_VIRTUAL },
		{ "up@virtual.example", RESOLVE_RETRY, CLASS_VIRTUAL },
		{ "bad@virtual.example", RESOLVE_RETRY, CLASS_VIRTUAL },
		{ "x@virtual.example", RESOLVE_UNKNOWN, CLASS_VIRTUAL },
		{ "u1@bench.test", RESOLVE_OK, CLASS_VIRTUAL },
		{ "any@alias.example", RESOLVE_OK, CLASS_ALIAS },
		{ "l@virtual.example", RESOLVE_OK, CLASS_VIRTUAL },
		{ "owner-L@virtual.example", RESOLVE_OK, CLASS_VIRTUAL },
		{ "old.name@virtual.example", RESOLVE_OK, CLASS_VIRTUAL },
		{ "gone@virtual.example", RESOLVE_MOVED, CLASS_VIRTUAL },
		{ "old@localhost", RESOLVE_MOVED, CLASS_LOCAL },
		{ "x@moved.example", RESOLVE_MOVED, CLASS_REMOTE },
		{ "r@relay.example", RESOLVE_OK, CLASS_RELAY },
		{ "r@sub.relay.example", RESOLVE_UNKNOWN, CLASS_RELAY },
		{ "x@relay.example", RESOLVE_UNKNOWN, CLASS_RELAY },
		{ "x@notrelay.example", RESOLVE_OK, CLASS_REMOTE },
		{ "x@anywhere.example", RESOLVE_OK, CLASS_REMOTE },
		{ "|/bin/sh@host.example", RESOLVE_UNKNOWN, CLASS_LOCAL },
		{ "/etc/passwd@host.example", RESOLVE_UNKNOWN, CLASS_LOCAL },
		{ ":include:/etc/shadow@host.example", RESOLVE_UNKNOWN, CLASS_LOCAL },
		{ "nodomain", RESOLVE_BAD, CLASS_REMOTE },
		{ "@host.example", RESOLVE_BAD, CLASS_REMOTE },
		{ "x@", RESOLVE_BAD, CLASS_REMOTE },
		{ "", RESOLVE_BAD, CLASS_REMOTE },
	};
	struct resolver *r = make(&spec);

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		enum address_class cls;
		enum resolve_status st = resolve_check(r, span_str(cases[i].address), &cls);

		if (st != cases[i].status || cls != cases[i].cls)
			fail_msg("%s: status %d, class %d", cases[i].address, st, cls);
	}
	resolver_free(r);
}

/* Results as "address>transport:nexthop/mailbox", blank separated. */
static void
show(struct resolver *r, const char *address, struct buf *out)
{
	struct arena a;
	struct resolved *v;
	size_t n;
	struct buf text;
	enum resolve_status st;

	arena_init(&a, 1 << 20);
	buf_init(&text, 1024);
	buf_reset(out);
	st = resolve_expand(r, &a, span_str(address), &v, &n, &text);
	if (st != RESOLVE_OK)
		buf_addf(out, "%d %s", st, buf_cstr(&text));
	for (size_t i = 0; i < n; i++) {
		buf_addf(out, "%s%.*s>%s:%.*s/%.*s", i ? " | " : "", SPAN_FMT(v[i].address), v[i].transport,
		    SPAN_FMT(v[i].nexthop), SPAN_FMT(v[i].mailbox));
		if (v[i].sender.n)
			buf_addf(out, " from %.*s", SPAN_FMT(v[i].sender));
	}
	arena_fini(&a);
	buf_fini(&text);
}

static void
test_expand(void **state)
{
	static const struct {
		const char *address, *want;
	} cases[] = {
		{ "x@far.example", "x@far.example>smtp:far.example/" },
		{ "a@far.example", "a@far.example>smtp:[10.0.0.1]:2525/" },
		{ "a+t@far.example", "a+t@far.example>smtp:[10.0.0.1]:2525/" },
		{ "x@far2.example", "x@far2.example>smtp:hub.example/" },
		{ "x@deep.sub.example", "x@deep.sub.example>error:5.7.1 not there/" },
		{ "x@sub.example", "x@sub.example>smtp:sub.example/" },
		{ "x@gone.example", "x@gone.example>discard:gone.example/" },
		{ "x@odd.example", "x@odd.example>uucp:x/" },
		{ "x@nn.example", "x@nn.example>smtp:[h]/" },
		{ "r@relay.example", "r@relay.example>smtp:relay.example/" },
		{ "bob@host.example", "bob@host.example>local:/bob" },
		{ "Bob+tag@localhost", "Bob+tag@localhost>local:/bob" },
		{ "a@virtual.example", "a@virtual.example>virtual:/virtual.example/a" },
		{ "A+x@Virtual.Example", "A+x@Virtual.Example>virtual:/virtual.example/a" },
		{ "b@virtual.example", "b@virtual.example>virtual:/custom/b" },
		{ "m@virtual.example", "m@virtual.example>virtual:/special/m/" },
		{ "sales@virtual.example",
		    "a@virtual.example>virtual:/virtual.example/a | b@virtual.example>virtual:/custom/b" },
		{ "both@virtual.example", "a@virtual.example>virtual:/virtual.example/a" },
		{ "self@virtual.example",
		    "self@virtual.example>virtual:/virtual.example/self | a@virtual.example>virtual:/virtual.example/a" },
		{ "a@alias.example", "a@virtual.example>virtual:/virtual.example/a" },
		{ "q@alias.example", "q@virtual.example>error:5.1.1 unknown user/" },
		{ "postmaster@host.example", "bob@host.example>local:/bob" },
		{ "postmaster@virtual.example", "bob@host.example>local:/bob" },
		{ "list@localhost", "bob@localhost>local:/bob | carol@localhost>local:/carol"
		    " | list-owner@far.example>smtp:far.example/" },
		{ "bob2@localhost", "bob2@localhost>local:/bob2 | carol@localhost>local:/carol" },
		{ "prog@localhost", "prog@localhost>error:5.7.1 mail to programs is not allowed/" },
		{ "qprog@localhost", "qprog@localhost>error:5.7.1 mail to programs is not allowed/" },
		{ "file@localhost", "file@localhost>error:5.1.3 delivery to a file is not supported/" },
		{ "incl@localhost", "incl@localhost>list:/etc/list/" },
		{ "team@localhost", "team@localhost>list:/etc/team/ from owner-team@localhost | team@localhost>list:bob@localhost\n"
		    "carol@localhost\nx@far.example\n/ from owner-team@localhost" },
		{ "mine2@localhost", "mine2@localhost>list:far@far.example\n/ from owner-mine2@localhost | mine2@localhost>local:/mine2" },
		{ "l@virtual.example", "l@virtual.example>list:/lists/l@virtual.example/ from owner-l@virtual.example" },
		{ "L+x@virtual.example", "l@virtual.example>list:/lists/l@virtual.example/ from owner-l@virtual.example" },
		{ "owner-l@virtual.example", "a@virtual.example>virtual:/virtual.example/a" },
		{ "l@far.example", "l@far.example>smtp:far.example/" },
		{ "gone@virtual.example", "gone@virtual.example>error:5.1.6 User has moved to there@far.example/" },
		{ "mixed@localhost",
		    "mixed@localhost>error:5.7.1 mail to programs is not allowed/ | bob@localhost>local:/bob" },
		{ "carol2@localhost", "ghost@host.example>error:5.1.1 unknown user/" },
		{ "nobody@localhost", "1 unknown user" },
		{ "bad@virtual.example", "2 " },
		{ "nonsense", "3 not an address" },
		{ "loop1@virtual.example", "3 the aliases form a loop" },
		{ "d0@localhost", "3 aliases are nested too deep" },
		{ "d3@localhost", "bob@localhost>local:/bob" },
	};
	struct resolver *r = make(&spec);
	struct buf got;

	(void)state;
	buf_init(&got, 1 << 16);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		show(r, cases[i].address, &got);
		if (strcmp(buf_cstr(&got), cases[i].want) != 0)
			fail_msg("%s:\n got  %s\n want %s", cases[i].address, buf_cstr(&got), cases[i].want);
	}
	buf_fini(&got);
	resolver_free(r);
}

/* propagate_unmatched_extensions: virtual, alias */
static void
extensions_go_to_targets(void **state)
{
	static const struct { bool virtual, alias; const char *address, *want; } cases[] = {
		{ true, false, "both+t@virtual.example", "a+t@virtual.example>virtual:/virtual.example/a" },
		{ false, false, "both+t@virtual.example", "a@virtual.example>virtual:/virtual.example/a" },
		{ true, false, "a+t@alias.example", "a+t@virtual.example>virtual:/virtual.example/a" },	/* @domain: always */
		{ false, true, "a+t@alias.example", "a+t@virtual.example>virtual:/virtual.example/a" },
		{ true, false, "self+t@virtual.example",
		    "self+t@virtual.example>virtual:/virtual.example/self | a+t@virtual.example>virtual:/virtual.example/a" },
		{ true, false, "bobby+t@host.example", "bob+t@host.example>local:/bob" },
		{ true, false, "bob2+t@localhost", "bob2@localhost>local:/bob2 | carol@localhost>local:/carol" },
		{ false, true, "bob2+t@localhost", "bob2+t@localhost>local:/bob2 | carol+t@localhost>local:/carol" },
		{ false, true, "list+t@localhost", "bob+t@localhost>local:/bob | carol+t@localhost>local:/carol"
		    " | list-owner+t@far.example>smtp:far.example/" },
		{ true, true, "loop1+t@virtual.example", "3 the aliases form a loop" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct resolve_spec s = spec;
		struct resolver *r;
		struct buf got;

		s.propagate_virtual = cases[i].virtual;
		s.propagate_alias = cases[i].alias;
		r = make(&s);
		buf_init(&got, 4096);
		show(r, cases[i].address, &got);
		if (strcmp(buf_cstr(&got), cases[i].want) != 0)
			fail_msg("%s:\n got  %s\n want %s", cases[i].address, buf_cstr(&got), cases[i].want);
		buf_fini(&got);
		resolver_free(r);
	}
}

/* Only where the operator allows it, and out of alias_maps alone. */
static void
test_programs(void **state)
{
	static const struct {
		const char *address, *want;
	} cases[] = {
		{ "prog@localhost", "prog@localhost>pipe:|/bin/cat \"x y\"/prog" },
		{ "QPROG+x@localhost", "QPROG+x@localhost>pipe:\"|/bin/cat x\"/qprog" },
		{ "vprog@virtual.example", "vprog@virtual.example>error:5.7.1 mail to programs is not allowed/" },
		{ "\"|/bin/sh\"@localhost", "1 unknown user" },
	};
	struct resolve_spec s = spec;
	struct resolver *r;
	struct buf got;

	(void)state;
	s.alias_programs = true;
	s.virtual_alias_maps = "inline:{ {vprog@virtual.example = |/bin/cat} }";
	r = make(&s);
	buf_init(&got, 1 << 16);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		show(r, cases[i].address, &got);
		assert_string_equal(buf_cstr(&got), cases[i].want);
	}
	buf_fini(&got);
	resolver_free(r);
}

/* Known users whose mailboxes another server has; everything else is decided before, and as ever. */
static void
test_transports(void **state)
{
	static const struct {
		const char *virtual_transport, *mailbox_transport, *address, *want;
	} cases[] = {
		{ "lmtp:unix:box", "", "a@virtual.example", "a@virtual.example>lmtp:lmtp:unix:box/" },
		{ "lmtp:unix:box", "", "a+tag@virtual.example", "a+tag@virtual.example>lmtp:lmtp:unix:box/" },
		{ "lmtp:unix:box", "", "x@alias.example", NULL },
		{ "lmtp:unix:box", "", "nobody@virtual.example", "1 unknown user" },
		{ "lmtp:unix:box", "", "l@virtual.example", NULL },
		{ "lmtp:unix:box", "", "bob@host.example", NULL },
		{ "lmtp", "", "a@virtual.example", "a@virtual.example>lmtp:lmtp:virtual.example/" },
		{ "smtp:[10.0.0.9]", "", "a@virtual.example", "a@virtual.example>smtp:[10.0.0.9]/" },
		{ "error:5.1.1 moved away", "", "a@virtual.example", "a@virtual.example>error:5.1.1 moved away/" },
		{ "virtual", "local", "a@virtual.example", NULL },
		{ "virtual", "lmtp:[::1]:24", "a@virtual.example", NULL },
		{ "virtual", "lmtp:[::1]:24", "bob@host.example", "bob@host.example>lmtp:lmtp:[::1]:24/" },
		{ "virtual", "lmtp:[::1]:24", "root@host.example", "bob@host.example>lmtp:lmtp:[::1]:24/" },
		{ "virtual", "lmtp:[::1]:24", "bob2@host.example",
		    "bob2@host.example>lmtp:lmtp:[::1]:24/ | carol@host.example>lmtp:lmtp:[::1]:24/" },
		{ "virtual", "lmtp:[::1]:24", "nobody@host.example", "1 unknown user" },
	};
	struct resolver *plain = make(&spec), *r;
	struct resolve_spec s = spec;
	struct buf out, usual, err;

	(void)state;
	buf_init(&out, 1 << 16);
	buf_init(&usual, 1 << 16);
	buf_init(&err, 1024);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		s.virtual_transport = cases[i].virtual_transport;
		s.mailbox_transport = cases[i].mailbox_transport;
		r = make(&s);
		show(r, cases[i].address, &out);
		show(plain, cases[i].address, &usual);
		assert_string_equal(buf_cstr(&out), cases[i].want ? cases[i].want : buf_cstr(&usual));
		resolver_free(r);
	}
	s.virtual_transport = "dovecot";
	assert_null(resolver_new(&s, &err));
	assert_non_null(strstr(buf_cstr(&err), "virtual_transport: there is no transport \"dovecot\""));
	resolver_free(plain);
	buf_fini(&out);
	buf_fini(&usual);
	buf_fini(&err);
}

static void
test_relayhost(void **state)
{
	struct resolve_spec s = spec;
	struct resolver *r;
	struct buf got;

	(void)state;
	s.relayhost = "[hub.example]:587";
	r = make(&s);
	buf_init(&got, 4096);
	show(r, "x@far.example", &got);
	assert_string_equal(buf_cstr(&got), "x@far.example>smtp:[hub.example]:587/");
	show(r, "a@virtual.example", &got);
	assert_string_equal(buf_cstr(&got), "a@virtual.example>virtual:/virtual.example/a");
	buf_fini(&got);
	resolver_free(r);
}

/* An alias of 1200 addresses is refused, one of 900 is not. */
static void
test_width(void **state)
{
	static const struct { int n; enum resolve_status status; } cases[] = { { 900, RESOLVE_OK }, { 1200, RESOLVE_BAD } };

	(void)state;
	for (size_t k = 0; k < NELEMS(cases); k++) {
		struct resolve_spec s = spec;
		struct buf m;
		struct arena a;
		struct resolver *r;
		struct resolved *v;
		size_t n;

		buf_init(&m, 1 << 17);
		arena_init(&a, 1 << 20);
		buf_adds(&m, "inline:{{wide@virtual.example =");
		for (int i = 0; i < cases[k].n; i++)
			buf_addf(&m, " u%d@far.example,", i);
		buf_adds(&m, "}}");
		s.virtual_alias_maps = buf_cstr(&m);
		r = make(&s);
		assert_int_equal(resolve_expand(r, &a, SPAN("wide@virtual.example"), &v, &n, NULL), cases[k].status);
		if (cases[k].status == RESOLVE_OK)
			assert_int_equal(n, cases[k].n);
		arena_fini(&a);
		resolver_free(r);
		buf_fini(&m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_expand),
		cmocka_unit_test(extensions_go_to_targets),
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_transports),
		cmocka_unit_test(test_relayhost),
		cmocka_unit_test(test_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
