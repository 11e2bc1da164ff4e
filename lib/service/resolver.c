/* resolver.c: fills resolve_spec from the parameters. */
#include "service/resolver.h"

#include <errno.h>
#include <unistd.h>

#include "base/die.h"
#include "base/log.h"
#include "service/params.h"

#include "base/banned.h"

#define SPEC_MAX 4200

/* Inside the jail of a daemon that reads its parameters again only master sees the file. */
static bool
is_missing(const char *path)
{
	int fd = map_open_file(path);

	if (fd < 0)
		return errno == ENOENT;
	close(fd);
	return false;
}

/* "cdb:PATH", or "" when nobody has compiled the table yet: then it has no entries. */
static const char *
compiled_table(const char *what, struct span path)
{
	struct buf file, spec;
	const char *out = "";

	buf_init(&file, SPEC_MAX);
	buf_init(&spec, SPEC_MAX);
	buf_addspan(&file, path);
	buf_adds(&file, ".cdb");
	buf_adds(&spec, "cdb:");
	buf_addspan(&spec, path);
	if (is_missing(buf_cstr(&file)))
		log_warn(NULL, "%s is missing: no %s are known", buf_cstr(&file), what);
	else
		out = x_strdup(buf_cstr(&spec));
	buf_fini(&file);
	buf_fini(&spec);
	return out;
}

/* Those that the tools compile, where what they tell of is wanted at all. */
static void
add_tables(struct resolve_spec *spec)
{
	struct buf path;

	buf_init(&path, SPEC_MAX);
	if (span_trim(span_str(par.virtual_mailbox_domains)).n > 0) {
		ssize_t slash = span_rfind(span_str(par.users_file), '/');

		spec->users = compiled_table("virtual users", span_str(par.users_file));
		buf_addf(&path, "%.*s/quota", (int)(slash < 0 ? 0 : slash), par.users_file);
		spec->quota = compiled_table("limits of mailboxes", buf_span(&path));
	}
	if (span_trim(span_str(par.mydestination)).n > 0) {
		buf_reset(&path);
		buf_addf(&path, "%s/system-users", par.config_directory);
		spec->system_users = compiled_table("system users", buf_span(&path));
	}
	buf_reset(&path);
	buf_addf(&path, "%s/lists.cdb", par.config_directory);
	if (!is_missing(buf_cstr(&path))) {
		buf_truncate(&path, path.len - 4);
		spec->lists = compiled_table("lists", buf_span(&path));
	}
	buf_fini(&path);
}

struct resolver *
resolver_open(void)
{
	struct resolve_spec spec = {
		.mydestination = par.mydestination,
		.virtual_mailbox_domains = par.virtual_mailbox_domains,
		.virtual_alias_domains = par.virtual_alias_domains,
		.relay_domains = par.relay_domains,
		.virtual_mailbox_maps = par.virtual_mailbox_maps,
		.virtual_uid_maps = par.virtual_uid_maps,
		.virtual_gid_maps = par.virtual_gid_maps,
		.virtual_minimum_uid = par.virtual_minimum_uid,
		.virtual_alias_maps = par.virtual_alias_maps,
		.alias_maps = par.alias_maps,
		.relay_recipient_maps = par.relay_recipient_maps,
		.transport_maps = par.transport_maps,
		.relayhost = par.relayhost,
		.sender_dependent_relayhost_maps = par.sender_dependent_relayhost_maps,
		.sender_dependent_default_transport_maps = par.sender_dependent_default_transport_maps,
		.virtual_transport = par.virtual_transport,
		.mailbox_transport = par.mailbox_transport,
		.alias_programs = param_list_has(par.allow_mail_to_commands, SPAN("alias")),
		.recipient_delimiter = par.recipient_delimiter,
		.myorigin = par.myorigin,
		.propagate_virtual = param_list_has(par.propagate_unmatched_extensions, SPAN("virtual")),
		.propagate_alias = param_list_has(par.propagate_unmatched_extensions, SPAN("alias")),
		.lists_directory = par.lists_directory,
		.relocated_maps = par.relocated_maps,
		.fast_flush_domains = par.fast_flush_domains,
		.canonical_maps = par.canonical_maps,
		.recipient_canonical_maps = par.recipient_canonical_maps,
		.expansion_limit = par.virtual_alias_expansion_limit,
		.recursion_limit = par.virtual_alias_recursion_limit,
		.address_limit = par.virtual_alias_address_length_limit,
		.users = "",
		.quota = "",
		.system_users = "",
	};
	struct buf err;
	struct resolver *r;

	buf_init(&err, SPEC_MAX);
	add_tables(&spec);
	r = resolver_new(&spec, &err);
	if (!r)
		die_config("%s", buf_cstr(&err));
	buf_fini(&err);
	return r;
}
