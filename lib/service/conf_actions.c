/*
 * conf_actions.c: do the tables of checks and of check_*_access answer what can be done? For programs that see the
 * file system: a mistake in a table is told before the first message meets it.
 */
#include <stdlib.h>

#include "base/map.h"
#include "mail/mailboxpath.h"
#include "mail/owner.h"
#include "service/actions.h"
#include "service/conf_private.h"
#include "service/restrict.h"
#include "base/banned.h"

#define TOLD_MAX 20			/* mistakes of one table */

struct walk {
	const struct conf *c;
	const char *name, *classes;
	enum action_where where;
	bool (*check)(const struct walk *w, struct span value, struct buf *why);
	struct buf *err;
	int errors;
};

static bool
is_action(const struct walk *w, struct span value, struct buf *why)
{
	return action_check(value, w->where, w->classes, why);
}

static bool
is_mailbox(const struct walk *w, struct span value, struct buf *why)
{
	struct buf mailbox;
	bool ok;

	(void)w;
	buf_init(&mailbox, MAILBOXPATH_MAX + 1);
	ok = mailboxpath_of_value(value, &mailbox, why);
	buf_fini(&mailbox);
	return ok;
}

static bool
is_uid(const struct walk *w, struct span value, struct buf *why)
{
	uint32_t least = 1, uid;
	struct buf text;

	buf_init(&text, 100);
	if (conf_value(w->c, "virtual_minimum_uid", &text))
		(void)!span_u32(span_trim(buf_span(&text)), 1, UINT32_MAX - 1, &least);
	buf_fini(&text);
	return owner_uid_ok(span_trim(value), least, &uid, why);
}

static bool
is_gid(const struct walk *w, struct span value, struct buf *why)
{
	uint32_t gid;

	(void)w;
	return owner_gid_ok(span_trim(value), &gid, why);
}

static void
check_value(void *ctx, const char *file, unsigned line, struct span key, struct span value)
{
	struct walk *w = ctx;
	struct buf why;

	buf_init(&why, 4096);
	if (!w->check(w, value, &why) && ++w->errors <= TOLD_MAX) {
		conf_place(w->c, w->name, w->err);
		buf_addf(w->err, "%s: ", w->name);
		if (file && line)
			buf_addf(w->err, "%s:%u: ", file, line);
		else if (key.n > 0)
			buf_addf(w->err, "%s%s%.*s: ", file ? file : "", file ? ": " : "", SPAN_FMT(key));
		buf_addf(w->err, "%s\n", buf_cstr(&why));
	}
	buf_fini(&why);
}

/* Tables that do not open have been told. */
static int
check_spec(struct walk *w, struct span spec)
{
	struct maps *maps;
	struct buf why;

	buf_init(&why, 4096);
	maps = maps_open(spec, &why);
	maps_each_value(maps, check_value, w);
	maps_free(maps);
	buf_fini(&why);
	return w->errors;
}

int
conf_check_rule_tables(const struct conf *c, const char *name, struct span list, const char *classes, struct buf *err)
{
	struct walk w = { c, name, classes, ACTION_IN_ACCESS, is_action, err, 0 };
	struct restrict_word word;
	struct buf why;

	buf_init(&why, 4096);
	while (restrict_next(&list, classes, &word, &why) > 0) {
		struct maps *maps;

		if (!word.row || word.row->arg != RESTRICT_TABLE)
			continue;
		maps = maps_open(word.arg, &why);
		if (maps)
			maps_each_value(maps, check_value, &w);
		maps_free(maps);
	}
	buf_fini(&why);
	return w.errors;
}

int
conf_check_actions(const struct conf *c, const char *name, struct span spec, struct buf *err)
{
	static const struct {
		const char *name;
		enum action_where where;
		bool (*check)(const struct walk *w, struct span value, struct buf *why);
	} rows[] = {
		{ "header_checks", ACTION_IN_HEADER, is_action }, { "mime_header_checks", ACTION_IN_HEADER, is_action },
		{ "nested_header_checks", ACTION_IN_HEADER, is_action }, { "body_checks", ACTION_IN_BODY, is_action },
		{ "virtual_mailbox_maps", 0, is_mailbox },
		{ "virtual_uid_maps", 0, is_uid }, { "virtual_gid_maps", 0, is_gid },
	};

	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct walk w = { c, name, "", rows[i].where, rows[i].check, err, 0 };

		if (strcmp(rows[i].name, name) == 0)
			return check_spec(&w, spec);
	}
	return 0;
}
