/*
 * cmd_compress.c: COMPRESS DEFLATE (RFC 4978). The front compresses, because it is where TLS is: the last byte of the
 * answer goes to it with a descriptor in hand, and what follows that byte is compressed, both ways.
 */
#include "session.h"

#include "base/banned.h"

struct reply
cmd_compress(struct session *s, struct command *c)
{
	struct span mechanism;

	if (!parse_space(&c->args) || !parse_atom(&c->args, &mechanism) || !parse_end(&c->args))
		return reply_bad(c);
	if (!span_is_nocase(mechanism, "DEFLATE"))
		return reply_no("CANNOT", "Mechanism is not known");
	if (s->compressed)
		return reply_no("COMPRESSIONACTIVE", "Compression is on already");
	stream_putspan(&s->io, c->tag);
	stream_puts(&s->io, " OK Compression is on from here\r");
	s->compressed = true;
	if (stream_end_loan(&s->io) && stream_mark(&s->io, '\n'))
		s->io.total_out++;
	s->io.ask = false;
	return (struct reply){ REPLY_NONE, NULL, NULL };
}
