/* policy_answer.c: what a policy service says: lines and an empty line, among them "action=...". It may be anything. */
#include "policy_answer.h"

#include <string.h>

#include "base/banned.h"

/* "action=..." among the lines; false: there is none. */
static bool
find_action(struct span answer, struct span *action)
{
	struct span line;

	while (span_cut(&answer, '\n', &line)) {
		line = span_trim(line);
		if (!span_starts(line, "action="))
			continue;
		*action = span_trim(span_skip(line, 7));
		return true;
	}
	return false;
}

enum policy_answer
policy_answer(struct span in, struct span *action)
{
	const char *end = in.n >= 2 ? memmem(in.p, in.n, "\n\n", 2) : NULL;
	size_t n = end ? (size_t)(end - in.p) : 0;

	if (!end)
		return POLICY_MORE;
	if (n + 2 != in.n || !find_action(span_sub(in, 0, n), action))
		return POLICY_BAD;
	return POLICY_ACTION;
}
