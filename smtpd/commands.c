/*
 * commands.c: the table of commands is the state machine of the dialogue: which
 * command when, with what, and what is answered otherwise. Reads one line of a
 * stranger.
 */
#include "smtpd.h"

#include <stdlib.h>

#include "base/log.h"
#include "milter.h"
#include "service/params.h"

#include "base/banned.h"

#define IN(state) (1u << (state))
#define ANYTIME (IN(ST_START) | IN(ST_HELLO) | IN(ST_MAIL) | IN(ST_RCPT) | IN(ST_BDAT))

enum need {
	ARG = 1 << 0,
	NO_ARG = 1 << 1,
	HELO_IF_ASKED = 1 << 2,		/* smtpd_helo_required */
	TLS_IF_ASKED = 1 << 3,		/* smtpd_tls_security_level = encrypt */
	LAST_IN_GROUP = 1 << 4,		/* RFC 2920 3.1: nothing may be sent behind it */
	JUNK = 1 << 5,			/* moves no mail: smtpd_junk_command_limit */
	ONLY_LMTP = 1 << 6,		/* of RFC 2033, */
	NEVER_LMTP = 1 << 7,		/* and not of it */
	NAME_SOON = 1 << 8,		/* waits a moment for the client's name */
	MILTERS = 1 << 9,		/* what is granted is shown to the milters */
};

struct smtp_command {
	const char *verb;
	struct reply (*handler)(struct session *s, struct span arg);
	unsigned in, needs;
	const char *out_of_order;	/* text of 503 */
	const char *syntax;		/* text of 501 */
};

static struct reply cmd_noop(struct session *s, struct span arg);
static struct reply cmd_quit(struct session *s, struct span arg);
static struct reply cmd_help(struct session *s, struct span arg);
static struct reply cmd_refused(struct session *s, struct span arg);

#define TRANSACTION (IN(ST_MAIL) | IN(ST_RCPT))

static const struct smtp_command commands[] = {
/*	  verb        handler       in states                     needs */
	{ "EHLO",     cmd_ehlo,     ANYTIME,                      ARG | LAST_IN_GROUP | JUNK | NEVER_LMTP,
	    "", "Syntax: EHLO hostname" },
	{ "LHLO",     cmd_ehlo,     ANYTIME,                      ARG | LAST_IN_GROUP | JUNK | ONLY_LMTP,
	    "", "Syntax: LHLO hostname" },
	{ "HELO",     cmd_helo,     ANYTIME,                      ARG | LAST_IN_GROUP | JUNK | NEVER_LMTP,
	    "", "Syntax: HELO hostname" },
	{ "STARTTLS", cmd_starttls, IN(ST_START) | IN(ST_HELLO),  NO_ARG,	/* what is behind it is thrown away */
	    "Error: MAIL transaction in progress", "Syntax: STARTTLS" },
	{ "AUTH",     cmd_auth,     IN(ST_HELLO),                 ARG | LAST_IN_GROUP,
	    "Error: AUTH is possible after EHLO and outside of a MAIL transaction", "Syntax: AUTH mechanism" },
	{ "MAIL",     cmd_mail,     IN(ST_START) | IN(ST_HELLO),  ARG | HELO_IF_ASKED | TLS_IF_ASKED | NAME_SOON | MILTERS,
	    "Error: nested MAIL command", "Syntax: MAIL FROM:<address>" },
	{ "RCPT",     cmd_rcpt,     TRANSACTION,                  ARG | TLS_IF_ASKED | MILTERS,
	    "Error: need MAIL command", "Syntax: RCPT TO:<address>" },
	{ "DATA",     cmd_data,     IN(ST_RCPT),                  NO_ARG | TLS_IF_ASKED | LAST_IN_GROUP,
	    "Error: need RCPT command", "Syntax: DATA" },
	{ "BDAT",     cmd_bdat,     ANYTIME,                      ARG | NEVER_LMTP,	/* looks at state and TLS itself: its chunk follows anyway */
	    "", "Syntax: BDAT size [LAST]" },
	{ "RSET",     cmd_rset,     ANYTIME,                      NO_ARG | JUNK,
	    "", "Syntax: RSET" },
	{ "NOOP",     cmd_noop,     ANYTIME,                      LAST_IN_GROUP | JUNK,
	    "", "" },
	{ "VRFY",     cmd_vrfy,     ANYTIME,                      ARG | TLS_IF_ASKED | LAST_IN_GROUP | JUNK,
	    "", "Syntax: VRFY address" },
	{ "HELP",     cmd_help,     ANYTIME,                      JUNK,
	    "", "" },
	{ "QUIT",     cmd_quit,     ANYTIME,                      NO_ARG,
	    "", "Syntax: QUIT" },
	{ "XCLIENT",  cmd_xclient,  IN(ST_START) | IN(ST_HELLO),  ARG | LAST_IN_GROUP,
	    "Error: MAIL transaction in progress", "Syntax: XCLIENT attribute=value..." },
	{ "XFORWARD", cmd_xforward, IN(ST_START) | IN(ST_HELLO),  ARG,
	    "Error: MAIL transaction in progress", "Syntax: XFORWARD attribute=value..." },
	{ "ETRN",     cmd_etrn,     IN(ST_START) | IN(ST_HELLO),  ARG | NEVER_LMTP | HELO_IF_ASKED | TLS_IF_ASKED | JUNK,
	    "Error: MAIL transaction in progress", "Syntax: ETRN domain" },
	{ "EXPN",     cmd_refused,  ANYTIME,                      JUNK,
	    "", "" },
};

_Static_assert(NELEMS(commands) <= SMTP_COMMANDS_MAX, "a session counts each command");

/* What no mail client ever says: other protocols, sent here by a browser or a scanner. */
static const char *const bogus[] = {
	"GET ", "POST ", "PUT ", "HEAD ", "CONNECT ", "OPTIONS ", "DELETE ", "PRI * ", "SSH-", "PROXY ",
};

bool
command_is_bogus(struct span input)
{
	char c;

	if (input.n == 0)
		return false;
	c = ascii_lower(input.p[0]);
	if ((c < 'a' || c > 'z') && c != '\r' && c != '\n' && c != ' ' && c != '\t')
		return true;
	for (size_t i = 0; i < NELEMS(bogus); i++)
		if (span_starts_nocase(input, bogus[i]))
			return true;
	return false;
}

/* ---- commands that need no file of their own ---- */

static bool
is_spoken(const struct smtp_command *c)
{
	return !(c->needs & (par.smtpd_lmtp ? NEVER_LMTP : ONLY_LMTP));
}

static struct reply
cmd_noop(struct session *s, struct span arg)
{
	(void)s;
	(void)arg;
	return reply_make(250, "2.0.0", "Ok");
}

static struct reply
cmd_quit(struct session *s, struct span arg)
{
	(void)s;
	(void)arg;
	return reply_close(221, "2.0.0", "Bye");
}

static struct reply
cmd_help(struct session *s, struct span arg)
{
	struct buf text;
	struct reply r;

	(void)s;
	(void)arg;
	buf_init(&text, REPLY_TEXT_MAX);
	buf_adds(&text, "Commands:");
	for (size_t i = 0; i < NELEMS(commands); i++)
		if (commands[i].handler != cmd_refused && commands[i].verb[0] != 'X' && is_spoken(&commands[i]))
			buf_addf(&text, " %s", commands[i].verb);
	r = reply_make(214, "2.0.0", "%s", buf_cstr(&text));
	buf_fini(&text);
	return r;
}

static struct reply
cmd_refused(struct session *s, struct span arg)
{
	(void)s;
	(void)arg;
	return reply_make(502, "5.5.1", "Error: command not implemented");
}

/* ---- one line ---- */

static const struct smtp_command *
find_command(struct span verb)
{
	for (size_t i = 0; i < NELEMS(commands); i++)
		if (span_is_nocase(verb, commands[i].verb) && is_spoken(&commands[i]))
			return &commands[i];
	return NULL;
}

/* What the row demands and the session does not have; code 0: nothing. */
static struct reply
check_needs(const struct session *s, const struct smtp_command *c, struct span arg)
{
	if (c->needs & TLS_IF_ASKED && !s->secure && strcmp(par.smtpd_tls_security_level, "encrypt") == 0)
		return reply_make(530, "5.7.0", "Must issue a STARTTLS command first");
	if (c->needs & HELO_IF_ASKED && s->state == ST_START && par.smtpd_helo_required)
		return reply_make(503, "5.5.1", "Error: send HELO/EHLO first");
	if (!(c->in & IN(s->state)))
		return reply_make(503, "5.5.1", "%s", c->out_of_order);
	if ((c->needs & ARG && arg.n == 0) || (c->needs & NO_ARG && arg.n > 0))
		return reply_make(501, "5.5.4", "%s", c->syntax);
	return reply_pending();
}

static bool
has_control(struct span line)
{
	for (size_t i = 0; i < line.n; i++)
		if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f)
			return true;
	return false;
}

static struct reply
run(struct session *s, const struct smtp_command *c, struct span arg)
{
	struct reply r = check_needs(s, c, arg);

	if (r.code != 0)
		return r;
	if (c->needs & JUNK && s->junk++ >= par.smtpd_junk_command_limit)
		s->errors++;
	r = c->needs & NAME_SOON && client_mail_waits(s) ? reply_wait() : c->handler(s, arg);
	if (r.code == REPLY_WAIT) {
		struct buf line;

		buf_init(&line, SMTP_AUTH_LINE_MAX + 32);
		buf_addf(&line, "%s ", c->verb);
		buf_addspan(&line, arg);
		free(s->again);
		s->again = x_spandup(buf_span(&line));
		buf_fini(&line);
	}
	return c->needs & MILTERS ? milter_command(s, arg, r) : r;
}

/* The handler alone: the line has been counted and checked, and nothing has been changed by it. */
void
command_again(struct session *s)
{
	char *line = s->again;
	struct span arg = span_str(line), verb;
	const struct smtp_command *c;
	struct reply r;

	s->again = NULL;
	(void)span_cut(&arg, ' ', &verb);
	c = find_command(verb);
	r = c->handler(s, arg);
	if (r.code == REPLY_WAIT)	/* it has more to wait for */
		s->again = line;
	else if (c->needs & MILTERS)
		r = milter_command(s, arg, r);
	if (r.code != REPLY_WAIT)
		free(line);
	session_answer(s, &r);
}

struct reply
command_ahead(const struct session *s)
{
	log_info(s->id, "improper command pipelining after %s from %s[%s]", s->last_verb, client_name(s), s->addr);
	return reply_close(554, "5.5.0", "Error: SMTP protocol synchronization");
}

struct reply
command_run(struct session *s, struct span line, bool more)
{
	const struct smtp_command *c;
	struct span verb, arg = span_trim_right(line);
	struct count *count = &s->unknown;

	if (!span_word(&arg, " \t", &verb))
		return reply_make(500, "5.5.2", "Error: bad syntax");
	arg = span_trim(arg.p ? arg : SPAN_NONE);
	c = find_command(verb);
	if (c)
		count = &s->count[c - commands];
	count->all++;
	s->asked = count;
	s->last_verb = c ? c->verb : "UNKNOWN";
	/* RFC 2920: nothing behind some commands, and nothing at all before EHLO has been answered. */
	if (more && par.smtpd_forbid_unauth_pipelining && (!s->esmtp || (c && c->needs & LAST_IN_GROUP)))
		return command_ahead(s);
	if (!c)
		return reply_make(500, "5.5.2", "Error: command not recognized");
	if (has_control(line))
		return reply_make(501, "5.5.2", "Error: a command has no control characters");
	return run(s, c, arg);
}

void
command_counts(const struct session *s, struct buf *out)
{
	uint32_t all = s->unknown.all, good = 0;

	for (size_t i = 0; i <= NELEMS(commands); i++) {
		const struct count *n = i < NELEMS(commands) ? &s->count[i] : &s->unknown;
		const char *verb = i < NELEMS(commands) ? commands[i].verb : "UNKNOWN";

		if (n->all == 0)
			continue;
		buf_addc(out, ' ');
		for (const char *p = verb; *p; p++)
			buf_addc(out, ascii_lower(*p));
		if (n->good == n->all)
			buf_addf(out, "=%u", n->all);
		else
			buf_addf(out, "=%u/%u", n->good, n->all);
		if (n != &s->unknown)
			all += n->all;
		good += n->good;
	}
	buf_addf(out, good == all ? " commands=%u" : " commands=%u/%u", good, all);
}
