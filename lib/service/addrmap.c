/* addrmap.c: the keys of an address, and what a table says as an address. */
#include "service/addrmap.h"

#include "mail/address.h"
#include "service/params.h"
#include "base/banned.h"

#define ROOM (2 * ADDRESS_MAX)
#define VALUE_MAX 4096

struct addrmap
addrmap_make(const char *table)
{
	return (struct addrmap){ .myorigin = par.myorigin, .mydestination = par.mydestination, .delimiters = par.recipient_delimiter,
		.propagate = param_list_has(par.propagate_unmatched_extensions, span_str(table)) };
}

bool
addrmap_is_local(const struct addrmap *m, struct span domain)
{
	return span_is_nocase(domain, m->myorigin) || param_list_has(m->mydestination, domain);
}

/* *tag: what goes behind the result's user. */
static enum map_answer
find(const struct addrmap *m, struct maps *maps, const struct address *a, struct buf *value, struct span *tag)
{
	struct span base = address_base(a->local, span_str(m->delimiters)), ext = span_skip(a->local, base.n);
	const struct { struct span user; bool domain, stripped; } keys[] = { { a->local, true, false }, { base, true, true },
		{ a->local, false, false }, { base, false, true }, { SPAN_NONE, true, false } };
	bool local = addrmap_is_local(m, a->domain);
	enum map_answer ans = MAP_NONE;
	struct buf key;

	buf_init(&key, ROOM);
	for (size_t i = 0; ans == MAP_NONE && i < NELEMS(keys); i++) {
		if ((keys[i].stripped && ext.n == 0) || (!keys[i].domain && !local))
			continue;
		buf_reset(&key);
		buf_addspan(&key, keys[i].user);
		if (keys[i].domain)
			buf_addf(&key, "@%.*s", SPAN_FMT(a->domain));
		ans = i == 0 ? maps_find(maps, buf_span(&key), value) : maps_find_part(maps, buf_span(&key), value);
		*tag = keys[i].stripped && m->propagate ? ext : SPAN_NONE;
	}
	buf_fini(&key);
	return ans;
}

static bool
take_value(const struct addrmap *m, const struct address *old, struct span value, struct span tag, struct buf *out)
{
	struct address a;
	struct buf full;
	bool ok;

	buf_init(&full, ROOM);
	if (value.n > 1 && value.p[0] == '@') {
		buf_addf(&full, "%.*s%.*s", SPAN_FMT(old->local), SPAN_FMT(value));
	} else {
		a = address_split(value);
		if (a.domain.n == 0)
			a = (struct address){ value, span_str(m->myorigin) };
		buf_addf(&full, "%.*s%.*s@%.*s", SPAN_FMT(a.local), SPAN_FMT(tag), SPAN_FMT(a.domain));
	}
	ok = !full.over && address_parse(buf_span(&full), ADDRESS_UTF8, &a) == ADDRESS_OK;
	if (ok)
		address_canonical(&a, out);
	buf_fini(&full);
	return ok && !out->over;
}

enum map_answer
addrmap_find(const struct addrmap *m, struct maps *maps, struct span address, struct buf *out)
{
	struct address a = address_split(address);
	struct span tag = SPAN_NONE;
	enum map_answer ans;
	struct buf value;

	buf_init(&value, VALUE_MAX);
	ans = find(m, maps, &a, &value, &tag);
	if (ans == MAP_FOUND && !take_value(m, &a, span_trim(buf_span(&value)), tag, out))
		ans = MAP_FAILED;
	buf_fini(&value);
	return ans;
}
