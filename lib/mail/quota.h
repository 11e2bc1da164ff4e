/*
 * quota.h: how much a mailbox may hold, as text: "BYTES MESSAGES SINCE", as in conf/quota. BYTES
 * may end in K, M, G or T (of 1024), "-" or 0 is no limit; SINCE (seconds since 1970, may be left out) is when the
 * limit was set: what was counted before that is counted anew.
 */
#ifndef MAIL_QUOTA_H
#define MAIL_QUOTA_H

#include "base/buf.h"

#define QUOTA_TEXT_MAX 80

struct mail_quota {
	uint64_t bytes, messages;	/* 0: no limit */
	int64_t since;
};

/* False: malformed, or no limit at all; *q is then all zeros. An empty text is no limit. */
bool quota_parse(struct span text, struct mail_quota *q);
void quota_format(const struct mail_quota *q, struct buf *out);
/* "2G", "500M", "1048576"; false: not a size. "-" is 0. */
bool quota_parse_size(struct span text, uint64_t *bytes) CHECKED;

static inline bool
quota_limits(const struct mail_quota *q)
{
	return q->bytes || q->messages;
}

/*
 * May a mailbox that holds `have` have `more`? grace: percent of the limit that one more message may
 * go beyond, as long as the limit was not reached before.
 */
struct quota_use {
	uint64_t bytes, messages;
};
bool quota_fits(const struct mail_quota *q, struct quota_use have, struct quota_use more, unsigned grace);
/* How full it is, of bytes or messages, whichever is more; 0 without a limit. */
unsigned quota_percent(const struct mail_quota *q, struct quota_use have);

#endif
