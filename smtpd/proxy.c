/*
 * proxy.c: reads the header of the PROXY protocol off a new connection, and not
 * a byte more. Only hosts of smtpd_upstream_proxy_hosts may send one; whatever
 * is wrong closes the connection, so that nobody is ever taken for the proxy.
 */
#include "proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/die.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/netlist.h"
#include "proxyline.h"
#include "service/params.h"
#include "smtpd.h"
#include "worker.h"

#include "base/banned.h"

struct waiting {
	int fd;
	struct watch watch;
	struct timer timer;
	char addr[NETLIST_TEXT_MAX];	/* of the proxy, for the log */
	char header[PROXY_HEADER_MAX];
	size_t len;
};

static struct netlist *proxies;

bool
proxy_expected(void)
{
	return par.smtpd_upstream_proxy_protocol[0] != '\0';
}

void
proxy_open(void)
{
	struct buf err;

	buf_init(&err, 1024);
	proxies = netlist_new(span_str(par.smtpd_upstream_proxy_hosts), &err);
	if (!proxies)
		die_config("smtpd_upstream_proxy_hosts: %s", buf_cstr(&err));
	buf_fini(&err);
}

static void
forget(struct waiting *w)
{
	watch_stop(&w->watch);
	timer_stop(&w->timer);
	free(w);
}

static void
drop(struct waiting *w, const char *why)
{
	log_warn(NULL, "proxy %s: %s", w->addr, why);
	close(w->fd);
	forget(w);
	worker_left();
}

/* Where the line ends is seen before it is read: what is behind it stays in the socket. */
static size_t
line_rest(int fd)
{
	char ahead[PROXY_HEADER_MAX];
	ssize_t n = recv(fd, ahead, sizeof(ahead), MSG_PEEK | MSG_DONTWAIT);
	const char *lf = n > 0 ? memchr(ahead, '\n', (size_t)n) : NULL;

	return lf ? (size_t)(lf - ahead) + 1 : n > 0 ? (size_t)n : 1;
}

static void
on_header(void *ctx, int events)
{
	struct waiting *w = ctx;
	struct proxied who;
	enum proxy_result st;
	size_t want;

	(void)events;
	while ((st = proxy_parse(span_of(w->header, w->len), &want, &who)) == PROXY_MORE) {
		ssize_t n;

		if (want == 0)
			want = line_rest(w->fd);
		if (want > sizeof(w->header) - w->len) {
			drop(w, "the PROXY header is too long");
			return;
		}
		n = recv(w->fd, w->header + w->len, want, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			drop(w, "the connection ended within the PROXY header");
			return;
		}
		w->len += (size_t)n;
	}
	if (st == PROXY_BAD) {
		drop(w, "malformed PROXY header");
		return;
	}
	int fd = w->fd;

	forget(w);
	session_accept(fd, &who.client, &who.here);
}

static void
on_time(void *ctx)
{
	drop(ctx, "no PROXY header came");
}

void
proxy_accept(int fd, const struct sockaddr_storage *peer)
{
	struct waiting *w = x_new(struct waiting);

	w->fd = fd;
	netlist_text(peer, w->addr);
	timer_init(&w->timer, on_time, w);
	watch_start(&w->watch, fd, LOOP_READ, on_header, w);
	if (!netlist_has(proxies, peer)) {
		drop(w, "is not in smtpd_upstream_proxy_hosts");
		return;
	}
	timer_set(&w->timer, par.smtpd_upstream_proxy_timeout * 1000u);
}
