/* flush.c: which messages go where is read from their files, as far as it is not in memory: a few a turn. */
#include "flush.h"

#include <string.h>

#include "active.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "control.h"
#include "flow.h"
#include "hop.h"
#include "mail/targets.h"
#include "queue.h"
#include "service/message.h"
#include "base/banned.h"

#define STEP 50			/* messages a turn of the loop */
#define STEP_ALL 2500		/* the same where no file is read */

static bool
rcpt_goes_to(struct span sender, struct span addr, struct span site)
{
	ssize_t sign = span_rfind(addr, '@');
	struct buf hop;
	bool found;

	if (sign < 0)
		return false;
	if (span_eq_nocase(span_skip(addr, (size_t)sign + 1), site))
		return true;
	buf_init(&hop, 512);
	active_site_of(sender, addr, &hop);
	found = targets_hop_is(buf_span(&hop), site);
	buf_fini(&hop);
	return found;
}

static bool
goes_to(const struct message *m, struct span site)
{
	struct queue_file q = { 0 };
	struct queue_rcpt r;
	size_t at = 0;
	bool found = false;

	if (!queue_glance(m, &q))
		return false;
	while (!found && queue_file_rcpt(&q, &at, &r))
		found = r.state == '.' && rcpt_goes_to(q.env.sender, r.addr, site);
	queue_file_fini(&q);
	return found;
}

/* Somebody waits for its next attempt: the whole of it, or recipients whom the present one has put off. */
static bool
waits(const struct message *m)
{
	return change_state(m) == QUEUE_IN_DEFERRED || (m->state == MESSAGE_ACTIVE && !message_recalled(m) && active_put_off(m->active));
}

bool
flush_begin(struct flush *f, struct span site)
{
	struct site *s;

	*f = (struct flush){ 0 };
	if (site.n > FLUSH_SITE_MAX)
		return false;
	if (site.n == 0) {
		site_each(site_revive);
		flow_hurry_incoming();
		return true;
	}
	memcpy(f->site, site.p, site.n);
	s = hop_find(POOL_SMTP, site);
	if (s)
		site_revive(s);
	return true;
}

bool
flush_step(struct flush *f)
{
	for (int i = 0; i < (f->site[0] ? STEP : STEP_ALL); i++) {
		struct message *m = message_each(&f->at);

		if (!m) {
			flow_pump();
			return true;
		}
		if (!waits(m) || (f->site[0] && !goes_to(m, span_str(f->site))))
			continue;
		f->messages++;
		(void)change_retry(m);
	}
	return false;
}

uint32_t
flush_message(struct span id)
{
	struct message *m = message_find(id);

	if (!m || m->held || m->deleted)
		return 0;
	(void)change_retry(m);
	flow_pump();
	return 1;
}

/* ---- for strangers ---- */

static struct {
	char name[FLUSH_SITE_MAX + 1];
	uint64_t asked;			/* when it was last begun, or is to begin; 0: free */
	bool due;
} sites[FLUSH_SITES_MAX];
static struct flush running;
static bool is_running;

static void turn(void *ctx);

/* The next one that is due, if none is being looked for. */
static void
begin_next(void)
{
	for (size_t i = 0; i < FLUSH_SITES_MAX && !is_running; i++) {
		if (!sites[i].due)
			continue;
		sites[i].due = false;
		is_running = flush_begin(&running, span_str(sites[i].name));
		if (is_running)
			loop_later(turn, NULL);
	}
}

static void
turn(void *ctx)
{
	(void)ctx;
	if (!flush_step(&running)) {
		loop_later(turn, NULL);
		return;
	}
	is_running = false;
	log_info(NULL, "ETRN: %u messages for %s are tried now", (unsigned)running.messages, running.site);
	begin_next();
}

/* Its own place, or one that nobody needs any more; FLUSH_SITES_MAX: it was asked for lately, or all are in use. */
static size_t
place_of(struct span site, uint64_t now)
{
	size_t spare = FLUSH_SITES_MAX;

	for (size_t i = 0; i < FLUSH_SITES_MAX; i++) {
		bool over = !sites[i].due && (sites[i].asked == 0 || now - sites[i].asked >= FLUSH_AGAIN_MS);

		if (span_is_nocase(site, sites[i].name))
			return over ? i : FLUSH_SITES_MAX;
		if (over && spare == FLUSH_SITES_MAX)
			spare = i;
	}
	return spare;
}

void
flush_request(struct span list)
{
	uint64_t now = clock_mono_ms();
	struct span site;

	while (msg_list_next(&list, &site)) {
		size_t i = site.n > 0 && site.n <= FLUSH_SITE_MAX ? place_of(site, now) : FLUSH_SITES_MAX;

		if (i == FLUSH_SITES_MAX)
			continue;
		memcpy(sites[i].name, site.p, site.n);
		sites[i].name[site.n] = '\0';
		sites[i].asked = now;
		sites[i].due = true;
	}
	begin_next();
}
