/* binary.c: parts of raw bytes to base64, as they come in. Every byte is a stranger's. */
#include "binary.h"

#include "base/b64.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "base/banned.h"

#define PARAMS_MAX 16384		/* bytes of a Content-Type that are looked at */

void
binary_init(struct binary *b)
{
	*b = (struct binary){ .where = BINARY_HEADER };
	buf_init(&b->line, BINARY_LINE_MAX + 2);
	buf_init(&b->header, BINARY_HEADER_MAX);
}

void
binary_fini(struct binary *b)
{
	buf_fini(&b->line);
	buf_fini(&b->header);
}

void
binary_reset(struct binary *b)
{
	b->where = BINARY_HEADER;
	b->middle = b->in_boundary = b->held_end = b->failed = false;
	b->depth = 0;
	b->ndata = 0;
	buf_reset(&b->line);
	buf_reset(&b->header);
}

/* ---- base64 ---- */

static void
flush_data(struct binary *b, struct buf *out)
{
	if (b->ndata == 0)
		return;
	b64_encode(out, span_of(b->data, b->ndata));
	buf_adds(out, "\r\n");
	b->ndata = 0;
}

static void
add_data(struct binary *b, struct span s, struct buf *out)
{
	while (s.n > 0) {
		size_t room = BINARY_DATA_LINE - b->ndata, n = s.n < room ? s.n : room;

		memcpy(b->data + b->ndata, s.p, n);
		b->ndata += n;
		s = span_skip(s, n);
		if (b->ndata == BINARY_DATA_LINE)
			flush_data(b, out);
	}
}

/* ---- headers ---- */

struct part {
	bool multipart, message, other_message, digest, binary;
	struct buf boundary;
};

static void
learn_type(struct part *p, struct span value)
{
	struct span all = header_skip_cfws(value), type;
	ssize_t semicolon = span_find(all, ';');

	type = semicolon < 0 ? all : span_sub(all, 0, (size_t)semicolon);
	p->multipart = span_starts_nocase(type, "multipart/");
	p->digest = span_starts_nocase(type, "multipart/digest");
	p->message = span_starts_nocase(type, "message/rfc822") || span_starts_nocase(type, "message/global");
	p->other_message = !p->message && span_starts_nocase(type, "message/");
	if (p->multipart)
		(void)mime_param(span_sub(span_skip(all, type.n), 0, PARAMS_MAX), "boundary", &p->boundary);
}

static bool
says_binary(const struct header *h)
{
	return span_is_nocase(h->name, "content-transfer-encoding") &&
	    span_starts_nocase(span_trim(header_skip_cfws(h->value)), "binary");
}

static void
learn(const struct binary *b, struct part *p)
{
	struct header_cursor c;
	struct header h;
	bool typed = false;

	p->message = b->depth > 0 && b->levels[b->depth - 1].digest;
	header_begin(&c, buf_span(&b->header));
	while (header_next(&c, &h)) {
		if (!typed && span_is_nocase(h.name, "content-type")) {
			learn_type(p, h.value);
			typed = true;
		}
		p->binary = p->binary || says_binary(&h);
	}
}

/* What has parts or a message inside cannot be base64 (RFC 2045 6.4): its own lines are text, binary is further down. */
static void
write_header(const struct binary *b, const struct part *p, struct buf *out)
{
	const char *encoding = p->multipart || p->message || p->other_message ? "8bit" : "base64";
	struct header_cursor c;
	struct header h;

	header_begin(&c, buf_span(&b->header));
	while (header_next(&c, &h)) {
		if (says_binary(&h))
			buf_addf(out, "Content-Transfer-Encoding: %s\r\n", encoding);
		else
			buf_addspan(out, h.raw);
	}
	buf_addspan(out, span_skip(buf_span(&b->header), c.at));
}

static void
push(struct binary *b, const struct part *p)
{
	struct binary_level *l = &b->levels[b->depth];

	if (b->depth == BINARY_DEPTH_MAX) {
		b->failed = true;
		return;
	}
	l->n = (uint8_t)p->boundary.len;
	l->digest = p->digest;
	memcpy(l->boundary, p->boundary.p, p->boundary.len);
	b->depth++;
}

static void
header_ends(struct binary *b, struct buf *out)
{
	struct part p = { .multipart = false };

	buf_init(&p.boundary, BINARY_BOUNDARY_MAX);
	learn(b, &p);
	write_header(b, &p, out);
	buf_adds(out, "\r\n");
	buf_reset(&b->header);
	b->where = p.message ? BINARY_HEADER : p.binary && !p.multipart && !p.other_message ? BINARY_DATA : BINARY_TEXT;
	b->held_end = false;
	if (p.multipart && p.boundary.len > 0)
		push(b, &p);
	buf_fini(&p.boundary);
}

/* ---- lines ---- */

static bool
take_boundary(struct binary *b, struct span line, struct buf *out)
{
	struct span text = span_skip(line, 2);
	unsigned at = b->depth;

	if (!span_starts(line, "--"))
		return false;
	while (at > 0 && (text.n < b->levels[at - 1].n || memcmp(text.p, b->levels[at - 1].boundary, b->levels[at - 1].n) != 0))
		at--;
	if (at == 0)
		return false;
	if (b->where == BINARY_DATA)
		flush_data(b, out);		/* the CRLF before it is the boundary's (RFC 2046 5.1.1) */
	buf_addspan(out, buf_span(&b->header));
	buf_reset(&b->header);
	buf_addspan(out, line);
	b->held_end = false;
	b->in_boundary = true;
	b->depth = at;
	b->where = BINARY_HEADER;
	if (span_starts(span_skip(text, b->levels[at - 1].n), "--")) {
		b->depth--;
		b->where = BINARY_TEXT;
	}
	return true;
}

static void
take_data(struct binary *b, struct span piece, bool ends, struct buf *out)
{
	if (b->held_end)
		add_data(b, SPAN("\r\n"), out);
	add_data(b, span_sub(piece, 0, piece.n - (ends ? 2 : 0)), out);
	b->held_end = ends;
}

/* A line with its CRLF, or a piece of a long one. */
static void
take_piece(struct binary *b, struct span piece, struct buf *out)
{
	bool begins = !b->middle, ends = piece.n >= 2 && memcmp(piece.p + piece.n - 2, "\r\n", 2) == 0;

	b->middle = !ends;
	if (!begins && b->in_boundary) {
		buf_addspan(out, piece);
		return;
	}
	b->in_boundary = false;
	if (begins && b->depth > 0 && take_boundary(b, piece, out))
		return;
	if (b->where == BINARY_DATA) {
		take_data(b, piece, ends, out);
	} else if (b->where == BINARY_TEXT) {
		buf_addspan(out, piece);
	} else if (begins && piece.n == 2 && ends) {
		header_ends(b, out);
	} else {
		buf_addspan(&b->header, piece);
		b->failed = b->failed || b->header.over;
	}
}

/* How much of s belongs to the piece that has begun; *whole: then it is all there. A CR at its end waits for what follows. */
static size_t
piece_length(const struct binary *b, struct span s, bool *whole)
{
	size_t room = BINARY_LINE_MAX - b->line.len, n = s.n < room ? s.n : room;
	const char *end = n > 0 ? memmem(s.p, n, "\r\n", 2) : NULL;

	*whole = true;
	if (b->line.len > 0 && b->line.p[b->line.len - 1] == '\r' && s.p[0] == '\n')
		return 1;
	if (end)
		return (size_t)(end - s.p) + 2;
	*whole = n == room && (n == 0 || s.p[n - 1] != '\r');
	return n;
}

bool
binary_feed(struct binary *b, struct span in, struct buf *out)
{
	while (in.n > 0 && !b->failed) {
		bool whole;
		size_t n = piece_length(b, in, &whole);

		buf_addspan(&b->line, span_sub(in, 0, n));
		in = span_skip(in, n);
		if (!whole)
			continue;
		take_piece(b, buf_span(&b->line), out);
		buf_reset(&b->line);
	}
	return !b->failed && !out->over;
}

bool
binary_end(struct binary *b, struct buf *out)
{
	if (!b->failed && b->line.len > 0)
		take_piece(b, buf_span(&b->line), out);
	buf_reset(&b->line);
	if (b->where == BINARY_DATA && b->held_end)
		add_data(b, SPAN("\r\n"), out);
	flush_data(b, out);
	buf_addspan(out, buf_span(&b->header));
	buf_reset(&b->header);
	return !b->failed && !out->over;
}
