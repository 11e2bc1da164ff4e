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
	enum { SAFE, LOST } without;	/* what a system is without it */
} foreign[] = {
	{ "compatibility_level", NOT_NEEDED, SAFE },
	{ "biff", NOT_NEEDED, SAFE },
	{ "readme_directory", NOT_NEEDED, SAFE },
	{ "html_directory", NOT_NEEDED, SAFE },
	{ "manpage_directory", NOT_NEEDED, SAFE },
	{ "sample_directory", NOT_NEEDED, SAFE },
	{ "shlib_directory", NOT_NEEDED, SAFE },
	{ "meta_directory", NOT_NEEDED, SAFE },
	{ "sendmail_path", NOT_NEEDED, SAFE },
	{ "newaliases_path", NOT_NEEDED, SAFE },
	{ "mailq_path", NOT_NEEDED, SAFE },
	{ "command_directory", NOT_NEEDED, SAFE },
	{ "data_directory", NOT_NEEDED, SAFE },
	{ "setgid_group", "no program of Merpati is set-gid: remove the line", SAFE },
	{ "mail_owner", "each daemon has its own user, see mail_owner_prefix: remove the line", SAFE },
	{ "alias_database", "newaliases makes the tables of alias_maps: remove the line", SAFE },
	{ "enable_long_queue_ids", "queue ids are long and never repeat: remove the line", SAFE },
	{ "proxy_read_maps", NOT_NEEDED, SAFE },
	{ "queue_run_delay", "each message has its own time, see minimal_backoff_time: remove the line", SAFE },
	{ "syslog_*", "lines go to maillog_file: remove the line", SAFE },
	{ "debug*", "see log_level", LOST },
	{ "smtpd_tls_CApath", "write smtpd_tls_CAfile = FILE instead, with all certificates in it", LOST },
	{ "smtpd_use_tls", "write smtpd_tls_security_level = may instead", SAFE },
	{ "smtp_use_tls", "write smtp_tls_security_level = may instead", SAFE },
	{ "smtpd_enforce_tls", "write smtpd_tls_security_level = encrypt instead", SAFE },
	{ "smtpd_tls_session_cache_*", "tickets do this: remove the line", SAFE },
	{ "smtp_tls_session_cache_*", NOT_NEEDED, SAFE },
	{ "smtpd_tls_dh*", NOT_NEEDED, SAFE },
	{ "smtpd_tls_eecdh_grade", NOT_NEEDED, SAFE },
	{ "smtpd_sasl_type", "auth is the one that is asked: remove the line", SAFE },
	{ "smtpd_sasl_path", "auth is the one that is asked: remove the line", SAFE },
	{ "smtpd_sasl_local_domain", "logins are whole addresses: remove the line", LOST },
	{ "smtpd_sasl_security_options", NOT_NEEDED, SAFE },
	{ "smtpd_sasl_tls_security_options", NOT_NEEDED, SAFE },
	{ "smtpd_sasl_authenticated_header", NOT_THERE, LOST },
	{ "broken_sasl_auth_clients", NOT_NEEDED, SAFE },
	{ "smtp_sasl_type", "libsasl2 is the one that is there: remove the line", SAFE },
	{ "smtp_sasl_path", "libsasl2 is the one that is there: remove the line", SAFE },
	{ "smtp_sasl_auth_cache_*", NOT_NEEDED, SAFE },
	{ "local_transport", "local delivers: remove the line", LOST },
	{ "mailbox_command", "there are no commands in deliveries, see home_mailbox: remove the line", LOST },
	{ "dovecot_destination_recipient_limit", "local delivers: remove the line", SAFE },
	{ "virtual_mailbox_limit", "a Maildir's file is one message, see message_size_limit; \"merpati quota set @DOMAIN SIZE\" limits all that is in a mailbox: remove the line", SAFE },
	{ "milter_header_checks", NOT_THERE, LOST },
	{ "milter_unknown_command_macros", "milters hear of no unknown commands: remove the line", LOST },
	{ "non_smtpd_milters", "milters see what comes by SMTP (smtpd_milters), not what sendmail(1) hands over: remove the line", LOST },
	{ "content_filter", NOT_THERE, LOST },
	{ "receive_override_options", NOT_THERE, LOST },
	{ "smtp_header_checks", NOT_THERE, LOST },
	{ "postscreen_*", NOT_THERE, LOST },
	{ "smtp_dns_support_level", NOT_THERE, LOST },
};

const char *
foreign_param(struct span name, bool *lost)
{
	for (size_t i = 0; i < NELEMS(foreign); i++) {
		size_t n = strlen(foreign[i].name) - 1;
		bool all = foreign[i].name[n] == '*';

		if (all ? name.n >= n && memcmp(name.p, foreign[i].name, n) == 0 : span_is(name, foreign[i].name)) {
			*lost = foreign[i].without == LOST;
			return foreign[i].advice;
		}
	}
	return NULL;
}

const char *
foreign_param_advice(struct span name)
{
	bool lost;

	return foreign_param(name, &lost);
}
