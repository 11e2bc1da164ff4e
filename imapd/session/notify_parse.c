/* notify_parse.c: the arguments of NOTIFY (RFC 5465 8). Every byte is the client's. */
#include "notify.h"

#include "base/banned.h"

static const struct {
	const char *name;
	enum notify_scope scope;
	bool names;
} scopes[] = {
	{ "SELECTED", NOTIFY_SELECTED, false },
	{ "SELECTED-DELAYED", NOTIFY_SELECTED_DELAYED, false },
	{ "INBOXES", NOTIFY_INBOXES, false },
	{ "PERSONAL", NOTIFY_PERSONAL, false },
	{ "SUBSCRIBED", NOTIFY_SUBSCRIBED, false },
	{ "SUBTREE", NOTIFY_SUBTREE, true },
	{ "MAILBOXES", NOTIFY_MAILBOXES, true },
};

static const struct {
	const char *name;
	unsigned event;
} events[] = {
	{ "MessageNew", NOTIFY_NEW },
	{ "MessageExpunge", NOTIFY_EXPUNGE },
	{ "FlagChange", NOTIFY_FLAGS },
	{ "MailboxName", NOTIFY_NAME },
	{ "SubscriptionChange", NOTIFY_SUBSCRIPTION },
};

static bool
is_selected(const struct notify_group *g)
{
	return g->scope == NOTIFY_SELECTED || g->scope == NOTIFY_SELECTED_DELAYED;
}

static bool
parse_name(struct parser *p, struct notify_set *set, struct notify_group *g)
{
	struct span name;
	bool ok;

	if (!parse_mailbox(p, &name, &ok))
		return false;
	if (++set->nnames > NOTIFY_NAMES_MAX)
		return parse_fail(p, "Too many mailboxes");
	if (!g->names)
		g->names = arena_try(p->arena, NOTIFY_NAMES_MAX * sizeof(*g->names));
	if (!g->names)
		return parse_fail(p, "Arguments take too much memory");
	if (ok)				/* RFC 5465 3.1: what is no mailbox is ignored */
		g->names[g->nnames++] = name;
	return true;
}

/* " mailbox" or " (mailbox mailbox)" */
static bool
parse_names(struct parser *p, struct notify_set *set, struct notify_group *g)
{
	if (!parse_space(p))
		return false;
	if (!parse_try(p, '('))
		return parse_name(p, set, g);
	do {
		if (!parse_name(p, set, g))
			return false;
	} while (parse_try(p, ' '));
	return parse_char(p, ')');
}

static bool
parse_event(struct parser *p, struct notify_set *set, struct notify_group *g)
{
	struct span word;
	size_t at;

	if (!parse_atom(p, &word))
		return false;
	for (size_t i = 0; i < NELEMS(events); i++) {
		if (!span_is_nocase(word, events[i].name))
			continue;
		if (is_selected(g) && !(events[i].event & NOTIFY_MAIL))
			return parse_fail(p, "The selected mailbox has message events only");
		g->events |= events[i].event;
		at = p->at;
		if (events[i].event != NOTIFY_NEW || !parse_try(p, ' '))
			return true;
		if (parse_peek(p) != '(') {
			p->at = at;
			return true;
		}
		return is_selected(g) ? parse_fetch_list(p, &g->fetch)
		    : parse_fail(p, "Message data is told of the selected mailbox only");
	}
	set->unsupported = true;
	return true;
}

static bool
parse_events(struct parser *p, struct notify_set *set, struct notify_group *g)
{
	unsigned mail;

	if (parse_try_word(p, "NONE"))
		return true;
	if (!parse_char(p, '('))
		return false;
	do {
		if (!parse_event(p, set, g))
			return false;
	} while (parse_try(p, ' '));
	mail = g->events & NOTIFY_MAIL;		/* RFC 5465 5: both, and flags with both alone */
	if (mail && (mail & (NOTIFY_NEW | NOTIFY_EXPUNGE)) != (NOTIFY_NEW | NOTIFY_EXPUNGE))
		return parse_fail(p, "MessageNew and MessageExpunge go together");
	return parse_char(p, ')');
}

static bool
parse_group(struct parser *p, struct notify_set *set)
{
	struct notify_group *g = &set->groups[set->n];
	struct span word;
	size_t i;

	if (set->n == NOTIFY_GROUPS_MAX)
		return parse_fail(p, "Too many groups of events");
	set->n++;
	if (!parse_char(p, '(') || !parse_atom(p, &word))
		return false;
	for (i = 0; i < NELEMS(scopes) && !span_is_nocase(word, scopes[i].name); i++)
		continue;
	if (i == NELEMS(scopes))
		return parse_fail(p, "Unknown kind of mailboxes");
	g->scope = scopes[i].scope;
	for (uint32_t k = 0; is_selected(g) && k + 1 < set->n; k++)
		if (is_selected(&set->groups[k]))
			return parse_fail(p, "The selected mailbox is named twice");
	if (scopes[i].names && !parse_names(p, set, g))
		return false;
	return parse_space(p) && parse_events(p, set, g) && parse_char(p, ')');
}

bool
notify_parse(struct parser *p, struct notify_set *set)
{
	*set = (struct notify_set){ 0 };
	if (parse_try_word(p, "NONE")) {
		set->none = true;
		return parse_end(p);
	}
	if (!parse_try_word(p, "SET"))
		return parse_fail(p, "SET or NONE expected");
	set->groups = arena_try(p->arena, NOTIFY_GROUPS_MAX * sizeof(*set->groups));
	if (!set->groups)
		return parse_fail(p, "Arguments take too much memory");
	if (!parse_space(p))
		return false;
	if (parse_try_word(p, "STATUS")) {
		set->status = true;
		if (!parse_space(p))
			return false;
	}
	do {
		if (!parse_group(p, set))
			return false;
	} while (parse_try(p, ' '));
	return parse_end(p);
}
