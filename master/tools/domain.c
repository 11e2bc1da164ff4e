/*
 * domain.c: merpati domain: the domains of virtual users, in the first compiled table of virtual_mailbox_domains.
 * Those that stand in main.cf itself are shown, not changed. The text is root's; names come from the operator.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "common/tool.h"
#include "table.h"
#include "tools.h"
#include "user.h"
#include "base/banned.h"

#define NAME_LONGEST 256

struct count {
	struct span domain;
	unsigned users, aliases;
};

static bool
in_domain(struct span address, struct span domain)
{
	ssize_t at = span_rfind(address, '@');

	return at >= 0 && span_eq_nocase(span_skip(address, (size_t)at + 1), domain);
}

static void
count_users(const char *confdir, struct count *n)
{
	struct user_table t;

	user_table_open(&t, confdir, false);
	for (size_t i = 0; i < t.n; i++)
		n->users += in_domain(t.lines[i].rec.address, n->domain);
	user_table_close(&t);
}

static bool
count_alias(void *ctx, unsigned line, struct span key, struct span value)
{
	struct count *n = ctx;

	(void)line;
	(void)value;
	n->aliases += in_domain(key, n->domain);
	return true;
}

static bool
names_table(const char *spec)
{
	struct span rest = span_str(spec), item;

	while (map_next_item(&rest, ", \t\r\n", &item) > 0)
		if (map_is_table(item))
			return true;
	return false;
}

static void
count_aliases(const char *confdir, struct count *n)
{
	struct table_file t;

	if (!names_table(par.virtual_alias_maps))
		return;
	table_open(&t, confdir, "virtual_alias_maps", par.virtual_alias_maps, false);
	(void)map_text_each(buf_span(&t.text), MAP_TEXT_PLAIN, count_alias, n);
	table_close(&t);
}

static void
domain_open(struct table_file *t, const char *confdir, bool change)
{
	table_open(t, confdir, "virtual_mailbox_domains", par.virtual_mailbox_domains, change);
}

static bool
in_main_cf(struct span domain)
{
	return param_list_has(par.virtual_mailbox_domains, domain);
}

bool
domain_is_ours(struct span domain)
{
	struct span rest = span_str(par.virtual_mailbox_domains), item;
	struct buf err, value;
	bool found = in_main_cf(domain);

	buf_init(&err, 4096);
	buf_init(&value, 4096);
	while (!found && map_next_item(&rest, ", \t\r\n", &item) > 0) {
		struct maps *m = map_is_table(item) ? maps_open(item, &err) : NULL;

		found = m && maps_find(m, domain, &value) == MAP_FOUND;
		maps_free(m);
	}
	buf_fini(&err);
	buf_fini(&value);
	return found;
}

/* A domain has one class (smtpd would take the first, and mail would go astray). */
static void
refuse_other_class(const char *domain)
{
	const struct { const char *name, *list; } lists[] = {
		{ "mydestination", par.mydestination }, { "virtual_alias_domains", par.virtual_alias_domains },
		{ "relay_domains", par.relay_domains },
	};

	for (size_t i = 0; i < NELEMS(lists); i++)
		if (param_list_has(lists[i].list, span_str(domain)))
			tool_fail(EX_CANTCREAT, "%s is in %s already; take it out there first", domain, lists[i].name);
}

static int
domain_add(const char *confdir, int argc, char **argv)
{
	struct table_file t;
	struct buf name, value;

	(void)argc;
	buf_init(&name, NAME_LONGEST);
	buf_init(&value, NAME_LONGEST);
	table_domain(argv[0], &name);
	refuse_other_class(name.p);
	domain_open(&t, confdir, true);
	if (in_main_cf(buf_span(&name)) || table_value(buf_span(&t.text), buf_span(&name), &value))
		tool_fail(EX_CANTCREAT, "%s is there already", name.p);
	buf_addf(&t.text, "%s%s virtual\n", t.text.len && t.text.p[t.text.len - 1] != '\n' ? "\n" : "", name.p);
	if (t.text.over)
		tool_fail(EX_CANTCREAT, "%s: too large", t.text_path);
	table_save(&t, buf_span(&t.text));
	table_close(&t);
	buf_fini(&name);
	buf_fini(&value);
	return 0;
}

static int
domain_del(const char *confdir, int argc, char **argv)
{
	struct table_file t;
	struct count n = { .users = 0 };
	struct buf name, out;

	(void)argc;
	buf_init(&name, NAME_LONGEST);
	buf_init(&out, TABLE_TEXT_MAX);
	table_domain(argv[0], &name);
	n.domain = buf_span(&name);
	if (in_main_cf(n.domain))
		tool_fail(EX_CONFIG, "%s stands in virtual_mailbox_domains of main.cf; take it out there, then: merpati reload", name.p);
	count_users(confdir, &n);
	if (n.users)
		tool_fail(EX_CANTCREAT, "%s has %u user%s; merpati user del first", name.p, n.users, n.users == 1 ? "" : "s");
	domain_open(&t, confdir, true);
	if (!table_without(buf_span(&t.text), n.domain, &out))
		tool_fail(EX_NOUSER, "there is no domain %s", name.p);
	table_save(&t, buf_span(&out));
	table_close(&t);
	buf_fini(&name);
	buf_fini(&out);
	return 0;
}

/* ---- shown ---- */

static void
show(const struct count *n, const char *where, bool counted)
{
	json_t *o;

	if (!want_json) {
		printf("%.*s", SPAN_FMT(n->domain));
		if (counted)
			printf(": %u user%s, %u alias%s (%s)", n->users, n->users == 1 ? "" : "s", n->aliases,
			    n->aliases == 1 ? "" : "es", where);
		putchar('\n');
		return;
	}
	o = json_object();
	json_object_set_new(o, "domain", json_stringn(n->domain.p, n->domain.n));
	json_object_set_new(o, "from", json_string(where));
	if (counted) {
		json_object_set_new(o, "users", json_integer((json_int_t)n->users));
		json_object_set_new(o, "aliases", json_integer((json_int_t)n->aliases));
	}
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static int
domain_show(const char *confdir, int argc, char **argv)
{
	struct table_file t;
	struct count n = { .users = 0 };
	struct buf name, value;
	bool here;

	(void)argc;
	buf_init(&name, NAME_LONGEST);
	buf_init(&value, NAME_LONGEST);
	table_domain(argv[0], &name);
	n.domain = buf_span(&name);
	here = in_main_cf(n.domain);
	if (!here) {
		domain_open(&t, confdir, false);
		if (!table_value(buf_span(&t.text), n.domain, &value))
			tool_fail(EX_NOUSER, "there is no domain %s", name.p);
		table_close(&t);
	}
	count_users(confdir, &n);
	count_aliases(confdir, &n);
	show(&n, here ? "main.cf" : "table", true);
	buf_fini(&name);
	buf_fini(&value);
	return 0;
}

static bool
show_entry(void *ctx, unsigned line, struct span key, struct span value)
{
	(void)ctx;
	(void)line;
	(void)value;
	show(&(struct count){ .domain = key }, "table", false);
	return true;
}

static int
domain_list(const char *confdir, int argc, char **argv)
{
	struct span rest = span_str(par.virtual_mailbox_domains), item;
	struct table_file t;

	(void)argc;
	(void)argv;
	while (map_next_item(&rest, ", \t\r\n", &item) > 0)
		if (!map_is_table(item))
			show(&(struct count){ .domain = item }, "main.cf", false);
	if (!names_table(par.virtual_mailbox_domains))
		return 0;
	domain_open(&t, confdir, false);
	(void)map_text_each(buf_span(&t.text), MAP_TEXT_PLAIN, show_entry, NULL);
	table_close(&t);
	return 0;
}

int
command_domain(const char *confdir, int argc, char **argv)
{
	static const struct subcommand verbs[] = {
		{ "add", domain_add, 1, 1 }, { "del", domain_del, 1, 1 }, { "show", domain_show, 1, 1 }, { "list", domain_list, 0, 0 },
	};

	tool_settings(confdir);
	return subcommand_run(verbs, NELEMS(verbs), confdir, argc, argv, "domain: add|del|show DOMAIN, or list");
}
