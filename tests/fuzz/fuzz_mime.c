/* The structure walker: every run lies in the message and in its parent, and its sizes are true. */
#include <stdlib.h>

#include "mail/mime.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_run(struct span msg, const struct mime_run *r)
{
	size_t lines = 0, bare = 0;

	if (r->at > msg.n || r->len > msg.n - r->at)
		abort();
	for (size_t i = r->at; i < r->at + r->len; i++) {
		lines += msg.p[i] == '\n';
		bare += msg.p[i] == '\n' && (i == 0 || msg.p[i - 1] != '\r');
	}
	if (r->lines != lines || r->crlf != r->len + bare)
		abort();
}

static void
check_part(const struct mime *m, uint32_t i)
{
	const struct mime_part *p = &m->parts[i], *up;
	struct span rest = p->params, name;
	struct buf value;

	check_run(m->msg, &p->header);
	check_run(m->msg, &p->body);
	if (p->depth >= MIME_DEPTH_MAX || (i == 0) != (p->parent == MIME_NONE) || p->type.n == 0 || p->subtype.n == 0)
		abort();
	if ((p->kind == MIME_LEAF) != (p->child == MIME_NONE))
		abort();
	if (i) {
		up = &m->parts[p->parent];
		/* the line end of the blank line behind a header may be that of the boundary at once */
		if (p->parent >= i || p->header.at < up->body.at || p->depth != up->depth + 1 ||
		    p->body.at + p->body.len > up->body.at + up->body.len + 2)
			abort();
	}
	buf_init(&value, 1000);
	while (mime_param_next(&rest, &name, &value))
		if (name.n == 0)
			abort();
	buf_fini(&value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span s = span_of(n ? (const char *)data : "", n);
	struct arena a;
	struct mime m;

	arena_init(&a, MIME_ARENA_MAX);
	if (!mime_parse(&m, &a, s) || m.n == 0 || m.n > MIME_PARTS_MAX)
		abort();
	for (uint32_t i = 0; i < m.n; i++)
		check_part(&m, i);
	mime_find(&m, (uint32_t[]){ 1, 2, 1 }, 3);
	arena_fini(&a);
	return 0;
}
