/*
 * downgrade.h: a message in 8 bits to one in 7, for a server without 8BITMIME
 * (RFC 6152 3): parts with 8-bit content become quoted-printable (RFC 2045 6.7),
 * what contains them 7bit. What no encoding can help stays: 8-bit text in
 * headers, and parts of types that may have no encoding.
 */
#ifndef SMTP_DOWNGRADE_H
#define SMTP_DOWNGRADE_H

#include "base/buf.h"

struct downgrade;

/*
 * The message is the first len bytes of fd, mapped while this lives; header (borrowed) stands for its first `skip` bytes,
 * which are whole header fields. NULL: it cannot be done, and errno. Linear.
 */
struct downgrade *downgrade_new(int fd, uint64_t len, struct span header, uint64_t skip);
/* Append about `most` bytes of the new message, LF lines. False: that was all. */
bool downgrade_next(struct downgrade *d, size_t most, struct buf *out);
void downgrade_free(struct downgrade *d);		/* NULL is fine */

#endif
