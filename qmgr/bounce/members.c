/* members.c: the members of a list. The text may be that of an ordinary user: whatever is no address is left out. */
#include "members.h"

#include "mail/address.h"
#include "mail/targets.h"
#include "service/message.h"
#include "base/banned.h"

struct walk {
	struct members *m;
	struct buf *rcpts;
};

/* Programs, files and options, in quotes or without */
static bool
is_no_address(struct span word)
{
	if (word.n > 1 && word.p[0] == '"' && span_rfind(word, '@') < 0)
		word = span_skip(word, 1);
	return strchr("|/:-", word.p[0]) != NULL;
}

static bool
take_word(void *ctx, struct span word, unsigned line)
{
	struct walk *w = ctx;
	struct address a;

	if (word.n > 2 && word.p[0] == '<' && word.p[word.n - 1] == '>')
		word = span_sub(word, 1, word.n - 1);
	if (word.n > 1 && word.p[0] == '\\')
		word = span_skip(word, 1);
	if (is_no_address(word) || address_parse(word, ADDRESS_BARE | ADDRESS_UTF8, &a) != ADDRESS_OK) {
		if (w->m->bad++ == 0)
			w->m->bad_line = line;
		return true;
	}
	if (w->m->n == MEMBERS_MAX) {
		w->m->too_many = true;
		return false;
	}
	w->m->n++;
	msg_list_add(w->rcpts, word);
	msg_list_add(w->rcpts, SPAN_NONE);
	msg_list_add(w->rcpts, SPAN_NONE);
	return true;
}

void
members_parse(struct span text, struct members *m, struct buf *rcpts)
{
	*m = (struct members){ .n = 0 };
	(void)targets_each(text, take_word, &(struct walk){ m, rcpts });
}
