/* linelaw.c: the law of lines, as a machine over chunks. Reads what strangers send after DATA: hostile. */
#include "mail/linelaw.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/banned.h"

/* What is known of a field by its name. */
static const struct {
	const char *name;
	unsigned has;
	bool hop, drop, id;
} fields[] = {
	{ .name = "Date", .has = LINELAW_HAS_DATE },
	{ .name = "Message-ID", .has = LINELAW_HAS_MESSAGE_ID, .id = true },
	{ .name = "From", .has = LINELAW_HAS_FROM },
	{ .name = "TLS-Required", .has = LINELAW_HAS_TLS_REQUIRED },
	{ .name = "Received", .hop = true },
	{ .name = "Return-Path", .drop = true },	/* ours to write, at final delivery (RFC 5321 4.4) */
	{ .name = "Bcc", .drop = true },		/* RFC 5322 3.6.3 */
	{ .name = "Resent-Bcc", .drop = true },
	{ .name = "Content-Length", .drop = true },	/* wrong as soon as anything is added */
};

void
linelaw_init(struct linelaw *l, size_t header_limit)
{
	*l = (struct linelaw){ .header_limit = header_limit, .at_start = true };
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* ---- the header ---- */

static void
begin_body(struct linelaw *l, struct buf *out)
{
	l->where = LINELAW_BODY;
	l->header_end = out->len;
	l->naming = false;
	buf_addc(out, '\n');
}

/* Message-ID: what is between the colon and the >, without blanks and controls. */
static void
note_id(struct linelaw *l, struct span s)
{
	for (size_t i = 0; i < s.n && l->reading_id; i++) {
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7f)
			continue;
		if (l->id_len + 1 >= LINELAW_MESSAGE_ID_MAX) {
			l->message_id[0] = '\0';
			l->reading_id = false;
			return;
		}
		l->message_id[l->id_len++] = s.p[i];
		l->message_id[l->id_len] = '\0';
		l->reading_id = s.p[i] != '>';
	}
}

static void
field_text(struct linelaw *l, struct span s, struct buf *out)
{
	if (l->reading_id)
		note_id(l, s);
	if (l->dropping)
		return;
	if (l->header_limit && l->field + s.n > l->header_limit) {
		size_t room = l->header_limit > l->field ? l->header_limit - l->field : 0;

		buf_addspan(out, span_sub(s, 0, room));
		buf_addc(out, '\n');
		l->dropping = l->cut = true;
		return;
	}
	l->field += s.n;
	buf_addspan(out, s);
}

/* The colon has come: l->name is the name of a field. */
static void
begin_field(struct linelaw *l, struct buf *out)
{
	struct span held = span_of(l->name, l->name_len), name = span_trim_right(held);

	l->naming = false;
	l->in_field = true;
	l->dropping = l->reading_id = false;
	l->field = 0;
	for (size_t i = 0; i < NELEMS(fields); i++) {
		if (!span_is_nocase(name, fields[i].name))
			continue;
		l->reading_id = fields[i].id && !(l->has & fields[i].has);
		l->has |= fields[i].has;
		l->hops += fields[i].hop;
		l->dropping = fields[i].drop;
	}
	if (l->dropping)
		return;
	l->field = held.n + 1;
	buf_addspan(out, held);
	buf_addc(out, ':');
}

/* The line is no field: it belongs to the body, unless it is the mark of an mbox. */
static void
not_a_field(struct linelaw *l, struct buf *out)
{
	struct span held = span_of(l->name, l->name_len);

	if (!l->in_field && span_is(held, "From ")) {
		buf_adds(out, "X-Mailbox-Line: From ");
		l->naming = l->dropping = l->reading_id = false;
		l->in_field = true;
		l->field = held.n;
		return;
	}
	begin_body(l, out);
	buf_addspan(out, held);
}

/* Goes on with the name; returns how much of s was taken. */
static size_t
name_text(struct linelaw *l, struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool blank_before = l->name_len && is_blank(l->name[l->name_len - 1]);
		bool fits = is_blank(c) ? l->name_len > 0 : c > 0x20 && c < 0x7f && !blank_before;

		if (c == ':' && l->name_len) {
			begin_field(l, out);
			return i + 1;
		}
		if (!fits || c == ':' || l->name_len == LINELAW_NAME_MAX) {
			not_a_field(l, out);
			return i;
		}
		l->name[l->name_len++] = c;
	}
	return s.n;
}

static void
header_text(struct linelaw *l, struct span s, struct buf *out)
{
	if (l->at_start) {
		l->at_start = false;
		if (!is_blank(s.p[0]) || !l->in_field) {
			l->naming = true;
			l->name_len = 0;
		}
	}
	if (l->naming) {
		s = span_skip(s, name_text(l, s, out));
		if (l->naming)
			return;
	}
	if (l->where == LINELAW_BODY)
		buf_addspan(out, s);
	else if (s.n)
		field_text(l, s, out);
}

static void
header_line_end(struct linelaw *l, struct buf *out)
{
	if (l->at_start) {
		begin_body(l, out);
		return;
	}
	if (l->naming) {
		begin_body(l, out);
		buf_add(out, l->name, l->name_len);
		buf_addc(out, '\n');
		return;
	}
	if (!l->dropping) {
		buf_addc(out, '\n');
		l->field++;
	}
	l->at_start = true;
}

/* ---- lines ---- */

static bool
has_8bit(struct span s)
{
	uint64_t all = 0, word;
	size_t i = 0;

	for (; i + 8 <= s.n; i += 8) {
		memcpy(&word, s.p + i, 8);
		all |= word;
	}
	for (; i < s.n; i++)
		all |= (unsigned char)s.p[i];
	return (all & 0x8080808080808080u) != 0;
}

static uint64_t
count_nul(struct span s)
{
	uint64_t n = 0;
	ssize_t at;

	while ((at = span_find(s, '\0')) >= 0) {
		s = span_skip(s, (size_t)at + 1);
		n++;
	}
	return n;
}

/* A piece of the header, or of the line that turns out to end it. */
static void
text(struct linelaw *l, struct span s, struct buf *out)
{
	if (s.n == 0)
		return;
	if (has_8bit(s))
		l->eight_bit = l->header_eight_bit = true;
	l->nul += count_nul(s);
	l->line += s.n;
	if (l->line > l->longest)
		l->longest = l->line;
	if (l->where == LINELAW_BODY)
		buf_addspan(out, s);
	else
		header_text(l, s, out);
}

static void
line_end(struct linelaw *l, struct buf *out)
{
	l->line = 0;
	if (l->where == LINELAW_BODY)
		buf_addc(out, '\n');
	else
		header_line_end(l, out);
}

static void
bare_cr(struct linelaw *l, struct buf *out)
{
	l->bare_cr++;
	text(l, SPAN(" "), out);
}

/* Text of one line, in which every CR is a bare one. */
static void
text_with_cr(struct linelaw *l, struct span s, struct buf *out)
{
	ssize_t at;

	while ((at = span_find(s, '\r')) >= 0) {
		text(l, span_sub(s, 0, (size_t)at), out);
		bare_cr(l, out);
		s = span_skip(s, (size_t)at + 1);
	}
	text(l, s, out);
}

#ifdef __SSE2__
/* How many of the bytes at p, counted in sixteens, stay as they are: no line end, no NUL. They are put together in *all. */
static size_t
plain_run(const char *p, size_t n, uint64_t *all)
{
	const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n'), nul = _mm_setzero_si128();
	size_t i = 0;

	for (; i + 16 <= n; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		__m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, cr), _mm_cmpeq_epi8(v, lf)), _mm_cmpeq_epi8(v, nul));
		unsigned at = (unsigned)_mm_movemask_epi8(special), high = (unsigned)_mm_movemask_epi8(v);

		if (at) {
			unsigned before = (unsigned)__builtin_ctz(at);

			*all |= high & ((1u << before) - 1) ? 0x80 : 0;
			return i + before;
		}
		*all |= high ? 0x80 : 0;
	}
	return i;
}
#else
#define ALL_BYTES(c) (0x0101010101010101u * (c))

static bool
has_zero(uint64_t w)
{
	return ((w - ALL_BYTES(0x01)) & ~w & ALL_BYTES(0x80)) != 0;
}

/* How many of the bytes at p, counted in eights, stay as they are: no line end, no NUL. */
static size_t
plain_run(const char *p, size_t n, uint64_t *all)
{
	uint64_t word;
	size_t i = 0;

	for (; i + sizeof(word) <= n; i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		if (has_zero(word) || has_zero(word ^ ALL_BYTES('\n')) || has_zero(word ^ ALL_BYTES('\r')))
			break;
		*all |= word & ALL_BYTES(0x80) ? 0x80 : 0;
	}
	return i;
}
#endif

/* One byte that plain_run() did not take. Gives at most two: a CR that turns out to be a bare one, and itself. */
static char *
one_byte(struct linelaw *l, char c, char *to, uint64_t *all)
{
	if (l->cr && c != '\n') {
		l->bare_cr++;
		l->line++;
		*to++ = ' ';
	}
	if (c == '\n') {
		l->bare_lf += !l->cr;
		if (l->line > l->longest)
			l->longest = l->line;
		l->line = 0;
		*to++ = c;
	} else if (c != '\r') {
		*all |= (unsigned char)c;
		l->nul += !c;
		l->line++;
		*to++ = c;
	}
	l->cr = c == '\r';
	return to;
}

/*
 * The body: runs of plain bytes at once, all others one by one, so that lines of
 * one byte cost little more than long ones. A pending CR and each byte give at
 * most one byte each.
 */
static void
body_bytes(struct linelaw *l, struct span in, struct buf *out)
{
	char *start = buf_room(out, in.n + 1), *to = start;
	uint64_t all = 0;

	if (!start)
		return;
	for (size_t i = 0; i < in.n; ) {
		size_t n = l->cr ? 0 : plain_run(in.p + i, in.n - i, &all);

		memcpy(to, in.p + i, n);
		to += n;
		l->line += n;
		i += n;
		if (i < in.n)		/* no plain one, or one of the last few */
			to = one_byte(l, in.p[i++], to, &all);
	}
	if (l->line > l->longest)
		l->longest = l->line;
	l->eight_bit = l->eight_bit || (all & 0x80);
	buf_grew(out, (size_t)(to - start));
}

static void
header_bytes(struct linelaw *l, struct span *in, struct buf *out)
{
	if (l->cr && in->n) {
		l->cr = false;
		if (in->p[0] == '\n') {
			line_end(l, out);
			*in = span_skip(*in, 1);
		} else {
			bare_cr(l, out);
		}
	}
	while (in->n && l->where == LINELAW_HEADER) {
		ssize_t lf = span_find(*in, '\n');
		size_t end = lf < 0 ? in->n : (size_t)lf;
		bool cr = end && in->p[end - 1] == '\r';

		text_with_cr(l, span_sub(*in, 0, end - cr), out);
		*in = span_skip(*in, end + (lf >= 0));
		if (lf < 0) {
			l->cr = cr;
		} else {
			l->bare_lf += !cr;
			line_end(l, out);
		}
	}
}

void
linelaw_feed(struct linelaw *l, struct span in, struct buf *out)
{
	if (l->where == LINELAW_HEADER)
		header_bytes(l, &in, out);
	if (in.n)
		body_bytes(l, in, out);
}

void
linelaw_end(struct linelaw *l, struct buf *out)
{
	if (l->cr) {
		l->cr = false;
		bare_cr(l, out);
	}
	if (l->line)
		line_end(l, out);
	if (l->where == LINELAW_HEADER)
		begin_body(l, out);
}
