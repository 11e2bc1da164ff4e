/*
 * jail.c: chroot, capabilities, no_new_privs, Landlock, seccomp, in this order.
 * The walls of a process are data (struct jail); nothing here knows a daemon.
 */
#include "base/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/die.h"
#include "base/fdio.h"
#include "base/jail_private.h"
#include "base/log.h"
#include "base/banned.h"

static bool entered;

/* Debian 12's headers know less than the kernels that we meet: our own struct, sized by ABI. */
struct ruleset_attr {
	uint64_t handled_access_fs, handled_access_net, scoped;
};
struct net_port_attr {
	uint64_t allowed_access, port;
};
#define FS_REFER (1ull << 13)
#define FS_TRUNCATE (1ull << 14)
#define FS_IOCTL_DEV (1ull << 15)
#define FS_ABI1 ((1ull << 13) - 1)
#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE (FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
	LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | FS_REFER | FS_TRUNCATE)
#define SCOPE_ABSTRACT 1ull
#define SCOPE_SIGNAL 2ull
#define RULE_NET_PORT 2

bool
jail_entered(void)
{
	return entered;
}

void
jail_was_entered(void)
{
	entered = true;
}

/* Asked once: the answer outlives a fork. */
int
jail_landlock_abi(void)
{
	static int abi;

	if (abi == 0)
		abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1u /* LANDLOCK_CREATE_RULESET_VERSION */);
	return abi;
}

static uint64_t
fs_known(int abi)
{
	return FS_ABI1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) | (abi >= 5 ? FS_IOCTL_DEV : 0);
}

int
jail_landlock_new(uint64_t fs, uint64_t net)
{
	int abi = jail_landlock_abi();
	struct ruleset_attr a = { .handled_access_fs = fs & fs_known(abi), .handled_access_net = abi >= 4 ? net : 0,
		.scoped = abi >= 6 ? SCOPE_ABSTRACT | SCOPE_SIGNAL : 0 };

	if (abi < 1)
		return -1;
	return (int)syscall(SYS_landlock_create_ruleset, &a, abi >= 6 ? 24 : abi >= 4 ? 16 : 8, 0);
}

bool
jail_landlock_allow(int ruleset, const char *dir, uint64_t access)
{
	struct landlock_path_beneath_attr p = { .allowed_access = access & fs_known(jail_landlock_abi()) };
	bool ok;
	int err;

	p.parent_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p.parent_fd < 0)
		return false;
	ok = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &p, 0) == 0;
	err = errno;
	close(p.parent_fd);
	errno = err;
	return ok;
}

bool
jail_landlock_enter(int ruleset)
{
	bool ok = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	int err = errno;

	close(ruleset);
	errno = err;
	return ok;
}

static bool
allow_port(int ruleset, uint64_t access, uint16_t port)
{
	const struct net_port_attr p = { access, port };

	return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &p, 0) == 0;
}

/* dir NULL: no file at all. inet: TCP may be connected (to `ports`, or anywhere when there are none). */
static bool
landlock_restrict(const char *dir, uint64_t access, bool inet, const uint16_t ports[4])
{
	int abi = jail_landlock_abi(), ruleset;
	bool ok;

	ruleset = jail_landlock_new(JAIL_FS_ALL, JAIL_NET_BIND | (inet && !ports[0] ? 0 : JAIL_NET_CONNECT));
	if (ruleset < 0)
		return false;
	ok = !dir || jail_landlock_allow(ruleset, dir, access);
	for (int i = 0; ok && inet && abi >= 4 && i < 4 && ports[i]; i++)
		ok = allow_port(ruleset, JAIL_NET_CONNECT, ports[i]);
	if (inet && abi >= 4)		/* port 0 only: to choose the address that connections come from */
		ok = ok && allow_port(ruleset, JAIL_NET_BIND, 0);
	if (ok)
		return jail_landlock_enter(ruleset);
	close_fd(&ruleset);
	return false;
}

bool
jail_only_dir(const char *dir)
{
	static const uint16_t none[4];

	return landlock_restrict(dir, FS_WRITE, false, none) || jail_landlock_abi() < 1;
}

bool
jail_no_files(void)
{
	static const uint16_t none[4];

	return landlock_restrict(NULL, 0, false, none) || jail_landlock_abi() < 1;
}

/* A user namespace of our own gives an ordinary user the right to chroot. */
static bool
own_user_namespace(void)
{
	unsigned uid = (unsigned)getuid(), gid = (unsigned)getgid();
	char map[64];
	static const struct { const char *file; bool gid; const char *text; } steps[] = {
		{ "/proc/self/setgroups", false, "deny" },
		{ "/proc/self/uid_map", false, NULL },
		{ "/proc/self/gid_map", true, NULL },
	};

	if (unshare(CLONE_NEWUSER) < 0)
		return false;
	for (size_t i = 0; i < NELEMS(steps); i++) {
		int fd = open(steps[i].file, O_WRONLY | O_CLOEXEC), n;
		unsigned id = steps[i].gid ? gid : uid;

		n = steps[i].text ? snprintf(map, sizeof(map), "%s", steps[i].text)
		    : snprintf(map, sizeof(map), "%u %u 1", id, id);
		if (fd < 0 || write(fd, map, (size_t)n) != n) {
			close_fd(&fd);
			return false;
		}
		close(fd);
	}
	return true;
}

static bool
change_root(const char *root)
{
	if (chroot(root) < 0 && (errno != EPERM || !own_user_namespace() || chroot(root) < 0))
		return false;
	if (chdir("/") < 0)
		die_errno("chdir / in %s", root);
	return true;
}

void
jail_drop_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &h, none) < 0)
		die_errno("cannot drop capabilities");
}

void
jail_lacks(bool require, struct buf *missing, const char *wall)
{
	if (require)
		die_config("sandbox = require, but this system has no %s (%s)", wall, strerror(errno));
	buf_addf(missing, "%s%s", missing->len ? ", " : "", wall);
}

void
jail_enter(const struct jail *j, struct buf *missing)
{
	bool chrooted = j->root && change_root(j->root);
	const char *top = chrooted ? "/" : j->root;
	bool files = (j->sys & (JAIL_READ | JAIL_WRITE)) != 0;

	if (j->root && !chrooted) {
		jail_lacks(j->require, missing, "chroot");
		if (chdir(j->root) < 0)
			die_errno("chdir %s", j->root);
	}
	jail_drop_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die_errno("no_new_privs");
	if (!landlock_restrict(files ? top : NULL, j->write_below ? FS_WRITE : FS_READ, j->sys & JAIL_INET, j->tcp_connect))
		jail_lacks(j->require, missing, "Landlock");
	if (!jail_seccomp(j->sys))
		jail_lacks(j->require, missing, "seccomp");
	entered = true;
}
