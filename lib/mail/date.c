/* date.c: dates of headers and of IMAP. Hostile text; every number is bounded. */
#include "mail/date.h"

#include <stdio.h>

#include "mail/header.h"
#include "base/banned.h"

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	"Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

/* RFC 5322 4.3; anything else, military letters too, means "unknown": 0 */
static const struct { const char *name; int minutes; } zones[] = {
	{ "EST", -300 }, { "EDT", -240 }, { "CST", -360 }, { "CDT", -300 },
	{ "MST", -420 }, { "MDT", -360 }, { "PST", -480 }, { "PDT", -420 },
};

static bool
take_char(struct span *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = span_skip(*s, 1);
	return true;
}

static bool
take_number(struct span *s, size_t min_digits, size_t max_digits, int *out, size_t *digits)
{
	size_t n = 0;
	int v = 0;

	while (n < s->n && n < max_digits && s->p[n] >= '0' && s->p[n] <= '9')
		v = v * 10 + (s->p[n++] - '0');
	if (n < min_digits || (n < s->n && s->p[n] >= '0' && s->p[n] <= '9'))
		return false;
	*s = span_skip(*s, n);
	*out = v;
	if (digits)
		*digits = n;
	return true;
}

static struct span
take_letters(struct span *s)
{
	size_t n = 0;
	struct span word;

	while (n < s->n && ascii_lower(s->p[n]) >= 'a' && ascii_lower(s->p[n]) <= 'z')
		n++;
	word = span_sub(*s, 0, n);
	*s = span_skip(*s, n);
	return word;
}

static bool
take_month(struct span *s, int *mon)
{
	struct span word = take_letters(s);

	for (int i = 0; i < 12; i++) {
		if (!span_is_nocase(word, months[i]))
			continue;
		*mon = i;
		return true;
	}
	return false;
}

static int
days_in(int mon, int year)
{
	static const int days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[mon] + (mon == 1 && leap);
}

static bool
valid(const struct tm *tm)
{
	return tm->tm_year >= 1900 && tm->tm_mday >= 1 && tm->tm_mday <= days_in(tm->tm_mon, tm->tm_year) &&
	    tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60;
}

/* tm_year holds the full year here. */
static time_t
seconds_of(const struct tm *in, int zone)
{
	struct tm tm = *in;

	tm.tm_year -= 1900;
	return timegm(&tm) - (time_t)zone * 60;
}

static bool
take_hhmm(struct span *s, int *zone)
{
	int sign, v;

	if (s->n == 0 || (s->p[0] != '+' && s->p[0] != '-'))
		return false;
	sign = s->p[0] == '-' ? -1 : 1;
	*s = span_skip(*s, 1);
	if (!take_number(s, 4, 4, &v, NULL) || v % 100 > 59 || v / 100 > 23)
		return false;
	*zone = sign * (v / 100 * 60 + v % 100);
	return true;
}

static int
take_zone(struct span *s)
{
	struct span word;
	int zone = 0;

	if (take_hhmm(s, &zone))
		return zone;
	word = take_letters(s);
	for (size_t i = 0; i < NELEMS(zones); i++)
		if (span_is_nocase(word, zones[i].name))
			return zones[i].minutes;
	return 0;
}

static bool
take_time(struct span *s, struct tm *tm)
{
	if (!take_number(s, 1, 2, &tm->tm_hour, NULL))
		return false;
	*s = header_skip_cfws(*s);
	if (!take_char(s, ':'))
		return false;
	*s = header_skip_cfws(*s);
	if (!take_number(s, 1, 2, &tm->tm_min, NULL))
		return false;
	*s = header_skip_cfws(*s);
	if (!take_char(s, ':'))
		return true;
	*s = header_skip_cfws(*s);
	return take_number(s, 1, 2, &tm->tm_sec, NULL);
}

/* RFC 5322 4.3: years of two and three digits */
static int
full_year(int year, size_t digits)
{
	if (digits == 2)
		return year < 50 ? year + 2000 : year + 1900;
	return digits == 3 ? year + 1900 : year;
}

bool
date_parse(struct span s, time_t *t, int *zone)
{
	struct tm tm = { 0 };
	size_t digits;

	s = header_skip_cfws(s);
	if (take_letters(&s).n) {		/* the day of the week; it may be wrong, nobody minds */
		s = header_skip_cfws(s);
		take_char(&s, ',');
		s = header_skip_cfws(s);
	}
	if (!take_number(&s, 1, 2, &tm.tm_mday, NULL))
		return false;
	s = header_skip_cfws(s);
	take_char(&s, '-');
	if (!take_month(&s, &tm.tm_mon))
		return false;
	take_char(&s, '-');
	s = header_skip_cfws(s);
	if (!take_number(&s, 2, 4, &tm.tm_year, &digits))
		return false;
	tm.tm_year = full_year(tm.tm_year, digits);
	s = header_skip_cfws(s);
	if (s.n && !take_time(&s, &tm))
		return false;
	s = header_skip_cfws(s);
	if (!valid(&tm))
		return false;
	*zone = take_zone(&s);
	*t = seconds_of(&tm, *zone);
	return true;
}

const char *
date_format_imap(time_t t, int zone, char out[DATE_IMAP_MAX])
{
	time_t local = t + (time_t)zone * 60;
	int off = zone < 0 ? -zone : zone;
	struct tm tm;

	if (!gmtime_r(&local, &tm) || tm.tm_year > 9999 - 1900 || tm.tm_year < 0) {
		local = 0;
		gmtime_r(&local, &tm);
	}
	snprintf(out, DATE_IMAP_MAX, "%2d-%s-%04d %02d:%02d:%02d %c%02d%02d", tm.tm_mday, months[tm.tm_mon],
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, zone < 0 ? '-' : '+', off / 60 % 100, off % 60);
	return out;
}

static bool
take_day(struct span *s, struct tm *tm)
{
	return take_number(s, 1, 2, &tm->tm_mday, NULL) && take_char(s, '-') && take_month(s, &tm->tm_mon) &&
	    take_char(s, '-') && take_number(s, 4, 4, &tm->tm_year, NULL);
}

bool
date_parse_imap(struct span s, time_t *t, int *zone)
{
	struct tm tm = { 0 };

	take_char(&s, ' ');
	if (!take_day(&s, &tm) || !take_char(&s, ' ') ||
	    !take_number(&s, 2, 2, &tm.tm_hour, NULL) || !take_char(&s, ':') ||
	    !take_number(&s, 2, 2, &tm.tm_min, NULL) || !take_char(&s, ':') ||
	    !take_number(&s, 2, 2, &tm.tm_sec, NULL) || !take_char(&s, ' ') ||
	    !take_hhmm(&s, zone) || s.n || !valid(&tm))
		return false;
	*t = seconds_of(&tm, *zone);
	return true;
}

bool
date_parse_day(struct span s, time_t *day)
{
	struct tm tm = { 0 };

	if (!take_day(&s, &tm) || s.n || !valid(&tm))
		return false;
	*day = seconds_of(&tm, 0);
	return true;
}
