/* notify.c: what is watched for a client of NOTIFY, and what it is told of mailboxes other than the selected one. */
#include "notify.h"

#include <stdlib.h>

#include "base/clock.h"
#include "list.h"
#include "message.h"
#include "notify_private.h"
#include "sleep.h"
#include "base/banned.h"

#define LOOK_MS 2000			/* where there is no inotify, or there are no more watches */
#define WAIT_MS 60000
#define REST_MS 2000			/* after so long without a word the index is given up until there is one */

bool
notify_is_on(const struct session *s)
{
	return s->notify && (s->notify->wants || s->notify->selected);
}

int
notify_fd(const struct session *s)
{
	return s->notify->watch ? mailwatch_fd(s->notify->watch) : -1;
}

unsigned
notify_selected(const struct session *s, bool *at_once)
{
	const struct notify *n = s->notify;

	*at_once = n && n->selected && n->selected->scope == NOTIFY_SELECTED;
	if (!n)
		return NOTIFY_MAIL;
	return n->selected ? n->selected->events : 0;
}

static void
forget(struct notify *n)
{
	view_free(n->view);
	mailwatch_free(n->watch);
	free(n->w);
	free((void *)(uintptr_t)n->left.p);
	arena_fini(&n->arena);
	*n = (struct notify){ 0 };
	arena_init(&n->arena, IMAP_COMMAND_MAX);
}

static void
put_away(struct notify *n)
{
	if (!n)
		return;
	forget(n);
	arena_fini(&n->arena);
	free(n);
}

void
notify_free(struct session *s)
{
	put_away(s->notify);
	s->notify = NULL;
}

/* RFC 5465 5.8: from now on as if it had said NOTIFY NONE. */
static void
overflow(struct session *s)
{
	forget(s->notify);
	stream_puts(&s->io, "* OK [NOTIFICATIONOVERFLOW] Too much happens: NOTIFY is off\r\n");
}

static bool
is_below(struct span name, struct span parent)
{
	return name.n >= parent.n && memcmp(name.p, parent.p, parent.n) == 0 &&
	    (name.n == parent.n || name.p[parent.n] == MAILSTORE_SEPARATOR);
}

/* Mail is delivered to INBOX alone. */
static bool
covers(const struct notify_group *g, struct span name, bool subscribed)
{
	if (g->scope == NOTIFY_PERSONAL)
		return true;
	if (g->scope == NOTIFY_SUBSCRIBED)
		return subscribed;
	if (g->scope == NOTIFY_INBOXES)
		return span_is(name, "INBOX");
	for (uint32_t i = 0; i < g->nnames; i++)
		if (g->scope == NOTIFY_SUBTREE ? is_below(name, g->names[i]) : span_eq(name, g->names[i]))
			return true;
	return false;
}

/* Several groups may be about one mailbox (RFC 5465 6). */
static unsigned
events_of(const struct notify *n, struct span name, bool subscribed)
{
	unsigned events = 0;

	for (uint32_t i = 0; i < n->set.n; i++)
		if (&n->set.groups[i] != n->selected && covers(&n->set.groups[i], name, subscribed))
			events |= n->set.groups[i].events;
	return events;
}

static bool
is_selected(const struct session *s, struct span name)
{
	return s->folder && span_is(name, mailfolder_name(s->folder));
}

static int
watched_order(const void *pa, const void *pb)
{
	return span_cmp(((const struct watched *)pa)->name, ((const struct watched *)pb)->name);
}

/*
 * The folders to watch, out of a new view. Known ones keep what was told of them; of the others all is news. Watches are made
 * before anybody looks: nothing falls between. False: they are too many.
 */
static bool
rebuild(struct session *s, struct notify_view *view)
{
	struct notify *n = s->notify;
	struct watched *w = x_alloc(NOTIFY_FOLDERS_MAX * sizeof(*w));
	struct mailwatch *watch = mailwatch_new(s->ms);
	size_t count = 0;
	bool fits = true;

	for (size_t i = 0; i < view->n && fits; i++) {
		const struct notify_name *e = &view->e[i];
		struct watched next = { .name = e->name, .dirty = true }, *known = NULL;

		next.events = e->exists ? events_of(n, e->name, e->subscribed) & NOTIFY_MAIL : 0;
		if (!next.events)
			continue;
		if (n->n)
			known = bsearch(&next, n->w, n->n, sizeof(*n->w), watched_order);
		if (known) {
			next.st = known->st;
			next.digest = known->digest;
		}
		fits = count < NOTIFY_FOLDERS_MAX;
		if (fits && watch && !mailwatch_add(watch, e->name, (uint32_t)count)) {
			mailwatch_free(watch);
			watch = NULL;
		}
		if (fits)
			w[count++] = next;
	}
	if (s->folder && watch && !mailwatch_add(watch, span_str(mailfolder_name(s->folder)), MAILWATCH_ANY)) {
		mailwatch_free(watch);
		watch = NULL;
	}
	free(n->w);
	mailwatch_free(n->watch);
	n->w = w;
	n->n = count;
	n->watch = watch;
	return fits;
}

/* FlagChange has it told to every client (RFC 5465 3.1): it alone shows each change of a flag. */
static bool
wants_modseq(const struct session *s, unsigned events)
{
	return s->enabled & ENABLED_CONDSTORE || events & NOTIFY_FLAGS;
}

static uint32_t
items_of(const struct session *s, unsigned events)
{
	uint32_t items = status_item("UIDVALIDITY");

	if (events & (NOTIFY_NEW | NOTIFY_EXPUNGE))
		items |= status_item("MESSAGES") | status_item("UIDNEXT");
	if (events & NOTIFY_FLAGS)
		items |= status_item("UNSEEN");
	return wants_modseq(s, events) ? items | status_item("HIGHESTMODSEQ") : items;
}

/* What the client's own APPEND or COPY has made of it is no news (RFC 5465 5). */
static bool
is_own(const struct session *s, const struct watched *w, const struct mailstore_status *st)
{
	return s->own.count && span_eq(s->own.to, w->name) && st->messages == w->st.messages + s->own.count &&
	    st->uidnext == w->st.uidnext + s->own.count;
}

static bool
differs(const struct watched *w, const struct mailstore_status *a, const struct mailstore_status *b)
{
	if (a->uidvalidity != b->uidvalidity)
		return true;
	if (w->events & (NOTIFY_NEW | NOTIFY_EXPUNGE) && (a->messages != b->messages || a->uidnext != b->uidnext))
		return true;
	return w->events & NOTIFY_FLAGS && (a->unseen != b->unseen || a->highestmodseq != b->highestmodseq);
}

/* Names in this client's own command, and what hangs on them, are no news to it (RFC 5465 5). */
static bool
is_own_name(const struct session *s, struct span name)
{
	return (s->own.from.n && is_below(name, s->own.from)) || (s->own.to.n && is_below(name, s->own.to));
}

static bool
is_news(const struct watched *w, const struct mailstore_status *st)
{
	return w->digest ? w->digest != notify_digest(w->events, st) : differs(w, &w->st, st);
}

static void
look_at(struct session *s, struct watched *w, bool tell)
{
	bool made = w->st.uidvalidity == 0 && !w->digest;
	struct mailstore_status st;

	w->dirty = false;
	if (mailstore_status(s->ms, w->name, wants_modseq(s, w->events) ? STATUS_MODSEQ : 0, &st) != STORE_OK) {
		s->notify->names_dirty = true;	/* it has gone, or another program is about to make it */
		return;
	}
	if (tell && is_news(w, &st) && !is_own(s, w, &st) && !(made && is_own_name(s, w->name)))
		status_print(s, w->name, items_of(s, w->events), &st);
	w->st = st;
	w->digest = 0;
}

/* ---- names ---- */

static bool
wants(struct session *s, struct span name, unsigned event)
{
	const struct notify_name *e = view_find(s->notify->view, name);

	return events_of(s->notify, name, e && e->subscribed) & event;
}

static bool
tell_name(struct session *s, struct span name, struct span old)
{
	if (s->notify->lines++ == NOTIFY_LINES_MAX)
		return false;
	list_tell(s, NULL, name, old);
	return true;
}

/* A folder that was made or deleted, and the one above it */
static bool
on_name_change(void *ctx, struct span name)
{
	struct session *s = ctx;
	struct span up = name;

	if (is_own_name(s, name))
		return true;
	if (wants(s, name, NOTIFY_NAME) && !tell_name(s, name, SPAN_NONE))
		return false;
	while (up.n && up.p[up.n - 1] != MAILSTORE_SEPARATOR)
		up.n--;
	up.n -= up.n > 0;
	return up.n == 0 || !wants(s, up, NOTIFY_NAME) || tell_name(s, up, SPAN_NONE);
}

static bool
on_rename(void *ctx, struct span from, struct span to)
{
	struct session *s = ctx;

	if (is_own_name(s, to) || (!wants(s, from, NOTIFY_NAME) && !wants(s, to, NOTIFY_NAME)))
		return true;
	return tell_name(s, to, from);
}

static bool
on_subscription(void *ctx, struct span name, bool on)
{
	struct session *s = ctx;
	bool wanted = wants(s, name, NOTIFY_SUBSCRIPTION) || (on && events_of(s->notify, name, true) & NOTIFY_SUBSCRIPTION);

	return !wanted || is_own_name(s, name) || tell_name(s, name, SPAN_NONE);
}

/* False: too much. */
static bool
look_at_names(struct session *s)
{
	static const struct view_events events = { on_name_change, on_name_change, on_rename, on_subscription };
	struct notify *n = s->notify;
	struct notify_view *now = view_new(s->ms);
	bool ok;

	n->names_dirty = false;
	if (!now)
		return false;
	ok = view_compare(n->view, now, &events, s) && rebuild(s, now);
	view_free(n->view);
	n->view = now;
	return ok;
}

static void
on_change(void *ctx, uint32_t tag)
{
	struct notify *n = ctx;

	n->names_dirty |= tag == MAILWATCH_NAMES || tag == MAILWATCH_ALL;
	for (size_t i = 0; i < n->n && tag == MAILWATCH_ALL; i++)
		n->w[i].dirty = true;
	if (tag < n->n)
		n->w[tag].dirty = true;
}

/* Another mailbox is selected, or none: the one before is one of the others again, as the client saw it last. */
static void
follow_selection(struct session *s)
{
	struct notify *n = s->notify;
	const char *name = s->folder ? mailfolder_name(s->folder) : "";

	if (span_is(n->left, name))
		return;
	for (size_t i = 0; i < n->n; i++)
		if (span_eq(n->w[i].name, n->left))
			look_at(s, &n->w[i], false);
	free((void *)(uintptr_t)n->left.p);
	n->left = span_str(x_strdup(name));
	if (s->folder && n->watch && !mailwatch_add(n->watch, n->left, MAILWATCH_ANY)) {
		mailwatch_free(n->watch);
		n->watch = NULL;
	}
}

void
notify_look(struct session *s)
{
	struct notify *n = s->notify;

	if (!notify_is_on(s) || s->state == IN_LOGOUT)
		return;
	n->lines = 0;
	follow_selection(s);
	if (n->watch)
		mailwatch_read(n->watch, on_change, n);
	else
		on_change(n, MAILWATCH_ALL);
	if (n->names_dirty && !look_at_names(s)) {
		overflow(s);
		return;
	}
	for (size_t i = 0; i < n->n && s->io.end == STREAM_OPEN; i++)
		if (n->w[i].dirty && !is_selected(s, n->w[i].name))
			look_at(s, &n->w[i], true);
}

void
notify_fetch(struct session *s, size_t from, size_t end)
{
	const struct notify *n = s->notify;
	uint32_t *index;
	size_t count = 0;

	if (!n || !n->selected || !n->selected->fetch.n || from >= end)
		return;
	s->told = s->looked = clock_mono_ms();	/* no command of the client's has been under way since whatever was then */
	index = x_alloc((end - from) * sizeof(*index));
	for (size_t i = from; i < end; i++) {
		uint32_t uid = session_message(s, i)->uid;

		if (!is_selected(s, s->own.to) || uid < s->own.lo || uid > s->own.hi)
			index[count++] = (uint32_t)i;
	}
	fetch_tell(s, &n->selected->fetch, index, count);
	free(index);
}

void
notify_tell(struct session *s)
{
	bool at_once;

	if (!notify_is_on(s))
		return;
	s->own = (struct own_change){ 0 };
	arena_reset(&s->arena);
	s->told = s->looked = clock_mono_ms();
	(void)notify_selected(s, &at_once);
	session_sync(s, at_once);
	notify_look(s);
}

/* How long to wait for the next look. */
static int
patience(const struct session *s, bool rested, uint64_t quiet)
{
	uint64_t ms = !s->notify->watch || s->notify->names_dirty ? LOOK_MS : rested ? WAIT_MS : REST_MS, now = clock_mono_ms();

	if (s->nap && quiet + s->nap < now + ms)
		ms = quiet + s->nap > now ? quiet + s->nap - now : 0;
	return (int)ms;
}

void
notify_wait(struct session *s)
{
	uint64_t start = clock_mono_ms(), quiet = start;
	bool rested = false;

	if (!notify_is_on(s) || stream_has_input(&s->io))
		return;
	s->own = (struct own_change){ 0 };
	for (;;) {
		if (stream_wait(&s->io, notify_fd(s), patience(s, rested, quiet)))
			return;
		if (s->io.timeout_ms && clock_mono_ms() - start >= s->io.timeout_ms) {
			s->io.end = STREAM_TIMEOUT;
			return;
		}
		notify_tell(s);
		if (s->state == IN_LOGOUT || !notify_is_on(s))
			return;
		if (s->io.out_len || clock_mono_ms() - quiet >= s->nap) {
			if (s->io.out_len == 0 && s->nap && sleep_now(s))
				return;
			quiet = clock_mono_ms();
		}
		if (!rested && s->io.out_len == 0)
			mailstore_release(s->ms);
		rested = s->io.out_len == 0;
	}
}

/* ---- the command ---- */

struct notify *
notify_new(void)
{
	struct notify *n = x_new(struct notify);

	arena_init(&n->arena, IMAP_COMMAND_MAX * 2);
	return n;
}

/* What was understood once is read again into memory that lasts. */
bool
notify_keep(struct notify *n, struct span text, bool utf8)
{
	struct parser p;

	n->text = arena_span(&n->arena, text);
	n->utf8 = utf8;
	parse_begin(&p, n->text, &n->arena);
	p.utf8 = utf8;
	if (!n->text.p || !notify_parse(&p, &n->set))
		return false;
	for (uint32_t i = 0; i < n->set.n; i++) {
		const struct notify_group *g = &n->set.groups[i];

		if (g->scope == NOTIFY_SELECTED || g->scope == NOTIFY_SELECTED_DELAYED)
			n->selected = g;
		else
			n->wants |= g->events;
	}
	return true;
}

/* The state from which on changes are told */
static bool
begin(struct session *s, bool tell)
{
	struct notify *n = s->notify;

	n->left = span_str(x_strdup(s->folder ? mailfolder_name(s->folder) : ""));
	n->view = view_new(s->ms);
	if (!n->view || !rebuild(s, n->view))
		return false;
	for (size_t i = 0; i < n->n; i++) {
		look_at(s, &n->w[i], false);
		if (tell && !is_selected(s, n->w[i].name))
			status_print(s, n->w[i].name, items_of(s, n->w[i].events), &n->w[i].st);
	}
	return true;
}

struct reply
cmd_notify(struct session *s, struct command *c)
{
	struct notify *before = s->notify;
	struct notify_set set;
	struct span text;

	if (!parse_space(&c->args))
		return reply_bad(c);
	text = span_skip(c->args.in, c->args.at);
	if (!notify_parse(&c->args, &set))
		return reply_bad(c);
	if (set.unsupported)
		return reply_no("BADEVENT (" NOTIFY_EVENTS ")", "There are no other events");
	s->notify = NULL;
	session_sync(s, true);		/* RFC 5465 3.1: SET implies NOOP */
	s->notify = notify_new();
	if (!set.none && (!notify_keep(s->notify, text, c->args.utf8) || !begin(s, set.status))) {
		notify_free(s);
		s->notify = before;
		return reply_no("NOTIFICATIONOVERFLOW", "Too many mailboxes to watch");
	}
	put_away(before);
	return reply_ok(set.none ? "Nothing is told" : "Notify completed");
}
