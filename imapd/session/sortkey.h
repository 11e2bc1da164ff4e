/*
 * sortkey.h: what SORT and THREAD must know of a message: computed once from its
 * header, kept in the index, bounded. Headers are strangers'.
 */
#ifndef IMAP_SORTKEY_H
#define IMAP_SORTKEY_H

#include "message.h"

#define SORTKEY_MAX 200			/* bytes of a text that are compared */
#define SORTKEY_REFERENCES 50		/* of one message, the last ones */

/* Texts, to be compared byte by byte. */
enum sortkey_text { SORTKEY_SUBJECT, SORTKEY_FROM, SORTKEY_TO, SORTKEY_CC, SORTKEY_DISPLAY_FROM, SORTKEY_DISPLAY_TO, SORTKEY_TEXTS };

struct sortkey {
	int64_t sent;			/* the Date header, else the internal date */
	struct span text[SORTKEY_TEXTS];	/* borrowed until the message is asked for something else */
};
/* A message that is gone has empty texts. */
void sortkey_get(struct message *m, struct sortkey *k);

struct threadkey {
	int64_t sent;
	uint64_t subject;		/* hash of the base subject; 0: it is empty */
	bool reply;
	uint64_t id;			/* hash of Message-ID; 0: there is none that is valid */
	uint64_t refs[SORTKEY_REFERENCES];	/* of References, or the one of In-Reply-To */
	unsigned nrefs;
};
void threadkey_get(struct message *m, struct threadkey *k);

/* Pure, for tests: the key of a header as it is kept. */
void sortkey_make(struct buf *out, struct span header);
void threadkey_make(struct buf *out, struct span header);
bool sortkey_read(struct span kept, struct sortkey *k, bool *dated) CHECKED;
bool threadkey_read(struct span kept, struct threadkey *k, bool *dated) CHECKED;

#endif
