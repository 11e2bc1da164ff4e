/*
 * mime.h: the structure of a message (RFC 2045, 2046) as an array of parts.
 *
 * A walker without recursion, linear in the size of the message. What is past
 * the limits, or has an impossible boundary, stays opaque text: nothing is
 * ever refused. Reads hostile bytes.
 *
 *   part 0           the message itself
 *   MIME_MULTIPART   its children are the body parts, in order
 *   MIME_MESSAGE     one child: the embedded message
 *   MIME_LEAF        no children
 */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include "base/arena.h"
#include "base/buf.h"

#define MIME_DEPTH_MAX 100
#define MIME_PARTS_MAX 10000
#define MIME_BOUNDARY_MAX 70		/* RFC 2046 5.1.1 */
#define MIME_ARENA_MAX (16u << 20)	/* enough for MIME_PARTS_MAX parts */

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

/* A run of bytes of the message, and what it is on the wire: every bare LF counted as CRLF. */
struct mime_run {
	size_t at, len;
	size_t lines;			/* line ends in it */
	size_t crlf;			/* len as sent with CRLF */
};

struct mime_part {
	enum mime_kind kind;
	uint32_t parent;		/* index; MIME_NONE for part 0 */
	uint32_t child, next;		/* first child, next sibling; MIME_NONE when there is none */
	uint32_t number;		/* among its siblings, from 1 */
	uint32_t depth;
	struct mime_run header;		/* with the blank line */
	struct mime_run body;		/* without the line end that belongs to the next boundary */

	/* Raw header values, spans into the message (folded, comments and all); "" when absent. */
	struct span type, subtype;	/* of Content-Type; "text" and "plain" (or "message", "rfc822" in a digest) when absent */
	struct span params;		/* behind type/subtype, for mime_param_next */
	struct span id, description, encoding, md5, language, location;
	struct span disposition;	/* the first word of Content-Disposition */
	struct span disposition_params;
};
#define MIME_NONE UINT32_MAX

struct mime {
	struct span msg;
	struct mime_part *parts;	/* in the arena; parents come before their children */
	uint32_t n;
	bool cut;			/* a limit was met: some part is opaque though it claims otherwise */
};

/* The result lives in the arena and points into msg. false: the arena is too small (m->n is 0). */
bool mime_parse(struct mime *m, struct arena *a, struct span msg) CHECKED;

/*
 * The next parameter "; name=value" of *rest. The name is a span of the input, the value is unquoted into
 * *value (cleared first). Attributes of RFC 2231 come as they are ("filename*0*"). false at the end.
 */
bool mime_param_next(struct span *rest, struct span *name, struct buf *value);
/* The first one of that name, else what RFC 2231 makes of its pieces (bytes in their charset); false: none. */
bool mime_param(struct span params, const char *name, struct buf *value);

/* A part by its IMAP path: numbers from 1 ({1,2} = "1.2"), through embedded messages. MIME_NONE: no such part. */
uint32_t mime_find(const struct mime *m, const uint32_t *path, size_t n);

#endif
