/* driver.h: what the files of the Maildir driver share. Nobody outside lib/mail/store includes it. */
#ifndef MAIL_STORE_DRIVER_H
#define MAIL_STORE_DRIVER_H

#include <dirent.h>
#include <time.h>

#include "mail/store/arrivals.h"
#include "mail/store/filename.h"
#include "mail/store/foldername.h"
#include "mail/store/mailstore.h"
#include "mail/store/quotafile.h"
#include "mail/store/uidfile.h"

#define DRIVER_PATH_MAX 4096
#define DRIVER_MESSAGES_MAX (16u << 20)	/* in one folder */

#define DRIVER_LOCK_MS 60000		/* a lock of a mailbox that nobody gives back in this time is an error */

enum place { PLACE_CUR, PLACE_NEW };
extern const char *const driver_places[2];	/* "cur", "new" */

struct store_index;

struct mailstore {
	char *path;
	struct buf cause;
	int lock_fd;
	struct store_index *index;	/* NULL: not open */
	bool no_index;			/* it could not be opened: not tried again */
	bool wants_index;		/* a folder is large enough to gain by it */
	struct arrivals *arrivals;	/* NULL: no folder was opened yet */
	struct mail_quota limit;	/* as it was told at the login */
	int64_t limit_told;
};

struct mailfolder {
	struct mailstore *ms;
	char *name, *dir;
	unsigned how;
	struct uidfile uids;
	struct mail_message *msgs;	/* by UID (PLAIN: by date and name) */
	size_t n, cap;
	uint32_t uidvalidity;		/* that this session has shown; 0: none yet */
	uint32_t uidnext;		/* when msgs were read */
	uint64_t modseq;		/* of the state that msgs show */
	uint64_t told_modseq;		/* up to here all changes were told, expunges too */
	struct timespec mtime[2];	/* of cur/ and new/, as they were before the last scan */
	bool trusted;			/* the mtimes are old enough to tell every later change */
	bool fresh_view;		/* nothing was scanned yet */
	bool tracked;			/* modseqs are kept for the next session: there must be an index */
	char *keywords[MAILSTORE_KEYWORDS];
	struct timespec keywords_mtime;
	int watch;
	struct mailfolder_changes changes;
	bool reported;			/* changes were told: the next one begins anew */
	size_t told;			/* messages that the last refresh knew of, gone ones included */
	size_t cap_expunged, cap_changed;
	bool indexed;			/* the index holds this folder as it is in msgs */
};

/* Notes cause (with errno) and gives the result that errno stands for. */
enum store_result driver_fail(struct mailstore *ms, const char *what, const char *path);
enum store_result driver_errno(int err);

int driver_lock_names(struct mailstore *ms);	/* the lock on the Maildir itself, until the descriptor is closed; -1: not, with errno */

/* "dir/place/name"; dies never, false when too long. */
bool driver_path(char out[DRIVER_PATH_MAX], const char *dir, const char *sub, const char *name) CHECKED;
bool driver_rename(const char *dir, enum place from, const char *name, enum place to, const char *newname) CHECKED;
/* Sizes of a file as it is, and with a CR before every LF. expected: what stat said, 0: unknown. False with errno. */
bool driver_measure(const char *path, uint64_t expected, uint64_t *size, uint64_t *crlf_size) CHECKED;
bool driver_make_maildir(const char *dir, bool parents) CHECKED;	/* with cur, new, tmp; durable; existing parts are kept */
bool driver_make_folder(const char *dir) CHECKED;	/* the same of a folder of a Maildir++, with its mark; not yet durable */
uint64_t driver_now_us(void);		/* the clock that the kernel stamps mtimes with */

/* quota.c: of a session. False: nothing is counted (q is as good as empty) */
bool quota_open(struct mailstore *ms, struct quotafile *q);

/* keywords.c */
void keywords_load(struct mailfolder *f);
int keywords_letter(struct mailfolder *f, struct span name, bool create);
void keywords_free(struct mailfolder *f);
/* A keyword into a name: its flag, or its letter, made when needed; false: no letter is free */
bool keywords_add(struct mailfolder *f, struct span keyword, struct filename *name) CHECKED;
/* the same of all that bits of another folder mean */
bool keywords_translate(struct mailfolder *from, struct mailfolder *to, uint32_t bits, struct filename *name) CHECKED;

/* folder.c, scan.c */
size_t folder_add(struct mailfolder *f, const struct mail_message *m);
struct mailfolder *folder_new(struct mailstore *ms, struct span name, unsigned how, enum store_result *r);
void folder_free(struct mailfolder *f);
enum store_result folder_scan(struct mailfolder *f);
void folder_relocate(struct mailfolder *f);	/* find messages that others renamed; the snapshot keeps its flags */
bool folder_rename_message(struct mailfolder *f, struct mail_message *m, const struct filename *as, enum place to) CHECKED;
enum store_result folder_catch_up(struct mailfolder *f);	/* scan when something changed; the lock stays as it was */

/* measure.c */
bool folder_sized(const struct mail_message *m);		/* its sizes are known */
bool folder_complete(struct mailfolder *f, struct mail_message *m) CHECKED;
bool folder_guess_date(struct mailfolder *f, struct mail_message *m) CHECKED;
int64_t folder_date(struct mailfolder *f, struct mail_message *m);	/* m->date, from the file when the name does not tell */
uint64_t folder_bytes(struct mailfolder *f, const struct mail_message *m);	/* of the file, for the quota */
void folder_note_sizes(struct mailfolder *f);

/* modseq.c. Locked. */
/* After a scan: messages with modseq 0 and the folder as a whole get theirs. False with errno. */
bool folder_number(struct mailfolder *f) CHECKED;
/* A message as a summand of the folder's digest. */
uint64_t folder_digest_of(uint32_t uid, uint8_t flags, uint32_t keywords);

/* specialuse.c: a folder and what is below it have another name. */
enum store_result specialuse_move(struct mailstore *ms, struct span from, struct span to);

/* index.c */
bool index_load_folder(struct mailfolder *f) CHECKED;
void index_save_folder(struct mailfolder *f);
void index_close(struct mailstore *ms);
void index_forget_folder(struct mailstore *ms, const char *dir);
bool index_exists(struct mailstore *ms);	/* small mailboxes have none, and must not get one by looking */
/*
 * Modseqs (index_modseq.c). What the index holds of a folder is current when it was written with the folder's
 * last modseq, `before`. All of these are called under the folder's lock, after uidfile_flush.
 */
/* Take over what the index knows; what it does not know gets `number`, also there. False: it is not current. */
bool index_number(struct mailfolder *f, uint64_t before, uint64_t number) CHECKED;
/* Own changes: messages of index[n] that have `number`, or are gone by it. Nothing when it is not current. */
void index_note(struct mailfolder *f, uint64_t before, uint64_t number, const uint32_t *index, size_t n);
void index_save_tracked(struct mailfolder *f);	/* the whole folder, when it is not there as it is */
#define INDEX_LEAST 200			/* smaller folders are read as quickly without */

#endif
