/* tables.h: tables that are made while Merpati is built (tables/mktables.c). For the files of this folder. */
#ifndef MAIL_CHARSET_TABLES_H
#define MAIL_CHARSET_TABLES_H

#include <stdint.h>

/* One byte a character: the upper half; 0: not assigned. */
struct charset_single {
	const char *name;
	uint16_t upper[128];
};
extern const struct charset_single charset_singles[];
extern const unsigned charset_nsingles;

/* Two bytes a character, by lead and trail byte; 0: not assigned. */
enum { DOUBLE_CP932, DOUBLE_GB18030, DOUBLE_BIG5, DOUBLE_UHC };
#define DOUBLE_LEAD 0x81
#define DOUBLE_LEADS 126
#define DOUBLE_TRAIL 0x40
#define DOUBLE_TRAILS 191
extern const uint16_t charset_doubles[][DOUBLE_LEADS * DOUBLE_TRAILS];

/* GB18030's four bytes as a number; from `linear` on, code points that follow each other. */
struct charset_run {
	uint16_t linear, cp;
};
extern const struct charset_run charset_gb18030[];
extern const unsigned charset_ngb18030;

/* Capitals of one distance to their small letters, ascending. */
struct charset_case {
	uint32_t from, to, step;
	int32_t by;
};
extern const struct charset_case charset_cases[];
extern const unsigned charset_ncases;

#endif
