/*
 * address_list.c: address lists of headers, by one pass over hostile text.
 * What is malformed is repaired and marked, never refused: an envelope must be
 * shown of any mail. Nesting (comments) is counted, not recursed into.
 */
#include "mail/address.h"

#include "base/banned.h"

#define PHRASE_MAX 2048
#define PART_MAX 1024
#define COMMENT_MAX 512

void
address_list_begin(struct address_list *l, struct span value)
{
	*l = (struct address_list){ .in = value };
	buf_init(&l->phrase, PHRASE_MAX);
	buf_init(&l->local, PART_MAX);
	buf_init(&l->domain, PART_MAX);
	buf_init(&l->route, PART_MAX);
	buf_init(&l->comment, COMMENT_MAX);
}

void
address_list_fini(struct address_list *l)
{
	buf_fini(&l->phrase);
	buf_fini(&l->local);
	buf_fini(&l->domain);
	buf_fini(&l->route);
	buf_fini(&l->comment);
}

/* Appends as text: line ends vanish, other controls become blanks; what is too long is cut. */
static void
add_char(struct buf *b, char c)
{
	if (c == '\r' || c == '\n' || b->len >= b->max)
		return;
	buf_addc(b, (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c);
}

static bool
at_end(const struct address_list *l)
{
	return l->at >= l->in.n;
}

static char
here(const struct address_list *l)
{
	return l->in.p[l->at];
}

/* A comment, of any depth, from its ( to behind its ). The text of the last one is kept: old style names. */
static void
skip_comment(struct address_list *l)
{
	size_t depth = 0;

	buf_reset(&l->comment);
	for (; !at_end(l); l->at++) {
		char c = here(l);

		if (c == '\\' && l->at + 1 < l->in.n) {
			add_char(&l->comment, l->in.p[++l->at]);
			continue;
		}
		if (c == ')' && --depth == 0) {
			l->at++;
			return;
		}
		if (depth)
			add_char(&l->comment, c);
		if (c == '(')
			depth++;
	}
}

/* True when something was skipped: words are then apart. */
static bool
skip_cfws(struct address_list *l)
{
	size_t from = l->at;

	while (!at_end(l)) {
		char c = here(l);

		if (c == '(') {
			l->tokens++;
			skip_comment(l);
		} else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			l->at++;
		} else {
			break;
		}
	}
	return l->at > from;
}

enum { SPECIAL = 1, BREAK = 2, IN_QUOTES = 4 };	/* not in a word; ends a run of a word; ends a run of a quoted string */

static const uint8_t kinds[256] = {
	[0 ... 0x1f] = BREAK | IN_QUOTES, [0x7f] = BREAK | IN_QUOTES, [' '] = BREAK, ['['] = BREAK, ['\\'] = IN_QUOTES,
	['('] = SPECIAL | BREAK, [')'] = SPECIAL | BREAK, ['<'] = SPECIAL | BREAK, ['>'] = SPECIAL | BREAK, [','] = SPECIAL | BREAK,
	[';'] = SPECIAL | BREAK, [':'] = SPECIAL | BREAK, ['@'] = SPECIAL | BREAK, ['"'] = SPECIAL | BREAK | IN_QUOTES,
};

static bool
is_special(char c)
{
	return kinds[(unsigned char)c] & SPECIAL;
}

/* What can be taken as it is, up to a character that ends a run: nearly all of a word. */
static void
take_run(struct address_list *l, struct buf *a, struct buf *b, uint8_t ends)
{
	size_t from = l->at;
	struct span run;

	while (!at_end(l) && !(kinds[(unsigned char)here(l)] & ends))
		l->at++;
	run = span_sub(l->in, from, l->at);
	buf_addspan(a, span_sub(run, 0, a->max - a->len));
	if (b)
		buf_addspan(b, span_sub(run, 0, b->max - b->len));
}

/* One quoted string, domain literal or run of other characters, into both buffers. */
static void
take_word(struct address_list *l, struct buf *a, struct buf *b)
{
	char close = here(l) == '"' ? '"' : here(l) == '[' ? ']' : '\0';

	l->tokens++;
	if (close == '"')
		l->at++;
	while (!at_end(l)) {
		bool escaped = false;
		char c;

		if (close != ']')
			take_run(l, a, b, close ? IN_QUOTES : BREAK);
		if (at_end(l))
			return;
		c = here(l);
		if (!close && (is_special(c) || c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '['))
			return;
		l->at++;
		if (close == '"' && c == close)
			return;
		if (c == '\\' && close && !at_end(l)) {
			escaped = true;
			c = here(l);
			l->at++;
		}
		add_char(a, c);
		if (b)
			add_char(b, c);
		/* an open bracket must not swallow the list */
		if (close == ']' && !escaped && (c == ']' || c == ',' || c == '>'))
			return;
	}
}

/* Words up to one of `stops` (not consumed) go to b. */
static bool
take_until(struct address_list *l, struct buf *b, const char *stops)
{
	bool bad = false;

	for (;;) {
		size_t from;

		skip_cfws(l);
		if (at_end(l) || l->tokens > ADDRESS_LIST_TOKENS || (here(l) && strchr(stops, here(l))))
			return bad;
		from = l->at;
		if (!is_special(here(l)) || here(l) == '"')
			take_word(l, b, NULL);
		if (l->at == from) {		/* a special that has no place here */
			bad = true;
			add_char(b, here(l));
			l->at++;
			l->tokens++;
		}
	}
}

/* Behind '<': [route ":"] [local] ["@" domain] ">" */
static bool
take_angle(struct address_list *l)
{
	bool bad = false;

	buf_reset(&l->local);
	skip_cfws(l);
	if (!at_end(l) && here(l) == '@') {
		take_until(l, &l->route, ":>");
		if (!at_end(l) && here(l) == ':')
			l->at++;
	}
	bad |= take_until(l, &l->local, "@>");
	if (!at_end(l) && here(l) == '@') {
		l->at++;
		bad |= take_until(l, &l->domain, ">");
	}
	if (at_end(l) || here(l) != '>')
		return true;
	l->at++;
	return bad;
}

/* What stands between the address and the next , or ; is only noise. */
static void
skip_rest(struct address_list *l, const char *stops)
{
	struct buf waste;

	buf_init(&waste, 0);
	take_until(l, &waste, stops);
	buf_fini(&waste);
}

static bool
finish(struct address_list *l, struct address_item *item, enum address_item_kind kind, bool bad)
{
	bool over = l->phrase.over || l->local.over || l->domain.over;

	*item = (struct address_item){
		.kind = kind,
		.name = buf_span(&l->phrase),
		.local = buf_span(&l->local),
		.domain = buf_span(&l->domain),
		.route = buf_span(&l->route),
		.bad = bad || over,
	};
	if (kind != ADDRESS_MAILBOX)
		item->local = SPAN_NONE;
	if (!at_end(l) && here(l) == ',')
		l->at++;
	if (l->tokens > ADDRESS_LIST_TOKENS)
		l->at = l->in.n;
	return true;
}

static bool
finish_plain(struct address_list *l, struct address_item *item, unsigned words, bool bad)
{
	/* "a@b (Name)" is the old way to give a name (RFC 5322 A.6.3) */
	buf_reset(&l->phrase);
	buf_addspan(&l->phrase, span_trim(buf_span(&l->comment)));
	return finish(l, item, ADDRESS_MAILBOX, bad || words > 1);
}

static bool
at_stop(const struct address_list *l)
{
	return at_end(l) || l->tokens > ADDRESS_LIST_TOKENS;
}

static void
skip_one(struct address_list *l)
{
	l->at++;
	l->tokens++;
}

static bool
angle_item(struct address_list *l, struct address_item *item)
{
	bool bad;

	skip_one(l);
	bad = take_angle(l);
	skip_rest(l, ",;");
	return finish(l, item, ADDRESS_MAILBOX, bad);
}

/* At the @ behind a local part. False: it was part of a display name, "a@b <c@d>". */
static bool
domain_item(struct address_list *l, struct address_item *item, unsigned words)
{
	bool bad;

	skip_one(l);
	bad = take_until(l, &l->domain, ",;<");
	if (at_stop(l) || here(l) != '<')
		return finish_plain(l, item, 1, bad || words != 1);
	add_char(&l->phrase, '@');
	for (size_t i = 0; i < l->domain.len; i++)
		add_char(&l->phrase, l->domain.p[i]);
	buf_reset(&l->domain);
	return false;
}

/* At , or ; or the end. False: nothing has been collected. */
static bool
ended_item(struct address_list *l, struct address_item *item, unsigned words)
{
	bool semicolon = !at_stop(l) && here(l) == ';';

	if (words)
		return finish_plain(l, item, words, false);
	if (!l->in_group || !(semicolon || at_stop(l)))
		return false;
	l->in_group = false;
	l->at += semicolon;
	return finish(l, item, ADDRESS_GROUP_END, !semicolon);
}

static bool
next_item(struct address_list *l, struct address_item *item)
{
	unsigned words = 0;

	for (;;) {
		bool apart = skip_cfws(l);

		if (at_stop(l) || here(l) == ',' || here(l) == ';') {
			if (ended_item(l, item, words))
				return true;
			if (at_stop(l))
				return false;
			skip_one(l);
		} else if (here(l) == '<') {
			return angle_item(l, item);
		} else if (here(l) == '@') {
			if (domain_item(l, item, words))
				return true;
			words = 1;
		} else if (here(l) == ':' && !l->in_group) {
			skip_one(l);
			l->in_group = true;
			return finish(l, item, ADDRESS_GROUP_START, false);
		} else if (is_special(here(l)) && here(l) != '"') {
			skip_one(l);		/* ) > or a second : */
		} else {
			if (words && apart)
				add_char(&l->phrase, ' ');
			words += !words || apart;
			take_word(l, &l->phrase, &l->local);
		}
	}
}

bool
address_list_next(struct address_list *l, struct address_item *item)
{
	buf_reset(&l->phrase);
	buf_reset(&l->local);
	buf_reset(&l->domain);
	buf_reset(&l->route);
	buf_reset(&l->comment);
	return next_item(l, item);
}
