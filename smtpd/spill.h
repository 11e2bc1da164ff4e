/*
 * spill.h: a large message for which intake has no link to spare waits in an unnamed file, which intake
 * lends; the link is taken when its end is here. So slow clients hold no intake, however many they are.
 * Files and their bytes are bounded for a worker: beyond that messages wait in line for a link.
 */
#ifndef SMTPD_SPILL_H
#define SMTPD_SPILL_H

#include "smtpd.h"

enum spill_state {
	SPILL_KEPT,		/* what was in s->body is in the file */
	SPILL_LATER,		/* the file is asked for: on_ready comes. The client is not read until then */
	SPILL_NONE,		/* no file, or no room in it: the message takes a link as any other */
};

void spill_open(uint32_t connections);	/* how many files there may be besides these */
/* Writes to the page cache of the queue's disk; blocks no longer than that does. */
enum spill_state spill_add(struct session *s, void (*on_ready)(void *ctx));
uint64_t spill_size(const struct session *s);	/* bytes in the file: they come before those in s->body */
bool spill_pending(const struct session *s);	/* intake does not have the file yet */
enum intake_state spill_hand_over(struct session *s);	/* between MAIL and the first PART with a body */
/* In place of a file of its own: a message that lies in fd, in these ranges, one behind the other. Takes fd. */
struct spill_range {
	uint64_t at, size;
};
#define SPILL_RANGES 2
void spill_adopt(struct session *s, int fd, const struct spill_range ranges[SPILL_RANGES]);
void spill_again(struct session *s);		/* the message is given to intake once more, from its beginning */
void spill_drop(struct session *s);		/* at any time */

#endif
