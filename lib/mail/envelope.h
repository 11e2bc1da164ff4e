/* envelope.h: flags of a message, as they travel in MAIL, DELIVER and the queue file. */
#ifndef MAIL_ENVELOPE_H
#define MAIL_ENVELOPE_H

enum mail_flag {
	MAIL_8BITMIME = 1 << 0,
	MAIL_SMTPUTF8 = 1 << 1,
	MAIL_BINARY = 1 << 2,		/* BODY=BINARYMIME */
	MAIL_REQUIRETLS = 1 << 3,
	MAIL_RET_FULL = 1 << 4,		/* RFC 3461 RET= */
	MAIL_RET_HDRS = 1 << 5,
	MAIL_SUBMISSION = 1 << 6,	/* add missing Date, Message-ID, From (RFC 6409) */
	MAIL_BARE_LF_REJECT = 1 << 7,	/* smtpd_forbid_bare_newline = reject */
	MAIL_INTERNAL = 1 << 8,		/* made by us: a report */
	MAIL_TLS_OPTIONAL = 1 << 9,	/* "TLS-Required: No" (RFC 8689 5): rather without protection than not at all */
	MAIL_HOLD = 1 << 10,		/* into hold/ when it arrives; means nothing later */
	MAIL_PROBE = 1 << 28,		/* to smtp: no message, only the question whether its recipient is taken */
	MAIL_PROGRAMS_RAN = 1 << 29,	/* to local: those of the user's .forward have ended; the rest of it has its turn */
	MAIL_REPEATED = 1 << 30,	/* it may lie in its mailbox already: intake could not see the end of a direct delivery */
};

#define ADDRESS_MAX 320			/* local part 64, @, domain 255 (RFC 5321 4.5.3.1) */

#endif
