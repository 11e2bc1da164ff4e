/* input.c: lines and literals to one command in memory. Every byte is the client's; sizes are believed only within bounds. */
#include "input.h"

#include "base/banned.h"

#define DISCARD_MAX (1u << 30)	/* a refused literal that is already on its way; a longer one ends the session */

enum literal_kind
input_literal(struct span line, uint64_t *size, bool *sync)
{
	ssize_t open;
	struct span digits;

	if (line.n < 3 || line.p[line.n - 1] != '}')
		return LITERAL_NONE;
	open = span_rfind(line, '{');
	if (open < 0)
		return LITERAL_NONE;
	digits = span_sub(line, (size_t)open + 1, line.n - 1);
	*sync = true;
	if (digits.n && digits.p[digits.n - 1] == '+') {
		*sync = false;
		digits.n--;
	}
	if (digits.n > 1 && digits.p[0] == '0')
		return LITERAL_BAD;
	return span_u64(digits, 0, UINT32_MAX, size) ? LITERAL_FOLLOWS : LITERAL_BAD;
}

/* tag = 1*<any ASTRING-CHAR except "+"> */
struct span
input_tag(struct span line, struct span *rest)
{
	size_t n = 0;

	while (n < line.n && (unsigned char)line.p[n] > 0x20 && (unsigned char)line.p[n] < 0x7f &&
	    !strchr("(){%*\"\\+", line.p[n]))
		n++;
	*rest = span_skip(line, n + 1);
	if (n == 0 || n > IMAP_TAG_MAX || (n < line.n && line.p[n] != ' ')) {
		*rest = SPAN_NONE;
		return SPAN_NONE;
	}
	return span_sub(line, 0, n);
}

/* Is the literal at the end of the command the message of an APPEND or REPLACE? Not when it is the mailbox name. */
static bool
is_message(struct span text)
{
	struct span rest, name, number;

	if (input_tag(text, &rest).n == 0 || !span_cut(&rest, ' ', &name))
		return false;
	if (span_is_nocase(name, "UID") && !span_cut(&rest, ' ', &name))
		return false;
	if (span_is_nocase(name, "REPLACE"))
		return span_cut(&rest, ' ', &number) && rest.p &&
		    (rest.p[0] != '{' || memchr(rest.p, '\n', rest.n) != NULL);
	return span_is_nocase(name, "APPEND") && rest.p &&
	    (rest.p[0] != '{' || memchr(rest.p, '\n', rest.n) != NULL);
}

static bool
too_long(struct session *s)
{
	s->io.end = STREAM_TOO_LONG;
	return false;
}

/*
 * The rest of a command that is refused: literals that come without being asked for, and what is between them. Text
 * inside a literal must never be taken for a command. A client that waits for "+" has not sent its literal.
 */
static bool
skip_literals(struct session *s, uint64_t size, bool sync)
{
	enum literal_kind kind = LITERAL_FOLLOWS;
	uint64_t left = DISCARD_MAX;
	struct buf rest;
	bool ok = true;

	buf_init(&rest, s->line_max);
	while (ok && kind == LITERAL_FOLLOWS && !sync) {
		if (size + s->line_max > left) {
			ok = too_long(s);
			break;
		}
		left -= size + s->line_max;
		buf_reset(&rest);
		ok = stream_skip(&s->io, size) && stream_line(&s->io, &rest);
		kind = ok ? input_literal(buf_span(&rest), &size, &sync) : LITERAL_NONE;
	}
	buf_fini(&rest);
	if (ok && kind == LITERAL_BAD && !sync)
		return too_long(s);
	return ok;
}

void
input_drop_literal(struct session *s)
{
	if (s->literal)
		skip_literals(s, s->literal_size, s->literal_sync);
	s->literal = false;
}

bool
input_more(struct session *s, struct buf *line)
{
	bool sync;

	if (!stream_line(&s->io, line))
		return false;
	switch (input_literal(buf_span(line), &s->literal_size, &sync)) {
	case LITERAL_NONE:
		return true;
	case LITERAL_BAD:
		return sync || too_long(s);
	case LITERAL_FOLLOWS:
		s->literal = true;
		s->literal_sync = sync;
		return true;
	}
	return false;
}

static bool
read_literal(struct session *s, uint64_t size, bool sync)
{
	if (sync)
		stream_puts(&s->io, "+ OK\r\n");
	buf_adds(&s->line, "\r\n");
	return stream_exact(&s->io, &s->line, (size_t)size) || (s->line.over && too_long(s));
}

enum input_result
input_command(struct session *s)
{
	size_t lines = 0;

	s->literal = false;
	if (s->line.cap > STREAM_IN)
		buf_fini(&s->line);
	buf_reset(&s->line);
	for (;;) {
		size_t start = s->line.len;
		struct span line;
		uint64_t size;
		bool sync;

		s->line.max = start + s->line_max - lines + 1;
		if (!stream_line(&s->io, &s->line))
			return INPUT_END;
		s->line.max = s->line_max + IMAP_COMMAND_MAX;
		line = span_skip(buf_span(&s->line), start);
		lines += line.n;
		switch (input_literal(line, &size, &sync)) {
		case LITERAL_NONE:
			return INPUT_COMMAND;
		case LITERAL_BAD:
			if (sync)
				return INPUT_REFUSED;	/* the client waits: nothing of it is on its way */
			too_long(s);
			return INPUT_END;
		case LITERAL_FOLLOWS:
			break;
		}
		if (is_message(buf_span(&s->line))) {
			s->literal = true;
			s->literal_sync = sync;
			s->literal_size = size;
			return INPUT_COMMAND;
		}
		if (size > IMAP_LITERAL_MAX || s->line.len + size > IMAP_COMMAND_MAX)
			return skip_literals(s, size, sync) ? INPUT_REFUSED : INPUT_END;
		if (!read_literal(s, size, sync))
			return INPUT_END;
	}
}
