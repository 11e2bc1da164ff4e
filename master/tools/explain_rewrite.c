/* explain_rewrite.c: what intake makes of an envelope: its addresses, and copies that the operator wants; by intake's own code. Tables are the operator's. */
#include "explain.h"

#include "bcc.h"
#include "common/queue.h"
#include "common/tool.h"
#include "rewrite.h"
#include "service/message.h"
#include "base/banned.h"

static struct rewrite rewrite;
static struct bcc bcc;

void
explain_rewrite_open(void)
{
	rewrite = rewrite_make(explain_maps);
	bcc_init(&bcc, par.always_bcc, explain_maps("sender_bcc_maps", par.sender_bcc_maps),
	    explain_maps("recipient_bcc_maps", par.recipient_bcc_maps), par.recipient_delimiter);
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

bool
explain_copies(json_t *root, struct span sender, struct span recipient)
{
	json_t *copies = json_array();
	struct span list, address;
	bool known;

	bcc_begin(&bcc);
	bcc_recipient(&bcc, recipient);
	known = bcc_end(&bcc, sender, &list);
	if (!known)
		json_object_set_new(root, "trouble", json_string("a table of copies fails: the message is put off"));
	while (known && msg_list_next(&list, &address))
		json_array_append_new(copies, queue_json_text(address));
	json_object_set_new(root, "copies", copies);
	return known;
}
