/* quota.c: the quota of a session's user: what he may have is told at the login, or by a later delivery in the file. */
#include "base/clock.h"
#include "mail/store/driver.h"

#include "base/banned.h"

void
mailstore_limit(struct mailstore *ms, const struct mail_quota *limit)
{
	ms->limit = *limit;
	ms->limit_told = clock_wall();
}

bool
quota_open(struct mailstore *ms, struct quotafile *q)
{
	if (!quotafile_open(q, ms->path, quota_limits(&ms->limit) ? &ms->limit : NULL))
		return false;
	if (!quota_limits(&ms->limit) && q->limit.since <= ms->limit_told)
		q->limit = (struct mail_quota){ 0 };	/* it has been lifted meanwhile */
	return true;
}

enum store_result
mailstore_usage(struct mailstore *ms, struct mailstore_usage *u)
{
	struct quotafile q;
	bool open = quota_open(ms, &q);

	*u = (struct mailstore_usage){ .limit = open ? q.limit : ms->limit, .use = q.use };
	quotafile_close(&q, 0, 0);
	return quota_limits(&u->limit) ? STORE_OK : STORE_NOTFOUND;
}

enum store_result
mailstore_room(struct mailstore *ms, uint64_t bytes, uint64_t messages)
{
	struct quotafile q;
	bool fits = !quota_open(ms, &q) || quotafile_fits(&q, ms->path, (struct quota_use){ bytes, messages }, 0);

	quotafile_close(&q, 0, 0);
	return fits ? STORE_OK : STORE_QUOTA;
}

enum store_result
mailstore_quota_check(const char *path, const struct mail_quota *limit, unsigned grace, uint64_t bytes)
{
	struct quotafile q;
	bool fits = !quotafile_open(&q, path, limit) || quotafile_fits(&q, path, (struct quota_use){ bytes ? bytes : 1, 1 }, grace);

	quotafile_close(&q, 0, 0);
	return fits ? STORE_OK : STORE_QUOTA;
}
