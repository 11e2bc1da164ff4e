/* session.h: one POP3 login, from "+OK Logged in." to QUIT. */
#ifndef POP3_SESSION_H
#define POP3_SESSION_H

#include "base/stream.h"
#include "mail/store/mailstore.h"

#define POP3_LINE_MAX 512		/* RFC 2449 4 asks for 255 */
#define POP3_BAD_MAX 20			/* commands that are no commands, then the end */

struct pop3 {
	struct stream stream;
	struct mailstore *store;
	struct mailfolder *folder;
	const struct mail_message *msgs;
	size_t count;
	uint8_t *deleted;		/* one byte a message */
	struct mailtext text;
	unsigned bad;
	bool quit;
	uint32_t commands, retrieved, removed;	/* for the log */
	uint64_t began;			/* monotonic ms */
};

/* One line of the client. */
void pop3_command(struct pop3 *p, struct span line);

/* The whole session on a blocking stream of plain bytes; everything is closed after it but fd. */
void pop3_session(int fd, struct span login, const char *maildir, uint32_t idle_ms);

#endif
