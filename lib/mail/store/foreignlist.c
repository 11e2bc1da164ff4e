/* foreignlist.c: UIDs and unique ids as other servers noted them. Hostile text: every number is checked, every list bounded by its file. */
#include "mail/store/foreignlist.h"

#include <stdlib.h>

#include "base/banned.h"

void
foreignlist_init(struct foreignlist *l)
{
	*l = (struct foreignlist){ 0 };
}

void
foreignlist_fini(struct foreignlist *l)
{
	free(l->entries);
	*l = (struct foreignlist){ 0 };
}

static void
add(struct foreignlist *l, const struct foreignlist_entry *e)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 256;
		l->entries = x_realloc(l->entries, l->cap * sizeof(*l->entries));
	}
	l->entries[l->n++] = *e;
}

static struct span
without_flags(struct span name)
{
	ssize_t colon = span_find(name, ':');

	return colon < 0 ? name : span_sub(name, 0, (size_t)colon);
}

/* "3 V1700000000 N5 G0123..." or "1 1700000000 5"; *modern: of version 3 */
static bool
read_head(struct foreignlist *l, struct span line, bool *modern)
{
	struct span word;
	uint32_t version;

	if (!span_word(&line, " ", &word) || !span_u32(word, 1, 3, &version) || version == 2)
		return false;
	*modern = version == 3;
	l->uidvalidity = l->uidnext = 0;
	while (span_word(&line, " ", &word)) {
		struct span value = *modern ? span_skip(word, 1) : word;
		bool validity = *modern ? word.p[0] == 'V' : l->uidvalidity == 0;
		uint32_t *field = validity ? &l->uidvalidity : *modern && word.p[0] != 'N' ? NULL : &l->uidnext;

		if (field && !span_u32(value, 1, UINT32_MAX, field))
			return false;
	}
	return l->uidvalidity && l->uidnext;
}

/* "17 W1234 Pabc :1700000000.M1P2.host,S=5:2,S"; version 1: "17 NAME" */
static void
read_entry(struct foreignlist *l, struct span line, bool modern, uint32_t *last)
{
	struct foreignlist_entry e = { 0 };
	struct span word, rest = line;

	if (!span_cut(&rest, ' ', &word) || !rest.p || !span_u32(word, 1, UINT32_MAX - 1, &e.uid) || e.uid <= *last)
		return;			/* they ascend: what does not is damaged */
	while (modern && rest.n && rest.p[0] != ':') {
		if (!span_cut(&rest, ' ', &word) || !rest.p)
			return;
		if (word.n && word.p[0] == 'P')
			e.pop_id = span_skip(word, 1);
		if (word.n && word.p[0] == 'G')
			e.guid = span_skip(word, 1);
	}
	e.name = without_flags(modern ? span_skip(rest, 1) : rest);
	if (e.name.n == 0)
		return;
	*last = e.uid;
	add(l, &e);
}

bool
foreignlist_read_dovecot(struct foreignlist *l, struct span text)
{
	struct span line;
	uint32_t last = 0;
	bool modern;

	if (!span_cut(&text, '\n', &line) || !read_head(l, line, &modern))
		return false;
	while (text.n && span_cut(&text, '\n', &line))
		read_entry(l, line, modern, &last);
	if (last >= l->uidnext)
		l->uidnext = last + 1;
	return true;
}

/* "NAME SIZE UID:VALIDITY[:UTF8]"; the name may have blanks */
static void
read_courier_line(struct foreignlist *l, struct span line)
{
	struct foreignlist_entry e = { 0 };
	ssize_t last = span_rfind(line, ' '), before;
	struct span ids, word;

	if (last <= 0)
		return;
	ids = span_skip(line, (size_t)last + 1);
	before = span_rfind(span_sub(line, 0, (size_t)last), ' ');
	if (before <= 0 || !span_cut(&ids, ':', &word) || !span_u32(word, 0, UINT32_MAX, &e.courier_uid) ||
	    !span_cut(&ids, ':', &word) || !span_u32(word, 0, UINT32_MAX, &e.courier_validity))
		return;
	e.name = without_flags(span_sub(line, 0, (size_t)before));
	if (e.courier_uid == 0)
		e.pop_id = e.name;
	if (e.name.n)
		add(l, &e);
}

bool
foreignlist_read_courier_pop(struct foreignlist *l, struct span text)
{
	struct span line;

	if (!span_cut(&text, '\n', &line) || (!span_starts(line, "/2 ") && !span_starts(line, "/3 ")))
		return false;
	while (text.n && span_cut(&text, '\n', &line))
		read_courier_line(l, line);
	return true;
}

static int
by_name(const void *pa, const void *pb)
{
	const struct foreignlist_entry *a = pa, *b = pb;
	int r = span_cmp(a->name, b->name);

	return r ? r : a->uid < b->uid ? 1 : a->uid > b->uid ? -1 : 0;	/* with a UID first */
}

/* What two lists say of one file becomes one entry. */
void
foreignlist_sort(struct foreignlist *l)
{
	size_t n = 0;

	if (l->n)
		qsort(l->entries, l->n, sizeof(*l->entries), by_name);
	for (size_t i = 0; i < l->n; i++) {
		struct foreignlist_entry *e = &l->entries[i], *one = n ? &l->entries[n - 1] : NULL;

		if (!one || !span_eq(one->name, e->name)) {
			l->entries[n++] = *e;
		} else if (e->uid == 0) {
			one->pop_id = one->pop_id.n ? one->pop_id : e->pop_id;
			one->courier_uid = e->courier_uid;
			one->courier_validity = e->courier_validity;
		}
	}
	l->n = n;
}

const struct foreignlist_entry *
foreignlist_find(const struct foreignlist *l, struct span name)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int r = span_cmp(name, l->entries[mid].name);

		if (r == 0)
			return &l->entries[mid];
		if (r < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* ---- pop3_uidl_format ---- */

struct item {
	char kind;			/* u v f g, or 0: the plain character c */
	char c;
	bool hex;
	int width;
};

/* False at the end; kind '?': not understood. */
static bool
next_item(const char **at, struct item *it)
{
	const char *p = *at;

	*it = (struct item){ 0 };
	if (!*p)
		return false;
	if (*p != '%' || p[1] == '%') {
		it->c = *p;
		*at = p + (*p == '%' ? 2 : 1);
		return true;
	}
	p++;
	while (*p >= '0' && *p <= '9' && it->width < 100)
		it->width = it->width * 10 + (*p++ - '0');
	it->hex = *p == 'X';
	p += it->hex;
	it->kind = *p && strchr("uvfg", *p) && it->width < 100 && !((*p == 'f' || *p == 'g') && (it->hex || it->width)) ? *p : '?';
	*at = p + (*p != '\0');
	return true;
}

const char *
foreignlist_format_check(const char *format)
{
	struct item it;

	while (next_item(&format, &it))
		if (it.kind == '?')
			return "only %u, %v, %f and %g are known, numbers with a width and X: %08Xu%08Xv";
	return NULL;
}

static void
add_number(struct buf *out, const struct item *it, uint32_t n)
{
	char text[16];
	size_t len = 0;
	uint32_t base = it->hex ? 16 : 10;

	do {
		text[len++] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	for (int i = it->width - (int)len; i > 0; i--)
		buf_addc(out, '0');
	while (len)
		buf_addc(out, text[--len]);
}

void
foreignlist_pop_id(const struct foreignlist *l, const struct foreignlist_entry *e, const char *format, struct buf *out)
{
	size_t start = out->len;
	struct item it;

	if (e->pop_id.n) {
		buf_addspan(out, e->pop_id);
		return;
	}
	if (e->courier_uid) {
		buf_addf(out, "UID%u", e->courier_uid);
		if (e->courier_validity)
			buf_addf(out, "-%u", e->courier_validity);
		return;
	}
	while (next_item(&format, &it)) {
		if (!it.kind) {
			buf_addc(out, it.c);
		} else if ((it.kind == 'u' && !e->uid) || (it.kind == 'v' && !l->uidvalidity)) {
			buf_truncate(out, start);
			return;
		} else if (it.kind == 'u' || it.kind == 'v') {
			add_number(out, &it, it.kind == 'u' ? e->uid : l->uidvalidity);
		} else {		/* the GUID is the name unless the list says otherwise */
			buf_addspan(out, it.kind == 'g' && e->guid.n ? e->guid : e->name);
		}
	}
}
