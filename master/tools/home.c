/* home.c: DOMAIN/USER of new users, made by a child that is the owner of the mail, below descriptors that are no links. */
#include "home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "common/ids.h"
#include "common/tool.h"
#include "mail/mailboxpath.h"
#include "base/banned.h"

#define PATHS_MAX (1u << 30)

void
homes_init(struct homes *h)
{
	buf_init(&h->paths, PATHS_MAX);
	buf_init(&h->owned, PATHS_MAX);
}

void
homes_fini(struct homes *h)
{
	buf_fini(&h->paths);
	buf_fini(&h->owned);
}

/* His mailbox, and whose it shall be. False: perhaps a sentence in why. */
static bool
find_home(const struct user_record *u, struct buf *mailbox, struct ids *who, struct buf *why)
{
	struct buf value;
	bool ok;

	buf_init(&value, 8192);
	buf_addf(&value, "%.*s:%.*s:%.*s", SPAN_FMT(u->uid), SPAN_FMT(u->gid), SPAN_FMT(u->home));
	ok = user_mailbox(u->address, buf_span(&value), mailbox) && ids_of_mailbox(u->address, u->uid, u->gid, who, why);
	buf_fini(&value);
	return ok;
}

void
homes_add(struct homes *h, const struct user_record *u)
{
	struct buf mailbox, why, *out;
	struct ids who;

	buf_init(&mailbox, MAILBOXPATH_MAX + 1);
	buf_init(&why, 8192);
	if (find_home(u, &mailbox, &who, &why)) {
		out = who.own ? &h->owned : &h->paths;
		if (who.own)
			buf_addf(out, "%u %u ", (unsigned)who.uid, (unsigned)who.gid);
		buf_addspan(out, buf_span(&mailbox));
		buf_addc(out, '\0');
	} else if (why.len) {
		tool_complain("warning: %.*s: %s", SPAN_FMT(u->address), buf_cstr(&why));
	}
	buf_fini(&mailbox);
	buf_fini(&why);
}

/* Links are not counted, for not every file system counts directories by them. */
bool
home_is_used(const char *path, uid_t *uid)
{
	int fd = open(tool_path(par.virtual_mailbox_base, "%s", path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	struct stat st;
	bool used = fd < 0 && errno != ENOENT;

	*uid = (uid_t)-1;
	if (d && fstat(fd, &st) == 0)
		*uid = st.st_uid;
	while (d && !used && (e = readdir(d)) != NULL)
		used = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	if (d)
		closedir(d);
	return used;
}

void
home_check_owner(const struct user_record *u)
{
	struct span dir;
	struct ids who, shared;
	struct buf mailbox, why;
	uid_t uid;
	bool used;
	char *path;

	if (geteuid() != 0 || !ids_shared(&shared))
		return;
	buf_init(&mailbox, MAILBOXPATH_MAX + 1);
	buf_init(&why, 8192);
	if (find_home(u, &mailbox, &who, &why)) {	/* what is wrong with the numbers is told when they are written */
		dir = mailboxpath_dir(buf_span(&mailbox));
		path = x_spandup(dir);
		used = home_is_used(path, &uid);
		/* an empty one of virtual_mail_user makes room for another: service/room.h */
		if ((used || uid != (uid_t)-1) && uid != who.uid && (used || uid != shared.uid))
			tool_fail(EX_DATAERR, "the mail of %.*s, %s/%s, belongs to uid %u; nothing was changed. Give it to its new owner, "
			    "and then the same command again: chown -Rh %u:%u %s/%s", SPAN_FMT(u->address), par.virtual_mailbox_base, path,
			    (unsigned)uid, (unsigned)who.uid, (unsigned)who.gid, par.virtual_mailbox_base, path);
		free(path);
	}
	buf_fini(&mailbox);
	buf_fini(&why);
}

/* Of a single name below `at`; -1 with errno (ELOOP, ENOTDIR: something else has that name). */
static int
enter_or_make(int at, const char *name)
{
	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return -1;
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The path has at least one name, and none that is empty or ".." (user_mailbox). */
static bool
make_home(int base, struct span path)
{
	struct span rest, part;
	int at = base, next = 0;
	char name[256];

	rest = mailboxpath_dir(path);
	while (next >= 0 && span_cut(&rest, '/', &part)) {
		snprintf(name, sizeof(name), "%.*s", SPAN_FMT(part));
		next = enter_or_make(at, name);
		if (at != base)
			close(at);
		at = next;
	}
	if (next < 0)
		return false;
	close(at);
	return true;
}

static void
become_owner(void)
{
	const struct passwd *pw = getpwnam(par.virtual_mail_user);

	if (geteuid() != 0)
		return;
	if (!pw)
		tool_fail(EX_NOUSER, "warning: no directories were made: there is no system user %s", par.virtual_mail_user);
	if (setgroups(0, NULL) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		tool_fail(EX_NOPERM, "warning: no directories were made: cannot become %s: %s", par.virtual_mail_user, strerror(errno));
}

static void
make_all(const struct homes *h)
{
	int base = open(par.virtual_mailbox_base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct span rest = buf_span(&h->paths), path;
	size_t failed = 0;

	if (base < 0) {
		if (errno != ENOENT)	/* the first start makes it, and deliveries the rest */
			tool_complain("warning: %s: %s", par.virtual_mailbox_base, strerror(errno));
		return;
	}
	while (rest.n && span_cut(&rest, '\0', &path)) {
		if (make_home(base, path))
			continue;
		if (failed++ == 0)
			tool_complain("warning: cannot make %s/%.*s: %s", par.virtual_mailbox_base, SPAN_FMT(path), strerror(errno));
	}
	if (failed > 1)
		tool_complain("warning: nor %zu further directories", failed - 1);
	close(base);
}

/* Of those who have a uid of their own: as root, who becomes others on the way. */
static void
make_rooms(const struct homes *h)
{
	struct span rest = buf_span(&h->owned), path, uid, gid;
	struct buf why;

	buf_init(&why, 8192);
	while (rest.n && span_cut(&rest, '\0', &path)) {
		struct ids who = { .own = true };

		buf_reset(&why);
		if (!span_cut(&path, ' ', &uid) || !span_cut(&path, ' ', &gid) || !span_u32(uid, 1, UINT32_MAX - 1, &who.uid) ||
		    !span_u32(gid, 1, UINT32_MAX - 1, &who.gid) || !ids_make_room(path, &who, &why))
			tool_complain("warning: %s", buf_cstr(&why));
	}
	buf_fini(&why);
}

void
homes_make(const struct homes *h)
{
	pid_t pid;
	int status;

	if (h->paths.len == 0 && h->owned.len == 0)
		return;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		make_rooms(h);
		become_owner();
		make_all(h);
		_exit(0);
	}
	if (pid < 0)
		tool_complain("warning: no directories were made: fork: %s", strerror(errno));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

void
home_make(const struct user_record *u)
{
	struct homes h;

	homes_init(&h);
	homes_add(&h, u);
	homes_make(&h);
	homes_fini(&h);
}
