/*
 * fuzz_policy_answer.c: an answer of a policy service, also in pieces: an action is one line of it, and the whole says the same as its parts.
 * links: smtpd/policy_answer.c
 */
#include <stdlib.h>
#include <string.h>

#include "smtpd/policy_answer.h"

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_of(data, n), action = SPAN_NONE, part;

	if (n > 1 << 14)
		return 0;
	if (policy_answer(in, &action) == POLICY_ACTION &&
	    (action.p < in.p || action.p + action.n > in.p + in.n || memchr(action.p, '\n', action.n)))
		abort();
	/* As soon as a beginning is an answer, nothing that follows makes it another one. */
	for (size_t i = 0; i < n && i < 200; i++)
		if (policy_answer(span_sub(in, 0, i), &part) == POLICY_ACTION && policy_answer(in, &part) == POLICY_ACTION)
			abort();
	return 0;
}
