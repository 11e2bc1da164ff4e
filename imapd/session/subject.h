/* subject.h: base subjects (RFC 5256 2.1): what is left of a subject without "Re:", "[list]" and "(fwd)". */
#ifndef IMAP_SUBJECT_H
#define IMAP_SUBJECT_H

#include "base/buf.h"

/*
 * folded: a Subject as fold_header leaves it; its blanks are made single here. The base is a part of it.
 * *reply: something that marks a reply or a forward was there. Linear.
 */
struct span subject_base(struct buf *folded, bool *reply);

#endif
