/* content.c: reading messages. Files are immutable; what they hold is whatever strangers sent. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mail/store/driver.h"
#include "mail/store/mapguard.h"

#include "base/banned.h"

#define READ_MAX (256u * 1024)	/* larger files are mapped */

void
mailtext_init(struct mailtext *t)
{
	*t = (struct mailtext){ .text = SPAN_NONE };
	buf_init(&t->own, 4 * READ_MAX);
}

static void
unmap(struct mailtext *t)
{
	if (t->map) {
		mapguard_set(NULL, 0);
		munmap(t->map, t->map_len);
	}
	t->map = NULL;
	t->text = SPAN_NONE;
	buf_reset(&t->own);
}

void
mailtext_fini(struct mailtext *t)
{
	unmap(t);
	buf_fini(&t->own);
}

/* Open a message; when another session renamed it, look where it is now. */
static int
open_message(struct mailfolder *f, size_t index)
{
	char path[DRIVER_PATH_MAX];

	for (int tries = 0; tries < 3; tries++) {
		const struct mail_message *m = &f->msgs[index];
		int fd;

		if (!driver_path(path, f->dir, driver_places[m->place], m->name))
			return -1;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd >= 0 || errno != ENOENT)
			return fd;
		folder_relocate(f);
	}
	errno = ENOENT;
	return -1;
}

static bool
map_file(int fd, struct mailtext *t)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (!S_ISREG(st.st_mode)) {
		errno = EACCES;
		return false;
	}
	t->text = SPAN_NONE;
	if (st.st_size == 0)
		return true;
	t->map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (t->map == MAP_FAILED) {
		t->map = NULL;
		return false;
	}
	t->map_len = (size_t)st.st_size;
	mapguard_set(t->map, t->map_len);
	t->text = span_of(t->map, t->map_len);
	return true;
}

/* The size in the name saves the fstat: it is right when exactly so much can be read. */
static bool
read_small(int fd, size_t size, struct mailtext *t)
{
	char *to = buf_room(&t->own, size + 1);
	ssize_t got;

	if (!to)
		return map_file(fd, t);
	do
		got = read(fd, to, size + 1);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return false;
	if ((size_t)got != size)
		return map_file(fd, t);
	buf_grew(&t->own, size);
	t->text = buf_span(&t->own);
	return true;
}

static enum store_result
finish(struct mailfolder *f, size_t index, int fd, bool ok)
{
	enum store_result r = STORE_OK;

	if (!ok && errno == ENOENT) {
		f->msgs[index].flags |= MFLAG_GONE;
		f->trusted = false;
		r = STORE_GONE;
	} else if (!ok) {
		r = driver_fail(f->ms, "read", f->msgs[index].name);
	}
	if (fd >= 0)
		close(fd);
	return r;
}

enum store_result
mailfolder_read(struct mailfolder *f, size_t index, struct mailtext *t)
{
	uint64_t size = f->msgs[index].size;
	struct stat st;
	int fd;
	bool ok;

	unmap(t);
	if (f->msgs[index].flags & MFLAG_GONE)
		return STORE_GONE;
	fd = open_message(f, index);
	if (size == 0 && fd >= 0 && fstat(fd, &st) == 0)	/* the name did not tell */
		size = (uint64_t)st.st_size;
	ok = fd >= 0 && (size <= READ_MAX ? read_small(fd, (size_t)size, t) : map_file(fd, t));
	return finish(f, index, fd, ok);
}

/* Index behind the empty line that ends the header, 0: not found. */
static size_t
head_end(struct span s, size_t from)
{
	for (size_t i = from; i + 1 < s.n; i++) {
		const char *nl = memchr(s.p + i, '\n', s.n - i - 1);

		if (!nl)
			return 0;
		i = (size_t)(nl - s.p);
		if (nl[1] == '\n')
			return i + 2;
		if (nl[1] == '\r' && i + 2 < s.n && nl[2] == '\n')
			return i + 3;
	}
	return 0;
}

static bool
read_head(int fd, size_t max, struct mailtext *t)
{
	size_t end = 0;

	while (!end && t->own.len < max) {
		size_t room = t->own.len ? READ_MAX / 4 : 8192;
		char *to = buf_room(&t->own, room);
		ssize_t got;

		if (!to)
			break;
		got = read(fd, to, room);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		buf_grew(&t->own, (size_t)got);
		if (t->own.len && t->own.p[0] == '\n')
			end = 1;
		else
			end = head_end(buf_span(&t->own), t->own.len - (size_t)got > 3 ? t->own.len - (size_t)got - 3 : 0);
		if (got == 0)
			break;
	}
	t->text = span_sub(buf_span(&t->own), 0, end && end < max ? end : max);
	return true;
}

enum store_result
mailfolder_read_head(struct mailfolder *f, size_t index, size_t max, struct mailtext *t)
{
	int fd;

	unmap(t);
	if (f->msgs[index].flags & MFLAG_GONE)
		return STORE_GONE;
	fd = open_message(f, index);
	return finish(f, index, fd, fd >= 0 && read_head(fd, max, t));
}
