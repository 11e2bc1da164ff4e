/* The list of UIDs of a folder: it ends behind its last whole line, and what is read of that alone is the same. */
#include <stdlib.h>

#include "mail/store/uidlist.h"
#include "base/banned.h"

#define VALIDITY 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span s = span_of(n ? (const char *)data : "", n);
	struct uidlist l, again;
	size_t used = 0;

	uidlist_parse(&l, s, VALIDITY);
	if (l.end > n || (l.end && s.p[l.end - 1] != '\n') || memchr(s.p + l.end, '\n', l.end ? n - l.end : 0))
		abort();
	uidlist_parse(&again, span_sub(s, 0, l.end), VALIDITY);
	if (again.end != l.end || again.n != l.n || again.mask != l.mask)
		abort();
	for (size_t i = 0; l.slot && i <= l.mask; i++) {
		if (!l.slot[i].uid)
			continue;
		used++;
		if (uidlist_find(&again, &l.slot[i].id) != l.slot[i].uid)
			abort();
	}
	if (used != l.n)
		abort();
	uidlist_fini(&l);
	uidlist_fini(&again);
	return 0;
}
