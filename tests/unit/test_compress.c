/* COMPRESS=DEFLATE between a client and its session. links: imapd/compress.c */
#include "tests/unit/unit.h"

#include <malloc.h>
#include <stdlib.h>
#include <zlib.h>

#include "compress.h"
#include "base/banned.h"

static void
init(z_stream *z, bool deflates, int level)
{
	memset(z, 0, sizeof(*z));
	assert_int_equal(deflates ? deflateInit2(z, level, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) : inflateInit2(z, -15), Z_OK);
}

/* What a client sends: one compressor for the whole connection, flushed at the end of each command. */
static void
client_sends(z_stream *z, struct span text, struct buf *out)
{
	z->next_in = (z_const Bytef *)(uintptr_t)text.p;
	z->avail_in = (uInt)text.n;
	do {
		z->next_out = (Bytef *)buf_room(out, 4096);
		assert_non_null(z->next_out);
		z->avail_out = 4096;
		deflate(z, Z_SYNC_FLUSH);
		buf_grew(out, 4096 - z->avail_out);
	} while (z->avail_out == 0);
}

/* All that comes of a piece; no call gives more than CODEC_PIECE. */
static bool
take(struct codec *c, struct span in, struct buf *out)
{
	struct buf piece;
	bool more = true, ok = true;

	buf_init(&piece, 2 * CODEC_PIECE);
	while (ok && more) {
		size_t used;

		buf_reset(&piece);
		ok = compress_codec.decode(c, in, &used, &piece);
		assert_true(piece.len <= CODEC_PIECE);
		buf_addspan(out, buf_span(&piece));
		in = span_skip(in, used);
		more = piece.len || used;
	}
	buf_fini(&piece);
	return ok;
}

static void
from_client(void **state UNUSED)
{
	struct buf text, wire, out;
	z_stream z;

	buf_init(&text, 8 << 20);
	buf_init(&wire, 8 << 20);
	buf_init(&out, 8 << 20);
	for (size_t cut = 1; cut < 100000; cut = cut * 3 + 1) {
		struct codec *c = compress_codec.begin();

		init(&z, true, 9);
		buf_reset(&text);
		buf_reset(&wire);
		buf_reset(&out);
		for (unsigned i = 0; i < 2000; i++) {
			struct buf line;

			buf_init(&line, 65536);
			buf_addf(&line, "a%u UID FETCH %u:%u (FLAGS)\r\n", i, i * 7, i * 9);
			for (unsigned k = 0; i % 100 == 0 && k < 3000; k++)
				buf_addc(&line, (char)(k * i));
			client_sends(&z, buf_span(&line), &wire);
			buf_addspan(&text, buf_span(&line));
			buf_fini(&line);
		}
		for (size_t at = 0; at < wire.len; at += cut)
			assert_true(take(c, span_sub(buf_span(&wire), at, at + cut), &out));
		assert_true(span_eq(buf_span(&out), buf_span(&text)));
		deflateEnd(&z);
		compress_codec.end(c);
	}
	buf_fini(&text);
	buf_fini(&wire);
	buf_fini(&out);
}

static void
to_client(void **state UNUSED)
{
	struct codec *a = compress_codec.begin(), *b = compress_codec.begin();
	struct buf text, wire, other, out;
	z_stream z;

	buf_init(&text, 8 << 20);
	buf_init(&wire, 8 << 20);
	buf_init(&other, 8 << 20);
	buf_init(&out, 8 << 20);
	init(&z, false, 0);
	for (unsigned i = 0; i < 300; i++) {
		size_t start = text.len;

		for (unsigned k = 0; k < i * 50; k++)
			buf_addf(&text, "* %u FETCH (FLAGS (\\Seen))\r\n", k * i);
		wire.len = 0;
		compress_codec.encode(a, span_skip(buf_span(&text), start), &wire);
		compress_codec.encode(b, SPAN("another client"), &other);
		z.next_in = (Bytef *)wire.p;
		z.avail_in = (uInt)wire.len;
		while (z.avail_in) {
			z.next_out = (Bytef *)buf_room(&out, 65536);
			z.avail_out = 65536;
			assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
			buf_grew(&out, 65536 - z.avail_out);
		}
		/* complete after each answer, not only at the end */
		assert_int_equal(out.len, text.len);
		if (text.len > 6 << 20)
			break;
	}
	assert_true(span_eq(buf_span(&out), buf_span(&text)));
	inflateEnd(&z);
	compress_codec.end(a);
	compress_codec.end(b);
	buf_fini(&text);
	buf_fini(&wire);
	buf_fini(&other);
	buf_fini(&out);
}

/* Garbage is an end; a megabyte of zeros in a kilobyte comes in pieces */
static void
hostile(void **state UNUSED)
{
	static const struct span garbage[] = { SPAN("\xff\xff\xff\xff"), SPAN("\x06\x00"), SPAN("\x78\x9c\x03\x00\x00\x00\x00\x01"), SPAN("a1 NOOP\r\n") };
	struct buf zeros, wire, out;
	struct codec *c;
	z_stream z;

	buf_init(&out, 32 << 20);
	buf_init(&wire, 32 << 20);
	buf_init(&zeros, 32 << 20);
	for (size_t i = 0; i < NELEMS(garbage); i++) {
		bool ok = true;

		c = compress_codec.begin();
		for (int k = 0; k < 100 && ok; k++)
			ok = take(c, garbage[i], &out);
		assert_false(ok);
		compress_codec.end(c);
	}
	c = compress_codec.begin();
	init(&z, true, 9);
	assert_non_null(buf_room(&zeros, 16 << 20));
	memset(zeros.p, 0, 16 << 20);
	buf_grew(&zeros, 16 << 20);
	client_sends(&z, buf_span(&zeros), &wire);
	assert_true(wire.len < 32768);
	buf_reset(&out);
	assert_true(take(c, buf_span(&wire), &out));
	assert_int_equal(out.len, 16 << 20);
	deflateEnd(&z);
	compress_codec.end(c);
	buf_fini(&out);
	buf_fini(&wire);
	buf_fini(&zeros);
}

/* Between two commands a client costs what it has sent, not a decompressor. */
static void
idle_clients(void **state UNUSED)
{
	struct mallinfo2 before;
	struct codec *many[200];
	struct buf wire, out;
	z_stream z;

	buf_init(&wire, 65536);
	buf_init(&out, 1 << 20);
	init(&z, true, 6);
	client_sends(&z, SPAN("a IDLE\r\n"), &wire);
	assert_true(take((many[0] = compress_codec.begin()), buf_span(&wire), &out));
	before = mallinfo2();
	for (size_t i = 1; i < NELEMS(many); i++)
		assert_true(take((many[i] = compress_codec.begin()), buf_span(&wire), &out));
	assert_true(mallinfo2().uordblks - before.uordblks < NELEMS(many) * 500);
	for (size_t i = 0; i < NELEMS(many); i++)
		compress_codec.end(many[i]);
	deflateEnd(&z);
	buf_fini(&wire);
	buf_fini(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(from_client), cmocka_unit_test(to_client), cmocka_unit_test(hostile),
		cmocka_unit_test(idle_clients) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
