/*
 * notify.h: NOTIFY (RFC 5465): what the client wants to hear of without asking. Of the selected mailbox session_sync() tells, as
 * notify_selected() says; of all others this does. Memory and work are bounded; past the bounds the client is told
 * NOTIFICATIONOVERFLOW, and hears nothing more.
 */
#ifndef IMAP_NOTIFY_H
#define IMAP_NOTIFY_H

#include "session.h"

#define NOTIFY_GROUPS_MAX 50
#define NOTIFY_NAMES_MAX 500		/* in one command */
#define NOTIFY_FOLDERS_MAX 200		/* whose mail is watched */
#define NOTIFY_LINES_MAX 200		/* LIST answers of one look */

enum {
	NOTIFY_NEW = 1 << 0,
	NOTIFY_EXPUNGE = 1 << 1,
	NOTIFY_FLAGS = 1 << 2,
	NOTIFY_NAME = 1 << 3,
	NOTIFY_SUBSCRIPTION = 1 << 4,
	NOTIFY_MAIL = NOTIFY_NEW | NOTIFY_EXPUNGE | NOTIFY_FLAGS,
};

enum notify_scope {
	NOTIFY_SELECTED, NOTIFY_SELECTED_DELAYED, NOTIFY_INBOXES, NOTIFY_PERSONAL, NOTIFY_SUBSCRIBED, NOTIFY_SUBTREE, NOTIFY_MAILBOXES,
};

struct notify_group {
	enum notify_scope scope;
	unsigned events;		/* NOTIFY_*; 0: NONE */
	struct span *names;		/* of SUBTREE and MAILBOXES; those that can be none are left out */
	uint32_t nnames;
	struct fetch_list fetch;	/* of MessageNew */
};

struct notify_set {
	bool none, status;
	struct notify_group *groups;
	uint32_t n, nnames;
	bool unsupported;		/* some event is not known: the answer is NO [BADEVENT] */
};
/* notify_parse.c: all arguments, into the parser's arena. */
bool notify_parse(struct parser *p, struct notify_set *set) CHECKED;
#define NOTIFY_EVENTS "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange"

/* Of the selected mailbox: NOTIFY_MAIL bits, and may EXPUNGE come at any time? Without NOTIFY: all, no. */
unsigned notify_selected(const struct session *s, bool *at_once);
/* The message data that the client wants of new messages index from..end of the selected mailbox. */
void notify_fetch(struct session *s, size_t from, size_t end);
/* What has changed elsewhere, to the client. Leaves s->arena as it is. */
void notify_look(struct session *s);
/* Between two commands: tells until there is input, or the end, or the session sleeps. Nothing without NOTIFY. */
void notify_wait(struct session *s);
void notify_tell(struct session *s);		/* one look of it, also at the selected mailbox */
bool notify_is_on(const struct session *s);
int notify_fd(const struct session *s);		/* readable when there may be something to tell; -1: look now and then */
void notify_free(struct session *s);

/*
 * notify_state.c: over a sleep. save: what the client was told last, at the end of out; false: it cannot be said (too much, or
 * there is something to tell). places: the directories to watch, but those of the selected mailbox, added to dirs[*n]. restore: after the
 * selected mailbox; false: that is no state. The next look tells what has changed.
 */
bool notify_save(const struct session *s, struct buf *out) CHECKED;
bool notify_places(struct session *s, int *dirs, size_t max, size_t *n) CHECKED;
bool notify_restore(struct session *s, struct span state) CHECKED;

#endif
