/*
 * policy_lists.c: restriction lists out of main.cf, as tables of words, with
 * everything they need opened before the jail.
 */
#include "policy_run.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "service/params.h"
#include "service/resolver.h"
#include "service/service.h"

#include "base/banned.h"

#define ERR_MAX 4096

static struct resolver *resolver;
static struct maps *sender_logins, *client_certs;

struct resolver *
policy_resolver(void)
{
	return resolver;
}

struct maps *
policy_sender_logins(void)
{
	return sender_logins;
}

struct maps *
policy_client_certs(void)
{
	return client_certs;
}

/* ---- lists ---- */

static struct list *lists[LISTS];
static struct list **classes;
static size_t class_count;

static struct {
	char *spec;
	struct maps *maps;
} *tables;
static size_t table_count;

static const struct {
	const char *name;
	enum verdict (*judge)(struct policy_run *run, const struct word *w);
} words[] = {
#define RESTRICTION(name, arg) { #name, judge_##name },
#include "service/restrictions.def"
#undef RESTRICTION
};

/* Words that speak of the client by name. */
static const char *const naming[] = {
	"check_client_access", "check_reverse_client_hostname_access", "check_policy_service", "reject_unknown_client_hostname",
	"reject_unknown_client", "reject_unknown_reverse_client_hostname", "reject_rhsbl_client", "reject_rhsbl_reverse_client",
	"permit_rhswl_client", "check_client_a_access", "check_client_mx_access", "check_client_ns_access",
	"check_reverse_client_hostname_a_access", "check_reverse_client_hostname_mx_access", "check_reverse_client_hostname_ns_access",
};

/* A table that several words name is opened once. */
static struct maps *
open_table(struct span spec)
{
	for (size_t i = 0; i < table_count; i++)
		if (span_is(spec, tables[i].spec))
			return tables[i].maps;
	tables = x_realloc(tables, (table_count + 1) * sizeof(*tables));
	tables[table_count].spec = x_spandup(spec);
	tables[table_count].maps = service_maps(tables[table_count].spec);
	maps_label(tables[table_count].maps, tables[table_count].spec);
	return tables[table_count++].maps;
}

static const struct list *
find_class(struct span name)
{
	for (size_t i = 0; i < class_count; i++)
		if (span_is_nocase(name, classes[i]->name))
			return classes[i];
	return NULL;
}

static struct word
word_of(const struct restrict_word *r, struct buf *err)
{
	struct word w = { .row = r->row, .judge = judge_class };

	if (!r->row) {
		w.list = find_class(r->name);
		return w;
	}
	w.judge = words[r->row - restrict_rows].judge;
	w.arg = x_spandup(r->arg);
	if (r->row->arg == RESTRICT_TABLE)
		w.maps = open_table(r->arg);
	if (r->row->arg == RESTRICT_SERVER)
		w.server = policy_server_open(r->arg, err);
	for (size_t i = 0; i < NELEMS(naming); i++)
		w.wants_name |= strcmp(r->row->name, naming[i]) == 0;
	return w;
}

void
list_free(struct list *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].arg);
	free(l->v);
	free(l);
}

/* from_table: names come from an access table at run time, when nothing can be opened any more. */
struct list *
list_parse(const char *name, enum subject subject, struct span text, bool from_table, struct buf *err)
{
	struct list *l = x_new(struct list);
	struct restrict_word r;
	int more;

	l->name = name;
	l->subject = subject;
	while ((more = restrict_next(&text, par.smtpd_restriction_classes ? par.smtpd_restriction_classes : "", &r, err)) > 0) {
		if (from_table && r.row && (r.row->arg == RESTRICT_TABLE || r.row->arg == RESTRICT_SERVER)) {
			buf_addf(err, "%s cannot be used in a table: make a restriction class of it", r.row->name);
			more = -1;
			break;
		}
		l->v = x_realloc(l->v, (l->n + 1) * sizeof(*l->v));
		l->v[l->n] = word_of(&r, err);
		l->n++;
	}
	if (more == 0 && err->len == 0)
		return l;
	list_free(l);
	return NULL;
}

static struct list *
list_open(const char *name, enum subject subject, const char *text)
{
	struct buf err;
	struct list *l;

	buf_init(&err, ERR_MAX);
	l = list_parse(name, subject, span_str(text), false, &err);
	if (!l)
		die_config("%s: %s", name, buf_cstr(&err));
	buf_fini(&err);
	return l;
}

static void
classes_open(void)
{
	struct span rest = span_str(par.smtpd_restriction_classes), name;

	for (size_t i = 0; i < class_count; i++) {
		free((char *)(uintptr_t)classes[i]->name);
		list_free(classes[i]);
	}
	class_count = 0;
	while (span_word(&rest, ", \t\r\n", &name)) {
		classes = x_realloc(classes, (class_count + 1) * sizeof(struct list *));
		classes[class_count] = x_new(struct list);
		classes[class_count++]->name = x_spandup(name);
	}
	for (size_t i = 0; i < class_count; i++) {	/* all names are known now: a class may name another */
		char *text = service_setting(classes[i]->name);
		struct list *l = list_open(classes[i]->name, OF_RCPT, text ? text : "");

		classes[i]->n = l->n;
		classes[i]->v = l->v;
		free(l);
		free(text);
	}
}

void
policy_open(void)
{
	const struct { enum subject subject; const char *name, *text; } rows[LISTS] = {
		[LIST_CLIENT] = { OF_CLIENT, "smtpd_client_restrictions", par.smtpd_client_restrictions },
		[LIST_HELO] = { OF_HELO, "smtpd_helo_restrictions", par.smtpd_helo_restrictions },
		[LIST_SENDER] = { OF_SENDER, "smtpd_sender_restrictions", par.smtpd_sender_restrictions },
		[LIST_RELAY] = { OF_RCPT, "smtpd_relay_restrictions", par.smtpd_relay_restrictions },
		[LIST_RCPT] = { OF_RCPT, "smtpd_recipient_restrictions", par.smtpd_recipient_restrictions },
		[LIST_DATA] = { OF_DATA, "smtpd_data_restrictions", par.smtpd_data_restrictions },
		[LIST_ETRN] = { OF_ETRN, "smtpd_etrn_restrictions", par.smtpd_etrn_restrictions },
		[LIST_END] = { OF_END, "smtpd_end_of_data_restrictions", par.smtpd_end_of_data_restrictions },
	};

	classes_open();
	for (size_t i = 0; i < LISTS; i++) {
		list_free(lists[i]);
		lists[i] = list_open(rows[i].name, rows[i].subject, rows[i].text);
	}
	resolver_free(resolver);
	maps_free(sender_logins);
	maps_free(client_certs);
	resolver = resolver_open();
	sender_logins = service_maps(par.smtpd_sender_login_maps);
	client_certs = service_maps(par.relay_clientcerts);
	maps_label(sender_logins, "smtpd_sender_login_maps");
	maps_label(client_certs, "relay_clientcerts");
}

/* At most once a second: it costs a system call a table. */
void
policy_refresh(void)
{
	static uint64_t next;
	uint64_t now = clock_mono_ms();

	if (now < next)
		return;
	next = now + 1000;
	resolver_refresh(resolver);
	maps_refresh(sender_logins);
	maps_refresh(client_certs);
	for (size_t i = 0; i < table_count; i++)
		maps_refresh(tables[i].maps);
}

/* May be empty. */
const struct list *
policy_list(enum list_name which)
{
	return lists[which];
}

/* ---- what the lists need of the network ---- */

static bool
list_asks_dns(const struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (word_asks_dns(&l->v[i]))
			return true;
	return false;
}

void
policy_add_port(uint16_t port, uint16_t *ports, size_t max)
{
	size_t i = 0;

	while (i < max && ports[i] && ports[i] != port)
		i++;
	if (i == max)
		die_config("milters, policy services and dns_servers use more than %zu ports together", max);
	ports[i] = port;
}

/*
 * Access tables may name words of DNS too: with any table, DNS is there. Names of clients are no more than
 * a few datagrams: where nothing else is asked, no connection is possible.
 */
unsigned
policy_network(uint16_t *ports, size_t max)
{
	struct span rest = span_str(par.dns_servers), word;
	bool dns = table_count > 0;

	for (size_t i = 0; i < LISTS; i++)
		dns |= list_asks_dns(lists[i]);
	for (size_t i = 0; i < class_count; i++)
		dns |= list_asks_dns(classes[i]);
	for (size_t i = 0; i < policy_server_count(); i++)
		if (policy_server_port(i))
			policy_add_port(policy_server_port(i), ports, max);
	if (!dns && !par.smtpd_peername_lookup)
		return ports[0] ? JAIL_INET : 0;
	dns_init(par.dns_servers, par.dns_trust_anchor_file);
	if (!dns)
		return ports[0] ? JAIL_INET : JAIL_UDP;
	policy_add_port(53, ports, max);
	while (span_word(&rest, ", \t", &word)) {
		ssize_t at = span_rfind(word, '@');
		uint32_t port;

		if (at > 0 && span_u32(span_skip(word, (size_t)at + 1), 1, 65535, &port))
			policy_add_port((uint16_t)port, ports, max);
	}
	return JAIL_INET;
}
