/* notify_private.h: shared by notify.c and notify_state.c only. */
#ifndef IMAP_NOTIFY_PRIVATE_H
#define IMAP_NOTIFY_PRIVATE_H

#include "notify.h"
#include "notify_view.h"

struct watched {
	struct span name;		/* in the view */
	unsigned events;
	bool dirty;
	struct mailstore_status st;	/* as the client knows it */
	uint64_t digest;		/* 0; or notify_digest() of what the client knows, which slept: st is nothing then */
};

struct notify {
	struct arena arena;		/* of the command's text, and of what was read from it */
	struct span text;		/* the arguments */
	bool utf8;			/* as they were read */
	struct notify_set set;
	const struct notify_group *selected;
	unsigned wants;			/* of all groups but that */
	struct notify_view *view;	/* as the client knows it */
	struct watched *w;		/* by name */
	size_t n;
	struct mailwatch *watch;	/* NULL: look now and then */
	bool names_dirty, overflow;
	struct span left;		/* the mailbox that was selected at the last look, malloced */
	uint32_t lines;			/* of one look */
};

/* The arguments of NOTIFY, into memory that lasts. */
bool notify_keep(struct notify *n, struct span text, bool utf8) CHECKED;
struct notify *notify_new(void);
/* Of all that a client of these events can see. Never 0. */
uint64_t notify_digest(unsigned events, const struct mailstore_status *st);

#endif
