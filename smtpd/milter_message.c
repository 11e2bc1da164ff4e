/*
 * milter_message.c: the message that milters see and change. It lies in a file that intake has lent; its header is in memory.
 * What a milter wants changed is kept until it has said its last word, and then happens as a whole or not at all.
 */
#include "milter_run.h"

#include <endian.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "mail/address.h"
#include "mail/header.h"
#include "service/params.h"

#include "base/banned.h"

#define PIECE (MILTER_CHUNK / 2)	/* each byte may become two */

/* ---- what is sent ---- */

/* The header's end, from its beginning: the blank line. */
static enum content_status
read_header(struct milter_content *c, uint64_t at, uint64_t size)
{
	size_t seen = 0;
	char *end = NULL;

	while (!end) {
		char *room = buf_room(&c->header, 65536);
		ssize_t n = room ? pread(c->fd, room, 65536, (off_t)(at + c->header.len)) : -1;

		if (n <= 0)
			return room ? CONTENT_UNREADABLE : CONTENT_TOO_LONG;
		buf_grew(&c->header, (size_t)n);
		end = c->header.p[0] == '\n' ? c->header.p - 1 : memmem(c->header.p + seen, c->header.len - seen, "\n\n", 2);
		seen = c->header.len - 1;
	}
	buf_truncate(&c->header, (size_t)(end + 1 - c->header.p));
	c->body = (struct spill_range){ .at = at + c->header.len, .size = size - at - c->header.len };
	return CONTENT_OK;
}

enum content_status
content_begin(struct milters *m, int fd, uint64_t at, uint64_t size)
{
	struct milter_content *c = &m->content;
	enum content_status st = CONTENT_UNREADABLE;

	content_drop(m);
	*c = (struct milter_content){ .fd = fd, .end = size, .header_begins = at };
	buf_init(&c->header, MILTER_HEADER_MAX + 65536);
	if (fd >= 0 && at <= size)
		st = read_header(c, at, size);
	if (st != CONTENT_OK)
		content_drop(m);
	return st;
}

void
content_drop(struct milters *m)
{
	for (size_t i = 0; i < m->n; i++)
		content_forget(&m->links[i]);
	buf_fini(&m->content.header);
	close_fd(&m->content.fd);
}

void
content_rewind(struct milters *m)
{
	m->content.header_at = 0;
	m->content.body_at = m->content.body_replaced ? 0 : 1;
	if (m->at < m->n) {
		content_forget(&m->links[m->at]);
		m->links[m->at].no_more_body = false;
	}
}

/* Folds end with LF alone. One blank behind the colon is ours, unless it was agreed that it is not. */
bool
content_header(struct milter_link *l, struct buf *out)
{
	struct milter_content *c = &l->m->content;
	struct header_cursor at;
	struct header h;
	size_t mark;

	header_begin(&at, buf_span(&c->header));
	at.at = c->header_at;
	do {
		if (!header_next(&at, &h))
			return false;
		c->header_at = at.at;
	} while (h.name.n == 0);
	if (!(l->protocol & MILTER_LEADSPC) && h.value.n > 0 && h.value.p[0] == ' ')
		h.value = span_skip(h.value, 1);
	mark = milter_begin(out, 'L');
	milter_add_string(out, h.name);
	milter_add_string(out, h.value);
	milter_finish(out, mark);
	return true;
}

bool
content_body(struct milter_link *l, struct buf *out)
{
	struct milter_content *c = &l->m->content;
	char piece[PIECE];
	uint64_t left = c->body.size > c->body_at ? c->body.size - c->body_at : 0;
	ssize_t n = left ? pread(c->fd, piece, left < PIECE ? (size_t)left : PIECE, (off_t)(c->body.at + c->body_at)) : 0;
	size_t mark;

	if (n <= 0)		/* what cannot be read here cannot be read by intake either, and is not taken */
		return false;
	mark = milter_begin(out, 'B');
	for (ssize_t i = 0; i < n; i++) {
		if (piece[i] == '\n')
			buf_addc(out, '\r');
		buf_addc(out, piece[i]);
	}
	milter_finish(out, mark);
	c->body_at += (uint64_t)n;
	return true;
}

/* ---- changes: noted ---- */

static bool
address_of(struct span text, bool null, struct buf *out)
{
	struct span rest;

	return address_parse_path(span_trim(text), ADDRESS_UTF8 | ADDRESS_BARE | ADDRESS_LOOSE | (null ? ADDRESS_NULL : 0), out, &rest) == ADDRESS_OK &&
	    rest.n == 0;
}

static bool
note_address(const struct milter_reply *r, const char **why)
{
	bool with_words = r->kind == MA_CHANGE_FROM || r->kind == MA_ADD_RCPT_PAR;
	struct buf address;
	bool ok;

	buf_init(&address, ADDRESS_PATH_MAX);
	ok = address_of(with_words ? r->name : r->value, r->kind == MA_CHANGE_FROM, &address);
	buf_fini(&address);
	*why = "its address is none";
	return ok;
}

static bool
note_field(const struct milter_link *l, const struct milter_reply *r, const char **why)
{
	struct buf field;
	bool ok;

	buf_init(&field, MILTER_EDITS_MAX);
	ok = milter_field(r, l->protocol & MILTER_LEADSPC, &field, why);
	buf_fini(&field);
	return ok;
}

/* Goes to the end of the file, with LF. */
static bool
note_body(struct milter_link *l, struct span piece, const char **why)
{
	struct milter_content *c = &l->m->content;
	struct buf lines;
	bool ok;

	if (!l->has_new_body)
		l->new_body = (struct spill_range){ .at = c->end };
	l->has_new_body = true;
	buf_init(&lines, piece.n + 2);
	for (size_t i = 0; i < piece.n; i++) {
		if (l->new_body_cr && piece.p[i] != '\n')
			buf_addc(&lines, '\r');
		l->new_body_cr = piece.p[i] == '\r';
		if (!l->new_body_cr)
			buf_addc(&lines, piece.p[i]);
	}
	*why = "its body is larger than message_size_limit";
	ok = l->new_body.size + lines.len <= par.message_size_limit;
	if (ok && !pwrite_all(c->fd, lines.p, lines.len, (off_t)c->end)) {
		*why = "the body that it wants cannot be written";
		ok = false;
	}
	if (ok) {
		l->new_body.size += lines.len;
		c->end += lines.len;
	}
	buf_fini(&lines);
	return ok;
}

bool
content_note(struct milter_link *l, const struct milter_reply *r, struct span packet, const char **why)
{
	bool ok = true;

	if (r->kind == MA_REPLACE_BODY) {
		l->edit_count += !l->has_new_body;
		return note_body(l, r->value, why);
	}
	if (r->kind <= MA_CHANGE_HEADER)
		ok = note_field(l, r, why);
	else if (r->kind != MA_QUARANTINE)
		ok = note_address(r, why);
	if (!ok)
		return false;
	*why = "it changes too much";
	buf_add_u32(&l->edits, (uint32_t)packet.n);
	buf_addspan(&l->edits, packet);
	return ++l->edit_count <= MILTER_EDIT_COUNT && !l->edits.over;
}

void
content_forget(struct milter_link *l)
{
	buf_reset(&l->edits);
	l->edit_count = 0;
	l->has_new_body = l->new_body_cr = false;
}

/* ---- changes: made ---- */

/*
 * Where a milter wants a field: so many shall be above it, of which our Received, that it does not see, is the first. Above that one
 * nothing can stand: intake makes it. What is meant to do so comes directly below, and counts on as if it were above.
 */
static uint32_t
number_of(struct milter_content *c, uint32_t index)
{
	if (index > c->on_top)
		return index;
	c->on_top++;
	return index + 1;
}

/* The n-th field, of that name or (empty) of any; false: there are not so many. */
static bool
find_field(struct span header, struct span name, uint32_t n, struct header *h)
{
	struct header_cursor c;
	uint32_t count = 0;

	header_begin(&c, header);
	while (header_next(&c, h))
		if (h->name.n > 0 && (name.n == 0 || span_eq_nocase(name, h->name)) && ++count >= n)
			return true;
	return false;
}

static void
splice(struct buf *b, size_t at, size_t n, struct span text)
{
	struct buf fresh;

	buf_init(&fresh, b->max);
	buf_addspan(&fresh, span_sub(buf_span(b), 0, at));
	buf_addspan(&fresh, text);
	buf_addspan(&fresh, span_skip(buf_span(b), at + n));
	buf_fini(b);
	*b = fresh;
}

static bool
change_header(struct milter_link *l, const struct milter_reply *r)
{
	struct buf *header = &l->m->content.header, field;
	const char *why;
	struct header h;
	size_t at = header->len, n = 0;
	bool ok, found = false;

	buf_init(&field, MILTER_EDITS_MAX);
	ok = milter_field(r, l->protocol & MILTER_LEADSPC, &field, &why);
	if (r->kind == MA_CHANGE_HEADER)
		found = find_field(buf_span(header), r->name, r->index, &h);
	else if (r->kind == MA_INSERT_HEADER)
		found = find_field(buf_span(header), SPAN_NONE, number_of(&l->m->content, r->index), &h);
	if (found)
		at = h.at;
	if (found && r->kind == MA_CHANGE_HEADER)
		n = h.raw.n;
	if (r->kind == MA_CHANGE_HEADER && r->value.n == 0)
		buf_reset(&field);		/* taken away */
	splice(header, at, n, buf_span(&field));
	l->m->content.header_changed = true;
	buf_fini(&field);
	return ok && header->len <= MILTER_HEADER_MAX && !header->over;
}

static bool
change_sender(struct milter_link *l, const struct milter_reply *r)
{
	buf_reset(&l->m->s->sender);
	return address_of(r->name, true, &l->m->s->sender);
}

static bool
add_recipient(struct milter_link *l, const struct milter_reply *r)
{
	struct buf *rcpts = &l->m->s->rcpts, address;
	bool ok;

	buf_init(&address, ADDRESS_PATH_MAX);
	ok = address_of(r->kind == MA_ADD_RCPT ? r->value : r->name, false, &address);
	msg_list_add(rcpts, buf_span(&address));
	msg_list_add(rcpts, SPAN_NONE);
	msg_list_add(rcpts, SPAN_NONE);
	buf_fini(&address);
	l->m->content.nobody = false;
	return ok && !rcpts->over;
}

static bool
delete_recipient(struct milter_link *l, const struct milter_reply *r)
{
	struct buf *rcpts = &l->m->s->rcpts, address, kept;
	struct span rest = buf_span(rcpts), field[3];
	bool ok;

	buf_init(&address, ADDRESS_PATH_MAX);
	buf_init(&kept, rcpts->max);
	ok = address_of(r->value, false, &address);
	while (ok && msg_list_next(&rest, &field[0]) && msg_list_next(&rest, &field[1]) && msg_list_next(&rest, &field[2])) {
		if (span_eq_nocase(field[0], buf_span(&address)))
			continue;
		for (int i = 0; i < 3; i++)
			msg_list_add(&kept, field[i]);
	}
	buf_fini(rcpts);
	*rcpts = kept;
	l->m->content.nobody = kept.len == 0;
	buf_fini(&address);
	return ok;
}

static bool
quarantine(struct milter_link *l, const struct milter_reply *r)
{
	log_info(l->m->s->shown_id, "milter %s: quarantine: %.*s", l->server->name, SPAN_FMT(span_sub(r->value, 0, 200)));
	l->m->s->hold = true;
	return true;
}

static bool (*const changes[])(struct milter_link *l, const struct milter_reply *r) = {
	[MA_ADD_HEADER] = change_header, [MA_INSERT_HEADER] = change_header, [MA_CHANGE_HEADER] = change_header,
	[MA_CHANGE_FROM] = change_sender, [MA_ADD_RCPT] = add_recipient, [MA_ADD_RCPT_PAR] = add_recipient,
	[MA_DELETE_RCPT] = delete_recipient, [MA_QUARANTINE] = quarantine,
};

static bool
change_all(struct milter_link *l, const char **why)
{
	struct span rest = buf_span(&l->edits);
	struct milter_reply r;
	uint32_t n;

	while (rest.n >= 4) {
		memcpy(&n, rest.p, 4);	/* our own frame, little endian as all of them */
		n = le32toh(n);
		if (!milter_parse(span_sub(rest, 4, 4 + (size_t)n), MILTER_END, l->actions, &r, why))
			return false;
		*why = "what it changes makes the header too long";
		if (!changes[r.kind](l, &r))
			return false;
		rest = span_skip(rest, 4 + (size_t)n);
	}
	return true;
}

static void
copy_of(const struct buf *b, struct buf *out)
{
	buf_init(out, b->max);
	buf_addspan(out, buf_span(b));
}

static void
put_back(struct buf *to, struct buf *from)
{
	buf_fini(to);
	*to = *from;
}

bool
content_change(struct milter_link *l, const char **why)
{
	struct milter_content *c = &l->m->content;
	struct session *s = l->m->s;
	struct buf header, sender, rcpts;
	bool ok, changed = c->header_changed, hold = s->hold, nobody = c->nobody;

	if (l->edit_count == 0)
		return true;
	copy_of(&c->header, &header);
	copy_of(&s->sender, &sender);
	copy_of(&s->rcpts, &rcpts);
	ok = change_all(l, why);
	if (ok && l->has_new_body) {
		c->body = l->new_body;
		c->body_replaced = true;
	}
	if (ok) {
		buf_fini(&header);
		buf_fini(&sender);
		buf_fini(&rcpts);
	} else {
		put_back(&c->header, &header);
		put_back(&s->sender, &sender);
		put_back(&s->rcpts, &rcpts);
		c->header_changed = changed;
		c->nobody = nobody;
		s->hold = hold;
	}
	content_forget(l);
	return ok;
}

bool
content_finish(struct milters *m)
{
	struct milter_content *c = &m->content;
	struct spill_range ranges[SPILL_RANGES] = { { c->header_begins, c->header.len }, c->body };
	bool ok = true;

	if (c->header_changed) {
		ranges[0].at = c->end;
		ok = pwrite_all(c->fd, c->header.p, c->header.len, (off_t)c->end);
		c->end += c->header.len;
	}
	if (ok && c->body_replaced) {
		if (c->header_changed)
			ok = pwrite_all(c->fd, "\n", 1, (off_t)c->end);
		ranges[0].size++;	/* the blank line, which is there when the header is as it was */
	}
	if (ok && ranges[0].size == 0) {	/* no header: only the blank line and what is behind it */
		ranges[0] = ranges[1];
		ranges[1].size = 0;
	}
	if (ok) {
		spill_adopt(m->s, c->fd, ranges);
		c->fd = -1;
	}
	content_drop(m);
	return ok;
}
