/* uidfile.c: UIDs that never come twice. The file is the user's own: a damaged one gives a new UIDVALIDITY. */
#include "mail/store/uidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/rand.h"

#include "base/banned.h"

#define UIDFILE_NAME "merpati-uid"
#define VALIDITY_NAME "merpati-uidvalidity"
#define VALIDITY_LEN 11		/* ten digits, LF */
#define UIDFILE_LEN 192		/* all fields have a fixed width: rewritten in place, within one sector */
#define UIDFILE_BLOCK 1024	/* UIDs that one fsync covers */
#define MODSEQ_BLOCK (1u << 20)	/* the same for modseqs */
#define LOCK_MS 60000		/* a session that was stopped may have it for ever */
#define BOOT_LEN 36
#define MODSEQ_MAX (INT64_MAX - 2ull * MODSEQ_BLOCK)	/* RFC 7162 7: 63 bits */

static char boot[BOOT_LEN + 1] = "------------------------------------";

uint32_t
store_crc32c(struct span s)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < s.n; i++) {
		crc ^= (unsigned char)s.p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
	}
	return ~crc;
}

void
uidfile_boot_init(void)
{
	struct buf b;

	buf_init(&b, 64);
	if (read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b) && b.len >= BOOT_LEN)
		memcpy(boot, b.p, BOOT_LEN);
	buf_fini(&b);
}

const char *
uidfile_boot(void)
{
	return boot;
}

void
uidfile_init(struct uidfile *u)
{
	*u = (struct uidfile){ .fd = -1 };
}

void
uidfile_close(struct uidfile *u)
{
	close_fd(&u->fd);
	u->locked = false;
}

static void
format_line(const struct uidfile *u, char out[UIDFILE_LEN + 1])
{
	int n = snprintf(out, UIDFILE_LEN + 1, "merpati-uid 2 %010u %010u %010u %010u %020llu %020llu %020llu %020llu %s ",
	    u->uidvalidity, u->high, u->next, u->recent, (unsigned long long)u->id, (unsigned long long)u->modhigh,
	    (unsigned long long)u->modseq, (unsigned long long)u->digest, boot);

	snprintf(out + n, (size_t)(UIDFILE_LEN + 1 - n), "%08x%*s\n", store_crc32c(span_of(out, (size_t)n)),
	    UIDFILE_LEN - n - 9, "");
}

/* Fields 5 to 9 of version 2. */
static bool
parse_more(const struct span word[5], struct uidfile *u)
{
	return span_u32(word[0], 1, UINT32_MAX, &u->recent) && span_u64(word[1], 1, UINT64_MAX, &u->id) && span_u64(word[2], 1, MODSEQ_MAX, &u->modhigh) &&
	    span_u64(word[3], 1, MODSEQ_MAX, &u->modseq) && span_u64(word[4], 0, UINT64_MAX, &u->digest);
}

static bool
parse_line(struct span line, struct uidfile *u)
{
	struct span word[12], rest = line;
	size_t n = 0, last;
	char sum[9];
	bool old;

	while (n < NELEMS(word) && span_word(&rest, " \n", &word[n]))
		n++;
	if (n < 7 || !span_is(word[0], "merpati-uid"))
		return false;
	old = span_is(word[1], "1");	/* without modseqs */
	last = old ? 6 : 11;
	if ((!old && !span_is(word[1], "2")) || last >= n || word[last - 1].n != BOOT_LEN)
		return false;
	snprintf(sum, sizeof(sum), "%08x", store_crc32c(span_of(line.p, (size_t)(word[last].p - line.p))));
	if (!span_is(word[last], sum))
		return false;
	if (!span_u32(word[2], 1, UINT32_MAX, &u->uidvalidity) || !span_u32(word[3], 0, UINT32_MAX - 1, &u->high) ||
	    !span_u32(word[4], 1, UINT32_MAX, &u->next))
		return false;
	u->modhigh = u->modseq = 1;
	u->id = 0;
	u->recent = u->next;
	u->digest = UINT64_MAX;
	if (!old && !parse_more(word + 5, u))
		return false;
	if (!span_is(word[last - 1], boot) || boot[0] == '-') {
		u->next = u->high + 1;	/* what was used since the last fsync is not known */
		u->modseq = u->modhigh;
		u->digest = ~u->digest;	/* fits no folder that anybody has seen */
	}
	return true;
}

static bool
write_line(struct uidfile *u, bool durable)
{
	char line[UIDFILE_LEN + 1];

	if (u->modseq > u->modhigh) {
		u->modhigh = u->modseq + MODSEQ_BLOCK;
		durable = true;
	}
	format_line(u, line);
	if (!pwrite_all(u->fd, line, UIDFILE_LEN, 0) || (durable && fsync(u->fd) < 0))
		return false;
	u->unsaved = false;
	return true;
}

static uint64_t
make_id(void)
{
	uint64_t id;

	do
		rand_bytes(&id, sizeof(id));
	while (id == 0);
	return id;
}

/*
 * The time, but above every UIDVALIDITY that was given in this Maildir: a folder that is made again within a second must not
 * look like the one before. Not synced: after a power cut the time is another.
 */
static uint32_t
new_uidvalidity(const char *root)
{
	time_t now = clock_wall();
	uint32_t v = now > 1 && now < UINT32_MAX ? (uint32_t)now : 1, last;
	char path[PATH_MAX], text[16];
	int n = root ? snprintf(path, sizeof(path), "%s/" VALIDITY_NAME, root) : -1, fd;
	ssize_t got;

	if (n < 0 || (size_t)n >= sizeof(path))
		return v;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return v;
	if (!lock_fd(fd, LOCK_MS)) {
		close(fd);
		return v;
	}
	got = pread(fd, text, VALIDITY_LEN, 0);
	if (got == VALIDITY_LEN && span_u32(span_of(text, VALIDITY_LEN - 1), 1, UINT32_MAX - 1, &last) && last >= v)
		v = last + 1;
	snprintf(text, sizeof(text), "%010u\n", v);
	if (!pwrite_all(fd, text, VALIDITY_LEN, 0))
		errno = 0;		/* the time has to do */
	close(fd);
	return v;
}

static bool
make_anew(struct uidfile *u, const char *dir)
{
	u->uidvalidity = new_uidvalidity(u->root);
	u->high = UIDFILE_BLOCK;
	u->next = u->recent = 1;
	u->id = make_id();
	u->modseq = 1;
	u->modhigh = MODSEQ_BLOCK;
	u->digest = 0;			/* of an empty folder */
	u->fresh = true;
	return ftruncate(u->fd, 0) == 0 && write_line(u, true) && fsync_dir(AT_FDCWD, dir);
}

/* Open and lock the file that has the name now (it may be removed between the two). */
static bool
open_locked(struct uidfile *u, const char *path)
{
	for (int tries = 0; tries < 10; tries++) {
		struct stat st;

		if (u->fd < 0)
			u->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		if (u->fd < 0)
			return false;
		if (!lock_fd(u->fd, LOCK_MS) || fstat(u->fd, &st) < 0)
			return false;
		if (st.st_nlink > 0 && S_ISREG(st.st_mode))
			return true;
		close_fd(&u->fd);
	}
	errno = EAGAIN;
	return false;
}

bool
uidfile_lock(struct uidfile *u, const char *dir)
{
	char path[PATH_MAX], line[UIDFILE_LEN];
	int n = snprintf(path, sizeof(path), "%s/" UIDFILE_NAME, dir);
	ssize_t got;

	if (u->locked)
		return true;
	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (!open_locked(u, path))
		goto fail;
	got = pread(u->fd, line, sizeof(line), 0);
	if (got < 0)
		goto fail;
	u->fresh = u->unsaved = false;
	if (!parse_line(span_of(line, (size_t)got), u) && !make_anew(u, dir))
		goto fail;
	if (u->id == 0) {		/* of version 1 */
		u->id = make_id();
		if (!write_line(u, true))
			goto fail;
	}
	u->locked = true;
	return true;
fail:;
	int err = errno;
	uidfile_close(u);
	errno = err;
	return false;
}

void
uidfile_unlock(struct uidfile *u)
{
	if (u->locked)
		flock(u->fd, LOCK_UN);
	u->locked = false;
}

bool
uidfile_take(struct uidfile *u, uint32_t n, uint32_t *first)
{
	uint32_t next;

	if (n == 0)
		return true;
	*first = u->next;
	if (ckd_add(&next, u->next, n) || next > UINT32_MAX - 2 * UIDFILE_BLOCK) {
		errno = ERANGE;
		return false;
	}
	return uidfile_raise(u, next);
}

bool
uidfile_raise(struct uidfile *u, uint32_t next)
{
	bool durable = false;

	if (next <= u->next)
		return true;
	if (next > UINT32_MAX - 2 * UIDFILE_BLOCK) {
		errno = ERANGE;
		return false;
	}
	u->next = next;
	if (next - 1 > u->high) {
		u->high = next - 1 + UIDFILE_BLOCK;
		durable = true;
	}
	return write_line(u, durable);
}

bool
uidfile_adopt(struct uidfile *u, uint32_t uidvalidity, uint32_t next)
{
	if (u->next != 1 || uidvalidity == 0) {
		errno = EBUSY;
		return false;
	}
	if (next > UINT32_MAX - 2 * UIDFILE_BLOCK) {
		errno = ERANGE;
		return false;
	}
	u->uidvalidity = uidvalidity;
	u->next = u->recent = next ? next : 1;	/* what the other store has shown is not recent */
	u->high = u->next - 1 + UIDFILE_BLOCK;
	return write_line(u, true);
}

uint64_t
uidfile_stamp(struct uidfile *u)
{
	u->unsaved = true;
	return ++u->modseq;
}

bool
uidfile_flush(struct uidfile *u)
{
	return !u->unsaved || write_line(u, false);
}

bool
uidfile_peek(const char *dir, struct uidfile *u)
{
	char path[PATH_MAX], line[UIDFILE_LEN];
	int n = snprintf(path, sizeof(path), "%s/" UIDFILE_NAME, dir), fd;
	ssize_t got;

	if (n < 0 || (size_t)n >= sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	got = pread(fd, line, sizeof(line), 0);
	close(fd);
	return got > 0 && parse_line(span_of(line, (size_t)got), u) && u->id != 0;
}
