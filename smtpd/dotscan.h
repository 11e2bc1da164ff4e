/*
 * dotscan.h: where a message ends. Only CR LF . CR LF ends it, and a dot is
 * removed only behind CR LF (RFC 5321 4.1.1.4, 4.5.2); a bare CR, a bare LF or a
 * NUL is content like any other byte. Everything else passes unchanged.
 */
#ifndef SMTPD_DOTSCAN_H
#define SMTPD_DOTSCAN_H

#include "base/buf.h"

struct dotscan {
	enum { DS_LINE_START, DS_DOT, DS_DOT_CR, DS_TEXT, DS_CR, DS_END } at;
};

void dotscan_init(struct dotscan *d);

/*
 * Append content to out while it has room for two more bytes. Returns how many
 * bytes of `in` were used; less than all when out is full or the end was found
 * (d->at == DS_END: what is behind it is the next command).
 */
size_t dotscan_feed(struct dotscan *d, struct span in, struct buf *out);

#endif
