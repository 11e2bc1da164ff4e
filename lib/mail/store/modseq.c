/*
 * modseq.c: which number a change gets (RFC 7162). The folder's file tells the last number and sums up what the folder was
 * then: a folder that still has that sum has no change without a number; any other has, whoever made it.
 */
#include "mail/store/driver.h"

#include "base/banned.h"

uint64_t
folder_digest_of(uint32_t uid, uint8_t flags, uint32_t keywords)
{
	uint64_t x = ((uint64_t)uid << 32 | keywords) + 0x9e3779b97f4a7c15 * ((flags & MFLAG_ALL) + 1u);

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;		/* splitmix64 */
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t
digest(const struct mailfolder *f)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < f->n; i++)
		if (!(f->msgs[i].flags & MFLAG_GONE))
			sum += folder_digest_of(f->msgs[i].uid, f->msgs[i].flags, f->msgs[i].keywords);
	return sum;
}

/* Without an index that knows better: others may have changed any message, twice even, so that it looks as before. */
static void
raise(struct mailfolder *f, bool all, uint64_t number)
{
	for (size_t i = 0; i < f->n; i++)
		if (all || f->msgs[i].modseq == 0)
			f->msgs[i].modseq = number;
}

bool
folder_number(struct mailfolder *f)
{
	struct uidfile *u = &f->uids;
	uint64_t before = u->modseq, sum = digest(f);
	bool behind = f->fresh_view || f->modseq != before, same = sum == u->digest;

	if (!same) {
		uidfile_stamp(u);
		u->digest = sum;
	}
	if (!uidfile_flush(u))
		return false;
	if ((same && !behind) || !index_number(f, before, u->modseq))
		raise(f, behind, u->modseq);
	f->modseq = u->modseq;
	f->uidnext = u->next;
	if (f->tracked)
		index_save_tracked(f);
	return true;
}

enum store_result
mailfolder_track(struct mailfolder *f)
{
	if (f->tracked || f->how & MAILFOLDER_PLAIN)
		return STORE_OK;
	f->tracked = true;
	f->trusted = false;
	return folder_catch_up(f);
}
