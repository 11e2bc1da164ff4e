/* line.c: commands out of a stream of hostile bytes. */
#include "service/front/line.h"

#include "base/banned.h"

enum announced { NO_LITERAL, WAITS, SENDS };	/* SENDS: "{n+}", without being asked */

/* "{123}" or "{123+}" at the end of a line. More digits than a number can have: SIZE_MAX. */
static enum announced
literal_at_end(struct span line, size_t *size)
{
	enum announced kind = WAITS;
	ssize_t open = span_rfind(line, '{');
	struct span digits;
	uint64_t n;

	if (line.n < 3 || line.p[line.n - 1] != '}' || open < 0)
		return NO_LITERAL;
	digits = span_sub(line, (size_t)open + 1, line.n - 1);
	if (digits.n > 0 && digits.p[digits.n - 1] == '+') {
		kind = SENDS;
		digits.n--;
	}
	if (digits.n == 0 || (digits.p[0] == '0' && digits.n > 1))
		return NO_LITERAL;
	for (size_t i = 0; i < digits.n; i++)
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return NO_LITERAL;
	*size = digits.n < 16 && span_u64(digits, 0, SIZE_MAX, &n) ? (size_t)n : SIZE_MAX;
	return kind;
}

static enum line_state
done(struct line_scan *scan, enum line_state state, size_t at, size_t *end)
{
	*scan = (struct line_scan){ 0 };
	*end = at;
	return state;
}

enum line_state
line_scan(struct line_scan *scan, struct span in, const struct line_limits *limits, size_t *end)
{
	for (;;) {		/* each round passes an LF, so it ends within limits->command */
		size_t from = scan->seen > scan->start ? scan->seen : scan->start, size = 0;
		struct span line;
		enum announced kind;
		ssize_t lf;

		if (from > in.n)
			return LINE_MORE;
		lf = span_find(span_skip(in, from), '\n');
		scan->seen = lf < 0 ? in.n : from + (size_t)lf;
		if (scan->seen - scan->start >= limits->line || scan->seen >= limits->command)
			return LINE_TOO_LONG;
		if (lf < 0)
			return LINE_MORE;
		line = span_sub(in, scan->start, scan->seen);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		kind = limits->literal ? literal_at_end(line, &size) : NO_LITERAL;
		if (kind == NO_LITERAL)
			return done(scan, LINE_DONE, scan->seen + 1, end);
		if (size > limits->literal || scan->seen + 1 + size >= limits->command)
			return kind == WAITS ? done(scan, LINE_REFUSED, scan->seen + 1, end) : LINE_TOO_LONG;
		scan->start = scan->seen + 1 + size;
		scan->seen = scan->start;
		if (kind == WAITS)
			return LINE_GO_ON;
	}
}
