/* rewrite.c: canonical and masqueraded addresses. The tables are the operator's, the addresses come from anybody. */
#include "rewrite.h"

#include "base/clock.h"
#include "mail/address.h"
#include "mail/envelope.h"
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

struct rewrite
rewrite_make(struct maps *(*open)(const char *parameter, const char *spec))
{
	return (struct rewrite){
		.sender = { open("sender_canonical_maps", par.sender_canonical_maps), rewrite_classes(par.sender_canonical_classes) },
		.recipient = { open("recipient_canonical_maps", par.recipient_canonical_maps),
			rewrite_classes(par.recipient_canonical_classes) },
		.both = { open("canonical_maps", par.canonical_maps), rewrite_classes(par.canonical_classes) },
		.masquerade_domains = par.masquerade_domains, .masquerade_exceptions = par.masquerade_exceptions,
		.masquerade_classes = rewrite_classes(par.masquerade_classes), .map = addrmap_make("canonical"), .mydomain = par.mydomain,
		.at_myorigin = par.append_at_myorigin, .dot_mydomain = par.append_dot_mydomain,
	};
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

/* The address in `a` is replaced until no entry changes it. False: a table failed, or gives no address. */
static bool
map_address(const struct rewrite *w, const struct rewrite_table *t, unsigned class, struct buf *a)
{
	bool again = t->maps && t->classes & class && !maps_empty(t->maps);
	enum map_answer ans = MAP_NONE;
	struct buf next;

	buf_init(&next, ROOM);
	for (int i = 0; again && i < MAPPED_MAX; i++) {
		buf_reset(&next);
		ans = addrmap_find(&w->map, t->maps, buf_span(a), &next);
		again = ans == MAP_FOUND && !span_eq_nocase(buf_span(&next), buf_span(a));
		if (again) {
			buf_reset(a);
			buf_addspan(a, buf_span(&next));
		}
	}
	buf_fini(&next);
	return ans != MAP_FAILED;
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
	struct address p = address_split(buf_span(a));
	struct span rest = span_str(w->masquerade_domains), word;

	if (param_list_has(w->masquerade_exceptions, address_base(p.local, span_str(w->map.delimiters))))
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
		buf_addf(a, "@%s", w->map.myorigin);
	else if (ours && w->dot_mydomain && s.domain.n && s.domain.p[0] != '[' && span_find(s.domain, '.') < 0 && !addrmap_is_local(&w->map, s.domain))
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

struct header_walk {
	struct rewrite *w;
	bool failed;
};

static bool
take_address(void *ctx, bool sender, struct span address, struct buf *out)
{
	struct header_walk *h = ctx;
	struct address a;

	if (h->failed || address_parse(address, ADDRESS_BARE | ADDRESS_UTF8, &a) != ADDRESS_OK)
		return false;
	h->failed = !rewrite_address(h->w, sender ? REWRITE_HEADER_SENDER : REWRITE_HEADER_RECIPIENT, true, address, out);
	return !h->failed && !span_eq(buf_span(out), address);
}

bool
rewrite_header(struct rewrite *w, struct span header, struct buf *out)
{
	struct header_walk h = { .w = w };

	headeraddr_rewrite_all(header, take_address, &h, out);
	return !h.failed;
}
