/* objectid.h: identities that outlive a copy; see objectid.c. */
#ifndef MAIL_STORE_OBJECTID_H
#define MAIL_STORE_OBJECTID_H

#include "mail/store/driver.h"

struct mail_id objectid_of(const struct filename *name);
/* The fields that tell of `from` in the name of its copy, made now; what else was in to->extra is lost. */
void objectid_copy(const struct filename *from, struct filename *to);

/* The value of a field KEY (two bytes, "E=") that only we write; false: the name has none. */
bool objectid_field(const struct filename *name, const char *key, struct span *value) CHECKED;

#endif
