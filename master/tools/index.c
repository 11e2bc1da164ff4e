/* index.c: merpati index: the index of one mailbox, as the owner of that mailbox. What lies in a mailbox is its owner's. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "base/map.h"
#include "common/ids.h"
#include "common/tool.h"
#include "mail/store/mailstore.h"
#include "mail/users.h"
#include "mailbox.h"
#include "mail/mailboxpath.h"
#include "tools.h"
#include "base/banned.h"

static void
find_owner(struct mailbox *m, const char *name)
{
	const struct passwd *pw = getpwnam(name);

	if (!pw && geteuid() == 0)
		tool_fail(EX_NOUSER, "there is no system user %s", name);
	m->uid = pw ? pw->pw_uid : getuid();
	m->gid = pw ? pw->pw_gid : getgid();
}

static void
find_system_user(struct mailbox *m, const char *name)
{
	const struct passwd *pw = getpwnam(name);

	if (!pw)
		tool_fail(EX_NOUSER, "there is no user %s", name);
	find_owner(m, name);
	m->base = x_strdup(pw->pw_dir);
	buf_adds(&m->path, par.home_mailbox);
}

static void
find_virtual_user(struct mailbox *m, const char *address)
{
	struct buf spec, value, err, mailbox;
	struct span uid = SPAN_NONE, gid = SPAN_NONE;
	struct maps *users;
	struct ids who;

	buf_init(&spec, 8192);
	buf_init(&value, 8192);
	buf_init(&err, 8192);
	buf_init(&mailbox, 8192);
	buf_addf(&spec, "cdb:%s", par.users_file);
	users = maps_open(buf_span(&spec), &err);
	if (!users)
		tool_fail(EX_CONFIG, "%s", err.p);
	if (maps_find(users, span_str(address), &value) != MAP_FOUND)
		tool_fail(EX_NOUSER, "there is no user %s", address);
	if (!user_mailbox(span_str(address), buf_span(&value), &mailbox) || !mailboxpath_maildir(buf_span(&mailbox), &m->path))
		tool_fail(EX_DATAERR, "the entry of %s in %s.cdb is damaged", address, par.users_file);
	(void)user_ids(buf_span(&value), &uid, &gid);
	if (!ids_of_mailbox(span_str(address), uid, gid, &who, &err) ||
	    (who.own && !ids_make_room(buf_span(&mailbox), &who, &err)))
		tool_fail(EX_CONFIG, "%s: %s", address, err.p);
	m->base = par.virtual_mailbox_base;
	m->uid = who.uid;
	m->gid = who.gid;
	maps_free(users);
	buf_fini(&spec);
	buf_fini(&value);
	buf_fini(&err);
	buf_fini(&mailbox);
}

void
mailbox_find(struct mailbox *m, const char *user)
{
	buf_init(&m->path, 4096);
	if (strchr(user, '@'))
		find_virtual_user(m, user);
	else
		find_system_user(m, user);
}

void
mailbox_become_owner(const struct mailbox *m)
{
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(m->gid, m->gid, m->gid) < 0 ||
	    setresuid(m->uid, m->uid, m->uid) < 0))
		tool_fail(EX_NOPERM, "cannot become the owner of the mailbox: %s", strerror(errno));
	if (chdir(m->base) < 0)
		tool_fail(EX_NOPERM, "%s: %s", m->base, strerror(errno));
}

int
command_index(const char *confdir, int argc, char **argv)
{
	static const struct {
		const char *verb;
		enum store_result (*run)(const char *path);
	} verbs[] = {
		{ "drop", mailstore_index_drop },
		{ "rebuild", mailstore_index_rebuild },
	};
	struct mailbox m = { 0 };

	for (size_t i = 0; argc == 3 && i < NELEMS(verbs); i++) {
		enum store_result r;

		if (strcmp(argv[1], verbs[i].verb) != 0)
			continue;
		tool_settings(confdir);
		mailbox_find(&m, argv[2]);
		mailstore_init();
		mailbox_become_owner(&m);
		if (access(m.path.p, F_OK) < 0)
			tool_fail(EX_NOINPUT, "%s/%s: %s", m.base, m.path.p, strerror(errno));
		r = verbs[i].run(m.path.p);
		if (r != STORE_OK)
			tool_fail(EX_IOERR, "%s/%s: %s", m.base, m.path.p, store_result_text(r));
		return 0;
	}
	tool_fail(EX_USAGE, "index: drop ADDRESS, or rebuild ADDRESS");
}
