/* import_mailboxes.c: virtual_mailbox_maps, virtual_uid_maps and virtual_gid_maps of Postfix: who has which mailbox, and whose file it is. */
#include <pwd.h>
#include <stdlib.h>

#include "base/map.h"
#include "common/tool.h"
#include "import_config.h"
#include "mail/mailboxpath.h"
#include "base/banned.h"

#define TABLE_MAX (256u << 20)

/* "static:5000": the user of that number. */
bool
import_mail_user(struct import_line *l, const char *arg)
{
	struct span value = span_str(l->value);
	const struct passwd *pw;
	uint32_t uid;

	if (!span_starts(value, "static:") || !span_u32(span_trim(span_skip(value, 7)), 1, UINT32_MAX - 1, &uid)) {
		import_verdict(l, VERDICT_LOST, "all virtual mail belongs to one user, virtual_mail_user: give him the mailboxes (chown -R)");
		return true;
	}
	pw = getpwuid((uid_t)uid);
	if (!pw) {
		import_verdict(l, VERDICT_LOST, "this host has no user of that number; all virtual mail belongs to virtual_mail_user");
		return true;
	}
	import_out(l, arg, span_str(pw->pw_name));
	import_verdict(l, VERDICT_TRANSLATED, "the name of the user of that number here");
	return true;
}

bool
import_mail_group(struct import_line *l, const char *arg)
{
	bool fixed = span_starts(span_str(l->value), "static:");

	(void)arg;
	import_verdict(l, fixed ? VERDICT_IGNORED : VERDICT_LOST, "files have the group of virtual_mail_user");
	return true;
}

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

/* The texts of the tables that have one. */
static void
read_tables(const char *spec, struct values *v)
{
	struct span rest = span_str(spec), item, kind;
	struct buf text;

	buf_init(&text, TABLE_MAX);
	while (map_next_item(&rest, ", \t", &item) > 0) {
		char *path;

		if (span_starts(item, "proxy:"))
			item = span_skip(item, 6);
		if (!span_cut(&item, ':', &kind) || !item.p || span_is(kind, "static") || span_is(kind, "inline"))
			continue;
		path = x_spandup(item);
		v->path = path;
		buf_reset(&text);
		if (tool_read(path, TABLE_MAX, &text))
			map_text_each(buf_span(&text), MAP_TEXT_PLAIN, take_value, v);
		free(path);
	}
	buf_fini(&text);
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
	read_tables(l->value, &v);
	if (v.bad) {
		buf_addf(&why, "%zu of %zu values are no Maildir (DIR/) below virtual_mailbox_base (%s); make these users by merpati user import",
		    v.bad, v.n, buf_cstr(&first));
		import_verdict(l, VERDICT_LOST, buf_cstr(&why));
	}
	buf_fini(&first);
	buf_fini(&why);
	return v.bad > 0;
}
