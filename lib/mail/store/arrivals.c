/* arrivals.c: writing and reading merpati.arrivals. The file is the user's: links are not followed, every length is checked. */
#include "mail/store/arrivals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/crc32c.h"
#include "mail/imaptext.h"
#include "mail/store/driver.h"

#include "base/banned.h"

#define FRAME 8				/* length and checksum */
#define RECORD_LEAST sizeof(struct mail_id)
#define FILE_MAX (8u << 20)		/* then it begins anew: the latest mail is what is looked at */
#define SMALL_MAX (1u << 20)		/* kept beside a folder that is too small for an index */
#define LOOK_EVERY 16			/* records between two looks at the size */

static uint32_t
get_u32(const char *at)
{
	const unsigned char *p = (const unsigned char *)at;

	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ---- local ---- */

/* Grown too large while nobody took it over: a mailbox that is read by POP3 alone. */
static bool
is_full(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX);
}

void
arrivals_append(const char *dir, const struct mail_id *id, struct span strings)
{
	static unsigned records;
	char path[DRIVER_PATH_MAX];
	struct buf record;
	struct span rest;
	uint32_t sum;
	int fd;

	if (strings.n == 0 || strings.n > IMAP_STRINGS_MAX || !driver_path(path, dir, ARRIVALS_NAME, ""))
		return;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return;
	buf_init(&record, FRAME + RECORD_LEAST + IMAP_STRINGS_MAX);
	buf_add_u32(&record, (uint32_t)(RECORD_LEAST + strings.n));
	buf_add_u32(&record, 0);
	buf_add(&record, id->b, sizeof(id->b));
	buf_addspan(&record, strings);
	rest = span_skip(buf_span(&record), FRAME);
	sum = crc32c(0, rest);
	for (int i = 0; i < 4; i++)
		record.p[4 + i] = (char)(sum >> 8 * i);
	if (write(fd, record.p, record.len) != (ssize_t)record.len || (records++ % LOOK_EVERY == 0 && is_full(fd)))
		unlink(path);		/* cut, full, or no file at all */
	buf_fini(&record);
	close(fd);
}

/* ---- a session ---- */

struct slot {
	struct mail_id id;
	struct span strings;
};

struct arrivals {
	char *dir;
	bool look;			/* at the file, before the next answer */
	struct buf text;		/* the file, or nothing when the index has taken it over */
	struct slot *slot;		/* by id: open addressing; an empty one has no strings */
	size_t mask, n;
};

bool
arrivals_next(struct span *rest, struct mail_id *id, struct span *strings)
{
	uint32_t n;
	struct span s;

	if (rest->n < FRAME + RECORD_LEAST)
		return false;
	n = get_u32(rest->p);
	if (n < RECORD_LEAST || n > rest->n - FRAME || n > RECORD_LEAST + IMAP_STRINGS_MAX)
		return false;
	s = span_sub(*rest, FRAME, FRAME + n);
	if (crc32c(0, s) != get_u32(rest->p + 4))
		return false;
	memcpy(id->b, s.p, sizeof(id->b));
	*strings = span_skip(s, RECORD_LEAST);
	*rest = span_skip(*rest, FRAME + n);
	return true;
}

static void
forget(struct arrivals *a)
{
	free(a->slot);
	a->slot = NULL;
	a->n = 0;
	buf_reset(&a->text);
}

static struct slot *
slot_of(const struct arrivals *a, const struct mail_id *id)
{
	uint64_t h;

	memcpy(&h, id->b, sizeof(h));
	for (size_t at = (size_t)h & a->mask;; at = (at + 1) & a->mask)
		if (!a->slot[at].strings.n || memcmp(a->slot[at].id.b, id->b, sizeof(id->b)) == 0)
			return &a->slot[at];
}

static void
fill_table(struct arrivals *a)
{
	struct span rest = buf_span(&a->text), strings;
	struct mail_id id;
	size_t size = 64;

	while (size < a->text.len / (FRAME + RECORD_LEAST) * 2)
		size *= 2;
	a->mask = size - 1;
	a->slot = x_alloc(size * sizeof(*a->slot));
	while (arrivals_next(&rest, &id, &strings)) {
		struct slot *s = slot_of(a, &id);

		if (strings.n)
			*s = (struct slot){ id, strings };
		a->n++;
	}
}

/* The whole file into a->text. */
static bool
read_all(struct arrivals *a, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	bool ok = false;
	char *to;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= 2 * FILE_MAX) {
		to = buf_room(&a->text, (size_t)st.st_size);
		ok = to && pread_all(fd, to, (size_t)st.st_size, 0);
		if (ok)
			buf_grew(&a->text, (size_t)st.st_size);
	}
	close(fd);
	return ok;
}

/* How far the records are sound. */
static size_t
sound(struct span text)
{
	struct span rest = text, strings;
	struct mail_id id;

	while (arrivals_next(&rest, &id, &strings))
		continue;
	return text.n - rest.n;
}

/* A folder with an index: renamed first, so that what comes meanwhile begins a new file. */
static void
take_over(struct mailstore *ms, struct arrivals *a, const char *path)
{
	char taken[DRIVER_PATH_MAX];

	if (!driver_path(taken, a->dir, ARRIVALS_NAME ".taken", "") || rename(path, taken) < 0)
		return;
	if (read_all(a, taken) && index_import(ms, buf_span(&a->text)))
		forget(a);
	else if (a->text.len)
		fill_table(a);		/* no index: for this session at least */
	unlink(taken);
}

static void
load(struct mailstore *ms, struct arrivals *a)
{
	char path[DRIVER_PATH_MAX];
	struct stat st;

	a->look = false;
	if (!driver_path(path, a->dir, ARRIVALS_NAME, "") || lstat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (a->text.len && (size_t)st.st_size == a->text.len))
		return;
	forget(a);
	if (ms->wants_index) {
		take_over(ms, a, path);
		return;
	}
	if (!read_all(a, path))
		return;
	if (a->text.len > SMALL_MAX || sound(buf_span(&a->text)) < a->text.len)
		unlink(path);		/* mostly of mail that is gone; or damaged, and no record behind that could be read */
	fill_table(a);
}

void
arrivals_look(struct mailstore *ms, const char *dir)
{
	struct arrivals *a = ms->arrivals;

	if (!a) {
		a = ms->arrivals = x_new(struct arrivals);
		buf_init(&a->text, 2 * FILE_MAX);
	}
	if (!a->dir || strcmp(a->dir, dir) != 0) {
		free(a->dir);
		a->dir = x_strdup(dir);
		forget(a);
	}
	a->look = true;
}

bool
arrivals_find(struct mailstore *ms, const struct mail_id *id, struct span *strings)
{
	struct arrivals *a = ms->arrivals;

	if (!a)
		return false;
	if (a->look)
		load(ms, a);
	if (!a->slot)
		return false;
	*strings = slot_of(a, id)->strings;
	return strings->n > 0;
}

void
arrivals_free(struct mailstore *ms)
{
	struct arrivals *a = ms->arrivals;

	ms->arrivals = NULL;
	if (!a)
		return;
	forget(a);
	buf_fini(&a->text);
	free(a->dir);
	free(a);
}

void
arrivals_drop(const char *dir)
{
	char path[DRIVER_PATH_MAX];

	if (driver_path(path, dir, ARRIVALS_NAME, ""))
		unlink(path);
}
