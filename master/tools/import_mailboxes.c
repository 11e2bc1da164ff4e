/* import_mailboxes.c: virtual_mailbox_maps, virtual_uid_maps and virtual_gid_maps of Postfix: who has which mailbox, and whose file it is. */
#include <pwd.h>
#include <stdlib.h>

#include "base/map.h"
#include "common/tool.h"
#include "import_config.h"
#include "mail/mailboxpath.h"
#include "base/banned.h"

#define TABLE_MAX (256u << 20)

/* The texts of the tables that have one; *path: of the one that is read. False: one has none, or cannot be read. */
static bool
read_tables(const char *spec, const char **path, bool (*take)(void *ctx, unsigned line, struct span key, struct span value),
    void *ctx)
{
	struct span rest = span_str(spec), item, kind;
	struct buf text;
	bool all = true;

	buf_init(&text, TABLE_MAX);
	while (map_next_item(&rest, ", \t", &item) > 0) {
		char *file;
		bool ok;

		if (span_starts(item, "proxy:"))
			item = span_skip(item, 6);
		ok = span_cut(&item, ':', &kind) && item.p && !span_is(kind, "static") && !span_is(kind, "inline");
		file = ok ? x_spandup(item) : NULL;
		*path = file;
		buf_reset(&text);
		ok = ok && tool_read(file, TABLE_MAX, &text);
		if (ok)
			map_text_each(buf_span(&text), MAP_TEXT_PLAIN, take, ctx);
		all = all && ok;
		free(file);
	}
	*path = NULL;
	buf_fini(&text);
	return all;
}

/* ---- whose they are ---- */

struct owners {
	size_t n;
	uint32_t number;		/* of the first one */
	bool several, bad;		/* another one differs; one is no number */
};

static bool
take_owner(void *ctx, unsigned line, struct span key, struct span value)
{
	struct owners *o = ctx;
	uint32_t number = 0;

	(void)line;
	(void)key;
	o->bad |= !span_u32(span_trim(value), 1, UINT32_MAX - 1, &number);
	o->several |= o->n > 0 && number != o->number;
	o->number = number;
	o->n++;
	return !o->bad;
}

/* "static:5000", or tables in which all have the same. */
static bool
only_owner(const char *spec, uint32_t *number, bool *bad)
{
	struct owners o = { 0 };
	const char *path;
	bool all;

	*bad = strstr(spec, "regexp:") || strstr(spec, "pcre:");
	if (strncmp(spec, "static:", 7) == 0)
		return span_u32(span_trim(span_str(spec + 7)), 1, UINT32_MAX - 1, number);
	all = read_tables(spec, &path, take_owner, &o);
	*bad |= o.bad;
	*number = o.number;
	return all && o.n > 0 && !o.several && !o.bad;
}

/* One user of this host owns all of it: then that is virtual_mail_user, whose mail need not go by the queue. */
static const struct passwd *
only_user(const char *spec)
{
	uint32_t uid;
	bool bad;

	return only_owner(spec, &uid, &bad) ? getpwuid((uid_t)uid) : NULL;
}

static bool
is_bad(struct import_line *l)
{
	uint32_t number;
	bool bad;

	if (only_owner(l->value, &number, &bad) || !bad)
		return false;
	import_verdict(l, VERDICT_LOST, "not all values are numbers above 0, which no expression makes: mail for those mailboxes would wait for ever");
	return true;
}

bool
import_mail_user(struct import_line *l, const char *arg)
{
	const struct passwd *pw = only_user(l->value);

	if (!pw)
		return is_bad(l);
	import_out(l, arg, span_str(pw->pw_name));
	import_verdict(l, VERDICT_TRANSLATED, "the name of the user of that number here");
	return true;
}

bool
import_mail_group(struct import_line *l, const char *uids)
{
	uint32_t gid;
	bool bad;

	if (uids && !only_user(uids))
		return is_bad(l);
	import_verdict(l, only_owner(l->value, &gid, &bad) ? VERDICT_IGNORED : VERDICT_LOST, "files have the group of virtual_mail_user");
	return true;
}

/* ---- where they are ---- */

struct values {
	const char *path;
	size_t n, bad;
	struct buf *first;		/* the first one that is no Maildir */
};

static bool
take_value(void *ctx, unsigned line, struct span key, struct span value)
{
	struct values *v = ctx;
	struct buf mailbox;

	buf_init(&mailbox, MAILBOXPATH_MAX + 1);
	v->n++;
	if (!mailboxpath_of_value(value, &mailbox, NULL) && v->bad++ == 0)
		buf_addf(v->first, "%s:%u: %.*s has \"%.*s\"", v->path, line, SPAN_FMT(key), SPAN_FMT(value));
	buf_fini(&mailbox);
	return true;
}

/* What Dovecot delivers to has often "OK" or "1" there, or paths of mbox files. False: nothing against it. */
bool
import_mailboxes(struct import_line *l, const char *arg)
{
	struct buf first, why;
	struct values v = { .first = &first };

	(void)arg;
	buf_init(&first, 1000);
	buf_init(&why, 2000);
	(void)!read_tables(l->value, &v.path, take_value, &v);
	if (v.bad) {
		buf_addf(&why, "%zu of %zu values are no Maildir (DIR/) below virtual_mailbox_base (%s); make these users by merpati user import",
		    v.bad, v.n, buf_cstr(&first));
		import_verdict(l, VERDICT_LOST, buf_cstr(&why));
	}
	buf_fini(&first);
	buf_fini(&why);
	return v.bad > 0;
}
