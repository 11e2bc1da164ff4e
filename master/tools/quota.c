/*
 * quota.c: merpati quota: conf/quota, limits of mailboxes and defaults of domains. Text and table are replaced as a
 * whole, under the lock of the directory. What a mailbox holds is read as its owner.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/map.h"
#include "common/compile.h"
#include "common/tool.h"
#include "mail/quota.h"
#include "mail/store/mailstore.h"
#include "mailbox.h"
#include "quota.h"
#include "table.h"
#include "tools.h"
#include "user.h"
#include "base/banned.h"

#define TEXT_MAX (256u << 20)
#define LINE_LONGEST 1000

/* user@domain or @domain, in lower case. */
static void
take_key(const char *arg, struct buf *out)
{
	struct buf probe, err;

	buf_init(&probe, LINE_LONGEST);
	buf_init(&err, LINE_LONGEST);
	buf_init(out, LINE_LONGEST);
	buf_addf(&probe, "%s%s", arg[0] == '@' ? "x" : "", arg);
	if (!user_address(buf_span(&probe), out, &err))
		tool_fail(EX_DATAERR, "\"%s\" is not an address user@domain or @domain; nothing was changed", arg);
	if (arg[0] == '@')
		buf_consume(out, 1);
	buf_fini(&probe);
	buf_fini(&err);
}

static void
read_text(struct buf *text)
{
	buf_init(text, TEXT_MAX);
	if (!tool_read(compile_quota_file(), TEXT_MAX, text) && errno != ENOENT)
		tool_fail(errno == EACCES ? EX_NOPERM : EX_NOINPUT, "%s: %s", compile_quota_file(), strerror(errno));
}

/* The text without the line of this key; was it there? */
static bool
without(struct span text, struct span key, struct buf *out)
{
	struct span line, rest, word;
	bool found = false;

	while (text.n && span_cut(&text, '\n', &line)) {
		rest = line;
		if (line.n && line.p[0] != '#' && span_word(&rest, " \t", &word) && span_eq_nocase(word, key)) {
			found = true;
			continue;
		}
		buf_addspan(out, line);
		buf_addc(out, '\n');
	}
	return found;
}

/* limit NULL: removed. */
static void
change(const char *confdir, struct span key, const struct mail_quota *limit)
{
	int lock = table_lock(confdir);
	struct buf text, out, err;
	bool found;

	read_text(&text);
	buf_init(&out, TEXT_MAX);
	buf_init(&err, 65536);
	found = without(buf_span(&text), key, &out);
	if (!found && !limit)
		tool_fail(EX_NOUSER, "there is no limit of %.*s", SPAN_FMT(key));
	if (limit) {
		buf_addf(&out, "%.*s ", SPAN_FMT(key));
		quota_format(limit, &out);
		buf_addc(&out, '\n');
	}
	if (out.over || compile_check_quota(compile_quota_file(), buf_span(&out), &err))
		tool_fail(EX_CONFIG, "nothing was changed: %s", out.over ? "the table is too large" : err.p);
	if (!replace_file(AT_FDCWD, compile_quota_file(), buf_span(&out), 0644))
		tool_fail(EX_CANTCREAT, "%s: %s", compile_quota_file(), strerror(errno));
	if (!compile_quota_text(compile_quota_file(), buf_span(&out), &err))
		tool_fail(EX_CANTCREAT, "%s", err.p);
	buf_fini(&text);
	buf_fini(&out);
	buf_fini(&err);
	close(lock);
}

/* [SIZE] [--messages N] */
static void
take_limit(int argc, char **argv, struct mail_quota *q)
{
	bool size = false;

	*q = (struct mail_quota){ .since = clock_wall() };
	for (int i = 0; i < argc; i++) {
		struct span s = span_str(argv[i]);

		if (strcmp(argv[i], "--messages") == 0 && i + 1 < argc) {
			if (!span_u64(span_str(argv[++i]), 1, INT64_MAX, &q->messages))
				tool_fail(EX_USAGE, "\"%s\" is not a number of messages", argv[i]);
		} else if (size || !quota_parse_size(s, &q->bytes)) {
			tool_fail(EX_USAGE, "\"%s\" is not a size like 2G, 500M or 1048576", argv[i]);
		} else {
			size = true;
		}
	}
	if (!quota_limits(q))
		tool_fail(EX_USAGE, "quota set ADDRESS SIZE [--messages N]; to lift a limit: quota del ADDRESS");
}

struct entry {
	struct span key;
	struct mail_quota limit;
	bool found;
	struct buf text;
};

static bool
match(void *ctx, unsigned line, struct span key, struct span value)
{
	struct entry *e = ctx;

	(void)line;
	e->found = span_eq_nocase(key, e->key) && quota_parse(value, &e->limit);
	return !e->found;
}

/* Its own, else that of its domain. */
static bool
find(struct span address, struct entry *e)
{
	ssize_t at = span_rfind(address, '@');

	*e = (struct entry){ .key = address };
	read_text(&e->text);
	(void)map_text_each(buf_span(&e->text), MAP_TEXT_PLAIN, match, e);
	if (!e->found && at > 0) {
		e->key = span_skip(address, (size_t)at);
		(void)map_text_each(buf_span(&e->text), MAP_TEXT_PLAIN, match, e);
	}
	return e->found;
}

/* Not that of his domain. */
static bool
find_own(struct span address, struct entry *e)
{
	bool found = find(address, e) && e->key.n == address.n;

	buf_fini(&e->text);
	return found;
}

void
quota_copy(const char *confdir, struct span from, struct span to)
{
	struct entry e;

	if (find_own(from, &e))
		change(confdir, to, &e.limit);
}

void
quota_drop(const char *confdir, struct span address)
{
	struct entry e;

	if (find_own(address, &e))
		change(confdir, address, NULL);
}

static void
print_limit(const char *what, bool known, uint64_t have, uint64_t limit)
{
	if (known)
		printf("%s: %llu", what, (unsigned long long)have);
	else
		printf("%s:", what);
	if (limit)
		printf("%s%llu", known ? " of " : " ", (unsigned long long)limit);
	if (known && limit)
		printf(" (%llu%%)", (unsigned long long)((double)have * 100 / (double)limit));
	putchar('\n');
}

static void
print_json(struct span address, const struct entry *e, const struct mailstore_usage *u)
{
	json_t *o = json_object();

	json_object_set_new(o, "address", json_stringn(address.p, address.n));
	if (e->found && !span_eq(e->key, address))
		json_object_set_new(o, "default_of", json_stringn(e->key.p, e->key.n));
	json_object_set_new(o, "bytes_limit", json_integer((json_int_t)e->limit.bytes));
	json_object_set_new(o, "messages_limit", json_integer((json_int_t)e->limit.messages));
	if (u) {
		json_object_set_new(o, "bytes", json_integer((json_int_t)u->use.bytes));
		json_object_set_new(o, "messages", json_integer((json_int_t)u->use.messages));
	}
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

/* What it holds, as its owner; from here on nothing else can be done. */
static bool
usage_of(const char *address, const struct mail_quota *limit, struct mailstore_usage *u)
{
	struct mailbox m = { 0 };
	struct mailstore *ms;
	enum store_result r;

	mailbox_find(&m, address);
	mailstore_init();
	mailbox_become_owner(&m);
	*u = (struct mailstore_usage){ 0 };
	ms = mailstore_new(m.path.p, false, &r);
	if (!ms)
		return r == STORE_NOTFOUND;	/* no mail yet */
	mailstore_limit(ms, limit);
	r = mailstore_usage(ms, u);
	mailstore_free(ms);
	return r == STORE_OK;
}

static int
show(struct span address, const char *name)
{
	struct mailstore_usage u;
	struct entry e;
	bool known;

	if (!find(address, &e) && (address.p[0] == '@' || !want_json)) {
		printf("%.*s: no limit\n", SPAN_FMT(address));
		return 0;
	}
	known = e.found && address.p[0] != '@' && usage_of(name, &e.limit, &u);
	if (want_json) {
		print_json(address, &e, known ? &u : NULL);
		return 0;
	}
	printf("%.*s%s%.*s%s\n", SPAN_FMT(address), span_eq(e.key, address) ? "" : " (default of ",
	    SPAN_FMT(span_eq(e.key, address) ? SPAN_NONE : e.key), span_eq(e.key, address) ? "" : ")");
	if (e.limit.bytes)
		print_limit("  bytes", known, known ? u.use.bytes : 0, e.limit.bytes);
	if (e.limit.messages)
		print_limit("  messages", known, known ? u.use.messages : 0, e.limit.messages);
	return 0;
}

static bool
list_one(void *ctx, unsigned line, struct span key, struct span value)
{
	struct entry e = { .key = key };

	(void)ctx;
	(void)line;
	if (!quota_parse(value, &e.limit))
		return true;
	e.found = true;
	if (want_json)
		print_json(key, &e, NULL);
	else
		printf("%.*s %llu %llu\n", SPAN_FMT(key), (unsigned long long)e.limit.bytes, (unsigned long long)e.limit.messages);
	return true;
}

static int
list(void)
{
	struct buf text;

	read_text(&text);
	(void)map_text_each(buf_span(&text), MAP_TEXT_PLAIN, list_one, NULL);
	buf_fini(&text);
	return 0;
}

/* A limit of nobody is a mistake of typing. */
static void
must_exist(struct span key)
{
	struct mailbox m = { 0 };
	char *address;

	if (key.p[0] == '@') {
		if (!domain_is_ours(span_skip(key, 1)))
			tool_complain("warning: %.*s is not in virtual_mailbox_domains", SPAN_FMT(span_skip(key, 1)));
		return;
	}
	address = x_spandup(key);
	mailbox_find(&m, address);
	buf_fini(&m.path);
	free(address);
}

int
command_quota(const char *confdir, int argc, char **argv)
{
	struct mail_quota limit;
	struct buf key;

	tool_settings(confdir);
	if (argc == 2 && strcmp(argv[1], "list") == 0)
		return list();
	if (argc < 3)
		tool_fail(EX_USAGE, "quota: set ADDRESS SIZE [--messages N], show ADDRESS, del ADDRESS, or list");
	take_key(argv[2], &key);
	if (argc > 3 && strcmp(argv[1], "set") == 0) {
		take_limit(argc - 3, argv + 3, &limit);
		must_exist(buf_span(&key));
		change(confdir, buf_span(&key), &limit);
	} else if (argc == 3 && strcmp(argv[1], "del") == 0) {
		change(confdir, buf_span(&key), NULL);
	} else if (argc == 3 && strcmp(argv[1], "show") == 0) {
		return show(buf_span(&key), key.p);
	} else {
		tool_fail(EX_USAGE, "quota: set ADDRESS SIZE [--messages N], show ADDRESS, del ADDRESS, or list");
	}
	buf_fini(&key);
	return 0;
}
