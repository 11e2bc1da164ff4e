/*
 * keylink.c: the link to keyd. Messages come from keyd, which is trusted with
 * keys; the digests that go there come from handshakes with strangers.
 */
#include "service/front/keylink.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/tlsrange.h"
#include "service/message.h"
#include "service/service.h"
#include "base/banned.h"

#define SIGN_MS 2000
#define FIRST_MS 5000
#define RETRY_MS 1000		/* after a failure no handshake waits for keyd again so soon */
#define SUCCESSOR_MS 50		/* keyd has ended: master starts another at once */

static struct {
	int fd;
	unsigned role;
	struct tls_server *server;
	bool started;
	bool filling;		/* between the first and the last CERT of a generation */
	bool filled;
	bool suspect;		/* keyd did not answer in time: no handshake waits for it until it speaks again */
	uint32_t generation, seq;
	uint64_t retry_at;
	struct watch watch;
	struct timer retry;
} link = { .fd = -1 };

static void on_ready(void *ctx, int events);

static void
link_close(const char *why, uint64_t wait_ms)
{
	if (link.fd < 0)
		return;
	if (!service_stopping())	/* when all stop, keyd may be the first */
		log_warn(NULL, "link to keyd closed: %s", why);
	watch_stop(&link.watch);
	close_fd(&link.fd);
	link.filling = false;
	link.retry_at = wait_ms == SUCCESSOR_MS ? 0 : clock_mono_ms() + wait_ms;
	if (link.started)
		timer_set(&link.retry, wait_ms);
}

/* The socket blocks, for at most SIGN_MS a call. */
static bool
link_open(void)
{
	const struct timeval tv = { .tv_sec = SIGN_MS / 1000, .tv_usec = SIGN_MS % 1000 * 1000 };
	struct msg_CERTS m = { 0 };

	if (clock_mono_ms() < link.retry_at)
		return false;
	link.fd = service_connect("keyd");
	if (link.fd < 0) {
		if (!service_stopping())
			log_warn(NULL, "no link to keyd: %s", strerror(errno));
		link.retry_at = clock_mono_ms() + RETRY_MS;
		return false;
	}
	setsockopt(link.fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(link.fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (!msg_send(link.fd, MSG_CERTS, &m)) {
		link_close(strerror(errno), RETRY_MS);
		return false;
	}
	if (link.started)
		watch_start(&link.watch, link.fd, LOOP_READ, on_ready, NULL);
	return true;
}

/* A generation is taken as a whole: begin with its first CERT, commit with its last. */
static void
take_cert(const struct msg_CERT *m)
{
	struct buf err;

	buf_init(&err, 300);
	if (!link.filling || m->generation != link.generation)
		tls_server_begin(link.server);
	link.filling = true;
	link.generation = m->generation;
	if (m->chain.n && !tls_server_add(link.server, m->key, m->names, m->chain, &err))
		log_warn(NULL, "certificate from keyd not taken: %s", err.p);
	if (m->last) {
		tls_server_commit(link.server, m->ticket_keys);
		link.filling = false;
		link.filled = true;
	}
	buf_fini(&err);
}

static enum msg_result
take_one(struct msg *in)
{
	enum msg_result r = msg_recv(link.fd, R_KEYD, link.role, in);

	if (r == MSG_OK)
		link.suspect = false;
	if (r == MSG_OK && in->kind == MSG_CERT)
		take_cert(&in->CERT);
	else if (r == MSG_END)
		link_close("keyd has ended", SUCCESSOR_MS);
	else if (r == MSG_BAD)
		link_close("bad message", RETRY_MS);
	return r;
}

/* ---- signatures ---- */

static bool
send_request(const struct msg_SIGN *m)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		if (link.fd < 0 && !link_open())
			return false;
		if (msg_send(link.fd, MSG_SIGN, m))
			return true;
		link_close(strerror(errno), SUCCESSOR_MS);
	}
	return false;
}

static bool
sign_by_keyd(void *ctx, uint32_t key, const char *scheme, const char *digest, struct span tbs, struct buf *signature)
{
	struct msg_SIGN m = { .seq = ++link.seq, .key = key, .scheme = span_str(scheme), .digest = span_str(digest), .tbs = tbs };
	uint64_t deadline = clock_mono_ms() + SIGN_MS;
	struct msg in;

	(void)ctx;
	if (link.suspect || !send_request(&m))
		return false;
	while (clock_mono_ms() < deadline) {
		enum msg_result r = take_one(&in);

		if (r == MSG_AGAIN)
			break;
		if (r != MSG_OK)
			return false;
		if (in.kind != MSG_SIGNED || in.SIGNED.seq != m.seq)
			continue;
		if (in.SIGNED.ok)
			buf_addspan(signature, in.SIGNED.signature);
		return in.SIGNED.ok != 0;
	}
	link.suspect = link.started;		/* the loop finds out when it is back */
	link_close("no signature within 2 s", RETRY_MS);
	return false;
}

/* ---- the loop ---- */

/* A signature may have read meanwhile what woke us: look before a read that would block. */
static void
on_ready(void *ctx, int events)
{
	struct pollfd p = { .fd = link.fd, .events = POLLIN };
	struct msg in;

	(void)ctx;
	(void)events;
	if (poll(&p, 1, 0) == 1)
		take_one(&in);
}

static void
on_retry(void *ctx)
{
	(void)ctx;
	if (link.fd >= 0)
		return;
	link.retry_at = 0;
	if (!link_open())
		timer_set(&link.retry, RETRY_MS);
}

static void
add_excluded(struct buf *ciphers, const char *list)
{
	struct span rest = span_str(list), word;

	while (span_word(&rest, ", \t\r\n:", &word))
		buf_addf(ciphers, ":!%.*s", SPAN_FMT(word));
}

/* What smtpd_tls_* and tls_* say. */
static void
set_policy(bool mandatory, bool ask)
{
	const char *grade = mandatory ? par.smtpd_tls_mandatory_ciphers : par.smtpd_tls_ciphers;
	const char *versions = mandatory ? par.smtpd_tls_mandatory_protocols : par.smtpd_tls_protocols;
	struct tls_policy p = { .client_order = !par.tls_preempt_cipherlist, .ask = ask, .ca_file = ask ? par.smtpd_tls_CAfile : "" };
	struct tlsrange range;
	struct buf ciphers, err;

	buf_init(&ciphers, 8192);
	buf_init(&err, 1024);
	if (!tlsrange_parse(span_str(versions), &range, &err))
		die_config("smtpd_tls_%sprotocols: %s", mandatory ? "mandatory_" : "", buf_cstr(&err));
	p.v12 = range.v12;
	p.v13 = range.v13;
	buf_adds(&ciphers, strcmp(grade, "high") == 0 ? par.tls_high_cipherlist : par.tls_medium_cipherlist);
	add_excluded(&ciphers, par.smtpd_tls_exclude_ciphers);
	if (mandatory)
		add_excluded(&ciphers, par.smtpd_tls_mandatory_exclude_ciphers);
	p.ciphers = buf_cstr(&ciphers);
	if (!tls_server_policy(link.server, &p, &err))
		die_config("TLS: %s", buf_cstr(&err));
	buf_fini(&ciphers);
	buf_fini(&err);
}

struct tls_server *
keylink_open(unsigned own_role, const char *alpn, bool mandatory, bool ask_certificate)
{
	uint64_t deadline = clock_mono_ms() + FIRST_MS;
	struct msg in;

	tls_init();
	link.role = own_role;
	link.server = tls_server_new(sign_by_keyd, NULL);
	set_policy(mandatory, ask_certificate);
	if (alpn && *alpn)
		tls_server_alpn(link.server, alpn);
	if (link_open())
		while (link.fd >= 0 && !link.filled && clock_mono_ms() < deadline)
			take_one(&in);
	if (!tls_server_ready(link.server))
		log_warn(NULL, link.filled ? "keyd has no certificate: TLS is not offered before it has one" :
		    "keyd does not answer: TLS is not offered before it does");
	return link.server;
}

void
keylink_start(void)
{
	link.started = true;
	timer_init(&link.retry, on_retry, NULL);
	if (link.fd >= 0)
		watch_start(&link.watch, link.fd, LOOP_READ, on_ready, NULL);
	else if (link.server)
		timer_set(&link.retry, RETRY_MS);
}
