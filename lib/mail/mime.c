/*
 * mime.c: the structure walker. One pass over the lines of a hostile message;
 * the stack of open multiparts is an array, so nesting costs no C stack.
 */
#include "mail/mime.h"

#include <stdlib.h>

#include "base/die.h"
#include "mail/header.h"
#include "base/banned.h"

/* A place between two bytes, and how many line ends are before it. */
struct mark {
	size_t at, lines, bare;
};

struct frame {				/* an open multipart */
	uint32_t part, last_child;
	char boundary[MIME_BOUNDARY_MAX];
	size_t n;
	uint64_t seen;			/* bits of this boundary and all outside of it */
};

struct walk {
	struct span msg;
	struct mime_part *parts;
	uint32_t n, cap;
	uint32_t current;		/* the innermost open part */
	bool in_header;
	bool cut;
	struct mark line;		/* start of this line */
	struct mark before;		/* end of the line before, without its line end */
	struct frame *frames;
	uint32_t depth;			/* frames in use */
};

/* ---- runs ---- */

static void
run_begin(struct mime_run *r, const struct mark *m)
{
	*r = (struct mime_run){ .at = m->at, .lines = m->lines, .crlf = m->bare };
}

static void
run_end(struct mime_run *r, const struct mark *m)
{
	bool empty = m->at < r->at;	/* the line end that opened it belongs to a boundary */

	r->len = empty ? 0 : m->at - r->at;
	r->lines = empty ? 0 : m->lines - r->lines;
	r->crlf = empty ? 0 : r->len + m->bare - r->crlf;
}

/* ---- header fields ---- */

static bool
is_token_char(char c)
{
	static const bool special[0x7f] = {
		['('] = true, [')'] = true, ['<'] = true, ['>'] = true, ['@'] = true, [','] = true, [';'] = true, [':'] = true,
		['\\'] = true, ['"'] = true, ['/'] = true, ['['] = true, [']'] = true, ['?'] = true, ['='] = true,
	};

	return (unsigned char)c > 0x20 && (unsigned char)c < 0x7f && !special[(unsigned char)c];
}

static struct span
take_token(struct span *s)
{
	size_t n = 0;
	struct span token;

	*s = header_skip_cfws(*s);
	while (n < s->n && is_token_char(s->p[n]))
		n++;
	token = span_sub(*s, 0, n);
	*s = header_skip_cfws(span_skip(*s, n));
	return token;
}

static void
field_type(struct mime_part *p, struct span value)
{
	struct span type = take_token(&value), subtype;

	if (type.n == 0 || value.n == 0 || value.p[0] != '/')
		return;			/* RFC 2045 5.2: as if there were none */
	value = span_skip(value, 1);
	subtype = take_token(&value);
	if (subtype.n == 0 || p->params.p)
		return;
	p->type = type;
	p->subtype = subtype;
	p->params = value;
}

static void
field_disposition(struct mime_part *p, struct span value)
{
	struct span word = take_token(&value);

	if (p->disposition.n)
		return;
	p->disposition = word;
	p->disposition_params = value;
}

static void
field_encoding(struct mime_part *p, struct span value)
{
	if (!p->encoding.n)
		p->encoding = take_token(&value);
}

static const struct {
	const char *name;
	void (*take)(struct mime_part *p, struct span value);
	size_t plain;			/* without take: the span that gets the trimmed value */
} fields[] = {
	{ "Content-Type", field_type, 0 },
	{ "Content-Transfer-Encoding", field_encoding, 0 },
	{ "Content-Disposition", field_disposition, 0 },
	{ "Content-ID", NULL, offsetof(struct mime_part, id) },
	{ "Content-Description", NULL, offsetof(struct mime_part, description) },
	{ "Content-MD5", NULL, offsetof(struct mime_part, md5) },
	{ "Content-Language", NULL, offsetof(struct mime_part, language) },
	{ "Content-Location", NULL, offsetof(struct mime_part, location) },
};

static void
take_field(struct mime_part *p, const struct header *h)
{
	struct span value;

	for (size_t i = 0; i < NELEMS(fields); i++) {
		if (!span_is_nocase(h->name, fields[i].name))
			continue;
		value = span_trim(h->value);
		if (fields[i].take)
			fields[i].take(p, value);
		else if (((struct span *)(void *)((char *)p + fields[i].plain))->n == 0)
			memcpy((char *)p + fields[i].plain, &value, sizeof(value));
		return;
	}
}

static void
make_text(struct mime_part *p)
{
	p->kind = MIME_LEAF;
	p->type = SPAN("text");
	p->subtype = SPAN("plain");
	p->params = SPAN_NONE;
}

static void
read_fields(struct walk *w, struct mime_part *p)
{
	struct mime_part *parent = p->parent == MIME_NONE ? NULL : &w->parts[p->parent];
	struct header_cursor c;
	struct header h;

	header_begin(&c, span_sub(w->msg, p->header.at, p->header.at + p->header.len));
	while (header_next(&c, &h))
		if (span_starts_nocase(h.name, "Content-"))
			take_field(p, &h);
	if (p->type.n)
		return;
	make_text(p);
	if (parent && parent->kind == MIME_MULTIPART && span_is_nocase(parent->subtype, "digest")) {
		p->type = SPAN("message");		/* RFC 2046 5.1.5 */
		p->subtype = SPAN("rfc822");
	}
}

/* ---- parts ---- */

static uint32_t
add_part(struct walk *w, uint32_t parent, const struct mark *at)
{
	struct mime_part *p;

	if (w->n == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 8;
		w->parts = x_realloc(w->parts, w->cap * sizeof(*w->parts));
	}
	p = &w->parts[w->n];
	*p = (struct mime_part){
		.parent = parent, .child = MIME_NONE, .next = MIME_NONE, .number = 1,
		.depth = parent == MIME_NONE ? 0 : w->parts[parent].depth + 1,
	};
	run_begin(&p->header, at);
	w->current = w->n;
	w->in_header = true;
	return w->n++;
}

static bool
room_below(struct walk *w, const struct mime_part *p)
{
	if (p->depth + 1 < MIME_DEPTH_MAX && w->n < MIME_PARTS_MAX)
		return true;
	w->cut = true;
	return false;
}

static uint64_t
boundary_bit(struct span b)
{
	uint32_t h = (uint32_t)b.n;

	for (size_t i = 0; i < b.n; i++)
		h = h * 31 + (unsigned char)b.p[i];
	return (uint64_t)1 << (h * 2654435761u >> 26);
}

/* Opens a multipart; false: no boundary that could be one. */
static bool
push_frame(struct walk *w, uint32_t part)
{
	struct frame *f = &w->frames[w->depth];
	struct span b;
	struct buf value;
	bool ok;

	buf_init(&value, MIME_BOUNDARY_MAX);
	ok = mime_param(w->parts[part].params, "boundary", &value) && !value.over;
	b = span_trim_right(buf_span(&value));
	for (size_t i = 0; i < b.n; i++)
		ok = ok && (unsigned char)b.p[i] >= 0x20 && b.p[i] != 0x7f;
	if (ok && b.n && w->depth < MIME_DEPTH_MAX) {
		*f = (struct frame){ .part = part, .last_child = MIME_NONE, .n = b.n };
		memcpy(f->boundary, b.p, b.n);
		f->seen = boundary_bit(b) | (w->depth ? f[-1].seen : 0);
		w->depth++;
	} else {
		ok = false;
	}
	buf_fini(&value);
	return ok && b.n;
}

static bool
is_identity(struct span encoding)
{
	return encoding.n == 0 || span_is_nocase(encoding, "7bit") || span_is_nocase(encoding, "8bit") ||
	    span_is_nocase(encoding, "binary");
}

/* The header of the current part ends at `end`, its body begins there. */
static void
end_header(struct walk *w, const struct mark *end)
{
	uint32_t i = w->current;
	struct mime_part *p = &w->parts[i];

	run_end(&p->header, end);
	run_begin(&p->body, end);
	w->in_header = false;
	read_fields(w, p);
	if (span_is_nocase(p->type, "multipart")) {
		if (room_below(w, p) && push_frame(w, i))
			p->kind = MIME_MULTIPART;
		else
			make_text(p);
	} else if (span_is_nocase(p->type, "message") &&
	    (span_is_nocase(p->subtype, "rfc822") || span_is_nocase(p->subtype, "global"))) {
		if (is_identity(p->encoding) && room_below(w, p)) {
			p->kind = MIME_MESSAGE;
			p->child = w->n;
			add_part(w, i, end);
		} else {
			make_text(p);
		}
	}
}

/* Everything open below `top` ends at `end`. Each part is closed once: linear. */
static void
close_parts(struct walk *w, uint32_t top, const struct mark *end)
{
	while (w->current != top) {
		if (w->in_header) {
			struct mark stop = *end;

			if (stop.at < w->parts[w->current].header.at)
				stop = w->line;
			end_header(w, &stop);
			if (w->in_header)
				continue;	/* an embedded message has just begun: it is empty */
		}
		run_end(&w->parts[w->current].body, end);
		w->current = w->parts[w->current].parent;
	}
}

/* The frame whose boundary line this is (without its first two hyphens), or -1. */
static int
find_frame(const struct walk *w, struct span text)
{
	if (text.n == 0 || text.n > MIME_BOUNDARY_MAX || !(w->frames[w->depth - 1].seen & boundary_bit(text)))
		return -1;
	for (uint32_t i = w->depth; i-- > 0;)
		if (span_eq(text, span_of(w->frames[i].boundary, w->frames[i].n)))
			return (int)i;
	return -1;
}

/* RFC 2046 5.1.1. True when the line was a boundary. */
static bool
take_boundary(struct walk *w, struct span line, const struct mark *behind)
{
	struct span text = span_trim_right(span_skip(line, 2));
	bool last = false;
	struct frame *f;
	uint32_t part;
	int i;

	if (w->depth == 0 || line.n < 3 || line.p[0] != '-' || line.p[1] != '-' || text.n > MIME_BOUNDARY_MAX + 2)
		return false;
	i = find_frame(w, text);
	if (i < 0 && text.n > 2 && text.p[text.n - 1] == '-' && text.p[text.n - 2] == '-') {
		i = find_frame(w, span_sub(text, 0, text.n - 2));
		last = true;
	}
	if (i < 0)
		return false;
	f = &w->frames[i];
	close_parts(w, f->part, &w->before);
	w->depth = (uint32_t)i + !last;
	w->in_header = false;
	if (last)
		return true;
	if (w->n >= MIME_PARTS_MAX) {	/* the rest is epilogue */
		w->cut = true;
		w->depth--;
		return true;
	}
	part = add_part(w, f->part, behind);
	if (f->last_child == MIME_NONE) {
		w->parts[f->part].child = part;
	} else {
		w->parts[f->last_child].next = part;
		w->parts[part].number = w->parts[f->last_child].number + 1;
	}
	f->last_child = part;
	return true;
}

/* Over lines of a body that cannot be boundaries: most of every message. */
static void
skip_lines(struct walk *w)
{
	const char *p = w->msg.p, *at = p + w->line.at, *end = p + w->msg.n, *stop = end, *found = NULL, *lf;
	size_t lines = 0, bare = 0;

	while (stop == end && at < end && (lf = *at == '\n' ? at : memchr(at, '\n', (size_t)(end - at)))) {
		lines++;
		bare += lf == at || lf[-1] != '\r';
		found = lf;
		at = lf + 1;
		if (w->depth && at < end && *at == '-')
			stop = at;
	}
	w->line.lines += lines;
	w->line.bare += bare;
	w->line.at = (size_t)(stop - p);
	if (found)
		w->before = (struct mark){ (size_t)(found - p), w->line.lines - 1, w->line.bare };
	if (found && found > p && found[-1] == '\r')
		w->before.at--;
	else if (found)
		w->before.bare--;
}

static void
walk_lines(struct walk *w)
{
	while (w->line.at < w->msg.n) {
		if (!w->in_header && !(w->depth && w->msg.p[w->line.at] == '-')) {
			skip_lines(w);
			continue;
		}
		const char *lf = memchr(w->msg.p + w->line.at, '\n', w->msg.n - w->line.at);
		size_t end = lf ? (size_t)(lf - w->msg.p) : w->msg.n;
		bool cr = lf && end > w->line.at && w->msg.p[end - 1] == '\r';
		struct mark stop = { end - cr, w->line.lines, w->line.bare };
		struct mark behind = { end + !!lf, stop.lines + !!lf, stop.bare + (lf && !cr) };
		struct span line = span_sub(w->msg, w->line.at, stop.at);

		if (!take_boundary(w, line, &behind) && w->in_header && line.n == 0)
			end_header(w, &behind);
		w->before = stop;
		w->line = behind;
	}
}

static void
walk_end(struct walk *w)
{
	struct mark end = w->line;

	close_parts(w, 0, &end);
	if (w->in_header)
		end_header(w, &end);
	close_parts(w, 0, &end);
	run_end(&w->parts[0].body, &end);
	/* RFC 9051: a multipart has at least one part; one whose boundary never came is text */
	for (uint32_t i = 0; i < w->n; i++)
		if (w->parts[i].kind == MIME_MULTIPART && w->parts[i].child == MIME_NONE)
			make_text(&w->parts[i]);
}

bool
mime_parse(struct mime *m, struct arena *a, struct span msg)
{
	struct walk w = { .msg = msg };

	*m = (struct mime){ .msg = msg };
	w.frames = x_realloc(NULL, (MIME_DEPTH_MAX + 1) * sizeof(*w.frames));
	add_part(&w, MIME_NONE, &w.line);
	walk_lines(&w);
	walk_end(&w);
	m->parts = arena_try(a, w.n * sizeof(*w.parts));
	if (m->parts) {
		memcpy(m->parts, w.parts, w.n * sizeof(*w.parts));
		m->n = w.n;
		m->cut = w.cut;
	}
	x_free(&w.parts);
	x_free(&w.frames);
	return m->parts != NULL;
}

static uint32_t
nth_child(const struct mime *m, uint32_t parent, uint32_t number)
{
	uint32_t i = m->parts[parent].child;

	while (i != MIME_NONE && m->parts[i].number != number)
		i = m->parts[i].next;
	return i;
}

/* RFC 9051 6.4.5: a message that is no multipart has itself as part 1. */
uint32_t
mime_find(const struct mime *m, const uint32_t *path, size_t n)
{
	uint32_t within = 0;		/* whose part is looked for */

	if (m->n == 0 || n == 0)
		return MIME_NONE;
	for (size_t i = 0;; i++) {
		uint32_t part = within;

		if (m->parts[within].kind == MIME_MULTIPART)
			part = nth_child(m, within, path[i]);
		else if (path[i] != 1)
			return MIME_NONE;
		if (part == MIME_NONE || i + 1 == n)
			return part;
		if (m->parts[part].kind == MIME_LEAF)
			return MIME_NONE;
		within = m->parts[part].kind == MIME_MESSAGE ? m->parts[part].child : part;
	}
}
