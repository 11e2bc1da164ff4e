/* place.h: which folder is selected, for the operator (merpati who): told to the front when nobody waits for an answer. */
#ifndef IMAP_PLACE_H
#define IMAP_PLACE_H

#include "session.h"

#define PLACE_MS 250		/* a client that is quiet for so long is not kept waiting by it */

void place_tell(struct session *s);	/* when it is not told yet; in vain where the front does not read */
void place_tell_when_quiet(struct session *s);	/* between two commands: waits PLACE_MS for input, when there is something to tell */
void place_is_told(struct session *s);	/* the session before its sleep has */
void place_free(struct session *s);

#endif
