/*
 * policy_service.c: check_policy_service: Postfix's policy protocol. A request is
 * lines "name=value" and an empty line, the answer is "action=..." and an empty
 * line. Values come from strangers, answers from a program of the operator's,
 * whose length and time are bounded. Links stay open for the next question.
 */
#include "policy_run.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "net/tls.h"
#include "policy_answer.h"
#include "service/params.h"

#include "base/banned.h"

#define SERVERS_MAX 32
#define ANSWER_MAX 8192
#define REQUEST_MAX 16384
#define IDLE_MAX 20			/* open links without a question, for each server */

struct policy_server {
	char *spec;
	struct sockaddr_storage sa;
	socklen_t len;
	uint16_t port;
	struct policy_ask *idle;
	unsigned nidle;
};

/* A link to a server; with a run: a question on it. */
struct policy_ask {
	struct policy_server *server;
	struct policy_ask *next;	/* idle ones */
	struct policy_run *run;
	struct watch watch;
	struct timer timer;
	struct buf out, in;
	int fd;
	size_t sent;
	bool used_before;		/* the server may have closed it meanwhile: then ask once more */
};

static struct policy_server *servers[SERVERS_MAX];
static size_t server_count;

static void on_ready(void *ctx, int events);

/* ---- servers ---- */

/* Before the jail. Never freed: there are as many as words in the configuration. */
struct policy_server *
policy_server_open(struct span spec, struct buf *err)
{
	struct restrict_server where;
	struct policy_server *p;

	for (size_t i = 0; i < server_count; i++)
		if (span_is(spec, servers[i]->spec))
			return servers[i];
	if (!restrict_server(spec, &where, err))
		return NULL;
	if (server_count == SERVERS_MAX) {
		buf_adds(err, "too many policy services");
		return NULL;
	}
	p = x_new(struct policy_server);
	p->spec = x_spandup(spec);
	p->port = where.port;
	p->len = restrict_address(&where, &p->sa);
	return servers[server_count++] = p;
}

size_t
policy_server_count(void)
{
	return server_count;
}

uint16_t
policy_server_port(size_t i)
{
	return servers[i]->port;
}

/* ---- links ---- */

static void
link_free(struct policy_ask *a)
{
	watch_stop(&a->watch);
	timer_stop(&a->timer);
	close_fd(&a->fd);
	buf_fini(&a->out);
	buf_fini(&a->in);
	free(a);
}

static void
idle_remove(struct policy_ask *a)
{
	struct policy_ask **at = &a->server->idle;

	while (*at && *at != a)
		at = &(*at)->next;
	if (*at) {
		*at = a->next;
		a->server->nidle--;
	}
	a->next = NULL;
}

void
policy_ask_cancel(struct policy_ask *a)
{
	if (a)
		link_free(a);		/* its answer would be taken for that of the next question */
}

static bool
link_connect(struct policy_ask *a)
{
	int family = a->server->sa.ss_family;

	a->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0 || (connect(a->fd, (struct sockaddr *)&a->server->sa, a->server->len) < 0 && errno != EINPROGRESS)) {
		log_warn(a->run->s->id, "policy service %s: %s", a->server->spec, strerror(errno));
		close_fd(&a->fd);
		return false;
	}
	watch_start(&a->watch, a->fd, LOOP_WRITE, on_ready, a);
	return true;
}

/* ---- the answer ---- */

/* No answer, or none that is one. */
static void
give_up(struct policy_ask *a, const char *why)
{
	struct policy_run *run = a->run;

	log_warn(run->s->id, "policy service %s: %s", a->server->spec, why);
	link_free(a);
	run->ask = NULL;
	run_resume(run, policy_act(run, span_str(par.smtpd_policy_service_default_action), run->subject));
}

static void
lost(struct policy_ask *a, const char *why)
{
	if (!a->run) {
		idle_remove(a);
		link_free(a);
		return;
	}
	if (!a->used_before || a->in.len > 0) {
		give_up(a, why);
		return;
	}
	a->used_before = false;
	a->sent = 0;
	watch_stop(&a->watch);
	close_fd(&a->fd);
	if (!link_connect(a))
		give_up(a, "cannot be asked again");
}

static void
rest(struct policy_ask *a)
{
	if (a->server->nidle >= IDLE_MAX) {
		link_free(a);
		return;
	}
	a->run = NULL;
	a->used_before = true;
	timer_clear(&a->timer);
	buf_fini(&a->in);
	buf_fini(&a->out);
	a->next = a->server->idle;
	a->server->idle = a;
	a->server->nidle++;
}

static void
answered(struct policy_ask *a, struct span action)
{
	struct policy_run *run = a->run;
	struct buf copy;

	buf_init(&copy, ANSWER_MAX);
	buf_addspan(&copy, action);
	rest(a);
	run->ask = NULL;
	run_resume(run, policy_act(run, buf_span(&copy), run->subject));
	buf_fini(&copy);
}

static void
receive(struct policy_ask *a)
{
	char *room = buf_room(&a->in, 1024);
	struct span action;
	ssize_t n;

	if (!room) {
		lost(a, "its answer is too long");
		return;
	}
	n = recv(a->fd, room, 1024, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !a->run) {
		lost(a, n < 0 ? strerror(errno) : "closed the connection");
		return;
	}
	buf_grew(&a->in, (size_t)n);
	switch (policy_answer(buf_span(&a->in), &action)) {
	case POLICY_MORE:
		break;
	case POLICY_BAD:
		give_up(a, "its answer is not \"action=...\" and an empty line");
		break;
	case POLICY_ACTION:
		answered(a, action);
		break;
	}
}

static void
transmit(struct policy_ask *a)
{
	ssize_t n = send(a->fd, a->out.p + a->sent, a->out.len - a->sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		lost(a, strerror(errno));
		return;
	}
	a->sent += (size_t)n;
	if (a->sent == a->out.len)
		watch_set(&a->watch, LOOP_READ);
}

static void
on_ready(void *ctx, int events)
{
	struct policy_ask *a = ctx;

	if (a->run && a->sent < a->out.len)
		transmit(a);
	else if (events & LOOP_READ)
		receive(a);
}

static void
on_time(void *ctx)
{
	struct policy_ask *a = ctx;

	a->used_before = false;
	lost(a, "no answer in time");
}

/* ---- the question ---- */

/* A line end in a value would begin another attribute. */
static void
attribute(struct buf *out, const char *name, struct span value)
{
	buf_addf(out, "%s=", name);
	for (size_t i = 0; i < value.n; i++)
		buf_addc(out, value.p[i] == '\n' || value.p[i] == '\r' || value.p[i] == '\0' ? '?' : value.p[i]);
	buf_addc(out, '\n');
}

static struct span
port_text(const struct session *s, char out[8])
{
	snprintf(out, 8, "%u", ntohs(s->peer.sin6_port));
	return span_str(out);
}

/* Where the client has connected to; empty: not known. */
static void
server_text(const struct session *s, char addr[NETLIST_TEXT_MAX], char port[8])
{
	struct sockaddr_storage here = client_here(s);

	addr[0] = '\0';
	if (here.ss_family != AF_UNSPEC)
		netlist_text(&here, addr);
	snprintf(port, 8, "%u", ntohs(((const struct sockaddr_in6 *)&here)->sin6_port));
}

static void
write_request(const struct policy_run *run, struct buf *out)
{
	const struct session *s = run->s;
	bool counted = run->stage == STAGE_DATA || run->stage == STAGE_END;
	char number[40], port[8], here[NETLIST_TEXT_MAX], here_port[8];

	server_text(s, here, here_port);
	const struct { const char *name; struct span value; } rows[] = {
		{ "request", SPAN("smtpd_access_policy") },
		{ "protocol_state", span_str(run_stage_name(run)) },
		{ "protocol_name", span_str(s->esmtp ? "ESMTP" : "SMTP") },
		{ "helo_name", span_str(s->helo) },
		{ "queue_id", SPAN_NONE },
		{ "sender", buf_span(&run->sender) },
		{ "recipient", buf_span(&run->rcpt) },
		{ "client_address", span_str(s->addr) },
		{ "client_name", span_str(client_name(s)) },
		{ "client_port", port_text(s, port) },
		{ "reverse_client_name", span_str(client_reverse(s)) },
		{ "server_address", span_str(here) },
		{ "server_port", span_str(here_port) },
		{ "sasl_method", span_str(s->mech) },
		{ "sasl_username", span_str(s->login) },
		{ "sasl_sender", SPAN_NONE },
		{ "encryption_protocol", s->tls ? span_sub(span_str(s->tls), 0, strcspn(s->tls, " ")) : SPAN_NONE },
		{ "ccert_subject", s->peer_cert ? span_str(s->peer_cert->name) : SPAN_NONE },
		{ "ccert_fingerprint", s->peer_cert ? span_str(s->peer_cert->certificate) : SPAN_NONE },
		{ "ccert_pubkey_fingerprint", s->peer_cert ? span_str(s->peer_cert->key) : SPAN_NONE },
	};

	for (size_t i = 0; i < NELEMS(rows); i++)
		attribute(out, rows[i].name, rows[i].value);
	buf_addf(out, "recipient_count=%u\nsize=%llu\n", counted ? s->nrcpt : 0, (unsigned long long)s->size_hint);
	snprintf(number, sizeof(number), "%s.%u", s->id, s->transactions);	/* the same for all questions about one message */
	attribute(out, "instance", span_str(number));
	buf_addc(out, '\n');
}

enum verdict
judge_check_policy_service(struct policy_run *run, const struct word *w)
{
	struct policy_server *p = w->server;
	struct policy_ask *a = p->idle;

	if (a) {
		idle_remove(a);
	} else {
		a = x_new(struct policy_ask);
		a->server = p;
		a->fd = -1;
		timer_init(&a->timer, on_time, a);
	}
	a->run = run;
	a->sent = 0;
	buf_init(&a->out, REQUEST_MAX);
	buf_init(&a->in, ANSWER_MAX);
	write_request(run, &a->out);
	if (a->fd >= 0)
		watch_set(&a->watch, LOOP_WRITE);
	else if (!link_connect(a)) {
		link_free(a);
		return policy_act(run, span_str(par.smtpd_policy_service_default_action), run->subject);
	}
	timer_set(&a->timer, par.smtpd_policy_service_timeout * 1000);
	run->ask = a;
	return WAIT;
}
