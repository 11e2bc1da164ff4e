/*
 * headeraddr.h: the addresses of a field such as From or To, replaced where they stand; names, comments, folding and
 * whatever is not well-formed stay as they are. Hostile bytes; one walk, no recursion.
 */
#ifndef MAIL_HEADERADDR_H
#define MAIL_HEADERADDR_H

#include "base/buf.h"

/*
 * f gets each address as it is written ("a@b", "bob"), not empty, and appends another to out: true; or leaves it: false.
 * Appends the value with the replacements to out.
 */
void headeraddr_rewrite(struct span value, bool (*f)(void *ctx, struct span address, struct buf *out), void *ctx, struct buf *out);

/* The same for all fields of a header that name senders (sender: From, Reply-To ...) or recipients (To, Cc ...). */
void headeraddr_rewrite_all(struct span header, bool (*f)(void *ctx, bool sender, struct span address, struct buf *out), void *ctx,
    struct buf *out);

#endif
