/*
 * accounts.c: look-ups in secrets.cdb and users.cdb. Names come from strangers
 * and are only ever keys; what becomes a path is checked by user_mailbox().
 */
#include "accounts.h"

#include "base/die.h"
#include "base/log.h"
#include "mail/users.h"
#include "service/service.h"
#include "base/banned.h"

#define PATH_LENGTH_MAX 4096
#define VALUE_MAX 4096

static struct maps *secrets, *users, *domains, *quotas, *certificates;

static struct maps *
open_table(struct span directory, const char *name)
{
	struct buf spec;
	struct maps *m;

	buf_init(&spec, PATH_LENGTH_MAX);
	buf_adds(&spec, "cdb:");
	buf_addspan(&spec, directory);
	buf_adds(&spec, name);
	m = service_maps(buf_cstr(&spec));
	buf_fini(&spec);
	return m;
}

static void
open_domains(void)
{
	struct span rest = span_str(par.virtual_mailbox_domains), item;
	struct buf spec;

	buf_init(&spec, PATH_LENGTH_MAX);
	while (map_next_item(&rest, ", \t\r\n", &item) > 0)
		if (map_is_table(item))
			buf_addf(&spec, "%.*s ", SPAN_FMT(item));
	domains = service_maps(buf_cstr(&spec));
	buf_fini(&spec);
}

void
accounts_open(void)
{
	struct span file = span_str(par.users_file);
	ssize_t slash = span_rfind(file, '/');

	if (slash < 0)
		die_config("users_file must be an absolute path");
	users = open_table(SPAN_NONE, par.users_file);
	open_domains();
	secrets = open_table(span_sub(file, 0, (size_t)slash + 1), "secrets");
	quotas = open_table(span_sub(file, 0, (size_t)slash + 1), "quota");
	certificates = service_maps(par.auth_external_maps);
}

void
accounts_refresh(void)
{
	maps_refresh(secrets);
	maps_refresh(users);
	maps_refresh(domains);
	maps_refresh(quotas);
	maps_refresh(certificates);
}

struct only {
	struct buf *name;
	unsigned n;
};

static bool
count_domain(void *ctx, struct span domain, struct span value)
{
	struct only *o = ctx;

	(void)value;
	if (o->n++ == 0)
		buf_addspan(o->name, domain);
	return o->n < 2;
}

/* The one domain of virtual_mailbox_domains: a login without a domain is of that one. */
static bool
only_domain(struct buf *name)
{
	struct span rest = span_str(par.virtual_mailbox_domains), item;
	struct only o = { .name = name };

	while (o.n < 2 && map_next_item(&rest, ", \t\r\n", &item) > 0)
		if (!map_is_table(item))
			count_domain(&o, item, SPAN_NONE);
	if (o.n < 2 && !maps_empty(domains) && maps_each(domains, count_domain, &o) != MAP_FOUND && o.n < 2)
		return false;		/* a table that cannot be listed: nobody knows how many there are */
	return o.n == 1;
}

bool
account_login(struct span name, struct buf *login)
{
	struct buf domain;

	if (name.n == 0 || name.n > LOGIN_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] <= ' ' || name.p[i] == 0x7f)
			return false;
		buf_addc(login, ascii_lower(name.p[i]));
	}
	buf_init(&domain, LOGIN_MAX);
	if (span_find(name, '@') < 0 && only_domain(&domain)) {
		buf_addc(login, '@');
		for (size_t i = 0; i < domain.len; i++)
			buf_addc(login, ascii_lower(domain.p[i]));
	}
	buf_fini(&domain);
	return !login->over && login->len <= LOGIN_MAX;
}

enum map_answer
account_of_certificate(struct span fingerprints, struct buf *login)
{
	enum map_answer answer = MAP_NONE;
	struct span one;

	while (answer == MAP_NONE && span_word(&fingerprints, " ", &one))
		answer = maps_find(certificates, one, login);
	return answer;
}

void
account_secret(struct buf *out)
{
	if (maps_find(secrets, SPAN(USERS_SECRET_KEY), out) != MAP_FOUND || out->over)
		buf_reset(out);
}

enum map_answer
account_verifier(struct span login, struct buf *verifier)
{
	return maps_find(secrets, login, verifier);
}

enum map_answer
account_mailbox(struct span login, struct buf *mailbox)
{
	enum map_answer answer;
	struct buf value;

	buf_init(&value, VALUE_MAX);
	answer = maps_find(users, login, &value);
	if (answer == MAP_FOUND && (value.over || !user_mailbox(login, buf_span(&value), mailbox))) {
		log_error(NULL, "users.cdb: the record of <%.*s> is malformed", SPAN_FMT(login));
		answer = MAP_FAILED;
	}
	buf_fini(&value);
	return answer;
}

struct span
account_quota(struct span login, struct buf *room)
{
	ssize_t at = span_rfind(login, '@');

	if (maps_find(quotas, login, room) != MAP_FOUND && at > 0)
		(void)maps_find(quotas, span_skip(login, (size_t)at), room);
	return room->over ? SPAN_NONE : span_trim(buf_span(room));
}
