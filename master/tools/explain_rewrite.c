/* explain_rewrite.c: what intake makes of the addresses of an envelope, by intake's own code. Tables are the operator's. */
#include "explain.h"

#include "common/queue.h"
#include "rewrite.h"
#include "base/banned.h"

static struct rewrite rewrite;

void
explain_rewrite_open(void)
{
	rewrite = rewrite_make(explain_maps);
}

bool
explain_rewrite(json_t *root, const char *name, unsigned class, struct span address, struct buf *out)
{
	size_t at = out->len;

	if (!address.n)
		return true;
	if (!rewrite_address(&rewrite, class, false, address, out)) {
		json_object_set_new(root, "trouble", json_string("a table of canonical addresses fails, or says no address: the message is put off"));
		return false;
	}
	if (!span_eq(span_skip(buf_span(out), at), address))
		json_object_set_new(root, name, queue_json_text(span_skip(buf_span(out), at)));
	return true;
}
