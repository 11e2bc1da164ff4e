/*
 * message.h: one message of the selected folder as IMAP sees it: sections,
 * envelope, body structure. Opened only as far as it is asked for: nothing, the
 * header, or all of it. Content is whatever a sender wrote.
 */
#ifndef IMAP_MESSAGE_H
#define IMAP_MESSAGE_H

#include "mail/mime.h"
#include "session.h"

#define MESSAGE_HEAD_MAX (1u << 20)	/* a longer header ends there */
#define MESSAGE_STRING_MAX (8u << 20)	/* an envelope or body structure */

enum message_depth { MESSAGE_CLOSED, MESSAGE_HEAD, MESSAGE_WHOLE };

struct message {
	struct session *s;
	size_t index;
	enum message_depth depth;
	struct mailtext text;
	struct arena arena;		/* of the MIME structure */
	struct mime mime;
	bool parsed;
	struct buf string;		/* envelope or structure, when it is not cached */
};

void message_init(struct message *m, struct session *s);
void message_fini(struct message *m);
void message_choose(struct message *m, size_t index);	/* another message; opens nothing */

/* At least that much of it is in m->text. STORE_GONE: expunged by others. */
enum store_result message_open(struct message *m, enum message_depth depth);
struct span message_head(const struct message *m);		/* header with its blank line */
const struct mime *message_mime(struct message *m);		/* of the whole message; NULL: too complex */

/* The index has it: it can be told without the file. */
bool message_is_cached(struct message *m, enum imap_string kind);

/* The answer texts; *out is borrowed until the next call. */
enum store_result message_envelope(struct message *m, struct span *out);
enum store_result message_structure(struct message *m, bool extended, struct span *out);

enum store_result message_preview(struct message *m, struct span *out);
/* Anything else that is made of the header alone; *out as above. */
enum store_result message_computed(struct message *m, enum imap_string kind,
    void (*make)(struct buf *out, struct span header), struct span *out);

/* Is this field of the message's own header among those that are kept? *head has them: they are kept from now on, when it is open. */
bool message_field_kept(struct message *m, struct span name, struct span *head);
/* Are these fields of the message's own header at hand without opening it? *head has them, among others. */
bool message_fields_kept(struct message *m, const struct section *sec, struct span *head);
/* The bytes of a section, LF line ends. *found false: there is no such part. Fields are gathered in m->string. */
enum store_result message_section(struct message *m, const struct section *sec, struct span *out, bool *found);

/* preview.c: the first words as UTF-8; nothing when there is no text */
void preview_make(struct buf *out, const struct mime *mime);

/* wire.c: LF to CRLF, NUL to '?' */
uint64_t wire_size(struct span text);
/* count of the bytes as sent; how many of them were not there */
uint64_t wire_put(struct stream *io, struct span text, uint64_t from, uint64_t count);

/* cmd_fetch.c: message data that nobody asked for just now, with the UID; reads set no flag. */
void fetch_tell(struct session *s, const struct fetch_list *list, const uint32_t *index, size_t n);

#endif
