/* submit.h: one message to intake over run/public/submit. Blocks. */
#ifndef TOOLS_SUBMIT_H
#define TOOLS_SUBMIT_H

#include "base/buf.h"

struct submit {
	int fd;
	struct buf sender, envid, notify, rcpts, body;
	uint32_t flags;			/* MAIL_* */
	unsigned nrcpt;
	bool begun, failed;
};

struct submit_result {
	unsigned code;			/* SMTP reply */
	char dsn[16], text[512];
};

void submit_init(struct submit *s);
void submit_fini(struct submit *s);
/* For another message on the same link. */
void submit_reset(struct submit *s);
bool submit_connect(struct submit *s) CHECKED;	/* false with errno */

/* Checked syntax, added to the list. False and a sentence: not an address. */
bool submit_rcpt(struct submit *s, struct span address, struct buf *err) CHECKED;
bool submit_sender(struct submit *s, struct span address, struct buf *err) CHECKED;	/* "" and "<>": the null sender */

/* Text with LF or CRLF line ends, as it comes. Sent in blocks; a dead link shows in submit_end. */
void submit_text(struct submit *s, struct span text);

/* The end of the message: intake's answer (451 when the link broke). */
struct submit_result submit_end(struct submit *s);
/* Takes the message back: nothing of it stays. */
void submit_abort(struct submit *s);

#endif
