/*
 * session.h: one IMAP session after login, in the order of the protocol.
 *
 * A handler reads its arguments, writes untagged answers to s->io and returns
 * the tagged one. Between commands nothing is kept but the selected folder:
 * everything of a command lives in s->arena.
 */
#ifndef IMAP_SESSION_H
#define IMAP_SESSION_H

#include "base/stream.h"
#include "mail/imaptext.h"
#include "mail/store/mailstore.h"
#include "parse.h"

#define IMAP_LITERAL_MAX (64u << 10)	/* one literal, other than a message */
#define IMAP_COMMAND_MAX (1u << 20)	/* a command with its literals */
#define IMAP_TAG_MAX 128
#define IMAP_ARENA_MAX (16u << 20)
#define IMAP_BAD_MAX 20			/* bad commands in a row */

enum session_state {
	IN_AUTH = 1 << 0,		/* logged in, nothing selected */
	IN_SELECTED = 1 << 1,
	IN_LOGOUT = 1 << 2,
};

enum session_enabled {			/* by ENABLE, or by a command that means it */
	ENABLED_CONDSTORE = 1 << 0,	/* RFC 7162 */
	ENABLED_QRESYNC = 1 << 1,	/* CONDSTORE too */
	ENABLED_REV2 = 1 << 2,		/* RFC 9051 */
	ENABLED_UTF8 = 1 << 3,		/* RFC 6855 */
	ENABLED_UIDONLY = 1 << 4,	/* RFC 9586: message numbers are neither told nor taken */
};

struct session {
	struct stream io;
	struct arena arena;		/* of the command */
	struct buf line;		/* the command with its literals */
	struct mailstore *ms;
	struct mailfolder *folder;	/* NULL: none is selected */
	bool readonly;
	bool compressed;		/* the front compresses (RFC 4978) */
	unsigned enabled;		/* ENABLED_* */
	uint32_t told_keywords;		/* a sum of the keywords that FLAGS has told */
	struct seqset saved;		/* "$" as ranges of UIDs; r is malloced */
	enum session_state state;
	const char *id;			/* for the log */
	size_t line_max;
	uint64_t message_max;
	unsigned bad;			/* in a row */
	uint32_t fetched, commands;	/* for the log */
	struct span tag;		/* of the command */
	uint64_t told;			/* monotonic ms: when the command began, or told of its progress */
	uint64_t looked;		/* when it was seen that the client is still there */
	struct notify *notify;		/* NULL: NOTIFY was never used */
	bool must_tell;			/* the command removes messages itself: what has gone is told in any case */
	char *place;			/* the folder that the front was told (place.h) */
	struct own_change {		/* what the command does: no news to who gave it */
		struct span from, to;	/* folders whose name or subscription it changes; `to` gets its mail too */
		uint32_t count, lo, hi;	/* UIDs of that mail */
	} own;

	/*
	 * Sleep (sleep.h). What a command leaves behind for later ones must be in the state, or keep the session awake.
	 */
	const struct session_how *how;
	char *idle_tag;			/* of the IDLE under way when the session was woken; else NULL */
	uint64_t began, silent;		/* monotonic ms: the login; since when the client says nothing */
	uint64_t nap;			/* ms of quiet before the next try; 0: never */
	uint32_t slept;			/* times, for the log */
	bool asleep;			/* this process is to end without a word */

	/* the message literal of APPEND, not yet read: it is streamed */
	bool literal, literal_sync;
	uint64_t literal_size;
};

enum reply_kind { REPLY_OK, REPLY_NO, REPLY_BAD, REPLY_NONE };
struct reply {
	enum reply_kind kind;
	const char *code;		/* "TRYCREATE"; NULL: none */
	const char *text;
};

struct command {
	struct span tag;
	struct span name;		/* without UID */
	bool uid;			/* UID FETCH ... */
	bool gone;			/* a message number that it names is of one that has gone, which the client was not told */
	const struct command_row *row;
	struct parser args;
};

enum command_sync {
	SYNC_NONE,			/* says by itself what changed */
	SYNC_KEEP,			/* message numbers are in use: no EXPUNGE (RFC 9051 7.5.1) */
	SYNC_FULL,
	SYNC_EXPUNGE,			/* the same; then the answer tells HIGHESTMODSEQ (RFC 7162 3.2.7) */
};

struct command_row {
	const char *name;
	struct reply (*run)(struct session *s, struct command *c);
	unsigned states;
	enum command_sync sync;
	bool may_uid;
};

const struct command_row *command_find(struct span name);

/* timeout in ms of one wait. Serves until LOGOUT or the end of the stream. path: the Maildir. */
struct session_how {
	const char *id;
	const char *path;
	uint32_t timeout_ms;
	size_t line_max;
	uint64_t message_max;
	uint32_t message_limit;		/* messages that one command works on (RFC 9738); 0: any number */
	struct mail_quota quota;	/* all zeros: no limit */
	bool special_folders;		/* for who has no folders yet */
	uint32_t nap_ms;		/* as long idle a session sleeps; 0: never */
	const struct hibernator *hibernator;	/* NULL: it cannot */
	struct span state;		/* of a session that was woken; SPAN_NONE: this is a login */
	uint64_t said;			/* bytes that the client got while it slept */
};
void session_run(int fd, const struct session_how *how);

/* ---- what handlers use ---- */
struct reply reply_ok(const char *text);
struct reply reply_no(const char *code, const char *text);
struct reply reply_bad(const struct command *c);		/* the parser's sentence, and its code */
struct reply reply_store(enum store_result r);			/* NO with the fitting code */

/*
 * Between two messages of a command over many: false when the client has gone. Tells a client that waits
 * how far the command has come (RFC 9585), so not inside an answer.
 */
bool session_go_on(struct session *s, size_t done, size_t total);

/* What changed in the folder, to the client. */
void session_sync(struct session *s, bool expunge);
/* "* FLAGS ..." again when there are keywords that the client was not told of (RFC 9051 7.3.5). Before flags are told. */
void session_tell_keywords(struct session *s);
void session_close_folder(struct session *s);
/* The command has put n messages into a folder; uid 0: that one not. */
void session_own(struct session *s, struct span to, const uint32_t *uids, size_t n);
const struct mail_message *session_message(const struct session *s, size_t index);

/* "$" becomes the UIDs that are kept, borrowed. */
void session_recall(const struct session *s, struct seqset *set);
/* Sorted indexes of the messages that are in the set, without the gone ones; from the arena. false: BAD. */
bool session_resolve(struct session *s, struct command *c, struct seqset *set, uint32_t **index, size_t *n);

/*
 * RFC 9738: of index[n], ascending, the last ones stay that one command may work on; the rest is for the client to ask
 * for. "MESSAGELIMIT 1000 23221" for the answer, with the lowest UID that stays; NULL: all stay.
 */
const char *session_limit(struct session *s, uint32_t **index, size_t *n);
const char *session_limit_code(struct session *s, uint32_t uid);	/* 0: without a UID */

/* "* 7 FETCH (", or by UID where numbers are not wanted; `uid`: with "UID 9 " behind it, where that is not said already */
void print_fetch(const struct session *s, struct buf *out, size_t index, bool uid);
/* "(\Seen $Junk)" */
void print_flags(struct session *s, struct buf *out, const struct mail_message *m);
/* "M0123..." and "F0123..." (RFC 8474) */
#define EMAILID_MAX 40
#define MAILBOXID_MAX 24
void print_emailid(const struct session *s, size_t index, char out[EMAILID_MAX]);
void print_mailboxid(uint64_t id, char out[MAILBOXID_MAX]);
/* Mailbox names go over the wire as UTF-8, both ways. */
bool session_utf8(const struct session *s);
/* astring of a mailbox name, as this client understands it */
void print_mailbox(const struct session *s, struct buf *out, struct span name);

struct reply cmd_capability(struct session *s, struct command *c);
struct reply cmd_noop(struct session *s, struct command *c);
struct reply cmd_logout(struct session *s, struct command *c);
struct reply cmd_id(struct session *s, struct command *c);
struct reply cmd_enable(struct session *s, struct command *c);
struct reply cmd_namespace(struct session *s, struct command *c);
struct reply cmd_refuse_login(struct session *s, struct command *c);
struct reply cmd_select(struct session *s, struct command *c);
struct reply cmd_close(struct session *s, struct command *c);
struct reply cmd_status(struct session *s, struct command *c);
struct reply cmd_list(struct session *s, struct command *c);
struct reply cmd_lsub(struct session *s, struct command *c);
struct reply cmd_create(struct session *s, struct command *c);
struct reply cmd_delete(struct session *s, struct command *c);
struct reply cmd_rename(struct session *s, struct command *c);
struct reply cmd_subscribe(struct session *s, struct command *c);
struct reply cmd_append(struct session *s, struct command *c);
struct reply cmd_expunge(struct session *s, struct command *c);
struct reply cmd_fetch(struct session *s, struct command *c);
struct reply cmd_store(struct session *s, struct command *c);
struct reply cmd_copy(struct session *s, struct command *c);
struct reply cmd_search(struct session *s, struct command *c);
struct reply cmd_replace(struct session *s, struct command *c);
struct reply cmd_compress(struct session *s, struct command *c);
struct reply cmd_sort(struct session *s, struct command *c);
struct reply cmd_thread(struct session *s, struct command *c);
struct reply cmd_getquota(struct session *s, struct command *c);
struct reply cmd_getquotaroot(struct session *s, struct command *c);
struct reply cmd_setquota(struct session *s, struct command *c);
struct reply cmd_notify(struct session *s, struct command *c);
struct reply cmd_idle(struct session *s, struct command *c);
struct reply idle_go_on(struct session *s, struct command *c);	/* c: the tag alone */

#endif
