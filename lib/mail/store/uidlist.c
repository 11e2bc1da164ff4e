/* uidlist.c: see uidlist.h. Any byte of the file may have been written by other programs of the user. */
#include "mail/store/uidlist.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/store/driver.h"

#include "base/banned.h"

#define HEAD "merpati-uidlist 1 "
#define LIST_MAX (1u << 30)		/* bytes; a longer one is made anew */
#define LINE_LEAST 4			/* "1 a", LF */

static struct uidlist_slot *
slot_of(const struct uidlist *l, const struct mail_id *id)
{
	uint64_t h;

	memcpy(&h, id->b, sizeof(h));
	for (size_t at = (size_t)h & l->mask;; at = (at + 1) & l->mask)
		if (!l->slot[at].uid || memcmp(l->slot[at].id.b, id->b, sizeof(id->b)) == 0)
			return &l->slot[at];
}

uint32_t
uidlist_find(const struct uidlist *l, const struct mail_id *id)
{
	return l->slot ? slot_of(l, id)->uid : 0;
}

static void
take_line(struct uidlist *l, struct span line)
{
	ssize_t gap = span_find(line, ' ');
	struct uidlist_slot *s;
	struct mail_id id;
	uint32_t uid;

	if (gap <= 0 || !span_u32(span_sub(line, 0, (size_t)gap), 1, UINT32_MAX - 1, &uid) || (size_t)gap + 1 >= line.n)
		return;
	id = filename_id(span_skip(line, (size_t)gap + 1));
	s = slot_of(l, &id);
	l->n += s->uid == 0;
	*s = (struct uidlist_slot){ id, uid };
}

/* The slots hold twice the lines that so many bytes can be: room for all, and some free. */
void
uidlist_parse(struct uidlist *l, struct span text, uint32_t uidvalidity)
{
	size_t size = 64, lines = 0;
	struct span rest = text, line;
	uint32_t validity;

	*l = (struct uidlist){ .slot = NULL };
	if (!span_cut(&rest, '\n', &line) || !rest.p || !span_starts(line, HEAD) ||
	    !span_u32(span_skip(line, strlen(HEAD)), 1, UINT32_MAX, &validity) || validity != uidvalidity)
		return;
	for (const char *p = rest.p, *end = text.p + text.n; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
		lines++;
	while (size < 2 * lines)
		size *= 2;
	l->mask = size - 1;
	l->slot = x_alloc(size * sizeof(*l->slot));
	l->end = (uint64_t)(rest.p - text.p);
	while (lines-- > 0 && span_cut(&rest, '\n', &line)) {
		take_line(l, line);
		l->end += line.n + 1;
	}
}

void
uidlist_load(struct uidlist *l, const char *dir, uint32_t uidvalidity)
{
	char path[DRIVER_PATH_MAX], *text;
	struct stat st;
	int fd;

	*l = (struct uidlist){ .slot = NULL };
	if (!driver_path(path, dir, UIDLIST_NAME, ""))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= (off_t)LIST_MAX) {
		text = x_realloc(NULL, (size_t)st.st_size);
		if (pread_all(fd, text, (size_t)st.st_size, 0))
			uidlist_parse(l, span_of(text, (size_t)st.st_size), uidvalidity);
		free(text);
	}
	close(fd);
}

void
uidlist_fini(struct uidlist *l)
{
	free(l->slot);
	*l = (struct uidlist){ .slot = NULL };
}

void
uidlist_add(struct buf *lines, uint32_t uid, struct span base)
{
	buf_addu(lines, uid);
	buf_addc(lines, ' ');
	buf_addspan(lines, base);
	buf_addc(lines, '\n');
}

/*
 * A new list is begun under its own name: cut short by a crash it is a list of fewer lines, whose UIDs nobody has seen.
 * One that replaces another comes under it whole.
 */
bool
uidlist_save(const struct uidlist *l, const char *dir, uint32_t uidvalidity, const struct buf *lines, bool whole)
{
	char path[DRIVER_PATH_MAX], made[DRIVER_PATH_MAX], head[64];
	size_t n = 0;
	int fd, err;
	bool ok;

	errno = EFBIG;
	if (lines->over || !driver_path(path, dir, UIDLIST_NAME, "") || !driver_path(made, dir, UIDLIST_NAME ".new", ""))
		return false;
	whole = whole && l->end;
	fd = open(whole ? made : path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (l->end && !whole ? 0 : O_TRUNC), 0600);
	if (fd < 0)
		return false;
	if (!l->end || whole)
		n = (size_t)snprintf(head, sizeof(head), HEAD "%u\n", uidvalidity);
	ok = pwrite_all(fd, head, n, 0) && (n || ftruncate(fd, (off_t)l->end) == 0) &&
	    pwrite_all(fd, lines->p, lines->len, n ? n : l->end) && fsync(fd) == 0 && (!whole || rename(made, path) == 0);
	err = errno;
	close(fd);
	errno = err;
	return ok;
}
