/* view.c: a folder's snapshot as few bytes. What is read may come from a session that was captured: each number has bounds. */
#include "mail/store/view.h"

#include "mail/store/driver.h"

#include "base/banned.h"

#define VERSION 1
#define EXACT_MAX 1536			/* longer than that a modseq tells the same in less */
#define VARINT_MAX 10

enum kind { EXACT = 1, SUMMED = 2 };

static void
put(struct buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_addc(b, (char)(v | 0x80));
	buf_addc(b, (char)v);
}

static bool
take(struct span *s, uint64_t max, uint64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < VARINT_MAX && i < s->n; i++) {
		unsigned char c = (unsigned char)s->p[i];

		if (i == VARINT_MAX - 1 && c > 1)
			return false;
		*v |= (uint64_t)(c & 0x7f) << (7 * i);
		if (c & 0x80)
			continue;
		*s = span_skip(*s, i + 1);
		return *v <= max;
	}
	return false;
}

uint64_t
view_sum_of(uint32_t uid)
{
	return folder_digest_of(uid, 0, 0);
}

bool
view_parse(struct span bytes, struct view *v)
{
	uint64_t version, kind, validity, next, count;

	*v = (struct view){ 0 };
	if (!take(&bytes, VERSION, &version) || version != VERSION || !take(&bytes, SUMMED, &kind) || kind < EXACT ||
	    !take(&bytes, UINT32_MAX, &validity) || !take(&bytes, UINT32_MAX, &next) || !take(&bytes, UINT64_MAX, &v->modseq) ||
	    !take(&bytes, DRIVER_MESSAGES_MAX, &count) || (kind == SUMMED && !take(&bytes, UINT64_MAX, &v->sum)))
		return false;
	v->exact = kind == EXACT;
	v->uidvalidity = (uint32_t)validity;
	v->uidnext = (uint32_t)next;
	v->count = (uint32_t)count;
	v->runs = bytes;
	return true;
}

int
view_next(struct view *v, struct view_run *r)
{
	uint64_t gap, more, flags = 0, keywords = 0, lo;

	if (v->runs.n == 0)
		return 0;
	if (!take(&v->runs, UINT32_MAX, &gap) || !take(&v->runs, UINT32_MAX, &more) ||
	    (v->exact && (!take(&v->runs, MFLAG_ALL | MFLAG_RECENT, &flags) ||
	    !take(&v->runs, (1u << MAILSTORE_KEYWORDS) - 1, &keywords))))
		return -1;
	lo = (uint64_t)r->hi + 1 + gap;
	if (lo + more >= v->uidnext || more >= v->count)
		return -1;
	v->count -= (uint32_t)more + 1;
	*r = (struct view_run){ (uint32_t)lo, (uint32_t)(lo + more), (uint8_t)flags, (uint32_t)keywords };
	return 1;
}

/* ---- writing ---- */

static void
put_head(struct buf *out, const struct mailfolder *f, enum kind kind, uint32_t uidnext)
{
	put(out, VERSION);
	put(out, kind);
	put(out, f->uidvalidity);
	put(out, uidnext);
	put(out, f->told_modseq);
	put(out, f->told);
}

static bool
joins(const struct mail_message *a, const struct mail_message *b)
{
	return b->uid == a->uid + 1 && ((a->flags ^ b->flags) & (MFLAG_ALL | MFLAG_RECENT)) == 0 && a->keywords == b->keywords;
}

static bool
put_exact(struct buf *out, const struct mailfolder *f)
{
	uint32_t last = 0;

	for (size_t i = 0, n; i < f->told && out->len < EXACT_MAX && !out->over; i += n) {
		const struct mail_message *m = &f->msgs[i];

		for (n = 1; i + n < f->told && joins(&m[n - 1], &m[n]);)
			n++;
		put(out, m->uid - last - 1);
		put(out, n - 1);
		put(out, m->flags & (MFLAG_ALL | MFLAG_RECENT));
		put(out, m->keywords);
		last = m[n - 1].uid;
	}
	return out->len < EXACT_MAX && !out->over;
}

static void
put_summed(struct buf *out, const struct mailfolder *f)
{
	uint64_t sum = 0;
	uint32_t last = 0;

	for (size_t i = 0; i < f->told; i++)
		sum += view_sum_of(f->msgs[i].uid);
	put(out, sum);
	for (size_t i = 0, n; i < f->told && !out->over; i += n) {
		const struct mail_message *m = &f->msgs[i];

		n = 1;
		if (!(m->flags & MFLAG_RECENT))
			continue;
		while (i + n < f->told && m[n].flags & MFLAG_RECENT && m[n].uid == m[n - 1].uid + 1)
			n++;
		put(out, m->uid - last - 1);
		put(out, n - 1);
		last = m[n - 1].uid;
	}
}

bool
mailfolder_view(const struct mailfolder *f, struct buf *out)
{
	uint32_t uidnext = f->told < f->n ? f->msgs[f->told].uid : f->uidnext;
	size_t start = out->len;

	if (f->how & MAILFOLDER_PLAIN || f->told > f->n || (f->changes.nchanged && !f->reported))
		return false;
	put_head(out, f, EXACT, uidnext);
	if (put_exact(out, f))
		return true;
	buf_truncate(out, start);
	out->over = false;
	if (!f->tracked)
		return false;
	put_head(out, f, SUMMED, uidnext);
	put_summed(out, f);
	return !out->over;
}
