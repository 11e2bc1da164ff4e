/*
 * policybed.h: what stands in for the rest of smtpd around its restriction lists: answers of sessions, a DNS that answers from a table,
 * a policy service in this process, and what becomes of questions about addresses elsewhere.
 */
#ifndef TESTS_POLICYBED_H
#define TESTS_POLICYBED_H

#include "tests/unit/unit.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "net/conn.h"
#include "net/dns/dns.h"
#include "regex/regex.h"
#include "service/message.h"
#include "service/params.h"
#include "service/service.h"
#include "tests/unit/nomilters.h"
#include "smtpd/policy.h"
#include "smtpd/room.h"
#include "smtpd/smtpd.h"
#include "smtpd/verify.h"
#include "smtpd/worker.h"

#include "base/banned.h"

/* ---- what stands in for the rest of smtpd ---- */

static struct reply answer;
static unsigned answers;
void session_answer(struct session *s, const struct reply *r) { (void)s; answer = *r; answers += r->code > 0; }
void session_enter(struct session *s) { (void)s; }
void session_leave(struct session *s) { (void)s; }
void data_judged(struct session *s) { struct reply r = policy_end_of_data(s); session_answer(s, &r); }
bool tls_offered(void) { return false; }
struct reply cmd_starttls(struct session *s, struct span arg) { (void)s; (void)arg; return reply_make(220, "", "Go"); }
bool limits_mail(const struct session *s) { return s != NULL; }
bool limits_rcpt(const struct session *s) { return s != NULL; }
const char *limits_enter(struct session *s) { (void)s; return NULL; }
void limits_leave(struct session *s) { (void)s; }
bool worker_trusts(const struct sockaddr_storage *peer) { (void)peer; return false; }
void limits_count_mail(const struct session *s) { (void)s; }
void limits_count_rcpt(const struct session *s) { (void)s; }
struct reply room_check(struct session *s, struct span rcpt) { (void)s; (void)rcpt; return reply_pending(); }
bool room_asked(const struct session *s) { (void)s; return false; }
bool auth_offered(const struct session *s) { (void)s; return false; }
void auth_list(const struct session *s, struct buf *out) { (void)s; (void)out; }
struct reply cmd_etrn(struct session *s, struct span arg) { (void)s; (void)arg; return reply_make(250, "", "Ok"); }
struct reply cmd_bdat(struct session *s, struct span arg) { (void)s; (void)arg; return reply_make(250, "", "Ok"); }
struct reply cmd_auth(struct session *s, struct span arg) { (void)s; (void)arg; return reply_pending(); }
const char *session_protocol(const struct session *s) { (void)s; return "ESMTP"; }
struct maps *service_maps(const char *spec) { struct buf e; buf_init(&e, 99); return maps_open(span_str(spec), &e); }

struct reply
cmd_data(struct session *s, struct span arg)
{
	struct reply r = policy_data(s);

	(void)arg;
	return r.code ? r : reply_make(354, "", "Go");
}

void
session_reset(struct session *s)
{
	buf_reset(&s->sender);
	buf_fini(&s->rcpts);
	buf_fini(&s->prepend);
	buf_fini(&s->bcc);
	x_free(&s->redirect);
	x_free(&s->envid);
	s->nrcpt = 0;
	s->discard = s->hold = false;
	if (s->state > ST_HELLO)
		s->state = ST_HELLO;
}

char *
service_setting(const char *name)
{
	static const char *const classes[][2] = {
		{ "greylist", "reject_non_fqdn_sender, inner" }, { "inner", "check_sender_access inline:{in@x.y=REJECT inner}" },
		{ "endless", "endless" }, { "closed", "reject_unauth_destination" },
	};

	for (size_t i = 0; i < NELEMS(classes); i++)
		if (strcmp(classes[i][0], name) == 0)
			return x_strdup(classes[i][1]);
	return NULL;
}

/* ---- addresses elsewhere: the local part says what becomes of the question ---- */

struct verify {
	struct timer timer;
	char *address;
	void (*done)(void *ctx, const struct msg_VERIFIED *v);
	void *ctx;
};

static unsigned verify_cancelled;

void
verify_cancel(struct verify *v)
{
	if (!v)
		return;
	verify_cancelled++;
	timer_stop(&v->timer);
	free(v->address);
	free(v);
}

static void
verify_answer(void *ctx)
{
	static const struct { const char *user; enum verify_state state; const char *text; } rows[] = {
		{ "slow@", VERIFY_LATER, "" }, { "bad@", VERIFY_REFUSED, "host mx said: 550 no" },
		{ "busy@", VERIFY_DEFERRED, "host mx said: 450 wait" },
	};
	struct verify v = *(struct verify *)ctx;
	struct msg_VERIFIED got = { .state = VERIFY_OK, .text = SPAN_NONE };

	for (size_t i = 0; i < NELEMS(rows); i++)
		if (span_starts(span_str(v.address), rows[i].user))
			got = (struct msg_VERIFIED){ .state = rows[i].state, .text = span_str(rows[i].text) };
	verify_cancel(ctx);
	v.done(v.ctx, &got);
}

struct verify *
verify_ask(struct span address, void (*done)(void *ctx, const struct msg_VERIFIED *v), void *ctx)
{
	struct verify *v;

	if (span_starts(address, "nobody@"))
		return NULL;
	v = x_new(struct verify);
	*v = (struct verify){ .address = x_spandup(address), .done = done, .ctx = ctx };
	timer_init(&v->timer, verify_answer, v);
	timer_set(&v->timer, 0);
	return v;
}

/* ---- a DNS of our own ---- */

struct dns_query {
	char name[300];
	bool ns;
	dns_mx_done *mx;
	dns_addr_done *addr;
	dns_txt_done *txt;
	void *ctx;
	bool cancelled;
	struct timer timer;
};

static const struct { const char *name, *mx, *a, *txt, *ns; } zone[] = {
	{ "mail.mx.test", NULL, "192.0.2.66", NULL, NULL }, { "ns.test", NULL, NULL, NULL, "ns1.bad.test" }, { "ns1.bad.test", NULL, "192.0.2.77", NULL, NULL },
	{ "a.good.test", NULL, "192.0.2.2", NULL, NULL }, { "a.good.test.wl.test", NULL, "127.0.0.2", NULL, NULL },
	{ "mx.test", "mail.mx.test", NULL, NULL, NULL }, { "a.test", NULL, "192.0.2.9", NULL, NULL }, { "null.test", "", NULL, NULL, NULL },
	{ "broken.test", "!", NULL, NULL, NULL },
	{ "1.2.0.192.bl.test", NULL, "127.0.0.4", "see\nhttp://bl.test", NULL }, { "1.2.0.192.wide.test", NULL, "192.0.2.80", NULL, NULL },
	{ "1.2.0.192.down.test", NULL, "!", NULL, NULL }, { "bad.test.dom.test", NULL, "127.0.1.2", NULL, NULL },
	{ "1.2.0.192.wl.test", NULL, "127.0.5.1", NULL, NULL },
};
static unsigned dns_asked, dns_cancelled;

static void
dns_answer(void *ctx)
{
	struct dns_query *q = ctx;
	struct dns_mx mx = { .preference = 10 };
	struct sockaddr_storage sa = { .ss_family = AF_INET };
	const char *got = NULL;

	for (size_t i = 0; i < NELEMS(zone); i++)
		if (strcasecmp(zone[i].name, q->name) == 0)
			got = q->ns ? zone[i].ns : q->mx ? zone[i].mx : q->addr ? zone[i].a : zone[i].txt;
	timer_stop(&q->timer);
	enum dns_status st = !got ? DNS_NONE : strcmp(got, "!") == 0 ? DNS_FAIL : DNS_OK;

	if (q->mx && st == DNS_OK)
		snprintf(mx.host, sizeof(mx.host), "%s", got);
	if (q->addr && st == DNS_OK)
		assert_int_equal(inet_pton(AF_INET, got, &((struct sockaddr_in *)&sa)->sin_addr), 1);
	if (q->mx)
		q->mx(q->ctx, st, false, &mx, st == DNS_OK);
	else if (q->addr)
		q->addr(q->ctx, st, false, &sa, st == DNS_OK);
	else
		q->txt(q->ctx, st, span_str(st == DNS_OK ? got : ""));
	free(q);
}

static struct dns_query *
dns_ask(const char *name, void *ctx)
{
	struct dns_query *q = x_new(struct dns_query);

	dns_asked++;
	snprintf(q->name, sizeof(q->name), "%s", name);
	q->ctx = ctx;
	timer_init(&q->timer, dns_answer, q);
	timer_set(&q->timer, 0);
	return q;
}

void dns_init(const char *servers, const char *anchor) { (void)servers; (void)anchor; }

struct dns_query *
dns_mx(const char *name, uint32_t ms, dns_mx_done *done, void *ctx)
{
	struct dns_query *q = dns_ask(name, ctx);

	(void)ms;
	q->mx = done;
	return q;
}

struct dns_query *
dns_ns(const char *name, uint32_t ms, dns_mx_done *done, void *ctx)
{
	struct dns_query *q = dns_mx(name, ms, done, ctx);

	q->ns = true;
	return q;
}

struct dns_query *
dns_addr(const char *name, int family, uint32_t ms, dns_addr_done *done, void *ctx)
{
	struct dns_query *q = dns_ask(name, ctx);

	(void)ms;
	(void)family;
	q->addr = done;
	return q;
}

struct dns_query *
dns_txt(const char *name, uint32_t ms, dns_txt_done *done, void *ctx)
{
	struct dns_query *q = dns_ask(name, ctx);

	(void)ms;
	q->txt = done;
	return q;
}

/* of 192.0.2.2 and so on; "!" fails, and "..." never comes */
static const struct { const char *addr, *name, *reverse; } ptrs[] = {
	{ "192.0.2.2", "a.good.test", "a.good.test" }, { "192.0.2.3", NULL, "forged.test" }, { "192.0.2.4", "!", "!" },
	{ "192.0.2.5", "!", "late.test" }, { "192.0.2.6", "...", NULL },
};
static dns_ptr_done *ptr_done;

static enum dns_status
ptr_part(const char *told, const char **out)
{
	*out = told && *told != '!' ? told : "";
	return !told ? DNS_NONE : *told == '!' ? DNS_FAIL : DNS_OK;
}

static void
ptr_answer(void *ctx)
{
	struct dns_query *q = ctx;
	struct dns_ptr_answer a = { DNS_NONE, DNS_NONE, "", "" };

	for (size_t i = 0; i < NELEMS(ptrs); i++) {
		if (strcmp(ptrs[i].addr, q->name) != 0)
			continue;
		if (ptrs[i].name && strcmp(ptrs[i].name, "...") == 0)
			return;
		a.status = ptr_part(ptrs[i].name, &a.name);
		a.reverse_status = ptr_part(ptrs[i].reverse, &a.reverse);
	}
	ptr_done(q->ctx, &a);
	timer_stop(&q->timer);
	free(q);
}

struct dns_query *
dns_ptr(const struct sockaddr_storage *sa, uint32_t ms, dns_ptr_done *done, void *ctx)
{
	char text[NETLIST_TEXT_MAX];
	struct dns_query *q = dns_ask(netlist_text(sa, text), ctx);

	(void)ms;
	ptr_done = done;
	timer_stop(&q->timer);
	timer_init(&q->timer, ptr_answer, q);
	timer_set(&q->timer, 2);
	return q;
}

void
dns_cancel(struct dns_query *q)
{
	if (!q)
		return;
	dns_cancelled++;
	timer_stop(&q->timer);
	free(q);
}

/* ---- a policy service ---- */

static int service_fd = -1, service_link = -1;
static uint16_t service_port;
static const char *service_says = "action=DUNNO\n\n";
static struct buf service_heard;
static unsigned service_links;

static void
service_listen(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	service_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(service_fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(service_fd, 5), 0);
	assert_int_equal(getsockname(service_fd, (struct sockaddr *)&sin, &len), 0);
	service_port = ntohs(sin.sin_port);
	buf_init(&service_heard, 1 << 16);
}

static void
service_turn(void)
{
	char part[4096];
	ssize_t n;
	int fd = accept4(service_fd, NULL, NULL, SOCK_NONBLOCK);

	if (fd >= 0) {
		close_fd(&service_link);
		service_link = fd;
		service_links++;
	}
	if (service_link < 0 || (n = recv(service_link, part, sizeof(part), 0)) <= 0)
		return;
	buf_add(&service_heard, part, (size_t)n);
	if (service_heard.len < 2 || !strstr(service_heard.p, "\n\n"))
		return;
	if (*service_says)
		assert_true(write_all(service_link, service_says, strlen(service_says)));
	else
		close_fd(&service_link);
}

#endif
