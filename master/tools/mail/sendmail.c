/*
 * sendmail.c: sendmail(1): a message from standard input to intake, as the
 * user who runs it. Any local user, any surroundings: it has no rights of its own.
 */
#include "sendmail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mail.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "mail/queuefile.h"
#include "queue.h"
#include "tool.h"
#include "base/banned.h"

struct options {
	const char *confdir, *sender;
	char mode;			/* of -b */
	bool flush;			/* -q */
	struct span id, site;		/* of -q, or empty */
};

int
sendmail_exit_code(const struct submit_result *r)
{
	static const struct {
		unsigned code;
		int exit;
	} special[] = { { 250, 0 }, { 501, EX_DATAERR }, { 550, EX_UNAVAILABLE }, { 552, EX_DATAERR }, { 554, EX_UNAVAILABLE } };

	for (size_t i = 0; i < NELEMS(special); i++)
		if (r->code == special[i].code)
			return special[i].exit;
	return r->code < 500 ? EX_TEMPFAIL : EX_UNAVAILABLE;
}

static int NORETURN
refuse(const char *what)
{
	tool_fail(EX_USAGE, "%s", what);
}

/* RFC 3461 4.1: NEVER alone, or some of the others */
static void
take_notify(struct sendmail *sm, const char *arg)
{
	static const char *const words[] = { "SUCCESS", "FAILURE", "DELAY" };
	struct span rest = span_str(arg), word;

	buf_reset(&sm->submit.notify);
	if (span_is_nocase(rest, "never")) {
		buf_adds(&sm->submit.notify, "NEVER");
		return;
	}
	while (span_word(&rest, ",", &word)) {
		size_t i = 0;

		while (i < NELEMS(words) && !span_is_nocase(word, words[i]))
			i++;
		if (i == NELEMS(words))
			refuse("-N wants never, or a list of success, failure, delay");
		if (sm->submit.notify.len)
			buf_addc(&sm->submit.notify, ',');
		buf_adds(&sm->submit.notify, words[i]);
	}
}

static void
take_return(struct sendmail *sm, const char *arg)
{
	if (span_is_nocase(span_str(arg), "full"))
		sm->submit.flags |= MAIL_RET_FULL;
	else if (span_is_nocase(span_str(arg), "hdrs"))
		sm->submit.flags |= MAIL_RET_HDRS;
	else
		refuse("-R wants full or hdrs");
}

static void
take_name(struct sendmail *sm, const char *arg)
{
	if (strpbrk(arg, "\"\\\r\n"))
		refuse("-F: a name has no quotes, backslashes or line ends");
	sm->full_name = arg;
}

static void
take_o(struct sendmail *sm, const char *arg)
{
	if (arg[0] == 'i')
		sm->dots = false;
	/* the other -oX choose among ways of delivery that are one here */
}

/* -qI ID, -qR SITE or -qS SITE: that mail only; -q and -qTIME: all, now (there is always a queue manager running) */
static void
take_q(struct options *o, const char *arg)
{
	o->flush = true;
	if (!arg || !*arg || (*arg >= '0' && *arg <= '9'))
		return;
	if (!strchr("IRS", *arg) || !arg[1])
		refuse("-q wants nothing, I and a queue id, or R and a destination");
	if (*arg == 'I' && !queue_id_valid(span_str(arg + 1)))
		refuse("-qI wants a queue id");
	*(*arg == 'I' ? &o->id : &o->site) = span_str(arg + 1);
}

static void
parse_options(struct sendmail *sm, struct options *o, int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "+A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:q::r:tvx")) != -1) {
		switch (opt) {
		case 'b': o->mode = optarg[0]; break;
		case 'C': o->confdir = optarg; break;
		case 'F': take_name(sm, optarg); break;
		case 'f':
		case 'r': o->sender = optarg; break;
		case 'I': o->mode = 'i'; break;
		case 'i': sm->dots = false; break;
		case 'N': take_notify(sm, optarg); break;
		case 'o': take_o(sm, optarg); break;
		case 'q': take_q(o, optarg); break;
		case 'R': take_return(sm, optarg); break;
		case 't': sm->rcpts_from_header = true; break;
		case 'V': buf_reset(&sm->submit.envid); buf_adds(&sm->submit.envid, optarg); break;
		case '?': mail_usage(); break;
		default: break;		/* Sendmail's own, without a meaning here */
		}
	}
	if (sm->submit.envid.over || !span_printable(buf_span(&sm->submit.envid)))
		refuse("-V wants at most 100 printable characters");
}

/* Recipients of the command line; each argument may be a list, as in a header. */
static void
add_args(struct sendmail *sm, int argc, char **argv)
{
	struct buf err, plain;

	buf_init(&err, 1000);
	buf_init(&plain, ADDRESS_PATH_MAX);
	for (int i = 0; i < argc; i++) {
		struct address_list list;
		struct address_item item;
		unsigned before = sm->submit.nrcpt;

		if (argv[i][0] == '-')
			tool_fail(EX_USAGE, "\"%s\": a recipient must not begin with \"-\"", argv[i]);
		address_list_begin(&list, span_str(argv[i]));
		while (address_list_next(&list, &item)) {
			if (item.kind != ADDRESS_MAILBOX)
				continue;
			buf_reset(&plain);
			address_quote(item.local, &plain);
			if (item.domain.n) {
				buf_addc(&plain, '@');
				buf_addspan(&plain, item.domain);
			}
			if (!submit_rcpt(&sm->submit, buf_span(&plain), &err))
				tool_fail(EX_USAGE, "%s", err.p);
		}
		address_list_fini(&list);
		if (sm->submit.nrcpt == before)
			tool_fail(EX_USAGE, "\"%s\" is not an address", argv[i]);
	}
	buf_fini(&err);
	buf_fini(&plain);
}

/* The body. False when reading failed: what came so far is not the message. */
static bool
send_body(struct sendmail *sm)
{
	struct piece p;

	while (input_next(&sm->input, &p)) {
		if (sm->dots && p.starts && p.ends && span_is(p.text, "."))
			return true;
		submit_text(&sm->submit, span_of(p.text.p, p.text.n + p.ends));
	}
	return !sm->input.failed;
}

static int
send_message(struct sendmail *sm, const struct options *o, int argc, char **argv)
{
	struct submit_result r;
	struct buf err;
	int code;

	buf_init(&err, 1000);
	if (!submit_sender(&sm->submit, span_str(o->sender ? o->sender : tool_user_name()), &err))
		tool_fail(EX_USAGE, "sender %s", err.p);
	buf_fini(&err);
	add_args(sm, argc, argv);
	if (sm->submit.nrcpt == 0 && !sm->rcpts_from_header)
		refuse("no recipients: name them, or -t to take them from the header");
	if (!submit_connect(&sm->submit))
		tool_fail(EX_TEMPFAIL, "the mail was not sent: the mail system is not running (%s)", strerror(errno));
	sm->submit.flags |= MAIL_SUBMISSION;
	if (!sendmail_header(sm, &code)) {
		submit_abort(&sm->submit);
		return code;
	}
	if (!send_body(sm)) {
		tool_complain("standard input: %s; nothing was sent", strerror(errno));
		submit_abort(&sm->submit);
		return EX_IOERR;
	}
	r = submit_end(&sm->submit);
	code = sendmail_exit_code(&r);
	if (code)
		tool_complain("the mail was not sent: %u %s %s", r.code, r.dsn, r.text);
	return code;
}

int
sendmail_main(int argc, char **argv)
{
	static struct sendmail sm;
	struct options o = { .mode = 'm' };
	int code;

	sm.dots = true;
	submit_init(&sm.submit);
	parse_options(&sm, &o, argc, argv);
	if (o.mode == 'v')
		refuse("-bv: no mail is sent to find out where an address leads: merpati explain ADDRESS tells");
	if (!strchr("mspi", o.mode))
		refuse("-b: only m (send), s (SMTP), p (list the queue) and i (aliases); merpati start starts the mail system");
	if (o.mode == 'i') {
		optind = 1;
		return newaliases_main(o.confdir ? 3 : 1, (char *[]){ argv[0], (char[]){ "-c" },
		    (char *)(uintptr_t)o.confdir, NULL });
	}
	tool_settings(tool_confdir(o.confdir));
	if (o.mode == 'p')
		return queue_print(false);
	if (o.flush)
		return queue_flush(o.id, o.site);
	if (o.mode == 's')
		code = sendmail_smtp(&sm);
	else
		code = send_message(&sm, &o, argc - optind, argv + optind);
	submit_fini(&sm.submit);
	return code;
}
