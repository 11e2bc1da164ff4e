/* copy.c: COPY and MOVE between folders of one store: hard links, so no byte of a message is written twice. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/store/driver.h"
#include "mail/store/objectid.h"

#include "base/banned.h"

struct copy {
	struct mailfolder *from, *to;
	char **made;			/* paths in the target, NULL: not made */
	size_t nmade;
	bool move;
	struct quotafile quota;
	struct quota_use added;
};

/* A file system that cannot link: write the bytes anew. */
static bool
copy_bytes(struct copy *c, size_t index, const char *base, const char *path)
{
	struct mailtext text;
	char tmp[DRIVER_PATH_MAX];
	int fd = -1, err;
	bool ok;

	mailtext_init(&text);
	ok = mailfolder_read(c->from, index, &text) == STORE_OK && driver_path(tmp, c->to->dir, "tmp", base) &&
	    (fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) >= 0;
	if (ok) {
		ok = write_all(fd, text.text.p, text.text.n) && fsync(fd) == 0 && rename(tmp, path) == 0;
		err = errno;
		if (!ok)
			unlink(tmp);
		errno = err;
	}
	err = errno;
	close_fd(&fd);
	mailtext_fini(&text);
	errno = err;
	return ok;
}

static bool
link_message(struct copy *c, size_t index, const char *base, const char *path)
{
	for (int tries = 0; tries < 3; tries++) {
		const struct mail_message *m = &c->from->msgs[index];
		char old[DRIVER_PATH_MAX];

		if (!driver_path(old, c->from->dir, driver_places[m->place], m->name))
			return false;
		if (link(old, path) == 0)
			return true;
		if (errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP)
			return copy_bytes(c, index, base, path);
		if (errno != ENOENT)
			return false;
		folder_relocate(c->from);
	}
	errno = ENOENT;
	return false;
}

/* False with errno; ENOENT: gone. */
static bool
copy_one(struct copy *c, size_t index, uint32_t uid)
{
	const struct mail_message *m = &c->from->msgs[index];
	bool sized = folder_sized(m);
	struct filename name = { .uid = uid, .has_size = sized, .has_crlf = sized, .size = m->size,
	    .crlf_size = m->crlf_size, .flags = m->flags & MFLAG_ALL };
	char text[FILENAME_MAX_ + 1], path[DRIVER_PATH_MAX];
	struct filename source;
	struct buf base;
	bool ok;

	if (!keywords_translate(c->from, c->to, m->keywords, &name)) {
		errno = ERANGE;
		return false;
	}
	buf_init(&base, FILENAME_MAX_);
	filename_make_base(&base, mailfolder_date(c->from, index));
	name.base = buf_span(&base);
	if (filename_parse(span_str(m->name), &source))
		objectid_copy(&source, &name);
	ok = filename_format(&name, true, text) && driver_path(path, c->to->dir, "cur", text) &&
	    link_message(c, index, buf_cstr(&base), path);
	buf_fini(&base);
	if (ok) {
		c->made[c->nmade++] = x_strdup(path);
		c->added.bytes += c->quota.fd >= 0 ? folder_bytes(c->from, m) : 0;
		c->added.messages++;
	}
	return ok;
}

/* What is moved is there already, and counted twice only until it is gone from the first folder. */
static bool
has_room(struct copy *c, const uint32_t *index, size_t n)
{
	struct quota_use more = { .messages = n };

	if (!quota_open(c->from->ms, &c->quota))
		return true;
	for (size_t i = 0; i < n; i++)
		more.bytes += folder_bytes(c->from, &c->from->msgs[index[i]]);
	if (!c->move && !quotafile_fits(&c->quota, c->from->ms->path, more, 0))
		return false;
	quotafile_change(&c->quota);
	return true;
}

static enum store_result
copy_all(struct copy *c, const uint32_t *index, size_t n, uint32_t *uids)
{
	struct mailstore *ms = c->from->ms;
	char cur[DRIVER_PATH_MAX];
	uint32_t uid = 0;

	if (!uidfile_lock(&c->to->uids, c->to->dir) || !uidfile_take(&c->to->uids, (uint32_t)n, &uid))
		return driver_fail(ms, "lock", c->to->dir);
	if (!has_room(c, index, n))
		return STORE_QUOTA;
	for (size_t i = 0; i < n; i++) {
		uids[i] = 0;
		if (c->from->msgs[index[i]].flags & MFLAG_GONE)
			continue;
		if (copy_one(c, index[i], uid)) {
			uids[i] = uid++;
		} else if (errno == ENOENT) {
			c->from->msgs[index[i]].flags |= MFLAG_GONE;
			c->from->trusted = false;
		} else {
			return driver_fail(ms, "link into", c->to->dir);
		}
	}
	if (!driver_path(cur, c->to->dir, "cur", "") || !fsync_dir(AT_FDCWD, cur))
		return driver_fail(ms, "fsync", c->to->dir);
	return STORE_OK;
}

enum store_result
mailfolder_copy(struct mailfolder *f, const uint32_t *index, size_t n, struct span to, bool move,
    uint32_t *uids, uint32_t *uidvalidity)
{
	struct copy c = { .from = f, .move = move, .quota = { .fd = -1 } };
	enum store_result r;

	c.to = folder_new(f->ms, to, 0, &r);
	if (!c.to)
		return r;
	c.made = x_alloc((n + 1) * sizeof(*c.made));
	r = copy_all(&c, index, n, uids);
	*uidvalidity = c.to->uids.uidvalidity;
	if (r != STORE_OK)		/* all or nothing */
		for (size_t i = 0; i < c.nmade; i++)
			unlink(c.made[i]);
	quotafile_close(&c.quota, r == STORE_OK ? (int64_t)c.added.bytes : 0, r == STORE_OK ? (int64_t)c.added.messages : 0);
	uidfile_unlock(&c.to->uids);
	for (size_t i = 0; i < c.nmade; i++)
		free(c.made[i]);
	free(c.made);
	folder_free(c.to);
	if (r == STORE_OK && move)
		r = mailfolder_expunge(f, index, n);
	return r;
}
