/*
 * search.h: the keys of SEARCH compiled into a short program in postfix order.
 *
 * Evaluation has three values: what the index knows is asked first, and only a
 * message that is still undecided is opened. Parsing and evaluation use
 * explicit stacks of bounded depth.
 */
#ifndef IMAP_SEARCH_H
#define IMAP_SEARCH_H

#include "mail/charset/charset.h"
#include "parse.h"

#define SEARCH_DEPTH_MAX 100
#define SEARCH_NODES_MAX 5000

enum search_op {
	/* known from the index */
	SK_ALL, SK_SEQ, SK_UID, SK_FLAG, SK_UNFLAG, SK_KEYWORD, SK_UNKEYWORD, SK_NEW, SK_OLD, SK_RECENT,
	SK_BEFORE, SK_ON, SK_SINCE, SK_LARGER, SK_SMALLER, SK_OLDER, SK_YOUNGER, SK_MODSEQ,
	SK_UIDAFTER, SK_UIDBEFORE, SK_EMAILID, SK_NONE, SK_SAVEDBEFORE, SK_SAVEDON, SK_SAVEDSINCE,
	/* from the header */
	SK_SENTBEFORE, SK_SENTON, SK_SENTSINCE, SK_HEADER,
	/* from the whole message */
	SK_BODY, SK_TEXT,
	/* operators */
	SK_NOT, SK_AND, SK_OR,
};

struct search_node {
	enum search_op op;
	unsigned flag;
	uint64_t number;	/* sizes, days, seconds, modseqs */
	struct span name, text;	/* header name; keyword; text to find, folded */
	struct seqset set;
	uint32_t cursor;
};

struct search_program {
	struct search_node *nodes;
	uint32_t n;
	bool needs_header, needs_body;
	bool modseq;		/* the answer tells the highest modseq (RFC 7162 3.1.5) */
};

enum search_value { SEARCH_NO, SEARCH_YES, SEARCH_OPEN };	/* OPEN: not known yet */

/* cs: of the texts; they are kept as UTF-8. */
bool search_parse(struct parser *p, const struct charset *cs, struct search_program *prog) CHECKED;

/* ask(ctx, node) answers the leaves. */
enum search_value search_eval(const struct search_program *prog,
    enum search_value (*ask)(void *ctx, struct search_node *node), void *ctx);

#endif
