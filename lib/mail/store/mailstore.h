/*
 * mailstore.h: a user's mail. The one interface that local, imap-session and
 * pop3-session use; nobody else builds a path inside a mailbox.
 *
 * Truth is the Maildir (Maildir++ folders): UID, sizes and flags are in the
 * file names, so that any other tool can read it and the index can always be
 * dropped. Everything blocks on the local disk. Every path is relative to the
 * process' root. File names, index and folder files were written by whoever
 * owns the mailbox: they are checked, never trusted.
 *
 * Content is immutable and kept with LF line ends.
 */
#ifndef MAIL_STORE_MAILSTORE_H
#define MAIL_STORE_MAILSTORE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "mail/bodyfile.h"
#include "mail/delivered.h"
#include "mail/quota.h"

#define MAILSTORE_NAME_MAX 200		/* bytes of a folder's name */
#define MAILSTORE_DEPTH_MAX 20		/* levels */
#define MAILSTORE_FOLDERS_MAX 10000	/* of one user */
#define MAILSTORE_KEYWORDS 26		/* of one folder: letters a to z in file names */
#define MAILSTORE_KEYWORD_MAX 100	/* bytes of one */
#define MAILSTORE_SEPARATOR '.'
#define MAILSTORE_POP_ID_MAX 70		/* RFC 1939 7 */

enum store_result {
	STORE_OK,
	STORE_NOTFOUND,		/* no such folder */
	STORE_EXISTS,
	STORE_BADNAME,		/* a folder name that is never allowed */
	STORE_LIMIT,		/* too many folders, keywords, levels */
	STORE_DENIED,		/* EACCES, EPERM, EROFS, a symbolic link in the way */
	STORE_FULL,		/* ENOSPC, EDQUOT */
	STORE_QUOTA,		/* the limit of this mailbox */
	STORE_GONE,		/* the message was expunged meanwhile */
	STORE_BUSY,		/* locked by another session */
	STORE_ERROR,		/* the disk failed */
};
const char *store_result_text(enum store_result r);	/* for a client: no path, no errno */

enum mail_message_flag {
	MFLAG_SEEN = 1 << 0,
	MFLAG_ANSWERED = 1 << 1,
	MFLAG_FLAGGED = 1 << 2,
	MFLAG_DELETED = 1 << 3,
	MFLAG_DRAFT = 1 << 4,
	MFLAG_FORWARDED = 1 << 5,	/* keyword $Forwarded */
	MFLAG_ALL = (1 << 6) - 1,
	MFLAG_RECENT = 1 << 6,		/* this session is the first to see it; never set by a caller */
	MFLAG_GONE = 1 << 7,		/* expunged, but still in the snapshot (see mailfolder_refresh) */
};

struct mail_id { uint8_t b[16]; };	/* identity of a message: the same for ever and in every copy of the index */

struct mail_message {
	uint32_t uid;
	uint32_t keywords;	/* bit n: mailfolder_keyword_name(f, n) */
	uint8_t flags;		/* MFLAG_* */
	uint64_t size;		/* bytes as stored (LF), as far as they are known */
	uint64_t crlf_size;	/* the driver's own: mailfolder_size(); known in a PLAIN folder */
	int64_t date;		/* the driver's own: mailfolder_date() */
	uint64_t modseq;
	struct mail_id id;
	char *name;		/* the driver's own: not for callers */
	uint8_t place;
	bool measured;		/* the driver's own: the sizes are known, and the name does not tell them */
	bool guessed;		/* the driver's own */
};

/* ---- a user's store ---- */
struct mailstore;

/* Once, before the jail (reads the boot id). Without it the index is not kept over a restart of the system. */
void mailstore_init(void);

/*
 * path: the Maildir, relative to the root ("Maildir"). Created (0700) with its
 * parents when `create`. Opens nothing that lasts. NULL: *r tells.
 */
struct mailstore *mailstore_new(const char *path, bool create, enum store_result *r);
void mailstore_free(struct mailstore *ms);
const char *mailstore_cause(const struct mailstore *ms);	/* of the last failure, for the log */

/* Give up what is open beside the folder (index, locks) for a long idle time; comes back by itself. */
void mailstore_release(struct mailstore *ms);

/* "INBOX" in any case, or UTF-8 with '.' between the levels. STORE_BADNAME for what must not be (row 108). */
enum store_result mailstore_name_check(struct span name);

/*
 * f is called for each folder, INBOX first, then by name. Levels that exist
 * only as a prefix of others are not listed. Subscriptions may name folders
 * that do not exist (RFC 9051 6.3.7).
 */
enum store_result mailstore_list(struct mailstore *ms, void (*f)(void *ctx, struct span name), void *ctx);
enum store_result mailstore_list_subscribed(struct mailstore *ms, void (*f)(void *ctx, struct span name), void *ctx);
enum store_result mailstore_subscribe(struct mailstore *ms, struct span name, bool on);

enum store_result mailstore_exists(struct mailstore *ms, struct span name);	/* STORE_OK or STORE_NOTFOUND */
enum store_result mailstore_create(struct mailstore *ms, struct span name);
enum store_result mailstore_delete(struct mailstore *ms, struct span name);	/* with its mail; children stay. INBOX: STORE_DENIED */
enum store_result mailstore_rename(struct mailstore *ms, struct span from, struct span to);
			/* with children; INBOX: its mail moves into the new folder (RFC 9051 6.3.6) */

/*
 * What folders are for (RFC 6154), a set of bits: durable, and it stays with a folder that is renamed. Where no
 * folder is said to have a use, the one of that name at the root has it; that is for the caller to know.
 */
enum {
	MAILUSE_ARCHIVE = 1 << 0,
	MAILUSE_DRAFTS = 1 << 1,
	MAILUSE_JUNK = 1 << 2,
	MAILUSE_SENT = 1 << 3,
	MAILUSE_TRASH = 1 << 4,
	MAILUSE_COUNT = 5,
};
const char *mailstore_use_name(unsigned n);	/* of bit n: "Sent" */
/* f is called for each use that a folder was given; the folder may be gone. */
enum store_result mailstore_list_uses(struct mailstore *ms, void (*f)(void *ctx, struct span name, unsigned use), void *ctx);
/* The folder's uses are these from now on; 0: none. Takes a lock (JAIL_FLOCK). */
enum store_result mailstore_set_use(struct mailstore *ms, struct span name, unsigned uses);
/*
 * What a new user has: Archive, Drafts, Junk, Sent and Trash, with their uses, subscribed. For who has no other folder yet and
 * has never subscribed: one system call for everybody else. Sessions of one user take turns (JAIL_FLOCK).
 */
enum store_result mailstore_create_defaults(struct mailstore *ms);

struct mailstore_status {
	uint32_t messages, recent, unseen, deleted, uidnext, uidvalidity;
	uint64_t id;
	uint64_t size, deleted_size;	/* 0 unless asked for; the latter of the files */
	uint64_t highestmodseq;		/* 0 unless asked for */
};
enum { STATUS_SIZES = 1, STATUS_MODSEQ = 2 };
/*
 * Without selecting: \Recent stays, and nothing is renamed unless STATUS_MODSEQ is asked for, or STATUS_SIZES and the
 * names do not tell them: that looks as a session does, and reads what was never read.
 */
enum store_result mailstore_status(struct mailstore *ms, struct span name, unsigned want, struct mailstore_status *st);

/* ---- a selected folder: a snapshot that changes in mailfolder_refresh; track and set_flags may lengthen it at the end ---- */
struct mailfolder;

enum {
	MAILFOLDER_READONLY = 1 << 0,	/* EXAMINE: \Recent is left for others */
	MAILFOLDER_PLAIN = 1 << 1,	/* POP3: no UIDs are given (0), nothing is moved out of new/; only messages, read, expunge */
	MAILFOLDER_TRACK = 1 << 2,	/* as mailfolder_track */
};
struct mailfolder *mailfolder_open(struct mailstore *ms, struct span name, unsigned how, enum store_result *r);
void mailfolder_close(struct mailfolder *f);
const char *mailfolder_name(const struct mailfolder *f);

/* By ascending UID; index + 1 is the message sequence number. Valid until the next call that is not const. */
size_t mailfolder_count(const struct mailfolder *f);
const struct mail_message *mailfolder_messages(const struct mailfolder *f);
int64_t mailfolder_date(struct mailfolder *f, size_t index);	/* internal date, seconds since 1970; may look at the file */
uint64_t mailfolder_size(struct mailfolder *f, size_t index);	/* bytes as sent: RFC822.SIZE; may read the file */
/* The same for a message and all its copies in this store (RFC 8474). */
struct mail_id mailfolder_email_id(const struct mailfolder *f, size_t index);
/* POP3's unique id (RFC 1939 7): what another store called it, or else its identity in hex. Appended to out. */
void mailfolder_pop_id(const struct mailfolder *f, size_t index, struct buf *out);
int64_t mailfolder_save_date(struct mailfolder *f, size_t index);	/* when it came into this folder; -1: gone. May look at the file */
size_t mailfolder_find(const struct mailfolder *f, uint32_t uid);	/* index of the first message with at least this UID; count: none */
uint32_t mailfolder_uidvalidity(const struct mailfolder *f);
uint32_t mailfolder_uidnext(const struct mailfolder *f);	/* every UID below it is in the snapshot, or was */
uint64_t mailfolder_id(const struct mailfolder *f);		/* the same for ever, also under another name; not 0 */

/*
 * Modification sequences (RFC 7162) rise with every change under the folder's lock and never fall, also when every cache
 * is lost: then all messages have the highest one. They hold from session to session; to be exact for single
 * messages and to remember what was expunged they need the index, which `track` makes for small folders too.
 */
uint64_t mailfolder_highestmodseq(const struct mailfolder *f);	/* all changes up to it were told, own ones included */
enum store_result mailfolder_track(struct mailfolder *f);
/*
 * UIDs that were expunged after `since`, and perhaps others: those in the snapshot must be left out by the caller. *r is
 * malloced, ascending. False: not known so far back.
 */
struct mail_range { uint32_t lo, hi; };
bool mailfolder_expunged(struct mailfolder *f, uint64_t since, struct mail_range **r, size_t *n) CHECKED;

/*
 * What others did meanwhile. Two stats when nothing changed. Without `expunge`
 * (FETCH, STORE, SEARCH: RFC 9051 7.5.1) gone messages stay with MFLAG_GONE
 * and are reported by a later call. `expunged` has descending old indexes,
 * so that each is right when reported in that order.
 */
struct mailfolder_changes {
	struct mail_expunged { uint32_t index, uid; } *expunged;
	size_t nexpunged;
	uint32_t *changed;		/* new indexes whose flags or keywords changed by others, ascending */
	size_t nchanged;
	uint32_t arrived;		/* messages that are new at the end */
};
enum store_result mailfolder_refresh(struct mailfolder *f, bool expunge, struct mailfolder_changes *ch);
					/* ch is borrowed until the next refresh */

/*
 * Readable when the folder may have changed (inotify; the jail needs
 * JAIL_INOTIFY). -1: cannot; then poll by mailfolder_refresh. Owned by the folder.
 * Call mailfolder_refresh when readable: it drains the descriptor.
 */
int mailfolder_watch(struct mailfolder *f);

/*
 * A selected folder without a process: what its client knows of it, as bytes for mailfolder_reopen(), so that the next
 * refresh tells what has changed since, no more and no less. Small folders are told message by message, larger ones by
 * modseq and a sum of the UIDs, for which the folder must be tracked. False: it does not fit into out->max, or
 * something waits to be told.
 */
#define MAILFOLDER_VIEW_MAX 3072
bool mailfolder_view(const struct mailfolder *f, struct buf *out) CHECKED;
/*
 * The view is not trusted. NULL: the folder has gone, has another UIDVALIDITY, or nobody can tell any more what was
 * removed; *r tells.
 */
struct mailfolder *mailfolder_reopen(struct mailstore *ms, struct span name, unsigned how, struct span view, enum store_result *r);
/* Where changes of the folder can be seen: directories, open for reading, for the caller to close. False: not now. */
bool mailfolder_places(struct mailfolder *f, int dirs[2]) CHECKED;
/* The same of a folder that is not selected; and of all names and subscriptions. */
bool mailstore_places(struct mailstore *ms, struct span name, int dirs[2]) CHECKED;
bool mailstore_names_place(struct mailstore *ms, int *dir) CHECKED;

/*
 * Changes of many folders at once, by inotify (JAIL_INOTIFY): of names and subscriptions, and of the mail in those that
 * were added. NULL and false: the system has no more watches; look now and then instead.
 */
struct mailwatch;
struct mailwatch *mailwatch_new(struct mailstore *ms);
void mailwatch_free(struct mailwatch *w);
int mailwatch_fd(const struct mailwatch *w);			/* readable when something may have changed */
bool mailwatch_add(struct mailwatch *w, struct span name, uint32_t tag) CHECKED;	/* one that is there keeps its tag */
enum { MAILWATCH_NAMES = UINT32_MAX, MAILWATCH_ALL = UINT32_MAX - 1, MAILWATCH_ANY = UINT32_MAX - 2 };
/* Drains the descriptor. f is called with the tag of each folder, with NAMES, or with ALL when events were lost; perhaps often. */
void mailwatch_read(struct mailwatch *w, void (*f)(void *ctx, uint32_t tag), void *ctx);
/* No folder is made or renamed (which is no single step) until the descriptor is closed; -1: cannot. For some milliseconds only (JAIL_FLOCK). */
int mailstore_hold_names(struct mailstore *ms);
/* Stays with a folder that is renamed, for as long as it is there; 0: cannot be told. */
uint64_t mailstore_mark(struct mailstore *ms, struct span name);

/*
 * ---- keywords: names of the folder's 26 letters ----
 * $Forwarded is a flag here (MFLAG_FORWARDED); another program may have given it a letter too, which then means the same.
 */
bool mailstore_is_forwarded(struct span keyword);
const char *mailfolder_keyword_name(const struct mailfolder *f, unsigned n);	/* NULL: letter not in use */
int mailfolder_keyword(struct mailfolder *f, struct span name, bool create);	/* -1: unknown, or (create) no letter is free */

/* ---- content ---- */
struct mailtext {
	struct span text;		/* the whole message, or its head; LF line ends */
	struct buf own;
	void *map;
	size_t map_len;
};
void mailtext_init(struct mailtext *t);		/* reusable for many messages */
void mailtext_fini(struct mailtext *t);
/* text is valid until the next call with the same t. STORE_GONE: removed by others. */
enum store_result mailfolder_read(struct mailfolder *f, size_t index, struct mailtext *t);
/* Only up to and with the empty line behind the header (at most `max` bytes of it): cheap for large messages. */
enum store_result mailfolder_read_head(struct mailfolder *f, size_t index, size_t max, struct mailtext *t);

/* ---- changes ---- */
enum mailflag_op { MAILFLAG_SET, MAILFLAG_ADD, MAILFLAG_REMOVE };
/*
 * All n messages; those that are gone are skipped. The snapshot shows the new
 * flags and modseq at once. Messages whose modseq
 * is above `unchangedsince` are left alone and their index is put in failed[]
 * (room for n; may be NULL when unchangedsince is UINT64_MAX); what others did is looked at
 * before, and told by the next refresh.
 */
enum store_result mailfolder_set_flags(struct mailfolder *f, const uint32_t *index, size_t n, enum mailflag_op op,
    uint8_t flags, uint32_t keywords, uint64_t unchangedsince, uint32_t *failed, size_t *nfailed);

/*
 * Remove from the disk; they become MFLAG_GONE, and the next refresh with `expunge` reports them. With MAILFOLDER_PLAIN the
 * removals are durable on STORE_OK; else a power cut may bring them back.
 */
enum store_result mailfolder_expunge(struct mailfolder *f, const uint32_t *index, size_t n);

/*
 * COPY, MOVE (RFC 6851) into another folder, by hard link where possible, with flags,
 * keywords and date. All or nothing for COPY. uids[n]: the new UIDs, 0 for a message
 * that was gone. *uidvalidity: of the target. Durable on return.
 */
enum store_result mailfolder_copy(struct mailfolder *f, const uint32_t *index, size_t n, struct span to, bool move,
    uint32_t *uids, uint32_t *uidvalidity);

/* ---- append: streaming; the message exists and is durable when commit returns STORE_OK ---- */
struct mailappend;
struct mailappend *mailappend_begin(struct mailstore *ms, struct span folder, enum store_result *r);
enum store_result mailappend_write(struct mailappend *a, struct span bytes);	/* CRLF or LF; kept as LF. Errors stick */
struct mailappend_how {
	uint8_t flags;
	struct span *keywords;		/* names */
	size_t nkeywords;
	int64_t date;			/* 0: now */
};
enum store_result mailappend_commit(struct mailappend *a, const struct mailappend_how *how, uint32_t *uidvalidity, uint32_t *uid);
void mailappend_abort(struct mailappend *a);	/* leaves nothing; commit and abort both free a */

/* ---- cache of computed strings: never needed, may forget at any time ---- */
/* kinds are the caller's numbers; a version belongs inside the value. The span is borrowed until the next call. */
bool mailstore_cache_get(struct mailstore *ms, const struct mail_id *id, uint8_t kind, struct span *value);
void mailstore_cache_put(struct mailstore *ms, const struct mail_id *id, uint8_t kind, struct span value);

/* Drop the index below the Maildir `path` (it is rebuilt by use), or fill it for all folders now. */
enum store_result mailstore_index_drop(const char *path);
enum store_result mailstore_index_rebuild(const char *path);

/* ---- quota: bytes and messages of all folders (mail/store/quotafile.h). Users of the system have none ---- */
void mailstore_limit(struct mailstore *ms, const struct mail_quota *limit);	/* of the user of this session, all zeros: none */
struct mailstore_usage {
	struct mail_quota limit;
	struct quota_use use;
};
enum store_result mailstore_usage(struct mailstore *ms, struct mailstore_usage *u);	/* STORE_NOTFOUND: no limit */
/* Would so much more fit? STORE_QUOTA: no. */
enum store_result mailstore_room(struct mailstore *ms, uint64_t bytes, uint64_t messages);
/* The same for one message that is on its way to a Maildir (0: of unknown size). */
enum store_result mailstore_quota_check(const char *path, const struct mail_quota *limit, unsigned grace, uint64_t bytes);

/* ---- one reader of the whole maildrop at a time (POP3, RFC 1939 4) ---- */
enum store_result mailstore_lock(struct mailstore *ms);	/* STORE_BUSY: another has it. Until mailstore_free or the end of the process */

/* ---- delivery, for local ---- */
/* With a limit: how full the mailbox was and is, in percent of it. */
struct mail_filling {
	unsigned before, after;
	struct quota_use use;
};
struct mail_delivery {
	const char *path;		/* the Maildir; created when missing and `create` */
	bool create;
	struct span queue_id;		/* with `rcpt` and `arrival` the file's name: a repeated delivery finds itself */
	uint32_t rcpt;
	int64_t arrival;		/* seconds: becomes the internal date */
	const char *host;
	struct span head;		/* header lines to put in front, LF ends */
	struct span body;
	struct bodyfile *file;		/* in place of body, when it is large; rewound and read. NULL: none */
	uint64_t body_crlf_size;	/* mailtext_crlf_size(body): once for all recipients */
	bool maybe_repeated;		/* look for it under other names too (after a restart) */
	struct span strings;		/* imap_strings() of the message, for the first session; may be empty */
	const struct mail_quota *limit;	/* NULL: none, nothing is counted */
	unsigned grace;			/* percent */
	bool over;			/* may go beyond the limit, but is counted */
	struct mail_filling *filling;	/* set when there is a limit; may be NULL */
};
/*
 * Durable in new/ on STORE_OK. STORE_EXISTS: it was delivered before. STORE_QUOTA: it does not fit.
 * Otherwise errno and `cause` tell.
 */
enum store_result mailstore_deliver(const struct mail_delivery *d, struct buf *cause);

/*
 * The same of one message for several mailboxes, with one sync of the file system for the files of all and one
 * for their directories, where the file system is known to do that as well as fsync (store/jointsync.h). r[i] is
 * what mailstore_deliver(&d[i]) would have given; what fails for one changes nothing for the others. The caller
 * does buf_fini of each cause.
 */
#define MAIL_DELIVERIES_MAX 64		/* at once: each has an open file and 9 KB of memory meanwhile */
struct mail_delivered {
	enum store_result result;
	int err;
	struct buf cause;
};
void mailstore_deliver_all(const struct mail_delivery *d, struct mail_delivered *r, size_t n);

/*
 * The same in two steps, for a file that another process writes and makes durable in
 * between (head, body and maybe_repeated are not used). open: *fd is new, empty, for reading and writing, the caller's. link:
 * durable in new/ on STORE_OK. drop: nothing remains.
 */
enum store_result mailstore_direct_open(const struct mail_delivery *d, int *fd, struct buf *cause);
enum store_result mailstore_direct_link(const struct mail_delivery *d, uint64_t size, uint64_t crlf_size, struct buf *cause);
void mailstore_direct_drop(const struct mail_delivery *d);

#endif
