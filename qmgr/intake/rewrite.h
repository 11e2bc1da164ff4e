/*
 * rewrite.h: addresses as they shall be from now on: completed (append_at_myorigin, append_dot_mydomain), mapped
 * (canonical_maps and their like), masked (masquerade_domains). The envelope of every message; the header of what was
 * submitted here (RFC 6409 8.2), never that of a stranger's message.
 */
#ifndef INTAKE_REWRITE_H
#define INTAKE_REWRITE_H

#include "base/buf.h"
#include "base/map.h"
#include "service/addrmap.h"

enum {
	REWRITE_ENVELOPE_SENDER = 1 << 0,
	REWRITE_ENVELOPE_RECIPIENT = 1 << 1,
	REWRITE_HEADER_SENDER = 1 << 2,
	REWRITE_HEADER_RECIPIENT = 1 << 3,
	REWRITE_SENDER = REWRITE_ENVELOPE_SENDER | REWRITE_HEADER_SENDER,
};

struct rewrite_table {
	struct maps *maps;		/* owned; NULL: none */
	unsigned classes;		/* where it counts */
};

struct rewrite {
	struct rewrite_table sender, recipient, both;
	const char *masquerade_domains, *masquerade_exceptions;
	unsigned masquerade_classes;
	struct addrmap map;
	const char *mydomain;
	bool at_myorigin, dot_mydomain;
	uint64_t refreshed;
};

/* From the parameters. open: gives the tables of a parameter (borrowed strings), or does not return. */
struct rewrite rewrite_make(struct maps *(*open)(const char *parameter, const char *spec));
/* "envelope_sender, header_sender" */
unsigned rewrite_classes(const char *words);
void rewrite_fini(struct rewrite *w);
void rewrite_begin(struct rewrite *w);	/* at the start of a message: tables that were replaced are seen */

/* Appends the address of this class as it shall be. ours: it was submitted here, and is completed. False: a table failed. */
bool rewrite_address(struct rewrite *w, unsigned class, bool ours, struct span address, struct buf *out) CHECKED;

/* Appends a whole header with its addresses rewritten. False: a table failed. */
bool rewrite_header(struct rewrite *w, struct span header, struct buf *out) CHECKED;

#endif
