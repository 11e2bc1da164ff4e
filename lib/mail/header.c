/* header.c: a cursor over the header of a message. Hostile bytes; nothing is ever refused. */
#include "mail/header.h"

#include "base/banned.h"

void
header_begin(struct header_cursor *c, struct span msg)
{
	*c = (struct header_cursor){ .msg = msg, .body = msg.n };
}

/* Offset behind the line that begins at `at`. */
static size_t
line_end(struct span msg, size_t at)
{
	const char *lf = memchr(msg.p + at, '\n', msg.n - at);

	return lf ? (size_t)(lf - msg.p) + 1 : msg.n;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The name in a line: printable ASCII up to the colon (RFC 5322 3.6.8), blanks before the colon forgiven. */
static bool
split_name(struct header *h, struct span field)
{
	struct span start = span_sub(field, 0, HEADER_NAME_MAX);
	ssize_t colon = span_find(start, ':');
	struct span name;

	if (colon <= 0)
		return false;
	name = span_trim_right(span_sub(field, 0, (size_t)colon));
	if (name.n == 0)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= 0x20 || name.p[i] >= 0x7f)
			return false;
	h->name = name;
	h->value = span_skip(field, (size_t)colon + 1);
	return true;
}

static struct span
without_line_end(struct span s)
{
	if (s.n && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

bool
header_next(struct header_cursor *c, struct header *h)
{
	size_t end, at = c->at;
	struct span field;

	if (at >= c->msg.n) {
		c->body = c->msg.n;
		return false;
	}
	end = line_end(c->msg, at);
	if (without_line_end(span_sub(c->msg, at, end)).n == 0) {
		c->body = end;
		return false;
	}
	while (end < c->msg.n && is_blank(c->msg.p[end]))
		end = line_end(c->msg, end);
	h->at = at;
	h->raw = span_sub(c->msg, at, end);
	field = without_line_end(h->raw);
	if (!split_name(h, field)) {
		h->name = SPAN_NONE;
		h->value = field;
	}
	c->at = end;
	return true;
}

bool
header_find(struct span msg, const char *name, struct header *h)
{
	struct header_cursor c;

	header_begin(&c, msg);
	while (header_next(&c, h))
		if (span_is_nocase(h->name, name))
			return true;
	return false;
}

size_t
header_body(struct span msg)
{
	size_t at = 0, end;

	/* the first empty line: no line that goes on with a field is one */
	for (; at < msg.n; at = end) {
		end = line_end(msg, at);
		if (without_line_end(span_sub(msg, at, end)).n == 0)
			return end;
	}
	return msg.n;
}

void
header_unfold(struct buf *out, struct span value)
{
	value = span_trim(value);
	while (value.n && !out->over) {
		size_t n = span_uncontrolled(value), room = out->max - out->len;
		char c;

		buf_addspan(out, span_sub(value, 0, n < room ? n : room));
		out->over = out->over || n > room;
		if (n == value.n || out->over)
			return;
		c = value.p[n];
		value = span_skip(value, n + 1);
		if (c != '\n' && !(c == '\r' && value.n && value.p[0] == '\n'))
			buf_addc(out, c == '\t' ? '\t' : ' ');
	}
}

struct span
header_skip_cfws(struct span s)
{
	size_t depth = 0, i;

	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '(')
			depth++;
		else if (depth && c == ')')
			depth--;
		else if (depth && c == '\\')
			i++;
		else if (!depth && !is_blank(c) && c != '\r' && c != '\n')
			break;
	}
	return span_skip(s, i);
}
