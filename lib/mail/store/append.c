/* append.c: a message from a client, streamed into tmp/ and made visible when it is durable. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "mail/store/driver.h"

#include "base/banned.h"

#define APPEND_BLOCK 65536

struct mailappend {
	struct mailstore *ms;
	struct mailfolder *to;		/* without messages */
	char tmp[DRIVER_PATH_MAX];
	int fd;
	struct buf out;
	bool cr;			/* a CR was the last byte, and is not yet written */
	char last;			/* byte before */
	uint64_t size, crlf_size;
	enum store_result error;
};

struct mailappend *
mailappend_begin(struct mailstore *ms, struct span folder, enum store_result *r)
{
	struct mailfolder *to = folder_new(ms, folder, 0, r);
	struct mailappend *a;
	struct buf base;

	if (!to)
		return NULL;
	a = x_new(struct mailappend);
	a->ms = ms;
	a->to = to;
	a->fd = -1;
	buf_init(&a->out, APPEND_BLOCK);
	buf_init(&base, FILENAME_MAX_);
	filename_make_base(&base, clock_wall());
	if (driver_path(a->tmp, to->dir, "tmp", buf_cstr(&base)))
		a->fd = open(a->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	buf_fini(&base);
	if (a->fd >= 0)
		return a;
	*r = driver_fail(ms, "create", a->tmp);
	a->tmp[0] = '\0';
	mailappend_abort(a);
	return NULL;
}

static void
flush(struct mailappend *a)
{
	if (a->error == STORE_OK && !write_all(a->fd, a->out.p, a->out.len))
		a->error = driver_fail(a->ms, "write", a->tmp);
	buf_reset(&a->out);
}

static void
put(struct mailappend *a, struct span s)
{
	while (s.n) {
		size_t n = APPEND_BLOCK - a->out.len;

		if (n > s.n)
			n = s.n;
		buf_add(&a->out, s.p, n);
		a->size += n;
		s = span_skip(s, n);
		if (a->out.len == APPEND_BLOCK)
			flush(a);
	}
}

/* One line's worth: bytes up to an LF (when `lf`), without the CR that belongs to it. */
static void
put_line(struct mailappend *a, struct span s, bool lf)
{
	if (a->cr && (s.n || !lf)) {
		put(a, SPAN("\r"));
		a->last = '\r';
		a->cr = false;
	}
	if (s.n && s.p[s.n - 1] == '\r') {
		a->cr = true;
		s.n--;
	}
	put(a, s);
	if (s.n)
		a->last = s.p[s.n - 1];
	if (!lf)
		return;
	a->cr = false;			/* CR LF becomes LF */
	a->crlf_size += a->last != '\r';
	put(a, SPAN("\n"));
	a->last = '\n';
}

enum store_result
mailappend_write(struct mailappend *a, struct span bytes)
{
	while (bytes.n && a->error == STORE_OK) {
		ssize_t nl = span_find(bytes, '\n');
		size_t n = nl < 0 ? bytes.n : (size_t)nl;

		put_line(a, span_sub(bytes, 0, n), nl >= 0);
		bytes = span_skip(bytes, n + (nl >= 0));
	}
	return a->error;
}

static bool
set_keywords(struct mailfolder *to, const struct mailappend_how *how, struct filename *name)
{
	for (size_t i = 0; i < how->nkeywords; i++)
		if (!keywords_add(to, how->keywords[i], name))
			return false;
	return true;
}

/* Everything is in the file and durable: give it a UID and its name. */
static enum store_result
make_visible(struct mailappend *a, const struct mailappend_how *how, uint32_t *uid)
{
	struct filename name = { .has_size = true, .has_crlf = true, .size = a->size, .crlf_size = a->size + a->crlf_size,
	    .flags = how->flags & MFLAG_ALL };
	char text[FILENAME_MAX_ + 1], path[DRIVER_PATH_MAX];
	enum store_result r = STORE_OK;
	struct quotafile q = { .fd = -1 };
	struct buf base;

	buf_init(&base, FILENAME_MAX_);
	filename_make_base(&base, how->date ? how->date : clock_wall());
	name.base = buf_span(&base);
	if (!uidfile_lock(&a->to->uids, a->to->dir)) {
		r = driver_fail(a->ms, "lock", a->to->dir);
	} else if (!set_keywords(a->to, how, &name)) {
		r = STORE_LIMIT;
	} else if (quota_open(a->ms, &q) && !quotafile_fits(&q, a->ms->path, (struct quota_use){ a->size, 1 }, 0)) {
		r = STORE_QUOTA;
	} else if (quotafile_change(&q), !uidfile_take(&a->to->uids, 1, &name.uid) || !filename_format(&name, true, text) ||
	    !driver_path(path, a->to->dir, "cur", text) || rename(a->tmp, path) < 0) {
		r = driver_fail(a->ms, "rename", a->tmp);
	}
	quotafile_close(&q, r == STORE_OK ? (int64_t)a->size : 0, r == STORE_OK);
	uidfile_unlock(&a->to->uids);
	buf_fini(&base);
	if (r != STORE_OK)
		return r;
	*uid = name.uid;
	snprintf(a->tmp, sizeof(a->tmp), "%s", path);	/* what abort has to remove now */
	if (!driver_path(path, a->to->dir, "cur", "") || !fsync_dir(AT_FDCWD, path))
		return driver_fail(a->ms, "fsync", path);
	a->tmp[0] = '\0';
	return STORE_OK;
}

enum store_result
mailappend_commit(struct mailappend *a, const struct mailappend_how *how, uint32_t *uidvalidity, uint32_t *uid)
{
	enum store_result r;

	if (a->cr)
		put(a, SPAN("\r"));
	a->cr = false;
	flush(a);
	if (a->error == STORE_OK && fsync(a->fd) < 0)
		a->error = driver_fail(a->ms, "fsync", a->tmp);
	r = a->error == STORE_OK ? make_visible(a, how, uid) : a->error;
	*uidvalidity = a->to->uids.uidvalidity;
	mailappend_abort(a);
	return r;
}

void
mailappend_abort(struct mailappend *a)
{
	close_fd(&a->fd);
	if (a->tmp[0])
		unlink(a->tmp);
	buf_fini(&a->out);
	folder_free(a->to);
	free(a);
}
