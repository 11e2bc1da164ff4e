/* binary.c: BINARY and BINARY.SIZE of FETCH (RFC 3516): parts behind their transfer encoding. Content is strangers'. */
#include "binary.h"

#include "transfer.h"
#include "base/banned.h"

struct part {
	struct span body;
	enum transfer encoding;
};

static enum store_result
find_part(struct message *m, const struct section *sec, struct part *p, enum binary_result *r)
{
	enum store_result opened = message_open(m, MESSAGE_WHOLE);
	const struct mime *mime;
	uint32_t i = 0;

	*r = BINARY_MISSING;
	if (opened != STORE_OK)
		return opened;
	*p = (struct part){ m->text.text, TRANSFER_NONE };
	*r = BINARY_OK;
	if (sec->depth == 0)
		return STORE_OK;	/* all of it, header and all: nothing to decode */
	mime = message_mime(m);
	i = mime ? mime_find(mime, sec->path, sec->depth) : MIME_NONE;
	if (i == MIME_NONE) {
		*r = BINARY_MISSING;
		return STORE_OK;
	}
	p->body = span_sub(mime->msg, mime->parts[i].body.at, mime->parts[i].body.at + mime->parts[i].body.len);
	p->encoding = transfer_by_name(mime->parts[i].encoding);
	if (mime->parts[i].kind != MIME_LEAF)
		p->encoding = TRANSFER_NONE;	/* RFC 2045 6.4: it can have no other */
	if (p->encoding == TRANSFER_UNKNOWN)
		*r = BINARY_UNKNOWN;
	return STORE_OK;
}

static uint64_t
measure(const struct part *p, bool *has_nul)
{
	struct transfer_state st;
	struct span body = p->body;
	uint64_t size = 0;
	struct buf out;

	*has_nul = false;
	transfer_begin(&st, p->encoding, true);
	buf_init(&out, 2 * TRANSFER_WINDOW + 16);
	while (transfer_next(&st, &body, &out)) {
		size += out.len;
		*has_nul = *has_nul || (out.len && memchr(out.p, '\0', out.len));
		buf_reset(&out);
	}
	transfer_end(&st);
	buf_fini(&out);
	return size;
}

enum store_result
binary_size(struct message *m, const struct section *sec, uint64_t *size, enum binary_result *r)
{
	struct part p;
	enum store_result opened = find_part(m, sec, &p, r);
	bool has_nul;

	*size = opened == STORE_OK && *r == BINARY_OK ? measure(&p, &has_nul) : 0;
	return opened;
}

/* count bytes from `from` on; what is not there any more becomes '?' (the length is out) */
static void
send_part(struct stream *io, const struct part *p, uint64_t from, uint64_t count)
{
	struct transfer_state st;
	struct span body = p->body, piece;
	struct buf out;

	transfer_begin(&st, p->encoding, true);
	buf_init(&out, 2 * TRANSFER_WINDOW + 16);
	while (count && transfer_next(&st, &body, &out)) {
		uint64_t skip = from < out.len ? from : out.len;

		piece = span_skip(buf_span(&out), (size_t)skip);
		from -= skip;
		if (piece.n > count)
			piece.n = (size_t)count;
		count -= piece.n;
		stream_putspan(io, piece);
		buf_reset(&out);
	}
	while (count-- > 0)
		stream_putc(io, '?');
	transfer_end(&st);
	buf_fini(&out);
}

enum store_result
binary_put(struct message *m, const struct section *sec, uint64_t from, uint64_t count, enum binary_result *r)
{
	struct stream *io = &m->s->io;
	struct part p;
	enum store_result opened = find_part(m, sec, &p, r);
	uint64_t size;
	bool has_nul;

	if (opened != STORE_OK || *r != BINARY_OK) {
		stream_puts(io, "NIL");
		return opened;
	}
	size = measure(&p, &has_nul);
	size = from < size ? size - from : 0;
	if (size > count)
		size = count;
	stream_putf(io, "%s{%llu}\r\n", has_nul ? "~" : "", (unsigned long long)size);
	send_part(io, &p, from, size);
	return STORE_OK;
}
