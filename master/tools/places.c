/* places.c: directories, owners, modes. The only program of the suite that runs with all of root's rights. */
#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "common/tool.h"
#include "mail/queuefile.h"
#include "base/banned.h"

static const char *const daemons[] = { "smtpd", "intake", "qmgr", "smtp", "bounce", "keyd", "auth", "imapd", "pop3d", NULL };

/* ---- system users ---- */

static const char *
daemon_user(const char *daemon)
{
	static char name[256];

	snprintf(name, sizeof(name), "%s%s", par.mail_owner_prefix, daemon);
	return name;
}

const char *
places_missing_user(void)
{
	for (size_t i = 0; daemons[i]; i++)
		if (!getpwnam(daemon_user(daemons[i])))
			return daemon_user(daemons[i]);
	return getpwnam(par.virtual_mail_user) ? NULL : par.virtual_mail_user;
}

static bool
useradd(const char *name)
{
	const char *const argv[] = { "useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent",
		"--shell", "/usr/sbin/nologin", "--user-group", name, NULL };
	char *const envp[] = { (char[]){ "PATH=/usr/sbin:/usr/bin:/sbin:/bin" }, NULL };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execve("/usr/sbin/useradd", (char *const *)(uintptr_t)argv, envp);
		_exit(EX_UNAVAILABLE);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void
places_make_users(void)
{
	const char *name, *before = "";
	char copy[256];

	while (geteuid() == 0 && (name = places_missing_user())) {
		if (strcmp(name, before) == 0 || (!useradd(name) && !getpwnam(name)))
			tool_fail(EX_OSERR, "the system user %s is missing and /usr/sbin/useradd could not make it", name);
		snprintf(copy, sizeof(copy), "%s", name);
		before = copy;
		printf("made the system user %s\n", copy);
	}
}

/* ---- directories ---- */

const char *
places_daemon_directory(void)
{
	static char path[PATH_MAX];
	char self[PATH_MAX - 64];
	ssize_t n;
	char *slash;

	if (par.daemon_directory && par.daemon_directory[0])
		return par.daemon_directory;
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		tool_fail(EX_OSERR, "/proc/self/exe: %s", strerror(errno));
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	snprintf(path, sizeof(path), "%s/../libexec/merpati", self);
	return path;
}

bool
places_lack_room(uint64_t *free_bytes, uint64_t *need)
{
	struct statvfs v;

	*need = par.queue_minfree ? par.queue_minfree : par.message_size_limit + par.message_size_limit / 2;	/* as intake */
	if (statvfs(par.queue_directory, &v) < 0)
		return false;
	*free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
	return *free_bytes < *need;
}

#define PASSABLE 0011u		/* of directories of mail: below it is a user with a uid of his own (service/room.h) */

enum base { IN_SPOOL, IN_RUN, IN_MAIL };

struct place {
	enum base base;
	const char *path;
	const char *owner, *group;	/* daemons; NULL: root, "vmail": virtual_mail_user */
	mode_t mode;
};

static const struct place places[] = {
	{ IN_SPOOL, "", NULL, NULL, 0755 },
	{ IN_SPOOL, "incoming", "intake", "qmgr", 02770 },
	{ IN_SPOOL, "queue", "qmgr", "qmgr", 0700 },
	{ IN_SPOOL, "hold", "qmgr", "qmgr", 0700 },
	{ IN_SPOOL, "corrupt", "qmgr", "qmgr", 0700 },
	{ IN_SPOOL, "pid", NULL, NULL, 0755 },
	{ IN_MAIL, "", "vmail", "vmail", 0700 },
	{ IN_RUN, "", NULL, NULL, 0755 },
	{ IN_RUN, "public", NULL, NULL, 0755 },
	{ IN_RUN, "control", NULL, NULL, 0700 },
	{ IN_RUN, "operator", NULL, NULL, 0700 },
};

static const struct passwd *
owner_of(const char *daemon)
{
	const char *name = !daemon ? "root" : strcmp(daemon, "vmail") == 0 ? par.virtual_mail_user : daemon_user(daemon);
	const struct passwd *pw = getpwnam(name);

	if (!pw)
		tool_fail(EX_NOUSER, "the system user %s is missing; \"merpati init\" makes it, or: useradd --system %s", name, name);
	return pw;
}

static void
mend(const char *path, const struct place *p)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	mode_t mode;

	if (fd < 0 || fstat(fd, &st) < 0)
		tool_fail(EX_CANTCREAT, "%s: %s", path, strerror(errno));
	if (geteuid() == 0) {
		uid_t uid = owner_of(p->owner)->pw_uid;
		gid_t gid = owner_of(p->group)->pw_gid;

		if ((st.st_uid != uid || st.st_gid != gid) && fchown(fd, uid, gid) < 0)
			tool_fail(EX_NOPERM, "chown %s: %s", path, strerror(errno));
	}
	mode = p->base == IN_MAIL ? p->mode | (st.st_mode & PASSABLE) : p->mode;
	if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		tool_fail(EX_NOPERM, "chmod %s: %s", path, strerror(errno));
	close(fd);
}

static void
prepare_place(const struct place *p)
{
	const char *const bases[] = { [IN_SPOOL] = par.queue_directory, [IN_RUN] = par.run_directory,
		[IN_MAIL] = par.virtual_mailbox_base };
	const char *path = p->path[0] ? tool_path(bases[p->base], "%s", p->path) : bases[p->base];

	if (!make_dirs(AT_FDCWD, path, 0755))
		tool_fail(EX_CANTCREAT, "cannot make the directory %s: %s", path, strerror(errno));
	mend(path, p);
}

static void
prepare_hashes(void)
{
	for (const char *h = QUEUE_HASHES; *h; h++) {
		char path[8];

		snprintf(path, sizeof(path), "queue/%c", *h);
		prepare_place(&(struct place){ IN_SPOOL, path, "qmgr", "qmgr", 0700 });
	}
}

void
places_make_domain(const char *domain)
{
	prepare_place(&(struct place){ IN_MAIL, domain, "vmail", "vmail", 0700 });
}

/* run/<class>: root owns it, the daemon of that class may pass */
static void
prepare_rooms(void)
{
	for (size_t i = 0; daemons[i]; i++)
		prepare_place(&(struct place){ IN_RUN, daemons[i], NULL, daemons[i], 0710 });
}

static void
prepare_log(void)
{
	char dir[PATH_MAX];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", par.maillog_file);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return;
	*slash = '\0';
	if (!make_dirs(AT_FDCWD, dir, 0755))
		tool_fail(EX_CANTCREAT, "cannot make the directory %s: %s", dir, strerror(errno));
}

void
places_prepare(const char *confdir)
{
	static const char *const secret[] = { "users", "secrets.cdb" };

	for (size_t i = 0; i < NELEMS(places); i++)
		prepare_place(&places[i]);
	prepare_hashes();
	prepare_rooms();
	prepare_log();
	for (size_t i = 0; i < NELEMS(secret); i++)
		if (chmod(tool_path(confdir, "%s", secret[i]), 0600) < 0 && errno != ENOENT)
			tool_fail(EX_NOPERM, "chmod %s/%s: %s", confdir, secret[i], strerror(errno));
}
