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

static struct maps *secrets, *users;

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

void
accounts_open(void)
{
	struct span file = span_str(par.users_file);
	ssize_t slash = span_rfind(file, '/');

	if (slash < 0)
		die_config("users_file must be an absolute path");
	users = open_table(SPAN_NONE, par.users_file);
	secrets = open_table(span_sub(file, 0, (size_t)slash + 1), "secrets");
}

void
accounts_refresh(void)
{
	maps_refresh(secrets);
	maps_refresh(users);
}

static bool
only_domain(struct span *domain)
{
	struct span rest = span_str(par.virtual_mailbox_domains), second;

	return span_word(&rest, ", \t\r\n", domain) && !span_word(&rest, ", \t\r\n", &second);
}

bool
account_login(struct span name, struct buf *login)
{
	struct span domain;

	if (name.n == 0 || name.n > LOGIN_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] <= ' ' || name.p[i] == 0x7f)
			return false;
		buf_addc(login, ascii_lower(name.p[i]));
	}
	if (span_find(name, '@') < 0 && only_domain(&domain)) {
		buf_addc(login, '@');
		for (size_t i = 0; i < domain.n; i++)
			buf_addc(login, ascii_lower(domain.p[i]));
	}
	return !login->over && login->len <= LOGIN_MAX;
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
