/* body.c: a message from its file to the wire. */
#include "body.h"

#include "downgrade.h"
#include "base/banned.h"

void
body_start(struct body *b, const struct bodyfile *file)
{
	*b = (struct body){ .file = *file };
	bodyfile_rewind(&b->file);
}

void
body_replace_header(struct body *b, struct span header, uint64_t len)
{
	b->header = header;
	b->skip = len;
}

/* What is taken apart is not read in order: its checksum is looked at before. */
static bool
is_whole(struct body *b)
{
	static char block[BODY_BLOCK];
	struct span piece;

	if (!b->file.sum)
		return true;
	do
		if (!bodyfile_next(&b->file, block, sizeof(block), &piece))
			return false;
	while (piece.n);
	bodyfile_rewind(&b->file);
	return true;
}

bool
body_downgrade(struct body *b)
{
	if (b->file.off == 0 && is_whole(b))
		b->down = downgrade_new(b->file.fd, b->file.len, b->header, b->skip);
	b->header = SPAN_NONE;
	return b->down || b->file.len == 0;
}

void
body_fini(struct body *b)
{
	downgrade_free(b->down);
	b->down = NULL;
}

static void
add_part(struct body *b, struct span part, struct buf *out)
{
	if (part.n == 0)
		return;
	if (!b->middle && !b->plain && part.p[0] == '.')
		buf_addc(out, '.');
	buf_addspan(out, part);
	b->middle = true;
}

/*
 * Queue files have LF line ends. A CR before the LF is not doubled; one
 * elsewhere goes out as a blank, so that no receiver takes it for a line end.
 */
static void
add_line(struct body *b, struct span line, bool ends, struct buf *out)
{
	ssize_t cr;

	while ((cr = span_find(line, '\r')) >= 0) {
		add_part(b, span_sub(line, 0, (size_t)cr), out);
		line = span_skip(line, (size_t)cr + 1);
		if (line.n || !ends)
			add_part(b, SPAN(" "), out);
	}
	add_part(b, line, out);
}

void
body_convert(struct body *b, struct span in, struct buf *out)
{
	while (in.n) {
		ssize_t lf = span_find(in, '\n');

		add_line(b, lf < 0 ? in : span_sub(in, 0, (size_t)lf), lf >= 0, out);
		if (lf < 0)
			return;
		buf_adds(out, "\r\n");
		b->middle = false;
		in = span_skip(in, (size_t)lf + 1);
	}
}

bool
body_next(struct body *b, struct buf *out)
{
	static char block[BODY_BLOCK];
	struct span text;
	struct buf piece;
	size_t n;

	if (b->down) {
		buf_init(&piece, 4 * BODY_BLOCK);
		if (!downgrade_next(b->down, BODY_BLOCK, &piece))
			b->file.done = b->file.len;
		body_convert(b, buf_span(&piece), out);
		buf_fini(&piece);
		return true;
	}
	if (b->header.n) {
		text = span_sub(b->header, 0, BODY_BLOCK);
		b->header = span_skip(b->header, text.n);
		body_convert(b, text, out);
		return true;
	}
	if (!bodyfile_next(&b->file, block, sizeof(block), &text))
		return false;
	n = b->skip < text.n ? (size_t)b->skip : text.n;
	b->skip -= n;
	body_convert(b, span_skip(text, n), out);
	return true;
}

bool
body_at_end(const struct body *b)
{
	return b->file.done >= b->file.len && b->header.n == 0;
}

void
body_finish(struct body *b, struct buf *out)
{
	if (b->middle)
		buf_adds(out, "\r\n");
	if (!b->plain)
		buf_adds(out, ".\r\n");
}
