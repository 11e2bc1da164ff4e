/* searching.c: asks each message what the program wants to know. The program is the client's, the messages are strangers'. */
#include "searching.h"

#include <stdlib.h>

#include "base/clock.h"
#include "find.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"
#include "base/banned.h"

#define TEXT_MAX (IMAP_COMMAND_MAX + FIND_FOLDED_MAX)	/* of folded text at a time */

static bool
contains(struct buf *b, struct span what)
{
	return what.n == 0 || memmem(b->p, b->len, what.p, what.n) != NULL;
}

static enum search_value
yes_no(bool v)
{
	return v ? SEARCH_YES : SEARCH_NO;
}

static bool
has_keyword(struct session *s, const struct mail_message *m, struct span name)
{
	int bit;

	if (m->flags & MFLAG_FORWARDED && mailstore_is_forwarded(name))
		return true;
	bit = mailfolder_keyword(s->folder, name, false);
	return bit >= 0 && m->keywords & 1u << bit;
}

static uint8_t
stored_flag(unsigned flag)
{
	static const uint8_t table[][2] = {
		{ FLAG_SEEN, MFLAG_SEEN }, { FLAG_ANSWERED, MFLAG_ANSWERED }, { FLAG_FLAGGED, MFLAG_FLAGGED },
		{ FLAG_DELETED, MFLAG_DELETED }, { FLAG_DRAFT, MFLAG_DRAFT },
	};

	for (size_t i = 0; i < NELEMS(table); i++)
		if (table[i][0] == flag)
			return table[i][1];
	return 0;
}

static enum search_value
compare_day(enum search_op op, int64_t day, uint64_t wanted)
{
	switch (op) {
	case SK_BEFORE:
	case SK_SENTBEFORE:
		return yes_no(day < (int64_t)wanted);
	case SK_ON:
	case SK_SENTON:
		return yes_no(day == (int64_t)wanted);
	default:
		return yes_no(day >= (int64_t)wanted);
	}
}

static bool
has_emailid(struct session *s, size_t index, struct span wanted)
{
	char id[EMAILID_MAX];

	print_emailid(s, index, id);
	return span_is(wanted, id);
}

/* RFC 8514 4.3; one that is gone is in no range */
static enum search_value
ask_saved(struct searching *q, const struct search_node *node)
{
	int64_t when = mailfolder_save_date(q->s->folder, q->msg.index), day = when / 86400, wanted = (int64_t)node->number;

	if (when < 0)
		return SEARCH_NO;
	return yes_no(node->op == SK_SAVEDBEFORE ? day < wanted : node->op == SK_SAVEDON ? day == wanted : day >= wanted);
}

/* What the index knows. */
static enum search_value
ask_index(struct searching *q, struct search_node *node)
{
	const struct mail_message *m = session_message(q->s, q->msg.index);
	bool recent = m->flags & MFLAG_RECENT, seen = m->flags & MFLAG_SEEN;

	switch (node->op) {
	case SK_ALL:
		return SEARCH_YES;
	case SK_SEQ:
		return yes_no(seqset_has(&node->set, (uint32_t)q->msg.index + 1, &node->cursor));
	case SK_UID:
		return yes_no(seqset_has(&node->set, m->uid, &node->cursor));
	case SK_UIDAFTER:
		return yes_no(m->uid > node->number);
	case SK_UIDBEFORE:
		return yes_no(m->uid < node->number);
	case SK_FLAG:
		return yes_no(m->flags & stored_flag(node->flag));
	case SK_UNFLAG:
		return yes_no(!(m->flags & stored_flag(node->flag)));
	case SK_KEYWORD:
		return yes_no(has_keyword(q->s, m, node->name));
	case SK_UNKEYWORD:
		return yes_no(!has_keyword(q->s, m, node->name));
	case SK_NEW:
		return yes_no(recent && !seen);
	case SK_OLD:
		return yes_no(!recent);
	case SK_RECENT:
		return yes_no(recent);
	case SK_LARGER:
		return yes_no(mailfolder_size(q->s->folder, q->msg.index) > node->number);
	case SK_SMALLER:
		return yes_no(mailfolder_size(q->s->folder, q->msg.index) < node->number);
	case SK_EMAILID:
		return yes_no(has_emailid(q->s, q->msg.index, node->name));
	case SK_NONE:
		return SEARCH_NO;
	case SK_SAVEDBEFORE:
	case SK_SAVEDON:
	case SK_SAVEDSINCE:
		return ask_saved(q, node);
	case SK_MODSEQ:
		return yes_no(m->modseq >= node->number);
	case SK_OLDER:
		return yes_no(mailfolder_date(q->s->folder, q->msg.index) <= q->now - (int64_t)node->number);
	case SK_YOUNGER:
		return yes_no(mailfolder_date(q->s->folder, q->msg.index) >= q->now - (int64_t)node->number);
	default:
		return compare_day(node->op, mailfolder_date(q->s->folder, q->msg.index) / 86400, node->number);
	}
}

static enum search_value
ask_sent(struct searching *q, const struct search_node *node)
{
	struct header h;
	int zone;

	if (!q->sent_known) {
		q->sent_known = true;
		q->sent_valid = header_find(message_head(&q->msg), "Date", &h) && date_parse(h.value, &q->sent, &zone);
		if (q->sent_valid)
			q->sent += zone * 60;
	}
	/* without a Date, the internal one */
	return compare_day(node->op, (q->sent_valid ? (int64_t)q->sent : mailfolder_date(q->s->folder, q->msg.index)) / 86400,
	    node->number);
}

/* FROM, TO, CC and BCC look into the envelope (RFC 9051 6.4.4): there, comments and folding inside of an address are gone. */
static bool
find_in_addresses(struct searching *q, struct span value, const struct search_node *node)
{
	static const char *const names[] = { "From", "To", "Cc", "Bcc" };
	struct address_list list;
	struct address_item item;
	bool found = false, addresses = false;

	for (size_t i = 0; i < NELEMS(names); i++)
		addresses |= span_is_nocase(node->name, names[i]);
	if (!addresses || !memchr(value.p, '(', value.n))
		return false;
	address_list_begin(&list, value);
	while (!found && address_list_next(&list, &item)) {
		buf_reset(&q->text);
		fold_text(&q->text, item.local);
		buf_addc(&q->text, '@');
		fold_text(&q->text, item.domain);
		found = contains(&q->text, node->text);
	}
	address_list_fini(&list);
	return found;
}

static enum search_value
ask_header(struct searching *q, struct span header, const struct search_node *node)
{
	struct header_cursor c;
	struct header h;

	header_begin(&c, header);
	while (header_next(&c, &h)) {
		if (!span_eq_nocase(h.name, node->name))
			continue;
		if (node->text.n == 0)
			return SEARCH_YES;
		buf_reset(&q->text);
		fold_header(&q->text, h.value);
		if (contains(&q->text, node->text) || find_in_addresses(q, h.value, node))
			return SEARCH_YES;
	}
	return SEARCH_NO;
}

/* Every field of one header, decoded. */
static bool
find_in_fields(struct searching *q, struct span header, struct span what)
{
	struct header_cursor c;
	struct header h;

	header_begin(&c, header);
	while (header_next(&c, &h)) {
		buf_reset(&q->text);
		fold_text(&q->text, h.name);
		buf_adds(&q->text, ": ");
		fold_header(&q->text, h.value);
		if (contains(&q->text, what))
			return true;
	}
	return false;
}

static bool
find_in_part(struct searching *q, const struct mime_part *p, struct span what)
{
	struct span body = span_sub(q->msg.text.text, p->body.at, p->body.at + p->body.len);
	const struct charset *cs = charset_utf8();
	struct buf name;

	buf_init(&name, 256);
	if (mime_param(p->params, "charset", &name))
		cs = charset_by_name(buf_span(&name));
	buf_fini(&name);
	return find_in_body(&q->text, body, p->encoding, cs, what);
}

/* BODY looks into texts and the headers of parts, TEXT into the message's own header too (RFC 9051 6.4.4). */
static enum search_value
ask_body(struct searching *q, const struct search_node *node)
{
	const struct mime *mime = message_mime(&q->msg);

	if (node->op == SK_TEXT && find_in_fields(q, message_head(&q->msg), node->text))
		return SEARCH_YES;
	for (uint32_t i = 0; mime && i < mime->n; i++) {
		const struct mime_part *p = &mime->parts[i];

		if (i && find_in_fields(q, span_sub(mime->msg, p->header.at, p->header.at + p->header.len), node->text))
			return SEARCH_YES;
		if (p->kind == MIME_LEAF && (i == 0 || span_is_nocase(p->type, "text")) && find_in_part(q, p, node->text))
			return SEARCH_YES;
	}
	return SEARCH_NO;
}

static enum search_value
ask(void *ctx, struct search_node *node)
{
	struct searching *q = ctx;
	struct span kept;

	if (node->op < SK_SENTBEFORE)
		return ask_index(q, node);
	if (node->op == SK_HEADER && q->kept && message_field_kept(&q->msg, node->name, &kept))
		return ask_header(q, kept, node);
	if (q->depth < (node->op >= SK_BODY ? MESSAGE_WHOLE : MESSAGE_HEAD))
		return SEARCH_OPEN;
	if (node->op == SK_HEADER)
		return ask_header(q, message_head(&q->msg), node);
	if (!session_go_on(q->s, q->msg.index, q->count))	/* one text may take long */
		return SEARCH_NO;
	return node->op >= SK_BODY ? ask_body(q, node) : ask_sent(q, node);
}

/* Deeper only while it is undecided. */
bool
searching_matches(struct searching *q, size_t index)
{
	static const struct { enum message_depth depth; bool for_headers; } passes[] = {
		{ MESSAGE_CLOSED, false }, { MESSAGE_CLOSED, true }, { MESSAGE_HEAD, true }, { MESSAGE_WHOLE, false },
	};
	enum search_value v = SEARCH_OPEN;

	message_choose(&q->msg, index);
	q->sent_known = false;
	for (size_t i = 0; i < NELEMS(passes) && v == SEARCH_OPEN; i++) {
		if (!q->prog.needs_header && passes[i].for_headers)
			continue;
		if (message_open(&q->msg, passes[i].depth) != STORE_OK)
			return false;
		q->depth = passes[i].depth;
		q->kept = passes[i].for_headers;
		v = search_eval(&q->prog, ask, q);
	}
	return v == SEARCH_YES;
}

/* What the client has said by number alone. */
static enum search_value
ask_numbers(void *ctx, struct search_node *node)
{
	bool number = node->op == SK_SEQ || node->op == SK_UID || node->op == SK_UIDAFTER || node->op == SK_UIDBEFORE;

	return number ? ask_index(ctx, node) : SEARCH_OPEN;
}

/* Is it left to look at, by its number? */
static bool
is_candidate(struct searching *q, size_t index)
{
	message_choose(&q->msg, index);
	return !(session_message(q->s, index)->flags & MFLAG_GONE) && search_eval(&q->prog, ask_numbers, q) != SEARCH_NO;
}

const char *
searching_limit(struct searching *q)
{
	size_t limit = q->s->how->message_limit, candidates = 0;

	if (!limit || q->count <= limit)
		return NULL;
	for (size_t i = 0; i < q->count; i++)
		candidates += is_candidate(q, i);
	if (candidates <= limit)
		return NULL;
	for (candidates -= limit; candidates || !is_candidate(q, q->from); q->from++)
		candidates -= candidates && is_candidate(q, q->from);
	return session_limit_code(q->s, session_message(q->s, q->from)->uid);
}

/* Sets are resolved against the folder as it is now. */
static void
resolve_sets(struct session *s, struct search_program *prog)
{
	size_t count = mailfolder_count(s->folder);
	uint32_t last = count ? session_message(s, count - 1)->uid : 0;

	for (uint32_t i = 0; i < prog->n; i++) {
		if (prog->nodes[i].set.saved) {
			prog->nodes[i].op = SK_UID;
			session_recall(s, &prog->nodes[i].set);
		}
		if (prog->nodes[i].op == SK_SEQ)
			seqset_resolve(&prog->nodes[i].set, (uint32_t)count);
		if (prog->nodes[i].op == SK_UID)
			seqset_resolve(&prog->nodes[i].set, last);
	}
}

bool
searching_begin(struct searching *q, struct session *s, struct parser *p, const struct charset *cs)
{
	*q = (struct searching){ .s = s, .now = clock_wall(), .count = mailfolder_count(s->folder) };
	message_init(&q->msg, s);
	buf_init(&q->text, TEXT_MAX);
	if (!search_parse(p, cs, &q->prog) || !parse_end(p))
		return false;
	resolve_sets(s, &q->prog);
	return true;
}

void
searching_end(struct searching *q)
{
	buf_fini(&q->text);
	message_fini(&q->msg);
}

bool
searching_charset(struct parser *p, const struct charset **cs)
{
	struct span name;

	if (!parse_astring(p, &name) || !parse_space(p))
		return false;
	*cs = charset_by_name(name);
	return true;
}

struct reply
searching_bad_charset(void)
{
	return reply_no("BADCHARSET (UTF-8 US-ASCII ISO-8859-1 ISO-8859-15 WINDOWS-1252 KOI8-R GB18030 BIG5 SHIFT_JIS EUC-JP EUC-KR)",
	    "Charset is not supported");
}

struct place {
	uint64_t key;			/* the front of its identity */
	uint32_t index;
};

static int
by_key(const void *a, const void *b)
{
	const struct place *pa = a, *pb = b;

	return pa->key < pb->key ? -1 : pa->key > pb->key;
}

static int
by_number(const void *a, const void *b)
{
	const uint32_t *pa = a, *pb = b;

	return *pa < *pb ? -1 : *pa > *pb;
}

/* What is left to look at when the index has been asked alone. */
static bool
is_open(struct searching *q, size_t index)
{
	if (session_message(q->s, index)->flags & MFLAG_GONE)
		return false;
	message_choose(&q->msg, index);
	q->depth = MESSAGE_CLOSED;
	q->kept = q->sent_known = false;
	return search_eval(&q->prog, ask, q) != SEARCH_NO;
}

/* In the order in which the index has what is kept of messages: so each of its pages is looked at once. malloced. */
static struct place *
order_of_keys(struct searching *q, size_t count, size_t *n)
{
	struct place *places = x_alloc((count + 1) * sizeof(*places));

	*n = 0;
	for (size_t i = q->from; i < count; i++) {
		const struct mail_id *id = &session_message(q->s, i)->id;
		struct place *p = &places[*n];

		if (!is_open(q, i))
			continue;
		for (size_t k = 0; k < sizeof(p->key); k++)
			p->key = p->key << 8 | id->b[k];
		p->index = (uint32_t)i;
		++*n;
	}
	qsort(places, *n, sizeof(*places), by_key);
	return places;
}

static uint32_t *
all_by_keys(struct searching *q, uint32_t *found, size_t count, size_t *n)
{
	size_t left;
	struct place *order = order_of_keys(q, count, &left);

	for (size_t k = 0; k < left && session_go_on(q->s, k, left); k++)
		if (searching_matches(q, order[k].index))
			found[(*n)++] = order[k].index;
	free(order);
	qsort(found, *n, sizeof(*found), by_number);
	return found;
}

uint32_t *
searching_all(struct searching *q, bool first, size_t *n)
{
	struct session *s = q->s;
	size_t count = mailfolder_count(s->folder);
	uint32_t *found = arena_try(&s->arena, (count + 1) * sizeof(*found));

	*n = 0;
	if (found && q->prog.needs_header && !q->prog.needs_body && !first)
		return all_by_keys(q, found, count, n);
	for (size_t i = q->from; found && i < count && !(first && *n) && session_go_on(s, i, count); i++)
		if (!(session_message(s, i)->flags & MFLAG_GONE) && searching_matches(q, i))
			found[(*n)++] = (uint32_t)i;
	return found;
}
