/*
 * jail_seccomp.c: the groups of system calls. What is in no group of a process
 * ends it (SIGSYS); a few calls that libraries try and can do without get an errno.
 */
#include "base/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/die.h"
#include "base/fdio.h"
#include "base/jail_private.h"
#include "base/banned.h"

#define GROUP_MAX 64
#define SOCKET_TYPE 0xf		/* of socket()'s second word; flags stand above it */

static const struct {
	unsigned flag;			/* 0: every jail */
	int calls[GROUP_MAX];		/* ended by -1 */
} groups[] = {
	{ JAIL_BASE, { SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
		SCMP_SYS(pwrite64), SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(poll), SCMP_SYS(ppoll),
		SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(futex),
		SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(clock_nanosleep),
		SCMP_SYS(nanosleep), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid),
		SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
		SCMP_SYS(exit_group), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(shutdown), SCMP_SYS(fcntl),
		SCMP_SYS(dup3), -1 } },
	{ JAIL_SOCKET, { SCMP_SYS(accept4), SCMP_SYS(accept), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
		SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmmsg),
		SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(timerfd_settime), SCMP_SYS(socketpair), -1 } },
	{ JAIL_INET | JAIL_UDP, { SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(recvmmsg), SCMP_SYS(ioctl), -1 } },
	{ JAIL_UNIX, { SCMP_SYS(connect), SCMP_SYS(socketpair), -1 } },
	{ JAIL_READ, { SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(newfstatat), SCMP_SYS(stat), SCMP_SYS(lstat),
		SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(getdents64),
		SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(sendfile),
		SCMP_SYS(fadvise64), SCMP_SYS(chdir), SCMP_SYS(fchdir), SCMP_SYS(getcwd), SCMP_SYS(openat2), -1 } },
	{ JAIL_WRITE, { SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat),
		SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rmdir), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(fsync),
		SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range), SCMP_SYS(syncfs), SCMP_SYS(ftruncate), SCMP_SYS(truncate), SCMP_SYS(fallocate),
		SCMP_SYS(utimensat), SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(chmod), SCMP_SYS(umask),
		SCMP_SYS(copy_file_range), SCMP_SYS(flock), SCMP_SYS(setitimer), SCMP_SYS(msync), SCMP_SYS(pwritev), -1 } },	/* setitimer: a wait for a lock has an end */
	{ JAIL_FORK, { SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(wait4),
		SCMP_SYS(waitid), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(seccomp), -1 } },
	{ JAIL_LANDLOCK, { SCMP_SYS(landlock_create_ruleset), SCMP_SYS(landlock_add_rule),
		SCMP_SYS(landlock_restrict_self), SCMP_SYS(prctl), -1 } },
	{ JAIL_INOTIFY, { SCMP_SYS(inotify_init1), SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_rm_watch),
		SCMP_SYS(epoll_create1), -1 } },	/* the keeper of sessions begins inside the jail */
	{ JAIL_FLOCK, { SCMP_SYS(flock), -1 } },
};

/* Libraries try these and live without them. openat is only here when JAIL_READ does not allow it. */
static const int refused[] = { SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(stat), SCMP_SYS(access),
	SCMP_SYS(readlink), SCMP_SYS(ioctl), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield), SCMP_SYS(prlimit64), SCMP_SYS(getppid), SCMP_SYS(umask), SCMP_SYS(prctl), SCMP_SYS(socket) };

/*
 * Calls of the groups that may have only some arguments, unless the process has one of the rights in `but`. MSG_FASTOPEN with
 * an address of its own disconnects a TCP socket and connects it anew, to whom it likes (Landlock does not see that), and SO_LINGER
 * lets whoever closes a socket last wait: sessions hold sockets of clients that a front has open too.
 */
static const struct {
	unsigned but;
	int call;
	size_t n;
	struct scmp_arg_cmp args[2];
} limited[] = {
	{ JAIL_INET, SCMP_SYS(sendmsg), 1, { SCMP_A2_64(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0) } },
	{ JAIL_INET, SCMP_SYS(sendto), 1, { SCMP_A3_64(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0) } },
	{ JAIL_INET, SCMP_SYS(sendmmsg), 1, { SCMP_A3_64(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0) } },
	{ JAIL_INET | JAIL_UDP | JAIL_UNIX, SCMP_SYS(setsockopt), 2,
		{ SCMP_A1_64(SCMP_CMP_EQ, SOL_SOCKET), SCMP_A2_64(SCMP_CMP_EQ, SO_RCVTIMEO) } },
	{ JAIL_INET | JAIL_UDP | JAIL_UNIX, SCMP_SYS(setsockopt), 2,
		{ SCMP_A1_64(SCMP_CMP_EQ, SOL_SOCKET), SCMP_A2_64(SCMP_CMP_EQ, SO_SNDTIMEO) } },
};

static bool
is_limited(unsigned sys, int call)
{
	for (size_t i = 0; i < NELEMS(limited); i++)
		if (limited[i].call == call && !(sys & limited[i].but))
			return true;
	return false;
}

static bool
in_groups(unsigned sys, int call)
{
	for (size_t g = 0; g < NELEMS(groups); g++) {
		if (groups[g].flag && !(sys & groups[g].flag))
			continue;
		for (size_t i = 0; groups[g].calls[i] != -1; i++)
			if (groups[g].calls[i] == call)
				return true;
	}
	return false;
}

static int
add_groups(scmp_filter_ctx f, unsigned sys)
{
	int r = 0;

	for (size_t g = 0; g < NELEMS(groups); g++) {
		if (groups[g].flag && !(sys & groups[g].flag))
			continue;
		for (size_t i = 0; r == 0 && groups[g].calls[i] != -1; i++)
			if (!is_limited(sys, groups[g].calls[i]))
				r = seccomp_rule_add(f, SCMP_ACT_ALLOW, groups[g].calls[i], 0);
	}
	return r;
}

static int
add_limited(scmp_filter_ctx f, unsigned sys)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < NELEMS(limited); i++)
		if (in_groups(sys, limited[i].call) && !(sys & limited[i].but))
			r = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, limited[i].call, (unsigned)limited[i].n, limited[i].args);
	return r;
}

/* socket() by family and, without JAIL_INET, by type; all of it gets EACCES where no group has it (libraries look around) */
static int
add_socket(scmp_filter_ctx f, unsigned sys)
{
	static const struct { unsigned flag, but; int family; scmp_datum_t types, type; uint32_t action; } rows[] = {
		{ JAIL_UNIX, 0, AF_UNIX, 0, 0, SCMP_ACT_ALLOW },
		{ JAIL_INET, 0, AF_INET, 0, 0, SCMP_ACT_ALLOW },
		{ JAIL_INET, 0, AF_INET6, 0, 0, SCMP_ACT_ALLOW },
		{ JAIL_UDP, JAIL_INET, AF_INET, SOCKET_TYPE, SOCK_DGRAM, SCMP_ACT_ALLOW },
		{ JAIL_UDP, JAIL_INET, AF_INET6, SOCKET_TYPE, SOCK_DGRAM, SCMP_ACT_ALLOW },
		/* libunbound asks again by TCP when an answer was cut off */
		{ JAIL_UDP, JAIL_INET, AF_INET, SOCKET_TYPE, SOCK_STREAM, SCMP_ACT_ERRNO(EACCES) },
		{ JAIL_UDP, JAIL_INET, AF_INET6, SOCKET_TYPE, SOCK_STREAM, SCMP_ACT_ERRNO(EACCES) },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < NELEMS(rows); i++)
		if ((sys & rows[i].flag) && !(sys & rows[i].but))
			r = seccomp_rule_add(f, rows[i].action, SCMP_SYS(socket), 2,
			    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)rows[i].family),
			    SCMP_A1(SCMP_CMP_MASKED_EQ, rows[i].types, rows[i].type));
	return r;
}

/* fstat(3) of an open descriptor is newfstatat(fd, "", AT_EMPTY_PATH); of a path it is refused without JAIL_READ. */
static int
add_fstat(scmp_filter_ctx f, unsigned sys)
{
	int r;

	if (in_groups(sys, SCMP_SYS(newfstatat)))
		return 0;
	r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1, SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH));
	return r ? r : seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 1,
	    SCMP_A3(SCMP_CMP_NE, AT_EMPTY_PATH));
}

/* Signals to ourselves only: abort(), raise(). Who forks has none: to its children, ourselves is their parent. */
static int
add_signals(scmp_filter_ctx f, unsigned sys, pid_t self)
{
	int r;

	if (sys & JAIL_FORK)
		return 0;
	r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)self));

	return r ? r : seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)self));
}

/* Limits of the process itself alone: a zygote's child takes the right to fork from itself; other sessions have the same uid. */
static int
add_limits(scmp_filter_ctx f, unsigned sys)
{
	int r;

	if (!(sys & JAIL_FORK))
		return 0;
	r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, 0));
	return r ? r : seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0));
}

/* socket() and prlimit64() have rows of their own where they are allowed for some arguments. */
static bool
has_rows(unsigned sys, int call)
{
	return (call == SCMP_SYS(socket) && (sys & (JAIL_UNIX | JAIL_INET | JAIL_UDP))) ||
	    (call == SCMP_SYS(prlimit64) && (sys & JAIL_FORK));
}

static int
add_refused(scmp_filter_ctx f, unsigned sys)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < NELEMS(refused); i++) {
		if (in_groups(sys, refused[i]) || has_rows(sys, refused[i]))
			continue;
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), refused[i], 0);
		if (r == -EEXIST)	/* a group with other flags allows it */
			r = 0;
	}
	return r;
}

#ifdef MERPATI_SANITIZE
/* What the sanitizers' runtime needs to write a report. */
static int
add_sanitizer(scmp_filter_ctx f)
{
	static const int calls[] = { SCMP_SYS(mprotect), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getppid),
		SCMP_SYS(readlink), SCMP_SYS(sigaltstack), SCMP_SYS(munlock), SCMP_SYS(ioctl) };
	int r = 0;

	for (size_t i = 0; r == 0 && i < NELEMS(calls); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}
#endif

/* The filter as the kernel's program, to fd. The exit status of the process that makes it: 0 or errno. */
static int
export_filter(unsigned sys, pid_t self, int fd)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (!f)
		return ENOMEM;
	r = add_groups(f, sys);
	r = r ? r : add_limited(f, sys);
#ifdef MERPATI_SANITIZE
	r = r ? r : add_sanitizer(f);
#endif
	r = r ? r : add_socket(f, sys);
	r = r ? r : add_fstat(f, sys);
	r = r ? r : add_signals(f, sys, self);
	r = r ? r : add_limits(f, sys);
	r = r ? r : add_refused(f, sys);
	r = r ? r : seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);	/* a binary tree of compares */
	return -(r ? r : seccomp_export_bpf(f, fd));
}

static int
status_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : ECANCELED;
}

/*
 * libseccomp leaves 80 KB behind, in pieces all over the heap, and every session that a zygote forks would copy
 * them one by one as it allocates. So a child of ours makes the program and we read it.
 */
static void
filter_make(unsigned sys, struct buf *program)
{
	pid_t self = getpid(), pid;
	int fd[2], err;

	signal(SIGCHLD, SIG_DFL);	/* or there would be no status */
	if (pipe2(fd, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		die_errno("seccomp");
	if (pid == 0)
		_exit(export_filter(sys, self, fd[1]));
	close(fd[1]);
	if (!read_fd(fd[0], program))
		die_errno("seccomp");
	close(fd[0]);
	err = status_of(pid);
	if (err)
		die("seccomp: the filter cannot be made: %s", strerror(err));
}

bool
jail_seccomp(unsigned sys)
{
	struct sock_fprog f;
	struct buf program;
	bool ok;

	buf_init(&program, BPF_MAXINSNS * sizeof(struct sock_filter));
	filter_make(sys, &program);
	f.len = (unsigned short)(program.len / sizeof(struct sock_filter));
	f.filter = (struct sock_filter *)(void *)program.p;
	ok = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &f) == 0;
	buf_fini(&program);
	return ok;
}

/* Root is above limits of processes: a second filter. The kernel translates one for each process that sets one. */
static bool
no_fork_filter(void)
{
	static const uint32_t calls[] = { SYS_clone, SYS_clone3,
#ifdef SYS_fork
		SYS_fork, SYS_vfork,
#endif
	};
	struct sock_filter code[NELEMS(calls) + 3];
	struct sock_fprog f = { .len = NELEMS(code), .filter = code };

	code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);	/* the number; the first filter has seen to the ABI */
	for (size_t i = 0; i < NELEMS(calls); i++)
		code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i],
		    (unsigned char)(NELEMS(calls) - i), 0);
	code[NELEMS(calls) + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[NELEMS(calls) + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &f) == 0;
}

bool
jail_no_fork(void)
{
	const struct rlimit none = { 0, 0 };

	return getuid() == 0 ? no_fork_filter() : setrlimit(RLIMIT_NPROC, &none) == 0;
}
