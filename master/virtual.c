/* virtual.c: whose files a virtual mailbox holds. Its key comes from qmgr or auth and is looked up in tables that root alone writes. */
#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/map.h"
#include "mail/owner.h"
#include "mail/users.h"
#include "base/banned.h"

void
virtual_free(struct config *c)
{
	maps_free(c->users);
	maps_free(c->uids);
	maps_free(c->gids);
	c->users = c->uids = c->gids = NULL;
}

/* Who could write such a table could choose a uid. */
static int
open_trusted(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & 022)))
		return fd;
	log_error(NULL, "%s: others than root could have written it (uid %u, mode %04o), so no uid in it is believed; chown root, chmod go-w",
	    path, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777);
	close(fd);
	errno = EPERM;
	return -1;
}

/* False: a sentence in why. */
static bool
open_tables(struct config *c, struct buf *why)
{
	struct buf users;
	bool ok;

	if (c->users)
		return true;
	buf_init(&users, 8192);
	buf_addf(&users, "cdb:%s", c->par.users_file);
	c->users = maps_open(buf_span(&users), why);
	c->uids = maps_open(span_str(c->par.virtual_uid_maps), why);
	c->gids = maps_open(span_str(c->par.virtual_gid_maps), why);
	ok = c->users && c->uids && c->gids;
	if (!ok)
		virtual_free(c);
	buf_fini(&users);
	return ok;
}

static bool
refresh_tables(struct config *c, struct buf *why)
{
	bool ok;

	map_set_opener(open_trusted);
	ok = open_tables(c, why);
	if (ok) {
		maps_refresh(c->users);
		maps_refresh(c->uids);
		maps_refresh(c->gids);
	}
	map_set_opener(NULL);
	return ok;
}

/* Whoever asks may be wrong about the mailbox of somebody in the users table; of others we know nothing. */
static bool
has_mailbox(const struct config *c, struct span key, struct span mailbox)
{
	struct buf value, theirs;
	bool ok = true;

	buf_init(&value, 8192);
	buf_init(&theirs, MAILBOXPATH_MAX + 1);
	if (maps_find(c->users, key, &value) != MAP_NONE)
		ok = user_mailbox(key, buf_span(&value), &theirs) && span_eq(buf_span(&theirs), mailbox);
	buf_fini(&value);
	buf_fini(&theirs);
	return ok;
}

/* A group of a daemon opens its room in run/. */
static bool
group_is_ours(const struct config *c, gid_t gid, gid_t shared)
{
	struct owner ours;

	for (size_t i = 0; i < daemon_kind_count && !master.rootless; i++)
		if (*daemon_kinds[i].user && owner_of_daemon(c, &daemon_kinds[i], &ours) && ours.gid == gid && gid != shared)
			return true;
	return false;
}

static enum virtual_owner
refuse(struct buf *why, struct span key, const char *sentence)
{
	buf_addf(why, "%.*s: %s", SPAN_FMT(key), sentence);
	return VIRTUAL_REFUSED;
}

static enum virtual_owner
take_own(struct config *c, struct span key, struct span mailbox, const struct owner_ids *ids, struct owner *o, struct buf *why)
{
	uid_t shared_uid = o->uid;
	gid_t shared_gid = o->gid;

	if (ids->uid == shared_uid)
		return VIRTUAL_SHARED;
	*o = (struct owner){ .uid = ids->uid, .gid = ids->gid };
	if (master.rootless)
		return refuse(why, key, "a uid of its own needs a master that runs as root");
	if (owner_is_ours(c, o) || group_is_ours(c, o->gid, shared_gid))
		return refuse(why, key, "its uid or gid is that of a user of the mail system");
	if (!has_mailbox(c, key, mailbox))
		return refuse(why, key, "that is not its mailbox");
	memcpy(o->mailbox, mailbox.p, mailbox.n);	/* zeroes are behind it; valid paths fit */
	return VIRTUAL_OWN;
}

enum virtual_owner
owner_of_mailbox(struct config *c, struct span key, struct span mailbox, struct owner *o, struct buf *why)
{
	const struct daemon_kind *kind = daemon_find(SPAN("virtual"));
	struct owner_rules rules = { .delimiters = span_str(c->par.recipient_delimiter), .least = c->par.virtual_minimum_uid };
	struct owner_ids ids;
	struct buf cause;
	enum virtual_owner answer = VIRTUAL_REFUSED;

	if (!owner_of_daemon(c, kind, o))
		return refuse(why, key, "virtual_mail_user is missing");
	buf_init(&cause, 1000);
	if (!refresh_tables(c, &cause)) {
		answer = refuse(why, key, buf_cstr(&cause));
	} else {
		rules.users = c->users;
		rules.uids = c->uids;
		rules.gids = c->gids;
		switch (owner_find(&rules, key, &ids, &cause)) {
		case OWNER_SHARED:
			answer = VIRTUAL_SHARED;
			break;
		case OWNER_OWN:
			answer = take_own(c, key, mailbox, &ids, o, why);
			break;
		case OWNER_WRONG:
		case OWNER_LATER:
			answer = refuse(why, key, buf_cstr(&cause));
			break;
		}
	}
	buf_fini(&cause);
	return answer;
}
