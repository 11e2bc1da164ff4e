/*
 * import.h: merpati import. One process reads the other store as whoever owns that, a second one writes the mailbox as its owner:
 * neither can be led by a link to where it may not go itself. Between them go records over a socket, files as descriptors.
 */
#ifndef TOOLS_IMPORT_H
#define TOOLS_IMPORT_H

#include "base/buf.h"

#define IMPORT_RECORD_MAX 65536
#define IMPORT_FIELDS 9

enum import_kind {
	IMPORT_FOLDER = 'F',		/* name, UIDVALIDITY, next UID */
	IMPORT_MESSAGE = 'M',		/* base, extra, uid, flags, keywords, POP3's id, date, fresh; with a descriptor */
	IMPORT_SUBSCRIBED = 'S',	/* name */
	IMPORT_WARNING = 'W',		/* text: something is left out */
	IMPORT_LOST = 'L',		/* text: a message that could not be read */
	IMPORT_END = 'E',
};

struct import_record {
	char kind;
	int fd;				/* -1: none; the receiver's */
	unsigned n;
	struct span field[IMPORT_FIELDS];
};

struct import_source {
	int link;
	const char *path;		/* a Maildir or an mbox */
	const char *folder;		/* an mbox goes there */
	const char *pop_format;		/* pop3_uidl_format */
};

/* Fields are text without NUL. Exits when the other side is gone. */
void import_send(int link, enum import_kind kind, int fd, const struct span *field, unsigned n);
void import_tell(int link, enum import_kind kind, const char *fmt, ...) PRINTF(3, 4);
/* False at the end of the link. Fields live until the next call. */
bool import_receive(int link, struct import_record *r) CHECKED;

/* The reading side: everything, then IMPORT_END. */
void import_read_maildir(const struct import_source *s);
void import_read_mbox(const struct import_source *s);

#endif
