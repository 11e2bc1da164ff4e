/* b64.h: base64 (RFC 4648), strict: no blanks, right padding, no stray bits. */
#ifndef BASE_B64_H
#define BASE_B64_H

#include "base/buf.h"

void b64_encode(struct buf *out, struct span in);
bool b64_decode(struct buf *out, struct span in) CHECKED;	/* false: not base64, or out is full */

#endif
