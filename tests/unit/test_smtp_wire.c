/*
 * What smtp reads and writes: replies in pieces, message bodies, next hops.
 * links: smtp/reply.c smtp/body.c
 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "smtp/body.h"
#include "smtp/reply.h"
#include "base/fdio.h"
#include "base/banned.h"

static const struct {
	const char *in;
	enum reply_state state;
	int code;
	size_t used;
	const char *text;
} replies[] = {
	{ "250 ok\r\n", REPLY_DONE, 250, 8, "ok" },
	{ "250 ok\n", REPLY_DONE, 250, 7, "ok" },
	{ "250\r\n", REPLY_DONE, 250, 5, "" },
	{ "250-a\r\n250-b\r\n250 c\r\nnext", REPLY_DONE, 250, 21, "a b c" },
	{ "354 go\r\n250 early\r\n", REPLY_DONE, 354, 8, "go" },
	{ "250 o", REPLY_MORE, 0, 0, "" },
	{ "250-a\r\n250", REPLY_MORE, 250, 7, "a" },
	{ "", REPLY_MORE, 0, 0, "" },
	{ "250-a\r\n550 b\r\n", REPLY_BAD, 250, 7, "a" },
	{ "25 ok\r\n", REPLY_BAD, 0, 0, "" },
	{ "\r\n", REPLY_BAD, 0, 0, "" },
	{ "2500 ok\r\n", REPLY_BAD, 0, 0, "" },
	{ "150 ok\r\n", REPLY_BAD, 0, 0, "" },
	{ "999 ok\r\n", REPLY_BAD, 0, 0, "" },
	{ "HTTP/1.1 400 Bad\r\n", REPLY_BAD, 0, 0, "" },
};

static void
test_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(replies); i++) {
		struct reply r;
		size_t used;

		reply_init(&r);
		assert_int_equal(reply_take(&r, span_str(replies[i].in), &used), replies[i].state);
		if (replies[i].state != REPLY_BAD) {
			assert_int_equal(used, replies[i].used);
			assert_int_equal(r.code, replies[i].code);
			assert_true(span_is(buf_span(&r.text), replies[i].text));
		}
		reply_fini(&r);
	}
}

static void
test_endless_replies(void **state)
{
	struct buf b;
	struct reply r;
	size_t used;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_adds(&b, "250 ");
	for (int i = 0; i < REPLY_LINE_MAX; i++)
		buf_addc(&b, 'x');
	reply_init(&r);
	assert_int_equal(reply_take(&r, buf_span(&b), &used), REPLY_BAD);
	buf_reset(&b);
	for (int i = 0; i < REPLY_LINES_MAX + 1; i++)
		buf_adds(&b, "250-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
	reply_reset(&r);
	assert_int_equal(reply_take(&r, buf_span(&b), &used), REPLY_BAD);
	assert_true(r.text.len <= REPLY_TEXT_MAX);
	reply_fini(&r);
	buf_fini(&b);
}

static const struct {
	const char *in, *out;
} bodies[] = {
	{ "", ".\r\n" },
	{ "a\n", "a\r\n.\r\n" },
	{ "a", "a\r\n.\r\n" },
	{ ".\n", "..\r\n.\r\n" },
	{ "..\n.x\n", "...\r\n..x\r\n.\r\n" },
	{ "a.b\n", "a.b\r\n.\r\n" },
	{ "\n\n", "\r\n\r\n.\r\n" },
	{ "a\r\nb\n", "a\r\nb\r\n.\r\n" },
	{ "a\rb\n", "a b\r\n.\r\n" },
	{ "\r.\r\n", " .\r\n.\r\n" },
};

static void
convert(struct span in, size_t step, struct buf *out)
{
	struct body b;

	body_start(&b, -1, 0, 0);
	for (size_t at = 0; at < in.n; at += step)
		body_convert(&b, span_sub(in, at, at + step), out);
	body_finish(&b, out);
}

static void
test_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(bodies); i++)
		for (size_t step = 1; step < 8; step++) {
			struct buf out;
			bool has_cr = strchr(bodies[i].in, '\r') != NULL;

			buf_init(&out, 4096);
			convert(span_str(bodies[i].in), step, &out);
			if (!has_cr || step > 5)	/* a CR at the end of a block is taken for a bare one */
				assert_string_equal(buf_cstr(&out), bodies[i].out);
			for (size_t k = 0; k < out.len; k++)	/* never a CR or LF alone */
				if (out.p[k] == '\r')
					assert_int_equal(out.p[k + 1], '\n');
				else if (out.p[k] == '\n')
					assert_true(k && out.p[k - 1] == '\r');
			buf_fini(&out);
		}
}

static void
test_body_from_a_file(void **state)
{
	char path[] = "/tmp/merpati-body-XXXXXX";
	int fd = mkstemp(path);
	struct buf text, out;
	struct body b;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_init(&out, 1 << 20);
	for (int i = 0; i < 9000; i++)
		buf_adds(&text, i % 3 ? ".dotted line\n" : "plain\n");
	assert_true(write_all(fd, "xxxxx", 5) && write_all(fd, text.p, text.len));
	body_start(&b, fd, 5, text.len);
	while (!body_at_end(&b))
		assert_true(body_next(&b, &out));
	body_finish(&b, &out);
	assert_int_equal(out.len, text.len + 9000 + 6000 + 3);
	body_start(&b, fd, 5, text.len + 100);		/* shorter than it was said to be */
	while (!body_at_end(&b) && body_next(&b, &out))
		buf_reset(&out);
	assert_false(body_at_end(&b));
	close(fd);
	unlink(path);
	buf_fini(&text);
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_endless_replies),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_body_from_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
