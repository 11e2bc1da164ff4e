/* date.h: dates of headers (RFC 5322 3.3, obsolete zones too) and of IMAP. Pure functions over hostile text. */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include <time.h>

#include "base/span.h"

/*
 * `zone`: minutes east of UTC. The calendar day that the writer saw is that of *t + *zone * 60, read as UTC
 * (for IMAP SENTON).
 */
bool date_parse(struct span s, time_t *t, int *zone) CHECKED;		/* Date: header; comments and folding are fine */

/* "17-Jul-1996 02:44:25 -0700", day blank-padded (RFC 9051 date-time, without its quotes) */
#define DATE_IMAP_MAX 32
const char *date_format_imap(time_t t, int zone, char out[DATE_IMAP_MAX]);
bool date_parse_imap(struct span s, time_t *t, int *zone) CHECKED;
/* "1-Feb-1994" of SEARCH: the first second of that day, as UTC */
bool date_parse_day(struct span s, time_t *day) CHECKED;

#endif
