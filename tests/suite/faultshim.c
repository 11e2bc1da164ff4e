/*
 * faultshim.c: errors, short writes, slow syncs and stops at the N-th file call or allocation of one daemon, and a wrong wall clock for all. tests/suite/faults.py has
 * it loaded into a jailed suite, where strace cannot make a call fail: the number that it puts in ends the process.
 * Orders come by memory shared with the test, mapped before the jail; no system call is made that the daemon's own was not.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The same order as OPS in faults.py. */
enum op { OP_OPEN, OP_CREATE, OP_OPENDIR, OP_READ, OP_WRITE, OP_FSYNC, OP_RENAME, OP_LINK, OP_UNLINK, OP_MKDIR, OP_TRUNCATE,
	OP_UTIMES, OP_CHMOD, OP_FLOCK, OP_MALLOC, OPS };
enum mode { OFF, RECORD, ERROR, SHORT, SLOW };
#define NOTED 4096

struct orders {
	char who[32];			/* program */
	uint32_t mode, mask, at, err, ms;	/* mask: of 1 << op; at: counted from 1 among these */
	uint32_t count, hit;
	uint8_t ops[NOTED];
	int64_t shift;			/* seconds by which the wall clock is wrong */
};

static struct orders *o;
static int (*real_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void
begin(void)
{
	char path[4096];
	Dl_info self;
	int fd;

	*(void **)&real_clock = dlsym(RTLD_NEXT, "clock_gettime");
	if (!dladdr(&o, &self) || snprintf(path, sizeof(path), "%s.orders", self.dli_fname) >= (int)sizeof(path))
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	o = mmap(NULL, sizeof(*o), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (o == MAP_FAILED)
		o = NULL;
	close(fd);
}

/* What is to happen to this call. */
static enum mode
meet(enum op op)
{
	uint32_t n;

	if (!o || o->mode == OFF || strcmp(o->who, program_invocation_short_name) != 0 || !(o->mask >> op & 1))
		return OFF;
	n = __atomic_add_fetch(&o->count, 1, __ATOMIC_SEQ_CST);
	if (o->mode == RECORD) {
		if (n <= NOTED)
			o->ops[n - 1] = (uint8_t)op;
		return OFF;
	}
	if (n != o->at)
		return OFF;
	o->hit = 1;
	return o->mode;
}

static bool
fails(enum op op)
{
	switch (meet(op)) {
	case ERROR:
		errno = (int)o->err;
		return true;
	case SLOW:
		nanosleep(&(struct timespec){ o->ms / 1000, o->ms % 1000 * 1000000L }, NULL);
		return false;
	default:
		return false;
	}
}

static bool
is_file(int fd)
{
	struct stat st;
	int was = errno;
	bool is = o && o->mode != OFF && strcmp(o->who, program_invocation_short_name) == 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);

	errno = was;
	return is;
}

#define CALL(...) (int)syscall(__VA_ARGS__)

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = real_clock ? real_clock(clock, ts) : CALL(SYS_clock_gettime, clock, ts);

	if (o && clock == CLOCK_REALTIME)
		ts->tv_sec += o->shift;
	return r;
}

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n) { return fails(OP_MALLOC) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return fails(OP_MALLOC) ? NULL : __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { return fails(OP_MALLOC) ? NULL : __libc_realloc(p, n); }

/* The argument that is there only where a file may be made. */
static mode_t
mode_of(int flags, va_list *ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(*ap, mode_t) : 0;
}

int
openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, &ap);
	va_end(ap);
	if (fails(flags & O_CREAT ? OP_CREATE : OP_OPEN))
		return -1;
	return CALL(SYS_openat, dir, path, flags, mode);
}

int
open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, &ap);
	va_end(ap);
	return openat(AT_FDCWD, path, flags, mode);
}

DIR *
opendir(const char *path)
{
	static DIR *(*real)(const char *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "opendir");
	return fails(OP_OPENDIR) ? NULL : real(path);
}

ssize_t
pread(int fd, void *to, size_t n, off_t at)
{
	if (is_file(fd) && fails(OP_READ))
		return -1;
	return syscall(SYS_pread64, fd, to, n, at);
}

ssize_t
read(int fd, void *to, size_t n)
{
	if (is_file(fd) && fails(OP_READ))
		return -1;
	return syscall(SYS_read, fd, to, n);
}

/* Gives false when the call must not be made; *n: how much of it is. */
static bool
may_write(int fd, size_t *n)
{
	if (!is_file(fd))
		return true;
	switch (meet(OP_WRITE)) {
	case ERROR:
		errno = (int)o->err;
		return false;
	case SHORT:
		*n = *n > 1 ? *n / 2 : *n;
		return true;
	case SLOW:
		nanosleep(&(struct timespec){ o->ms / 1000, o->ms % 1000 * 1000000L }, NULL);
		return true;
	default:
		return true;
	}
}

ssize_t
write(int fd, const void *from, size_t n)
{
	return may_write(fd, &n) ? syscall(SYS_write, fd, from, n) : -1;
}

ssize_t
pwrite(int fd, const void *from, size_t n, off_t at)
{
	return may_write(fd, &n) ? syscall(SYS_pwrite64, fd, from, n, at) : -1;
}

ssize_t
writev(int fd, const struct iovec *iov, int count)
{
	size_t total = 0, n;

	for (int i = 0; i < count; i++)
		total += iov[i].iov_len;
	n = total;
	if (!may_write(fd, &n))
		return -1;
	if (n < total)			/* short: in the middle of the first piece that has something */
		for (int i = 0; i < count; i++)
			if (iov[i].iov_len)
				return syscall(SYS_write, fd, iov[i].iov_base, iov[i].iov_len > n ? n : iov[i].iov_len);
	return syscall(SYS_writev, fd, iov, count);
}

int fsync(int fd) { return fails(OP_FSYNC) ? -1 : CALL(SYS_fsync, fd); }
int syncfs(int fd) { return fails(OP_FSYNC) ? -1 : CALL(SYS_syncfs, fd); }
int fdatasync(int fd) { return fails(OP_FSYNC) ? -1 : CALL(SYS_fdatasync, fd); }
int rename(const char *a, const char *b) { return fails(OP_RENAME) ? -1 : CALL(SYS_rename, a, b); }
int renameat(int d, const char *a, int e, const char *b) { return fails(OP_RENAME) ? -1 : CALL(SYS_renameat, d, a, e, b); }
int link(const char *a, const char *b) { return fails(OP_LINK) ? -1 : CALL(SYS_link, a, b); }
int unlink(const char *a) { return fails(OP_UNLINK) ? -1 : CALL(SYS_unlink, a); }
int unlinkat(int d, const char *a, int f) { return fails(OP_UNLINK) ? -1 : CALL(SYS_unlinkat, d, a, f); }
int mkdir(const char *a, mode_t m) { return fails(OP_MKDIR) ? -1 : CALL(SYS_mkdir, a, m); }
int mkdirat(int d, const char *a, mode_t m) { return fails(OP_MKDIR) ? -1 : CALL(SYS_mkdirat, d, a, m); }
int ftruncate(int fd, off_t n) { return fails(OP_TRUNCATE) ? -1 : CALL(SYS_ftruncate, fd, n); }
int chmod(const char *a, mode_t m) { return fails(OP_CHMOD) ? -1 : CALL(SYS_chmod, a, m); }
int fchmod(int fd, mode_t m) { return fails(OP_CHMOD) ? -1 : CALL(SYS_fchmod, fd, m); }
int flock(int fd, int how) { return fails(OP_FLOCK) ? -1 : CALL(SYS_flock, fd, how); }

int
linkat(int d, const char *a, int e, const char *b, int f)
{
	return fails(OP_LINK) ? -1 : CALL(SYS_linkat, d, a, e, b, f);
}

int
renameat2(int d, const char *a, int e, const char *b, unsigned f)
{
	return fails(OP_RENAME) ? -1 : CALL(SYS_renameat2, d, a, e, b, f);
}

int
utimensat(int d, const char *a, const struct timespec t[2], int f)
{
	return fails(OP_UTIMES) ? -1 : CALL(SYS_utimensat, d, a, t, f);
}
