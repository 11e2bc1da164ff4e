/*
 * notify_state.c: NOTIFY over a sleep: the command's arguments, the names of all folders, and a digest of what was told of
 * each that is watched. The state is this session's own, but read as if a stranger had written it.
 */
#include "notify.h"

#include <stdlib.h>

#include "notify_private.h"
#include "base/banned.h"

#define TEXT_MAX 1024
#define VIEW_MAX 4096

enum { ENTRY_EXISTS = 1, ENTRY_SUBSCRIBED = 2, ENTRY_WATCHED = 4 };

uint64_t
notify_digest(unsigned events, const struct mailstore_status *st)
{
	bool mail = events & (NOTIFY_NEW | NOTIFY_EXPUNGE), flags = events & NOTIFY_FLAGS;
	const uint64_t seen[] = { st->uidvalidity, mail ? st->messages : 0, mail ? st->uidnext : 0, flags ? st->unseen : 0,
		flags ? st->highestmodseq : 0 };
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < NELEMS(seen); i++)
		for (int k = 0; k < 64; k += 8)
			sum = (sum ^ (seen[i] >> k & 0xff)) * 0x100000001b3u;
	return sum | 1;
}

/* ---- writing ---- */

static const struct watched *
find(const struct notify *n, struct span name)
{
	for (size_t i = 0; i < n->n; i++)
		if (span_eq(n->w[i].name, name))
			return &n->w[i];
	return NULL;
}

/* False: there is something to tell, or its name could not be read again. */
static bool
put_entry(const struct session *s, const struct notify_name *e, struct buf *out)
{
	const struct watched *w = find(s->notify, e->name);
	bool selected = s->folder && span_is(e->name, mailfolder_name(s->folder));

	if (mailstore_name_check(e->name) != STORE_OK || e->name.n > UINT8_MAX || (w && w->dirty && !selected))
		return false;
	buf_addc(out, (char)((e->exists ? ENTRY_EXISTS : 0) | (e->subscribed ? ENTRY_SUBSCRIBED : 0) | (w ? ENTRY_WATCHED : 0)));
	buf_addc(out, (char)e->name.n);
	buf_addspan(out, e->name);
	buf_add_u64(out, e->mark);
	if (w)
		buf_add_u64(out, w->digest ? w->digest : notify_digest(w->events, &w->st));
	return true;
}

bool
notify_save(const struct session *s, struct buf *out)
{
	const struct notify *n = s->notify;
	bool ok = true;

	if (!n)
		return true;
	buf_addc(out, notify_is_on(s));
	if (!notify_is_on(s))
		return !out->over;
	if (n->names_dirty || n->text.n > TEXT_MAX)
		return false;
	buf_addc(out, n->utf8);
	buf_add_u16(out, (uint16_t)n->text.n);
	buf_addspan(out, n->text);
	for (size_t i = 0; i < n->view->n && ok; i++)
		ok = put_entry(s, &n->view->e[i], out);
	return ok && !out->over;
}

bool
notify_places(struct session *s, int *dirs, size_t max, size_t *n)
{
	const struct notify *note = s->notify;

	if (*n >= max || !mailstore_names_place(s->ms, &dirs[*n]))
		return false;
	++*n;
	for (size_t i = 0; i < note->n; i++) {
		if (s->folder && span_is(note->w[i].name, mailfolder_name(s->folder)))
			continue;
		if (*n + 2 > max || !mailstore_places(s->ms, note->w[i].name, dirs + *n))
			return false;
		*n += 2;
	}
	return true;
}

/* ---- reading ---- */

static bool
take(struct span *rest, size_t n, struct span *out)
{
	if (rest->n < n)
		return false;
	*out = span_sub(*rest, 0, n);
	*rest = span_skip(*rest, n);
	return true;
}

static bool
take_number(struct span *rest, size_t bytes, uint64_t *v)
{
	struct span s;

	if (!take(rest, bytes, &s))
		return false;
	*v = 0;
	for (size_t i = bytes; i-- > 0;)
		*v = *v << 8 | (unsigned char)s.p[i];
	return true;
}

/* Names in ascending order, as they are looked up. */
static bool
take_entry(struct notify *n, struct span *rest)
{
	struct notify_name e = { 0 };
	uint64_t flags, length, digest = 0;
	struct span name;

	if (!take_number(rest, 1, &flags) || !take_number(rest, 1, &length) || !take(rest, length, &name) ||
	    !take_number(rest, 8, &e.mark) || (flags & ENTRY_WATCHED && !take_number(rest, 8, &digest)) ||
	    mailstore_name_check(name) != STORE_OK || (n->view->n && span_cmp(n->view->e[n->view->n - 1].name, name) >= 0))
		return false;
	e.exists = flags & ENTRY_EXISTS;
	e.subscribed = flags & ENTRY_SUBSCRIBED;
	e.name = view_add(n->view, name, &e);
	if (!e.name.p || (flags & ENTRY_WATCHED && (n->n == NOTIFY_FOLDERS_MAX || !digest)))
		return false;
	if (flags & ENTRY_WATCHED)
		n->w[n->n++] = (struct watched){ .name = e.name, .digest = digest };
	return true;
}

static bool
take_all(struct session *s, struct notify *n, struct span rest)
{
	uint64_t utf8, length;
	struct span text;

	if (!take_number(&rest, 1, &utf8) || !take_number(&rest, 2, &length) || length > TEXT_MAX || !take(&rest, length, &text) ||
	    !notify_keep(n, text, utf8))
		return false;
	n->left = span_str(x_strdup(s->folder ? mailfolder_name(s->folder) : ""));
	n->view = view_empty();
	n->w = x_alloc(NOTIFY_FOLDERS_MAX * sizeof(*n->w));
	n->names_dirty = true;		/* the first look is at all, and makes the watches */
	while (rest.n)
		if (!take_entry(n, &rest))
			return false;
	return true;
}

bool
notify_restore(struct session *s, struct span state)
{
	uint64_t on;

	if (state.n == 0)
		return true;
	s->notify = notify_new();
	return take_number(&state, 1, &on) && (on ? take_all(s, s->notify, state) : state.n == 0);
}
