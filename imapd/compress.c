/*
 * compress.c: COMPRESS=DEFLATE (RFC 4978) for idle crowds. What goes out is complete after each call, so one
 * compressor serves all connections; what comes in keeps its window between calls (as much as the client has
 * sent, 32 KB at most), and a decompressor of its own only while the client stands in the middle of a block.
 * Client bytes are hostile: output comes in pieces, and what it becomes is bounded by who takes it.
 */
#include "compress.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/die.h"
#include "base/banned.h"

#define WINDOW (32u << 10)
#define RAW (-15)			/* no header, no checksum */
#define LEVEL 3				/* on the way to one client among many */
#define MEMORY 8
#define BETWEEN_BLOCKS 128		/* of data_type: a new block comes, no bit is left */

struct codec {
	unsigned char *window;		/* what the client has sent last, between calls */
	uInt nwindow;
	z_stream *inside;		/* in the middle of a block; NULL: between two */
};

static z_stream *spare;			/* a decompressor that nobody uses */

static z_stream *
compressor(void)
{
	static z_stream z;
	static bool made;

	if (!made && deflateInit2(&z, LEVEL, Z_DEFLATED, RAW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		die("deflateInit2: out of memory");
	made = true;
	return &z;
}

static z_stream *
decompressor(void)
{
	z_stream *z = spare;

	spare = NULL;
	if (z)
		return z;
	z = x_new(z_stream);
	if (inflateInit2(z, RAW) != Z_OK)
		die("inflateInit2: out of memory");
	return z;
}

static void
give_back(z_stream *z)
{
	if (!spare) {
		spare = z;
		return;
	}
	inflateEnd(z);
	free(z);
}

static struct codec *
compress_begin(void)
{
	return x_new(struct codec);
}

static void
compress_end(struct codec *c)
{
	if (c->inside)
		give_back(c->inside);
	free(c->window);
	free(c);
}

/* Between two blocks the window is all that there is to keep. */
static void
rest(struct codec *c, z_stream *z)
{
	unsigned char window[WINDOW];
	uInt n = 0;

	if (z->data_type != BETWEEN_BLOCKS || inflateGetDictionary(z, window, &n) != Z_OK) {
		c->inside = z;
		return;
	}
	c->window = x_realloc(c->window, n + 1);
	memcpy(c->window, window, n);
	c->nwindow = n;
	give_back(z);
}

static z_stream *
wake(struct codec *c)
{
	z_stream *z = c->inside;

	c->inside = NULL;
	if (z)
		return z;
	z = decompressor();
	if (inflateReset2(z, RAW) != Z_OK || (c->nwindow && inflateSetDictionary(z, c->window, c->nwindow) != Z_OK))
		die("zlib does not take its own window");
	return z;
}

static bool
compress_decode(struct codec *c, struct span in, size_t *used, struct buf *out)
{
	z_stream *z;
	char *to;
	int r;

	*used = 0;
	if (in.n == 0 && !c->inside)	/* zlib would begin a block, and so be in the middle of one */
		return true;
	to = buf_room(out, CODEC_PIECE);
	z = wake(c);
	if (!to)
		die("no room for what a client sends");
	z->next_in = (z_const Bytef *)(uintptr_t)in.p;
	z->avail_in = in.n < WINDOW ? (uInt)in.n : WINDOW;
	*used = z->avail_in;
	z->next_out = (Bytef *)to;
	z->avail_out = CODEC_PIECE;
	r = inflate(z, Z_SYNC_FLUSH);
	*used -= z->avail_in;
	buf_grew(out, CODEC_PIECE - z->avail_out);
	rest(c, z);
	return r == Z_OK || r == Z_BUF_ERROR;
}

static void
compress_encode(struct codec *c UNUSED, struct span in, struct buf *out)
{
	z_stream *z = compressor();

	if (in.n == 0)
		return;
	deflateReset(z);
	z->next_in = (z_const Bytef *)(uintptr_t)in.p;
	z->avail_in = (uInt)in.n;
	do {
		char *to = buf_room(out, CODEC_PIECE);

		if (!to)
			die("no room for what a session says");
		z->next_out = (Bytef *)to;
		z->avail_out = CODEC_PIECE;
		deflate(z, Z_SYNC_FLUSH);
		buf_grew(out, CODEC_PIECE - z->avail_out);
	} while (z->avail_out == 0);
}

const struct front_codec compress_codec = {
	.begin = compress_begin,
	.end = compress_end,
	.decode = compress_decode,
	.encode = compress_encode,
};
