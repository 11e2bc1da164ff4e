/* courierkeywords.c: which keywords a message has in Courier. Hostile text: numbers are checked, all that is kept is bounded. */
#include "mail/store/courierkeywords.h"

#include <stdlib.h>

#include "base/banned.h"

#define NAMES_MAX 1024			/* keywords of a folder */
#define ONE_MAX 4096			/* bytes of one message's */
#define LATEST UINT64_MAX

struct courierkeywords_entry {
	size_t name, name_n, keywords, keywords_n;	/* in the strings */
	uint64_t time;
};

void
courierkeywords_init(struct courierkeywords *k)
{
	*k = (struct courierkeywords){ 0 };
	buf_init(&k->strings, COURIERKEYWORDS_MAX);
}

void
courierkeywords_fini(struct courierkeywords *k)
{
	free(k->entries);
	buf_fini(&k->strings);
}

static struct span
string(const struct courierkeywords *k, size_t at, size_t n)
{
	return span_sub(buf_span(&k->strings), at, at + n);
}

/* Its keywords are added to the strings behind it. */
static struct courierkeywords_entry *
begin(struct courierkeywords *k, struct span name, uint64_t time)
{
	struct courierkeywords_entry *e;

	if (k->n == k->cap) {
		k->cap = k->cap ? 2 * k->cap : 256;
		k->entries = x_realloc(k->entries, k->cap * sizeof(*k->entries));
	}
	e = &k->entries[k->n];
	*e = (struct courierkeywords_entry){ .name = k->strings.len, .name_n = name.n, .time = time };
	buf_addspan(&k->strings, name);
	e->keywords = k->strings.len;
	return e;
}

static void
add_keyword(struct courierkeywords *k, const struct courierkeywords_entry *e, struct span word)
{
	size_t used = k->strings.len - e->keywords;

	if (word.n == 0 || !span_printable(word) || span_find(word, ' ') >= 0 || used + word.n + 1 > ONE_MAX)
		return;
	if (used)
		buf_addc(&k->strings, ' ');
	buf_addspan(&k->strings, word);
}

static void
end(struct courierkeywords *k, struct courierkeywords_entry *e)
{
	if (k->strings.over)	/* too many: the rest of the messages comes without */
		return;
	e->keywords_n = k->strings.len - e->keywords;
	k->n++;
}

void
courierkeywords_read_list(struct courierkeywords *k, struct span text)
{
	struct span names[NAMES_MAX], line, number;
	uint32_t n = 0, i;

	while (text.n && span_cut(&text, '\n', &line) && line.n)
		if (n < NAMES_MAX)
			names[n++] = line;
	while (text.n && span_cut(&text, '\n', &line)) {
		struct courierkeywords_entry *e;
		ssize_t colon = span_rfind(line, ':');

		if (colon <= 0)
			continue;
		e = begin(k, span_sub(line, 0, (size_t)colon), 0);
		line = span_skip(line, (size_t)colon + 1);
		while (span_word(&line, " ", &number))
			if (span_u32(number, 0, NAMES_MAX - 1, &i) && i < n)
				add_keyword(k, e, names[i]);
		end(k, e);
	}
}

void
courierkeywords_read_file(struct courierkeywords *k, struct span filename, struct span text)
{
	struct span name = filename, number, line;
	struct courierkeywords_entry *e;
	uint64_t time = LATEST;

	if (name.n && name.p[0] == '.') {
		name = span_skip(name, 1);
		if (!span_cut(&name, '.', &number) || !span_u64(number, 1, LATEST - 1, &time))
			return;
	}
	if (name.n == 0 || name.p[0] == ':')
		return;
	e = begin(k, name, time);
	while (text.n && span_cut(&text, '\n', &line))
		add_keyword(k, e, line);
	end(k, e);
}

static int
by_name(const void *pa, const void *pb, void *ctx)
{
	const struct courierkeywords_entry *a = pa, *b = pb;
	int r = span_cmp(string(ctx, a->name, a->name_n), string(ctx, b->name, b->name_n));

	return r ? r : a->time < b->time ? -1 : a->time > b->time;
}

void
courierkeywords_sort(struct courierkeywords *k)
{
	if (k->n)
		qsort_r(k->entries, k->n, sizeof(*k->entries), by_name, k);
}

struct span
courierkeywords_find(const struct courierkeywords *k, struct span name)
{
	size_t from = 0, to = k->n;	/* the first one behind the name */

	while (from < to) {
		size_t at = from + (to - from) / 2;

		if (span_cmp(string(k, k->entries[at].name, k->entries[at].name_n), name) <= 0)
			from = at + 1;
		else
			to = at;
	}
	if (from == 0 || !span_eq(string(k, k->entries[from - 1].name, k->entries[from - 1].name_n), name))
		return SPAN_NONE;
	return string(k, k->entries[from - 1].keywords, k->entries[from - 1].keywords_n);
}
