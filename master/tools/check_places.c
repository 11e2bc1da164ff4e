/*
 * check_places.c: can the daemons' users walk to their rooms? Their chroots lie
 * inside the instance, and a directory above it may be closed to them (/root, a 0700 home).
 * And is there room for mail, and a user for its programs?
 */
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "common/tool.h"
#include "places.h"
#include "base/banned.h"

/* Asked of the kernel, as that user: modes, groups and access lists all count. */
static bool
user_may_enter(const struct passwd *pw, const char *dir)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		gid_t gid = pw->pw_gid;

		if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
			_exit(0);
		_exit(access(dir, X_OK) == 0 ? 0 : 1);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) == 0;
}

/* The directories above `place`, from the top: the first one that is closed is the one to name. */
static void
check_way(struct check *c, const char *user, const char *parameter, const char *place)
{
	const struct passwd *pw = getpwnam(user);
	char dir[PATH_MAX];
	struct stat st;

	if (!pw || place[0] != '/' || strlen(place) >= sizeof(dir))
		return;
	for (const char *slash = strchr(place + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - place), place);
		if (stat(dir, &st) < 0)
			return;			/* made at the start */
		if (user_may_enter(pw, dir))
			continue;
		check_error(c, parameter, "%s: the user %s cannot pass through %s (mode %04o); chmod o+x %s, or put the instance elsewhere",
		    place, user, dir, (unsigned)st.st_mode & 07777, dir);
		return;
	}
}

/* The user of programs in alias_maps; master would refuse him at the first message. */
static void
check_program_user(struct check *c)
{
	const struct passwd *pw = getpwnam(par.default_privs);

	if (!*par.allow_mail_to_commands)
		return;
	if (!pw)
		check_error(c, "default_privs", "there is no system user %s, as whom programs of alias_maps run; name one that is, or: useradd --system %s",
		    par.default_privs, par.default_privs);
	else if (pw->pw_uid == 0 || strcmp(par.default_privs, par.virtual_mail_user) == 0 ||
	    strncmp(par.default_privs, par.mail_owner_prefix, strlen(par.mail_owner_prefix)) == 0)
		check_error(c, "default_privs", "no program of alias_maps runs as %s, who owns what is not for it; name another user, as nobody",
		    par.default_privs);
}

void
check_places(struct check *c)
{
	uint64_t left, need;
	char user[256];

	if (places_lack_room(&left, &need))
		check_warning(c, "queue_minfree", "%s: %llu MB are free, and no mail is taken below %llu MB", par.queue_directory,
		    (unsigned long long)left >> 20, (unsigned long long)need >> 20);
	if (geteuid() != 0 || places_missing_user())
		return;
	check_program_user(c);
	snprintf(user, sizeof(user), "%ssmtpd", par.mail_owner_prefix);
	check_way(c, user, "run_directory", par.run_directory);
	snprintf(user, sizeof(user), "%sqmgr", par.mail_owner_prefix);
	check_way(c, user, "queue_directory", par.queue_directory);
	check_way(c, par.virtual_mail_user, "virtual_mailbox_base", par.virtual_mailbox_base);
}
