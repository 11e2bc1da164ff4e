/* Keywords of Courier: the input is the list and, from the first NUL on, a file for the name behind it. */
#include <stdlib.h>

#include "mail/store/courierkeywords.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span rest = span_of(n ? (const char *)data : "", n), list, name, found;
	struct courierkeywords k;

	courierkeywords_init(&k);
	span_cut(&rest, '\0', &list);
	courierkeywords_read_list(&k, list);
	if (rest.n) {
		span_cut(&rest, '\n', &name);
		courierkeywords_read_file(&k, name, rest);
	}
	courierkeywords_sort(&k);
	for (struct span text = list, line; text.n && span_cut(&text, '\n', &line); ) {
		ssize_t colon = span_rfind(line, ':');

		found = courierkeywords_find(&k, span_sub(line, 0, colon > 0 ? (size_t)colon : 0));
		if (found.n > 4096 || !span_printable(found))
			abort();
	}
	courierkeywords_fini(&k);
	return 0;
}
