/* main.cf and master.cf: values, expansion, and what is told of mistakes; the table of parameters itself. */
#include "tests/unit/unit.h"

#include "service/mastercf.h"
#include "service/params.h"
#include "base/banned.h"

static struct conf *
read_text(const char *text, struct buf *err, int want_errors)
{
	struct conf *c = conf_new("/etc/x");

	buf_init(err, 100000);
	if (conf_read_text(c, "main.cf", span_str(text), err) != want_errors)
		fail_msg("%s", err->p);
	return c;
}

/* Each default lies inside its own bounds; each row says what it is. */
static void
table_is_sound(void **state)
{
	struct params values;
	struct buf err;
	struct conf *c = read_text("", &err, 0);

	(void)state;
	if (conf_apply(c, &values, &err))
		fail_msg("%s", err.p);
	for (size_t i = 0; i < param_count; i++) {
		const struct param_row *row = &param_rows[i];
		size_t n = strlen(row->text);

		assert_ptr_equal(param_find(span_str(row->name)), row);
		if (n < 10 || row->text[n - 1] != '.' || row->scope == 0)
			fail_msg("%s", row->name);
	}
	assert_string_equal(values.queue_directory, "/etc/spool");
	conf_free(c);
	buf_fini(&err);
}

static void
values(void **state)
{
	struct params v;
	struct buf err;
	struct conf *c = read_text("# comment\nmydomain = example.com\nmyhostname =\n mail.$mydomain\n\n"
	    "message_size_limit = 2M\nsmtpd_timeout=90\nsmtpd_helo_required = YES\nlist = a\n"
	    "relayhost = ${list}${nothing_here?x}${list:y}$$1\nnotify_classes = 2bounce,\n  bounce\n", &err, 0);

	(void)state;
	if (conf_apply(c, &v, &err))
		fail_msg("%s", err.p);
	assert_string_equal(v.myhostname, "mail.example.com");
	assert_true(v.message_size_limit == 2u << 20);
	assert_int_equal(v.smtpd_timeout, 90);
	assert_true(v.smtpd_helo_required);
	assert_string_equal(v.relayhost, "a$1");
	assert_string_equal(v.notify_classes, "2bounce, bounce");
	assert_string_equal(v.smtpd_banner, "mail.example.com ESMTP Merpati");
	assert_int_equal(conf_check_names(c, "", &err), 0);	/* `list` is referred to */
	assert_int_equal(conf_option(c, "master.cf:3 (x)", SPAN("relayhost=[b]"), &err), 0);
	assert_int_equal(conf_apply(c, &v, &err), 0);
	assert_string_equal(v.relayhost, "[b]");
	conf_free(c);
	buf_fini(&err);
}

static void
conditions(void **state)
{
	static const struct { const char *value, *want; } cases[] = {
		{ "${stress?{10}:{300}}s", "300s" }, { "${list?{10}:{300}}s", "10s" }, { "${ list }", NULL }, { "${list?{a}}", "a" },
		{ "${stress?{a}}", "" }, { "${stress:{b}}", "b" }, { "${list:{b}}", "" }, { "${stress?10}${stress:300}s", "300s" },
		{ "${list? {a b} : {$list} }", "a b" }, { "${stress? {a b} : {$list} }", "l" }, { "${stress?{a}:b}", "b" },
		{ "${list?{${stress?{x}:{y}}}:{z}}", "y" }, { "${list?{a}b}", NULL }, { "${list?{a}", NULL }, { "${list:{a}:{b}}", NULL }, { "${?a}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct buf err, text, value;
		struct conf *c;

		buf_init(&text, 1000);
		buf_init(&value, 1000);
		buf_addf(&text, "list = l\nmydomain = %s\n", cases[i].value);
		c = read_text(buf_cstr(&text), &err, 0);
		if (conf_value(c, "mydomain", &value) != (cases[i].want != NULL) || (cases[i].want && strcmp(buf_cstr(&value), cases[i].want) != 0))
			fail_msg("%s: [%s]", cases[i].value, buf_cstr(&value));
		conf_free(c);
		buf_fini(&err);
		buf_fini(&text);
		buf_fini(&value);
	}
}

static void
mistakes(void **state)
{
	static const struct {
		const char *text, *told;
	} rows[] = {
		{ "smtpd_timeout = 5x\n", "main.cf:1: smtpd_timeout:" },
		{ "\n\nsmtpd_timeout = 2h\n", "main.cf:3: smtpd_timeout: \"2h\" is not between" },
		{ "default_destination_concurrency_positive_feedback = 2/concurency\n", "main.cf:1: default_destination_concurrency_positive_feedback: \"2/concurency\" is neither a number from 0 to 1" },
		{ "log_format = xml\n", "is not one of: text json" },
		{ "mail_name = $mial_name\n", "did you mean $mail_name?" },
		{ "mail_name = $mydomain\nmydomain = $mail_name\n", "circle" },
		{ "message_size_limit = 99999999999999999999\n", "main.cf:1:" },
		{ "message_size_limit = 5G\n", "is not between 4K and 4G" },
		{ "smtpd_recipient_limit = -1\n", "is not a number" },
		{ "password_scheme = yescript\n", "there is no \"yescript\"; did you mean yescrypt?" },
		{ "password_scheme =\n", "names nothing; one or more of: yescrypt" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct params v;
		struct buf err;
		struct conf *c = read_text(rows[i].text, &err, 0);

		if (conf_apply(c, &v, &err) == 0 || !strstr(err.p, rows[i].told))
			fail_msg("%s%s", rows[i].text, err.p);
		conf_free(c);
		buf_fini(&err);
	}
}

static void
words(void **state)
{
	uint32_t t;
	uint64_t n;

	(void)state;
	assert_true(param_time(SPAN("2d"), &t) && t == 2 * 86400);
	assert_false(param_time(SPAN("d"), &t));
	assert_false(param_time(SPAN("9999999999w"), &t));
	assert_true(param_size(SPAN("3k"), &n) && n == 3072);
	assert_false(param_size(SPAN("99999999999999999G"), &n));
	assert_string_equal(param_suggest(SPAN("smtpd_timout")), "smtpd_timeout");
	assert_null(param_suggest(SPAN("completely_different")));
	assert_true(param_list_has("a.example, B.example", SPAN("b.EXAMPLE")));
	assert_false(param_list_has("a.example", SPAN("example")));
	assert_false(param_list_has("", SPAN("")));
	assert_true(param_path_below("/x, /a/b/", "/a/b/c"));
	assert_true(param_path_below("/a/b", "/a/b/c/d"));
	for (size_t i = 0; i < 6; i++)
		assert_false(param_path_below("/a/b", (const char *const[]){ "/a/b", "/a/b/", "/a/bc", "/a/b/../c", "/a/b/.c", "a/b/c" }[i]));
	assert_false(param_path_below("", "/a"));
}

#define PRIVATE								\
	"keyd unix - - - - - keyd\nqmgr unix - - - - 1 qmgr\nauth unix - - - - - auth\nintake unix - - - - 2-3 intake\n"	\
	"smtp unix - - - - - smtp\nlocal unix - - - - - local\nvirtual unix - - - - - virtual\nsubmit unix - - - - - submit\npipe unix - - - - - pipe\nbounce unix - - - - - bounce\nimap unix - - - - - imap\n"	\
	"pop3 unix - - - - - pop3\n"

static void
services(void **state)
{
	struct mastercf m;
	struct buf err, text;

	(void)state;
	buf_init(&err, 10000);
	buf_init(&text, 100);
	if (mastercf_parse(&m, SPAN("25 inet n - y - 1-4 smtpd\n  -o smtpd_helo_required=yes\n# c\n  -o soft_bounce=$x\n" PRIVATE),
	    "loopback-only", "all", &err))
		fail_msg("%s", err.p);
	assert_int_equal(m.count, 13);
	assert_int_equal(m.rows[0].option_count, 2);
	assert_int_equal(m.rows[0].addr_count, 2);
	assert_int_equal(m.rows[0].max, 4);
	address_text(&m.rows[0].addrs[1], &text);
	assert_string_equal(text.p, "[::1]:25");
	assert_non_null(strstr(m.options_text.p, "$x"));
	assert_int_equal(mastercf_check_params(&m.rows[0], "/etc/x", SPAN("x = no\n"), &err), 0);
	mastercf_free(&m);
	buf_fini(&err);
	buf_fini(&text);
}

static void
bad_services(void **state)
{
	static const struct {
		const char *line, *told;
	} rows[] = {
		{ "25 inet n - - - - smtpdd", "there is no daemon" },
		{ "99999 inet n - - - - smtpd", "is not a port" },
		{ "25 inet n - - - 4-2 smtpd", "maxproc" },
		{ "25 unix n - - - - smtpd", "smtpd is a service of type inet" },
		{ "../x unix n - - - - smtpd", "cannot be the name of a socket" },
		{ "qmgr unix n - - - - smtpd", "cannot be the name of a socket" },
		{ "25 inet n - n - - smtpd", "chroot" },
		{ "25 inet n -", "columns" },
		{ "25 inet n - - - - smtpd -v", "only -o" },
		{ "25 inet n - - - - smtpd -o {a b}", "-o wants name=value or { name = value }, not \"{a b}\"" },
		{ "25 inet n - - - - smtpd -o =b", "-o wants name=value" },
		{ "25 inet n - - - - smtpd -o { a = b", "a { has no }" },
		{ "1.2.3:25 inet n - - - - smtpd", "is not an address" },
		{ "keyd2 unix - - - - - keyd", "already" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct mastercf m;
		struct buf err, text;
		int n;

		buf_init(&err, 10000);
		buf_init(&text, 10000);
		buf_addf(&text, "%s%s\n", PRIVATE, rows[i].line);
		n = mastercf_parse(&m, buf_span(&text), "loopback-only", "all", &err);
		if (n == 0 || !strstr(err.p, rows[i].told) || !strstr(err.p, "master.cf:13: "))
			fail_msg("%s: %s", rows[i].line, err.p);
		mastercf_free(&m);
		buf_fini(&err);
		buf_fini(&text);
	}
}

static void
options_of_a_service(void **state)
{
	static const char *const want[] = { "a=1", "smtpd_client_restrictions=permit_mynetworks, reject", "c={x y} z", "d=4", "e=" };
	struct mastercf m;
	struct buf err, text;
	const struct service_row *r;

	(void)state;
	buf_init(&err, 10000);
	buf_init(&text, 10000);
	buf_addf(&text, "%s25 inet n - - - - smtpd -o a=1 -o { smtpd_client_restrictions = permit_mynetworks, reject }\n"
	    "  -o {c={x y} z} -od=4\n\t-o e=\n", PRIVATE);
	if (mastercf_parse(&m, buf_span(&text), "loopback-only", "all", &err))
		fail_msg("%s", err.p);
	r = &m.rows[m.count - 1];
	assert_int_equal(r->option_count, NELEMS(want));
	for (size_t i = 0; i < NELEMS(want); i++)
		assert_string_equal(r->options[i], want[i]);
	mastercf_free(&m);
	buf_fini(&err);
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(options_of_a_service), cmocka_unit_test(table_is_sound), cmocka_unit_test(values),
		cmocka_unit_test(conditions), cmocka_unit_test(mistakes),
		cmocka_unit_test(words), cmocka_unit_test(services), cmocka_unit_test(bad_services) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
