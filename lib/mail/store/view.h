/*
 * view.h: what a client knows of a folder, as bytes: written and read by mailfolder_view() and mailfolder_reopen(); its
 * own header is for tests. Numbers are varints, 7 bits a byte, the lowest first.
 *
 *	version 1, kind, UIDVALIDITY, UIDNEXT, modseq, count, then
 *	exact:	runs of UIDs in a row that look the same: gap before, length - 1, flags, keywords
 *	summed: sum of the UIDs, then runs of those that are \Recent: gap before, length - 1
 */
#ifndef MAIL_STORE_VIEW_H
#define MAIL_STORE_VIEW_H

#include "mail/store/mailstore.h"

struct view {
	bool exact;
	uint32_t uidvalidity, uidnext, count;
	uint64_t modseq, sum;
	struct span runs;
};
bool view_parse(struct span bytes, struct view *v) CHECKED;

/* The runs, one by one; all zero before the first. */
struct view_run {
	uint32_t lo, hi;
	uint8_t flags;			/* exact only */
	uint32_t keywords;
};
/* 1: the next one; 0: the end; -1: malformed. UIDs rise, are below uidnext and count at most v->count. */
int view_next(struct view *v, struct view_run *r);

uint64_t view_sum_of(uint32_t uid);

#endif
