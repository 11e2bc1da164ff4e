/* ids.c: owners of virtual mailboxes, as the operator's commands see them. Tables and numbers are root's. */
#include "ids.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "mail/mailboxpath.h"
#include "mail/owner.h"
#include "service/mastercf.h"
#include "service/params.h"
#include "service/room.h"
#include "tool.h"
#include "base/banned.h"

#define DAEMONS_MAX 32

/* Those of the daemons, but for virtual_mail_user; looked up once. */
static struct ids daemons[DAEMONS_MAX];
static size_t ndaemons;

static void
find_daemons(void)
{
	char name[256];

	for (size_t i = 0; i < daemon_kind_count && ndaemons < DAEMONS_MAX; i++) {
		const char *user = daemon_kinds[i].user;
		const struct passwd *pw;

		snprintf(name, sizeof(name), "%s%s", par.mail_owner_prefix, user);
		if (*user && strcmp(user, "vmail") != 0 && (pw = getpwnam(name)) != NULL)
			daemons[ndaemons++] = (struct ids){ .uid = pw->pw_uid, .gid = pw->pw_gid };
	}
}

static bool
numbers_ok(uint32_t uid, uint32_t gid, struct buf *why)
{
	if (ndaemons == 0)
		find_daemons();
	for (size_t i = 0; i < ndaemons; i++)
		if (daemons[i].uid == uid || daemons[i].gid == gid) {
			buf_addf(why, "uid %u or gid %u is that of a user of the mail system", uid, gid);
			return false;
		}
	return true;
}

bool
ids_ok(const struct span *uid, const struct span *gid, struct buf *why)
{
	struct owner_ids ids;

	return uid->n == 0 || (owner_uid_ok(*uid, par.virtual_minimum_uid, &ids.uid, why) && owner_gid_ok(*gid, &ids.gid, why) &&
	    numbers_ok(ids.uid, ids.gid, why));
}

bool
ids_shared(struct ids *who)
{
	static struct ids shared;
	static bool known;
	const struct passwd *pw = NULL;

	if (!known && geteuid() == 0 && (pw = getpwnam(par.virtual_mail_user)) == NULL)
		return false;
	if (!known)
		shared = (struct ids){ .uid = pw ? pw->pw_uid : getuid(), .gid = pw ? pw->pw_gid : getgid() };
	known = true;
	*who = shared;
	return true;
}

/* Opened once: a command reads the configuration once. */
static bool
find(struct span key, enum owner_answer *answer, struct owner_ids *ids, struct buf *why)
{
	static struct owner_rules rules;

	if (!rules.uids) {
		rules = (struct owner_rules){ .users = maps_open(SPAN(""), why), .uids = maps_open(span_str(par.virtual_uid_maps), why),
			.gids = maps_open(span_str(par.virtual_gid_maps), why), .delimiters = span_str(par.recipient_delimiter),
			.least = par.virtual_minimum_uid };
		if (!rules.uids || !rules.gids)
			return false;
	}
	*answer = owner_find(&rules, key, ids, why);
	return true;
}

bool
ids_of_mailbox(struct span key, struct span uid, struct span gid, struct ids *who, struct buf *why)
{
	enum owner_answer answer = OWNER_OWN;
	struct owner_ids ids;

	if (!ids_shared(who)) {
		buf_addf(why, "there is no system user %s", par.virtual_mail_user);
		return false;
	}
	if (uid.n > 0 ? !owner_uid_ok(uid, par.virtual_minimum_uid, &ids.uid, why) || !owner_gid_ok(gid, &ids.gid, why) :
	    !find(key, &answer, &ids, why))
		return false;
	if (answer == OWNER_SHARED)
		return true;
	if (answer != OWNER_OWN || !numbers_ok(ids.uid, ids.gid, why))
		return false;
	if (geteuid() == 0 && who->uid != ids.uid)
		*who = (struct ids){ .uid = ids.uid, .gid = ids.gid, .own = true };
	return true;
}

bool
ids_make_room(struct span mailbox, const struct ids *who, struct buf *why)
{
	struct ids above;
	struct room room = { .base = par.virtual_mailbox_base, .path = mailboxpath_dir(mailbox), .uid = who->uid, .gid = who->gid };

	if (!ids_shared(&above))
		return false;
	room.above_uid = above.uid;
	room.above_gid = above.gid;
	return room_make(&room, why);
}
