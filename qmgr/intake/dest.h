/*
 * dest.h: where an incoming message goes. The commit is two calls, so that an
 * engine may have several in flight (one journal, group commit). All may block.
 * Failures leave errno in `err`; after one, only abort() may follow.
 */
#ifndef INTAKE_DEST_H
#define INTAKE_DEST_H

#include "base/buf.h"

struct dest;

struct dest_ops {
	bool (*create)(struct dest *d, const char *id);			/* a new empty message */
	bool (*write)(struct dest *d, struct span s);			/* append */
	bool (*commit_submit)(struct dest *d);				/* everything is written: make it durable */
	bool (*commit_done)(struct dest *d);				/* wait for that; true: it may be answered for */
	void (*release)(struct dest *d);				/* after the answer: what is held goes back */
	void (*abort)(struct dest *d);					/* nothing remains */
	bool (*free_bytes)(struct dest *d, uint64_t *bytes);		/* room on the file system */
	int (*unnamed)(struct dest *d);					/* an empty file there, read and write; -1 */
};

struct dest {
	const struct dest_ops *ops;
	int err;
};

/* A file in the current directory, named by the id. Owns its descriptor. */
struct dest_file {
	struct dest d;
	int fd;
	char name[32];
};
void dest_file_init(struct dest_file *f);

/* A file without a name beside them, to be shown and not to be kept: commit does nothing, release and abort close it. */
struct dest_unnamed {
	struct dest d;
	int fd;
};
void dest_unnamed_init(struct dest_unnamed *f);

/*
 * A file in a mailbox: set mailbox, arrival and in_pieces before create(). Not in pieces: write() the whole message
 * at once, and `strings` are made from it; else they are the caller's. Until release() or abort() what was
 * written can be read from fd. Answers of the local are waited for a few seconds; link is -1 after a failure of it.
 */
struct dest_mailbox {
	struct dest d;
	int link, fd;
	const char *id;
	struct span mailbox, quota, address;	/* borrowed */
	uint64_t arrival, size, crlf_size;
	struct buf strings;		/* imap_strings() */
	bool in_pieces;
	char last;			/* byte of the piece before */
	bool open;			/* local keeps a file for us */
	bool full;			/* it was refused by the limit of the mailbox */
	bool linking;			/* it was asked to link: the message may be in the mailbox */
};
/* Is the mailbox full for one more message of that size? Between messages. False also when nobody knows. */
bool dest_mailbox_full(struct dest_mailbox *f, uint64_t size);
void dest_mailbox_init(struct dest_mailbox *f, int link);

#endif
