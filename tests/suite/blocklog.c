/*
 * blocklog.c: a FUSE file system of two files, for test_reorder.py: `disk`, an image for a loop device, each of whose writes
 * and flushes is recorded, and `mark`, whose text goes into the same record: what the test knew at that moment. Built by the test.
 *
 * blocklog IMAGE RECORD MOUNTPOINT. A record is u32 op (1 write, 2 flush, 3 mark), u32 length, u64 offset, bytes.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OP_WRITE = 1, OP_FLUSH, OP_MARK };

static int image, record;
static off_t size;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

static int
is_disk(const char *path)
{
	return strcmp(path, "/disk") == 0;
}

static int
note(uint32_t op, const char *p, uint32_t n, uint64_t at)
{
	struct { uint32_t op, len; uint64_t at; } head = { op, n, at };
	struct iovec v[2] = { { &head, sizeof(head) }, { (void *)(uintptr_t)p, n } };

	return writev(record, v, 2) == (ssize_t)(sizeof(head) + n) ? 0 : -EIO;
}

static int
on_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	memset(st, 0, sizeof(*st));
	st->st_nlink = 1;
	st->st_mode = strcmp(path, "/") == 0 ? S_IFDIR | 0755 : S_IFREG | 0600;
	if (is_disk(path))
		st->st_size = size;
	return strcmp(path, "/") == 0 || is_disk(path) || strcmp(path, "/mark") == 0 ? 0 : -ENOENT;
}

static int
on_open(const char *path, struct fuse_file_info *fi)
{
	fi->direct_io = !is_disk(path);		/* a mark is there when write(2) returns */
	return 0;
}

static int
on_read(const char *path, char *to, size_t n, off_t at, struct fuse_file_info *fi)
{
	ssize_t r;

	(void)fi;
	r = is_disk(path) ? pread(image, to, n, at) : 0;
	return r < 0 ? -errno : (int)r;
}

static int
on_write(const char *path, const char *from, size_t n, off_t at, struct fuse_file_info *fi)
{
	int r;

	(void)fi;
	pthread_mutex_lock(&order);
	r = note(is_disk(path) ? OP_WRITE : OP_MARK, from, (uint32_t)n, (uint64_t)at);
	if (r == 0 && is_disk(path) && pwrite(image, from, n, at) != (ssize_t)n)
		r = -EIO;
	pthread_mutex_unlock(&order);
	return r ? r : (int)n;
}

static int
on_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	int r = 0;

	(void)datasync;
	(void)fi;
	pthread_mutex_lock(&order);
	if (is_disk(path))
		r = note(OP_FLUSH, NULL, 0, 0);
	pthread_mutex_unlock(&order);
	return r;
}

static int
on_truncate(const char *path, off_t n, struct fuse_file_info *fi)
{
	(void)path;
	(void)n;
	(void)fi;
	return 0;
}

static const struct fuse_operations ops = {
	.getattr = on_getattr, .open = on_open, .read = on_read, .write = on_write, .fsync = on_fsync, .truncate = on_truncate,
};

int
main(int argc, char **argv)
{
	char *args[] = { argv[0], argv[argc - 1], NULL };

	if (argc != 4)
		return 64;
	image = open(argv[1], O_RDWR | O_CLOEXEC);
	record = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (image < 0 || record < 0 || (size = lseek(image, 0, SEEK_END)) < 0) {
		perror("blocklog");
		return 1;
	}
	return fuse_main(2, args, &ops, NULL);
}
