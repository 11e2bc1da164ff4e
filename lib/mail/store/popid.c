/* popid.c: unique ids for POP3 in file names, which are not trusted. Clients that leave mail on the server fetch all again when ids change. */
#include "mail/store/popid.h"

#include <stdio.h>

#include "mail/store/objectid.h"

#include "base/banned.h"

static const char hex[] = "0123456789abcdef";

bool
popid_valid(struct span id)
{
	if (id.n == 0 || id.n > MAILSTORE_POP_ID_MAX)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (id.p[i] < 0x21 || id.p[i] > 0x7e)
			return false;
	return true;
}

static bool
is_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_';
}

bool
popid_add(struct filename *to, struct span id)
{
	size_t had = strlen(to->extra);
	struct buf b;
	bool ok = false;

	if (!popid_valid(id))
		return false;
	buf_init(&b, FILENAME_MAX_ - had);
	buf_adds(&b, ",L=");
	for (size_t i = 0; i < id.n; i++) {
		if (is_plain(id.p[i]))
			buf_addc(&b, id.p[i]);
		else
			buf_addf(&b, "%%%c%c", hex[id.p[i] >> 4 & 15], hex[id.p[i] & 15]);
	}
	ok = !b.over;
	if (ok)
		memcpy(to->extra + had, buf_cstr(&b), b.len + 1);
	buf_fini(&b);
	return ok;
}

static int
digit(char c)
{
	const char *d = c ? strchr(hex, c) : NULL;

	return d ? (int)(d - hex) : -1;
}

/* One byte of the field; -1: damaged. */
static int
next_byte(struct span *v)
{
	int high, low;

	if (v->p[0] != '%') {
		int c = (unsigned char)v->p[0];

		*v = span_skip(*v, 1);
		return c;
	}
	if (v->n < 3)
		return -1;
	high = digit(v->p[1]);
	low = digit(v->p[2]);
	*v = span_skip(*v, 3);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool
popid_of(const struct filename *name, struct buf *out)
{
	char id[MAILSTORE_POP_ID_MAX];
	struct span v;
	size_t n = 0;

	if (!objectid_field(name, "L=", &v))
		return false;
	while (v.n && n < sizeof(id)) {
		int c = next_byte(&v);

		if (c < 0)
			return false;
		id[n++] = (char)c;
	}
	if (v.n || !popid_valid(span_of(id, n)))
		return false;
	buf_add(out, id, n);
	return true;
}

void
mailfolder_pop_id(const struct mailfolder *f, size_t index, struct buf *out)
{
	const struct mail_message *m = &f->msgs[index];
	struct filename name;

	if (filename_parse(span_str(m->name), &name) && popid_of(&name, out))
		return;
	for (size_t i = 0; i < sizeof(m->id.b); i++)
		buf_addf(out, "%c%c", hex[m->id.b[i] >> 4], hex[m->id.b[i] & 15]);
}
