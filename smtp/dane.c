/* dane.c: finds the TLSA records of a mail host. */
#include "dane.h"

#include <stdio.h>

#include "base/banned.h"

#define LOOKUP_MS 30000

static void ask_next(struct dane_ask *a);

static void
finish(struct dane_ask *a, enum dane_state state)
{
	a->out->state = state;
	a->done(a->ctx);
}

/* Those that count, copied. False: no room. */
static bool
keep(struct dane_ask *a, const struct dns_tlsa *t, size_t n)
{
	struct dane *d = a->out;
	size_t room = DANE_BYTES_MAX;

	d->records = arena_try(a->arena, DANE_RECORDS_MAX * sizeof(*d->records));
	for (size_t i = 0; d->records && i < n && d->n < DANE_RECORDS_MAX; i++) {
		struct tls_record r = { t[i].usage, t[i].selector, t[i].matching, t[i].data };

		if (!tls_record_usable(&r) || r.data.n > room)
			continue;
		room -= r.data.n;
		r.data = arena_span(a->arena, r.data);
		if (!r.data.p)
			return false;
		d->records[d->n++] = r;
	}
	return d->records != NULL;
}

static void
on_tlsa(void *ctx, enum dns_status st, bool secure, const struct dns_tlsa *t, size_t n)
{
	struct dane_ask *a = ctx;

	a->query = NULL;
	if (st == DNS_FAIL) {		/* RFC 7672 2.1.2: never taken for "none" */
		finish(a, DANE_FAILED);
		return;
	}
	if (st == DNS_NONE || !secure) {
		a->at++;
		ask_next(a);
		return;
	}
	memcpy(a->out->base, a->names[a->at], sizeof(a->out->base));
	if (!keep(a, t, n))
		finish(a, DANE_FAILED);
	else
		finish(a, a->out->n ? DANE_USABLE : DANE_UNUSABLE);
}

static void
ask_next(struct dane_ask *a)
{
	if (a->at >= a->n)
		finish(a, DANE_NONE);
	else
		a->query = dns_tlsa(a->names[a->at], a->port, LOOKUP_MS, on_tlsa, a);
}

static void
on_alias(void *ctx, enum dns_status st, bool secure)
{
	struct dane_ask *a = ctx;

	a->query = NULL;
	if (st == DNS_FAIL)
		finish(a, DANE_FAILED);
	else if (!secure)
		finish(a, DANE_NONE);
	else
		ask_next(a);
}

/*
 * RFC 7672 2.2.2: the end of the CNAME records first, when all of them are
 * signed, then the name of the MX record. Where the end is not signed, the
 * name itself still may be.
 */
void
dane_find(struct dane_ask *a, struct dane *out, const char *host, const char *canonical, bool secure)
{
	bool alias = canonical[0] && !span_is_nocase(span_str(canonical), host);

	a->out = out;
	a->n = a->at = 0;
	*out = (struct dane){ .state = DANE_NONE };
	if (alias && secure)
		snprintf(a->names[a->n++], DNS_NAME_MAX, "%s", canonical);
	snprintf(a->names[a->n++], DNS_NAME_MAX, "%s", host);
	if (secure)
		ask_next(a);
	else if (alias)
		a->query = dns_alias(host, LOOKUP_MS, on_alias, a);
	else
		finish(a, DANE_NONE);
}

void
dane_cancel(struct dane_ask *a)
{
	dns_cancel(a->query);
	a->query = NULL;
}
