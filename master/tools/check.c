/* check.c: merpati check: what is wrong with a configuration, all at once. The files are the operator's. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/map.h"
#include "common/compile.h"
#include "common/tool.h"
#include "nexthop.h"
#include "places.h"
#include "template.h"
#include "tools.h"
#include "base/banned.h"

#define OUT_MAX (4u << 20)
#define USERS_MAX (256u << 20)

void
check_init(struct check *c, const char *confdir)
{
	*c = (struct check){ .confdir = confdir };
	buf_init(&c->out, OUT_MAX);
}

void
check_fini(struct check *c)
{
	buf_fini(&c->out);
	conf_free(c->conf);
}

static void PRINTF(4, 0)
add_sentence(struct check *c, const char *name, const char *kind, const char *fmt, va_list ap)
{
	if (name)
		conf_place(c->conf, name, &c->out);
	buf_adds(&c->out, kind);
	buf_vaddf(&c->out, fmt, ap);
	buf_addc(&c->out, '\n');
}

void
check_error(struct check *c, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_sentence(c, name, "", fmt, ap);
	va_end(ap);
	c->errors++;
}

void
check_warning(struct check *c, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_sentence(c, name, "warning: ", fmt, ap);
	va_end(ap);
}

/* What could not be read is empty, so that the other checks need not ask. */
static void
fill_gaps(void)
{
	for (size_t i = 0; i < param_count; i++) {
		const char **text = (const char **)(void *)((char *)&par + param_rows[i].offset);

		if (param_rows[i].type <= PT_ENUM && !*text)
			*text = "";
	}
}

void
check_read(struct check *c)
{
	c->conf = tool_read_conf(c->confdir, &c->out, &c->errors);
	if (c->conf)
		c->errors += conf_apply(c->conf, &par, &c->out);
	fill_gaps();
}

/* Debian's myorigin = /etc/mailname, and tables among the domains, would be taken as names that nobody has. */
static void
check_domain_names(struct check *c)
{
	static const struct {
		const char *name;
		size_t offset;
	} rows[] = {
		{ "mydomain", offsetof(struct params, mydomain) },
		{ "myorigin", offsetof(struct params, myorigin) },
		{ "mydestination", offsetof(struct params, mydestination) },
		{ "virtual_mailbox_domains", offsetof(struct params, virtual_mailbox_domains) },
		{ "virtual_alias_domains", offsetof(struct params, virtual_alias_domains) },
		{ "relay_domains", offsetof(struct params, relay_domains) },
	};

	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct span rest = span_str(*(const char **)(void *)((char *)&par + rows[i].offset)), word;

		while (map_next_item(&rest, ", \t\r\n", &word) > 0)
			if (span_find(word, '/') >= 0 && (i < 2 || !map_is_table(word)))
				check_error(c, rows[i].name, "%s: \"%.*s\" is not a domain; no list in a file is read here: "
				    "write the domain itself", rows[i].name, SPAN_FMT(word));
	}
}

/* A domain has one class: Postfix warns of the same ("do not list domain in BOTH"). */
static void
check_domain_classes(struct check *c)
{
	static const struct {
		const char *name;
		size_t offset;
	} lists[] = {
		{ "mydestination", offsetof(struct params, mydestination) },
		{ "virtual_mailbox_domains", offsetof(struct params, virtual_mailbox_domains) },
		{ "virtual_alias_domains", offsetof(struct params, virtual_alias_domains) },
		{ "relay_domains", offsetof(struct params, relay_domains) },
	};

	for (size_t i = 1; i < NELEMS(lists); i++) {
		const char *mine = *(const char **)(void *)((char *)&par + lists[i].offset);
		struct span rest = span_str(mine), domain;

		while (map_next_item(&rest, ", \t\r\n", &domain) > 0)
			for (size_t k = 0; k < i; k++)
				if (param_list_has(*(const char **)(void *)((char *)&par + lists[k].offset), domain))
					check_error(c, lists[i].name, "%.*s is in %s and in %s; leave it in one of them",
					    SPAN_FMT(domain), lists[k].name, lists[i].name);
	}
}

static void
check_template(struct check *c)
{
	struct buf err;

	buf_init(&err, 1000);
	if (!template_load(par.bounce_template_file, &err))
		check_error(c, "bounce_template_file", "%s", buf_cstr(&err));
	buf_fini(&err);
}

/* Answers that nothing validates demand nothing. */
static void
check_dane(struct check *c)
{
	if (strncmp(par.smtp_tls_security_level, "dane", 4) == 0 && par.dns_servers[0] && !par.dns_trust_anchor_file[0])
		check_warning(c, "smtp_tls_security_level", "%s finds no record that counts: with dns_servers nothing is validated "
		    "without dns_trust_anchor_file, such as /usr/share/dns/root.key", par.smtp_tls_security_level);
}

static void
check_users(struct check *c)
{
	struct buf text;
	int errors;

	buf_init(&text, USERS_MAX);
	if (tool_read(par.users_file, USERS_MAX, &text)) {
		errors = compile_check_users(par.users_file, buf_span(&text), &c->out);
		c->errors += errors;
		if (errors)
			buf_addf(&c->out, "%s: merpati user writes this file; see users(5) for the form of its lines\n", par.users_file);
	} else if (errno == EACCES) {
		check_warning(c, "users_file", "%s: only root can check it", par.users_file);
	}
	buf_fini(&text);
}

static void
check_quota(struct check *c)
{
	struct buf text;

	buf_init(&text, USERS_MAX);
	if (tool_read(compile_quota_file(), USERS_MAX, &text))
		c->errors += compile_check_quota(compile_quota_file(), buf_span(&text), &c->out);
	buf_fini(&text);
}

/* Tables whose text was changed and not compiled. */
static void
check_stale(void *ctx, const char *cdb)
{
	struct check *c = ctx;
	struct buf text;

	buf_init(&text, 4096);
	buf_add(&text, cdb, strlen(cdb));
	if (span_ends_nocase(buf_span(&text), ".cdb")) {
		buf_truncate(&text, text.len - 4);
		if (compile_is_stale(text.p, cdb))
			check_warning(c, NULL, "%s: newer than its table; run: %s %s", text.p,
			    span_ends_nocase(buf_span(&text), "aliases") ? "postalias" : "postmap", text.p);
	}
	buf_fini(&text);
}

/* Deliveries run in the home directory and see nothing else. */
static void
check_homes(struct check *c)
{
	struct span rest = span_str(par.forward_path), item;

	if (par.home_mailbox[0] == '/' || par.home_mailbox[0] == '\0' || strstr(par.home_mailbox, ".."))
		check_error(c, "home_mailbox", "home_mailbox must be a file, or a directory with / at its end, below the home directory");
	while (span_word(&rest, ", \t", &item))
		if (!span_starts(item, "$home/") || strstr(par.forward_path, "/.."))
			check_error(c, "forward_path", "forward_path: \"%.*s\" does not lie below $home", SPAN_FMT(item));
}

/* A next hop that smtp cannot read would be told with the first message, by a deferral. */
static void
check_next_hops(struct check *c)
{
	const struct { const char *name, *value; } rows[] = {
		{ "relayhost", par.relayhost }, { "smtp_fallback_relay", par.smtp_fallback_relay },
	};

	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct span rest = span_str(rows[i].value), item;
		struct nexthop hop;

		while (span_word(&rest, ", \t", &item))
			if (!span_starts(item, "lmtp:") && !span_starts(item, "smtp:") && !nexthop_parse(item, &hop))
				check_error(c, rows[i].name, "%s: \"%.*s\" is not host, [host] or [host]:port with a port from 1 to 65535",
				    rows[i].name, SPAN_FMT(item));
	}
}

static void
check_host(struct check *c)
{
	struct span host = span_str(par.myhostname);

	if (host.n == 0 || span_find(host, ' ') >= 0)
		check_error(c, "myhostname", "myhostname must be one full name, such as mail.example.com");
	if (!span_starts(span_str(par.smtpd_banner), par.myhostname))
		check_error(c, "smtpd_banner", "smtpd_banner must begin with $myhostname (RFC 5321 4.2)");
	check_homes(c);
}

static void
check_system_users(struct check *c)
{
	const char *missing = geteuid() == 0 ? places_missing_user() : NULL;

	if (missing)
		check_error(c, NULL, "the system user %s is missing; make it: useradd --system --user-group --no-create-home %s",
		    missing, missing);
}

void
check_all(struct check *c)
{
	if (!c->conf)
		return;
	c->errors += conf_check_files(c->conf, &c->out);
	check_services(c);
	check_host(c);
	check_next_hops(c);
	check_milters(c);
	check_domain_names(c);
	check_dane(c);
	check_template(c);
	check_domain_classes(c);
	check_users(c);
	check_quota(c);
	check_owners(c);
	conf_each_file(c->conf, check_stale, c);
	check_aliases(c);
	check_tls(c);
	check_system_users(c);
	check_places(c);
}

int
check_report(struct check *c)
{
	struct span rest = buf_span(&c->out), line;

	while (span_cut(&rest, '\n', &line))
		if (line.n)
			tool_complain("%.*s", (int)line.n, line.p);
	if (c->errors)
		tool_complain("%d mistake%s in the configuration %s", c->errors, c->errors == 1 ? "" : "s", c->confdir);
	return c->errors ? EX_CONFIG : 0;
}

int
command_check(const char *confdir, int argc, char **argv)
{
	struct check c;
	int code;

	if (argc > 1)
		tool_fail(EX_USAGE, "check: \"%s\" is not understood", argv[1]);
	check_init(&c, confdir);
	check_read(&c);
	check_all(&c);
	code = check_report(&c);
	if (!code)
		printf("%s: no mistakes\n", confdir);
	check_fini(&c);
	return code;
}
