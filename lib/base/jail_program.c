/*
 * jail_program.c: the walls around programs of others: an operator's or a user's commands for mail. What such a program
 * needs cannot be listed, so this lists what none needs.
 */
#include "base/jail.h"

#include <errno.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/die.h"
#include "base/fdio.h"
#include "base/jail_private.h"
#include "base/banned.h"

#define FS_READ_RUN (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE)
#define FS_NO_DEVICES (JAIL_FS_ALL & ~(uint64_t)(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK))
#define NEW_SPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

/* Other processes' memory, the kernel's parts that only root's tools drive, and those by which walls have fallen before. */
static const int forbidden[] = {
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise), SCMP_SYS(kcmp),
	SCMP_SYS(pidfd_getfd), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(unshare),
	SCMP_SYS(setns), SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(move_mount),
	SCMP_SYS(open_tree), SCMP_SYS(mount_setattr), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register), SCMP_SYS(keyctl), SCMP_SYS(add_key),
	SCMP_SYS(request_key), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(delete_module), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(acct), SCMP_SYS(quotactl),
	SCMP_SYS(open_by_handle_at), SCMP_SYS(syslog), SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(adjtimex),
	SCMP_SYS(ioperm), SCMP_SYS(iopl), SCMP_SYS(modify_ldt), SCMP_SYS(vhangup), SCMP_SYS(sethostname), SCMP_SYS(setdomainname),
};

static bool
forbid_calls(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int r = f ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < NELEMS(forbidden); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
	for (unsigned bit = 0; r == 0 && bit < 32; bit++)	/* clone3's flags lie in memory: libraries fall back to clone */
		if (NEW_SPACES >> bit & 1)
			r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			    SCMP_A0(SCMP_CMP_MASKED_EQ, 1u << bit, 1u << bit));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r < 0)
		die("seccomp: the filter cannot be made: %s", strerror(-r));
	r = seccomp_load(f);
	seccomp_release(f);
	errno = -r;
	return r == 0;
}

static bool
restrict_files(const char *const *dirs, size_t n)
{
	int set = jail_landlock_new(JAIL_FS_ALL, JAIL_NET_BIND);
	bool ok;

	if (set < 0)
		return false;
	ok = jail_landlock_allow(set, "/", FS_READ_RUN | (JAIL_FS_ALL & 1ull << 15));	/* terminals and the like answer ioctl */
	for (size_t i = 0; ok && i < n; i++)
		ok = jail_landlock_allow(set, dirs[i], FS_NO_DEVICES) || errno == ENOENT || errno == ENOTDIR || errno == EACCES;
	if (ok)
		return jail_landlock_enter(set);
	close_fd(&set);
	return false;
}

void
jail_enter_program(const char *const *dirs, size_t n, bool require, struct buf *missing)
{
	jail_drop_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die_errno("no_new_privs");
	if (!restrict_files(dirs, n))
		jail_lacks(require, missing, "Landlock");
	if (!forbid_calls())
		jail_lacks(require, missing, "seccomp");
	jail_was_entered();
}

/* A set of rules of its own that forbids nothing but what it is by itself: a scope for signals. */
void
jail_program_child(void)
{
	int set = jail_landlock_new(LANDLOCK_ACCESS_FS_MAKE_BLOCK, 0);

	if (set >= 0)
		(void)!jail_landlock_enter(set);
}
