/* owner.c: look-ups of uids and gids. The tables are root's; the address came from a stranger and is only ever a key. */
#include "mail/owner.h"

#include "mail/address.h"
#include "mail/users.h"
#include "base/banned.h"

#define KEY_MAX 512
#define NUMBER_MAX 256

bool
owner_uid_ok(struct span text, uint32_t least, uint32_t *uid, struct buf *why)
{
	if (!span_u32(text, 1, UINT32_MAX - 1, uid)) {
		buf_addf(why, "uid \"%.*s\" is not a number above 0", SPAN_FMT(text));
		return false;
	}
	if (*uid >= least)
		return true;
	buf_addf(why, "uid %u is below virtual_minimum_uid (%u)", *uid, least);
	return false;
}

bool
owner_gid_ok(struct span text, uint32_t *gid, struct buf *why)
{
	if (span_u32(text, 1, UINT32_MAX - 1, gid))
		return true;
	buf_addf(why, "gid \"%.*s\" is not a number above 0", SPAN_FMT(text));
	return false;
}

static enum map_answer
find_joined(struct maps *m, struct span local, struct span at_domain, struct buf *out)
{
	enum map_answer ans = MAP_NONE;
	struct buf key;

	buf_init(&key, KEY_MAX);
	buf_addspan(&key, local);
	buf_addspan(&key, at_domain);
	if (!key.over)
		ans = maps_find_part(m, buf_span(&key), out);
	buf_fini(&key);
	return ans;
}

static enum map_answer
find_number(const struct owner_rules *t, struct maps *m, struct span address, struct buf *out)
{
	ssize_t at = span_rfind(address, '@');
	struct span local = span_sub(address, 0, at < 0 ? address.n : (size_t)at);
	struct span domain = span_skip(address, local.n), base = address_base(local, t->delimiters);
	enum map_answer ans = maps_find(m, address, out);

	if (ans == MAP_NONE && base.n != local.n)
		ans = find_joined(m, base, domain, out);
	if (ans == MAP_NONE && local.n > 0)
		ans = find_joined(m, SPAN_NONE, domain, out);
	return ans;
}

/* Both numbers as the tables have them. False: `answer` says it. */
static bool
find_ids(const struct owner_rules *t, struct span address, struct buf *uid, struct buf *gid, enum owner_answer *answer,
    struct buf *why)
{
	const struct { const char *name; struct maps *maps; struct buf *out; } rows[] = {
		{ "virtual_uid_maps", t->uids, uid }, { "virtual_gid_maps", t->gids, gid } };

	for (size_t i = 0; i < NELEMS(rows); i++) {
		enum map_answer ans = find_number(t, rows[i].maps, address, rows[i].out);

		if (ans == MAP_FOUND)
			continue;
		*answer = ans == MAP_FAILED ? OWNER_LATER : OWNER_WRONG;
		buf_addf(why, ans == MAP_FAILED ? "%s cannot be read" : "%s has no entry for it", rows[i].name);
		return false;
	}
	return true;
}

enum owner_answer
owner_find(const struct owner_rules *t, struct span address, struct owner_ids *ids, struct buf *why)
{
	enum owner_answer answer = OWNER_OWN;
	struct buf value, uid, gid;
	struct span own_uid, own_gid;
	enum map_answer ans;

	buf_init(&value, 8192);
	buf_init(&uid, NUMBER_MAX);
	buf_init(&gid, NUMBER_MAX);
	ans = maps_find(t->users, address, &value);
	if (ans == MAP_FAILED) {
		answer = OWNER_LATER;
		buf_adds(why, "the users table cannot be read");
	} else if (ans == MAP_FOUND && user_ids(buf_span(&value), &own_uid, &own_gid)) {
		buf_addspan(&uid, own_uid);
		buf_addspan(&gid, own_gid);
	} else if (maps_empty(t->uids)) {
		answer = OWNER_SHARED;
	} else {
		(void)find_ids(t, address, &uid, &gid, &answer, why);
	}
	if (answer == OWNER_OWN && (!owner_uid_ok(span_trim(buf_span(&uid)), t->least, &ids->uid, why) ||
	    !owner_gid_ok(span_trim(buf_span(&gid)), &ids->gid, why)))
		answer = OWNER_WRONG;
	buf_fini(&value);
	buf_fini(&uid);
	buf_fini(&gid);
	return answer;
}
