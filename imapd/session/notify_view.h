/* notify_view.h: all folders as a client of NOTIFY knows them, and what differs from one look to the next. */
#ifndef IMAP_NOTIFY_VIEW_H
#define IMAP_NOTIFY_VIEW_H

#include "base/arena.h"
#include "mail/store/mailstore.h"

struct notify_name {
	struct span name;
	bool exists, subscribed;
	uint64_t mark;			/* mailstore_mark(); 0: unknown */
	struct span renamed;		/* in a difference: what it is called now, or was */
};

struct notify_view {
	struct arena arena;
	struct notify_name *e;		/* by name */
	size_t n, cap;
	bool full, subscriptions;
};

/* NULL: the store fails, or it is too much. */
struct notify_view *view_new(struct mailstore *ms);
struct notify_view *view_empty(void);
/* At the end of one that is made by hand, in ascending order: e under a copy of the name, which is returned; SPAN_NONE: it is too much. */
struct span view_add(struct notify_view *v, struct span name, const struct notify_name *e);
void view_free(struct notify_view *v);
struct notify_name *view_find(const struct notify_view *v, struct span name);	/* NULL: neither there nor subscribed */

/*
 * What has happened between two looks: `made` and `gone` for names, `renamed` once for a tree, `subscribed` for what has changed its
 * subscription. False from any of them ends it.
 */
struct view_events {
	bool (*made)(void *ctx, struct span name);
	bool (*gone)(void *ctx, struct span name);
	bool (*renamed)(void *ctx, struct span from, struct span to);
	bool (*subscribed)(void *ctx, struct span name, bool on);
};
bool view_compare(struct notify_view *old, struct notify_view *now, const struct view_events *f, void *ctx);

#endif
