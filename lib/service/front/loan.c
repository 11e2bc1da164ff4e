/*
 * loan.c: the client's socket in the hands of its session. The front keeps its own descriptor of it, which it neither reads
 * nor writes meanwhile: what it must know (bytes, silence) the kernel tells, and shutdown(2) ends what the operator wants
 * to end, whoever else has the socket open.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mark.h"
#include "service/front/front_private.h"
#include "base/banned.h"

/* of include/net/tcp_states.h; <netinet/tcp.h>, which has them, does not go with <linux/tcp.h> */
enum { ESTABLISHED = 1, FIN_WAIT1 = 4, FIN_WAIT2 = 5 };

struct meter {
	uint64_t in, out;		/* bytes since the connection began */
	uint64_t silent;		/* ms without a byte of data either way */
	bool delivered;			/* the client has all that was sent */
};

/* RFC 9293 3.3.2: the client's FIN is counted as a byte in these states. */
static bool
has_ended(uint8_t state)
{
	return state != ESTABLISHED && state != FIN_WAIT1 && state != FIN_WAIT2;
}

static bool
meter_read(const struct front *f, struct meter *m)
{
	struct tcp_info t = { 0 };
	socklen_t n = sizeof(t);

	if (getsockopt(conn_fd(f->conn), IPPROTO_TCP, TCP_INFO, &t, &n) < 0 || n < offsetof(struct tcp_info, tcpi_bytes_retrans) + 8)
		return false;
	m->in = t.tcpi_bytes_received - has_ended(t.tcpi_state);
	m->out = t.tcpi_bytes_sent - t.tcpi_bytes_retrans + t.tcpi_notsent_bytes;
	m->silent = t.tcpi_last_data_recv < t.tcpi_last_data_sent ? t.tcpi_last_data_recv : t.tcpi_last_data_sent;
	m->delivered = t.tcpi_notsent_bytes == 0 && t.tcpi_unacked == 0;
	return true;
}

void
loan_look(struct front *f)
{
	uint64_t now = clock_mono_ms();
	struct meter m;

	if (!f->metered || !f->conn || !meter_read(f, &m))
		return;
	f->in = m.in - f->login_in;
	f->out = m.out + conn_pending(f->conn) - f->login_out;
	f->active = m.silent < now ? now - m.silent : 0;
	if (f->lent)
		f->between = m.delivered;	/* as far as can be seen from here */
}

/* All that the client had sent is with the session, and all that it got is with the kernel. */
void
loan_try(struct front *f)
{
	struct meter m;
	int fd;

	if (!f->loan_due || f->lent || f->codec || f->state != FS_PUMP || !f->conn || f->session_full)
		return;
	if (conn_secure(f->conn) || !meter_read(f, &m)) {
		f->loan_due = false;
		return;
	}
	fd = conn_lend(f->conn);
	if (fd < 0)
		return;			/* not yet */
	f->loan_due = false;
	if (!mark_send(f->session, MARK_LOAN, fd, MSG_DONTWAIT)) {
		log_debug(NULL, "login=<%s>: not lent: %s", f->login, strerror(errno));
		conn_pause(f->conn, false);
		return;
	}
	f->lent = true;
	if (!f->metered)
		f->login_out = m.out - f->out;
	f->metered = true;
}

void
loan_end(struct front *f)
{
	loan_look(f);
	if (f->lent && f->conn)
		conn_pause(f->conn, false);
	f->lent = false;
}
