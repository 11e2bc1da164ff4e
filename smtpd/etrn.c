/*
 * etrn.c: ETRN (RFC 1985): a client says that it is there for the mail of a domain. What waits is tried again; it
 * goes where it always goes, never back over this connection. Strangers may ask, for the domains of fast_flush_domains.
 */
#include "smtpd.h"

#include <stdlib.h>

#include "base/log.h"
#include "mail/address.h"
#include "policy.h"
#include "service/message.h"
#include "service/params.h"

#include "base/banned.h"

#define WAITING_MAX 4096		/* bytes: list of domains that qmgr is still to be told */
#define ANSWER_MS 5000

static struct intake_job job;		/* one question at a time, for all sessions: none waits for its answer */
static struct buf waiting;
static bool asking;

static bool ask(void);

static void
over(void)
{
	asking = false;
	if (waiting.len > 0 && ask())	/* what was asked for meanwhile */
		return;
	buf_fini(&waiting);
}

static void
on_told(void *ctx, uint32_t error)
{
	(void)ctx;
	if (error)
		log_warn(NULL, "ETRN: qmgr cannot be told: %s", strerror((int)error));
	intake_finish(&job);
	over();
}

static void
on_lost(void *ctx, const struct msg_MAIL_DONE *d)
{
	(void)ctx;
	(void)d;
	log_warn(NULL, "ETRN: no intake tells qmgr");
	intake_drop(&job);
	buf_reset(&waiting);
	over();
}

static bool
tell(void)
{
	enum intake_state state = intake_send(&job, MSG_FLUSH, &(struct msg_FLUSH){ .sites = buf_span(&waiting) });

	if (state == INTAKE_READY) {
		intake_answer_due(&job, ANSWER_MS);
		buf_reset(&waiting);
	}
	return state != INTAKE_BROKEN;
}

static void
on_ready(void *ctx)
{
	if (!tell())
		on_lost(ctx, NULL);
}

static bool
ask(void)
{
	enum intake_state state;

	job = (struct intake_job){ .on_ready = on_ready, .on_done = on_lost, .on_told = on_told };
	state = intake_take(&job, false);
	asking = state == INTAKE_LATER || (state == INTAKE_READY && tell());
	if (!asking)
		intake_drop(&job);
	return asking;
}

/* False: nobody can be told, or too many have asked. */
static bool
request(struct span domain)
{
	if (waiting.max == 0)
		buf_init(&waiting, WAITING_MAX);
	if (waiting.max - waiting.len < domain.n + 8)
		return false;
	msg_list_add(&waiting, domain);
	if (asking || ask())
		return true;
	buf_fini(&waiting);
	return false;
}

struct reply
cmd_etrn(struct session *s, struct span arg)
{
	struct span domain = arg;
	struct reply r;

	if (domain.n > 0 && (domain.p[0] == '@' || domain.p[0] == '#'))
		domain = span_skip(domain, 1);
	if (!address_domain_valid(domain, 0))
		return reply_make(501, "5.5.4", "Error: invalid parameter syntax");
	r = policy_etrn(s, domain);
	if (r.code != 0)
		return r;
	switch (policy_flushes(domain)) {
	case MAP_FOUND:
		break;
	case MAP_NONE:
		log_info(s->id, "reject: ETRN %.*s from %s[%s]: not in fast_flush_domains", SPAN_FMT(domain), client_name(s), s->addr);
		return reply_make(459, "", "<%.*s>: service unavailable", SPAN_FMT(domain));
	case MAP_FAILED:
		return reply_make(458, "", "Unable to queue messages");
	}
	return request(domain) ? reply_make(250, "", "Queuing started") : reply_make(458, "", "Unable to queue messages");
}
