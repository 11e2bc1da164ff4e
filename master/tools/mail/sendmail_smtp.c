/* sendmail_smtp.c: sendmail -bs: a local program speaks SMTP over a pipe. It is the user himself: nothing here guards anything. */
#include <errno.h>
#include <stdio.h>

#include "mail/address.h"
#include "mail/envelope.h"
#include "sendmail.h"
#include "tool.h"
#include "base/banned.h"

enum { HELO = 1 << 0, MAIL = 1 << 1, RCPT = 1 << 2 };	/* what has been given */

struct dialogue {
	struct sendmail *sm;
	int state;
	bool quit;
};

static void
say(const char *line)
{
	printf("%s\r\n", line);
	fflush(stdout);
}

static void
cmd_helo(struct dialogue *d, struct span arg)
{
	(void)arg;
	submit_abort(&d->sm->submit);
	d->state = HELO;
	printf("250 %s\r\n", par.myhostname);
}

static void
cmd_ehlo(struct dialogue *d, struct span arg)
{
	(void)arg;
	submit_abort(&d->sm->submit);
	d->state = HELO;
	printf("250-%s\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SIZE %llu\r\n250 SMTPUTF8\r\n",
	    par.myhostname, (unsigned long long)par.message_size_limit);
}

/* "FROM:<a>" behind MAIL, "TO:<a>" behind RCPT; parameters are known to be harmless here and are not looked at */
static bool
take_path(struct span arg, const char *keyword, unsigned flags, struct buf *out)
{
	struct span rest;

	if (!span_starts_nocase(arg, keyword)) {
		say("501 5.5.4 Syntax: MAIL FROM:<address> or RCPT TO:<address>");
		return false;
	}
	arg = span_trim(span_skip(arg, strlen(keyword)));
	if (address_parse_path(arg, flags | ADDRESS_UTF8 | ADDRESS_BARE, out, &rest) == ADDRESS_OK && !out->over)
		return true;
	say("501 5.1.7 Bad address syntax");
	return false;
}

static void
cmd_mail(struct dialogue *d, struct span arg)
{
	struct buf path, err;

	buf_init(&path, ADDRESS_PATH_MAX);
	buf_init(&err, 1000);
	if (take_path(arg, "FROM:", ADDRESS_NULL, &path)) {
		if (submit_sender(&d->sm->submit, buf_span(&path), &err)) {
			d->state = HELO | MAIL;
			say("250 2.1.0 Ok");
		} else {
			say("501 5.1.7 Bad sender address syntax");
		}
	}
	buf_fini(&path);
	buf_fini(&err);
}

static void
cmd_rcpt(struct dialogue *d, struct span arg)
{
	struct buf path, err;

	buf_init(&path, ADDRESS_PATH_MAX);
	buf_init(&err, 1000);
	if (take_path(arg, "TO:", 0, &path)) {
		if (submit_rcpt(&d->sm->submit, buf_span(&path), &err)) {
			d->state |= RCPT;
			say("250 2.1.5 Ok");
		} else {
			say("501 5.1.3 Bad recipient address syntax");
		}
	}
	buf_fini(&path);
	buf_fini(&err);
}

static void
cmd_data(struct dialogue *d, struct span arg)
{
	struct submit *s = &d->sm->submit;
	struct submit_result r;
	struct piece p;
	bool done = false;

	(void)arg;
	if (!submit_connect(s)) {
		say("451 4.3.0 The mail system is not running");
		return;
	}
	say("354 End data with <CR><LF>.<CR><LF>");
	while (!done && input_next(&d->sm->input, &p)) {
		struct span line = p.text;

		if (p.starts && p.ends && (span_is(line, ".\r") || span_is(line, "."))) {
			done = true;
			break;
		}
		if (p.starts && line.n && line.p[0] == '.')
			line = span_skip(line, 1);
		submit_text(s, span_of(line.p, line.n + p.ends));
	}
	d->state = HELO;
	if (!done) {			/* the pipe broke: not a message */
		submit_abort(s);
		d->quit = true;
		return;
	}
	s->flags = MAIL_SUBMISSION;
	r = submit_end(s);
	printf("%u %s %s\r\n", r.code, r.dsn, r.text);
}

static void
cmd_rset(struct dialogue *d, struct span arg)
{
	(void)arg;
	submit_abort(&d->sm->submit);
	d->state &= HELO;
	say("250 2.0.0 Ok");
}

static void
cmd_noop(struct dialogue *d, struct span arg)
{
	(void)d;
	(void)arg;
	say("250 2.0.0 Ok");
}

static void
cmd_vrfy(struct dialogue *d, struct span arg)
{
	(void)d;
	(void)arg;
	say("252 2.0.0 Send some mail, it will be tried");
}

static void
cmd_quit(struct dialogue *d, struct span arg)
{
	(void)arg;
	d->quit = true;
	say("221 2.0.0 Bye");
}

static const struct {
	const char *verb;
	void (*run)(struct dialogue *d, struct span arg);
	int needs, not_after;
} commands[] = {
	{ "HELO", cmd_helo, 0, 0 },
	{ "EHLO", cmd_ehlo, 0, 0 },
	{ "MAIL", cmd_mail, 0, MAIL },
	{ "RCPT", cmd_rcpt, MAIL, 0 },
	{ "DATA", cmd_data, MAIL | RCPT, 0 },
	{ "RSET", cmd_rset, 0, 0 },
	{ "NOOP", cmd_noop, 0, 0 },
	{ "VRFY", cmd_vrfy, 0, 0 },
	{ "QUIT", cmd_quit, 0, 0 },
};

static void
run_line(struct dialogue *d, struct span line)
{
	struct span verb = SPAN_NONE, rest = line;

	span_word(&rest, " \t", &verb);
	for (size_t i = 0; i < NELEMS(commands); i++) {
		if (!span_is_nocase(verb, commands[i].verb))
			continue;
		if ((d->state & commands[i].needs) != commands[i].needs || (d->state & commands[i].not_after)) {
			say("503 5.5.1 Error: that command does not come now");
			return;
		}
		commands[i].run(d, span_trim(rest));
		fflush(stdout);
		return;
	}
	say("502 5.5.2 Error: command not recognized");
}

int
sendmail_smtp(struct sendmail *sm)
{
	struct dialogue d = { .sm = sm };
	struct piece p;

	printf("220 %s ESMTP %s\r\n", par.myhostname, par.mail_name);
	fflush(stdout);
	sm->submit.flags = MAIL_SUBMISSION;
	while (!d.quit && input_next(&sm->input, &p)) {
		if (p.starts && p.ends)
			run_line(&d, span_trim(p.text));
		else if (p.starts)
			say("500 5.5.2 Error: line too long");
	}
	submit_abort(&sm->submit);
	return 0;
}
