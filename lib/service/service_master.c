/* service_master.c: a daemon's link to master: status up, orders and files down. Master is trusted. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "mail/quota.h"
#include "service/service_private.h"
#include "base/banned.h"

#define ORDERS_A_TURN 16
#define MASTER_WAIT_MS 10000	/* an answer of master takes longer only when it is gone */

static struct watch link_watch;
static void (*spawned)(uint32_t token, uint32_t error, struct span text);
static void (*asked_who)(struct span what, bool kick, int to);
static void (*forked)(struct span mailbox, struct span login, int sock);
static void (*log_changed)(void);

/* What one of our own questions is waiting for. */
static struct {
	bool waiting, done;
	enum msg_kind kind;
	const char *path;	/* of the file that was asked for */
	int fd;
	uint32_t error;
	struct buf *text;
} answer = { .fd = -1 };

/* An order that came while a question waited, of those that must not be carried out in the middle of other work. */
struct postponed {
	struct postponed *next;
	struct buf wire;
	int fds[CHAN_FDS];
};
static struct postponed *postponed, **postponed_end = &postponed;

static char fork_quota[QUOTA_TEXT_MAX + 1];

void
service_on_spawned(void (*f)(uint32_t token, uint32_t error, struct span text))
{
	spawned = f;
}

void
service_on_who(void (*f)(struct span what, bool kick, int to))
{
	asked_who = f;
}

void
service_on_fork(void (*f)(struct span mailbox, struct span login, int sock))
{
	forked = f;
}

void
service_on_log(void (*f)(void))
{
	log_changed = f;
}

static void
send_to_master(enum msg_kind kind, const void *m)
{
	while (!msg_send(MASTER_FD, kind, m)) {
		struct pollfd p = { .fd = MASTER_FD, .events = POLLOUT };

		if (errno != EAGAIN)
			return;			/* master is gone: reading the link tells us */
		poll(&p, 1, 1000);
	}
}

void
master_tell(void)
{
	bool accepting = !service.full && !service.retiring;
	struct msg_STATUS m = { .clients = service.clients, .accepting = accepting, .retiring = service.retiring };

	service.told_clients = service.clients;
	service.told_accepting = accepting;
	send_to_master(MSG_STATUS, &m);
}

/* ---- orders, by kind ---- */

static void
on_retire(struct msg *m)
{
	service_begin_retiring(m->RETIRE.stop != 0);
}

static void
on_params(struct msg *m)
{
	if (m->PARAMS.fd < 0)
		return;
	service_read_params(m->PARAMS.fd);
	close_fd(&m->PARAMS.fd);
	if (service.svc->reloaded)
		service.svc->reloaded();
	log_info(NULL, "parameters have been read again");
}

/* A log that was moved away ends there; from here on lines go into the new one. */
static void
on_log(struct msg *m)
{
	if (m->LOG.fd >= 0 && dup3(m->LOG.fd, STDERR_FILENO, 0) < 0)
		log_error(NULL, "cannot change to the new log: %s", strerror(errno));
	close_fd(&m->LOG.fd);
	if (log_changed)
		log_changed();
}

static void
on_file(struct msg *m)
{
	if (answer.waiting && answer.kind == MSG_FILE && span_eq(m->FILE.path, span_str(answer.path))) {
		answer.fd = m->FILE.fd;
		answer.error = m->FILE.error;
		answer.done = true;
	} else {
		close_fd(&m->FILE.fd);
	}
}

static void
on_spawned(struct msg *m)
{
	if (answer.waiting && answer.kind == MSG_SPAWNED) {
		answer.error = m->SPAWNED.error;
		if (answer.text)
			buf_addspan(answer.text, m->SPAWNED.text);
		answer.done = true;
	} else if (spawned) {
		spawned(m->SPAWNED.token, m->SPAWNED.error, m->SPAWNED.text);
	}
}

const char *
service_quota(void)
{
	return fork_quota;
}

void
service_take_quota(struct span quota)
{
	memcpy(fork_quota, quota.p, quota.n < sizeof(fork_quota) ? quota.n : 0);
	fork_quota[quota.n < sizeof(fork_quota) ? quota.n : 0] = '\0';
}

static void
on_fork(struct msg *m)
{
	service_take_quota(m->FORK.quota);
	if (forked)
		forked(m->FORK.mailbox, m->FORK.login, m->FORK.sock);
	else
		close_fd(&m->FORK.sock);
}

static void
on_who(struct msg *m)
{
	if (asked_who)
		asked_who(m->WHO.what, m->WHO.kick != 0, m->WHO.to);
	else
		close_fd(&m->WHO.to);
}

static void
on_ping(struct msg *m)
{
	(void)m;
	master_tell();
}

/* enters_anew: it leads to the daemon's own work, which may be what waits for an answer just now. */
static const struct order {
	enum msg_kind kind;
	void (*act)(struct msg *m);
	bool enters_anew;
} orders[] = {
	{ MSG_RETIRE, on_retire, true },
	{ MSG_PARAMS, on_params, true },
	{ MSG_LOG, on_log, false },
	{ MSG_FILE, on_file, false },
	{ MSG_SPAWNED, on_spawned, true },
	{ MSG_FORK, on_fork, true },
	{ MSG_PING, on_ping, false },
	{ MSG_WHO, on_who, false },
};

static void
act_on(struct msg *m)
{
	for (size_t i = 0; i < NELEMS(orders); i++)
		if (orders[i].kind == m->kind)
			orders[i].act(m);
}

static bool
must_wait(const struct msg *m)
{
	if (!answer.waiting || service.svc->model != SERVICE_EVENT || m->kind == answer.kind)
		return false;
	for (size_t i = 0; i < NELEMS(orders); i++)
		if (orders[i].kind == m->kind)
			return orders[i].enters_anew;
	return false;
}

static void
postpone(const struct msg *m)
{
	struct postponed *p = x_new(struct postponed);
	int n = 0;

	buf_init(&p->wire, CHAN_MAX);
	for (size_t i = 0; i < NELEMS(p->fds); i++)
		p->fds[i] = -1;
	if (!msg_encode(m->kind, &m->PARAMS, &p->wire, p->fds, &n))
		die("an order of master cannot be kept");
	*postponed_end = p;
	postponed_end = &p->next;
}

/* From the loop: nothing is in the middle of anything. */
static void
catch_up(void *ctx)
{
	struct postponed *p;
	struct msg m;

	(void)ctx;
	while (!answer.waiting && (p = postponed) != NULL) {
		postponed = p->next;
		if (!postponed)
			postponed_end = &postponed;
		if (msg_decode(buf_span(&p->wire), p->fds, R_MASTER, service.svc->role, &m))
			act_on(&m);
		buf_fini(&p->wire);
		free(p);
	}
}

static void
master_is_gone(void)
{
	if (service.svc->stays)		/* a second one on the same spool would deliver twice */
		_exit(0);
	watch_stop(&link_watch);
	service_begin_retiring(false);
}

static bool
take_one(void)
{
	struct msg m;
	enum msg_result r = msg_recv(MASTER_FD, R_MASTER, service.svc->role, &m);

	if (r == MSG_AGAIN)
		return false;
	if (r != MSG_OK) {
		master_is_gone();
		return false;
	}
	if (must_wait(&m))
		postpone(&m);
	else
		act_on(&m);
	return true;
}

void
master_link_take(void)
{
	take_one();
}

void
master_link_take_all(void)
{
	for (int i = 0; i < ORDERS_A_TURN && !service.retiring && take_one(); i++)
		continue;
}

static void
link_ready(void *ctx, int events)
{
	(void)ctx;
	(void)events;
	take_one();
}

void
master_link_start(void)
{
	set_nonblocking(MASTER_FD, true);
	watch_start(&link_watch, MASTER_FD, LOOP_READ, link_ready, NULL);
}

/* ---- questions ---- */

/*
 * Orders that arrive meanwhile are carried out, but those that lead back into the work that waits come after it:
 * a second question within the first one would take its answer. False when master does not answer.
 */
static bool
wait_for_answer(enum msg_kind kind, struct buf *text)
{
	answer.waiting = true;
	answer.done = false;
	answer.kind = kind;
	answer.fd = -1;
	answer.error = ETIMEDOUT;
	answer.text = text;
	while (!answer.done) {
		struct pollfd p = { .fd = MASTER_FD, .events = POLLIN };
		int r = poll(&p, 1, MASTER_WAIT_MS);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0 || (!take_one() && service.retiring))
			break;
	}
	answer.waiting = false;
	if (postponed)
		loop_later(catch_up, NULL);
	return answer.done;
}

int
master_open_file(const char *path)
{
	struct msg_OPEN_FILE m = { .path = span_str(path) };

	send_to_master(MSG_OPEN_FILE, &m);
	answer.path = path;
	if (wait_for_answer(MSG_FILE, NULL) && answer.error == 0 && answer.fd >= 0)
		return answer.fd;
	close_fd(&answer.fd);
	errno = (int)answer.error;
	return -1;
}

bool
service_spawn(uint32_t token, const char *name, struct span user, struct span mailbox, struct span login, int sock)
{
	struct msg_SPAWN m = { .token = token, .service = span_str(name), .user = user, .mailbox = mailbox,
		.login = login, .sock = sock };

	return msg_send(MASTER_FD, MSG_SPAWN, &m);
}

bool
service_spawn_wait(const char *name, struct span user, struct span mailbox, struct span login, struct span quota,
    int sock, struct buf *err)
{
	struct msg_SPAWN m = { .service = span_str(name), .user = user, .mailbox = mailbox, .login = login, .quota = quota,
		.sock = sock };

	send_to_master(MSG_SPAWN, &m);
	if (!wait_for_answer(MSG_SPAWNED, err)) {
		buf_adds(err, "master does not answer");
		return false;
	}
	return answer.error == 0;
}
