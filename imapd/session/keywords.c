/* keywords.c: flags as parsed to flags as stored. */
#include "keywords.h"

#include "base/banned.h"

static const struct {
	unsigned parsed;
	uint8_t stored;
} table[] = {
	{ FLAG_SEEN, MFLAG_SEEN },
	{ FLAG_ANSWERED, MFLAG_ANSWERED },
	{ FLAG_FLAGGED, MFLAG_FLAGGED },
	{ FLAG_DELETED, MFLAG_DELETED },
	{ FLAG_DRAFT, MFLAG_DRAFT },
	{ FLAG_RECENT, MFLAG_RECENT },
};

uint8_t
flags_stored(unsigned system)
{
	uint8_t flags = 0;

	for (size_t i = 0; i < NELEMS(table); i++)
		if (system & table[i].parsed)
			flags |= table[i].stored;
	return flags;
}

bool
flags_resolve(struct mailfolder *f, const struct flag_list *list, bool create, uint8_t *flags, uint32_t *keywords)
{
	*flags = flags_stored(list->system);
	*keywords = 0;
	for (uint32_t i = 0; i < list->n; i++) {
		int bit;

		bool forwarded = mailstore_is_forwarded(list->keywords[i]);

		if (forwarded)
			*flags |= MFLAG_FORWARDED;
		if (forwarded && create)
			continue;	/* the flag is enough; its letter, where there is one, goes with it */
		bit = mailfolder_keyword(f, list->keywords[i], create && list->keywords[i].n <= MAILSTORE_KEYWORD_MAX);
		if (bit >= 0)
			*keywords |= 1u << bit;
		else if (create)
			return false;
	}
	return true;
}
