/* bodyfile.c: a message out of its queue file, whole or not at all. */
#include "mail/bodyfile.h"

#include <errno.h>

#include "base/fdio.h"
#include "mail/crc32c.h"
#include "base/banned.h"

void
bodyfile_rewind(struct bodyfile *b)
{
	b->done = 0;
	b->crc = 0;
	b->damaged = false;
}

bool
bodyfile_next(struct bodyfile *b, char *p, size_t max, struct span *piece)
{
	size_t n = b->len - b->done < max ? (size_t)(b->len - b->done) : max;
	uint64_t at;

	*piece = SPAN_NONE;
	if (ckd_add(&at, b->off, b->done) || at > INT64_MAX) {
		errno = EINVAL;
		return false;
	}
	if (!pread_all(b->fd, p, n, (off_t)at))
		return false;
	b->done += n;
	if (b->sum)
		b->crc = crc32c(b->crc, span_of(p, n));
	if (b->sum && b->done == b->len && BODYFILE_SUM(b->crc) != b->sum) {
		b->damaged = true;
		errno = EIO;
		return false;
	}
	*piece = span_of(p, n);
	return true;
}
