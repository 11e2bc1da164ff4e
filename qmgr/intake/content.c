/* content.c: the walk through a message that comes in. Every byte of it is a stranger's. */
#include "checks.h"

#include "mail/header.h"
#include "mail/mime.h"
#include "service/params.h"
#include "base/banned.h"

#define PARAMS_MAX 16384		/* bytes of a Content-Type that are looked at: pieces of a parameter cost a look each */

void
content_init(struct content *c)
{
	*c = (struct content){ 0 };
	buf_init(&c->line, CONTENT_LINE_MAX);
	buf_init(&c->field, CONTENT_FIELD_MAX + CONTENT_LINE_MAX);
	buf_init(&c->boundary, CONTENT_BOUNDARY_MAX);
}

void
content_fini(struct content *c)
{
	buf_fini(&c->line);
	buf_fini(&c->field);
	buf_fini(&c->boundary);
}

void
content_reset(struct content *c)
{
	c->on = c->middle = c->field_cut = false;
	c->where = CONTENT_BODY;
	c->shown = 0;
	c->depth = 0;
	buf_reset(&c->line);
	buf_reset(&c->field);
}

/* ---- what a header says ---- */

/* message: what it is when it does not say. */
static void
header_begins(struct content *c, bool message)
{
	c->multipart = c->digest = c->encoded = false;
	c->message = message;
	buf_reset(&c->boundary);
}

/* Content-Type: the first one counts; what it lacks is text. */
static void
learn_type(struct content *c, struct span value)
{
	struct span all = header_skip_cfws(value), type, params;
	ssize_t semicolon = span_find(all, ';');

	if (c->multipart)
		return;
	type = semicolon < 0 ? all : span_sub(all, 0, (size_t)semicolon);
	params = span_skip(all, type.n);
	c->multipart = span_starts_nocase(type, "multipart/");
	c->digest = span_starts_nocase(type, "multipart/digest");
	c->message = span_starts_nocase(type, "message/rfc822") || span_starts_nocase(type, "message/global");
	buf_reset(&c->boundary);
	if (!c->multipart || !mime_param(span_sub(params, 0, PARAMS_MAX), "boundary", &c->boundary))
		c->multipart = false;
	c->multipart = c->multipart && c->boundary.len > 0;
}

static void
learn(struct content *c, struct span name, struct span value)
{
	struct span encoding;

	if (span_is_nocase(name, "content-type"))
		learn_type(c, value);
	if (!span_is_nocase(name, "content-transfer-encoding"))
		return;
	encoding = span_trim(header_skip_cfws(value));
	c->encoded = span_starts_nocase(encoding, "base64") || span_starts_nocase(encoding, "quoted-printable");
}

static void
header_ends(struct content *c)
{
	struct content_level *l = &c->levels[c->depth];

	c->where = c->message && !c->encoded ? CONTENT_NESTED : CONTENT_BODY;
	c->shown = 0;
	if (c->multipart && c->depth < CONTENT_DEPTH_MAX) {
		l->n = (uint8_t)c->boundary.len;
		l->digest = c->digest;
		memcpy(l->boundary, c->boundary.p, c->boundary.len);
		c->depth++;
	}
	if (c->where == CONTENT_NESTED)
		header_begins(c, false);
}

/* ---- fields ---- */

static enum check_kind
kind_of(enum content_where where, struct span name)
{
	if (where == CONTENT_PART || span_starts_nocase(name, "content-") || span_is_nocase(name, "mime-version"))
		return CHECK_MIME;
	return where == CONTENT_NESTED ? CHECK_NESTED : CHECK_HEADER;
}

static void
show_field(struct intake *in, enum content_where where, const struct header *h, struct buf *out)
{
	learn(&in->content, h->name, h->value);
	checks_ask(in, kind_of(where, h->name), h->raw, out);
}

static void
flush_field(struct intake *in)
{
	struct content *c = &in->content;
	struct header_cursor cursor;
	struct header h;

	c->field_cut = false;
	if (c->field.len == 0)
		return;
	header_begin(&cursor, buf_span(&c->field));
	if (header_next(&cursor, &h))
		show_field(in, c->where, &h, &in->out);
	buf_reset(&c->field);
}

void
content_header(struct intake *in, struct span header, struct buf *out)
{
	struct content *c = &in->content;
	struct header_cursor cursor;
	struct header h;

	header_begins(c, false);
	header_begin(&cursor, header);
	while (!in->failure.code && header_next(&cursor, &h))
		show_field(in, CONTENT_BODY, &h, out);
	buf_addspan(out, span_skip(header, cursor.at));
	header_ends(c);
	c->on = checks_has(CHECK_MIME) || checks_has(CHECK_NESTED) || checks_has(CHECK_BODY);
}

/* ---- lines ---- */

static bool
is_shown(const struct content *c)
{
	return checks_has(CHECK_BODY) && c->shown < par.body_checks_size_limit;
}

static void
show_line(struct intake *in, struct span line)
{
	struct content *c = &in->content;

	if (!is_shown(c)) {
		buf_addspan(&in->out, line);
		return;
	}
	c->shown += line.n;
	checks_ask(in, CHECK_BODY, line, &in->out);
}

/* A line that begins with "--" and the boundary of an open multipart ends all that is inside of it. */
static bool
take_boundary(struct intake *in, struct span line)
{
	struct content *c = &in->content;
	struct span text = span_skip(line, 2);
	unsigned at = c->depth;

	if (!span_starts(line, "--"))
		return false;
	while (at > 0 && (text.n < c->levels[at - 1].n || memcmp(text.p, c->levels[at - 1].boundary, c->levels[at - 1].n) != 0))
		at--;
	if (at == 0)
		return false;
	if (c->where != CONTENT_BODY)
		flush_field(in);
	c->depth = at;
	c->shown = 0;
	show_line(in, line);
	if (span_starts(span_skip(text, c->levels[at - 1].n), "--")) {
		c->depth--;
		c->where = CONTENT_BODY;
	} else {
		c->where = CONTENT_PART;
		header_begins(c, c->levels[at - 1].digest);
	}
	return true;
}

static bool
is_field(struct span line)
{
	struct header_cursor cursor;
	struct header h;

	header_begin(&cursor, line);
	return header_next(&cursor, &h) && h.name.n > 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* More of the field, or a piece of a cut line of it. What does not fit passes behind it. */
static void
continue_field(struct intake *in, struct span line)
{
	struct content *c = &in->content;

	if (c->field.len + line.n > CONTENT_FIELD_MAX) {
		flush_field(in);
		c->field_cut = true;
	}
	buf_addspan(c->field_cut ? &in->out : &c->field, line);
}

static void
take_header_line(struct intake *in, struct span line, bool begins)
{
	struct content *c = &in->content;

	if (!begins || (is_blank(line.p[0]) && (c->field.len > 0 || c->field_cut))) {
		continue_field(in, line);
		return;
	}
	flush_field(in);
	if (is_field(line)) {
		buf_addspan(&c->field, line);
		return;
	}
	header_ends(c);
	if (line.p[0] == '\n')
		buf_addspan(&in->out, line);
	else
		show_line(in, line);
}

/* A line, or a piece of a long one. */
static void
take_line(struct intake *in, struct span line)
{
	struct content *c = &in->content;
	bool begins = !c->middle;

	c->middle = line.p[line.n - 1] != '\n';
	if (begins && c->depth > 0 && take_boundary(in, line))
		;
	else if (c->where == CONTENT_BODY)
		show_line(in, line);
	else
		take_header_line(in, line, begins);
	if (in->out.len >= INTAKE_FLUSH)
		intake_flush(in);
}

/*
 * Of a body that nobody looks at, and that is at the start of a line: whole lines that are no boundary, as one piece. A message of
 * nothing but line ends costs no more than any other by this. Returns how much was taken.
 */
static size_t
pass(struct intake *in, struct span text)
{
	struct content *c = &in->content;
	const char *end;

	if (c->where != CONTENT_BODY || c->middle || c->line.len > 0 || text.p[0] == '-' || is_shown(c))
		return 0;
	text = span_sub(text, 0, CONTENT_LINE_MAX);
	end = memmem(text.p, text.n, "\n--", 3);
	if (!end)
		end = memrchr(text.p, '\n', text.n);
	if (!end)
		return 0;
	text.n = (size_t)(end - text.p) + 1;
	buf_addspan(&in->out, text);
	if (in->out.len >= INTAKE_FLUSH)
		intake_flush(in);
	return text.n;
}

void
content_feed(struct intake *in, struct span text)
{
	struct content *c = &in->content;

	while (text.n > 0 && !in->failure.code) {
		size_t passed = pass(in, text);

		if (passed > 0) {
			text = span_skip(text, passed);
			continue;
		}
		const char *lf = memchr(text.p, '\n', text.n);
		size_t n = lf ? (size_t)(lf - text.p) + 1 : text.n, room = CONTENT_LINE_MAX - c->line.len;
		struct span line = span_sub(text, 0, n < room ? n : room);
		bool whole = line.p[line.n - 1] == '\n' || line.n == room;

		text = span_skip(text, line.n);
		if (whole && c->line.len == 0) {
			take_line(in, line);
			continue;
		}
		buf_addspan(&c->line, line);
		if (!whole)
			continue;
		take_line(in, buf_span(&c->line));
		buf_reset(&c->line);
	}
}

void
content_end(struct intake *in)
{
	struct content *c = &in->content;

	if (!c->on || in->failure.code)
		return;
	if (c->line.len > 0)
		take_line(in, buf_span(&c->line));
	buf_reset(&c->line);
	if (!in->failure.code && c->where != CONTENT_BODY)
		flush_field(in);
}
