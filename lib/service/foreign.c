/* foreign.c: the lines that a main.cf of Postfix most often has and ours may not: what to do with each. */
#include "service/foreign.h"

#include <string.h>

#include "base/buf.h"
#include "base/banned.h"

#define NOT_NEEDED "Postfix's; nothing is lost without it: remove the line"
#define NOT_THERE "Postfix's; Merpati cannot do this: remove the line if you can do without it"

/* A name that ends with * stands for all that begin so; the first row that fits counts. */
static const struct {
	const char *name, *advice;
} foreign[] = {
	{ "compatibility_level", NOT_NEEDED },
	{ "biff", NOT_NEEDED },
	{ "readme_directory", NOT_NEEDED },
	{ "html_directory", NOT_NEEDED },
	{ "manpage_directory", NOT_NEEDED },
	{ "sample_directory", NOT_NEEDED },
	{ "shlib_directory", NOT_NEEDED },
	{ "meta_directory", NOT_NEEDED },
	{ "sendmail_path", NOT_NEEDED },
	{ "newaliases_path", NOT_NEEDED },
	{ "mailq_path", NOT_NEEDED },
	{ "command_directory", NOT_NEEDED },
	{ "data_directory", NOT_NEEDED },
	{ "setgid_group", "no program of Merpati is set-gid: remove the line" },
	{ "mail_owner", "each daemon has its own user, see mail_owner_prefix: remove the line" },
	{ "alias_database", "newaliases makes the tables of alias_maps: remove the line" },
	{ "enable_long_queue_ids", "queue ids are long and never repeat: remove the line" },
	{ "proxy_read_maps", NOT_NEEDED },
	{ "queue_run_delay", "each message has its own time, see minimal_backoff_time: remove the line" },
	{ "syslog_*", "lines go to maillog_file: remove the line" },
	{ "debug*", "see log_level" },
	{ "smtpd_tls_CApath", "write smtpd_tls_CAfile = FILE instead, with all certificates in it" },
	{ "smtpd_use_tls", "write smtpd_tls_security_level = may instead" },
	{ "smtp_use_tls", "write smtp_tls_security_level = may instead" },
	{ "smtpd_enforce_tls", "write smtpd_tls_security_level = encrypt instead" },
	{ "smtpd_tls_session_cache_*", "tickets do this: remove the line" },
	{ "smtp_tls_session_cache_*", NOT_NEEDED },
	{ "smtpd_tls_dh*", NOT_NEEDED },
	{ "smtpd_tls_eecdh_grade", NOT_NEEDED },
	{ "smtpd_sasl_type", "auth is the one that is asked: remove the line" },
	{ "smtpd_sasl_path", "auth is the one that is asked: remove the line" },
	{ "smtpd_sasl_local_domain", "logins are whole addresses: remove the line" },
	{ "smtpd_sasl_security_options", NOT_NEEDED },
	{ "smtpd_sasl_tls_security_options", NOT_NEEDED },
	{ "smtpd_sasl_authenticated_header", NOT_THERE },
	{ "broken_sasl_auth_clients", NOT_NEEDED },
	{ "smtp_sasl_type", "libsasl2 is the one that is there: remove the line" },
	{ "smtp_sasl_path", "libsasl2 is the one that is there: remove the line" },
	{ "smtp_sasl_auth_cache_*", NOT_NEEDED },
	{ "virtual_transport", "local delivers to virtual_mailbox_domains: remove the line" },
	{ "mailbox_transport", "local delivers: remove the line" },
	{ "local_transport", "local delivers: remove the line" },
	{ "mailbox_command", "there are no commands in deliveries, see home_mailbox: remove the line" },
	{ "virtual_uid_maps", "all virtual mail belongs to virtual_mail_user: remove the line" },
	{ "virtual_gid_maps", "all virtual mail belongs to virtual_mail_user: remove the line" },
	{ "virtual_minimum_uid", "all virtual mail belongs to virtual_mail_user: remove the line" },
	{ "dovecot_destination_recipient_limit", "local delivers: remove the line" },
	{ "mailbox_size_limit", "mailboxes have no limit, messages have message_size_limit: remove the line" },
	{ "virtual_mailbox_limit", "mailboxes have no limit, messages have message_size_limit: remove the line" },
	{ "milter_*", "Merpati speaks to no milter: remove the line" },
	{ "smtpd_milters", "Merpati speaks to no milter: remove the line" },
	{ "non_smtpd_milters", "Merpati speaks to no milter: remove the line" },
	{ "content_filter", NOT_THERE },
	{ "receive_override_options", NOT_THERE },
	{ "smtp_header_checks", NOT_THERE },
	{ "postscreen_*", NOT_THERE },
	{ "canonical_*", "Merpati rewrites no addresses: remove the line if you can do without it" },
	{ "sender_canonical_*", "Merpati rewrites no addresses: remove the line if you can do without it" },
	{ "recipient_canonical_*", "Merpati rewrites no addresses: remove the line if you can do without it" },
	{ "smtp_generic_maps", "Merpati rewrites no addresses: remove the line if you can do without it" },
	{ "masquerade_*", "Merpati rewrites no addresses: remove the line if you can do without it" },
	{ "smtp_dns_support_level", NOT_THERE },
};

const char *
foreign_param_advice(struct span name)
{
	for (size_t i = 0; i < NELEMS(foreign); i++) {
		size_t n = strlen(foreign[i].name) - 1;
		bool all = foreign[i].name[n] == '*';

		if (all ? name.n >= n && memcmp(name.p, foreign[i].name, n) == 0 : span_is(name, foreign[i].name))
			return foreign[i].advice;
	}
	return NULL;
}
