/* sample.c: main.cf, master.cf, users and aliases as they are at birth. */
#include "sample.h"

#include <stdio.h>

#include "service/params.h"
#include "base/banned.h"

/* ---- main.cf ---- */

/* "text" as comment lines of at most 78 columns */
static void
add_comment(struct buf *out, const char *text)
{
	struct span rest = span_str(text), word;
	size_t column = 0;

	while (span_word(&rest, " ", &word)) {
		if (column == 0 || column + 1 + word.n > 78) {
			buf_adds(out, column ? "\n#" : "#");
			column = 1;
		}
		buf_addc(out, ' ');
		buf_addspan(out, word);
		column += 1 + word.n;
	}
	buf_addc(out, '\n');
}

/* Where things are on a host that serves by this file; an instance of `merpati init` has them beside conf/. */
static const struct {
	const char *name, *value;
} host_places[] = {
	{ "queue_directory", "/var/spool/merpati" },
	{ "run_directory", "/run/merpati" },
	{ "virtual_mailbox_base", "/var/vmail" },
	{ "maillog_file", "" },		/* standard error: systemd's journal */
};

static const char *
host_place(const char *name)
{
	for (size_t i = 0; i < NELEMS(host_places); i++)
		if (strcmp(name, host_places[i].name) == 0)
			return host_places[i].value;
	return NULL;
}

static bool
has_range(const struct param_row *row)
{
	return row->max[0] && row->type != PT_LIST;
}

void
sample_main_cf(struct buf *out)
{
	buf_adds(out,
	    "# main.cf: the settings of Merpati, as \"name = value\"; a line that begins with\n"
	    "# a blank continues the one before. Every parameter is shown with its default;\n"
	    "# take the # of a line away to change it, then run: merpati reload\n");
	for (size_t i = 0; i < param_count; i++) {
		const struct param_row *row = &param_rows[i];

		if (strcmp(row->name, "config_directory") == 0)
			continue;
		buf_addc(out, '\n');
		add_comment(out, row->text);
		if (row->type == PT_ENUM)
			buf_addf(out, "# One of: %s\n", row->min);
		else if (has_range(row))
			buf_addf(out, "# From %s to %s\n", row->min, row->max);
		buf_addf(out, "#%s =%s%s\n", row->name, row->dflt[0] ? " " : "", row->dflt);
		if (host_place(row->name))
			buf_addf(out, "%s =%s%s\n", row->name, host_place(row->name)[0] ? " " : "", host_place(row->name));
	}
}

void
sample_instance_main_cf(struct buf *out, const char *domain)
{
	buf_addf(out,
	    "# The settings of this instance. postconf -d shows every parameter with its\n"
	    "# default, postconf -n what is set here; man 5 main.cf explains them all.\n"
	    "# After a change: merpati reload (it refuses mistakes and names them).\n"
	    "\n"
	    "myhostname = mail.%s\n"
	    "mydomain = %s\n"
	    "\n"
	    "# Users of this system, with their aliases.\n"
	    "mydestination = $myhostname, localhost.$mydomain, localhost\n"
	    "\n"
	    "# Users of the table conf/users: merpati user add NAME@%s\n"
	    "# More domains: merpati domain add DOMAIN\n"
	    "virtual_mailbox_domains = %s, hash:$config_directory/domains\n"
	    "\n"
	    "# Addresses that stand for others: merpati alias add ADDRESS TARGET...\n"
	    "virtual_alias_maps = hash:$config_directory/virtual\n"
	    "\n"
	    "# Only this host is served. To serve others: inet_interfaces = all\n"
	    "inet_interfaces = loopback-only\n"
	    "\n"
	    "# Who may send without a login.\n"
	    "mynetworks = 127.0.0.0/8, [::1]/128\n",
	    domain, domain, domain, domain);
}

/* ---- master.cf ---- */

static const struct {
	unsigned port;			/* 0: `name`, a service that other daemons ask */
	const char *name, *maxproc, *command, *comment;
	const char *options[5];
} services[] = {
	{ 25, NULL, "1-4", "smtpd", "SMTP", { NULL } },
	{ 587, NULL, "1-4", "smtpd", "submission: our own users, after STARTTLS and a login", {
	    "smtpd_submission=yes", "smtpd_tls_security_level=encrypt", "smtpd_sasl_auth_enable=yes",
	    "smtpd_client_restrictions=permit_sasl_authenticated,reject", NULL } },
	{ 465, NULL, "1-4", "smtpd", "submissions: the same with TLS from the first byte", {
	    "smtpd_submission=yes", "smtpd_tls_wrappermode=yes", "smtpd_sasl_auth_enable=yes",
	    "smtpd_client_restrictions=permit_sasl_authenticated,reject", NULL } },
	{ 110, NULL, "1-4", "pop3d", "POP3", { NULL } },
	{ 995, NULL, "1-4", "pop3d", "POP3 with TLS from the first byte", { "mailbox_tls_wrappermode=yes", NULL } },
	{ 143, NULL, "1-4", "imapd", "IMAP", { NULL } },
	{ 993, NULL, "1-4", "imapd", "IMAP with TLS from the first byte", { "mailbox_tls_wrappermode=yes", NULL } },
	{ 0, "keyd", "1", "keyd", "private keys", { NULL } },
	{ 0, "auth", "-", "auth", "passwords", { NULL } },
	{ 0, "intake", "-", "intake", "new mail into the queue", { NULL } },
	{ 0, "submit", "-", "submit", "the same for sendmail(1), apart, so that local users cannot use up the others", { NULL } },
	{ 0, "qmgr", "1", "qmgr", "the queue", { NULL } },
	{ 0, "smtp", "-", "smtp", "mail to other hosts", { NULL } },
	{ 0, "local", "-", "local", "mail into mailboxes", { NULL } },
	{ 0, "virtual", "-", "virtual", "mail that intake writes into mailboxes of virtual users by itself", { NULL } },
	{ 0, "pipe", "-", "pipe", "programs of aliases and .forward, where allow_mail_to_commands has them", { NULL } },
	{ 0, "bounce", "-", "bounce", "reports", { NULL } },
	{ 0, "imap", "-", "imap", "one for each IMAP login", { NULL } },
	{ 0, "pop3", "-", "pop3", "one for each POP3 login", { NULL } },
};

void
sample_master_cf(struct buf *out, unsigned base_port)
{
	buf_adds(out,
	    "# The services. A service of type inet listens on PORT (at the addresses of\n"
	    "# inet_interfaces) or HOST:PORT; maxproc is MAX, MIN-MAX or - . Options of a service\n"
	    "# override main.cf; lines that begin with a blank continue the one before.\n"
	    "#\n"
	    "# service type  private unpriv  chroot  wakeup  maxproc command + options\n");
	if (base_port)
		buf_addf(out, "# base-port %u\n", base_port);
	for (size_t i = 0; i < NELEMS(services); i++) {
		char port[16];

		snprintf(port, sizeof(port), "%u", base_port + services[i].port);
		buf_addf(out, "# %s\n", services[i].comment);
		buf_addf(out, "%-9s %s  %s       -       y       -       %-7s %s\n",
		    services[i].port ? port : services[i].name, services[i].port ? "inet" : "unix",
		    services[i].port ? "n" : "y", services[i].maxproc, services[i].command);
		for (size_t k = 0; services[i].options[k]; k++)
			buf_addf(out, "  -o %s\n", services[i].options[k]);
	}
}

/* ---- users and aliases ---- */

void
sample_users(struct buf *out)
{
	buf_adds(out,
	    "# The users: address:verifier:uid:gid:home:\n"
	    "# Change this table by: merpati user add|del|passwd|list|import\n"
	    "# uid and gid stay empty (the owner of virtual mail); home empty: DOMAIN/USER below\n"
	    "# virtual_mailbox_base; \"!\" in front of the verifier: no login.\n");
}

void
sample_aliases(struct buf *out)
{
	buf_adds(out,
	    "# Aliases of the users of this system: name: address, address ...\n"
	    "# After a change: newaliases\n"
	    "mailer-daemon: postmaster\n"
	    "postmaster: root\n"
	    "hostmaster: root\n"
	    "webmaster: root\n"
	    "abuse: root\n"
	    "# Nothing runs as root to deliver mail: name who reads root's, or it waits in the queue.\n"
	    "#root: you@example.com\n");
}

void
sample_domains(struct buf *out)
{
	buf_adds(out,
	    "# Domains of virtual users, beside those of virtual_mailbox_domains in main.cf.\n"
	    "# Change this table by: merpati domain add|del|show|list\n");
}

void
sample_virtual(struct buf *out)
{
	buf_adds(out,
	    "# Addresses that stand for other addresses: ADDRESS target, target\n"
	    "# Change this table by: merpati alias add|set|del|show|list|import|export\n");
}

/* ---- main.cf(5) ---- */

static void
add_mdoc(struct buf *out, const char *s)
{
	if (*s == '.' || *s == '\'')
		buf_adds(out, "\\&");
	for (; *s; s++)
		if (*s == '\\')
			buf_adds(out, "\\e");
		else if (*s == '-')
			buf_adds(out, "\\-");
		else
			buf_addc(out, *s);
}

static const char *const type_words[] = {
	[PT_STR] = "text", [PT_LIST] = "list", [PT_DOMAINS] = "list", [PT_MAPS] = "tables", [PT_RULES] = "restrictions",
	[PT_NETS] = "networks", [PT_TLS] = "versions of TLS", [PT_MILTERS] = "milters", [PT_FEEDBACK] = "by how much", [PT_FILE] = "file", [PT_ENUM] = "word",
	[PT_BOOL] = "yes or no", [PT_INT] = "number", [PT_TIME] = "time", [PT_SIZE] = "size",
};

static void
add_man_row(struct buf *out, const struct param_row *row)
{
	buf_addf(out, ".It Ic %s Pq %s; default: ", row->name, type_words[row->type]);
	buf_adds(out, row->dflt[0] ? "" : "empty");
	add_mdoc(out, row->dflt);
	buf_adds(out, "\n");
	add_mdoc(out, row->text);
	if (row->type == PT_ENUM)
		buf_addf(out, "\nOne of: %s.", row->min);
	else if (has_range(row))
		buf_addf(out, "\nFrom %s to %s.", row->min, row->max);
	buf_addc(out, '\n');
}

void
sample_man(struct buf *out)
{
	buf_adds(out,
	    ".Dd November 21, 2026\n.Dt MAIN.CF 5\n.Os Merpati\n.Sh NAME\n.Nm main.cf\n"
	    ".Nd settings of the mail system\n.Sh DESCRIPTION\n"
	    "Each setting is a line\n.Dl name = value\n"
	    "A line that begins with a blank continues the one before; lines that begin with # are comments.\n"
	    "In a value $name and ${name} stand for the value of another setting, ${name?text} for text when\n"
	    "it is not empty, ${name:text} for text when it is.\n"
	    "A name that is not in this page is a mistake, unless another setting refers to it.\n"
	    ".Xr merpati 1\n.Cm check\ntells all mistakes at once.\n.Pp\n"
	    "Times are numbers with s, m, h, d or w behind them (seconds without); sizes may have K, M or G.\n"
	    "Tables are TYPE:TABLE, the types hash and cdb (a file made by\n.Xr postmap 1 ) ,\n"
	    "inline (inline:{ {key = value}, {key = value} }) and static (static:value).\n"
	    ".Sh PARAMETERS\n.Bl -tag -width 4n\n");
	for (size_t i = 0; i < param_count; i++)
		add_man_row(out, &param_rows[i]);
	buf_adds(out, ".El\n.Sh SEE ALSO\n.Xr merpati 1 ,\n.Xr postconf 1 ,\n.Xr postmap 1\n");
}
