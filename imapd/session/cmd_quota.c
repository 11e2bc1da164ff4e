/*
 * cmd_quota.c: GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208). There is one root, "", for all folders of the user; who has
 * no limit has no root. Limits are the operator's: SETQUOTA is not announced (QUOTASET) and refused.
 */
#include "session.h"

#include "base/banned.h"

#define UNIT 1024			/* of STORAGE (RFC 9208 5.1) */

static uint64_t
units(uint64_t bytes, bool up)
{
	return bytes / UNIT + (up && bytes % UNIT);
}

static void
tell(struct session *s, const struct mailstore_usage *u)
{
	struct buf out;

	buf_init(&out, 512);
	buf_adds(&out, "* QUOTA \"\" (");
	if (u->limit.bytes)
		buf_addf(&out, "STORAGE %llu %llu", (unsigned long long)units(u->use.bytes, true),
		    (unsigned long long)units(u->limit.bytes, false));
	if (u->limit.messages)
		buf_addf(&out, "%sMESSAGE %llu %llu", u->limit.bytes ? " " : "", (unsigned long long)u->use.messages,
		    (unsigned long long)u->limit.messages);
	buf_adds(&out, ")\r\n");
	stream_putspan(&s->io, buf_span(&out));
	buf_fini(&out);
}

struct reply
cmd_getquota(struct session *s, struct command *c)
{
	struct mailstore_usage u;
	struct span root;

	if (!parse_space(&c->args) || !parse_astring(&c->args, &root) || !parse_end(&c->args))
		return reply_bad(c);
	if (root.n || mailstore_usage(s->ms, &u) != STORE_OK)
		return reply_no("NONEXISTENT", "No such quota root");
	tell(s, &u);
	return reply_ok("Getquota completed");
}

struct reply
cmd_getquotaroot(struct session *s, struct command *c)
{
	struct mailstore_usage u;
	enum store_result r;
	struct span name;
	struct buf out;
	bool ok, limited;

	if (!parse_space(&c->args) || !parse_mailbox(&c->args, &name, &ok) || !parse_end(&c->args))
		return reply_bad(c);
	r = ok ? mailstore_exists(s->ms, name) : STORE_BADNAME;
	if (r != STORE_OK)
		return reply_store(r);
	limited = mailstore_usage(s->ms, &u) == STORE_OK;
	buf_init(&out, 8192);
	buf_adds(&out, "* QUOTAROOT ");
	print_mailbox(s, &out, name);
	buf_adds(&out, limited ? " \"\"\r\n" : "\r\n");
	stream_putspan(&s->io, buf_span(&out));
	buf_fini(&out);
	if (limited)
		tell(s, &u);
	return reply_ok("Getquotaroot completed");
}

struct reply
cmd_setquota(struct session *s, struct command *c)
{
	(void)s;
	(void)c;
	return reply_no("NOPERM", "The limits are not yours to set");
}
