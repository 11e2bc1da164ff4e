/* deliver.h: one DELIVER of qmgr, recipient by recipient. */
#ifndef LOCAL_DELIVER_H
#define LOCAL_DELIVER_H

#include "mail/outcome.h"
#include "mail/store/mailstore.h"
#include "service/message.h"

/* The message in memory: read when it is small, mapped when it is large. */
struct message {
	struct span body;
	uint64_t crlf_size;
	struct buf strings;		/* imap_strings(); empty for a very large one */
	struct buf own;
	void *map;
	size_t map_len;
};
void message_init(struct message *msg);
bool message_load(struct message *msg, int fd, uint64_t off, uint64_t len) CHECKED;	/* false with errno */
void message_unload(struct message *msg);

struct recipient {
	uint32_t number;		/* in the message: a part of the file's name */
	struct span address, mailbox, extension, quota;
};

struct delivery_place {
	bool home;			/* the root is a home directory: one mailbox, `home_mailbox` */
	const char *home_mailbox, *host;
	int64_t started;		/* of this process */
};

/* Appends "DIR/Maildir" of a virtual mailbox; false: not a directory below the base. */
bool mailbox_path(struct span mailbox, struct buf *path) CHECKED;

/* Return-Path, Delivered-To, late headers. */
void deliver_head(const struct msg_DELIVER *d, const struct recipient *r, struct buf *head);

struct outcome deliver_one(const struct msg_DELIVER *d, const struct message *msg, const struct recipient *r,
    const struct delivery_place *place);

#endif
