/*
 * dest_file.c: one file a message in the current directory (incoming/). The
 * name is final from the start: fsync(file) makes the entry durable too, and
 * a file without its footer is no message.
 */
#include "dest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/banned.h"

static struct dest_file *
file_of(struct dest *d)
{
	return (struct dest_file *)(void *)((char *)d - offsetof(struct dest_file, d));
}

static bool
failed(struct dest *d)
{
	d->err = errno;
	return false;
}

static bool
file_create(struct dest *d, const char *id)
{
	struct dest_file *f = file_of(d);

	snprintf(f->name, sizeof(f->name), "%s", id);
	f->fd = open(f->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0660);
	return f->fd >= 0 || failed(d);
}

static bool
file_write(struct dest *d, struct span s)
{
	return write_all(file_of(d)->fd, s.p, s.n) || failed(d);
}

static bool
file_commit_submit(struct dest *d)
{
	/* never a second time: the first error may have dropped the pages */
	return fsync(file_of(d)->fd) == 0 || failed(d);
}

static bool
file_commit_done(struct dest *d)
{
	(void)d;
	return true;
}

static void
file_release(struct dest *d)
{
	close_fd(&file_of(d)->fd);
}

static void
file_abort(struct dest *d)
{
	struct dest_file *f = file_of(d);

	if (f->fd < 0)
		return;
	if (unlink(f->name) < 0)
		log_error(f->name, "cannot remove an unfinished message: %s", strerror(errno));
	close_fd(&f->fd);
}

static bool
file_free_bytes(struct dest *d, uint64_t *bytes)
{
	struct statvfs st;

	if (statvfs(".", &st) < 0)
		return failed(d);
	return !ckd_mul(bytes, (uint64_t)st.f_bavail, (uint64_t)st.f_frsize) || (*bytes = UINT64_MAX, true);
}

static int
file_unnamed(struct dest *d)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		(void)failed(d);
	return fd;
}

void
dest_file_init(struct dest_file *f)
{
	static const struct dest_ops ops = {
		.create = file_create,
		.write = file_write,
		.commit_submit = file_commit_submit,
		.commit_done = file_commit_done,
		.release = file_release,
		.abort = file_abort,
		.free_bytes = file_free_bytes,
		.unnamed = file_unnamed,
	};

	*f = (struct dest_file){ .d = { .ops = &ops }, .fd = -1 };
}

/* ---- without a name ---- */

static struct dest_unnamed *
unnamed_of(struct dest *d)
{
	return (struct dest_unnamed *)(void *)((char *)d - offsetof(struct dest_unnamed, d));
}

static bool
unnamed_create(struct dest *d, const char *id)
{
	(void)id;
	unnamed_of(d)->fd = file_unnamed(d);
	return unnamed_of(d)->fd >= 0;
}

static bool
unnamed_write(struct dest *d, struct span s)
{
	return write_all(unnamed_of(d)->fd, s.p, s.n) || failed(d);
}

static void
unnamed_close(struct dest *d)
{
	close_fd(&unnamed_of(d)->fd);
}

void
dest_unnamed_init(struct dest_unnamed *f)
{
	static const struct dest_ops ops = {
		.create = unnamed_create,
		.write = unnamed_write,
		.commit_submit = file_commit_done,
		.commit_done = file_commit_done,
		.release = unnamed_close,
		.abort = unnamed_close,
		.free_bytes = file_free_bytes,
		.unnamed = file_unnamed,
	};

	*f = (struct dest_unnamed){ .d = { .ops = &ops }, .fd = -1 };
}
