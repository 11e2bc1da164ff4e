/* cmd_fetch.c: FETCH and UID FETCH. */
#include "message.h"
#include "modseq.h"

#include "binary.h"
#include "mail/date.h"
#include "base/log.h"
#include "base/banned.h"

struct fetch {
	struct session *s;
	struct fetch_list list;
	struct message msg;
	struct buf out;			/* of small items, before they go to the stream */
	bool any;			/* an item of this message is out */
	bool unknown_cte;		/* some BINARY was in an encoding that is not known */
	bool missing;			/* some message was gone: the answer says so */
};

static void
begin_item(struct fetch *f)
{
	if (f->any)
		stream_putc(&f->s->io, ' ');
	f->any = true;
	buf_reset(&f->out);
}

static void
end_item(struct fetch *f)
{
	stream_putspan(&f->s->io, buf_span(&f->out));
}

static enum store_result
fetch_flags(struct fetch *f, const struct fetch_item *it UNUSED)
{
	buf_adds(&f->out, "FLAGS ");
	print_flags(f->s, &f->out, session_message(f->s, f->msg.index));
	return STORE_OK;
}

static enum store_result
fetch_uid(struct fetch *f, const struct fetch_item *it UNUSED)
{
	buf_adds(&f->out, "UID ");
	buf_addu(&f->out, session_message(f->s, f->msg.index)->uid);
	return STORE_OK;
}

static enum store_result
fetch_modseq(struct fetch *f, const struct fetch_item *it UNUSED)
{
	buf_adds(&f->out, "MODSEQ (");
	buf_addu(&f->out, session_message(f->s, f->msg.index)->modseq);
	buf_addc(&f->out, ')');
	return STORE_OK;
}

static enum store_result
fetch_date(struct fetch *f, const struct fetch_item *it UNUSED)
{
	char date[DATE_IMAP_MAX];

	date_format_imap((time_t)mailfolder_date(f->s->folder, f->msg.index), 0, date);
	buf_addf(&f->out, "INTERNALDATE \"%s\"", date);
	return STORE_OK;
}

static enum store_result
fetch_size(struct fetch *f, const struct fetch_item *it UNUSED)
{
	buf_adds(&f->out, "RFC822.SIZE ");
	buf_addu(&f->out, mailfolder_size(f->s->folder, f->msg.index));
	return STORE_OK;
}

static enum store_result
fetch_envelope(struct fetch *f, const struct fetch_item *it UNUSED)
{
	struct span text;
	enum store_result r = message_envelope(&f->msg, &text);

	if (r != STORE_OK)
		return r;
	stream_puts(&f->s->io, "ENVELOPE ");
	stream_putspan(&f->s->io, text);
	return STORE_OK;
}

static enum store_result
fetch_structure(struct fetch *f, const struct fetch_item *it)
{
	bool extended = it->what == FETCH_BODYSTRUCTURE;
	struct span text;
	enum store_result r = message_structure(&f->msg, extended, &text);

	if (r != STORE_OK)
		return r;
	stream_puts(&f->s->io, extended ? "BODYSTRUCTURE " : "BODY ");
	stream_putspan(&f->s->io, text);
	return STORE_OK;
}

/* BODY[text]<from> {n} and n bytes */
static enum store_result
fetch_section(struct fetch *f, const struct fetch_item *it)
{
	struct stream *io = &f->s->io;
	uint64_t size, from = it->partial ? it->from : 0;
	struct span text;
	bool found;
	enum store_result r = message_section(&f->msg, &it->section, &text, &found);

	if (r != STORE_OK)
		return r;
	if (it->name) {
		stream_puts(io, it->name);
	} else {
		stream_puts(io, "BODY[");
		stream_putspan(io, it->section.text);
		stream_putc(io, ']');
	}
	if (it->partial)
		stream_putf(io, "<%llu>", (unsigned long long)it->from);
	if (!found) {
		stream_puts(io, " NIL");
		return STORE_OK;
	}
	size = wire_size(text);
	size = from < size ? size - from : 0;
	if (it->partial && size > it->count)
		size = it->count;
	stream_putf(io, " {%llu}\r\n", (unsigned long long)size);
	/* somebody cut the file meanwhile (mapguard.h): what was announced must come */
	for (uint64_t lack = wire_put(io, text, from, size); lack; lack--)
		stream_putc(io, '?');
	return STORE_OK;
}

/* BINARY[1.2]<from> ~{n} and n bytes (RFC 3516 4.3) */
static enum store_result
fetch_binary(struct fetch *f, const struct fetch_item *it)
{
	struct stream *io = &f->s->io;
	enum binary_result r;
	enum store_result opened;

	stream_puts(io, "BINARY[");
	stream_putspan(io, it->section.text);
	stream_putc(io, ']');
	if (it->partial)
		stream_putf(io, "<%llu>", (unsigned long long)it->from);
	stream_putc(io, ' ');
	opened = binary_put(&f->msg, &it->section, it->partial ? it->from : 0, it->partial ? it->count : UINT64_MAX, &r);
	f->unknown_cte |= r == BINARY_UNKNOWN;
	f->missing |= opened != STORE_OK;
	return STORE_OK;	/* name and value are out in any case */
}

static enum store_result
fetch_binary_size(struct fetch *f, const struct fetch_item *it)
{
	enum binary_result r;
	uint64_t size;
	enum store_result opened = binary_size(&f->msg, &it->section, &size, &r);

	if (opened != STORE_OK)
		return opened;
	f->unknown_cte |= r == BINARY_UNKNOWN;
	buf_addf(&f->out, "BINARY.SIZE[%.*s] %llu", SPAN_FMT(it->section.text), (unsigned long long)size);
	return STORE_OK;
}

static enum store_result
fetch_preview(struct fetch *f, const struct fetch_item *it UNUSED)
{
	struct span text;
	enum store_result r = message_preview(&f->msg, &text);

	if (r != STORE_OK)
		return r;
	buf_adds(&f->out, "PREVIEW ");
	print_string(&f->out, span_trim_right(text));
	return STORE_OK;
}

static enum store_result
fetch_emailid(struct fetch *f, const struct fetch_item *it UNUSED)
{
	char id[EMAILID_MAX];

	print_emailid(f->s, f->msg.index, id);
	buf_addf(&f->out, "EMAILID (%s)", id);
	return STORE_OK;
}

/* Threads have no identity that would outlive the next message: RFC 8474 5.3 has NIL for it. */
static enum store_result
fetch_threadid(struct fetch *f, const struct fetch_item *it UNUSED)
{
	buf_adds(&f->out, "THREADID NIL");
	return STORE_OK;
}

static enum store_result
fetch_savedate(struct fetch *f, const struct fetch_item *it UNUSED)
{
	int64_t when = mailfolder_save_date(f->s->folder, f->msg.index);
	char date[DATE_IMAP_MAX];

	if (when < 0) {
		buf_adds(&f->out, "SAVEDATE NIL");
		return STORE_OK;
	}
	date_format_imap((time_t)when, 0, date);
	buf_addf(&f->out, "SAVEDATE \"%s\"", date);
	return STORE_OK;
}

static enum store_result (*const printers[])(struct fetch *f, const struct fetch_item *it) = {
	[FETCH_FLAGS] = fetch_flags,
	[FETCH_UID] = fetch_uid,
	[FETCH_MODSEQ] = fetch_modseq,
	[FETCH_INTERNALDATE] = fetch_date,
	[FETCH_SIZE] = fetch_size,
	[FETCH_ENVELOPE] = fetch_envelope,
	[FETCH_BODY] = fetch_structure,
	[FETCH_BODYSTRUCTURE] = fetch_structure,
	[FETCH_SECTION] = fetch_section,
	[FETCH_BINARY] = fetch_binary,
	[FETCH_BINARY_SIZE] = fetch_binary_size,
	[FETCH_PREVIEW] = fetch_preview,
	[FETCH_EMAILID] = fetch_emailid,
	[FETCH_THREADID] = fetch_threadid,
	[FETCH_SAVEDATE] = fetch_savedate,
};

static const struct {
	enum message_depth depth;
	enum imap_string cached;	/* the file is not needed when the index has this */
} needs[] = {
	[FETCH_ENVELOPE] = { MESSAGE_HEAD, CACHE_ENVELOPE },
	[FETCH_BODY] = { MESSAGE_WHOLE, CACHE_BODY },
	[FETCH_BODYSTRUCTURE] = { MESSAGE_WHOLE, CACHE_BODYSTRUCTURE },
	[FETCH_SECTION] = { MESSAGE_WHOLE, 0 },
	[FETCH_BINARY] = { MESSAGE_WHOLE, 0 },
	[FETCH_BINARY_SIZE] = { MESSAGE_WHOLE, 0 },
	[FETCH_PREVIEW] = { MESSAGE_WHOLE, CACHE_PREVIEW },
};

/* Open what will be needed before the first byte of the answer: a message that is gone then gives none at all. */
static enum store_result
open_message(struct fetch *f)
{
	enum message_depth depth = MESSAGE_CLOSED;
	struct span head;

	for (uint32_t i = 0; i < f->list.n; i++) {
		const struct fetch_item *it = &f->list.items[i];
		enum message_depth d = it->what < NELEMS(needs) ? needs[it->what].depth : MESSAGE_CLOSED;

		if (it->what == FETCH_SECTION && it->section.depth == 0 && it->section.what != SECTION_ALL &&
		    it->section.what != SECTION_TEXT)
			d = message_fields_kept(&f->msg, &it->section, &head) ? MESSAGE_CLOSED : MESSAGE_HEAD;
		if (d > depth && needs[it->what].cached && message_is_cached(&f->msg, needs[it->what].cached))
			d = MESSAGE_CLOSED;
		if (d > depth)
			depth = d;
	}
	return depth == MESSAGE_CLOSED ? STORE_OK : message_open(&f->msg, depth);
}

static bool
has_item(const struct fetch_list *list, enum fetch_what what)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (list->items[i].what == what)
			return true;
	return false;
}

static void
fetch_message(struct fetch *f, uint32_t index, bool seen_now)
{
	struct stream *io = &f->s->io;
	enum store_result r;

	message_choose(&f->msg, index);
	r = open_message(f);
	if (r != STORE_OK) {
		f->missing = true;
		if (r != STORE_GONE)
			log_warn(f->s->id, "message UID %u cannot be read: %s", session_message(f->s, index)->uid,
			    mailstore_cause(f->s->ms));
		return;
	}
	f->any = false;
	buf_reset(&f->out);
	print_fetch(f->s, &f->out, index, false);
	end_item(f);
	for (uint32_t i = 0; i < f->list.n; i++) {
		const struct fetch_item *it = &f->list.items[i];

		begin_item(f);
		if (printers[it->what](f, it) != STORE_OK) {
			/* gone between two items: the name is out, the value must follow */
			f->missing = true;
			buf_adds(&f->out, it->what == FETCH_ENVELOPE ? "ENVELOPE NIL" : "BODY NIL");
		}
		end_item(f);
	}
	if (seen_now) {
		begin_item(f);
		fetch_flags(f, NULL);
		end_item(f);
		if (f->s->enabled & ENABLED_CONDSTORE && !has_item(&f->list, FETCH_MODSEQ)) {
			begin_item(f);
			fetch_modseq(f, NULL);
			end_item(f);
		}
	}
	stream_puts(io, ")\r\n");
	f->s->fetched++;
}

/* Reading a body sets \Seen. New flags are written before the answers, so that they tell the truth. */
static bool *
mark_seen(struct fetch *f, const uint32_t *index, size_t n)
{
	uint32_t *unseen;
	bool *now, reads = false;
	size_t k = 0;

	for (uint32_t i = 0; i < f->list.n; i++)
		reads |= (f->list.items[i].what == FETCH_SECTION || f->list.items[i].what == FETCH_BINARY) && !f->list.items[i].peek;
	if (!reads || f->s->readonly)
		return NULL;
	unseen = arena_try(&f->s->arena, (n + 1) * sizeof(*unseen));
	now = arena_try(&f->s->arena, (n + 1) * sizeof(*now));
	if (!unseen || !now)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		now[i] = !(session_message(f->s, index[i])->flags & MFLAG_SEEN);
		if (now[i])
			unseen[k++] = index[i];
	}
	if (k && mailfolder_set_flags(f->s->folder, unseen, k, MAILFLAG_ADD, MFLAG_SEEN, 0, UINT64_MAX, NULL,
	    NULL) != STORE_OK)
		log_warn(f->s->id, "flags cannot be stored: %s", mailstore_cause(f->s->ms));
	return now;
}

/* What the answer must tell though nobody asked; first, as clients like it. */
static bool
add_item(struct parser *p, struct fetch_list *list, enum fetch_what what)
{
	if (has_item(list, what))
		return true;
	if (list->n == PARSE_ITEMS_MAX)
		return parse_fail(p, "Too many items");
	memmove(list->items + 1, list->items, list->n * sizeof(*list->items));
	list->items[0] = (struct fetch_item){ .what = what };
	list->n++;
	return true;
}

static bool
parse_arguments(struct session *s, struct command *c, struct fetch_list *list, struct seqset *set, struct modseq_fetch *m)
{
	struct parser *p = &c->args;
	bool qresync = s->enabled & ENABLED_QRESYNC;

	if (!parse_space(p) || !parse_seqset(p, set) || !parse_space(p) || !parse_fetch_list(p, list) ||
	    !modseq_parse_fetch(p, m) || !parse_end(p))
		return false;
	if (m->vanished && (!c->uid || !m->changed || !qresync))	/* RFC 7162 3.2.6 */
		return parse_fail(p, "VANISHED is for UID FETCH with CHANGEDSINCE, and after ENABLE QRESYNC");
	if (m->paged && !c->uid)
		return parse_fail(p, "PARTIAL is for UID FETCH");
	if (m->changed && !add_item(p, list, FETCH_MODSEQ))
		return false;
	/* UID FETCH always tells the UID (RFC 9051 6.4.9), MODSEQ goes with it (RFC 7162 3.2.4) */
	if (s->enabled & ENABLED_UIDONLY)
		return true;		/* UIDFETCH begins with it */
	return !(c->uid || (qresync && has_item(list, FETCH_MODSEQ))) || add_item(p, list, FETCH_UID);
}

/* Those that have changed since; ascending. */
static size_t
changed_since(const struct session *s, uint32_t *index, size_t n, uint64_t since)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++)
		if (session_message(s, index[i])->modseq > since)
			index[to++] = index[i];
	return to;
}

static struct reply
fetch(struct session *s, struct fetch_list *list, const uint32_t *index, size_t n)
{
	struct fetch f = { .s = s, .list = *list };
	bool *seen_now, has_flags = has_item(list, FETCH_FLAGS);

	message_init(&f.msg, s);
	buf_init(&f.out, 16384);
	seen_now = mark_seen(&f, index, n);
	for (size_t i = 0; i < n && session_go_on(s, i, n); i++)
		fetch_message(&f, index[i], seen_now && seen_now[i] && !has_flags);
	buf_fini(&f.out);
	message_fini(&f.msg);
	if (f.missing)
		return reply_no("EXPUNGEISSUED", "Some of the requested messages no longer exist");
	if (f.unknown_cte)
		return reply_no("UNKNOWN-CTE", "A part has an unknown transfer encoding");
	return reply_ok("Fetch completed");
}

void
fetch_tell(struct session *s, const struct fetch_list *wanted, const uint32_t *index, size_t n)
{
	struct fetch_item items[PARSE_ITEMS_MAX + 1] = { { .what = FETCH_UID } };
	struct fetch_list list = { .items = items };

	list.n = !(s->enabled & ENABLED_UIDONLY) && !has_item(wanted, FETCH_UID);
	for (uint32_t i = 0; i < wanted->n && list.n < NELEMS(items); i++) {
		items[list.n] = wanted->items[i];
		items[list.n++].peek = true;
	}
	(void)fetch(s, &list, index, n);
}

struct reply
cmd_fetch(struct session *s, struct command *c)
{
	struct fetch_list list;
	struct modseq_fetch m;
	const char *limited;
	struct seqset set;
	struct reply r;
	uint32_t *index;
	size_t n, from = 0;

	if (!parse_arguments(s, c, &list, &set, &m))
		return reply_bad(c);
	if (has_item(&list, FETCH_MODSEQ))
		modseq_enable(s);
	if (m.vanished)
		modseq_tell_vanished(s, m.since, &set, NULL);
	if (!session_resolve(s, c, &set, &index, &n))
		return reply_bad(c);
	if (m.changed)
		n = changed_since(s, index, n, m.since);
	if (m.paged)
		n = partial_cut(&m.page, n, &from);
	index += from;
	limited = session_limit(s, &index, &n);
	r = fetch(s, &list, index, n);
	if (r.kind == REPLY_OK)
		r.code = limited;
	return r;
}
