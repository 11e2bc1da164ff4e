/* utf7.h: modified UTF-7 of mailbox names (RFC 3501 5.1.3) to and from UTF-8. Strict: one name has one spelling. */
#ifndef IMAP_UTF7_H
#define IMAP_UTF7_H

#include "base/buf.h"
#include "mail/charset/charset.h"

/* Appends UTF-8. false: not valid (bad base64, lone surrogates, encoded ASCII, 8-bit, controls), or out is full. */
bool utf7_decode(struct buf *out, struct span name) CHECKED;
/* name: well-formed UTF-8. false: it is not, or out is full. */
bool utf7_encode(struct buf *out, struct span name) CHECKED;

#endif
