/*
 * bcc.h: copies that the operator wants of mail that comes in: always_bcc, sender_bcc_maps, recipient_bcc_maps.
 * Tables are keyed by user+tag@domain, user@domain, @domain, in this order; the first address that is found counts.
 */
#ifndef INTAKE_BCC_H
#define INTAKE_BCC_H

#include "base/buf.h"

struct maps;

struct bcc {
	const char *always, *delimiters;
	struct maps *sender, *recipient;
	uint64_t refreshed;
	struct buf found;		/* of the recipients of this message: list of addresses (service/message.h) */
	bool failed;			/* a table could not be asked, or there are too many */
};

/* Takes the tables. */
void bcc_init(struct bcc *b, const char *always, struct maps *sender, struct maps *recipient, const char *delimiters);
void bcc_fini(struct bcc *b);
void bcc_begin(struct bcc *b);				/* of a message */
void bcc_recipient(struct bcc *b, struct span address);
/* All copies of the message as a list; false: it cannot be known now. */
bool bcc_end(struct bcc *b, struct span sender, struct span *list) CHECKED;

#endif
