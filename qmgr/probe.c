/* probe.c: probes under way. Addresses are strangers', results and their texts come from servers elsewhere by way of smtp. */
#include "probe.h"

#include <stdlib.h>

#include "active.h"
#include "agent.h"
#include "base/clock.h"
#include "base/log.h"
#include "hop.h"
#include "mail/envelope.h"
#include "reason.h"
#include "service/params.h"
#include "verified.h"
#include "base/banned.h"

#define ARENA_MAX (256u << 10)
#define PROBE_JOB (UINT32_C(1) << 31)	/* in OUTCOME.job: not a delivery */

static struct probe {
	struct agent *agent;		/* NULL: free */
	char *address, *site;
} probes[PROBES_MAX];

static struct buf dsn, text;		/* of the last answer */

static void
answer(struct msg_VERIFIED *v, enum verify_state state, struct span code, struct span why)
{
	buf_fini(&dsn);
	buf_fini(&text);
	buf_init(&dsn, 12);
	buf_init(&text, OUTCOME_TEXT_MAX);
	buf_addspan(&dsn, span_sub(code, 0, 11));
	buf_addspan(&text, span_sub(why, 0, VERIFIED_TEXT_MAX));
	v->state = state;
	v->dsn = buf_span(&dsn);
	v->text = buf_span(&text);
}

/* ---- the probes ---- */

/* Where one more would stand; NULL: there is no room, or one asks for this address already. */
static struct probe *
room_for(struct span address, struct span site)
{
	uint64_t most = (uint64_t)par.smtp_process_limit * par.smtp_process_deliveries / 4, all = 0, here = 0;
	struct probe *room = NULL;

	for (size_t i = 0; i < PROBES_MAX; i++) {
		struct probe *p = &probes[i];

		if (!p->agent) {
			room = p;
			continue;
		}
		if (span_is(address, p->address))
			return NULL;
		all++;
		here += span_is_nocase(site, p->site);
	}
	return all < (most ? most : 1) && here < PROBES_SITE ? room : NULL;
}

/* address_verify_sender: <>, or an address, to which $myorigin may be missing. */
static struct span
sender(void)
{
	static struct buf full;
	struct span s = span_str(par.address_verify_sender);

	if (s.n == 0 || span_is(s, "<>"))
		return SPAN_NONE;
	if (span_find(s, '@') >= 0)
		return s;
	buf_fini(&full);
	buf_init(&full, ADDRESS_MAX);
	buf_addf(&full, "%.*s@%s", SPAN_FMT(s), par.myorigin);
	return buf_span(&full);
}

static void
start(struct span address, struct span site)
{
	struct probe *p = room_for(address, site);
	struct buf rcpts;

	if (!p)
		return;
	buf_init(&rcpts, 2 * ADDRESS_MAX);
	msg_list_add(&rcpts, SPAN("0"));
	msg_list_add(&rcpts, address);
	msg_list_add(&rcpts, SPAN_NONE);
	msg_list_add(&rcpts, SPAN_NONE);
	struct msg_DELIVER order = { .job = PROBE_JOB | (uint32_t)(p - probes), .id = SPAN("probe"), .sender = sender(),
		.flags = MAIL_PROBE | (span_printable(address) ? 0 : MAIL_SMTPUTF8), .nexthop = site,
		.arrival = (uint64_t)clock_wall(), .rcpts = buf_span(&rcpts), .site = SITE_ANY, .message = -1 };
	if (agent_probe(&order, &p->agent)) {
		p->address = x_spandup(address);
		p->site = x_spandup(site);
	}
	buf_fini(&rcpts);
}

static void
end(struct probe *p)
{
	p->agent = NULL;
	x_free(&p->address);
	x_free(&p->site);
}

void
probe_lost(const struct agent *g)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		if (probes[i].agent == g)
			end(&probes[i]);
}

bool
probe_outcome(const struct agent *g, const struct msg_OUTCOME *m)
{
	static const struct { enum verify_state state; const char *word; } rows[] = {
		[OUTCOME_DELIVERED] = { VERIFY_OK, "deliverable" }, [OUTCOME_DEFERRED] = { VERIFY_DEFERRED, "undeliverable now" },
		[OUTCOME_FAILED] = { VERIFY_REFUSED, "undeliverable" },
	};
	uint32_t at = m->job & ~PROBE_JOB;
	struct probe *p = m->job & PROBE_JOB && at < PROBES_MAX ? &probes[at] : NULL;
	struct logline l;

	if (!p || p->agent != g || m->kind >= NELEMS(rows))
		return false;
	verified_keep(span_str(p->address), rows[m->kind].state, span_sub(m->dsn, 0, 11), m->text, clock_mono_ms());
	logline_begin(&l, LOG_INFO_, "probe");
	logline_addr(&l, "to", span_str(p->address));
	logline_str(&l, "relay", m->mta.n ? m->mta : SPAN("none"));
	logline_str(&l, "dsn", m->dsn);
	logline_fmt(&l, "status", "%s (%.*s)", rows[m->kind].word, SPAN_FMT(m->text));
	logline_end(&l);
	end(p);
	return true;
}

/* ---- the question ---- */

static void
ask_elsewhere(struct msg_VERIFIED *v, struct span address, struct span site)
{
	uint64_t now = clock_mono_ms();
	struct verified known;
	struct site *s = hop_find(POOL_SMTP, site);
	bool found = verified_find(address, now, &known), dead = s && site_dead(s, now);

	if (found)
		answer(v, known.state, known.dsn, known.text);
	else if (dead)
		answer(v, VERIFY_DEFERRED, SPAN("4.4.1"), reason_text(s->reason));
	if (!dead && (!found || known.stale))
		start(address, site);
}

/* "5.1.1 unknown user", as resolve() or transport_maps have it; the code is optional. */
static void
answer_error(struct msg_VERIFIED *v, struct span why)
{
	struct span rest = why, word;

	if (span_cut(&rest, ' ', &word) && rest.n && outcome_enhanced_code(word) == word.n)
		answer(v, word.p[0] == '4' ? VERIFY_DEFERRED : VERIFY_REFUSED, word, rest);
	else
		answer(v, VERIFY_REFUSED, SPAN("5.1.1"), why.n ? why : SPAN("unknown user"));
}

static bool
is_elsewhere(const struct resolved *to)
{
	return strcmp(to->transport, "smtp") == 0 || strcmp(to->transport, "lmtp") == 0;
}

/* What leads to several places, or stays here, is as good as delivered. */
void
probe_ask(struct msg_VERIFIED *v)
{
	struct resolved *to = NULL;
	enum resolve_status st;
	struct arena arena;
	struct buf why;
	size_t n = 0;

	arena_init(&arena, ARENA_MAX);
	buf_init(&why, OUTCOME_TEXT_MAX);
	answer(v, VERIFY_LATER, SPAN_NONE, SPAN_NONE);
	st = active_where(sender(), v->address, &arena, &to, &n, &why);
	if (st == RESOLVE_OK && n == 1 && is_elsewhere(to))
		ask_elsewhere(v, to->address, to->nexthop);
	else if (st == RESOLVE_OK && n == 1 && strcmp(to->transport, "error") == 0)
		answer_error(v, to->nexthop);
	else if (st == RESOLVE_OK && n > 0)
		answer(v, VERIFY_OK, SPAN_NONE, SPAN_NONE);
	else if (st == RESOLVE_RETRY)
		answer(v, VERIFY_DEFERRED, SPAN("4.3.0"), SPAN("temporary lookup failure"));
	else
		answer_error(v, buf_span(&why));
	buf_fini(&why);
	arena_fini(&arena);
}
