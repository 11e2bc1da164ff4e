/* message.c: one message of the selected folder, opened step by step, with its cached strings. */
#include "message.h"

#include "mail/header.h"
#include "base/banned.h"

void
message_init(struct message *m, struct session *s)
{
	*m = (struct message){ .s = s };
	mailtext_init(&m->text);
	arena_init(&m->arena, MIME_ARENA_MAX);
	buf_init(&m->string, MESSAGE_STRING_MAX);
}

void
message_fini(struct message *m)
{
	mailtext_fini(&m->text);
	arena_fini(&m->arena);
	buf_fini(&m->string);
}

void
message_choose(struct message *m, size_t index)
{
	m->index = index;
	m->depth = MESSAGE_CLOSED;
	m->parsed = false;
}

enum store_result
message_open(struct message *m, enum message_depth depth)
{
	enum store_result r;

	if (m->depth >= depth)
		return STORE_OK;
	m->parsed = false;
	if (depth == MESSAGE_HEAD)
		r = mailfolder_read_head(m->s->folder, m->index, MESSAGE_HEAD_MAX, &m->text);
	else
		r = mailfolder_read(m->s->folder, m->index, &m->text);
	m->depth = r == STORE_OK ? depth : MESSAGE_CLOSED;
	return r;
}

struct span
message_head(const struct message *m)
{
	return span_sub(m->text.text, 0, header_body(m->text.text));
}

const struct mime *
message_mime(struct message *m)
{
	if (!m->parsed) {
		arena_reset(&m->arena);
		m->parsed = mime_parse(&m->mime, &m->arena, m->text.text);
	}
	return m->parsed ? &m->mime : NULL;
}

static bool
from_cache(struct message *m, uint8_t kind, struct span *out)
{
	const struct mail_message *mm = session_message(m->s, m->index);

	if (!mailstore_cache_get(m->s->ms, &mm->id, kind, out) || out->n < 2 || out->p[0] != IMAP_STRING_VERSION)
		return false;
	*out = span_skip(*out, 1);
	return true;
}

bool
message_is_cached(struct message *m, enum imap_string kind)
{
	struct span text;

	/* ENVELOPE is made of the kept fields */
	return from_cache(m, (uint8_t)kind, &text) || (kind == CACHE_ENVELOPE && from_cache(m, CACHE_HEADER, &text));
}

/* m->string holds the version and the text. */
static void
to_cache(struct message *m, uint8_t kind, struct span *out)
{
	const struct mail_message *mm = session_message(m->s, m->index);

	if (!m->string.over)
		mailstore_cache_put(m->s->ms, &mm->id, kind, buf_span(&m->string));
	*out = span_skip(buf_span(&m->string), 1);
}

/* What is printed behind it is what to_cache() keeps. */
static void
begin_string(struct message *m)
{
	buf_reset(&m->string);
	buf_addc(&m->string, IMAP_STRING_VERSION);
}

/* The fields that ENVELOPE and the keys of SORT and THREAD are made of: as they were kept at the delivery, or of the file. */
static enum store_result
kept_head(struct message *m, struct span *head)
{
	enum store_result r;

	if (m->depth == MESSAGE_CLOSED && from_cache(m, CACHE_HEADER, head))
		return STORE_OK;
	r = message_open(m, MESSAGE_HEAD);
	*head = r == STORE_OK ? message_head(m) : SPAN_NONE;
	return r;
}

enum store_result
message_envelope(struct message *m, struct span *out)
{
	enum store_result r;
	struct span head, kept;

	if (from_cache(m, CACHE_ENVELOPE, out))
		return STORE_OK;
	r = kept_head(m, &head);
	if (r != STORE_OK)
		return r;
	if (m->depth != MESSAGE_CLOSED)
		message_computed(m, CACHE_HEADER, imap_header_keep, &kept);	/* the next question is for one of them */
	begin_string(m);
	envelope_print(&m->string, head);
	if (m->string.over) {
		*out = SPAN("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
		return STORE_OK;
	}
	to_cache(m, CACHE_ENVELOPE, out);
	return STORE_OK;
}

enum store_result
message_computed(struct message *m, enum imap_string kind, void (*make)(struct buf *out, struct span header),
    struct span *out)
{
	enum store_result r;
	struct span head;

	if (from_cache(m, kind, out))
		return STORE_OK;
	r = kept_head(m, &head);
	if (r != STORE_OK)
		return r;
	begin_string(m);
	make(&m->string, head);
	to_cache(m, kind, out);
	return STORE_OK;
}

/* The message as parts (NULL: past every bound) for a string that begins. */
static enum store_result
begin_of_parts(struct message *m, const struct mime **mime)
{
	enum store_result r = message_open(m, MESSAGE_WHOLE);

	if (r != STORE_OK)
		return r;
	*mime = message_mime(m);
	begin_string(m);
	return STORE_OK;
}

enum store_result
message_structure(struct message *m, bool extended, struct span *out)
{
	uint8_t kind = extended ? CACHE_BODYSTRUCTURE : CACHE_BODY;
	const struct mime *mime;
	enum store_result r;

	if (from_cache(m, kind, out))
		return STORE_OK;
	r = begin_of_parts(m, &mime);
	if (r != STORE_OK)
		return r;
	if (mime)
		structure_print(&m->string, mime, extended);
	if (!mime || m->string.over) {
		/* past every bound: an opaque block is still a true answer */
		buf_reset(&m->string);
		buf_addf(&m->string, "%c(\"application\" \"octet-stream\" NIL NIL NIL \"8bit\" %llu)", IMAP_STRING_VERSION,
		    (unsigned long long)wire_size(span_skip(m->text.text, header_body(m->text.text))));
	}
	to_cache(m, kind, out);
	return STORE_OK;
}

enum store_result
message_preview(struct message *m, struct span *out)
{
	const struct mime *mime;
	enum store_result r;

	if (from_cache(m, CACHE_PREVIEW, out))
		return STORE_OK;
	r = begin_of_parts(m, &mime);
	if (r != STORE_OK)
		return r;
	if (mime)
		preview_make(&m->string, mime);
	buf_addc(&m->string, ' ');	/* no kept string is empty */
	to_cache(m, CACHE_PREVIEW, out);
	return STORE_OK;
}

static bool
wanted(const struct section *sec, struct span name)
{
	bool named = false;

	for (uint32_t i = 0; i < sec->nfields && !named; i++)
		named = span_eq_nocase(sec->fields[i], name);
	return named == (sec->what == SECTION_FIELDS);
}

/* The fields asked for, and the blank line (RFC 9051 6.4.5.1). */
static struct span
pick_fields(struct message *m, const struct section *sec, struct span header)
{
	struct header_cursor c;
	struct header h;

	buf_reset(&m->string);
	header_begin(&c, header);
	while (header_next(&c, &h))
		if (wanted(sec, h.name))
			buf_addspan(&m->string, h.raw);
	buf_addc(&m->string, '\n');
	return buf_span(&m->string);
}

static struct span
run_of(const struct mime *mime, const struct mime_run *run)
{
	return span_sub(mime->msg, run->at, run->at + run->len);
}

/* A section of a part: HEADER, its fields and TEXT are those of an embedded message; MIME is the part's own header. */
static bool
part_section(struct message *m, const struct section *sec, const struct mime *mime, struct span *out)
{
	uint32_t i = mime_find(mime, sec->path, sec->depth);
	const struct mime_part *p;

	if (i == MIME_NONE)
		return false;
	p = &mime->parts[i];
	if (sec->what == SECTION_ALL || sec->what == SECTION_MIME) {
		*out = run_of(mime, sec->what == SECTION_ALL ? &p->body : &p->header);
		return true;
	}
	if (p->kind != MIME_MESSAGE || p->child == MIME_NONE)
		return false;
	p = &mime->parts[p->child];
	if (sec->what == SECTION_TEXT)
		*out = run_of(mime, &p->body);
	else if (sec->what == SECTION_HEADER)
		*out = run_of(mime, &p->header);
	else
		*out = pick_fields(m, sec, run_of(mime, &p->header));
	return true;
}

bool
message_field_kept(struct message *m, struct span name, struct span *head)
{
	if (!imap_header_kept(name))
		return false;
	if (m->depth == MESSAGE_CLOSED)
		return from_cache(m, CACHE_HEADER, head);
	return message_computed(m, CACHE_HEADER, imap_header_keep, head) == STORE_OK;
}

bool
message_fields_kept(struct message *m, const struct section *sec, struct span *head)
{
	if (sec->depth || sec->what != SECTION_FIELDS || m->depth != MESSAGE_CLOSED)
		return false;
	for (uint32_t i = 0; i < sec->nfields; i++)
		if (!imap_header_kept(sec->fields[i]))
			return false;
	return from_cache(m, CACHE_HEADER, head);
}

enum store_result
message_section(struct message *m, const struct section *sec, struct span *out, bool *found)
{
	bool head_only = sec->depth == 0 && sec->what != SECTION_ALL && sec->what != SECTION_TEXT;
	const struct mime *mime;
	enum store_result r;
	struct span head;

	if (message_fields_kept(m, sec, &head)) {
		*out = pick_fields(m, sec, head);
		*found = true;
		return STORE_OK;
	}
	r = message_open(m, head_only ? MESSAGE_HEAD : MESSAGE_WHOLE);
	*found = r == STORE_OK;
	*out = SPAN_NONE;
	if (r != STORE_OK)
		return r;
	if (sec->depth) {
		mime = message_mime(m);
		*found = mime && part_section(m, sec, mime, out);
	} else if (sec->what == SECTION_ALL) {
		*out = m->text.text;
	} else if (sec->what == SECTION_TEXT) {
		*out = span_skip(m->text.text, header_body(m->text.text));
	} else if (sec->what == SECTION_HEADER) {
		*out = message_head(m);
	} else {
		*out = pick_fields(m, sec, message_head(m));
	}
	return STORE_OK;
}
