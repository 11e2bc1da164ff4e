/*
 * adopt.h: mail that comes from another store and keeps what its readers know it by: UIDs, flags, keywords, dates,
 * POP3's unique ids. May be repeated: a file merpati-imported in the folder says what has come already, so that nothing comes twice
 * and what its owner has removed since stays away.
 *
 *   merpati-imported 1 <UIDVALIDITY of the source> <UIDs below are the source's>
 *   <identity, 32 hex digits>
 *   ...
 *
 * Blocks. A message is durable in its folder before it is in that file.
 */
#ifndef MAIL_STORE_ADOPT_H
#define MAIL_STORE_ADOPT_H

#include "mail/store/mailstore.h"

struct adopt_message {
	int fd;			/* the content, kept as it is; borrowed */
	struct span base;	/* its name for ever: the same in every run, one message of this folder alone */
	struct span extra;	/* what its name says besides ("" or ",X=y") */
	uint32_t uid;		/* 0: it had none */
	uint8_t flags;		/* MFLAG_* */
	struct span keywords;	/* names, a blank between two */
	struct span pop_id;	/* empty: ours */
	int64_t date;
	bool fresh;		/* nobody has seen it: into new/ */
};

enum adopt_answer {
	ADOPT_TAKEN,		/* will be there after the next mailadopt_flush */
	ADOPT_THERE,
	ADOPT_REMOVED,		/* was imported once, and is gone */
	ADOPT_FAILED,		/* mailstore_cause */
};

struct adopt_count {
	uint64_t renumbered;	/* have another UID than before */
	uint64_t keywords, pop_ids;	/* that could not be kept */
};

struct mailadopt;
/* The folder is made when it is missing. uidvalidity, uidnext: of the source; 0: it has none. */
struct mailadopt *mailadopt_begin(struct mailstore *ms, struct span folder, uint32_t uidvalidity, uint32_t uidnext, enum store_result *r);
bool mailadopt_keeps_uids(const struct mailadopt *a);
enum adopt_answer mailadopt_add(struct mailadopt *a, const struct adopt_message *m);
enum store_result mailadopt_flush(struct mailadopt *a);	/* happens by itself every now and then */
/* After the last one was added: the message of this base as it is in the folder now; -1: it is not. The caller closes it. */
int mailadopt_read(struct mailadopt *a, struct span base);
const struct adopt_count *mailadopt_count(const struct mailadopt *a);
void mailadopt_end(struct mailadopt *a);	/* what was not flushed is forgotten */

#endif
