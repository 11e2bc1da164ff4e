/*
 * fuzz_content.c: the walk of the checks: what comes out is what went in, and what is shown is the same however the
 * input is cut.
 * links: qmgr/intake/content.c
 */
#include <assert.h>
#include <stdint.h>

#include "qmgr/intake/checks.h"
#include "service/params.h"

#include "base/banned.h"

#undef NDEBUG
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static uint64_t shown;

bool checks_has(enum check_kind kind) { return kind < CHECKS; }
void intake_flush(struct intake *in) { (void)in; }

void
checks_ask(struct intake *in, enum check_kind kind, struct span raw, struct buf *out)
{
	(void)in;
	shown = shown * 31 + kind + 1;
	for (size_t i = 0; i < raw.n; i++)
		shown = shown * 31 + (unsigned char)raw.p[i];
	buf_addspan(out, raw);
}

static uint64_t
walk(struct span header, struct span body, size_t piece)
{
	static struct intake in;

	content_init(&in.content);
	buf_init(&in.out, 4 << 20);
	shown = 0;
	content_header(&in, header, &in.out);
	for (struct span rest = body; rest.n > 0; rest = span_skip(rest, piece < rest.n ? piece : rest.n))
		content_feed(&in, span_sub(rest, 0, piece < rest.n ? piece : rest.n));
	content_end(&in);
	assert(in.out.len == header.n + body.n && memcmp(in.out.p + header.n, body.p, body.n) == 0);
	content_fini(&in.content);
	buf_fini(&in.out);
	return shown;
}

/* The header is what stands before the first empty line. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span all = span_of(data, n);
	const char *end = n > 0 ? memmem(all.p, all.n, "\n\n", 2) : NULL;
	struct span header = span_sub(all, 0, end ? (size_t)(end - all.p) + 1 : 0), body = span_skip(all, header.n);

	if (n == 0 || n > 1 << 20)
		return 0;
	par.body_checks_size_limit = 1 << 20;
	assert(walk(header, body, body.n + 1) == walk(header, body, 7));
	return 0;
}
