/*
 * jail.h: the walls of a process, as data.
 *
 * Order (never varies): chroot, drop capabilities, no_new_privs, Landlock,
 * seccomp. What the kernel or the user cannot do (no root, no user namespaces,
 * no Landlock) is reported in `missing`, and refused when `require` is set.
 */
#ifndef BASE_JAIL_H
#define BASE_JAIL_H

#include "base/buf.h"

/* Groups of system calls. Every jail has JAIL_BASE. */
enum {
	JAIL_BASE    = 0,		/* memory, time, signals to oneself, read/write/close, exit */
	JAIL_SOCKET  = 1 << 0,		/* accept, sendmsg, recvmsg, epoll, sockopts: on descriptors it has */
	JAIL_UNIX    = 1 << 1,		/* socket(AF_UNIX), connect */
	JAIL_INET    = 1 << 2,		/* socket(AF_INET*), bind, connect, sendto, recvfrom */
	JAIL_READ    = 1 << 3,		/* open for reading, stat, getdents below the root */
	JAIL_WRITE   = 1 << 4,		/* open for writing, rename, link, unlink, mkdir, fsync, utimens */
	JAIL_FORK    = 1 << 5,		/* clone, wait (the session zygote only); no signals, not even to oneself: children inherit that pid */
	JAIL_LANDLOCK = 1 << 6,		/* may tighten itself further */
	JAIL_INOTIFY = 1 << 7,
	JAIL_FLOCK   = 1 << 8,		/* fcntl locks, flock */
	JAIL_UDP     = 1 << 9,		/* of JAIL_INET only datagrams: questions to the DNS, no connection to anybody */
};

struct jail {
	unsigned sys;			/* JAIL_* */
	const char *root;		/* absolute; chroot here. NULL: no chroot wanted */
	bool write_below;		/* Landlock: the root may be written (else read, if JAIL_READ; else nothing) */
	uint16_t tcp_connect[4];	/* Landlock ABI >= 4: allowed ports; all 0 with JAIL_INET: any */
	bool require;			/* sandbox = require: a missing wall is fatal */
};

/* Dies on failure of a wall that is possible here. `missing` gets words ("chroot", "landlock", ...). */
void jail_enter(const struct jail *j, struct buf *missing);

/*
 * For a child of a zygote: Landlock to one directory (writable, with rename
 * and link inside), nothing else of the file system. dir is relative to the
 * present root. False with errno.
 */
bool jail_only_dir(const char *dir) CHECKED;

/*
 * For the same child: from here on each fork fails, so that a captured session cannot fill the host with processes.
 * It is a limit of this one process (RLIMIT_NPROC of 0), which it cannot raise again; for root, who is above such limits,
 * a filter of system calls, which the kernel translates for each login, and which ends the process. False with errno.
 */
bool jail_no_fork(void) CHECKED;

/* The same with no directory at all: what is open stays so. */
bool jail_no_files(void) CHECKED;

/*
 * Walls of a process that runs programs of others (which may need any file that its user may read): no capability, nothing
 * gained by a set-uid program, files written below `dirs` only (those that are there), no TCP listener, no signal and no
 * abstract socket outside, and calls that only administrators, debuggers and containers make get EPERM. Dies on
 * failure of a wall that is possible here; missing and require as above.
 */
void jail_enter_program(const char *const *dirs, size_t n, bool require, struct buf *missing);

/* In a child of such a process: it can signal itself and its own children alone, not us. */
void jail_program_child(void);

/* True once jail_enter has been passed (for assertions and map openers). */
bool jail_entered(void);

#endif
