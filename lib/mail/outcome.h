/* outcome.h: what became of a delivery to one recipient: the same value in smtp, local, qmgr, bounce and the log. */
#ifndef MAIL_OUTCOME_H
#define MAIL_OUTCOME_H

#include "base/buf.h"

enum outcome_kind {
	OUTCOME_DELIVERED,
	OUTCOME_DEFERRED,	/* try again later (4.x.x) */
	OUTCOME_FAILED,		/* never try again (5.x.x): a report goes to the sender */
	/*
	 * local, by a .forward: text holds addresses, a line each (for bounce); or "|", when it has programs, which come first (for
	 * pipe), and a line "\\" when there is more in it: local is asked again behind them (MAIL_PROGRAMS_RAN).
	 * smtp: the delivery was queued for another set of mail hosts; text names one of the right set.
	 */
	OUTCOME_REDIRECTED,
	OUTCOME_DAMAGED,	/* the queue file does not hold what was accepted: nothing was delivered, and nothing will be */
};

#define OUTCOME_TEXT_MAX 512

struct outcome {
	enum outcome_kind kind;
	int code;			/* SMTP reply code, 0 when there was none */
	char dsn[12];			/* "5.1.1" */
	char text[OUTCOME_TEXT_MAX];	/* printable, one line */
	char mta[256];			/* remote server, "" for us */
	char tls[80];			/* how the connection was protected; "": it was not */
	bool promised;			/* that server has DSN and was told what reports are wanted */
};

struct outcome outcome_make(enum outcome_kind kind, const char *dsn, const char *fmt, ...) PRINTF(3, 4);
/* From an SMTP reply: 2xx delivered, 4xx deferred, 5xx failed; the enhanced code is taken from the text when it has one. */
struct outcome outcome_from_reply(int code, struct span text, const char *mta);
/* Length of the enhanced code "5.1.1" at the start (RFC 3463 2); 0: none. */
size_t outcome_enhanced_code(struct span text);
const char *outcome_word(enum outcome_kind kind);	/* sent, deferred, bounced, redirected (Postfix's log words) */
/* Replace what is not printable; for text from remote servers. */
void outcome_clean(char *s);

#endif
