/*
 * active.c: load a message, find out where its recipients go. Reads queue
 * files (checked by queue_file_read) and the look-up tables of the operator.
 */
#include "active.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "flow.h"
#include "mail/crc32c.h"
#include "mail/dsn.h"
#include "mail/outcome.h"
#include "queue.h"
#include "service/params.h"
#include "steady.h"
#include "base/banned.h"

#define ARENA_MAX (64u << 20)
#define REFRESH_MS 1000
#define MAILING_DELIVERIES 2	/* a message of more deliveries than that is a mailing */
#define DESTS_MAX 200000u		/* of one message, after expansion */

static struct resolver *resolver;
static uint32_t nactive, nopen;

void
active_resolver(struct resolver *r)
{
	resolver = r;
}

uint32_t
active_count(void)
{
	return nactive;
}

uint64_t
active_age(const struct active *a)
{
	uint64_t now = steady_us(), then = a->file.env.arrival_us;

	return now > then ? (now - then) / 1000000 : 0;
}

/* ---- load ---- */

static enum active_load
read_recipients(struct active *a)
{
	struct queue_rcpt q;
	size_t at = 0;
	uint32_t number = 0;

	a->rcpts = x_alloc((a->file.rcpts ? a->file.rcpts : 1) * sizeof(*a->rcpts));
	while (number < a->file.rcpts && queue_file_rcpt(&a->file, &at, &q)) {
		if (q.state != 'D')
			a->rcpts[a->nrcpts++] = (struct rcpt){ .q = q, .number = number, .saved = q.state == 'R' ? 'R' : 0 };
		number++;
	}
	return a->nrcpts ? ACTIVE_OK : ACTIVE_NOTHING;
}

static enum active_load
load(struct active *a)
{
	enum active_load result = ACTIVE_UNREADABLE;
	enum queue_read got;
	struct buf why;

	buf_init(&why, 256);
	a->fd = queue_open(a->m, O_RDONLY);
	if (a->fd < 0) {
		if (errno == ENOENT)
			result = ACTIVE_GONE;
		log_warn(a->id, "cannot open the queue file: %s", strerror(errno));
		goto out;
	}
	nopen++;
	got = queue_file_read(a->fd, &a->file, true, &why);
	if (got == QUEUE_READ_OK) {
		result = read_recipients(a);
	} else if (got == QUEUE_READ_NOT_A_MESSAGE) {
		if (queue_corrupt(a->m, buf_cstr(&why)))
			result = ACTIVE_CORRUPT;
	} else {
		log_error(a->id, "cannot read the queue file: %s", buf_cstr(&why));
	}
out:
	buf_fini(&why);
	return result;
}

static void
close_message(struct active *a)
{
	if (a->fd < 0)
		return;
	close_fd(&a->fd);
	nopen--;
}

enum active_load
active_new(struct message *m, struct active **out)
{
	struct active *a = x_new(struct active);
	enum active_load got;

	a->m = m;
	a->fd = -1;
	a->begun_us = clock_wall_us();
	message_id(m, a->id);
	arena_init(&a->arena, ARENA_MAX);
	nactive++;
	got = load(a);
	if (got != ACTIVE_OK) {
		active_free(a);
		return got;
	}
	if (nopen > flow_open_files_max())
		close_message(a);
	m->active = a;
	m->state = MESSAGE_ACTIVE;
	*out = a;
	return ACTIVE_OK;
}

bool
active_put_off(const struct active *a)
{
	for (uint32_t i = 0; i < a->ndests; i++)
		if (!a->rcpts[a->dests[i].rcpt].done && a->dests[i].result.kind == OUTCOME_DEFERRED)
			return true;
	return false;
}

void
active_free(struct active *a)
{
	if (!a)
		return;
	if (a->m->active == a)
		a->m->active = NULL;
	close_message(a);
	queue_file_fini(&a->file);
	free(a->rcpts);
	free(a->dests);
	arena_fini(&a->arena);
	free(a);
	nactive--;
}

int
active_fd(struct active *a)
{
	if (a->fd < 0) {
		a->fd = queue_open(a->m, O_RDONLY);
		if (a->fd >= 0)
			nopen++;
	}
	return a->fd;
}

/* ---- results ---- */

static const int badness[] = {
	[OUTCOME_DELIVERED] = 0, [OUTCOME_FAILED] = 1, [OUTCOME_DEFERRED] = 2, [OUTCOME_REDIRECTED] = 2,
};

static void
count_down(struct active *a, const struct dest *d)
{
	struct rcpt *r = &a->rcpts[d->rcpt];

	if (badness[d->result.kind] > badness[r->kind])
		r->kind = d->result.kind;
	if (d->pool == POOL_SMTP || d->pool == POOL_BOUNCE || d->pool == POOL_PIPE)	/* a repeat would be seen */
		r->remote = true;
	if (--r->pending == 0 && r->kind == OUTCOME_DELIVERED)
		r->done = true;
}

void
active_result(struct active *a, uint32_t dest, enum outcome_kind kind, int code,
    struct span dsn, struct span text, struct span mta)
{
	struct result result = { .known = true, .kind = kind, .code = code,
		.dsn = arena_span(&a->arena, dsn), .text = arena_span(&a->arena, text),
		.mta = arena_span(&a->arena, mta) };

	if (a->dests[dest].result.known)
		return;
	for (uint32_t i = dest; i < a->ndests && (i == dest || a->dests[i].twin == dest); i++) {
		a->dests[i].result = result;
		count_down(a, &a->dests[i]);
	}
}

void
active_orcpt(const struct active *a, const struct dest *d, struct buf *out)
{
	const struct queue_rcpt *q = &a->rcpts[d->rcpt].q;

	if (q->orcpt.n) {
		buf_addspan(out, q->orcpt);
	} else if (!span_eq_nocase(q->addr, d->address) && span_printable(q->addr)) {
		buf_adds(out, "rfc822;");
		dsn_xtext_encode(q->addr, out);
	}
	if (out->over)
		buf_reset(out);
}

void
active_promised(struct active *a, uint32_t dest)
{
	for (uint32_t i = dest; i < a->ndests && (i == dest || a->dests[i].twin == dest); i++)
		a->dests[i].result.promised = true;
}

/* ---- where to ---- */

static const struct transport {
	const char *name;
	enum pool pool;
} transports[] = {
	{ "virtual", POOL_VIRTUAL },
	{ "local", POOL_LOCAL },
	{ "smtp", POOL_SMTP },
	{ "lmtp", POOL_SMTP },
	{ "list", POOL_BOUNCE },
	{ "pipe", POOL_PIPE },
	{ "error", POOLS },
	{ "discard", POOLS },
};

static struct dest *
add_dest(struct active *a, uint32_t rcpt, enum pool pool, struct span address)
{
	struct dest *d;

	if (a->ndests == a->dests_cap) {
		a->dests_cap = a->dests_cap ? a->dests_cap * 2 : a->nrcpts;
		a->dests = x_realloc(a->dests, a->dests_cap * sizeof(*a->dests));
	}
	d = &a->dests[a->ndests++];
	*d = (struct dest){ .rcpt = rcpt, .pool = pool, .address = address, .site = SPAN_NONE, .mailbox = SPAN_NONE,
		.sender = SPAN_NONE, .program = SPAN_NONE };
	a->rcpts[rcpt].pending++;
	return d;
}

static void
set_result(struct dest *d, enum outcome_kind kind, const char *dsn, struct span text)
{
	d->result = (struct result){ .known = true, .kind = kind, .dsn = span_str(dsn), .text = text };
	d->result.mta = SPAN_NONE;
}

/* "5.1.1 unknown user": of resolve(), or error: of transport_maps; the code is optional there. */
static void
set_error(struct dest *d, struct span text)
{
	struct span rest = text, word;

	if (span_cut(&rest, ' ', &word) && rest.n && outcome_enhanced_code(word) == word.n && word.p[0] == '5') {
		set_result(d, OUTCOME_FAILED, "", span_trim(rest));
		d->result.dsn = word;
	} else {
		set_result(d, OUTCOME_FAILED, "5.0.0", text);
	}
}

/* For local: the mailbox; behind a NUL the extension, which may name a folder; behind another one its limit. */
static struct span
mailbox_of(struct active *a, const struct resolved *to)
{
	struct span both;
	struct buf b;

	if (to->extension.n == 0 && to->quota.n == 0)
		return to->mailbox;
	buf_init(&b, 4096);
	buf_addspan(&b, to->mailbox);
	buf_addc(&b, '\0');
	buf_addspan(&b, to->extension);
	if (to->quota.n) {
		buf_addc(&b, '\0');
		buf_addspan(&b, to->quota);
	}
	both = b.over ? to->mailbox : arena_span(&a->arena, buf_span(&b));
	buf_fini(&b);
	return both.p ? both : to->mailbox;
}

/* Members lie in `mailbox`; each list is a site of its own. Without an owner failures are the sender's. */
static void
set_list(struct active *a, struct dest *d, const struct resolved *to)
{
	d->site = to->address;
	d->mailbox = to->nexthop;
	d->sender = to->sender.n ? to->sender : a->file.env.sender;
	d->managed = to->managed;
}

/* The name of the alias, NUL, the program as it stands there. */
static struct span
program_of(struct active *a, const struct resolved *to)
{
	struct span both;
	struct buf b;

	buf_init(&b, 4096);
	buf_addspan(&b, to->mailbox);
	buf_addc(&b, '\0');
	buf_addspan(&b, to->nexthop);
	both = b.over ? SPAN_NONE : arena_span(&a->arena, buf_span(&b));
	buf_fini(&b);
	return both;
}

/* Nobody is asked to deliver it. */
static void
defer(struct dest *d, const char *dsn, struct span why)
{
	d->pool = POOLS;
	set_result(d, OUTCOME_DEFERRED, dsn, why);
}

static void
add_resolved(struct active *a, uint32_t rcpt, const struct resolved *to)
{
	const struct transport *t = NULL;
	struct dest *d;

	for (size_t i = 0; i < NELEMS(transports) && !t; i++)
		if (strcmp(transports[i].name, to->transport) == 0)
			t = &transports[i];
	if (t && t->pool == POOL_PIPE && to->mailbox.n == 0)	/* the operator's word in transport_maps: it stands in no alias */
		t = NULL;
	d = add_dest(a, rcpt, !t ? POOLS : t->pool == POOL_VIRTUAL && to->owner.n ? POOL_OWNED : t->pool, to->address);
	d->mailbox = mailbox_of(a, to);
	if (!t)
		set_result(d, OUTCOME_DEFERRED, "4.3.5", SPAN("mail transport unavailable"));
	else if (!a->m->pushed && param_list_has(par.defer_transports, span_str(to->transport)))
		defer(d, "4.3.2", SPAN("deferred transport"));	/* the operator wants it to wait; who asks for it by hand gets it */
	else if (d->pool == POOL_OWNED && span_is(to->owner, RESOLVE_OWNER_WRONG))
		defer(d, "4.3.5", to->nexthop);
	else if (d->pool == POOL_OWNED)
		d->site = to->owner;
	else if (t->pool == POOL_SMTP)
		d->site = to->nexthop;
	else if (t->pool == POOL_LOCAL)
		d->site = to->mailbox;
	else if (t->pool == POOL_PIPE)
		d->program = program_of(a, to);
	else if (t->pool == POOL_BOUNCE)
		set_list(a, d, to);
	else if (t->pool == POOLS && to->transport[0] == 'e')
		set_error(d, to->nexthop);
	else if (t->pool == POOLS)
		set_result(d, OUTCOME_DELIVERED, "2.0.0", SPAN("discarded"));
}

static const struct bad_answer {
	enum outcome_kind kind;
	const char *dsn, *text;
} bad_answers[] = {
	[RESOLVE_UNKNOWN] = { OUTCOME_FAILED, "5.1.1", "no such user here" },
	[RESOLVE_RETRY] = { OUTCOME_DEFERRED, "4.3.0", "a lookup table cannot be read" },
	[RESOLVE_MOVED] = { OUTCOME_FAILED, "5.1.6", "the user has moved" },
	[RESOLVE_BAD] = { OUTCOME_FAILED, "5.1.3", "bad recipient address" },
};

/* At most once a second; a recipient that is not known is looked up in tables that are surely new. */
static bool
refresh_tables(bool now)
{
	static uint64_t last;
	uint64_t ms = clock_mono_ms();

	if (ms - last < (now ? 1 : REFRESH_MS) && last)
		return false;
	last = ms;
	resolver_refresh(resolver);
	return true;
}

void
active_refresh(void)
{
	(void)refresh_tables(true);
}

static enum resolve_status
expand(struct active *a, struct span address, struct resolved **out, size_t *n, struct buf *text)
{
	buf_reset(text);
	return resolve_expand(resolver, &a->arena, address, out, n, text);
}

static void
resolve_one(struct active *a, uint32_t rcpt, struct buf *text)
{
	struct span address = a->rcpts[rcpt].q.addr;
	struct resolved *out = NULL;
	enum resolve_status st;
	size_t n = 0;

	st = expand(a, address, &out, &n, text);
	if (st == RESOLVE_UNKNOWN && refresh_tables(true))
		st = expand(a, address, &out, &n, text);
	if (st == RESOLVE_OK && n > 0 && n <= DESTS_MAX && a->ndests <= DESTS_MAX - n) {
		for (size_t i = 0; i < n; i++)
			add_resolved(a, rcpt, &out[i]);
		return;
	}
	if (st == RESOLVE_OK)
		st = n ? RESOLVE_RETRY : RESOLVE_UNKNOWN;
	set_result(add_dest(a, rcpt, POOLS, address), bad_answers[st].kind, bad_answers[st].dsn,
	    text->len ? arena_span(&a->arena, buf_span(text)) : span_str(bad_answers[st].text));
}

enum resolve_status
active_where(struct span sender, struct span address, struct arena *arena, struct resolved **out, size_t *n, struct buf *text)
{
	(void)refresh_tables(false);
	resolver_sender(resolver, sender);
	return resolve_expand(resolver, arena, address, out, n, text);
}

void
active_site_of(struct span sender, struct span address, struct buf *out)
{
	struct arena arena;
	struct resolved *to = NULL;
	struct buf text;
	size_t n = 0;

	arena_init(&arena, 4u << 20);
	buf_init(&text, OUTCOME_TEXT_MAX);
	if (active_where(sender, address, &arena, &to, &n, &text) == RESOLVE_OK && n > 0)
		buf_addspan(out, to[0].nexthop.n && to[0].transport[0] != 'e' ? to[0].nexthop : span_str(to[0].transport));
	buf_fini(&text);
	arena_fini(&arena);
}

static struct span
place_of(const struct dest *d)
{
	if (d->pool == POOL_PIPE)
		return d->program;
	return d->pool == POOL_VIRTUAL || d->pool == POOL_OWNED || d->pool == POOL_BOUNCE ? d->mailbox : d->address;
}

static int
by_place(const void *x, const void *y)
{
	const struct dest *a = x, *b = y;
	int c = (int)a->pool - (int)b->pool;

	if (c == 0)
		c = span_cmp(a->site, b->site);
	if (c == 0)
		c = span_cmp(place_of(a), place_of(b));
	return c ? c : (a->rcpt > b->rcpt) - (a->rcpt < b->rcpt);
}

/* Two recipients that end in one place get one copy there. */
static void
find_twins(struct active *a)
{
	for (uint32_t i = 0; i < a->ndests; i++) {
		struct dest *d = &a->dests[i];
		const struct dest *before = i ? &a->dests[i - 1] : NULL;

		d->twin = i;
		if (before && d->pool != POOLS && before->pool == d->pool &&
		    span_eq(before->site, d->site) && span_eq(place_of(before), place_of(d)))
			d->twin = before->twin;
	}
}

/* A login; else the client that sent it; a mailing to many is a source of its own. */
static uint32_t
source_of(const struct active *a)
{
	const struct queue_envelope *e = &a->file.env;
	struct span who = e->login.n ? e->login : e->client.n ? e->client : e->sender;
	uint32_t h = crc32c(0, who);

	if (a->ndests > MAILING_DELIVERIES * par.default_destination_recipient_limit)
		h = crc32c(h, span_of(a->id, QUEUE_ID_LEN));
	return h;
}

void
active_resolve(struct active *a)
{
	struct buf text;

	buf_init(&text, OUTCOME_TEXT_MAX);
	(void)refresh_tables(false);
	resolver_sender(resolver, a->file.env.sender);
	for (uint32_t i = 0; i < a->nrcpts; i++)
		if (a->rcpts[i].saved)
			set_result(add_dest(a, i, POOLS, a->rcpts[i].q.addr), OUTCOME_DELIVERED, "2.0.0",
			    SPAN("delivered earlier; the report was still to be made"));
		else
			resolve_one(a, i, &text);
	buf_fini(&text);
	a->source = source_of(a);
	qsort(a->dests, a->ndests, sizeof(*a->dests), by_place);
	find_twins(a);
	for (uint32_t i = 0; i < a->ndests; i++)
		if (a->dests[i].result.known)
			count_down(a, &a->dests[i]);
}
