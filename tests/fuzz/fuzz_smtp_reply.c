/*
 * Replies of SMTP servers: any bytes, in pieces.
 * links: smtp/reply.c
 */
#include <assert.h>

#include "smtp/reply.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_of(data, n);
	enum reply_state st = REPLY_DONE;
	struct reply r;
	size_t used;

	reply_init(&r);
	while (in.n && st == REPLY_DONE) {
		st = reply_take(&r, in, &used);
		assert(used <= in.n && r.text.len <= REPLY_TEXT_MAX && r.lines <= REPLY_LINES_MAX);
		if (st == REPLY_DONE)
			assert(used > 0 && r.code >= 200 && r.code <= 599);
		in = span_skip(in, used);
		reply_reset(&r);
	}
	reply_fini(&r);
	return 0;
}
