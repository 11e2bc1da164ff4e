/*
 * links.c: answers CERTS and SIGN. The peer may be a captured worker: it can
 * have signatures made (that is keyd's work), but not see a key, not stop
 * keyd, and not fill its memory: a link that does not read its signatures is
 * closed, and one that does not read certificates gets no further ones.
 */
#include "links.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "service/message.h"
#include "store.h"
#include "tickets.h"
#include "base/banned.h"

#define MESSAGES_AT_ONCE 16	/* then the other links have their turn */
#define CERTS_AT_ONCE 64

struct link {
	int fd;
	unsigned role;
	bool wants;		/* has asked for certificates: is told of new ones */
	bool sending;		/* them: it is not heard before it has taken all */
	size_t due;		/* the next certificate */
	bool complained;	/* one line in the log for each bad link is enough */
	struct watch watch;
	struct link *next, **prev;
};

static struct link *links;
static unsigned link_count;

static void
link_close(struct link *l)
{
	watch_stop(&l->watch);
	close(l->fd);
	*l->prev = l->next;
	if (l->next)
		l->next->prev = l->prev;
	link_count--;
	free(l);
}

static bool
send_one(struct link *l, const struct keys *k, size_t n)
{
	struct msg_CERT m = { .generation = store_generation(), .names = SPAN_NONE, .chain = SPAN_NONE };

	if (l->due < n) {		/* none: one without a chain */
		m.key = k->at[l->due].id;
		m.names = buf_span(&k->at[l->due].names);
		m.chain = buf_span(&k->at[l->due].chain);
	}
	m.last = l->due + 1 >= n;
	m.ticket_keys = m.last && n > 0 ? tickets_all() : SPAN_NONE;
	return msg_send(l->fd, MSG_CERT, &m);
}

/* As many as the link takes now; keyd keeps nothing for it but where it is. False: it is lost. */
static bool
go_on(struct link *l)
{
	const struct keys *k = store_keys();
	size_t n = k ? k->n : 0;

	for (int i = 0; l->sending && i < CERTS_AT_ONCE; i++) {
		if (!send_one(l, k, n)) {
			if (errno != EAGAIN)
				return false;
			break;
		}
		l->sending = ++l->due < n;
	}
	watch_set(&l->watch, l->sending ? LOOP_WRITE : LOOP_READ);
	return true;
}

static bool
send_certificates(struct link *l)
{
	l->wants = l->sending = true;
	l->due = 0;
	return go_on(l);
}

static bool
take_certs(struct link *l, const struct msg *in)
{
	(void)in;
	return send_certificates(l);
}

static bool
take_sign(struct link *l, const struct msg *in)
{
	const struct keypair *k = store_find(in->SIGN.key);
	struct msg_SIGNED m = { .seq = in->SIGN.seq };
	struct buf sig, err;
	bool sent;

	buf_init(&sig, KEYS_SIGNATURE_MAX);
	buf_init(&err, 300);
	if (!k)
		buf_adds(&err, "no such key");
	else
		m.ok = keys_sign(k, in->SIGN.scheme, in->SIGN.digest, in->SIGN.tbs, &sig, &err);
	m.signature = buf_span(&sig);
	if (!m.ok && !l->complained) {
		log_warn(NULL, "signature refused to role 0x%x: %s", l->role, err.p);
		l->complained = true;
	}
	sent = msg_send(l->fd, MSG_SIGNED, &m);
	buf_fini(&sig);
	buf_fini(&err);
	return sent;
}

/* What a worker may ask, in any state. */
static const struct permitted {
	enum msg_kind kind;
	bool (*take)(struct link *, const struct msg *);
} permitted[] = {
	{ MSG_SIGN, take_sign },
	{ MSG_CERTS, take_certs },
};

static bool
take(struct link *l, struct msg *in)
{
	for (size_t i = 0; i < NELEMS(permitted); i++)
		if (permitted[i].kind == in->kind)
			return permitted[i].take(l, in);
	msg_close_fds(in);
	return false;
}

static void
on_ready(void *ctx, int events)
{
	struct link *l = ctx;
	struct msg in;

	(void)events;
	if (l->sending && !go_on(l)) {
		link_close(l);
		return;
	}
	for (int i = 0; i < MESSAGES_AT_ONCE && !l->sending; i++) {
		enum msg_result r = msg_recv(l->fd, l->role, R_KEYD, &in);

		if (r == MSG_AGAIN)
			return;
		if (r != MSG_OK || !take(l, &in)) {
			link_close(l);
			return;
		}
	}
}

void
links_accept(int fd, unsigned role)
{
	struct link *l;

	if (link_count == LINKS_MAX) {
		log_warn(NULL, "more than %d links: one of role 0x%x is refused", LINKS_MAX, role);
		close(fd);
		return;
	}
	set_nonblocking(fd, true);
	l = x_new(struct link);
	l->fd = fd;
	l->role = role;
	l->next = links;
	l->prev = &links;
	if (links)
		links->prev = &l->next;
	links = l;
	link_count++;
	watch_start(&l->watch, fd, LOOP_READ, on_ready, l);
}

void
links_push(void)
{
	struct link *next;

	for (struct link *l = links; l; l = next) {
		next = l->next;
		if (l->wants && !send_certificates(l))
			link_close(l);
	}
}
