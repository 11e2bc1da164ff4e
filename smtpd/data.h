/* data.h: what the files share that take a message from its client and give it to intake. */
#ifndef SMTPD_DATA_H
#define SMTPD_DATA_H

#include "smtpd.h"

#define DRAIN_SLACK (4u << 20)		/* bytes past twice the limit that are read after a refusal */

/* data.c */
void data_window(struct session *s);	/* smtpd_min_data_rate is measured from now on */
void data_end(struct session *s);	/* the client has sent all of it */
void data_conclude(struct session *s, struct reply *r);	/* the transaction is over; answer, or go if the client has gone */
/* The answer is known before the end of data: what still comes is read and thrown away. */
void data_refuse(struct session *s, const struct reply *r);

/* chunk.c */
size_t chunk_take(struct session *s);	/* bytes of the chunk: content as they are (RFC 3030 2). How many were used */
void chunk_end(struct session *s);

/* handover.c: as much to intake as it takes now: everything when the end was seen, else while a whole chunk is here */
void handover_pump(struct session *s);

void handover_again(struct session *s);	/* the milters have seen it: to intake for good */

/* lmtp.c */
void lmtp_begin(struct session *s);	/* all of the message is here: one by one, if there are several recipients */
void lmtp_fill(struct session *s, const struct reply *r);	/* for all that have no answer yet the same one */
/* An answer of intake. True: there is another recipient to pump for; false: this was the last, or they share one. */
bool lmtp_took(struct session *s, const struct reply *r);
bool lmtp_refused(struct session *s, const struct reply *r);

#endif
