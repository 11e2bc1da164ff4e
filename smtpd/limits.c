/* limits.c: what one client, network or login does, counted by all workers of a service in shared memory. */
#include "smtpd.h"

#include <errno.h>

#include "base/counters.h"
#include "base/die.h"
#include "base/log.h"
#include "service/params.h"
#include "service/service.h"

#include "base/banned.h"

#define LOGIN_KEY_MAX 128		/* of a login, as key of its counters; logins that agree so far share them */

static struct counters *counters;

void
limits_open(void)
{
	counters = counters_map(service_counters_fd());
	if (!counters)
		die_errno("counters");
}

uint32_t
limits_total(int by)
{
	return counters_total(counters, by);
}

/* As in Postfix, mynetworks are exempt (smtpd_client_event_limit_exceptions). */
const char *
limits_enter(struct session *s)
{
	struct sockaddr_storage peer = client_peer(s);
	unsigned char room[16];
	struct span key = netlist_key(&peer, room);
	uint32_t now;

	if (key.n == 0 || s->trusted)
		return NULL;
	now = counters_add(counters, key, COUNT_CONNECTIONS, 1);
	s->counted = true;
	if (par.smtpd_client_connection_count_limit && now > par.smtpd_client_connection_count_limit)
		return "too many connections";
	if (!par.smtpd_client_connection_rate_limit)
		return NULL;
	now = counters_rate(counters, key, COUNT_CONNECTION_RATE, par.anvil_rate_time_unit, true);
	return now > par.smtpd_client_connection_rate_limit ? "too frequent connections" : NULL;
}

void
limits_leave(struct session *s)
{
	struct sockaddr_storage peer = client_peer(s);
	unsigned char room[16];

	if (s->counted)
		(void)counters_add(counters, netlist_key(&peer, room), COUNT_CONNECTIONS, -1);
	s->counted = false;
}

/* ---- AUTH and handshakes: the client network's ---- */

static uint32_t
client_rate(const struct session *s, enum counter what, bool count_one)
{
	struct sockaddr_storage peer = client_peer(s);
	unsigned char room[16];
	struct span key = s->trusted ? SPAN_NONE : netlist_key(&peer, room);

	return key.n > 0 ? counters_rate(counters, key, what, par.anvil_rate_time_unit, count_one) : 0;
}

bool
limits_auth(const struct session *s)
{
	return !par.smtpd_client_auth_rate_limit || client_rate(s, COUNT_AUTH_RATE, true) <= par.smtpd_client_auth_rate_limit;
}

bool
limits_tls(const struct session *s)
{
	return !par.smtpd_client_new_tls_session_rate_limit ||
	    client_rate(s, COUNT_TLS_RATE, false) < par.smtpd_client_new_tls_session_rate_limit;
}

void
limits_count_tls(const struct session *s)
{
	if (par.smtpd_client_new_tls_session_rate_limit)
		(void)client_rate(s, COUNT_TLS_RATE, true);
}

/* ---- messages and recipients ---- */

/*
 * Whose: the login's, wherever it comes from; else the client network's, when
 * it is not one of mynetworks. Nobody's: no limit.
 */
static struct span
sender_key(const struct session *s, char room[LOGIN_KEY_MAX])
{
	struct sockaddr_storage peer;
	size_t n;

	if (!s->login) {
		peer = client_peer(s);
		return s->trusted ? SPAN_NONE : netlist_key(&peer, (unsigned char *)room);
	}
	n = strlen(s->login);
	n = n < LOGIN_KEY_MAX - 6 ? n : LOGIN_KEY_MAX - 6;
	memcpy(room, "login:", 6);
	memcpy(room + 6, s->login, n);
	return span_of(room, n + 6);
}

static uint32_t
sender_rate(const struct session *s, enum counter what, bool count_one)
{
	char room[LOGIN_KEY_MAX];
	struct span key = sender_key(s, room);

	return key.n > 0 ? counters_rate(counters, key, what, par.anvil_rate_time_unit, count_one) : 0;
}

bool
limits_mail(const struct session *s)
{
	return !par.smtpd_client_message_rate_limit ||
	    sender_rate(s, COUNT_MESSAGE_RATE, false) < par.smtpd_client_message_rate_limit;
}

bool
limits_rcpt(const struct session *s)
{
	return !par.smtpd_client_recipient_rate_limit ||
	    sender_rate(s, COUNT_RCPT_RATE, false) < par.smtpd_client_recipient_rate_limit;
}

void
limits_count_mail(const struct session *s)
{
	if (par.smtpd_client_message_rate_limit)
		(void)sender_rate(s, COUNT_MESSAGE_RATE, true);
}

void
limits_count_rcpt(const struct session *s)
{
	if (par.smtpd_client_recipient_rate_limit)
		(void)sender_rate(s, COUNT_RCPT_RATE, true);
}
