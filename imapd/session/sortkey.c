/* sortkey.c: keys of SORT (RFC 5256, 5957) and THREAD from the header, and as they are kept in the index. */
#include "sortkey.h"

#include "fold.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"
#include "subject.h"
#include "base/banned.h"

#define FIELD_MAX (16u << 10)		/* of a header, the rest is not looked at */
#define FOLDED_MAX (64u << 10)
#define ID_MAX 1000

/* i;unicode-casemap puts capitals where small letters are: it matters to what sorts beside them. */
static void
add_text(struct buf *out, struct span folded)
{
	folded = span_sub(folded, 0, SORTKEY_MAX);
	buf_add_u16(out, (uint16_t)folded.n);
	for (size_t i = 0; i < folded.n; i++)
		buf_addc(out, ascii_upper(folded.p[i]));
}

static void
add_sent(struct buf *out, struct span header)
{
	struct header h;
	bool dated;
	time_t t;
	int zone;

	dated = header_find(header, "Date", &h) && date_parse(span_sub(h.value, 0, FIELD_MAX), &t, &zone);
	buf_addc(out, dated);
	buf_add_u64(out, dated ? (uint64_t)(int64_t)t : 0);
}

static struct span
field(struct span header, const char *name)
{
	struct header h;

	return header_find(header, name, &h) ? span_sub(h.value, 0, FIELD_MAX) : SPAN_NONE;
}

/* addr-mailbox of the first address (RFC 5256 3): the name of a group that comes first; and what is displayed of it (RFC 5957 3). */
static void
first_address(struct span value, struct buf *mailbox, struct buf *display)
{
	struct address_list list;
	struct address_item item;

	address_list_begin(&list, value);
	while (address_list_next(&list, &item)) {
		if (item.kind == ADDRESS_GROUP_END)
			continue;
		fold_text(mailbox, item.kind == ADDRESS_MAILBOX ? item.local : item.name);
		if (item.name.n) {
			fold_header(display, item.name);
		} else {
			fold_text(display, item.local);
			buf_addc(display, '@');
			fold_text(display, item.domain);
		}
		break;
	}
	address_list_fini(&list);
}

void
sortkey_make(struct buf *out, struct span header)
{
	static const char *const lists[] = { "From", "To", "Cc" };
	struct buf mailbox[3], display[3], subject;
	bool reply;

	add_sent(out, header);
	buf_init(&subject, FOLDED_MAX);
	fold_header(&subject, field(header, "Subject"));
	add_text(out, subject_base(&subject, &reply));
	buf_fini(&subject);
	for (size_t i = 0; i < NELEMS(lists); i++) {
		buf_init(&mailbox[i], FOLDED_MAX);
		buf_init(&display[i], FOLDED_MAX);
		first_address(field(header, lists[i]), &mailbox[i], &display[i]);
	}
	for (size_t i = 0; i < NELEMS(lists); i++)
		add_text(out, buf_span(&mailbox[i]));
	for (size_t i = 0; i < 2; i++)
		add_text(out, buf_span(&display[i]));
	for (size_t i = 0; i < NELEMS(lists); i++) {
		buf_fini(&mailbox[i]);
		buf_fini(&display[i]);
	}
}

/* A name for a text, as good as the text: senders who make two of them meet gain what one Message-ID gives them. */
static uint64_t
hash_text(struct span s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	return h ? h : 1;
}

/* The next "<left@right>", quotes, backslashes and blanks gone (RFC 5256: <"a"@b> is <a@b>); 0: no more. */
static uint64_t
next_id(struct span *s)
{
	char id[ID_MAX];

	while (s->n) {
		ssize_t open = span_find(*s, '<');
		size_t n = 0, at = 0;

		if (open < 0)
			break;
		*s = span_skip(*s, (size_t)open + 1);
		while (at < s->n && s->p[at] != '>' && s->p[at] != '<') {
			if (n < sizeof(id) && !strchr("\"\\ \t\r\n", s->p[at]))
				id[n++] = s->p[at];
			at++;
		}
		if (at < s->n && s->p[at] == '>' && n > 2 && memchr(id + 1, '@', n - 2)) {
			*s = span_skip(*s, at + 1);
			return hash_text(span_of(id, n));
		}
		*s = span_skip(*s, at);
	}
	*s = SPAN_NONE;
	return 0;
}

static void
add_references(struct buf *out, struct span header)
{
	uint64_t refs[SORTKEY_REFERENCES], id;
	struct span value = field(header, "References");
	unsigned n = 0;

	while ((id = next_id(&value)) != 0) {
		if (n == SORTKEY_REFERENCES)
			memmove(refs, refs + 1, --n * sizeof(*refs));
		refs[n++] = id;
	}
	if (n == 0) {
		value = field(header, "In-Reply-To");
		refs[n] = next_id(&value);
		n = refs[0] != 0;
	}
	buf_addc(out, (char)n);
	for (unsigned i = 0; i < n; i++)
		buf_add_u64(out, refs[i]);
}

void
threadkey_make(struct buf *out, struct span header)
{
	struct span id = field(header, "Message-ID"), base;
	struct buf subject;
	bool reply;

	add_sent(out, header);
	buf_init(&subject, FOLDED_MAX);
	fold_header(&subject, field(header, "Subject"));
	base = subject_base(&subject, &reply);
	buf_add_u64(out, base.n ? hash_text(base) : 0);
	buf_addc(out, reply);
	buf_fini(&subject);
	buf_add_u64(out, next_id(&id));
	add_references(out, header);
}

/* ---- what is kept, read back ---- */
static bool
take(struct span *in, void *to, size_t n)
{
	if (in->n < n)
		return false;
	memcpy(to, in->p, n);
	*in = span_skip(*in, n);
	return true;
}

static bool
take_number(struct span *in, size_t n, uint64_t *v)
{
	unsigned char b[8] = { 0 };

	if (!take(in, b, n))
		return false;
	*v = 0;
	for (size_t i = n; i-- > 0;)
		*v = *v << 8 | b[i];
	return true;
}

static bool
take_sent(struct span *in, int64_t *sent, bool *dated)
{
	uint64_t v;

	if (!take_number(in, 1, &v))
		return false;
	*dated = v != 0;
	if (!take_number(in, 8, &v))
		return false;
	*sent = (int64_t)v;
	return true;
}

bool
sortkey_read(struct span kept, struct sortkey *k, bool *dated)
{
	uint64_t n;

	*k = (struct sortkey){ 0 };
	if (!take_sent(&kept, &k->sent, dated))
		return false;
	for (size_t i = 0; i < SORTKEY_TEXTS; i++) {
		if (!take_number(&kept, 2, &n) || n > kept.n)
			return false;
		k->text[i] = span_sub(kept, 0, n);
		kept = span_skip(kept, n);
	}
	return true;
}

bool
threadkey_read(struct span kept, struct threadkey *k, bool *dated)
{
	uint64_t v;

	*k = (struct threadkey){ 0 };
	if (!take_sent(&kept, &k->sent, dated) || !take_number(&kept, 8, &k->subject) || !take_number(&kept, 1, &v))
		return false;
	k->reply = v != 0;
	if (!take_number(&kept, 8, &k->id) || !take_number(&kept, 1, &v) || v > SORTKEY_REFERENCES)
		return false;
	k->nrefs = (unsigned)v;
	for (unsigned i = 0; i < k->nrefs; i++)
		if (!take_number(&kept, 8, &k->refs[i]))
			return false;
	return true;
}

void
sortkey_get(struct message *m, struct sortkey *k)
{
	struct span kept;
	bool dated = false;

	if (message_computed(m, CACHE_SORT, sortkey_make, &kept) != STORE_OK || !sortkey_read(kept, k, &dated))
		*k = (struct sortkey){ 0 };
	for (size_t i = 0; i < SORTKEY_TEXTS; i++)
		if (!k->text[i].p)
			k->text[i] = SPAN_NONE;
	if (!dated)
		k->sent = mailfolder_date(m->s->folder, m->index);
}

void
threadkey_get(struct message *m, struct threadkey *k)
{
	struct span kept;
	bool dated = false;

	if (message_computed(m, CACHE_THREAD, threadkey_make, &kept) != STORE_OK || !threadkey_read(kept, k, &dated))
		*k = (struct threadkey){ 0 };
	if (!dated)
		k->sent = mailfolder_date(m->s->folder, m->index);
}
