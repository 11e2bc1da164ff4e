/*
 * regex.h: regular expressions for regexp: and pcre: tables, by PCRE2. Its own
 * library: only programs whose tables may have them link it. Patterns are
 * root's, subjects are strangers'; the effort of one match is bounded.
 */
#ifndef REGEX_REGEX_H
#define REGEX_REGEX_H

void regex_init(void);		/* before the first table is opened */

#endif
