/*
 * list.c: merpati list: addresses whose mail goes to all members as a copy with its own bounce address,
 * owner-ADDRESS. A list is a file of lists_directory, named by its address: "# owner: ADDRESS", then a member a
 * line. Files are root's; addresses come from the operator.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/map.h"
#include "common/compile.h"
#include "common/tool.h"
#include "table.h"
#include "tools.h"
#include "user.h"
#include "base/banned.h"

#define LIST_TEXT_MAX (40u << 20)
#define MEMBERS_MAX 100000		/* what one message may have as recipients */

struct list {
	const char *confdir;
	struct buf address, owner, path, text;	/* text: the members, a line each */
	struct map_maker *seen;
	unsigned n;
	int lock;
	bool exists;
};

static bool
add_member(struct list *l, struct span member)
{
	if (map_maker_add(l->seen, member, SPAN("x")) != MAP_ADDED)
		return false;
	if (++l->n > MEMBERS_MAX)
		tool_fail(EX_DATAERR, "a list has at most %d members; nothing was changed", MEMBERS_MAX);
	buf_addf(&l->text, "%.*s\n", SPAN_FMT(member));
	return true;
}

static void
read_list(struct list *l)
{
	struct buf text;
	struct span rest, line;

	buf_init(&text, LIST_TEXT_MAX);
	l->exists = tool_read(l->path.p, LIST_TEXT_MAX, &text);
	if (!l->exists && errno != ENOENT)
		tool_fail(errno == EACCES ? EX_NOPERM : EX_NOINPUT, "%s: %s", l->path.p, strerror(errno));
	rest = buf_span(&text);
	while (rest.n && span_cut(&rest, '\n', &line)) {
		line = span_trim(line);
		if (span_starts(line, COMPILE_LIST_OWNER))
			buf_addspan(&l->owner, span_trim(span_skip(line, strlen(COMPILE_LIST_OWNER))));
		else if (line.n && line.p[0] != '#')
			add_member(l, line);
	}
	buf_fini(&text);
}

static void
list_open(struct list *l, const char *confdir, const char *address, bool change, bool must_exist)
{
	struct buf err;

	*l = (struct list){ .confdir = confdir, .lock = -1, .seen = map_maker_new() };
	buf_init(&err, 4096);
	buf_init(&l->address, 1000);
	buf_init(&l->owner, 1000);
	buf_init(&l->path, 4096);
	buf_init(&l->text, LIST_TEXT_MAX);
	if (!user_address(span_str(address), &l->address, &err) || l->address.len > 240 ||
	    span_starts(buf_span(&l->address), "owner-"))
		tool_fail(EX_DATAERR, "%s; nothing was changed", err.len ? err.p :
		    l->address.len > 240 ? "the address is too long" : "owner-LIST is the owner of LIST");
	if (change)
		l->lock = table_lock(confdir);
	buf_addf(&l->path, "%s/%s", par.lists_directory, l->address.p);
	read_list(l);
	if (must_exist && !l->exists)
		tool_fail(EX_NOUSER, "there is no list %s", l->address.p);
	buf_fini(&err);
}

static void
list_close(struct list *l)
{
	map_maker_free(l->seen);
	buf_fini(&l->address);
	buf_fini(&l->owner);
	buf_fini(&l->path);
	buf_fini(&l->text);
	close_fd(&l->lock);
}

static void
compile(const char *confdir)
{
	struct buf err;

	buf_init(&err, 64 * 1024);
	if (!compile_lists(confdir, &err))
		tool_fail(EX_CANTCREAT, "%s", err.p);
	buf_fini(&err);
}

static void
list_save(struct list *l)
{
	struct buf out;

	buf_init(&out, LIST_TEXT_MAX);
	buf_addf(&out, "%s %s\n", COMPILE_LIST_OWNER, l->owner.p);
	buf_addspan(&out, buf_span(&l->text));
	if (!make_dirs(AT_FDCWD, par.lists_directory, 0755) || out.over ||
	    !replace_file(AT_FDCWD, l->path.p, buf_span(&out), 0640))
		tool_fail(EX_CANTCREAT, "%s: %s", l->path.p, out.over ? "too large" : strerror(errno));
	compile(l->confdir);
	buf_fini(&out);
}

/* Mail would come to the list alone: the mailbox, or the alias's targets, would not get it. */
static void
refuse_taken(struct list *l)
{
	struct user_table t;
	bool taken;

	user_table_open(&t, l->confdir, false);
	taken = user_table_find(&t, buf_span(&l->address)) != NULL;
	user_table_close(&t);
	if (taken)
		tool_fail(EX_CANTCREAT, "%s is a user", l->address.p);
}

static void
begin_list(struct list *l)
{
	struct span domain = span_skip(buf_span(&l->address), (size_t)span_rfind(buf_span(&l->address), '@') + 1);

	if (l->exists)
		return;
	refuse_taken(l);
	buf_addf(&l->owner, "postmaster@%.*s", SPAN_FMT(domain));
	if (!domain_is_ours(domain) && !param_list_has(par.mydestination, domain) && !param_list_has(par.virtual_alias_domains, domain))
		tool_complain("warning: %.*s is none of our domains: no mail will come; merpati domain add %.*s",
		    SPAN_FMT(domain), SPAN_FMT(domain));
}

/* ---- verbs ---- */

static int
list_add(const char *confdir, int argc, char **argv)
{
	struct list l;
	struct buf member;

	buf_init(&member, 1000);
	list_open(&l, confdir, argv[0], true, false);
	begin_list(&l);
	for (int i = 1; i < argc; i++) {
		table_address(argv[i], false, &member);
		if (!add_member(&l, buf_span(&member)))
			tool_complain("%s is a member already", member.p);
	}
	list_save(&l);
	list_close(&l);
	buf_fini(&member);
	return 0;
}

/* Takes the lines out that are `gone`; how many. */
static unsigned
without(struct list *l, struct span gone)
{
	struct span rest = buf_span(&l->text), line;
	struct buf out;
	unsigned n = 0;

	buf_init(&out, LIST_TEXT_MAX);
	while (rest.n && span_cut(&rest, '\n', &line)) {
		if (span_eq_nocase(line, gone)) {
			n++;
			continue;
		}
		buf_addf(&out, "%.*s\n", SPAN_FMT(line));
	}
	buf_reset(&l->text);
	buf_addspan(&l->text, buf_span(&out));
	buf_fini(&out);
	return n;
}

static int
list_del(const char *confdir, int argc, char **argv)
{
	struct list l;
	struct buf member;

	buf_init(&member, 1000);
	list_open(&l, confdir, argv[0], true, true);
	for (int i = 1; i < argc; i++) {
		table_address(argv[i], false, &member);
		if (!without(&l, buf_span(&member)))
			tool_fail(EX_NOUSER, "%s is no member of %s; nothing was changed", member.p, l.address.p);
	}
	if (argc > 1) {
		list_save(&l);
	} else {
		if (unlink(l.path.p) < 0)
			tool_fail(EX_CANTCREAT, "%s: %s", l.path.p, strerror(errno));
		compile(confdir);
	}
	list_close(&l);
	buf_fini(&member);
	return 0;
}

static int
list_set(const char *confdir, int argc, char **argv)
{
	struct list l;

	(void)argc;
	if (strncmp(argv[1], "owner=", 6) != 0)
		tool_fail(EX_USAGE, "\"%s\" is not owner=ADDRESS", argv[1]);
	list_open(&l, confdir, argv[0], true, true);
	table_address(argv[1] + 6, false, &l.owner);
	list_save(&l);
	list_close(&l);
	return 0;
}

static int
list_import(const char *confdir, int argc, char **argv)
{
	struct list l;
	struct buf in, member, err;
	struct span rest, line;
	unsigned at = 0, added = 0, errors = 0;

	(void)argc;
	buf_init(&in, LIST_TEXT_MAX);
	buf_init(&member, 1000);
	buf_init(&err, 4096);
	table_read_input(argv[1], &in);
	list_open(&l, confdir, argv[0], true, false);
	begin_list(&l);
	rest = buf_span(&in);
	while (rest.n && span_cut(&rest, '\n', &line)) {
		at++;
		line = span_trim(line);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		buf_reset(&err);
		if (table_take_address(line, false, &member, &err)) {
			added += add_member(&l, buf_span(&member));
			continue;
		}
		tool_complain("%s:%u: %s", argv[1], at, err.p);
		errors++;
	}
	if (errors)
		tool_fail(EX_DATAERR, "%u line%s of %s cannot be used; nothing was changed", errors, errors == 1 ? "" : "s", argv[1]);
	list_save(&l);
	printf("%u member%s added, %u in all\n", added, added == 1 ? "" : "s", l.n);
	list_close(&l);
	buf_fini(&in);
	buf_fini(&member);
	buf_fini(&err);
	return 0;
}

/* ---- shown ---- */

static void
show_json(struct list *l)
{
	json_t *o = json_object(), *members = json_array();
	struct span rest = buf_span(&l->text), line;

	while (rest.n && span_cut(&rest, '\n', &line))
		json_array_append_new(members, json_stringn(line.p, line.n));
	json_object_set_new(o, "address", json_stringn(l->address.p, l->address.len));
	json_object_set_new(o, "owner", json_stringn(l->owner.p, l->owner.len));
	json_object_set_new(o, "members", members);
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static int
list_export(const char *confdir, int argc, char **argv)
{
	struct list l;

	(void)argc;
	list_open(&l, confdir, argv[0], false, true);
	if (want_json)
		show_json(&l);
	else
		printf("%.*s", (int)l.text.len, l.text.len ? l.text.p : "");
	list_close(&l);
	return 0;
}

static int
list_show(const char *confdir, int argc, char **argv)
{
	struct list l;

	if (want_json)
		return list_export(confdir, argc, argv);
	list_open(&l, confdir, argv[0], false, true);
	printf("%s: %u member%s, owner %s\n%.*s", l.address.p, l.n, l.n == 1 ? "" : "s", l.owner.p, (int)l.text.len,
	    l.text.len ? l.text.p : "");
	list_close(&l);
	return 0;
}

static void
list_one(void *ctx, const char *name)
{
	const char *confdir = ctx;
	struct list l;

	list_open(&l, confdir, name, false, true);
	if (want_json)
		show_json(&l);
	else
		printf("%s: %u member%s, owner %s\n", l.address.p, l.n, l.n == 1 ? "" : "s", l.owner.p);
	list_close(&l);
}

static int
list_list(const char *confdir, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	compile_each_list(list_one, (char *)(uintptr_t)confdir);
	return 0;
}

int
command_list(const char *confdir, int argc, char **argv)
{
	static const struct subcommand verbs[] = {
		{ "add", list_add, 2, 10000 }, { "del", list_del, 1, 10000 }, { "set", list_set, 2, 2 }, { "show", list_show, 1, 1 },
		{ "list", list_list, 0, 0 }, { "import", list_import, 2, 2 }, { "export", list_export, 1, 1 },
	};

	tool_settings(confdir);
	return subcommand_run(verbs, NELEMS(verbs), confdir, argc, argv, "list: add ADDRESS MEMBER..., del ADDRESS [MEMBER...], "
	    "set ADDRESS owner=ADDRESS, show|export ADDRESS, list, or import ADDRESS FILE (a member a line)");
}
