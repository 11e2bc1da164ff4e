/*
 * fuzz_imap_prelogin.c: what an IMAP client may send before it is logged in.
 * links: imapd/grammar.c
 */
#include "grammar.h"

#include <stdlib.h>

#include "service/front/line.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
parse(struct span command)
{
	struct span tag, verb, word, args;
	struct buf out;

	if (!imap_tag(&command, &tag) || !imap_space(&command) || !imap_atom(&command, &verb) || !imap_space(&command))
		return;
	buf_init(&out, 8192);
	args = command;
	if (imap_astring(&args, &out) && imap_space(&args) && imap_astring(&args, &out) && !imap_end(args))
		buf_reset(&out);
	args = command;
	if (imap_atom(&args, &word) && imap_space(&args) && imap_word(&args, &word) && !imap_end(args))
		buf_reset(&out);
	args = command;
	if (imap_id_list(&args) && !imap_end(args))
		buf_reset(&out);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct line_limits limits = { .line = 8192, .literal = 4096, .command = 16384 };
	struct span in = span_of(data, n);
	struct line_scan scan = { 0 };

	for (;;) {
		size_t end = 0;
		enum line_state s = line_scan(&scan, in, &limits, &end);

		if (s == LINE_MORE || s == LINE_TOO_LONG)
			return 0;
		if (s == LINE_GO_ON)
			continue;
		if (end == 0 || end > in.n)
			abort();
		parse(span_sub(in, 0, end));
		in = span_skip(in, end);
	}
}
