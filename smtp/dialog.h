/* dialog.h: the SMTP dialog as a table: verb, how it is built, what its reply means. */
#ifndef SMTP_DIALOG_H
#define SMTP_DIALOG_H

#include "session.h"

void dialog_greeting(struct session *s);	/* connected: wait for 220 */
void dialog_secure(struct session *s);		/* TLS is on: EHLO again */
void dialog_envelope(struct session *s);	/* send as much of the envelope as may be sent now */
void dialog_quit(struct session *s);
void dialog_line(void *session, unsigned line, struct span text);	/* a line of a reply: extensions */
struct outcome dialog_outcome(const struct session *s, const struct reply *r, const char *command);
void dialog_expect_dot(struct session *s);	/* the message is sent: one reply, with LMTP one a recipient */
extern const struct row dialog_dot;		/* the reply to the end of the message */

#endif
