/* bdat.c: the argument of BDAT (RFC 3030 2): a stranger's number of bytes, and whether they are the last. */
#include "bdat.h"

#include "base/banned.h"

bool
bdat_parse(struct span arg, uint64_t *size, bool *last)
{
	struct span number, word;

	*last = false;
	if (!span_word(&arg, " \t", &number) || !span_u64(number, 0, UINT64_MAX, size))
		return false;
	if (!span_word(&arg, " \t", &word))
		return true;
	*last = true;
	return span_is_nocase(word, "LAST") && !span_word(&arg, " \t", &word);
}
