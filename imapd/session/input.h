/* input.h: one command from the client, lines and literals, within the bounds of the session. */
#ifndef IMAP_INPUT_H
#define IMAP_INPUT_H

#include "session.h"

enum input_result {
	INPUT_COMMAND,		/* s->line holds it; perhaps s->literal: the message of APPEND follows */
	INPUT_REFUSED,		/* a literal was too large or malformed, its bytes are gone: answer BAD with s->line's tag */
	INPUT_END,		/* the stream has ended, or must: s->io.end tells */
};
enum input_result input_command(struct session *s);
/* The message literal was not wanted: read past it, when the client sends it without being asked. */
void input_drop_literal(struct session *s);
/* The line behind the message literal, into `line`: empty, or the arguments of another message, whose literal is s->literal. */
bool input_more(struct session *s, struct buf *line);

/* Does the line end in a literal's size? ("{10}", "{10+}"; sizes past 64 bits are malformed) */
enum literal_kind { LITERAL_NONE, LITERAL_BAD, LITERAL_FOLLOWS };
enum literal_kind input_literal(struct span line, uint64_t *size, bool *sync);

/* The tag; empty when there is no valid one. *rest: behind its blank. */
struct span input_tag(struct span line, struct span *rest);

#endif
