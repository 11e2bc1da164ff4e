/* user_show.c: merpati user show, list, export, set: the table of users seen and changed, other than by passwords. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/ids.h"
#include "common/tool.h"
#include "home.h"
#include "mail/mailboxpath.h"
#include "tools.h"
#include "user.h"
#include "base/banned.h"

/* One JSON object a line; never a verifier. */
static void
show_json(const struct user_record *u)
{
	json_t *o = json_object();
	const struct { const char *key; struct span value; bool number; } fields[] = {
		{ "address", u->address, false }, { "uid", u->uid, true }, { "gid", u->gid, true }, { "home", u->home, false } };
	uint32_t n;

	for (size_t i = 0; i < NELEMS(fields); i++)
		if (fields[i].number && span_u32(fields[i].value, 0, UINT32_MAX, &n))
			json_object_set_new(o, fields[i].key, json_integer(n));
		else if (fields[i].value.n)
			json_object_set_new(o, fields[i].key, json_stringn(fields[i].value.p, fields[i].value.n));
	json_object_set_new(o, "login", json_boolean(u->verifier.p[0] != '!'));
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static void
show_line(const struct user_record *u)
{
	printf("%.*s%s\n", SPAN_FMT(u->address), u->verifier.p[0] == '!' ? " (login disabled)" : "");
}

int
user_list(const char *confdir, int argc, char **argv)
{
	struct user_table t;

	(void)argc;
	(void)argv;
	user_table_open(&t, confdir, false);
	for (size_t i = 0; i < t.n; i++)
		if (t.lines[i].rec.address.n)
			(want_json ? show_json : show_line)(&t.lines[i].rec);
	user_table_close(&t);
	return 0;
}

/* The form that import takes back: with verifiers, so it is for root's eyes. */
int
user_export(const char *confdir, int argc, char **argv)
{
	struct user_table t;
	struct buf line;

	if (want_json)		/* never a verifier */
		return user_list(confdir, argc, argv);
	user_table_open(&t, confdir, false);
	buf_init(&line, 8192);
	puts(USER_EXPORT_HEAD);
	for (size_t i = 0; i < t.n; i++) {
		if (!t.lines[i].rec.address.n)
			continue;
		buf_reset(&line);
		user_format_line(&line, &t.lines[i].rec);
		printf("%s\n", buf_cstr(&line));
	}
	buf_fini(&line);
	user_table_close(&t);
	return 0;
}

static struct user_line *
find(struct user_table *t, const char *arg)
{
	struct buf address, err;
	struct user_line *l;

	buf_init(&address, 1000);
	buf_init(&err, 1000);
	if (!user_address(span_str(arg), &address, &err))
		tool_fail(EX_DATAERR, "%s", err.p);
	l = user_table_find(t, buf_span(&address));
	if (!l)
		tool_fail(EX_NOUSER, "there is no user %s", address.p);
	buf_fini(&address);
	buf_fini(&err);
	return l;
}

/* "" when it is virtual_mail_user's. */
static const char *
owner_line(const struct user_record *u)
{
	static char line[100];
	struct buf why;
	struct ids who;

	buf_init(&why, 1000);
	line[0] = '\0';
	if (!ids_of_mailbox(u->address, u->uid, u->gid, &who, &why))
		tool_complain("warning: %.*s: %s", SPAN_FMT(u->address), buf_cstr(&why));
	else if (who.own)
		snprintf(line, sizeof(line), "owner: uid %u, gid %u\n", (unsigned)who.uid, (unsigned)who.gid);
	buf_fini(&why);
	return line;
}

int
user_show(const char *confdir, int argc, char **argv)
{
	struct user_table t;
	const struct user_record *u;
	struct buf where, value, mailbox;

	(void)argc;
	user_table_open(&t, confdir, false);
	u = &find(&t, argv[0])->rec;
	buf_init(&where, 4096);
	buf_init(&mailbox, 4096);
	buf_init(&value, 4096);
	buf_addf(&value, "%.*s:%.*s:%.*s", SPAN_FMT(u->uid), SPAN_FMT(u->gid), SPAN_FMT(u->home));
	if (want_json)
		show_json(u);
	else if (user_mailbox(u->address, buf_span(&value), &mailbox) && mailboxpath_maildir(buf_span(&mailbox), &where))
		printf("%.*s\nmailbox: %s/%s\n%slogin: %s\n", SPAN_FMT(u->address), par.virtual_mailbox_base, where.p,
		    owner_line(u), u->verifier.p[0] == '!' ? "disabled" : "allowed");
	buf_fini(&where);
	buf_fini(&mailbox);
	buf_fini(&value);
	user_table_close(&t);
	return 0;
}

/* ---- set ---- */

/* "!" in front of the verifier keeps it for the day when the login is allowed again. */
static bool
set_login(struct user_record *u, struct span value, struct buf *room)
{
	bool yes = span_is(value, "yes");
	struct span v = u->verifier;

	if (!yes && !span_is(value, "no"))
		return false;
	if (v.p[0] == '!')
		v = span_skip(v, 1);
	if (yes && v.n == 0)
		tool_fail(EX_DATAERR, "%.*s has no password; merpati user passwd %.*s", SPAN_FMT(u->address), SPAN_FMT(u->address));
	buf_addf(room, "%s%.*s", yes ? "" : "!", SPAN_FMT(v));
	u->verifier = buf_span(room);
	return true;
}

static bool
set_home(struct user_record *u, struct span value, struct buf *room)
{
	(void)room;
	u->home = value;
	return true;
}

static bool
set_uid(struct user_record *u, struct span value, struct buf *room)
{
	(void)room;
	u->uid = value;
	return true;
}

static bool
set_gid(struct user_record *u, struct span value, struct buf *room)
{
	(void)room;
	u->gid = value;
	return true;
}

static const struct {
	const char *name;
	bool (*set)(struct user_record *u, struct span value, struct buf *room);
} settings[] = {
	{ "login", set_login },
	{ "home", set_home },
	{ "uid", set_uid },
	{ "gid", set_gid },
};

static void
set_one(struct user_record *u, const char *arg, struct buf *room)
{
	struct span value = span_str(arg), name;

	if (span_cut(&value, '=', &name) && value.p)
		for (size_t i = 0; i < NELEMS(settings); i++)
			if (span_is(name, settings[i].name) && settings[i].set(u, value, room))
				return;
	tool_fail(EX_USAGE, "\"%s\" is not login=yes, login=no, home=DIR (below virtual_mailbox_base; with / at its end it is the Maildir itself; empty: DOMAIN/USER), "
	    "uid=N or gid=N (both empty: none of his own)", arg);
}

void
user_set_fields(struct user_record *u, int argc, char **argv, struct buf *room)
{
	const struct user_record before = *u;

	for (int i = 0; i < argc; i++)
		set_one(u, argv[i], room);
	if (!span_eq(before.uid, u->uid) || !span_eq(before.gid, u->gid) || !span_eq(before.home, u->home))
		home_check_owner(u);
}

int
user_set(const char *confdir, int argc, char **argv)
{
	struct user_table t;
	struct user_record rec;
	struct user_line *l;
	struct buf room;

	buf_init(&room, 8192);
	user_table_open(&t, confdir, true);
	l = find(&t, argv[0]);
	rec = l->rec;
	user_set_fields(&rec, argc - 1, argv + 1, &room);
	user_table_put(&t, l, &rec);
	user_table_save(&t);
	home_make(&l->rec);		/* rec pointed into the line that was */
	user_table_close(&t);
	buf_fini(&room);
	return 0;
}
