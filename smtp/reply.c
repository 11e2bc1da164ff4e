/* reply.c: replies of remote servers. Hostile. */
#include "reply.h"

#include "base/banned.h"

void
reply_init(struct reply *r)
{
	*r = (struct reply){ 0 };
	buf_init(&r->text, REPLY_TEXT_MAX);
}

void
reply_reset(struct reply *r)
{
	r->code = 0;
	r->lines = 0;
	buf_reset(&r->text);
}

void
reply_fini(struct reply *r)
{
	buf_fini(&r->text);
}

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

static void
add_text(struct reply *r, struct span text)
{
	size_t room = r->text.max - r->text.len;

	if (r->text.len && room > 1) {
		buf_addc(&r->text, ' ');
		room--;
	}
	buf_addspan(&r->text, span_sub(text, 0, room));
}

/* RFC 5321 4.2.1: three digits, then '-' when more lines follow; the code stands in every line. */
static enum reply_state
take_line(struct reply *r, struct span line)
{
	struct span text;
	int code;

	if (line.n < 3 || !digit(line.p[0]) || !digit(line.p[1]) || !digit(line.p[2]))
		return REPLY_BAD;
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return REPLY_BAD;
	code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
	if (code < 200 || code > 599 || (r->lines && code != r->code) || r->lines >= REPLY_LINES_MAX)
		return REPLY_BAD;
	r->code = code;
	text = span_skip(line, 4);
	add_text(r, text);
	if (r->on_line)
		r->on_line(r->ctx, r->lines, text);
	r->lines++;
	return line.n > 3 && line.p[3] == '-' ? REPLY_MORE : REPLY_DONE;
}

enum reply_state
reply_take(struct reply *r, struct span in, size_t *used)
{
	enum reply_state st = REPLY_MORE;

	*used = 0;
	while (st == REPLY_MORE) {
		struct span rest = span_skip(in, *used);
		ssize_t lf = span_find(span_sub(rest, 0, REPLY_LINE_MAX), '\n');

		if (lf < 0)
			return rest.n >= REPLY_LINE_MAX ? REPLY_BAD : REPLY_MORE;
		st = take_line(r, span_trim_right(span_sub(rest, 0, (size_t)lf)));
		*used += (size_t)lf + 1;
	}
	return st;
}
