/* charset.c: one small automaton a kind of charset, fed byte by byte. Every byte is a stranger's. */
#include "mail/charset/charset.h"

#include "mail/charset/tables.h"
#include "base/banned.h"

#define UNKNOWN 0xfffd
#define ESC 0x1b
#define SHIFT_OUT 0x0e
#define SHIFT_IN 0x0f
#define NAME_MAX_ 40

struct charset {
	const char *name;
	void (*feed)(struct charset_state *st, unsigned char c, struct buf *out);	/* NULL: UTF-8 */
	unsigned table;			/* of charset_doubles, or of charset_singles */
	unsigned mode;			/* at first */
	bool ascii;			/* a byte below 0x80 that begins a character is itself */
};

enum { JP_ASCII, JP_KANA, JP_0208, JP_OTHER };
enum { KR_ASCII, KR_DOUBLE };
enum { U16_OPEN, U16_BIG, U16_LITTLE };

static void
give(struct charset_state *st, uint32_t cp, struct buf *out)
{
	st->n = 0;
	utf8_add(out, cp ? cp : UNKNOWN);
}

static void
hold(struct charset_state *st, unsigned char c)
{
	st->held[st->n++] = c;
}

static uint32_t
in_double(unsigned table, unsigned lead, unsigned trail)
{
	if (lead < DOUBLE_LEAD || lead >= DOUBLE_LEAD + DOUBLE_LEADS || trail < DOUBLE_TRAIL ||
	    trail >= DOUBLE_TRAIL + DOUBLE_TRAILS)
		return 0;
	return charset_doubles[table][(lead - DOUBLE_LEAD) * DOUBLE_TRAILS + trail - DOUBLE_TRAIL];
}

/* JIS X 0208 by row and column (0x21 to 0x7e), found where Shift_JIS has it */
static uint32_t
in_jis(unsigned row, unsigned column)
{
	unsigned lead, trail;

	if (row < 0x21 || row > 0x7e || column < 0x21 || column > 0x7e)
		return 0;
	lead = (row - 0x21) / 2 + 0x81;
	if (lead > 0x9f)
		lead += 0x40;
	trail = row % 2 ? column + 0x1f + (column >= 0x60) : column + 0x7e;
	return in_double(DOUBLE_CP932, lead, trail);
}

static uint32_t
kana(unsigned char c)
{
	return c >= 0xa1 && c <= 0xdf ? 0xff61u + c - 0xa1 : 0;
}

/* What was held makes no character with c: c may begin one itself when it is ASCII. */
static void
broken(struct charset_state *st, unsigned char c, struct buf *out)
{
	give(st, UNKNOWN, out);
	if (c < 0x80)
		utf8_add(out, c);
}

static void
feed_single(struct charset_state *st, unsigned char c, struct buf *out)
{
	give(st, c < 0x80 ? c : charset_singles[st->cs->table].upper[c - 0x80], out);
}

static void
feed_double(struct charset_state *st, unsigned char c, struct buf *out)
{
	unsigned table = st->cs->table;
	uint32_t cp;

	if (st->n) {
		cp = in_double(table, st->held[0], c);
		if (cp)
			give(st, cp, out);
		else
			broken(st, c, out);
	} else if (c < 0x80) {
		utf8_add(out, c);
	} else if (table == DOUBLE_CP932 && kana(c)) {
		give(st, kana(c), out);
	} else {
		hold(st, c);
	}
}

static uint32_t
gb_four(const unsigned char b[3], unsigned char last)
{
	uint32_t linear = (uint32_t)((b[0] - 0x81) * 12600 + (b[1] - 0x30) * 1260 + (b[2] - 0x81) * 10 + (last - 0x30));
	unsigned low = 0, high = charset_ngb18030;

	if (linear >= 189000 && linear < 189000 + 0x100000)
		return 0x10000 + linear - 189000;
	if (linear >= 39420)
		return 0;
	while (high - low > 1) {
		unsigned mid = (low + high) / 2;

		if (charset_gb18030[mid].linear <= linear)
			low = mid;
		else
			high = mid;
	}
	return charset_gb18030[low].cp ? charset_gb18030[low].cp + linear - charset_gb18030[low].linear : 0;
}

static void
feed_gb(struct charset_state *st, unsigned char c, struct buf *out)
{
	bool digit = c >= 0x30 && c <= 0x39, lead = c >= 0x81 && c <= 0xfe;

	if ((st->n == 1 && digit && st->held[0] != 0xff && st->held[0] != 0x80) || (st->n == 2 && lead))
		hold(st, c);
	else if (st->n == 3 && digit)
		give(st, gb_four(st->held, c), out);
	else if (st->n > 1)
		broken(st, c, out);
	else
		feed_double(st, c, out);
}

static void
feed_euc_jp(struct charset_state *st, unsigned char c, struct buf *out)
{
	uint32_t cp;

	if (st->n == 0 && c < 0x80) {
		utf8_add(out, c);
	} else if (st->n == 0 || (st->n == 1 && st->held[0] == 0x8f && c >= 0xa1)) {
		hold(st, c);
	} else {
		cp = st->n == 2 ? 0 : st->held[0] == 0x8e ? kana(c) : in_jis(st->held[0] & 0x7f, c & 0x7f);
		if (c < 0x80)
			broken(st, c, out);
		else
			give(st, cp, out);	/* JIS X 0212 is not in the tables */
	}
}

static const struct {
	const char *bytes;		/* behind ESC */
	unsigned mode;
} escapes[] = {
	{ "(B", JP_ASCII }, { "(J", JP_ASCII }, { "(I", JP_KANA }, { "$@", JP_0208 }, { "$B", JP_0208 }, { "$(D", JP_OTHER },
	{ "$A", JP_OTHER }, { "$(C", JP_OTHER },
};

static void
feed_escape(struct charset_state *st, unsigned char c)
{
	bool begun = false;

	hold(st, c);
	for (size_t i = 0; i < NELEMS(escapes); i++) {
		size_t n = st->n - 1;

		if (strncmp(escapes[i].bytes, (const char *)st->held + 1, n) != 0)
			continue;
		begun = true;
		if (escapes[i].bytes[n] == '\0') {
			st->mode = escapes[i].mode;
			st->n = 0;
			return;
		}
	}
	if (!begun || st->n == sizeof(st->held))
		st->n = 0;		/* none that is known: left out */
}

static void
feed_2022_jp(struct charset_state *st, unsigned char c, struct buf *out)
{
	if (st->n && st->held[0] == ESC) {
		feed_escape(st, c);
	} else if (c == ESC) {
		st->n = 0;
		hold(st, c);
	} else if (c <= ' ' || c >= 0x7f) {
		if (c == '\n')
			st->mode = JP_ASCII;	/* each line begins with it (RFC 1468) */
		give(st, c < 0x80 ? c : kana(c), out);
	} else if (st->mode == JP_ASCII) {
		utf8_add(out, c);
	} else if (st->mode == JP_KANA) {
		give(st, kana(c | 0x80), out);
	} else if (st->n == 0) {
		hold(st, c);
	} else {
		give(st, st->mode == JP_0208 ? in_jis(st->held[0], c) : 0, out);
	}
}

/* RFC 1557: the designation at the front is left out, shifts choose */
static void
feed_2022_kr(struct charset_state *st, unsigned char c, struct buf *out)
{
	if (st->n && st->held[0] == ESC) {
		hold(st, c);
		if (st->n == 4 || c == 'C')
			st->n = 0;
	} else if (c == SHIFT_OUT || c == SHIFT_IN || c == '\n') {
		st->mode = c == SHIFT_OUT ? KR_DOUBLE : KR_ASCII;
		st->n = 0;
		if (c == '\n')
			utf8_add(out, c);
	} else if (c == ESC) {
		st->n = 0;
		hold(st, c);
	} else if (st->mode == KR_ASCII || c <= ' ') {
		give(st, c < 0x80 ? c : 0, out);
	} else if (st->n == 0) {
		hold(st, c);
	} else {
		give(st, in_double(DOUBLE_UHC, st->held[0] | 0x80, c | 0x80), out);
	}
}

static unsigned
unit(const struct charset_state *st, unsigned at)
{
	unsigned a = st->held[at], b = st->held[at + 1];

	return st->mode == U16_LITTLE ? b << 8 | a : a << 8 | b;
}

static void
feed_utf16(struct charset_state *st, unsigned char c, struct buf *out)
{
	unsigned high, low;

	hold(st, c);
	if (st->n % 2)
		return;
	if (st->mode == U16_OPEN) {
		st->mode = U16_BIG;	/* RFC 2781 4.3 */
		if (unit(st, 0) == 0xfffe)
			st->mode = U16_LITTLE;
	}
	high = unit(st, 0);
	if (st->n == 2) {
		if (high == 0xfeff)
			st->n = 0;
		else if (high < 0xd800 || high > 0xdbff)
			give(st, high >= 0xdc00 && high <= 0xdfff ? UNKNOWN : high, out);
		return;
	}
	low = unit(st, 2);
	if (low >= 0xdc00 && low <= 0xdfff) {
		give(st, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), out);
		return;
	}
	give(st, UNKNOWN, out);
	if (low < 0xd800 || low > 0xdbff)
		give(st, low, out);
}

static const struct charset utf8 = { .name = "UTF-8", .ascii = true };
static const struct charset others[] = {
	{ "SHIFT_JIS", feed_double, DOUBLE_CP932, 0, true },
	{ "EUC-JP", feed_euc_jp, 0, 0, true },
	{ "ISO-2022-JP", feed_2022_jp, 0, JP_ASCII, false },
	{ "GB18030", feed_gb, DOUBLE_GB18030, 0, true },
	{ "BIG5", feed_double, DOUBLE_BIG5, 0, true },
	{ "EUC-KR", feed_double, DOUBLE_UHC, 0, true },
	{ "ISO-2022-KR", feed_2022_kr, 0, KR_ASCII, false },
	{ "UTF-16", feed_utf16, 0, U16_OPEN, false },
	{ "UTF-16BE", feed_utf16, 0, U16_BIG, false },
	{ "UTF-16LE", feed_utf16, 0, U16_LITTLE, false },
};

/* Other names. Mail says GB2312 and means its successors; windows-1252 where it says Latin-1 is left to the eye. */
static const struct {
	const char *alias, *name;
} aliases[] = {
	{ "GB2312", "GB18030" }, { "GBK", "GB18030" }, { "GB_2312-80", "GB18030" }, { "EUC-CN", "GB18030" }, { "CP936", "GB18030" },
	{ "WINDOWS-936", "GB18030" },
	{ "BIG5-HKSCS", "BIG5" }, { "CP950", "BIG5" }, { "WINDOWS-950", "BIG5" }, { "CSBIG5", "BIG5" },
	{ "KS_C_5601-1987", "EUC-KR" }, { "CP949", "EUC-KR" }, { "UHC", "EUC-KR" }, { "WINDOWS-949", "EUC-KR" },
	{ "CSEUCKR", "EUC-KR" }, { "CSKSC56011987", "EUC-KR" }, { "X-EUC-KR", "EUC-KR" },
	{ "SJIS", "SHIFT_JIS" }, { "X-SJIS", "SHIFT_JIS" }, { "MS_KANJI", "SHIFT_JIS" }, { "CP932", "SHIFT_JIS" },
	{ "WINDOWS-31J", "SHIFT_JIS" }, { "CSSHIFTJIS", "SHIFT_JIS" }, { "SHIFT-JIS", "SHIFT_JIS" },
	{ "X-EUC-JP", "EUC-JP" }, { "EUCJP", "EUC-JP" }, { "CSISO2022JP", "ISO-2022-JP" }, { "ISO-2022-JP-1", "ISO-2022-JP" },
	{ "ISO-2022-JP-2", "ISO-2022-JP" }, { "CP50220", "ISO-2022-JP" },
	{ "LATIN1", "ISO-8859-1" }, { "LATIN2", "ISO-8859-2" }, { "LATIN3", "ISO-8859-3" }, { "LATIN4", "ISO-8859-4" },
	{ "CYRILLIC", "ISO-8859-5" }, { "ARABIC", "ISO-8859-6" }, { "GREEK", "ISO-8859-7" }, { "HEBREW", "ISO-8859-8" },
	{ "ISO-8859-8-I", "ISO-8859-8" }, { "ISO-8859-6-I", "ISO-8859-6" }, { "LATIN5", "ISO-8859-9" },
	{ "LATIN6", "ISO-8859-10" }, { "LATIN9", "ISO-8859-15" }, { "L1", "ISO-8859-1" }, { "L2", "ISO-8859-2" },
	{ "TIS-620", "ISO-8859-11" }, { "WINDOWS-874", "CP874" }, { "KOI8", "KOI8-R" }, { "KOI8-RU", "KOI8-U" },
	{ "CSKOI8R", "KOI8-R" }, { "CP437", "IBM437" }, { "CP850", "IBM850" }, { "CP852", "IBM852" }, { "CP866", "IBM866" },
	{ "X-MAC-ROMAN", "MACINTOSH" }, { "MAC", "MACINTOSH" },
	{ "", "UTF-8" }, { "US-ASCII", "UTF-8" }, { "ASCII", "UTF-8" }, { "ANSI_X3.4-1968", "UTF-8" }, { "UTF8", "UTF-8" },
	{ "UNICODE-1-1-UTF-8", "UTF-8" }, { "UTF16", "UTF-16" }, { "ISO-10646-UCS-2", "UTF-16" },
};

static struct charset singles[64];

static const struct charset *
by_own_name(struct span name)
{
	if (span_is_nocase(name, utf8.name))
		return &utf8;
	for (size_t i = 0; i < NELEMS(others); i++)
		if (span_is_nocase(name, others[i].name))
			return &others[i];
	for (unsigned i = 0; i < charset_nsingles && i < NELEMS(singles); i++)
		if (span_is_nocase(name, charset_singles[i].name)) {
			singles[i] = (struct charset){ charset_singles[i].name, feed_single, i, 0, true };
			return &singles[i];
		}
	return NULL;
}

/* "iso8859_1", "ISO_8859-1:1987", "cp1252" to the names above */
static void
regular(struct span name, struct buf *out)
{
	size_t digits = 0;

	name = span_trim(name);
	if (span_starts_nocase(name, "CS") && span_starts_nocase(span_skip(name, 2), "ISOLATIN")) {
		buf_adds(out, "LATIN");
		buf_addspan(out, span_skip(name, 10));
		return;
	}
	if (span_starts_nocase(name, "ISO") && memmem(name.p, name.n, "8859", 4)) {
		const char *at = memmem(name.p, name.n, "8859", 4);
		struct span part = span_skip(name, (size_t)(at + 4 - name.p));

		if (part.n)
			part = span_skip(part, 1);
		while (digits < part.n && part.p[digits] != ':')
			digits++;
		buf_adds(out, "ISO-8859-");
		buf_addspan(out, span_sub(part, 0, digits));
		return;
	}
	if ((span_starts_nocase(name, "CP12") || span_starts_nocase(name, "X-CP12")) && name.n >= 6) {
		buf_adds(out, "WINDOWS-");
		buf_addspan(out, span_sub(name, name.n - 4, name.n));
		return;
	}
	buf_addspan(out, name);
}

const struct charset *
charset_by_name(struct span name)
{
	const struct charset *cs = NULL;
	struct buf own;

	if (name.n > NAME_MAX_)
		return NULL;
	buf_init(&own, 2 * NAME_MAX_);
	regular(name, &own);
	for (size_t i = 0; i < NELEMS(aliases); i++)
		if (span_is_nocase(buf_span(&own), aliases[i].alias)) {
			buf_reset(&own);
			buf_adds(&own, aliases[i].name);
			break;
		}
	if (own.len)
		cs = by_own_name(buf_span(&own));
	buf_fini(&own);
	return cs;
}

const struct charset *
charset_utf8(void)
{
	return &utf8;
}

void
charset_begin(struct charset_state *st, const struct charset *cs)
{
	*st = (struct charset_state){ .cs = cs ? cs : &utf8, .mode = cs ? cs->mode : 0 };
}

void
charset_decode(struct charset_state *st, struct span in, struct buf *out)
{
	size_t i = 0, start;

	if (!st->cs->feed) {
		buf_addspan(out, in);
		return;
	}
	while (i < in.n) {
		for (start = i; st->cs->ascii && st->n == 0 && i < in.n && (unsigned char)in.p[i] < 0x80; i++)
			continue;
		buf_addspan(out, span_sub(in, start, i));
		if (i < in.n)
			st->cs->feed(st, (unsigned char)in.p[i++], out);
	}
}

void
charset_end(struct charset_state *st, struct buf *out)
{
	if (st->n && st->held[0] != ESC)
		utf8_add(out, UNKNOWN);
	st->n = 0;
}

uint32_t
charset_small(uint32_t cp)
{
	unsigned low = 0, high = charset_ncases;

	if (cp < 0x80)
		return (uint32_t)(unsigned char)ascii_lower((char)cp);
	while (low < high) {
		unsigned mid = (low + high) / 2;
		const struct charset_case *c = &charset_cases[mid];

		if (cp > c->to)
			low = mid + 1;
		else if (cp < c->from)
			high = mid;
		else
			return (cp - c->from) % c->step == 0 ? (uint32_t)((int32_t)cp + c->by) : cp;
	}
	return cp == 0x3c2 ? 0x3c3 : cp;	/* a sigma at the end of a word is the other one's */
}
