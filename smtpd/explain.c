/*
 * explain.c: for merpati explain: a session like any other, whose client is made up by the operator and speaks through a socket
 * pair. Words, tables and replies are told as they come. It ends before DATA: nothing is sent.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/die.h"
#include "base/fdio.h"
#include "base/map.h"
#include "policy.h"
#include "service/message.h"
#include "service/params.h"
#include "smtpd.h"

#include "base/banned.h"

#define REPLY_MAX 16384
#define COMMAND_MAX 2048

struct asking {
	int link;
	struct span helo, sender, rcpt;		/* of the question, which stays */
	struct watch watch;			/* the client's end */
	struct buf in, command;
	unsigned step;
};

static void
tell(int link, enum msg_kind kind, const void *m)
{
	if (!msg_send(link, kind, m))
		die_errno("cannot tell what is found");
}

static void
tell_look(void *ctx, const struct map_look *l)
{
	struct asking *a = ctx;
	struct msg_EXPLAIN_LOOK m = { .label = span_str(l->label), .type = span_str(l->type), .path = span_str(l->path ? l->path : ""),
		.line = l->line, .answer = l->answer, .key = l->key, .value = l->value };

	tell(a->link, MSG_EXPLAIN_LOOK, &m);
}

static void
tell_word(void *ctx, const struct policy_step *s)
{
	struct asking *a = ctx;
	struct msg_EXPLAIN_WORD m = { .list = span_str(s->list), .word = span_str(s->word), .arg = span_str(s->arg),
		.verdict = span_str(s->verdict), .reply = span_str(s->reply) };

	tell(a->link, MSG_EXPLAIN_WORD, &m);
}

/* ---- the client ---- */

static bool
is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 128)
			return false;
	return true;
}

/* What it says next; false: it has said all. */
static bool
next_command(struct asking *a)
{
	static const char *const hello[2] = { "EHLO", "LHLO" };
	bool utf8 = !is_ascii(a->sender) || !is_ascii(a->rcpt);

	buf_reset(&a->command);
	switch (a->step++) {
	case 0:
		buf_addf(&a->command, "%s %.*s", hello[par.smtpd_lmtp], SPAN_FMT(a->helo));
		return true;
	case 1:
		buf_addf(&a->command, "MAIL FROM:<%.*s>%s", SPAN_FMT(a->sender), utf8 ? " SMTPUTF8" : "");
		return true;
	case 2:
		buf_addf(&a->command, "RCPT TO:<%.*s>", SPAN_FMT(a->rcpt));
		return true;
	}
	return false;
}

/* Bytes of a whole reply at the beginning; 0: its last line is not here. */
static size_t
reply_length(struct span in)
{
	size_t at = 0;

	for (;;) {
		struct span line = span_skip(in, at);
		ssize_t end = span_find(line, '\n');

		if (end < 0)
			return 0;
		at += (size_t)end + 1;
		if (end < 4 || line.p[3] != '-')
			return at;
	}
}

static void
take_reply(struct asking *a, size_t n)
{
	struct msg_EXPLAIN_REPLY m = { .command = buf_span(&a->command), .reply = span_sub(buf_span(&a->in), 0, n) };
	bool good = a->in.p[0] == '2';

	tell(a->link, MSG_EXPLAIN_REPLY, &m);
	buf_consume(&a->in, n);
	if (!good || !next_command(a)) {
		loop_stop();
		return;
	}
	buf_adds(&a->command, "\r\n");
	if (!write_all(a->watch.fd, a->command.p, a->command.len))
		loop_stop();
	buf_truncate(&a->command, a->command.len - 2);
}

static void
on_reply(void *ctx, int events)
{
	struct asking *a = ctx;
	char *room = buf_room(&a->in, 4096);
	ssize_t n = room ? read(a->watch.fd, room, 4096) : 0;

	(void)events;
	if (n <= 0) {			/* sent away: its last reply has been told */
		loop_stop();
		return;
	}
	buf_grew(&a->in, (size_t)n);
	n = (ssize_t)reply_length(buf_span(&a->in));
	if (n > 0)
		take_reply(a, (size_t)n);
}

static struct sockaddr_storage
address_of(const char *text)
{
	struct sockaddr_storage sa = { .ss_family = AF_INET };

	if (inet_pton(AF_INET, text, &((struct sockaddr_in *)&sa)->sin_addr) != 1) {
		sa.ss_family = AF_INET6;
		if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&sa)->sin6_addr) != 1)
			die_config("%s: not an IP address", text);
	}
	return sa;
}

/* Its session, with what no dialogue here could give it. */
static void
begin(int fd, const struct msg_EXPLAIN *q)
{
	char *client = x_spandup(q->client);
	struct sockaddr_storage peer = address_of(client);
	bool wrapped = par.smtpd_tls_wrappermode;
	struct session *s;

	par.smtpd_tls_wrappermode = false;
	par.smtpd_greet_wait = 0;
	par.smtpd_peername_lookup = par.smtpd_peername_lookup && q->dns;
	session_accept(fd, &peer, NULL);
	s = session_first();
	if (!s)
		die("no session");
	s->secure = wrapped || q->secure;
	if (q->login.n > 0)
		s->login = x_spandup(q->login);
	free(client);
}

void
explain_client(int link)
{
	struct asking a = { .link = link };
	struct msg_EXPLAIN q;
	struct msg m;
	int pair[2];

	if (msg_recv(link, R_OPERATOR, R_SMTPD, &m) != MSG_OK || m.kind != MSG_EXPLAIN)
		die("nothing is asked");
	q = m.EXPLAIN;
	a.helo = span_str(x_spandup(q.helo));
	a.sender = span_str(x_spandup(q.sender));
	a.rcpt = span_str(x_spandup(q.rcpt));
	buf_init(&a.in, REPLY_MAX);
	buf_init(&a.command, COMMAND_MAX);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || !set_nonblocking(pair[1], true))
		die_errno("socketpair");
	map_trace(tell_look, &a);
	policy_trace(tell_word, &a, q.dns);
	begin(pair[1], &q);
	watch_start(&a.watch, pair[0], LOOP_READ, on_reply, &a);
	loop_run();
}
