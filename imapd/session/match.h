/* match.h: patterns of LIST: '*' is anything, '%' anything but the separator. Time is pattern x name at worst. */
#ifndef IMAP_MATCH_H
#define IMAP_MATCH_H

#include "base/span.h"

#define MATCH_PATTERN_MAX 1000

struct match {
	char pattern[MATCH_PATTERN_MAX];	/* runs of wildcards made one, "inbox" in upper case */
	size_t n;
	char sep;
};

bool match_compile(struct match *m, struct span pattern, char sep) CHECKED;	/* false: too long */
bool match_name(const struct match *m, struct span name);
bool match_name_ends_star(const struct match *m);	/* the pattern's last character is '*' */

#endif
