/*
 * uidfile.h: the folder's file merpati-uid: UIDVALIDITY, the next UID, the last
 * modification sequence, and the lock under which both are given and files
 * renamed by us. One line:
 *
 *   merpati-uid 2 <uidvalidity> <high> <next> <recent> <id> <modhigh> <modseq> <digest> <boot id> <crc32c>
 *
 * `high` is durable before any UID up to it is used; `next` is exact while the
 * same boot lasts. After another boot the next UID is above `high`, so no UID
 * is ever given twice, whatever the disk forgot. The same holds of `modhigh` and
 * `modseq`. `digest` sums up UIDs and flags of all messages as they were when `modseq` was
 * given: what differs from it has no number yet. After another boot it fits nothing.
 */
#ifndef MAIL_STORE_UIDFILE_H
#define MAIL_STORE_UIDFILE_H

#include "mail/store/mailstore.h"

struct uidfile {
	int fd;			/* -1: not open; locked while `locked` */
	bool locked;
	bool fresh;		/* made just now: names with U= tell more than it does */
	const char *root;	/* the Maildir, for UIDVALIDITYs that no folder has had; NULL: the clock alone. Borrowed */
	uint32_t uidvalidity, high, next;
	uint32_t recent;	/* from here on, no session has seen the messages as its own (\Recent) */
	uint64_t id;		/* of the folder, for ever: made with the file, not 0 */
	uint64_t modhigh, modseq, digest;
	bool unsaved;		/* recent, modseq or digest are not yet in the file */
};

void uidfile_init(struct uidfile *u);
void uidfile_close(struct uidfile *u);		/* unlocks too */
/* Lock (blocks until others are done) and read; makes the file when it is missing or damaged. False with errno. */
bool uidfile_lock(struct uidfile *u, const char *dir) CHECKED;
void uidfile_unlock(struct uidfile *u);
/* n UIDs from *first on, safe to be used at once. Locked. False with errno (ERANGE: UIDs are used up). */
bool uidfile_take(struct uidfile *u, uint32_t n, uint32_t *first) CHECKED;
/* Locked: no UID below `next` is given any more. */
bool uidfile_raise(struct uidfile *u, uint32_t next) CHECKED;
/*
 * Locked, for a folder that comes from another store: UIDs below `next` are that store's, under its UIDVALIDITY; nobody is given
 * one of them. False with errno; EBUSY: this folder has given UIDs of its own already.
 */
bool uidfile_adopt(struct uidfile *u, uint32_t uidvalidity, uint32_t next) CHECKED;
/* Locked: the next modseq, above all before. It may be shown after uidfile_flush. */
uint64_t uidfile_stamp(struct uidfile *u);
/* Locked: recent, modseq and digest into the file, durable where it must be. False with errno. */
bool uidfile_flush(struct uidfile *u) CHECKED;
/* Without lock or change; false when there is none. */
bool uidfile_peek(const char *dir, struct uidfile *u) CHECKED;

void uidfile_boot_init(void);			/* reads the boot id; before the jail */
const char *uidfile_boot(void);			/* 36 characters, "-..." when unknown */

uint32_t store_crc32c(struct span s);

#endif
