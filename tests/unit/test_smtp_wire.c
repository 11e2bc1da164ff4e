/*
 * What smtp reads and writes: replies in pieces, message bodies, next hops.
 * links: smtp/reply.c smtp/body.c smtp/downgrade.c
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "smtp/body.h"
#include "smtp/downgrade.h"
#include "smtp/reply.h"
#include "base/fdio.h"
#include "mail/crc32c.h"
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

	body_start(&b, &(struct bodyfile){ .fd = -1 });
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
	body_start(&b, &(struct bodyfile){ .fd = fd, .off = 5, .len = text.len });
	while (!body_at_end(&b))
		assert_true(body_next(&b, &out));
	body_finish(&b, &out);
	assert_int_equal(out.len, text.len + 9000 + 6000 + 3);
	body_start(&b, &(struct bodyfile){ .fd = fd, .off = 5, .len = text.len + 100 });	/* shorter than it was said to be */
	while (!body_at_end(&b) && body_next(&b, &out))
		buf_reset(&out);
	assert_false(body_at_end(&b));
	/* not what was written: all but the last block, so that there is no end */
	body_start(&b, &(struct bodyfile){ .fd = fd, .off = 5, .len = text.len, .sum = BODYFILE_SUM(crc32c(0, buf_span(&text)) ^ 1) });
	for (buf_reset(&out); body_next(&b, &out); )
		assert_false(body_at_end(&b));
	assert_true(b.file.damaged && out.len > 0);
	assert_false(body_downgrade(&b));
	body_start(&b, &(struct bodyfile){ .fd = fd, .off = 5, .len = text.len, .sum = BODYFILE_SUM(crc32c(0, buf_span(&text))) });
	for (buf_reset(&out); !body_at_end(&b); )
		assert_true(body_next(&b, &out));
	close(fd);
	unlink(path);
	buf_fini(&text);
	buf_fini(&out);
}

/* ---- 8 bits to 7 ---- */

#define QP "Content-Transfer-Encoding: quoted-printable\n"
#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *in, *out;
} eight[] = {
	{ "Subject: x\n\nhello\n", "Subject: x\n\nhello\n" },
	{ "Subject: x\n\nh\xc3\xa9llo = \t\n.\nend", "Subject: x\nMIME-Version: 1.0\n"
	    "Content-Type: text/plain; charset=unknown-8bit\n" QP "\nh=C3=A9llo =3D =09\n.\nend" },
	{ "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\ncontent-transfer-encoding: 8BIT (really)\nTo: a\n\n\xff \n",
	    "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nTo: a\n" QP "\n=FF=20\n" },
	/* at most 76, the mark of a soft line end among them */
	{ "a: b\nMIME-Version: 1.0\nContent-Type: text/plain\n\n" A50 "aaaaaaaaaaaaaaaaaaaaaaa\xe9" "bbb\n",
	    "a: b\nMIME-Version: 1.0\nContent-Type: text/plain\n" QP "\n" A50 "aaaaaaaaaaaaaaaaaaaaaaa=\n=E9bbb\n" },
	/* has an encoding: a broken message stays broken */
	{ "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n\xff\n",
	    "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n\xff\n" },
	/* only the part that needs it; what is around it gets another word, text between parts means nothing */
	{ "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\npre\xe9\n--b\n\nplain=\n"
	    "--b\nContent-Type: text/html\nContent-Transfer-Encoding: 8bit\n\n\xe9\n--b--\nafter \xe9\n",
	    "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\npre?\n--b\n\nplain=\n"
	    "--b\nContent-Type: text/html\n" QP "\n=E9\n--b--\nafter ?\n" },
	/* a message within a message */
	{ "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: in\n"
	    "MIME-Version: 1.0\nContent-Type: text/plain\n\n\xe9\n",
	    "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: in\n"
	    "MIME-Version: 1.0\nContent-Type: text/plain\n" QP "\n=E9\n" },
	/* may have no encoding (RFC 2046 5.2.2.1) */
	{ "MIME-Version: 1.0\nContent-Type: message/partial; number=1; id=x\n\n\xe9\n",
	    "MIME-Version: 1.0\nContent-Type: message/partial; number=1; id=x\n\n\xe9\n" },
};

static void
seven(const char *in, size_t step, struct buf *out)
{
	FILE *f = tmpfile();
	struct downgrade *d;

	assert_non_null(f);
	assert_int_equal(fwrite(in, 1, strlen(in), f), strlen(in));
	assert_int_equal(fflush(f), 0);
	d = downgrade_new(fileno(f), strlen(in), SPAN_NONE, 0);
	assert_non_null(d);
	while (downgrade_next(d, step, out))
		;
	downgrade_free(d);
	fclose(f);
}

static void
eight_bits_become_seven(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(eight); i++)
		for (size_t step = 200; step < 4096; step += 1300) {
			struct buf out;

			buf_init(&out, 1 << 20);
			seven(eight[i].in, step, &out);
			if (!span_is(buf_span(&out), eight[i].out))
				fail_msg("%zu: [%s] not [%s]", i, buf_cstr(&out), eight[i].out);
			buf_fini(&out);
		}
}

/* Whatever it is: pieces of any size make the same, and what is quoted keeps its bytes. */
static void
random_messages_become_seven(void **state)
{
	static const char *const bits[] = { "\n", "\xe9", "=", " ", "\t", "--b\n", "Content-Type: text/plain\n", "\n\n", "a", "\r",
		"Content-Type: multipart/mixed; boundary=b\n", "MIME-Version: 1.0\n", A50, "Content-Transfer-Encoding: 8bit\n" };

	(void)state;
	srandom(7);
	for (int round = 0; round < 400; round++) {
		struct buf in, a, b;

		buf_init(&in, 1 << 16);
		buf_init(&a, 1 << 20);
		buf_init(&b, 1 << 20);
		buf_adds(&in, "X: y\n");
		for (int i = 0; i < 60; i++)
			buf_adds(&in, bits[(unsigned long)random() % NELEMS(bits)]);
		seven(buf_cstr(&in), 1 << 16, &a);
		seven(buf_cstr(&in), 61, &b);
		assert_true(a.len > 0 && (a.len == b.len || memchr(buf_cstr(&in), '\xe9', in.len)));
		buf_fini(&in);
		buf_fini(&a);
		buf_fini(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eight_bits_become_seven),
		cmocka_unit_test(random_messages_become_seven),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_endless_replies),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_body_from_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
