/*
 * user_rename.c: another address for a user. The mail stays where it is, and becomes the home of the new name in the same change of the
 * table: a directory that was moved would be made anew by a delivery that had looked up the old place a moment before.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/map.h"
#include "common/ids.h"
#include "common/tool.h"
#include "home.h"
#include "mail/mailboxpath.h"
#include "quota.h"
#include "tools.h"
#include "user.h"
#include "base/banned.h"

static void
take_address(const char *arg, struct buf *out)
{
	struct buf err;

	buf_init(out, 1000);
	buf_init(&err, 1000);
	if (!user_address(span_str(arg), out, &err))
		tool_fail(EX_DATAERR, "%s", err.p);
	buf_fini(&err);
}

/* An alias comes before a user: it would lead to the old name, or away. */
static void
refuse_alias(struct span new)
{
	struct buf value, err;
	struct maps *aliases;

	buf_init(&value, 1u << 20);
	buf_init(&err, 1000);
	aliases = maps_open(span_str(par.virtual_alias_maps), &err);
	if (!aliases)
		tool_fail(EX_CONFIG, "virtual_alias_maps: %s", buf_cstr(&err));
	if (maps_find(aliases, new, &value) != MAP_NONE)
		tool_fail(EX_CANTCREAT, "%.*s is an alias; nothing was changed. First: merpati alias del %.*s", SPAN_FMT(new), SPAN_FMT(new));
	maps_free(aliases);
	buf_fini(&value);
	buf_fini(&err);
}

static void
mailbox_of(struct span address, struct span home, struct buf *out)
{
	struct buf value;

	buf_init(out, MAILBOXPATH_MAX + 1);
	buf_init(&value, 8192);
	buf_addf(&value, "::%.*s", SPAN_FMT(home));
	if (!user_mailbox(address, buf_span(&value), out))
		tool_fail(EX_DATAERR, "%.*s: that cannot be the name of a directory", SPAN_FMT(address));
	buf_fini(&value);
}

/* Mail that lies where the new name would have its own is somebody's; his own, when he gets back a name that he had. */
static void
refuse_mail(const struct user_record *u, struct span new)
{
	struct buf mailbox;
	uid_t uid;

	mailbox_of(new, SPAN_NONE, &mailbox);
	if (!span_eq(buf_span(&mailbox), u->home) && home_is_used(buf_cstr(&mailbox), &uid))
		tool_fail(EX_CANTCREAT, "there is mail in %s/%s, the place of %.*s; nothing was changed. Move it away first",
		    par.virtual_mailbox_base, buf_cstr(&mailbox), SPAN_FMT(new));
	buf_fini(&mailbox);
}

/* The files stay as they are: tables that know the old name alone would leave the mail to nobody. */
static void
refuse_owner(const struct user_record *u, struct span new)
{
	struct ids before, after;
	struct buf why;

	buf_init(&why, 1000);
	if (!ids_of_mailbox(u->address, u->uid, u->gid, &before, &why) || !ids_of_mailbox(new, u->uid, u->gid, &after, &why))
		tool_fail(EX_CONFIG, "%.*s: %s; nothing was changed", SPAN_FMT(new), buf_cstr(&why));
	if (before.uid != after.uid || before.gid != after.gid)
		tool_fail(EX_CONFIG, "virtual_uid_maps and virtual_gid_maps say uid %u, gid %u for %.*s, and uid %u, gid %u for %.*s; nothing was changed",
		    (unsigned)before.uid, (unsigned)before.gid, SPAN_FMT(u->address), (unsigned)after.uid, (unsigned)after.gid, SPAN_FMT(new));
	buf_fini(&why);
}

/* Sessions under the old name end as merpati kick ends them. Nobody there, or no master: all the better. */
static void
end_sessions(const char *confdir, const char *old)
{
	char *argv[] = { (char[]){ "kick" }, x_strdup(old), (char[]){ "--all" }, NULL };
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout))
			_exit(EX_OSERR);
		_exit(command_kick(confdir, 3, argv));
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	free(argv[1]);
}

static const struct user_record *
find_user(struct user_table *t, struct span old, struct span new)
{
	const struct user_line *l = user_table_find(t, old);

	if (!l)
		tool_fail(EX_NOUSER, "there is no user %.*s", SPAN_FMT(old));
	if (user_table_find(t, new))
		tool_fail(EX_CANTCREAT, "%.*s exists; nothing was changed", SPAN_FMT(new));
	refuse_owner(&l->rec, new);
	refuse_mail(&l->rec, new);
	return &l->rec;
}

static void
change(const char *confdir, struct span old, struct span new)
{
	struct user_table t;
	struct user_record rec;
	struct buf home;

	user_table_open(&t, confdir, false);
	(void)find_user(&t, old, new);
	user_table_close(&t);
	quota_copy(confdir, old, new);		/* a limit of nobody harms nobody, if this is the last that we do */
	user_table_open(&t, confdir, true);
	rec = *find_user(&t, old, new);
	mailbox_of(old, rec.home, &home);
	rec.address = new;
	rec.home = buf_span(&home);
	(void)user_table_add(&t, &rec);
	user_table_remove(&t, user_table_find(&t, old));	/* lines may have moved */
	user_table_save(&t);
	user_table_close(&t);
	printf("%.*s has the mail of %.*s (%s); mail for the old address is refused from now on, or: merpati alias add %.*s %.*s\n",
	    SPAN_FMT(new), SPAN_FMT(old), buf_cstr(&home), SPAN_FMT(old), SPAN_FMT(new));
	buf_fini(&home);
}

int
user_rename(const char *confdir, int argc, char **argv)
{
	struct buf old, new;

	(void)argc;
	take_address(argv[0], &old);
	take_address(argv[1], &new);
	if (!domain_is_ours(span_skip(buf_span(&new), (size_t)span_rfind(buf_span(&new), '@') + 1)))
		tool_fail(EX_CONFIG, "the domain of %s is not in virtual_mailbox_domains; nothing was changed. First: merpati domain add DOMAIN", new.p);
	refuse_alias(buf_span(&new));
	change(confdir, buf_span(&old), buf_span(&new));
	quota_drop(confdir, buf_span(&old));
	end_sessions(confdir, old.p);
	buf_fini(&old);
	buf_fini(&new);
	return 0;
}
