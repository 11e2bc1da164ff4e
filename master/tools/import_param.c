/* import_param.c: a parameter of Postfix: the same here, another here, not needed, or lost. The file is an operator's. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/tool.h"
#include "import_config.h"
#include "service/foreign.h"
#include "base/banned.h"

/* ---- values ---- */

static const struct { const char *from, *to; } map_types[] = {
	{ "proxy:", "" }, { "lmdb:", "hash:" }, { "dbm:", "hash:" }, { "sdbm:", "hash:" },
};

/* Table types that are made otherwise here. True: something has changed. */
static bool
translate_maps(struct span value, struct buf *out)
{
	struct span rest = value;
	bool changed = false, start = true;

	while (rest.n > 0) {
		size_t i = 0;

		while (start && i < NELEMS(map_types) && !span_starts(rest, map_types[i].from))
			i++;
		if (start && i < NELEMS(map_types)) {
			buf_adds(out, map_types[i].to);
			rest = span_skip(rest, strlen(map_types[i].from));
			changed = true;
			continue;	/* proxy:lmdb: */
		}
		start = strchr(", \t{", rest.p[0]) != NULL;
		buf_addc(out, rest.p[0]);
		rest = span_skip(rest, 1);
	}
	return changed;
}

void
import_out(struct import_line *l, const char *name, struct span value)
{
	free(l->out_name);
	free(l->out_value);
	l->out_name = x_strdup(name);
	l->out_value = x_spandup(value);
}

/* ---- parameters with a way of their own: false: not this value ---- */

static bool
to_may(struct import_line *l, const char *arg)
{
	if (strcmp(l->value, "yes") != 0)
		return false;
	import_out(l, arg, strstr(l->name, "enforce") ? SPAN("encrypt") : SPAN("may"));
	import_verdict(l, VERDICT_TRANSLATED, "the name that Postfix itself has used since 2.3");
	return true;
}

static bool
to_normalize(struct import_line *l, const char *arg)
{
	bool no = strcmp(l->value, "no") == 0;

	if (!no && strcmp(l->value, "yes") != 0)
		return false;
	import_out(l, arg, SPAN("normalize"));
	import_verdict(l, no ? VERDICT_LOST : VERDICT_TRANSLATED, no ?
	    "a bare line feed never ends a message here: that would let mail be smuggled in" : NULL);
	return true;
}

static bool
zero_only(struct import_line *l, const char *arg)
{
	if (strcmp(l->value, "0") != 0)
		return false;
	import_verdict(l, VERDICT_IGNORED, arg);
	return true;
}

/* Postfix: no limit */
static bool
zero_is_largest(struct import_line *l, const char *arg)
{
	if (strcmp(l->value, "0") != 0)
		return false;
	import_out(l, arg, SPAN("4G"));
	import_verdict(l, VERDICT_TRANSLATED, "there is always a limit here; this is the largest");
	return true;
}

static bool
protocols(struct import_line *l, const char *arg)
{
	if (!strstr(l->value, "ipv4") || !strstr(l->value, "ipv6"))
		return false;
	import_out(l, arg, SPAN("all"));
	import_verdict(l, VERDICT_TRANSLATED, NULL);
	return true;
}

/* Debian: myorigin = /etc/mailname */
static bool
first_line_of_file(struct import_line *l, const char *arg)
{
	struct buf text;
	struct span rest, line;

	if (l->value[0] != '/')
		return false;
	buf_init(&text, 4096);
	if (tool_read(l->value, 4096, &text)) {
		rest = buf_span(&text);
		(void)span_cut(&rest, '\n', &line);
		import_out(l, arg, span_trim(line));
		import_verdict(l, VERDICT_TRANSLATED, "the name that the file has now");
	} else {
		import_verdict(l, VERDICT_LOST, "the file cannot be read; write the name itself");
	}
	buf_fini(&text);
	return true;
}

static bool
yes_is_so(struct import_line *l, const char *arg)
{
	if (strcmp(l->value, "yes") != 0)
		return false;
	import_verdict(l, VERDICT_IGNORED, arg);
	return true;
}

static bool
no_is_so(struct import_line *l, const char *arg)
{
	if (strcmp(l->value, "no") != 0)
		return false;
	import_verdict(l, VERDICT_IGNORED, arg);
	return true;
}

/* A list without the words that mean nothing here. False: it has none of them. */
static bool
drop_words(struct import_line *l, const char *arg, const char *words, const char *why)
{
	struct span rest = span_str(l->value), word;
	struct buf kept;
	bool less = false;

	buf_init(&kept, 1000);
	while (span_word(&rest, ", \t\r\n", &word)) {
		bool unknown = param_list_has(words, word);

		less |= unknown;
		if (!unknown)
			buf_addf(&kept, "%s%.*s", kept.len ? ", " : "", SPAN_FMT(word));
	}
	if (less) {
		import_out(l, arg, buf_span(&kept));
		import_verdict(l, VERDICT_LOST, why);
	}
	buf_fini(&kept);
	return less;
}

/* All certificates of the directory in one file, as Debian keeps them. */
static bool
ca_path(struct import_line *l, const char *arg)
{
	const char *file = tool_path(l->value, "%s", "ca-certificates.crt");

	if (access(file, R_OK) < 0)
		return false;
	import_out(l, arg, span_str(file));
	import_verdict(l, VERDICT_TRANSLATED, "the file that has all of them");
	return true;
}

static bool
no_lookups(struct import_line *l, const char *arg)
{
	if (strcmp(l->value, "yes") != 0)
		return false;
	import_out(l, arg, SPAN("no"));
	import_verdict(l, VERDICT_TRANSLATED, NULL);
	return true;
}

static bool
extensions(struct import_line *l, const char *arg)
{
	return drop_words(l, arg, "forward, include",
	    "addresses in .forward and :include: files get no extension of the one that was written to");
}

static bool
no_included_programs(struct import_line *l, const char *arg)
{
	return drop_words(l, arg, "include", "programs of aliases and .forward are run, those of :include: files are not");
}

static const struct {
	const char *name;
	bool (*take)(struct import_line *l, const char *arg);
	const char *arg;
} ways[] = {
	{ "smtpd_use_tls", to_may, "smtpd_tls_security_level" },
	{ "smtpd_enforce_tls", to_may, "smtpd_tls_security_level" },
	{ "smtp_use_tls", to_may, "smtp_tls_security_level" },
	{ "smtp_enforce_tls", to_may, "smtp_tls_security_level" },
	{ "smtpd_forbid_bare_newline", to_normalize, "smtpd_forbid_bare_newline" },
	{ "virtual_mailbox_limit", zero_only, "a mailbox has no limit until it is given one" },
	{ "message_size_limit", zero_is_largest, "message_size_limit" },
	{ "inet_protocols", protocols, "inet_protocols" },
	{ "allow_mail_to_commands", no_included_programs, "allow_mail_to_commands" },
	{ "myorigin", first_line_of_file, "myorigin" },
	{ "propagate_unmatched_extensions", extensions, "propagate_unmatched_extensions" },
	{ "virtual_transport", import_transport, "virtual_transport" },
	{ "mailbox_transport", import_transport, "mailbox_transport" },
	{ "virtual_uid_maps", import_mail_user, "virtual_mail_user" },
	{ "virtual_mailbox_maps", import_mailboxes, NULL },
	{ "smtp_tls_CApath", ca_path, "smtp_tls_CAfile" },
	{ "smtpd_tls_CApath", ca_path, "smtpd_tls_CAfile" },
	{ "disable_dns_lookups", no_lookups, "smtp_dns_lookups" },
	{ "smtputf8_enable", yes_is_so, "it is always so" },
	{ "tls_preempt_cipherlist", yes_is_so, "it is always so" },
	{ "smtpd_tls_received_header", yes_is_so, "it is always so" },
	{ "smtpd_peername_lookup", yes_is_so, "it is always so" },
	{ "disable_dns_lookups", no_is_so, "names are looked up" },
	{ "smtpd_sasl_authenticated_header", no_is_so, "it is always so" },
	{ "always_add_missing_headers", no_is_so, "it is always so" },
	{ "smtp_tls_wrappermode", no_is_so, "it is always so" },
	{ "allow_percent_hack", no_is_so, "it is never done" },
	{ "swap_bangpath", no_is_so, "it is never done" },
	{ "allow_untrusted_routing", no_is_so, "it is never done" },
};

/* ---- values that are what is done here ---- */

static bool
name_fits(const char *name, const char *pattern)
{
	const char *star = strchr(pattern, '*');
	size_t n = star ? (size_t)(star - pattern) : strlen(pattern), tail = star ? strlen(star + 1) : 0, len = strlen(name);

	return star ? len >= n + tail && strncmp(name, pattern, n) == 0 && strcmp(name + len - tail, star + 1) == 0 :
	    strcmp(name, pattern) == 0;
}

static const struct { const char *name, *value, *why; } same[] = {
	{ "unknown_*_reject_code", "550", "that is the reply" },
	{ "reject_code", "554", "that is the reply" },
	{ "relay_domains_reject_code", "554", "that is the reply" },
	{ "relay_transport", "relay", "relay_domains go by smtp" },
	{ "relay_transport", "smtp", "relay_domains go by smtp" },
	{ "default_transport", "smtp", "other domains go by smtp" },
	{ "local_recipient_maps", "proxy:unix:passwd.byname $alias_maps", "these are the local recipients" },
	{ "local_recipient_maps", "unix:passwd.byname $alias_maps", "these are the local recipients" },
	{ "local_recipient_maps", "$alias_maps unix:passwd.byname", "these are the local recipients" },
	{ "local_recipient_maps", "$alias_maps proxy:unix:passwd.byname", "these are the local recipients" },
	{ "local_transport", "local", "local delivers to mydestination" },
	{ "local_transport", "local:$myhostname", "local delivers to mydestination" },
	{ "cleanup_service_name", "cleanup", "intake does this" },
	{ "smtp_host_lookup", "dns", "hosts are looked up in the DNS" },
	{ "smtpd_client_event_limit_exceptions", "$mynetworks", "clients of mynetworks are not counted" },
};

static bool
is_same(struct import_line *l)
{
	for (size_t i = 0; i < NELEMS(same); i++)
		if (name_fits(l->name, same[i].name) && strcmp(l->value, same[i].value) == 0) {
			import_verdict(l, VERDICT_IGNORED, same[i].why);
			return true;
		}
	return false;
}

/* ---- what others are not here ---- */

static const struct { const char *name, *why; } lost[] = {
	{ "local_recipient_maps", "the users of this system and alias_maps are the local recipients" },
	{ "luser_relay", "mail for users whom nobody knows is refused" },
	{ "mail_spool_directory", "mail of system users goes into their home directories, see home_mailbox; \"merpati import\" takes over what is there" },
	{ "local_transport", "local delivers to mydestination; leave that empty when nothing is local" },
	{ "relay_transport", "relay_domains go by smtp; transport_maps say where" },
	{ "default_transport", "transport_maps, relayhost and sender_dependent_default_transport_maps decide" },
	{ "smtp_tls_wrappermode", "the next hop is reached by STARTTLS" },
	{ "smtp_tls_CApath", "write smtp_tls_CAfile = FILE, with all certificates in it" },
	{ "smtp_host_lookup", "hosts are looked up in the DNS, not in /etc/hosts; [ADDRESS] needs no look-up" },
	{ "smtp_header_checks", "headers go out as they are; header_checks change them when mail comes in" },
	{ "allow_mail_to_files", "mail is delivered to mailboxes only" },
	{ "content_filter", "mail goes on without being filtered" },
	{ "receive_override_options", "header checks, aliases and copies count for all mail" },
	{ "cleanup_service_name", "there is one intake; what differs for submission is in its lines of master.cf" },
	{ "always_add_missing_headers", "Date, Message-ID and From are added to mail that is submitted here, never to that of others" },
	{ "local_header_rewrite_clients", "headers of submitted mail are completed, others never" },
	{ "address_verify_*", "addresses are verified where their mail goes" },
	{ "smtpd_proxy_filter", "there is no content filter before the queue" },
	{ "smtpd_authorized_verp_clients", "XVERP is not spoken" },
	{ "smtpd_client_event_limit_exceptions", "clients of mynetworks are not counted, all others are" },
	{ "parent_domain_matches_subdomains", "relay_domains match their subdomains, other lists do not" },
	{ "mynetworks_style", "only mynetworks count: write them; without a line of that name this host alone may relay" },
	{ "default_process_limit", "limits of processes are in master.cf and *_process_limit" },
	{ "max_use", "processes end after max_idle" },
	{ "debugger_command", "no debugger is started" },
	{ "smtpd_sasl_authenticated_header", "the login is in the log, not in the header" },
	{ "non_smtpd_milters", "milters see what comes by SMTP; what sendmail(1) hands over is neither checked nor signed by them" },
	{ "internal_mail_filter_classes", "reports are shown to no milter" },
	{ "milter_*", "milters are asked without that" },
	{ "postscreen_*", "there is no postscreen: block lists belong into smtpd_client_restrictions" },
	{ "unknown_*_reject_code", "the reply is 550" },
	{ "lmtp_*", "LMTP has the settings of smtp_*" },
	{ "dovecot_*", "local delivers itself" },
};

static const struct { const char *name, *why; } ignored[] = {
	{ "data_directory", "nothing is kept there" },
	{ "address_verify_map", "what was found out is in qmgr's memory" },
	{ "address_verify_cache_cleanup_interval", "what was found out is in qmgr's memory" },
	{ "*_time_limit", "no program is started" },
	{ "smtp_address_preference", "IPv6 and IPv4 are tried side by side" },
	{ "syslog_name", "the log names the daemon" },
	{ "smtpd_tls_loglevel", "each connection's protection is logged" },
	{ "smtp_tls_loglevel", "each delivery's protection is logged" },
	{ "smtp_tls_note_starttls_offer", "each delivery's protection is logged" },
	{ "tls_random_*", "the kernel gives random numbers" },
	{ "tls_ssl_options", "compression and renegotiation are off" },
	{ "tls_*_cipherlist", "OpenSSL's list for TLS 1.2 and 1.3" },
	{ "smtp_connection_cache_*", "connections are kept when they are of use" },
	{ "smtp_tls_connection_reuse", "connections are kept when they are of use" },
	{ "smtp_dns_support_level", "names are asked for with DNSSEC when that is wanted" },
	{ "in_flow_delay", "intake is slowed down by the disk alone" },
	{ "import_environment", "daemons see nothing of the environment" },
	{ "master_service_disable", "what is not in master.cf does not run" },
	{ "owner_request_special", "owner-NAME is special, NAME-request is not" },
	{ "expand_owner_alias", "the sender of a list is owner-NAME" },
	{ "smtpd_forbid_bare_newline_exclusions", "a bare line feed is repaired for everybody" },
};

static bool
by_own_tables(struct import_line *l)
{
	for (size_t i = 0; i < NELEMS(ways); i++)
		if (strcmp(l->name, ways[i].name) == 0 && ways[i].take(l, ways[i].arg))
			return true;
	return false;
}

static bool
by_names(struct import_line *l)
{
	bool gone;
	const char *advice;
	char *why, *tail;

	for (size_t i = 0; i < NELEMS(ignored); i++)
		if (name_fits(l->name, ignored[i].name)) {
			import_verdict(l, VERDICT_IGNORED, ignored[i].why);
			return true;
		}
	for (size_t i = 0; i < NELEMS(lost); i++)
		if (name_fits(l->name, lost[i].name)) {
			import_verdict(l, VERDICT_LOST, lost[i].why);
			return true;
		}
	advice = foreign_param(span_str(l->name), &gone);
	if (!advice)
		return false;
	why = x_strdup(strncmp(advice, "Postfix's; ", 11) == 0 ? advice + 11 : advice);
	if ((tail = strstr(why, ": remove the line")) != NULL)	/* that is done already */
		*tail = '\0';
	import_verdict(l, gone ? VERDICT_LOST : VERDICT_IGNORED, why);
	free(why);
	return true;
}

/* ---- what other lines say ---- */

static const char *
value_of(const struct import_config *ic, const char *name)
{
	for (size_t i = ic->n; i-- > 0; )
		if (strcmp(ic->v[i].name, name) == 0)
			return ic->v[i].value;
	return NULL;
}

bool
import_says(const struct import_config *ic, const char *word)
{
	for (size_t i = 0; i < ic->n; i++)
		if (strcmp(ic->v[i].file, "main.cf") == 0 && strstr(ic->v[i].value, word))
			return true;
	return strstr(ic->master, word) != NULL;
}

/* Lines that mean nothing beside another one. */
static bool
by_neighbours(const struct import_config *ic, struct import_line *l)
{
	const char *local = value_of(ic, "mydestination");
	const char *why = NULL;

	if (local && !*local && (strcmp(l->name, "local_recipient_maps") == 0 || strcmp(l->name, "local_transport") == 0))
		why = "mydestination is empty: nothing is local";
	else if (strcmp(l->name, "mynetworks_style") == 0 && value_of(ic, "mynetworks"))
		why = "mynetworks are set";
	else if ((name_fits(l->name, "address_verify_*") || name_fits(l->name, "unverified_*")) && !import_says(ic, "reject_unverified"))
		why = "no restriction asks for probes";
	if (why)
		import_verdict(l, VERDICT_IGNORED, why);
	return why != NULL;
}

/* Nothing is asked of what is not here; but these two mean something when they are empty. */
static bool
is_nothing(struct import_line *l)
{
	if (*l->value || strcmp(l->name, "local_recipient_maps") == 0 || strcmp(l->name, "parent_domain_matches_subdomains") == 0)
		return false;
	import_verdict(l, VERDICT_IGNORED, "it is empty");
	return true;
}

/* A name of the operator's own, which other values use: $NAME, or a class of restrictions. */
static bool
is_used(const struct import_config *ic, const struct import_line *l)
{
	for (const char *at = ic->master; (at = strstr(at, l->name)) != NULL; at++)	/* -o smtpd_client_restrictions=$mua_client_restrictions */
		if (at > ic->master && strchr("${(", at[-1]))
			return true;
	for (size_t i = 0; i < ic->n; i++) {
		const char *at = &ic->v[i] == l ? NULL : ic->v[i].value;

		while (at && (at = strstr(at, l->name)) != NULL) {
			if (at > ic->v[i].value && strchr("${( ,", at[-1]))
				return true;
			at++;
		}
		if (&ic->v[i] != l && strcmp(ic->v[i].name, "smtpd_restriction_classes") == 0 &&
		    param_list_has(ic->v[i].value, span_str(l->name)))
			return true;
	}
	return false;
}

void
import_param(struct import_config *ic, struct import_line *l)
{
	const struct param_row *row = param_find(span_str(l->name));
	struct buf value;

	if (strcmp(l->name, "virtual_gid_maps") == 0 && import_mail_group(l, value_of(ic, "virtual_uid_maps")))
		return;
	if (by_own_tables(l) || by_neighbours(ic, l))
		return;
	if (!row && (is_same(l) || is_nothing(l) || by_names(l)))
		return;
	if (!row && !is_used(ic, l)) {
		import_verdict(l, VERDICT_LOST, "there is no such parameter here, and none of Postfix that is often used");
		return;
	}
	buf_init(&value, 64 * 1024);
	buf_adds(&value, "");
	import_verdict(l, translate_maps(span_str(l->value), &value) ? VERDICT_TRANSLATED : VERDICT_HONOURED,
	    row ? NULL : "a name of your own");
	import_out(l, l->name, buf_span(&value));
	buf_fini(&value);
}
