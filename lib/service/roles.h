/*
 * roles.h: the kinds of process, as bits. A server knows the role of its peer
 * from the listener on which the peer came in, never from what the peer says.
 */
#ifndef SERVICE_ROLES_H
#define SERVICE_ROLES_H

enum role {
	R_MASTER = 1 << 0,
	R_KEYD = 1 << 1,
	R_AUTH = 1 << 2,
	R_SMTPD = 1 << 3,
	R_INTAKE = 1 << 4,
	R_QMGR = 1 << 5,
	R_SMTP = 1 << 6,
	R_LOCAL = 1 << 7,
	R_BOUNCE = 1 << 8,
	R_IMAPD = 1 << 9,
	R_POP3D = 1 << 10,
	R_IMAP_SESSION = 1 << 11,
	R_POP3_SESSION = 1 << 12,
	R_ZYGOTE = 1 << 13,
	R_PUBLIC = 1 << 14,	/* any local user's sendmail(1), postqueue(1) */
	R_OPERATOR = 1 << 15,	/* root's merpati(1) */
	R_INET = 1 << 16,	/* strangers */
	R_KEEPER = 1 << 17,	/* of sessions that are idle */
	R_PIPE = 1 << 18,	/* programs for mail */
	R_ANY = 0x3fff | R_PIPE,
};

#endif
