/* exec.c: from master to a daemon: descriptors, user, the one capability, exec. Nothing of the daemon runs as root. */
#include "master.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/die.h"
#include "base/log.h"
#include "base/banned.h"

#define HIGH_FD 500	/* descriptors are moved up here first, so that none is overwritten on its way down */

static bool
set_capabilities(uint32_t permitted, uint32_t inheritable)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { { permitted, permitted, inheritable }, { 0, 0, 0 } };

	return syscall(SYS_capset, &h, d) == 0;
}

/* The bounding set first: it needs SETPCAP, which is dropped with the rest. */
void
keep_five_capabilities(void)
{
	static const uint32_t five = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_SYS_CHROOT |
	    1u << CAP_NET_BIND_SERVICE | 1u << CAP_KILL;

	for (unsigned cap = 0; cap <= 63; cap++)
		if (cap > 31 || !(five >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);	/* EINVAL above the kernel's last one */
	if (!set_capabilities(five, 0))
		die_errno("cannot drop capabilities");
}

static bool
become(uid_t uid, gid_t gid)
{
	const uint32_t chroot_only = 1u << CAP_SYS_CHROOT;

	return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 &&
	    setresuid(uid, uid, uid) == 0 && set_capabilities(chroot_only, chroot_only) &&
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_CHROOT, 0, 0) == 0;
}

static bool
place_descriptors(const int *fds, size_t n, int keep)
{
	for (size_t i = 0; i < n; i++)
		if (dup2(fds[i], HIGH_FD + (int)i) < 0)
			return false;
	for (size_t i = 0; i < n; i++)
		if (dup2(HIGH_FD + (int)i, (int)i) < 0)
			return false;
	return syscall(SYS_close_range, (unsigned)n, (unsigned)keep - 1, 0) == 0 &&
	    syscall(SYS_close_range, (unsigned)keep + 1, ~0u, 0) == 0;
}

/* In the child: memory is still the parent's (vfork), so only system calls. */
static void
run(const struct launch *l, char *const *env)
{
	sigset_t none;
	/* opened by us: the daemon's user need not be able to walk to the program */
	int program = open(l->path, O_PATH | O_CLOEXEC), at = HIGH_FD - 1;

	sigemptyset(&none);
	if (program < 0 || dup3(program, at, O_CLOEXEC) < 0 || !place_descriptors(l->fds, l->fd_count, at) ||
	    (l->become && !become(l->uid, l->gid)))
		return;
	sigprocmask(SIG_SETMASK, &none, NULL);
	syscall(SYS_execveat, at, "", l->argv, env, AT_EMPTY_PATH);
}

/* PATH, and what debug builds and sanitizers look for; nothing else crosses into a daemon. */
static char **
environment(void)
{
	static const char *const pass[] = { "MERPATI_MISBEHAVE", "ASAN_OPTIONS", "UBSAN_OPTIONS" };
	static char *env[NELEMS(pass) + 2];
	size_t n = 0;

	if (env[0])
		return env;
	env[n++] = x_strdup("PATH=/usr/bin:/bin");
	for (size_t i = 0; i < NELEMS(pass); i++) {
		const char *v = getenv(pass[i]);
		struct buf b;

		if (!v)
			continue;
		buf_init(&b, 4096);
		buf_addf(&b, "%s=%s", pass[i], v);
		env[n++] = x_strdup(b.p);
		buf_fini(&b);
	}
	return env;
}

/* In a child that has memory of its own, for the disk may hang. What is wrong stands in the log; the daemon will fail, and say so of each message. */
static void
make_room(const struct room *r)
{
	struct buf err;

	buf_init(&err, 2000);
	if (!room_make(r, &err))
		log_error(NULL, "%s", buf_cstr(&err));
	buf_fini(&err);
}

pid_t
launch(const struct launch *l)
{
	char **env = environment();
	pid_t pid = l->room ? fork() : vfork();

	if (pid == 0) {
		if (l->room)
			make_room(l->room);
		run(l, env);
		_exit(127);
	}
	return pid;
}
