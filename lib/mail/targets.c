/* targets.c: words of a list, a .forward or an alias. The text may be hostile. */
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

bool
targets_next(struct span *list, struct span *out)
{
	size_t i = 0, start;
	bool quoted = false, program;

	while (i < list->n && strchr(", \t\r\n", list->p[i]) && list->p[i] != '\0')
		i++;
	start = i;
	program = i < list->n && list->p[i] == '|';
	for (; i < list->n; i++) {
		char c = list->p[i];

		if (c == '\\' && quoted && i + 1 < list->n)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == ',' || (!program && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))))
			break;
	}
	*out = span_sub(*list, start, i);
	*list = span_skip(*list, i);
	return out->n > 0;
}

bool
targets_hop_is(struct span hop, struct span name)
{
	ssize_t colon = span_rfind(hop, ':'), end = span_rfind(hop, ']');

	if (name.n == 0 || span_eq_nocase(hop, name))
		return name.n > 0;
	if (colon > end)
		hop = span_sub(hop, 0, (size_t)colon);
	if (span_eq_nocase(hop, name))
		return true;
	return hop.n > 2 && hop.p[0] == '[' && hop.p[hop.n - 1] == ']' && span_eq_nocase(span_sub(hop, 1, hop.n - 1), name);
}
