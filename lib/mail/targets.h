/*
 * targets.h: text that says where mail shall go: members of a list, a .forward, next hops. Words separated by line ends, commas
 * or blanks; quotes hold a word together; "#" up to the line's end and "(...)" are comments. The text may be that of
 * an ordinary user. Linear; blocks on nothing.
 */
#ifndef MAIL_TARGETS_H
#define MAIL_TARGETS_H

#include "base/span.h"

/* f gets each word as it is written, quotes included, and its line from 1; false stops. False: f stopped. */
bool targets_each(struct span text, bool (*f)(void *ctx, struct span word, unsigned line), void *ctx);

/*
 * The next target of an alias's value, as it is written: separated by commas, blanks or line ends; quotes hold one together,
 * and the arguments of a program ("|...") stay with it up to the comma. False: there is none.
 */
bool targets_next(struct span *list, struct span *out);

/* People leave out what they need not say: a next hop "[host]:port" answers to "[host]" and "host" too, "domain:port" to "domain". */
bool targets_hop_is(struct span hop, struct span name);

#endif
