/* rewrite.c: canonical and masqueraded addresses. The tables are the operator's, the addresses come from anybody. */
#include "rewrite.h"

#include <string.h>

#include "base/clock.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "mail/header.h"
#include "mail/headeraddr.h"
#include "service/params.h"
#include "base/banned.h"

#define REFRESH_MS 1000
#define MAPPED_MAX 5			/* times that a mapped address is mapped again, as in Postfix */
#define ROOM (2 * ADDRESS_MAX)

unsigned
rewrite_classes(const char *words)
{
	static const char *const names[] = { "envelope_sender", "envelope_recipient", "header_sender", "header_recipient" };
	unsigned classes = 0;

	for (size_t i = 0; i < NELEMS(names); i++)
		if (param_list_has(words, span_str(names[i])))
			classes |= 1u << i;
	return classes;
}

void
rewrite_fini(struct rewrite *w)
{
	maps_free(w->sender.maps);
	maps_free(w->recipient.maps);
	maps_free(w->both.maps);
}

void
rewrite_begin(struct rewrite *w)
{
	uint64_t now = clock_mono_ms();

	if (w->refreshed && now - w->refreshed < REFRESH_MS)
		return;
	maps_refresh(w->sender.maps);
	maps_refresh(w->recipient.maps);
	maps_refresh(w->both.maps);
	w->refreshed = now;
}

/* ---- tables ---- */

struct parts {
	struct span whole, local, base, domain;
};

static struct parts
split(const struct rewrite *w, struct span s)
{
	struct address a = address_split(s);
	struct parts p = { .whole = s, .local = a.local, .base = a.local, .domain = a.domain };

	for (size_t i = 1; i < a.local.n && a.local.p[0] != '"'; i++)
		if (strchr(w->delimiters, a.local.p[i]) && a.local.p[i]) {
			p.base = span_sub(a.local, 0, i);
			break;
		}
	return p;
}

static bool
is_local(const struct rewrite *w, struct span domain)
{
	return span_is_nocase(domain, w->myorigin) || param_list_has(w->mydestination, domain);
}

/* canonical(5): user+tag@domain, user@domain, user+tag, user, @domain. *tag: what goes behind the result's user. */
static enum map_answer
find(const struct rewrite *w, struct maps *m, const struct parts *p, struct buf *value, struct span *tag)
{
	const struct { struct span user; bool domain; } keys[] = {
		{ p->local, true }, { p->base, true }, { p->local, false }, { p->base, false }, { SPAN_NONE, true } };
	enum map_answer ans = MAP_NONE;
	struct buf key;

	buf_init(&key, ROOM);
	*tag = SPAN_NONE;
	for (size_t i = 0; ans == MAP_NONE && i < NELEMS(keys); i++) {
		if ((i & 1 && p->base.n == p->local.n && i < 4) || (!keys[i].domain && !is_local(w, p->domain)))
			continue;
		buf_reset(&key);
		buf_addspan(&key, keys[i].user);
		if (keys[i].domain)
			buf_addf(&key, "@%.*s", SPAN_FMT(p->domain));
		ans = i == 0 ? maps_find(m, buf_span(&key), value) : maps_find_part(m, buf_span(&key), value);
		if (ans == MAP_FOUND && i & 1 && i < 4)
			*tag = span_skip(p->local, p->base.n);
	}
	buf_fini(&key);
	return ans;
}

/* What a table says, as an address: "@domain" keeps the user, a name alone is one of ours. */
static bool
take_value(const struct rewrite *w, const struct parts *p, struct span value, struct span tag, struct buf *out)
{
	struct address a;
	struct buf full;
	bool ok;

	value = span_trim(value);
	buf_init(&full, ROOM);
	if (value.n > 1 && value.p[0] == '@') {
		buf_addf(&full, "%.*s%.*s", SPAN_FMT(p->local), SPAN_FMT(value));
	} else {
		a = address_split(value);
		if (a.domain.n == 0)
			a = (struct address){ value, span_str(w->myorigin) };
		buf_addf(&full, "%.*s%.*s@%.*s", SPAN_FMT(a.local), SPAN_FMT(tag), SPAN_FMT(a.domain));
	}
	ok = !full.over && address_parse(buf_span(&full), ADDRESS_UTF8, &a) == ADDRESS_OK;
	if (ok)
		address_canonical(&a, out);
	buf_fini(&full);
	return ok && !out->over;
}

/* The address in `a` is replaced until no entry changes it. False: a table failed, or gives no address. */
static bool
map_address(const struct rewrite *w, const struct rewrite_table *t, unsigned class, struct buf *a)
{
	struct buf value, next;
	bool ok = true, again = t->maps && t->classes & class && !maps_empty(t->maps);

	buf_init(&value, 4096);
	buf_init(&next, ROOM);
	for (int i = 0; ok && again && i < MAPPED_MAX; i++) {
		struct parts p = split(w, buf_span(a));
		enum map_answer ans;
		struct span tag;

		buf_reset(&value);
		buf_reset(&next);
		ans = find(w, t->maps, &p, &value, &tag);
		ok = ans == MAP_NONE || (ans == MAP_FOUND && take_value(w, &p, buf_span(&value), tag, &next));
		again = ok && ans == MAP_FOUND && !span_eq_nocase(buf_span(&next), buf_span(a));
		if (again) {
			buf_reset(a);
			buf_addspan(a, buf_span(&next));
		}
	}
	buf_fini(&value);
	buf_fini(&next);
	return ok;
}

/* ---- masquerading ---- */

static bool
is_below(struct span domain, struct span parent)
{
	return domain.n > parent.n && domain.p[domain.n - parent.n - 1] == '.' &&
	    span_eq_nocase(span_skip(domain, domain.n - parent.n), parent);
}

/* The first of masquerade_domains that is the domain or above it decides. */
static void
masquerade(const struct rewrite *w, struct buf *a)
{
	struct parts p = split(w, buf_span(a));
	struct span rest = span_str(w->masquerade_domains), word;

	if (param_list_has(w->masquerade_exceptions, p.base))
		return;
	while (p.domain.n && span_word(&rest, ", \t\r\n", &word)) {
		bool not = word.p[0] == '!';

		if (not)
			word = span_skip(word, 1);
		if (!span_eq_nocase(p.domain, word) && !is_below(p.domain, word))
			continue;
		if (!not) {
			buf_truncate(a, p.local.n + 1);
			buf_addspan(a, word);
		}
		return;
	}
}

/* ---- one address ---- */

static void
complete(const struct rewrite *w, unsigned class, bool ours, struct span address, struct buf *a)
{
	struct address s = address_split(address);
	bool envelope = class & (REWRITE_ENVELOPE_SENDER | REWRITE_ENVELOPE_RECIPIENT);	/* nobody is reached without a domain */

	buf_addspan(a, address);
	if (s.domain.n == 0 && (w->at_myorigin || envelope || !class))
		buf_addf(a, "@%s", w->myorigin);
	else if (ours && w->dot_mydomain && s.domain.n && s.domain.p[0] != '[' && span_find(s.domain, '.') < 0 && !is_local(w, s.domain))
		buf_addf(a, ".%s", w->mydomain);
}

bool
rewrite_address(struct rewrite *w, unsigned class, bool ours, struct span address, struct buf *out)
{
	struct buf a;
	bool ok;

	buf_init(&a, ROOM);
	complete(w, class, ours, address, &a);
	ok = map_address(w, class & REWRITE_SENDER ? &w->sender : &w->recipient, class, &a) && map_address(w, &w->both, class, &a);
	if (w->masquerade_classes & class && *w->masquerade_domains)
		masquerade(w, &a);
	if (a.over)
		buf_addspan(out, address);
	else
		buf_addspan(out, buf_span(&a));
	buf_fini(&a);
	return ok;
}

/* ---- a header ---- */

struct field {
	struct rewrite *w;
	unsigned class;
	bool failed;
};

static bool
take_address(void *ctx, struct span address, struct buf *out)
{
	struct field *f = ctx;
	struct address a;

	if (f->failed || address_parse(address, ADDRESS_BARE | ADDRESS_UTF8, &a) != ADDRESS_OK)
		return false;
	f->failed = !rewrite_address(f->w, f->class, true, address, out);
	return !f->failed && !span_eq(buf_span(out), address);
}

static unsigned
class_of(struct span name)
{
	static const struct { const char *name; unsigned class; } fields[] = {
		{ "From", REWRITE_HEADER_SENDER }, { "Sender", REWRITE_HEADER_SENDER }, { "Reply-To", REWRITE_HEADER_SENDER },
		{ "Errors-To", REWRITE_HEADER_SENDER }, { "Disposition-Notification-To", REWRITE_HEADER_SENDER },
		{ "Return-Receipt-To", REWRITE_HEADER_SENDER }, { "Resent-From", REWRITE_HEADER_SENDER },
		{ "Resent-Sender", REWRITE_HEADER_SENDER }, { "Resent-Reply-To", REWRITE_HEADER_SENDER },
		{ "Mail-Followup-To", REWRITE_HEADER_SENDER }, { "To", REWRITE_HEADER_RECIPIENT }, { "Cc", REWRITE_HEADER_RECIPIENT },
		{ "Apparently-To", REWRITE_HEADER_RECIPIENT }, { "Resent-To", REWRITE_HEADER_RECIPIENT },
		{ "Resent-Cc", REWRITE_HEADER_RECIPIENT },
	};

	for (size_t i = 0; i < NELEMS(fields); i++)
		if (span_is_nocase(name, fields[i].name))
			return fields[i].class;
	return 0;
}

bool
rewrite_header(struct rewrite *w, struct span header, struct buf *out)
{
	struct header_cursor c;
	struct header h;
	struct field f = { .w = w };

	header_begin(&c, header);
	while (!f.failed && header_next(&c, &h)) {
		size_t before, after;

		f.class = class_of(h.name);
		if (!f.class) {
			buf_addspan(out, h.raw);
			continue;
		}
		before = (size_t)(h.value.p - h.raw.p);
		after = before + h.value.n;
		buf_addspan(out, span_sub(h.raw, 0, before));
		headeraddr_rewrite(h.value, take_address, &f, out);
		buf_addspan(out, span_skip(h.raw, after));
	}
	buf_addspan(out, span_skip(header, c.at));
	return !f.failed;
}
