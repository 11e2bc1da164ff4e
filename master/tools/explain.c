/*
 * explain.c: merpati explain: what would become of a message to an address. The
 * resolver is the one of smtpd and qmgr, and tells of each table that it asks.
 * Changes nothing, sends nothing; asks the DNS.
 */
#include "explain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/queue.h"
#include "common/tool.h"
#include "generic.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "rewrite.h"
#include "service/resolver.h"
#include "tools.h"
#include "base/banned.h"

#define SOURCE_MAX (64u << 20)
#define USAGE "usage: merpati explain ADDRESS [--sender ADDRESS] [--client IP [--helo NAME] [--sasl LOGIN] [--tls] [--service NAME]] [--no-dns] [--json]"

static struct conf *conf;
static bool without_dns;

void
explain_place(const char *parameter, struct buf *out)
{
	size_t at = out->len;
	struct span s;

	conf_place(conf, parameter, out);
	s = span_skip(buf_span(out), at);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == ':'))
		s.n--;
	buf_truncate(out, at + s.n);
}

struct maps *
explain_maps(const char *parameter, const char *spec)
{
	struct maps *m;
	struct buf err;

	buf_init(&err, 1000);
	m = maps_open(span_str(spec), &err);
	if (!m)
		tool_fail(EX_CONFIG, "%s: %s", parameter, buf_cstr(&err));
	buf_fini(&err);
	maps_label(m, parameter);
	return m;
}

/* ---- where a key stands in the text that a table was made from ---- */

struct hunt {
	struct span key;
	unsigned line;
};

static bool
is_key(void *ctx, unsigned line, struct span key, struct span value)
{
	struct hunt *h = ctx;

	(void)value;
	if (!span_eq_nocase(key, h->key))
		return true;
	h->line = line;
	return false;
}

/* users and passwd: the name is what stands before the first colon. */
static bool
is_first_field(void *ctx, unsigned line, struct span key, struct span value)
{
	struct span name;

	(void)value;
	(void)span_cut(&key, ':', &name);
	return is_key(ctx, line, name, SPAN_NONE);
}

/* "virtual" and the like: the text beside PATH.cdb; system users come from elsewhere. */
static void
add_source(const struct map_look *l, struct buf *out)
{
	bool users = strcmp(l->label, "users") == 0, people = strcmp(l->label, "system users") == 0;
	bool aliases = strcmp(l->label, "alias_maps") == 0;
	struct hunt h = { .key = l->key, .line = l->line };
	struct buf path, text;

	buf_init(&path, 4096);
	buf_init(&text, SOURCE_MAX);
	buf_adds(&path, people ? "/etc/passwd" : l->path);
	if (!people && span_ends_nocase(buf_span(&path), ".cdb"))
		buf_truncate(&path, path.len - 4);
	if (l->answer == MAP_FOUND && !h.line && tool_read(buf_cstr(&path), SOURCE_MAX, &text))
		map_text_each(buf_span(&text), users || people ? MAP_TEXT_LINES : aliases ? MAP_TEXT_ALIASES : MAP_TEXT_PLAIN,
		    users || people ? is_first_field : is_key, &h);
	buf_addspan(out, buf_span(&path));
	if (h.line)
		buf_addf(out, ":%u", h.line);
	buf_fini(&path);
	buf_fini(&text);
}

/* ---- look-ups ---- */

static json_t *
text(struct span s)
{
	return queue_json_text(s);
}

static bool
told_before(const json_t *list, const char *table, struct span key, const char *place)
{
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o) {
		if (strcmp(json_string_value(json_object_get(o, "table")), table) == 0 &&
		    strcmp(json_string_value(json_object_get(o, "place")), place) == 0 &&
		    span_is(key, json_string_value(json_object_get(o, "key"))))
			return true;
	}
	return false;
}

void
explain_look(void *array, const struct map_look *l)
{
	static const char *const answers[] = { [MAP_FOUND] = "found", [MAP_NONE] = "none", [MAP_FAILED] = "failed" };
	json_t *list = array, *o;
	struct buf place;

	buf_init(&place, 8192);
	if (l->path)
		add_source(l, &place);
	else if (!strchr(l->label, ':'))	/* else a table of a list of words stands there itself */
		explain_place(l->label, &place);
	if (!told_before(list, l->label, l->key, buf_cstr(&place))) {
		o = json_object();
		json_object_set_new(o, "table", json_string(l->label));
		json_object_set_new(o, "type", json_string(l->type));
		json_object_set_new(o, "key", text(l->key));
		json_object_set_new(o, "answer", json_string(answers[l->answer]));
		json_object_set_new(o, "place", text(buf_span(&place)));
		if (l->answer == MAP_FOUND)
			json_object_set_new(o, "value", text(l->value));
		json_array_append_new(list, o);
	}
	buf_fini(&place);
}

/* ---- the verdict of smtpd ---- */

static const struct { const char *name, *parameter; } classes[] = {
	[CLASS_LOCAL] = { "local", "mydestination" }, [CLASS_VIRTUAL] = { "virtual", "virtual_mailbox_domains" },
	[CLASS_ALIAS] = { "alias", "virtual_alias_domains" }, [CLASS_RELAY] = { "relay", "relay_domains" },
	[CLASS_REMOTE] = { "remote", NULL },
};

/* What RCPT is answered as far as tables decide it; smtpd knows better (NULL: it was not asked). False: refused. */
static bool
judge(json_t *root, struct resolver *r, struct span address, const char *smtpd)
{
	enum address_class cls;
	enum resolve_status st = resolve_check(r, address, &cls);
	bool ours = cls != CLASS_REMOTE, known = st == RESOLVE_OK;
	const char *reply = "250 2.1.5 Ok";
	struct buf place;

	if (st == RESOLVE_BAD)
		reply = "501 5.1.3 Bad recipient address syntax";
	else if (st == RESOLVE_RETRY)
		reply = "451 4.3.0 a table cannot be read";
	else if (st == RESOLVE_MOVED)
		reply = "550 5.1.6 User has moved";
	else if (!known)
		reply = "550 5.1.1 User unknown";
	else if (!ours)
		reply = "250 2.1.5 Ok, for a login or a client of mynetworks";
	json_object_set_new(root, "class", json_string(classes[cls].name));
	if (classes[cls].parameter) {
		buf_init(&place, 4096);
		buf_addf(&place, "%s, ", classes[cls].parameter);
		explain_place(classes[cls].parameter, &place);
		json_object_set_new(root, "class_place", text(buf_span(&place)));
		buf_fini(&place);
	}
	if (smtpd)
		reply = smtpd;
	json_object_set_new(root, "rcpt", json_string(reply));
	return reply[0] == '2';
}

/* ---- where it goes ---- */

/* The address as it goes out, when smtp_generic_maps know it. */
static void
add_wire(json_t *o, const char *name, bool lmtp, struct span address)
{
	struct buf out;
	enum map_answer ans;

	buf_init(&out, ADDRESS_PATH_MAX);
	ans = address.n ? generic_address(lmtp, address, &out) : MAP_NONE;
	if (ans == MAP_FOUND)
		json_object_set_new(o, name, text(buf_span(&out)));
	else if (ans == MAP_FAILED)
		json_object_set_new(o, name, json_string("(the table fails, or says no address: the mail waits)"));
	buf_fini(&out);
}

static void
add_destination(json_t *list, const struct resolved *d, struct span sender)
{
	bool lmtp = strcmp(d->transport, "lmtp") == 0;
	json_t *o = json_object();

	json_object_set_new(o, "address", text(d->address));
	json_object_set_new(o, "transport", json_string(d->transport));
	if (d->nexthop.n)
		json_object_set_new(o, strcmp(d->transport, "error") == 0 ? "text" : "nexthop", text(d->nexthop));
	if (d->mailbox.n)
		json_object_set_new(o, "mailbox", text(d->mailbox));
	if (d->owner.n)
		json_object_set_new(o, "owner", text(d->owner));
	if (d->sender.n)
		json_object_set_new(o, "sender", text(d->sender));
	if (d->extension.n)
		json_object_set_new(o, "extension", text(d->extension));
	if (lmtp || strcmp(d->transport, "smtp") == 0) {
		add_wire(o, "goes_out_as", lmtp, d->address);
		add_wire(o, "sender_goes_out_as", lmtp, sender);
		if (!without_dns)
			explain_route(o, d->nexthop, lmtp, 0);
	}
	json_array_append_new(list, o);
}

static bool
add_destinations(json_t *root, struct resolver *r, struct span address, struct span sender)
{
	static const char *const troubles[] = { "", "unknown user", "a table cannot be read: it waits", "" };
	json_t *list = json_array();
	struct resolved *out = NULL;
	struct arena arena;
	struct buf why;
	size_t n = 0;
	enum resolve_status st;

	arena_init(&arena, 16u << 20);
	buf_init(&why, 1000);
	st = resolve_expand(r, &arena, address, &out, &n, &why);
	for (size_t i = 0; st == RESOLVE_OK && i < n; i++)
		add_destination(list, &out[i], sender);
	if (st != RESOLVE_OK)
		json_object_set_new(root, "trouble", why.len ? text(buf_span(&why)) : json_string(troubles[st]));
	json_object_set_new(root, "destinations", list);
	arena_fini(&arena);
	buf_fini(&why);
	return st == RESOLVE_OK;
}

/* ---- for people ---- */

static const char *
str(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

void
explain_put(const char *before, const char *s, const char *after)
{
	fputs(before, stdout);
	queue_put_clean(span_str(s));
	fputs(after, stdout);
}

static void
print_hosts(const json_t *d)
{
	const json_t *h, *a;
	size_t i, k;

	json_array_foreach(json_object_get(d, "hosts"), i, h) {
		const json_t *preference = json_object_get(h, "preference");

		explain_put("    host ", str(h, "host"), "");
		if (preference)
			printf(" (MX %lld)", (long long)json_integer_value(preference));
		json_array_foreach(json_object_get(h, "addresses"), k, a)
			explain_put(" ", json_string_value(a), "");
		explain_put("\n      TLS: ", str(h, "tls"), "\n");
	}
	if (str(d, "trouble")[0])
		explain_put("    ", str(d, "trouble"), "\n");
}

static void
print_destination(const json_t *d)
{
	static const struct { const char *key, *before; } rows[] = {
		{ "nexthop", ", next hop " }, { "mailbox", ", mailbox " }, { "owner", ", owner " }, { "extension", ", extension " }, { "text", ": " },
		{ "goes_out_as", ", goes out as " }, { "sender_goes_out_as", ", its sender as " },
	};

	explain_put("  <", str(d, "address"), ">");
	explain_put(" by ", str(d, "transport"), "");
	for (size_t i = 0; i < NELEMS(rows); i++)
		if (str(d, rows[i].key)[0])
			explain_put(rows[i].before, str(d, rows[i].key), "");
	if (str(d, "policy")[0])
		explain_put("\n    TLS policy: ", str(d, "policy"), "");
	putchar('\n');
	print_hosts(d);
}

void
explain_print_lookups(const char *before, const json_t *array)
{
	const json_t *o;
	size_t i;

	json_array_foreach(array, i, o) {
		bool found = strcmp(str(o, "answer"), "found") == 0;

		explain_put(before, str(o, "table"), ": ");
		explain_put("", str(o, "key"), "  ");
		explain_put(found ? "=> " : "", found ? str(o, "value") : strcmp(str(o, "answer"), "none") == 0 ? "not there" :
		    "CANNOT BE READ", "");
		explain_put("  (", str(o, "place"), ")\n");
	}
}

static void
print_text(const json_t *root)
{
	const json_t *o;
	size_t i;

	explain_put("<", str(root, "address"), ">");
	explain_put(" is ", str(root, "class"), "");
	explain_put(str(root, "class_place")[0] ? " (" : "", str(root, "class_place"), str(root, "class_place")[0] ? ")\n" : "\n");
	explain_print_smtpd(root);
	puts("Tables:");
	explain_print_lookups("  ", json_object_get(root, "lookups"));
	explain_put("RCPT: ", str(root, "rcpt"), "\n");
	if (str(root, "becomes")[0])
		explain_put("Becomes: <", str(root, "becomes"), ">\n");
	if (str(root, "sender_becomes")[0])
		explain_put("Its sender becomes: <", str(root, "sender_becomes"), ">\n");
	json_array_foreach(json_object_get(root, "copies"), i, o)
		explain_put("A copy goes to: <", json_string_value(o), ">\n");
	if (str(root, "trouble")[0])
		explain_put("No destination: ", str(root, "trouble"), "\n");
	else
		puts("Destinations:");
	json_array_foreach(json_object_get(root, "destinations"), i, o)
		print_destination(o);
}

/* ---- the command ---- */

static struct span
canonical(const char *given, bool null, struct buf *out)
{
	struct span s = span_str(given);
	struct address a;

	if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
		s = span_sub(s, 1, s.n - 1);
	if (null && s.n == 0)
		return SPAN_NONE;
	if (address_parse(s, ADDRESS_UTF8 | ADDRESS_BARE, &a) != ADDRESS_OK)
		tool_fail(EX_DATAERR, "%s: not an address", given);
	address_canonical(&a, out);
	if (a.domain.n == 0)
		buf_addf(out, "@%s", par.myorigin);
	return buf_span(out);
}

static void NORETURN
usage(void)
{
	tool_fail(EX_USAGE, USAGE);
}

static const char *
take_options(int argc, char **argv, const char **sender, struct explain_client *c)
{
	const struct { const char *name; const char **text; bool *flag; } rows[] = {
		{ "--sender", sender, NULL }, { "--client", &c->address, NULL }, { "--helo", &c->helo, NULL }, { "--sasl", &c->login, NULL },
		{ "--service", &c->service, NULL }, { "--tls", NULL, &c->secure }, { "--no-dns", NULL, &c->no_dns },
	};
	const char *given = NULL;

	for (int i = 1; i < argc; i++) {
		size_t k = 0;

		while (k < NELEMS(rows) && strcmp(argv[i], rows[k].name) != 0)
			k++;
		if (k < NELEMS(rows) && rows[k].flag)
			*rows[k].flag = true;
		else if (k < NELEMS(rows) && i + 1 < argc)
			*rows[k].text = argv[++i];
		else if (k == NELEMS(rows) && !given && argv[i][0] != '-')
			given = argv[i];
		else
			usage();
	}
	if (!given || (!c->address && (c->helo[0] || c->login[0] || c->service || c->secure)))
		usage();
	return given;
}

static void
check_client(const char *client)
{
	unsigned char room[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, client, room) != 1 && inet_pton(AF_INET6, client, room) != 1)
		tool_fail(EX_USAGE, "%s: not an IP address", client);
}

int
command_explain(const char *confdir, int argc, char **argv)
{
	struct explain_client client = { .helo = "", .login = "" };
	const char *sender = "", *given = take_options(argc, argv, &sender, &client), *smtpd = NULL;
	json_t *root = json_object(), *looks = json_array();
	struct buf address, from, to_final, from_final;
	struct span to, by;
	struct resolver *r;
	bool ok;

	without_dns = client.no_dns;
	conf = tool_settings(confdir);
	buf_init(&address, ADDRESS_PATH_MAX);
	buf_init(&from, ADDRESS_PATH_MAX);
	buf_init(&to_final, ADDRESS_PATH_MAX);
	buf_init(&from_final, ADDRESS_PATH_MAX);
	to = canonical(given, false, &address);
	by = canonical(sender, true, &from);
	explain_route_open();
	explain_rewrite_open();
	r = resolver_open();
	json_object_set_new(root, "address", text(to));
	json_object_set_new(root, "sender", text(by));
	if (client.address) {
		check_client(client.address);
		json_object_set_new(root, "client", json_string(client.address));
		smtpd = explain_smtpd(root, confdir, &client, by, to);
	}
	map_trace(explain_look, looks);
	json_object_set_new(root, "lookups", looks);
	ok = judge(root, r, to, smtpd);
	if (explain_rewrite(root, "sender_becomes", REWRITE_ENVELOPE_SENDER, by, &from_final) &&
	    explain_rewrite(root, "becomes", REWRITE_ENVELOPE_RECIPIENT, to, &to_final) &&
	    explain_copies(root, buf_span(&from_final), buf_span(&to_final))) {
		resolver_sender(r, buf_span(&from_final));
		ok &= add_destinations(root, r, buf_span(&to_final), buf_span(&from_final));
	} else {
		ok = false;
	}
	map_trace(NULL, NULL);
	if (want_json) {
		json_dumpf(root, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_text(root);
	}
	resolver_free(r);
	json_decref(root);
	buf_fini(&address);
	buf_fini(&from);
	buf_fini(&to_final);
	buf_fini(&from_final);
	return ok ? 0 : EX_NOUSER;
}
