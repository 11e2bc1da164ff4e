/*
 * mktables.c: runs while Merpati is built: writes the tables of charset.c and fold.c, from the C library's own
 * knowledge of charsets (iconv) and letters (towlower). A jailed process can load no gconv module.
 */
#include <errno.h>
#include <iconv.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

static const char *const singles[] = {
	"ISO-8859-1", "ISO-8859-2", "ISO-8859-3", "ISO-8859-4", "ISO-8859-5", "ISO-8859-6", "ISO-8859-7", "ISO-8859-8",
	"ISO-8859-9", "ISO-8859-10", "ISO-8859-11", "ISO-8859-13", "ISO-8859-14", "ISO-8859-15", "ISO-8859-16",
	"WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1252", "WINDOWS-1253", "WINDOWS-1254", "WINDOWS-1255", "WINDOWS-1256",
	"WINDOWS-1257", "WINDOWS-1258", "CP874", "KOI8-R", "KOI8-U", "IBM437", "IBM850", "IBM852", "IBM866", "MACINTOSH",
};
static const char *const doubles[] = { "CP932", "GB18030", "BIG5", "UHC" };

enum { LEADS = 126, TRAILS = 191, FIRST_LEAD = 0x81, FIRST_TRAIL = 0x40, BMP = 0x10000, GB_LINEAR = 39420 };

static iconv_t
open_or_die(const char *name)
{
	iconv_t cd = iconv_open("UTF-32LE", name);

	if (cd == (iconv_t)-1) {
		fprintf(stderr, "mktables: iconv does not know %s: install the gconv modules of the C library\n", name);
		exit(1);
	}
	return cd;
}

/* One character of n bytes as a code point of the basic plane; 0: it is none. */
static unsigned
convert(iconv_t cd, const unsigned char *bytes, size_t n)
{
	char in[4], *pi = in, *po;
	uint32_t out[4] = { 0 };
	size_t left = n, room = sizeof(out);

	memcpy(in, bytes, n);
	po = (char *)out;
	iconv(cd, NULL, NULL, NULL, NULL);
	if (iconv(cd, &pi, &left, &po, &room) == (size_t)-1 || left)
		return 0;
	/* UHC and windows-1255, -1258 hold characters back until the next one is known */
	iconv(cd, NULL, NULL, &po, &room);
	return room == sizeof(out) - 4 && out[0] < BMP ? out[0] : 0;
}

static void
put(unsigned v, unsigned *column)
{
	printf("%u,%s", v, ++*column % 24 ? "" : "\n");
}

static void
write_singles(void)
{
	unsigned column = 0;

	printf("const struct charset_single charset_singles[] = {\n");
	for (size_t i = 0; i < sizeof(singles) / sizeof(*singles); i++) {
		iconv_t cd = open_or_die(singles[i]);

		printf("{ \"%s\", {\n", singles[i]);
		for (unsigned c = 0x80; c <= 0xff; c++) {
			unsigned char byte = (unsigned char)c;

			put(convert(cd, &byte, 1), &column);
		}
		printf("} },\n");
		iconv_close(cd);
	}
	printf("};\nconst unsigned charset_nsingles = %zu;\n", sizeof(singles) / sizeof(*singles));
}

static void
write_double(const char *name)
{
	iconv_t cd = open_or_die(name);
	unsigned column = 0;

	printf("{\n");
	for (unsigned lead = 0; lead < LEADS; lead++)
		for (unsigned trail = 0; trail < TRAILS; trail++) {
			unsigned char two[2] = { (unsigned char)(lead + FIRST_LEAD), (unsigned char)(trail + FIRST_TRAIL) };
			unsigned v = convert(cd, two, 2);

			put(v, &column);
		}
	printf("},\n");
	iconv_close(cd);
}

/* GB18030 in four bytes: runs of code points in the order of their linear number */
static void
write_gb_ranges(void)
{
	iconv_t cd = open_or_die("GB18030");
	unsigned last = 0, n = 0;

	printf("const struct charset_run charset_gb18030[] = {\n");
	for (unsigned i = 0; i < GB_LINEAR; i++) {
		unsigned char four[4] = {
			(unsigned char)(0x81 + i / 12600), (unsigned char)(0x30 + i / 1260 % 10),
			(unsigned char)(0x81 + i / 10 % 126), (unsigned char)(0x30 + i % 10),
		};
		unsigned v = convert(cd, four, 4);

		if (i == 0 || v != last + 1) {
			printf("{ %u, %u },\n", i, v);
			n++;
		}
		last = v;
	}
	printf("};\nconst unsigned charset_ngb18030 = %u;\n", n);
	iconv_close(cd);
}

/* Capital letters: runs of step 1 or 2 with one distance to their small letters */
static void
write_small_letters(void)
{
	unsigned n = 0;
	uint32_t cp = 0x80;

	if (!setlocale(LC_CTYPE, "C.UTF-8")) {
		fprintf(stderr, "mktables: there is no locale C.UTF-8\n");
		exit(1);
	}
	printf("const struct charset_case charset_cases[] = {\n");
	while (cp < 0x1f000) {
		int32_t by = (int32_t)towlower((wint_t)cp) - (int32_t)cp;
		uint32_t to = cp, step;

		if (by == 0) {
			cp++;
			continue;
		}
		step = (int32_t)towlower((wint_t)cp + 1) - (int32_t)(cp + 1) == by ? 1 : 2;
		while ((int32_t)towlower((wint_t)(to + step)) - (int32_t)(to + step) == by &&
		    (step == 1 || towlower((wint_t)to + 1) == to + 1))
			to += step;
		printf("{ %u, %u, %u, %d },\n", cp, to, step, by);
		n++;
		cp = to + 1;
	}
	printf("};\nconst unsigned charset_ncases = %u;\n", n);
}

int
main(void)
{
	printf("/* Written by mktables.c. */\n#include \"mail/charset/tables.h\"\n\n");
	write_singles();
	printf("const uint16_t charset_doubles[][%d * %d] = {\n", LEADS, TRAILS);
	for (size_t i = 0; i < sizeof(doubles) / sizeof(*doubles); i++)
		write_double(doubles[i]);
	printf("};\n");
	write_gb_ranges();
	write_small_letters();
	return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
