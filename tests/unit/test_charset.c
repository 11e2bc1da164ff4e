/* Charsets to UTF-8, against iconv(3); small letters. */
#include "tests/unit/unit.h"

#include <iconv.h>

#include "mail/charset/charset.h"
#include "base/banned.h"

/* A text that the charset has, as iconv writes it. */
static void
encode(const char *charset, const char *utf8, struct buf *out)
{
	iconv_t cd = iconv_open(charset, "UTF-8");
	char in[256], bytes[1024], *pi = in, *po = bytes;
	size_t left = strlen(utf8), room = sizeof(bytes);

	assert_true(cd != (iconv_t)-1);
	memcpy(in, utf8, left);
	assert_int_equal(iconv(cd, &pi, &left, &po, &room), 0);
	assert_int_equal(iconv(cd, NULL, NULL, &po, &room), 0);
	iconv_close(cd);
	buf_reset(out);
	buf_add(out, bytes, sizeof(bytes) - room);
}

static void
decode(const char *charset, struct span in, size_t piece, struct buf *out)
{
	struct charset_state st;

	buf_reset(out);
	charset_begin(&st, charset_by_name(span_str(charset)));
	for (size_t at = 0; at < in.n; at += piece)
		charset_decode(&st, span_sub(in, at, at + piece), out);
	charset_end(&st, out);
}

static void
texts(void **state UNUSED)
{
	static const struct { const char *charset, *text; } cases[] = {
		{ "utf-8", "Grüße 漢字 😀" }, { "iso-8859-1", "Grüße" }, { "ISO-8859-2", "Łódź, Žižkov" }, { "iso-8859-5", "Привет" },
		{ "iso-8859-7", "Καλημέρα" }, { "iso-8859-8", "שלום" }, { "iso-8859-9", "İğne" }, { "iso-8859-15", "5 € Œuvre" },
		{ "windows-1250", "Łódź" }, { "windows-1251", "Привет" }, { "windows-1252", "„5 €“" }, { "cp1256", "سلام" },
		{ "windows-1255", "שלום" }, { "windows-1258", "Dong ₫" }, { "koi8-r", "Привет" }, { "koi8-u", "Ґанок" },
		{ "tis-620", "สวัสดี" }, { "shift_jis", "漢字カナｱｲｳ表示 ソ" }, { "cp932", "①漢字" }, { "euc-jp", "漢字カナｱｲｳ表" },
		{ "iso-2022-jp", "abc 漢字カナ\nxyz 表" }, { "gb2312", "你好世界" }, { "gbk", "镕漢字" },
		{ "gb18030", "你好 Ð 𠀀 é ཀ 😀 ﹤" }, { "big5", "漢字功蓋許" }, { "euc-kr", "안녕하세요 漢字" }, { "iso-2022-kr", "안녕 abc" },
		{ "cp949", "똠방각하" }, { "utf-16", "漢字 a 😀" }, { "utf-16le", "漢字 a 😀" }, { "utf-16be", "漢字 a 😀" },
	};
	struct buf in, out;

	buf_init(&in, 4096);
	buf_init(&out, 4096);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		encode(cases[i].charset, cases[i].text, &in);
		for (size_t piece = 1; piece <= 64; piece *= 2) {
			decode(cases[i].charset, buf_span(&in), piece, &out);
			if (!span_is(buf_span(&out), cases[i].text))
				fail_msg("%s by %zu: \"%s\", not \"%s\"", cases[i].charset, piece, buf_cstr(&out), cases[i].text);
		}
	}
	buf_fini(&in);
	buf_fini(&out);
}

/* Every code point of the basic plane that GB18030 has (all of them), one after the other */
static void
whole_plane(void **state UNUSED)
{
	iconv_t cd = iconv_open("GB18030", "UTF-8");
	struct buf one, out;
	unsigned wrong = 0;

	buf_init(&one, 16);
	buf_init(&out, 64);
	for (uint32_t cp = 1; cp < 0x10000; cp += 7) {
		char bytes[16], *po = bytes, *pi;
		size_t room = sizeof(bytes), left;

		if (cp >= 0xd800 && cp < 0xe900)	/* surrogates, private use */
			continue;
		buf_reset(&one);
		utf8_add(&one, cp);
		pi = one.p;
		left = one.len;
		iconv(cd, NULL, NULL, NULL, NULL);
		if (iconv(cd, &pi, &left, &po, &room) != 0)
			continue;
		decode("gb18030", span_of(bytes, sizeof(bytes) - room), 4, &out);
		wrong += !span_eq(buf_span(&out), buf_span(&one));
	}
	iconv_close(cd);
	assert_int_equal(wrong, 0);
	buf_fini(&one);
	buf_fini(&out);
}

static void
malformed(void **state UNUSED)
{
	static const struct { const char *charset; struct span in; const char *out; } cases[] = {
		{ "euc-jp", SPAN("\xb4"), "\xef\xbf\xbd" },
		{ "euc-jp", SPAN("\xb4<b>"), "\xef\xbf\xbd<b>" },	/* a lead byte swallows no markup */
		{ "shift_jis", SPAN("\x81\nx"), "\xef\xbf\xbd\nx" },
		{ "big5", SPAN("\xff\xff"), "\xef\xbf\xbd" },
		{ "gb18030", SPAN("\x81\x30\x81"), "\xef\xbf\xbd" },
		{ "gb18030", SPAN("\x81\x30\x81z"), "\xef\xbf\xbdz" },
		{ "gb18030", SPAN("\xfe\x39\xfe\x39"), "\xef\xbf\xbd" },
		{ "iso-2022-jp", SPAN("\x1b$Bxyz\nabc"), NULL },
		{ "iso-2022-jp", SPAN("\x1b(Xabc\x1b"), "abc" },
		{ "utf-16le", SPAN("\x00\xd8" "a\0"), "\xef\xbf\xbd" "a" },
		{ "utf-16", SPAN("\x00"), "\xef\xbf\xbd" },
		{ "windows-1252", SPAN("\x81"), "\xef\xbf\xbd" },
		{ "utf-8", SPAN("\xff\xc3"), "\xff\xc3" },
	};
	struct buf out;

	buf_init(&out, 4096);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		decode(cases[i].charset, cases[i].in, 1, &out);
		if (cases[i].out && !span_is(buf_span(&out), cases[i].out))
			fail_msg("%zu: %s: \"%s\"", i, cases[i].charset, buf_cstr(&out));
	}
	buf_fini(&out);
}

static void
names(void **state UNUSED)
{
	static const char *const same[][2] = {
		{ "ISO_8859-1:1987", "latin1" }, { "csISOLatin2", "iso8859-2" }, { "CP1252", "windows-1252" }, { "x-cp1251", "Windows-1251" },
		{ "us-ascii", "utf8" }, { "iso8859_15", "ISO-8859-15" }, { " utf-8 ", "utf-8" },
	};

	for (size_t i = 0; i < NELEMS(same); i++) {
		assert_non_null(charset_by_name(span_str(same[i][0])));
		assert_ptr_equal(charset_by_name(span_str(same[i][0])), charset_by_name(span_str(same[i][1])));
	}
	assert_null(charset_by_name(SPAN("x-unknown")));
	assert_null(charset_by_name(SPAN("iso-8859-12")));
	assert_null(charset_by_name(SPAN("a name that is much longer than any charset has ever had")));
}

static void
small_letters(void **state UNUSED)
{
	static const uint32_t pairs[][2] = {
		{ 'A', 'a' }, { 'z', 'z' }, { 0xc4, 0xe4 }, { 0xd7, 0xd7 }, { 0xdf, 0xdf }, { 0x141, 0x142 }, { 0x178, 0xff }, { 0x393, 0x3b3 },
		{ 0x3c2, 0x3c3 }, { 0x416, 0x436 }, { 0x531, 0x561 }, { 0x1e9e, 0xdf }, { 0x1f08, 0x1f00 }, { 0x24b6, 0x24d0 },
		{ 0xff21, 0xff41 }, { 0x10400, 0x10428 }, { 0x6f22, 0x6f22 }, { 0x10ffff, 0x10ffff },
	};

	for (size_t i = 0; i < NELEMS(pairs); i++)
		assert_int_equal(charset_small(pairs[i][0]), pairs[i][1]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts), cmocka_unit_test(whole_plane), cmocka_unit_test(malformed), cmocka_unit_test(names),
		cmocka_unit_test(small_letters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
