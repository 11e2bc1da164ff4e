/* binary.h: BINARY and BINARY.SIZE of a message (RFC 3516). */
#ifndef IMAP_BINARY_H
#define IMAP_BINARY_H

#include "message.h"

enum binary_result {
	BINARY_OK,
	BINARY_MISSING,		/* no such part: NIL */
	BINARY_UNKNOWN,		/* of an encoding that nobody knows: NIL, and the command's answer is UNKNOWN-CTE */
};
enum store_result binary_size(struct message *m, const struct section *sec, uint64_t *size, enum binary_result *r);
/* The value as literal, literal8 (with NULs) or NIL: `count` bytes of it at most. */
enum store_result binary_put(struct message *m, const struct section *sec, uint64_t from, uint64_t count, enum binary_result *r);

#endif
