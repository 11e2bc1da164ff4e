/* popid.h: POP3's unique id of a message that came from another store: the field L= of its name, '%XX' for what a name must not have. */
#ifndef MAIL_STORE_POPID_H
#define MAIL_STORE_POPID_H

#include "mail/store/filename.h"

/* 1 to 70 bytes from 0x21 to 0x7e (RFC 1939 7)? */
bool popid_valid(struct span id);
/* ",L=..." behind what is in to->extra. False: not valid, or the name has no room. */
bool popid_add(struct filename *to, struct span id) CHECKED;
/* Appends the id; false: the name has none, or a damaged one. */
bool popid_of(const struct filename *name, struct buf *out) CHECKED;

#endif
