/*
 * fuzz_milter.c: what a milter sends: packets, each read as an answer to every step; what passes makes one field or one reply, and no more.
 * links: smtpd/milter_wire.c smtpd/reply.c
 */
#include <stdlib.h>
#include <string.h>

#include "mail/header.h"
#include "smtpd/milter_wire.h"

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
one_field(const struct milter_reply *r)
{
	struct header_cursor c;
	struct header h;
	struct buf out;
	const char *why;

	buf_init(&out, 1 << 20);
	if (milter_field(r, r->index & 1, &out, &why)) {
		header_begin(&c, buf_span(&out));
		if (!header_next(&c, &h) || !span_eq_nocase(h.name, r->name) || header_next(&c, &h) || memchr(out.p, '\0', out.len) || memchr(out.p, '\r', out.len))
			abort();
	}
	buf_fini(&out);
}

static void
one_text(struct span text)
{
	struct reply r;
	struct buf out;

	if (!milter_reply_text(text, &r))
		return;
	if (r.code < 400 || r.code > 599 || !memchr(r.text, '\0', sizeof(r.text)) || !memchr(r.dsn, '\0', sizeof(r.dsn)))
		abort();
	buf_init(&out, 1 << 16);
	reply_format(&r, &out);
	buf_fini(&out);
}

static void
one_packet(struct span packet)
{
	struct milter_reply r;
	struct span names;
	const char *why;
	uint32_t stage;

	for (int step = 0; step < MILTER_STEPS; step++) {
		if (!milter_parse(packet, (enum milter_step)step, 0x1ff, &r, &why))
			continue;
		if (r.kind >= MA_ADD_HEADER && r.kind <= MA_CHANGE_HEADER)
			one_field(&r);
		if (r.kind == MA_REPLY)
			one_text(r.value);
		while (r.kind == MA_OPTIONS && milter_symbols(&r.value, &stage, &names))
			if (memchr(names.p, '\0', names.n))
				abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_of(data, n), packet;
	size_t used;

	if (n > 1 << 16)
		return 0;
	while (milter_packet(in, &packet, &used) == MILTER_OK) {
		one_packet(packet);
		in = span_skip(in, used);
	}
	one_packet(span_of(data, n));
	return 0;
}
