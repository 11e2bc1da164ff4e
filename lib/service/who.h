/*
 * who.h: an event-driven daemon tells the operator of its sessions (merpati
 * who), and ends those that he names (merpati kick). Sessions go out as fast as
 * he reads them; nothing blocks, and they may come and go meanwhile.
 *
 * Each session has a number that grows within the process. The daemon walks
 * its list, newest first:
 *
 *	static void
 *	tell(struct who *w, uint64_t below)
 *	{
 *		for each session s with s->number < below
 *			switch (who_tell(w, &row_of_s)) { WHO_FULL: return; WHO_KICK: end it; WHO_NEXT: ; }
 *	}
 */
#ifndef SERVICE_WHO_H
#define SERVICE_WHO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

#define WHO_UNKNOWN UINT32_MAX
#define WHO_ANSWERS 4		/* at a time; the oldest makes room */

struct who;
struct who_session {
	uint64_t number;
	struct span user;		/* empty: not logged in */
	struct span client, tls;
	uint64_t since;			/* seconds since 1970 */
	uint32_t idle;			/* seconds, or WHO_UNKNOWN */
	uint64_t in, out;
	struct span folder;		/* that is selected, as the session says; empty: none, or not told yet */
	bool ending;			/* is told, and never to be kicked */
};
enum who_next { WHO_NEXT, WHO_KICK, WHO_FULL };

/* In start(), once. */
void who_init(void (*tell)(struct who *w, uint64_t below));
/* WHO_FULL: stop, tell() is called again later. */
enum who_next who_tell(struct who *w, const struct who_session *s) CHECKED;

/* Does `what` of merpati who mean this session? Pure. id: "PID.NUMBER". */
bool who_matches(struct span what, struct span id, const struct who_session *s);

#endif
