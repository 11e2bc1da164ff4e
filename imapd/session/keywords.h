/* keywords.h: flags as parsed to flags as stored. */
#ifndef IMAP_KEYWORDS_H
#define IMAP_KEYWORDS_H

#include "session.h"

uint8_t flags_stored(unsigned system);		/* FLAG_* to MFLAG_* */
/*
 * Keywords to the folder's bits; $Forwarded becomes its flag. With `create`,
 * unknown ones get a letter; false: none is free, or a name is too long.
 */
bool flags_resolve(struct mailfolder *f, const struct flag_list *list, bool create, uint8_t *flags, uint32_t *keywords) CHECKED;

#endif
