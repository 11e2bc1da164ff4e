/* user_table.c: conf/users read, changed and replaced. Root's file; addresses come from the operator. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/map.h"
#include "common/compile.h"
#include "common/tool.h"
#include "mail/address.h"
#include "mail/mailboxpath.h"
#include "table.h"
#include "user.h"
#include "base/banned.h"

#define USERS_MAX (256u << 20)
#define LINE_LONGEST 4096

bool
user_address(struct span in, struct buf *out, struct buf *err)
{
	struct address a;
	enum address_status st = address_parse(in, 0, &a);

	if (st != ADDRESS_OK || a.domain.n == 0 || a.local.n == 0) {
		buf_addf(err, "\"%.*s\" is not an address user@domain", SPAN_FMT(in));
		if (st != ADDRESS_OK)
			buf_addf(err, ": %s", address_problem(st));
		return false;
	}
	address_canonical(&a, out);
	for (size_t i = 0; i < out->len; i++)
		out->p[i] = ascii_lower(out->p[i]);
	if (memchr(out->p, ':', out->len) || memchr(out->p, '/', out->len) || memchr(out->p, '"', out->len) ||
	    out->p[0] == '.' || out->p[0] == '-' || out->over) {
		buf_addf(err, "\"%.*s\": the name would not do as a directory", SPAN_FMT(in));
		return false;
	}
	return true;
}

static struct user_line *
add_line(struct user_table *t, struct span text)
{
	struct user_line *l;

	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		t->lines = x_realloc(t->lines, t->cap * sizeof(*t->lines));
	}
	l = &t->lines[t->n++];
	*l = (struct user_line){ .text = x_spandup(text) };
	return l;
}

static bool
parse_line(struct user_line *l, struct buf *err)
{
	struct span text = span_trim_right(span_str(l->text));

	if (text.n == 0 || text.p[0] == '#')
		return true;
	return user_parse_line(text, &l->rec, err);
}

static const struct user_table *sorting;	/* qsort(3) has no argument for it */

static int
by_address(const void *a, const void *b)
{
	return span_cmp(sorting->lines[*(const size_t *)a].rec.address, sorting->lines[*(const size_t *)b].rec.address);
}

static void
sort_lines(struct user_table *t)
{
	t->order = x_alloc((t->n + 1) * sizeof(*t->order));
	for (size_t i = 0; i < t->n; i++)
		if (t->lines[i].rec.address.n)
			t->order[t->norder++] = i;
	sorting = t;
	if (t->norder)
		qsort(t->order, t->norder, sizeof(*t->order), by_address);
}

void
user_table_open(struct user_table *t, const char *confdir, bool change)
{
	struct buf text, err;
	struct span rest, line;
	unsigned at = 0;

	*t = (struct user_table){ .confdir = confdir, .lock = -1 };
	if (change)		/* the directory is locked: the file itself gets replaced */
		t->lock = table_lock(confdir);
	buf_init(&text, USERS_MAX);
	buf_init(&err, LINE_LONGEST);
	if (!tool_read(par.users_file, USERS_MAX, &text))
		tool_fail(errno == EACCES ? EX_NOPERM : EX_NOINPUT, "%s: %s", par.users_file, strerror(errno));
	rest = span_trim_right(buf_span(&text));
	while (rest.n && span_cut(&rest, '\n', &line)) {
		at++;
		if (!parse_line(add_line(t, line), &err))
			tool_fail(EX_CONFIG, "%s:%u: %s; nothing was changed", par.users_file, at, err.p);
	}
	sort_lines(t);
	buf_fini(&text);
	buf_fini(&err);
}

struct user_line *
user_table_find(struct user_table *t, struct span address)
{
	size_t low = 0, high = t->norder;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int r = span_cmp(address, t->lines[t->order[mid]].rec.address);

		if (r == 0)
			return &t->lines[t->order[mid]];
		if (r < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

void
user_table_put(struct user_table *t, struct user_line *l, const struct user_record *rec)
{
	struct buf text, err;
	char *old = l->text;

	(void)t;
	buf_init(&text, LINE_LONGEST);
	buf_init(&err, LINE_LONGEST);
	user_format_line(&text, rec);
	l->text = x_spandup(buf_span(&text));
	if (text.over || !parse_line(l, &err))	/* the address stays the same: the order is still right */
		tool_fail(EX_DATAERR, "%.*s: %s; nothing was changed", SPAN_FMT(rec->address), err.p);
	free(old);
	buf_fini(&text);
	buf_fini(&err);
}

const struct user_record *
user_table_add(struct user_table *t, const struct user_record *rec)
{
	struct user_line *l = NULL;
	struct buf text, err;

	buf_init(&text, LINE_LONGEST);
	buf_init(&err, LINE_LONGEST);
	user_format_line(&text, rec);
	if (text.over || !parse_line(l = add_line(t, buf_span(&text)), &err))
		tool_fail(EX_DATAERR, "%.*s: %s", SPAN_FMT(rec->address), err.p);
	l->added = true;
	buf_fini(&text);
	buf_fini(&err);
	return &l->rec;
}

/* Where virtual_mailbox_maps have had the mail of this address until now; empty: they do not know it. */
static void
find_home(struct span address, struct buf *home)
{
	static struct maps *maps;
	struct buf value, err;

	buf_init(&value, LINE_LONGEST);
	buf_init(&err, LINE_LONGEST);
	if (!maps && !(maps = maps_open(span_str(par.virtual_mailbox_maps), &err)))
		tool_fail(EX_CONFIG, "virtual_mailbox_maps: %s", buf_cstr(&err));
	if (maps_find(maps, address, &value) == MAP_FOUND && !mailboxpath_of_value(buf_span(&value), home, &err))
		tool_fail(EX_CONFIG, "virtual_mailbox_maps: %.*s: %s", SPAN_FMT(address), buf_cstr(&err));
	buf_fini(&value);
	buf_fini(&err);
}

const struct user_record *
user_table_set(struct user_table *t, struct span address, struct span verifier)
{
	struct user_line *l = user_table_find(t, address);
	const struct user_record *out;
	struct user_record rec;
	struct buf home;

	if (l) {
		rec = l->rec;
		rec.verifier = verifier;
		user_table_put(t, l, &rec);
		return &l->rec;
	}
	buf_init(&home, MAILBOXPATH_MAX);
	find_home(address, &home);
	out = user_table_add(t, &(struct user_record){ .address = address, .verifier = verifier, .home = buf_span(&home) });
	buf_fini(&home);
	return out;
}

void
user_table_remove(struct user_table *t, struct user_line *l)
{
	free(l->text);
	*l = (struct user_line){ 0 };
	t->norder = 0;			/* no more look-ups before it is read again */
}

static int
by_place(const void *a, const void *b)
{
	return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

/* DOMAIN/USER of somebody who was renamed is taken: he has it as his home. */
static void
check_places_of_new_ones(const struct user_table *t)
{
	struct span *taken = x_alloc((t->n + 1) * sizeof(*taken));
	struct buf place;
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		if (t->lines[i].text && t->lines[i].rec.home.n)
			taken[n++] = mailboxpath_dir(t->lines[i].rec.home);
	if (n)
		qsort(taken, n, sizeof(*taken), by_place);
	buf_init(&place, MAILBOXPATH_MAX + 1);
	for (size_t i = 0; i < t->n && n; i++) {
		const struct user_line *l = &t->lines[i];
		struct span at;

		buf_reset(&place);
		if (!l->text || !l->added || l->rec.home.n || !user_mailbox(l->rec.address, SPAN("::"), &place))
			continue;
		at = buf_span(&place);
		if (bsearch(&at, taken, n, sizeof(*taken), by_place))
			tool_fail(EX_CANTCREAT, "%.*s: the mail in %s is another user's, who has it as his home; nothing was changed. "
			    "With a place of his own: merpati user add %.*s home=DIR", SPAN_FMT(l->rec.address), buf_cstr(&place),
			    SPAN_FMT(l->rec.address));
	}
	buf_fini(&place);
	free(taken);
}

void
user_table_save(struct user_table *t)
{
	struct buf text, err, next;

	check_places_of_new_ones(t);

	buf_init(&text, USERS_MAX);
	buf_init(&err, 64 * 1024);
	for (size_t i = 0; i < t->n; i++) {
		if (!t->lines[i].text)
			continue;
		buf_adds(&text, t->lines[i].text);
		buf_addc(&text, '\n');
	}
	/* the tables are made from a text of its own first: a mistake leaves everything as it was */
	buf_init(&next, 4096);
	buf_addf(&next, "%s.new", par.users_file);
	if (text.over || !replace_file(AT_FDCWD, next.p, buf_span(&text), 0600))
		tool_fail(EX_CANTCREAT, "%s: %s", par.users_file, text.over ? "too large" : strerror(errno));
	if (!compile_users_text(t->confdir, par.users_file, buf_span(&text), &err)) {
		unlink(next.p);
		tool_fail(EX_DATAERR, "nothing was changed: %s", err.p);
	}
	if (rename(next.p, par.users_file) < 0)
		tool_fail(EX_CANTCREAT, "%s: %s", par.users_file, strerror(errno));
	explicit_bzero(text.p, text.len);
	buf_fini(&next);
	buf_fini(&text);
	buf_fini(&err);
}

void
user_table_close(struct user_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->lines[i].text);
	free(t->lines);
	free(t->order);
	close_fd(&t->lock);
}
