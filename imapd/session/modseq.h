/*
 * modseq.h: CONDSTORE and QRESYNC (RFC 7162): what a client that was away has to learn. Numbers and
 * the memory of expunges are the store's.
 */
#ifndef IMAP_MODSEQ_H
#define IMAP_MODSEQ_H

#include "esearch.h"

#define MODSEQ_SET_MAX (32u << 20)	/* bytes of a set in an answer */

/* From now on MODSEQ is told with changed flags. When a mailbox is selected that was not tracked, HIGHESTMODSEQ follows. */
void modseq_enable(struct session *s);

/* "HIGHESTMODSEQ 123", from the arena; NULL: it is full */
const char *modseq_code(struct session *s);
uint64_t modseq_highest(const struct session *s, const uint32_t *index, size_t n);

/* "(CONDSTORE)" or "(QRESYNC (uidvalidity modseq known-uids (seqs uids)))" behind the mailbox of SELECT. */
struct modseq_select {
	bool condstore, qresync;
	uint32_t uidvalidity;
	uint64_t since;
	bool has_known;
	struct seqset known;
	struct seqset seqs, uids;	/* message numbers and UIDs that belonged together */
};
bool modseq_parse_select(struct parser *p, const struct session *s, struct modseq_select *q) CHECKED;
/* After the answers of SELECT: what has gone and changed since. */
void modseq_resync(struct session *s, struct modseq_select *q);

/* "(CHANGEDSINCE 12 VANISHED PARTIAL 1:10)" behind the items of FETCH. */
struct modseq_fetch {
	bool changed, vanished, paged;
	struct partial page;		/* of the messages that are there (RFC 9394 3.3) */
	uint64_t since;
};
bool modseq_parse_fetch(struct parser *p, struct modseq_fetch *m) CHECKED;
/* "* VANISHED (EARLIER) set" of the known UIDs ('*' is allowed), when there are any. match: NULL, or as above. */
void modseq_tell_vanished(struct session *s, uint64_t since, const struct seqset *known, const struct modseq_select *match);

#endif
