/* quotafile.c: counting what a mailbox holds. File and names are the user's: checked, and never more than a count. */
#include "mail/store/quotafile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "mail/store/driver.h"

#include "base/banned.h"

#define NAME "merpati-quota"
#define LINE_LEN 192
#define STATE_AT (sizeof(NAME " 1 ") - 1)
#define AGE_MAX (24 * 3600)		/* of a count: what other programs removed shows after that at the latest */
#define AGE_REFUSE 10			/* of a count by which somebody is refused */
#define LOCK_MS 1000			/* a session that was stopped may have it for ever */

static bool
lock(int fd)
{
	if (lock_fd(fd, LOCK_MS))
		return true;
	if (errno == EWOULDBLOCK && pwrite_all(fd, "R", 1, LINE_LEN))
		errno = EWOULDBLOCK;
	return false;
}

/* ---- the line ---- */

static bool
write_line(struct quotafile *q, char state)
{
	char line[LINE_LEN + 1];
	int n = snprintf(line, sizeof(line), NAME " 1 C %llu %llu %lld %llu %llu %lld %s ",
	    (unsigned long long)q->use.bytes, (unsigned long long)q->use.messages, (long long)q->counted,
	    (unsigned long long)q->stored.bytes, (unsigned long long)q->stored.messages, (long long)q->stored.since, uidfile_boot());

	if (n < 0 || n > LINE_LEN - 10)
		return false;
	snprintf(line + n, sizeof(line) - (size_t)n, "%08x%*s\n", store_crc32c(span_of(line, (size_t)n)), LINE_LEN - n - 9, "");
	line[STATE_AT] = state;		/* one byte, which the checksum takes for a C */
	return pwrite_all(q->fd, line, LINE_LEN, 0);
}

/* False: what it says cannot be relied on. */
static bool
parse_line(struct quotafile *q, char text[LINE_LEN])
{
	struct span line = span_of(text, LINE_LEN), word[11], rest = line;
	bool clean = text[STATE_AT] == 'C';
	uint64_t counted, since;
	char sum[9];

	text[STATE_AT] = 'C';

	for (size_t i = 0; i < NELEMS(word); i++)
		if (!span_word(&rest, " \n", &word[i]))
			return false;
	snprintf(sum, sizeof(sum), "%08x", store_crc32c(span_of(line.p, (size_t)(word[10].p - line.p))));
	if (!span_is(word[0], NAME) || !span_is(word[1], "1") || !span_is(word[10], sum) ||
	    !span_u64(word[3], 0, UINT64_MAX, &q->use.bytes) || !span_u64(word[4], 0, UINT64_MAX, &q->use.messages) ||
	    !span_u64(word[5], 0, INT64_MAX, &counted) || !span_u64(word[6], 0, UINT64_MAX, &q->stored.bytes) ||
	    !span_u64(word[7], 0, UINT64_MAX, &q->stored.messages) || !span_u64(word[8], 0, INT64_MAX, &since)) {
		q->stored = (struct mail_quota){ 0 };
		return false;
	}
	q->counted = (int64_t)counted;
	q->stored.since = (int64_t)since;
	return clean && uidfile_boot()[0] != '-' && span_is(word[9], uidfile_boot());
}

/* ---- the count ---- */

static void
count_entry(struct quota_use *use, int dir, const char *text)
{
	struct filename name;
	struct stat st;

	if (!filename_parse(span_str(text), &name))
		return;
	if (!name.has_size) {
		if (fstatat(dir, text, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			return;
		name.size = (uint64_t)st.st_size;
	}
	use->messages++;
	if (ckd_add(&use->bytes, use->bytes, name.size))
		use->bytes = UINT64_MAX;
}

static void
count_folder(struct quota_use *use, const char *folder)
{
	for (int i = 0; i < 2; i++) {
		char path[DRIVER_PATH_MAX];
		struct dirent *e;
		DIR *d;

		if (!driver_path(path, folder, driver_places[i], "") || !(d = opendir(path)))
			continue;
		while ((e = readdir(d)))
			if (e->d_type == DT_REG || e->d_type == DT_UNKNOWN)
				count_entry(use, dirfd(d), e->d_name);
		closedir(d);
	}
}

static void
count_all(struct quota_use *use, const char *maildir)
{
	char path[DRIVER_PATH_MAX];
	unsigned folders = 0;
	struct dirent *e;
	DIR *d = opendir(maildir);

	*use = (struct quota_use){ 0 };
	count_folder(use, maildir);
	while (d && folders < MAILSTORE_FOLDERS_MAX && (e = readdir(d))) {
		if (e->d_name[0] != '.' || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN) || !driver_path(path, maildir, e->d_name, ""))
			continue;
		folders++;
		count_folder(use, path);
	}
	if (d)
		closedir(d);
}

void
quotafile_recount(struct quotafile *q, const char *maildir)
{
	count_all(&q->use, maildir);
	q->counted = clock_wall();
	if (ftruncate(q->fd, LINE_LEN) < 0 || !write_line(q, q->writing ? 'D' : 'C'))
		q->counted = 0;
}

/* ---- open, change, close ---- */

/* The limit that was set later counts; one of an unknown time is the latest. */
static bool
take_limit(struct quotafile *q, const struct mail_quota *limit)
{
	bool same = limit && limit->since == q->stored.since && limit->bytes == q->stored.bytes &&
	    limit->messages == q->stored.messages;

	q->limit = q->stored;
	if (!limit || same || (limit->since && limit->since < q->stored.since))
		return false;
	q->limit = q->stored = *limit;
	return true;
}

bool
quotafile_open(struct quotafile *q, const char *maildir, const struct mail_quota *limit)
{
	char path[DRIVER_PATH_MAX], line[LINE_LEN + 1];
	int64_t now = clock_wall();
	ssize_t got;
	bool trusted, fresh;
	int err;

	*q = (struct quotafile){ .fd = -1 };
	if (!driver_path(path, maildir, NAME, ""))
		return false;
	q->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (limit ? O_CREAT : 0), 0600);
	if (q->fd < 0)
		return false;
	if (!lock(q->fd))
		goto fail;
	got = pread(q->fd, line, sizeof(line), 0);
	if (got < 0)
		goto fail;
	trusted = got == LINE_LEN && parse_line(q, line);
	fresh = take_limit(q, limit);
	if (!trusted || q->counted < q->limit.since || now - q->counted > AGE_MAX || q->counted > now + AGE_MAX)
		quotafile_recount(q, maildir);
	else if (fresh && !write_line(q, 'C'))
		goto fail;
	return true;
fail:
	err = errno;
	close_fd(&q->fd);
	errno = err;
	return false;
}

void
quotafile_change(struct quotafile *q)
{
	if (q->fd < 0 || q->writing)
		return;
	q->writing = pwrite_all(q->fd, "D", 1, STATE_AT);	/* a disk that refuses: the count of tomorrow is right again */
}

/* More was taken away than there was: what was counted is wrong, and stays marked. */
static bool
add(uint64_t *n, int64_t change)
{
	if (change >= 0)
		return !ckd_add(n, *n, (uint64_t)change);
	return !ckd_sub(n, *n, (uint64_t)-change);
}

void
quotafile_close(struct quotafile *q, int64_t bytes, int64_t messages)
{
	if (q->fd < 0)
		return;
	if (q->writing && add(&q->use.bytes, bytes) && add(&q->use.messages, messages))
		(void)write_line(q, 'C');
	q->writing = false;
	close_fd(&q->fd);
}

bool
quotafile_fits(struct quotafile *q, const char *maildir, struct quota_use more, unsigned grace)
{
	if (q->fd < 0 || quota_fits(&q->limit, q->use, more, grace))
		return true;
	if (clock_wall() - q->counted < AGE_REFUSE)
		return false;
	quotafile_recount(q, maildir);
	return quota_fits(&q->limit, q->use, more, grace);
}
