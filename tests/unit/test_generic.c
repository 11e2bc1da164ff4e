/*
 * smtp_generic_maps: addresses, a header, and a message with other addresses, as it is and made 7-bit.
 * links: smtp/generic.c smtp/body.c smtp/downgrade.c
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <unistd.h>

#include "mail/crc32c.h"
#include "mail/envelope.h"
#include "service/params.h"
#include "smtp/generic.h"
#include "base/banned.h"

#define TABLE "inline:{{root = admin@isp.example}, {ann@corp.lan = ann@isp.example}, {@lab.lan = @isp.example}, {up@corp.lan = gr\xc3\xbc\xc3\x9f@isp.example}," \
	" {bad@corp.lan = a b}, {bob+x@corp.lan = bobx@isp.example}, {bob@corp.lan = b@isp.example}, {name@corp.lan = short}}"

static struct maps *
open_table(const char *spec)
{
	struct buf err;
	struct maps *m;

	buf_init(&err, 1000);
	m = maps_open(span_str(spec), &err);
	if (!m)
		fail_msg("%s", buf_cstr(&err));
	buf_fini(&err);
	return m;
}

static int
set_up(void **state)
{
	(void)state;
	par.myorigin = "host.lan";
	par.mydestination = "localhost";
	par.recipient_delimiter = "+";
	par.propagate_unmatched_extensions = "canonical, virtual";
	generic_open(open_table(TABLE), open_table(""));
	return 0;
}

static void
check_addresses(const char *const cases[][2], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct buf out;
		enum map_answer ans;

		buf_init(&out, 1000);
		ans = generic_address(false, span_str(cases[i][0]), &out);
		if ((ans == MAP_FAILED) != (cases[i][1] == NULL) || (cases[i][1] && strcmp(buf_cstr(&out), cases[i][1]) != 0))
			fail_msg("%s: %s", cases[i][0], buf_cstr(&out));
		assert_int_equal(generic_address(true, span_str(cases[i][0]), &out), MAP_NONE);
		buf_fini(&out);
	}
}

static void
addresses_go_out_as_the_table_says(void **state)
{
	static const char *const cases[][2] = {
		{ "x@far.example", "x@far.example" },
		{ "Ann@Corp.LAN", "ann@isp.example" },
		{ "ann+t@corp.lan", "ann@isp.example" },	/* generic is not in propagate_unmatched_extensions */
		{ "any+t@lab.lan", "any+t@isp.example" },
		{ "bob+x@corp.lan", "bobx@isp.example" },
		{ "bob+y@corp.lan", "b@isp.example" },
		{ "root@localhost", "admin@isp.example" },
		{ "root@host.lan", "admin@isp.example" },
		{ "root@corp.lan", "root@corp.lan" },
		{ "name@corp.lan", "short@host.lan" },
		{ "bad@corp.lan", NULL },
	};
	static const char *const with_extension[][2] = { { "ann+t@corp.lan", "ann+t@isp.example" }, { "bob+x@corp.lan", "bobx@isp.example" } };

	(void)state;
	check_addresses(cases, NELEMS(cases));
	par.propagate_unmatched_extensions = "generic";
	generic_open(open_table(TABLE), open_table(""));
	check_addresses(with_extension, NELEMS(with_extension));
	(void)set_up(NULL);
}

static void
make(struct delivery *d, const char *sender, const char *rcpt, struct span message)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	assert_int_equal(fwrite(message.p, 1, message.n, f), message.n);
	assert_int_equal(fflush(f), 0);
	*d = (struct delivery){ .sender = span_str(sender), .n = 1, .file = { .fd = dup(fileno(f)), .len = message.n, .sum = BODYFILE_SUM(crc32c(0, message)) } };
	fclose(f);
	arena_init(&d->arena, 1 << 20);
	buf_init(&d->header, 32 << 20);
	d->rcpts = arena_get(&d->arena, sizeof(*d->rcpts));
	d->rcpts[0].addr = span_str(rcpt);
}

static void
end(struct delivery *d)
{
	close(d->file.fd);
	arena_fini(&d->arena);
	buf_fini(&d->header);
}

static void
send_body(const struct delivery *d, bool seven, struct buf *out)
{
	struct body b;

	body_start(&b, &d->file);
	body_replace_header(&b, buf_span(&d->header), d->header_len);
	if (seven)
		assert_true(body_downgrade(&b));
	while (!body_at_end(&b))
		assert_true(body_next(&b, out));
	body_finish(&b, out);
	body_fini(&b);
}

static void
a_message_goes_out_with_other_addresses(void **state)
{
	static const struct { const char *in, *out, *seven; } cases[] = {
		{ "Received: by x\nFrom: Root <root@host.lan>\nTo: ann@corp.lan,\n far@far.example\n\nTo: ann@corp.lan\n",
		    "Received: by x\r\nFrom: Root <admin@isp.example>\r\nTo: ann@isp.example,\r\n far@far.example\r\n\r\nTo: ann@corp.lan\r\n.\r\n", NULL },
		{ "\nFrom: ann@corp.lan\n", "\r\nFrom: ann@corp.lan\r\n.\r\n", NULL },
		{ "Cc: ann@corp.lan", "Cc: ann@isp.example\r\n.\r\n", NULL },
		{ "Cc: ann@corp.lan\n\n", "Cc: ann@isp.example\r\n\r\n.\r\n", NULL },
		{ "From: ann@corp.lan\nMIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n\n\xc3\xa4\n",
		    "From: ann@isp.example\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa4\r\n.\r\n",
		    "From: ann@isp.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
		    "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n.\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++)
		for (int seven = 0; seven < 2; seven++) {
			const char *want = seven && cases[i].seven ? cases[i].seven : cases[i].out;
			struct delivery d;
			struct outcome o;
			struct buf out;

			buf_init(&out, 1 << 20);
			make(&d, "root@localhost", "bob+x@corp.lan", span_str(cases[i].in));
			assert_true(generic_delivery(&d, &o));
			assert_true(span_is(d.wire_sender, "admin@isp.example") && span_is(d.rcpts[0].wire, "bobx@isp.example"));
			assert_true(span_is(d.sender, "root@localhost") && span_is(d.rcpts[0].addr, "bob+x@corp.lan"));
			send_body(&d, seven, &out);
			if (strcmp(buf_cstr(&out), want) != 0)
				fail_msg("%zu: [%s] not [%s]", i, buf_cstr(&out), want);
			end(&d);
			buf_fini(&out);
		}
}

static void
what_cannot_be_mapped_waits(void **state)
{
	static const struct { const char *sender, *rcpt, *message; bool ok, utf8; } cases[] = {
		{ "", "x@far.example", "To: x@far.example\n\n", true, false },
		{ "up@corp.lan", "x@far.example", "To: x@far.example\n\n", true, true },
		{ "bad@corp.lan", "x@far.example", "To: x@far.example\n\n", false, false },
		{ "", "bad@corp.lan", "To: x@far.example\n\n", false, false },
		{ "", "x@far.example", "To: bad@corp.lan\n\n", false, false },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct delivery d;
		struct outcome o = { 0 };

		make(&d, cases[i].sender, cases[i].rcpt, span_str(cases[i].message));
		if (generic_delivery(&d, &o) != cases[i].ok || !(d.flags & MAIL_SMTPUTF8) == cases[i].utf8)
			fail_msg("case %zu: %s", i, o.text);
		if (!cases[i].ok)
			assert_true(o.kind == OUTCOME_DEFERRED && strstr(o.text, "smtp_generic_maps"));
		end(&d);
	}
}

/* A header larger than any block, of more addresses than are looked at: linear, and not a byte is lost. */
static void
a_large_header_keeps_its_bytes(void **state)
{
	struct buf in, out;
	struct delivery d;
	struct outcome o;

	(void)state;
	buf_init(&in, 4 << 20);
	buf_init(&out, 8 << 20);
	buf_adds(&in, "To: ann@corp.lan");
	for (int i = 0; i < 20000; i++)
		buf_addf(&in, ",\n u%d@far.example", i);
	buf_adds(&in, ", ann@corp.lan\n\n.body\n");
	make(&d, "", "x@far.example", buf_span(&in));
	assert_true(generic_delivery(&d, &o));
	assert_true(delivery_size(&d) == in.len + 3);	/* ann@isp.example is longer by three; the last address is past the limit */
	send_body(&d, false, &out);
	assert_true(span_starts(buf_span(&out), "To: ann@isp.example,\r\n u0@far.example"));
	assert_true(span_ends_nocase(buf_span(&out), "u19999@far.example, ann@corp.lan\r\n\r\n..body\r\n.\r\n"));
	end(&d);
	buf_fini(&in);
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_go_out_as_the_table_says),
		cmocka_unit_test(a_message_goes_out_with_other_addresses),
		cmocka_unit_test(what_cannot_be_mapped_waits),
		cmocka_unit_test(a_large_header_keeps_its_bytes),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
