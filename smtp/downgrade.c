/*
 * downgrade.c: 8BIT to 7BIT. The message is a stranger's; lib/mail/mime.h finds
 * its parts, and here is a list of pieces: bytes of the message as they are, bytes
 * to be encoded, and new header lines.
 */
#include "downgrade.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "mail/header.h"
#include "mail/mime.h"
#include "base/banned.h"

#define LINE_MAX_QP 76

enum form { AS_IS, GAP, QUOTED };

struct piece {
	struct span text;
	enum form form;		/* GAP: between parts, where nobody reads */
};

struct downgrade {
	struct span map;	/* of the file */
	struct span header;	/* stands for the first `skip` bytes of it */
	size_t skip;
	struct arena arena;
	struct mime mime;
	struct piece *pieces;
	size_t n, cap;
	size_t at, off;		/* piece, and where in it */
	size_t column;		/* of the line that is being quoted */
};

static bool
is_8bit(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

/* ---- the list of pieces ---- */

static void
add(struct downgrade *d, struct span text, enum form form)
{
	if (text.n == 0)
		return;
	if (d->n == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 16;
		d->pieces = x_realloc(d->pieces, d->cap * sizeof(*d->pieces));
	}
	d->pieces[d->n++] = (struct piece){ text, form };
}

static struct span
run_of(const struct downgrade *d, struct mime_run r)
{
	return span_sub(d->mime.msg, r.at, r.at + r.len);
}

/* Has it no encoding of its own, and may it get one? */
static bool
may_encode(const struct mime_part *p)
{
	static const char *const plain[] = { "", "7bit", "8bit", "binary" };
	struct span word = header_skip_cfws(p->encoding);
	size_t n = 0;

	while (n < word.n && word.p[n] != ' ' && word.p[n] != '\t' && word.p[n] != '\n' && word.p[n] != '\r' &&
	    word.p[n] != '(' && word.p[n] != ';')
		n++;
	word = span_sub(word, 0, n);
	for (size_t i = 0; i < NELEMS(plain); i++)
		if (span_is_nocase(word, plain[i]))
			return p->kind != MIME_LEAF || (!span_is_nocase(p->type, "multipart") &&
			    !span_is_nocase(p->type, "message"));
	return false;
}

/* Two pieces: what stands for the start of the message, and the rest of the part's header. */
struct header_text {
	struct span piece[2];
};

static struct header_text
header_text(const struct downgrade *d, const struct mime_part *p, bool top)
{
	struct span own = run_of(d, p->header);

	return (struct header_text){ { top ? d->header : SPAN_NONE, top ? span_skip(own, d->skip) : own } };
}

/* All fields but Content-Transfer-Encoding. */
static void
add_fields(struct downgrade *d, struct span header, bool *version, bool *type)
{
	struct header_cursor c;
	struct header h;

	header_begin(&c, header);
	while (header_next(&c, &h)) {
		*version |= span_is_nocase(h.name, "MIME-Version");
		*type |= span_is_nocase(h.name, "Content-Type");
		if (!span_is_nocase(h.name, "Content-Transfer-Encoding"))
			add(d, h.raw, AS_IS);
	}
}

/* The header with another encoding, or as it is. encoding NULL: remove none, add none. */
static void
add_header(struct downgrade *d, const struct mime_part *p, bool top, const char *encoding)
{
	struct header_text t = header_text(d, p, top);
	bool version = false, type = false;

	for (size_t i = 0; i < NELEMS(t.piece); i++)
		if (encoding)
			add_fields(d, t.piece[i], &version, &type);
		else
			add(d, t.piece[i], AS_IS);
	if (!encoding)
		return;
	if (top && !version)
		add(d, SPAN("MIME-Version: 1.0\n"), AS_IS);
	if (top && !type)
		add(d, SPAN("Content-Type: text/plain; charset=unknown-8bit\n"), AS_IS);
	add(d, span_str(encoding), AS_IS);
	add(d, SPAN("\n"), AS_IS);
}

static const char *
new_encoding(const struct downgrade *d, const struct mime_part *p)
{
	if (!may_encode(p))
		return NULL;
	if (p->kind != MIME_LEAF)
		return p->encoding.n ? "Content-Transfer-Encoding: 7bit\n" : NULL;
	return is_8bit(run_of(d, p->body)) ? "Content-Transfer-Encoding: quoted-printable\n" : NULL;
}

/* Parents come before their children, and what lies between two parts belongs to nobody. */
static void
make_pieces(struct downgrade *d)
{
	size_t done = 0;

	for (uint32_t i = 0; i < d->mime.n; i++) {
		const struct mime_part *p = &d->mime.parts[i];
		const char *encoding = new_encoding(d, p);

		if (p->header.at < done)
			continue;
		add(d, span_sub(d->mime.msg, done, p->header.at), GAP);
		add_header(d, p, i == 0, encoding);
		done = p->header.at + p->header.len;
		if (i == 0 && done < d->skip)
			done = d->skip;
		if (p->kind != MIME_LEAF)
			continue;
		add(d, span_sub(d->mime.msg, done, p->body.at), AS_IS);
		add(d, run_of(d, p->body), encoding ? QUOTED : AS_IS);
		done = p->body.at + p->body.len;
	}
	add(d, span_skip(d->mime.msg, done), GAP);
}

/* ---- writing ---- */

/* A line between parts: boundaries stay as they are, a preamble in 8 bits has no meaning. */
static void
write_gap(struct span s, struct buf *out)
{
	struct span line;

	while (s.n) {
		ssize_t lf = span_find(s, '\n');

		line = span_sub(s, 0, lf < 0 ? s.n : (size_t)lf + 1);
		s = span_skip(s, line.n);
		if (span_starts(line, "--") || !is_8bit(line)) {
			buf_addspan(out, line);
			continue;
		}
		for (size_t i = 0; i < line.n; i++)
			buf_addc(out, (unsigned char)line.p[i] >= 0x80 ? '?' : line.p[i]);
	}
}

/* RFC 2045 6.7: blanks at the end of a line, "=" and all that is not printable in hex; lines of 76 at most. */
static void
quote(struct downgrade *d, struct span s, size_t at, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char c = (unsigned char)s.p[at];
	bool last = at + 1 == s.n || s.p[at + 1] == '\n' || (s.p[at + 1] == '\r' && at + 2 < s.n && s.p[at + 2] == '\n');
	bool literal = (c > 0x20 && c < 0x7f && c != '=') || ((c == ' ' || c == '\t') && !last);
	size_t need = literal ? 1 : 3;

	if (c == '\n') {
		buf_addc(out, '\n');
		d->column = 0;
		return;
	}
	if (c == '\r' && at + 1 < s.n && s.p[at + 1] == '\n')
		return;
	if (d->column + need > (last ? LINE_MAX_QP : LINE_MAX_QP - 1)) {
		buf_adds(out, "=\n");
		d->column = 0;
	}
	if (literal) {
		buf_addc(out, (char)c);
	} else {
		buf_addc(out, '=');
		buf_addc(out, hex[c >> 4]);
		buf_addc(out, hex[c & 15]);
	}
	d->column += need;
}

bool
downgrade_next(struct downgrade *d, size_t most, struct buf *out)
{
	size_t end = out->len + most;

	while (d->at < d->n && out->len < end) {
		const struct piece *p = &d->pieces[d->at];
		struct span rest = span_sub(p->text, d->off, d->off + most < p->text.n ? d->off + most : p->text.n);
		ssize_t lf = p->form == GAP && d->off + rest.n < p->text.n ? span_rfind(rest, '\n') : -1;

		if (lf >= 0)			/* whole lines, as far as there are any */
			rest.n = (size_t)lf + 1;

		if (p->form == QUOTED)
			for (; d->off < p->text.n && out->len < end; d->off++)
				quote(d, p->text, d->off, out);
		else if (p->form == GAP)
			write_gap(rest, out);
		else
			buf_addspan(out, rest);
		d->off += p->form == QUOTED ? 0 : rest.n;
		if (d->off < p->text.n)
			continue;
		d->at++;
		d->off = d->column = 0;
	}
	return d->at < d->n;
}

/* ---- life ---- */

struct downgrade *
downgrade_new(int fd, uint64_t len, struct span header, uint64_t skip)
{
	struct downgrade *d;
	void *map = len ? mmap(NULL, (size_t)len, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;

	if (map == MAP_FAILED)
		return NULL;
	d = x_new(struct downgrade);
	d->map = span_of(map, (size_t)len);
	d->header = header;
	d->skip = (size_t)(skip < len ? skip : len);
	arena_init(&d->arena, MIME_ARENA_MAX);
	if (mime_parse(&d->mime, &d->arena, d->map)) {
		make_pieces(d);
	} else {
		add(d, d->header, AS_IS);
		add(d, span_skip(d->map, d->skip), AS_IS);
	}
	return d;
}

void
downgrade_free(struct downgrade *d)
{
	if (!d)
		return;
	(void)munmap((void *)(uintptr_t)d->map.p, d->map.n);
	arena_fini(&d->arena);
	free(d->pieces);
	free(d);
}
