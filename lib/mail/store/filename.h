/*
 * filename.h: names of files in new/ and cur/.
 *
 *   <base>[,S=<bytes>][,W=<bytes with CRLF>][,U=<uid>][,other]...[:2,<flags>]
 *
 * base of our own deliveries: <sec>.Q<queue id>R<recipient>.<host>; of appended
 * messages: <sec>.A<random>N<count>.<host>. The seconds are the internal date.
 * Copies have E= (identity of the first one, 32 hex digits) and D= (when they were made) besides: objectid.c.
 * L= is POP3's unique id of a message that came from another store (popid.c).
 * Names by other programs are taken as they are; what is not understood is kept.
 */
#ifndef MAIL_STORE_FILENAME_H
#define MAIL_STORE_FILENAME_H

#include "mail/store/mailstore.h"

#define FILENAME_MAX_ 255

struct filename {
	struct span base;	/* into the parsed name */
	bool has_size, has_crlf, has_info;
	uint64_t size, crlf_size;
	uint32_t uid;		/* 0: none */
	uint8_t flags;
	uint32_t keywords;
	uint32_t unknown;	/* bit n: flag 'A' + n, not one of ours */
	char extra[FILENAME_MAX_ + 1];	/* fields of others, each with its comma */
};

/* False for what is no message: dot files, empty or overlong names, control characters. */
bool filename_parse(struct span name, struct filename *f) CHECKED;
/* NUL-terminated; info: with ":2,". False when it does not fit. */
bool filename_format(const struct filename *f, bool info, char out[FILENAME_MAX_ + 1]) CHECKED;

/* The message's identity: a hash of base. */
struct mail_id filename_id(struct span base);
/* Seconds when the base is of our own making. */
bool filename_date(struct span base, int64_t *date);
/* A base that was never used. host is cut and cleaned. */
void filename_make_base(struct buf *out, int64_t date);
void filename_delivery_base(struct buf *out, int64_t arrival, struct span queue_id, uint32_t rcpt, const char *host);

void filename_init(void);	/* host name; before the jail */

#endif
