/* targets.c: words of a list or a .forward. The text may be hostile. */
#include "mail/targets.h"

#include <string.h>

#include "base/banned.h"

/* A word ends at a comma or blank; quotes hold it together. */
static struct span
cut_word(struct span *line)
{
	struct span word;
	bool quoted = false;
	size_t i;

	for (i = 0; i < line->n; i++) {
		char c = line->p[i];

		if (quoted && c == '\\' && i + 1 < line->n)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '#' || c == '('))
			break;
	}
	word = span_sub(*line, 0, i);
	*line = span_skip(*line, i);
	return word;
}

static bool
each_of_line(struct span line, unsigned number, bool (*f)(void *ctx, struct span word, unsigned line), void *ctx)
{
	while (line.n > 0 && line.p[0] != '#') {
		if (line.p[0] == '(') {
			ssize_t end = span_find(line, ')');

			line = end < 0 ? SPAN_NONE : span_skip(line, (size_t)end + 1);
		} else if (line.p[0] && strchr(", \t\r", line.p[0])) {
			line = span_skip(line, 1);
		} else if (!f(ctx, cut_word(&line), number)) {
			return false;
		}
	}
	return true;
}

bool
targets_each(struct span text, bool (*f)(void *ctx, struct span word, unsigned line), void *ctx)
{
	struct span line;
	unsigned number = 0;

	while (text.n && span_cut(&text, '\n', &line))
		if (!each_of_line(line, ++number, f, ctx))
			return false;
	return true;
}
