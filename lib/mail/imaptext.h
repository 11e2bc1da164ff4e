/*
 * imaptext.h: what IMAP tells of a message, as text: ENVELOPE, BODYSTRUCTURE (RFC 9051 7.5.2); and the strings that are
 * kept of one, so that nobody has to open it: made by whoever has the message in memory when it comes. Pure functions
 * over what strangers wrote; the texts are ready to be sent.
 */
#ifndef MAIL_IMAPTEXT_H
#define MAIL_IMAPTEXT_H

#include "base/buf.h"
#include "mail/mime.h"

/* nstring: quoted where possible, a literal where not */
void print_string(struct buf *out, struct span text);
/* A header value, unfolded and trimmed, at most max bytes of it; `empty` when nothing is left. */
void print_header(struct buf *out, struct span value, size_t max, const char *empty);

void envelope_print(struct buf *out, struct span header);
void structure_print(struct buf *out, const struct mime *mime, bool extended);
/* ("charset" "utf-8") or NIL; text: of a text part, which has a charset in any case */
void params_print(struct buf *out, struct span params, bool text);

/* ---- strings that are kept ---- */

/* Each begins with the version: another one is not understood. */
#define IMAP_STRING_VERSION '2'

enum imap_string {
	CACHE_ENVELOPE = 1, CACHE_BODYSTRUCTURE = 2, CACHE_BODY = 3, CACHE_SORT = 4, CACHE_THREAD = 5, CACHE_PREVIEW = 6,
	CACHE_HEADER = 7,		/* the fields that imap_header_kept() names, raw, in their order */
};

/*
 * Several strings in one: u8 kind, u32 length (little endian), bytes, and so on. *out has what fits of
 * header, BODY and BODYSTRUCTURE of a whole message with LF line ends; it may stay empty.
 */
#define IMAP_STRINGS_MAX (24u << 10)
void imap_strings(struct span message, struct buf *out);
/* Of a message whose beginning alone is in memory: the header's, if all of the header is there. */
void imap_strings_of_header(struct span beginning, struct buf *out);
/* The next of them; false at the end, or where they are damaged. */
bool imap_strings_next(struct span *rest, uint8_t *kind, struct span *string);
/* The one of that kind; false: it is not there. */
bool imap_strings_find(struct span strings, uint8_t kind, struct span *string);

/* The text of CACHE_HEADER, without its version. */
void imap_header_keep(struct buf *out, struct span header);
/* Is that field among those of CACHE_HEADER? All that clients ask for when they list messages. */
bool imap_header_kept(struct span name);

#endif
