/* feedback.c: how much one result moves the concurrency of a destination, as the configuration writes it. */
#include "service/feedback.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/banned.h"

/* As Postfix writes it: a number, or NUMBER/concurrency, NUMBER/sqrt_concurrency. */
bool
feedback_parse(struct span text, struct feedback_rule *out)
{
	static const char *const ways[] = {
		[FEEDBACK_FLAT] = "", [FEEDBACK_BY_WINDOW] = "concurrency", [FEEDBACK_BY_ROOT] = "sqrt_concurrency",
	};
	struct span rest = text, number;
	char digits[16], *end;

	(void)span_cut(&rest, '/', &number);
	number = span_trim(number);
	rest = span_trim(rest);
	if (number.n == 0 || number.n >= sizeof(digits))
		return false;
	memcpy(digits, number.p, number.n);
	digits[number.n] = '\0';
	out->amount = strtod(digits, &end);
	if (*end || !(out->amount >= 0 && out->amount <= 1))
		return false;
	for (size_t i = 0; i < NELEMS(ways); i++)
		if (span_eq(rest, span_str(ways[i]))) {
			out->by = i;
			return true;
		}
	return false;
}
