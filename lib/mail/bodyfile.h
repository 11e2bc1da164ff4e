/*
 * bodyfile.h: a message in a queue file, read in pieces by whoever delivers it, and compared with its checksum on the
 * way. The last piece of a damaged message is not given, so that nobody can finish what he makes of it. May block.
 */
#ifndef MAIL_BODYFILE_H
#define MAIL_BODYFILE_H

#include "base/span.h"

#define BODYFILE_PIECE (256u << 10)
#define BODYFILE_SUM(crc) (UINT64_C(1) << 32 | (crc))

struct bodyfile {
	int fd;				/* borrowed */
	uint64_t off, len;
	uint64_t sum;			/* BODYFILE_SUM(crc32c of all of it); 0: nobody knows, or somebody has looked */
	/* set by reading */
	uint64_t done;
	uint32_t crc;
	bool damaged;			/* it was read, and is not what was written */
};

void bodyfile_rewind(struct bodyfile *b);
/* The next piece, at most max bytes, read into p; empty: that was all. False: unreadable (errno), or damaged. */
bool bodyfile_next(struct bodyfile *b, char *p, size_t max, struct span *piece) CHECKED;

#endif
