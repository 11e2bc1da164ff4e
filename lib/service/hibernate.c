/* hibernate.c: seals, and the session's side of falling asleep. The keeper's answers are believed. */
#include "service/hibernate.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/chan.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/siphash.h"
#include "service/message.h"
#include "base/banned.h"

#define ANSWER_MS 3000			/* the keeper's */
#define SEALED_MAX 4096

static unsigned char key[SIPHASH_KEY];

static struct {
	int ask, link;
	bool kept;			/* who is a copy of ours */
	struct identity who;
	uint64_t seal, said;
	struct span state;
} own = { .ask = -1, .link = -1 };

/* ---- seals ---- */

void
hibernate_open(void)
{
	rand_bytes(key, sizeof(key));
}

static void
add_framed(struct buf *b, struct span s)
{
	buf_add_u32(b, (uint32_t)s.n);
	buf_addspan(b, s);
}

uint64_t
hibernate_seal(int sock, const struct identity *who)
{
	uint64_t cookie = 0, seal = 0;
	socklen_t len = sizeof(cookie);
	struct buf b;

	if (getsockopt(sock, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0 || cookie == 0)
		return 0;
	buf_init(&b, SEALED_MAX);
	buf_add_u64(&b, cookie);
	add_framed(&b, who->mailbox);
	add_framed(&b, who->login);
	add_framed(&b, who->quota);
	if (!b.over)
		seal = siphash(key, b.p, b.len);
	buf_fini(&b);
	return seal;
}

bool
hibernate_sealed(int sock, const struct identity *who, uint64_t seal)
{
	return seal != 0 && seal == hibernate_seal(sock, who);
}

void
hibernate_become(int ask, const struct identity *who, uint64_t seal, struct span state, uint64_t said)
{
	explicit_bzero(key, sizeof(key));
	own.ask = seal ? ask : -1;
	own.who = *who;
	own.seal = seal;
	own.state = state;
	own.said = said;
}

/* ---- falling asleep ---- */

static void
cancel(void)
{
	close_fd(&own.link);
}

/* A link of this session alone: on the socket that all have, answers would go to anybody. */
static bool
open_link(void)
{
	struct msg_REST m;
	int pair[2];
	bool ok;

	if (!chan_pair(pair))
		return false;
	m = (struct msg_REST){ .link = pair[1] };
	ok = set_nonblocking(pair[0], true) && msg_send(own.ask, MSG_REST, &m);
	close(pair[1]);
	own.link = pair[0];
	return ok;
}

static bool
await_ready(void)
{
	struct pollfd p = { .fd = own.link, .events = POLLIN };
	struct msg m;

	if (poll(&p, 1, ANSWER_MS) != 1 || msg_recv(own.link, R_KEEPER, R_IMAP_SESSION, &m) != MSG_OK ||
	    m.kind != MSG_REST_READY)
		return false;
	if (m.REST_READY.error)
		log_debug(NULL, "the keeper takes no session: %s", strerror((int)m.REST_READY.error));
	return m.REST_READY.error == 0;
}

/* Out of the buffer of msg_recv(), which the keeper's answer takes. */
static void
keep_identity(void)
{
	struct span *const parts[] = { &own.who.mailbox, &own.who.login, &own.who.quota };

	for (size_t i = 0; i < NELEMS(parts) && !own.kept; i++)
		*parts[i] = span_of(x_spandup(*parts[i]), parts[i]->n);
	own.kept = true;
}

static bool
prepare(const int *dirs, size_t n)
{
	bool ok = n <= HIBERNATE_PLACES && open_link();

	keep_identity();

	for (size_t i = 0; ok && (i < n || i == 0); i++) {
		struct msg_REST_WATCH m = { .last = i + 1 >= n, .dir = i < n ? dirs[i] : -1 };

		ok = msg_send(own.link, MSG_REST_WATCH, &m);
	}
	ok = ok && await_ready();
	if (!ok)
		cancel();
	return ok;
}

static bool
commit(int sock, struct span state, uint64_t until, bool words)
{
	struct msg_REST_KEEP m = { .mailbox = own.who.mailbox, .login = own.who.login, .quota = own.who.quota, .seal = own.seal,
		.until = until, .words = words, .state = state, .sock = sock };
	bool ok = state.n <= HIBERNATE_STATE_MAX && msg_send(own.link, MSG_REST_KEEP, &m);

	cancel();
	return ok;
}

const struct hibernator *
hibernate_offered(void)
{
	static const struct hibernator h = { .prepare = prepare, .commit = commit, .cancel = cancel };

	return own.ask >= 0 ? &h : NULL;
}

struct span
hibernate_state(void)
{
	return own.state;
}

uint64_t
hibernate_said(void)
{
	return own.said;
}
