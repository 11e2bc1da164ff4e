/* The lists of other servers: whatever is in them, entries lie in the text and what is found was asked for. */
#include <stdlib.h>

#include "mail/store/foreignlist.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(const struct foreignlist *l, struct span text)
{
	struct buf id;

	buf_init(&id, 200);
	for (size_t i = 0; i < l->n; i++) {
		const struct foreignlist_entry *e = &l->entries[i], *found = foreignlist_find(l, e->name);

		if (e->name.p < text.p || e->name.p + e->name.n > text.p + text.n || e->name.n == 0 || span_find(e->name, ':') >= 0 || found != e)
			abort();
		if (e->uid && e->uid >= l->uidnext)
			abort();
		buf_reset(&id);
		foreignlist_pop_id(l, e, "%08Xu%08Xv-%f-%g", &id);
	}
	buf_fini(&id);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span s = span_of(n ? (const char *)data : "", n);
	struct foreignlist l;
	char format[32];

	foreignlist_init(&l);
	if (foreignlist_read_dovecot(&l, s) && (!l.uidvalidity || !l.uidnext))
		abort();
	if (!foreignlist_read_courier_pop(&l, s) && l.uidvalidity == 0 && l.n)
		abort();
	foreignlist_sort(&l);
	check(&l, s);
	foreignlist_fini(&l);
	memcpy(format, s.p, n < sizeof(format) ? n : sizeof(format) - 1);
	format[n < sizeof(format) ? n : sizeof(format) - 1] = '\0';
	foreignlist_format_check(format);
	return 0;
}
