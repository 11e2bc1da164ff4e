/* home.c: DOMAIN/USER of new users, made by a child that is the owner of the mail, below descriptors that are no links. */
#include "home.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "common/tool.h"
#include "mail/mailboxpath.h"
#include "base/banned.h"

#define PATHS_MAX (1u << 30)

void
homes_init(struct homes *h)
{
	buf_init(&h->paths, PATHS_MAX);
}

void
homes_fini(struct homes *h)
{
	buf_fini(&h->paths);
}

void
homes_add(struct homes *h, const struct user_record *u)
{
	struct buf value;

	buf_init(&value, 8192);
	buf_addf(&value, "%.*s:%.*s:%.*s", SPAN_FMT(u->uid), SPAN_FMT(u->gid), SPAN_FMT(u->home));
	if (user_mailbox(u->address, buf_span(&value), &h->paths))
		buf_addc(&h->paths, '\0');
	buf_fini(&value);
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

void
homes_make(const struct homes *h)
{
	pid_t pid;
	int status;

	if (h->paths.len == 0)
		return;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
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
