/* keeper.c: sessions asleep. What comes on their links is not trusted; the zygote is. */
#include "service/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/fdio.h"
#include "base/jail.h"
#include "base/log.h"
#include "service/keeper_private.h"
#include "service/message.h"
#include "base/banned.h"

#define EVENTS_MAX 256
#define COMING_MS 10000			/* how long a session may take from REST to REST_KEEP */
#define COMING_EXTRA 128		/* links beyond the limit, which hear that it is reached */
#define LOOK_MS 5000			/* between two looks at all of them */
#define WORD_MS (4 * 60 * 1000)		/* a word now and then keeps NAT routers from forgetting the client */
#define WORD "* OK Still here\r\n"
/* A change in a folder that many wait for wakes them one after the other, so that a mailing is no storm of processes. */
#define BURST 64
#define PER_SECOND 256

enum stage { COMING, ASLEEP, DUE, GONE };

struct sleeper {
	enum stage stage;
	bool changed, words;
	uint8_t nplaces;
	int fd;				/* COMING: the link; later the byte pair */
	struct member *places;
	uint64_t seal;
	uint64_t until;			/* monotonic ms; 0: never */
	uint64_t word;			/* when the last one was said */
	uint64_t said;			/* bytes */
	char *text;			/* mailbox, login, quota, state, one behind the other */
	uint16_t lengths[4];
	struct sleeper *next, **prev;	/* all */
	struct sleeper *due;		/* those to be woken for a change; or the list of the gone */
};

static struct sleeper *all, *due, **due_end = &due, *gone;
static uint32_t count, limit;
static int ask = -1, zygote = -1, poller = -1, watcher = -1;
static bool retiring;
static const char *bye;
static uint32_t tokens = BURST;
static uint64_t refilled, looked;

/* ---- descriptors ---- */

static bool
listen_to(int fd, uint32_t events, void *who)
{
	struct epoll_event e = { .events = events, .data = { .ptr = who } };

	return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e) == 0;	/* EPERM: a session has sent what is no socket */
}

/* Not by close(): others may have the same socket open. */
static void
close_heard(int *fd)
{
	if (*fd >= 0)
		epoll_ctl(poller, EPOLL_CTL_DEL, *fd, NULL);
	close_fd(fd);
}

/* ---- sessions ---- */

static bool
sleeper_new(int link)
{
	struct sleeper *s;

	if (count >= limit + COMING_EXTRA || !set_nonblocking(link, true))
		return false;
	s = x_new(struct sleeper);
	if (!listen_to(link, EPOLLIN | EPOLLRDHUP, s)) {
		free(s);
		return false;
	}
	s->fd = link;
	s->until = clock_mono_ms() + COMING_MS;
	s->next = all;
	s->prev = &all;
	if (all)
		all->prev = &s->next;
	all = s;
	count++;
	return true;
}

/* Freed when the events at hand are through: one of them may be its own. */
static void
sleeper_end(struct sleeper *s)
{
	if (s->stage == GONE)
		return;
	while (s->places) {
		struct member *m = s->places;

		s->places = m->more;
		watch_drop(m);
	}
	close_heard(&s->fd);
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	count--;
	if (s->stage != DUE) {
		s->due = gone;
		gone = s;
	}
	s->stage = GONE;		/* one that is due is freed when it is taken from that list */
}

static void
free_gone(void)
{
	while (gone) {
		struct sleeper *s = gone;

		gone = s->due;
		free(s->text);
		free(s);
	}
}

/* No session can be made of it: the client hears so, and its connection ends. */
static void
say_bye(struct sleeper *s)
{
	if (send(s->fd, bye, strlen(bye), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug(NULL, "keeper: bye: %s", strerror(errno));
	sleeper_end(s);
}

static struct span
part(const struct sleeper *s, size_t i)
{
	size_t at = 0;

	for (size_t k = 0; k < i; k++)
		at += s->lengths[k];
	return span_of(s->text + at, s->lengths[i]);
}

static void
wake(struct sleeper *s)
{
	struct msg_WAKE m = { .mailbox = part(s, 0), .login = part(s, 1), .quota = part(s, 2), .state = part(s, 3),
		.seal = s->seal, .said = s->said, .sock = s->fd };

	if (msg_send(zygote, MSG_WAKE, &m)) {		/* waits while the zygote is behind */
		sleeper_end(s);
		return;
	}
	log_warn(NULL, "login=<%.*s>: cannot be woken: %s", SPAN_FMT(m.login), strerror(errno));
	say_bye(s);
}

/* ---- changes ---- */

static void
changed(struct sleeper *s)
{
	s->changed = true;
	if (s->stage != ASLEEP)
		return;
	s->stage = DUE;
	s->due = NULL;
	*due_end = s;
	due_end = &s->due;
}

static void
all_changed(void)
{
	for (struct sleeper *s = all; s; s = s->next)
		if (s->nplaces)
			changed(s);
}

static void
refill(uint64_t now)
{
	uint64_t more = (now - refilled) * PER_SECOND / 1000;

	if (!more)
		return;
	refilled = now;
	tokens = more + tokens > BURST ? BURST : tokens + (uint32_t)more;
}

static void
wake_due(uint64_t now)
{
	refill(now);
	while (due && (tokens || due->stage == GONE)) {
		struct sleeper *s = due;

		due = s->due;
		if (!due)
			due_end = &due;
		if (s->stage == DUE) {
			tokens--;
			s->stage = ASLEEP;
			wake(s);
		} else {
			s->due = gone;
			gone = s;
		}
	}
}

/* ---- a session comes ---- */

static int
take_directory(struct sleeper *s, int dir)
{
	struct member *m;

	if (dir < 0)
		return 0;
	if (s->nplaces >= HIBERNATE_PLACES)
		return E2BIG;
	m = watch_add(s, dir);
	if (!m)
		return errno;
	m->more = s->places;
	s->places = m;
	s->nplaces++;
	return 0;
}

static bool
take_watch(struct sleeper *s, struct msg *m)
{
	struct msg_REST_READY answer = { .error = (uint32_t)take_directory(s, m->REST_WATCH.dir) };

	if (count > limit)
		answer.error = EMFILE;
	if (!m->REST_WATCH.last && !answer.error)
		return true;
	return msg_send(s->fd, MSG_REST_READY, &answer) && !answer.error;
}

/* One connection sleeps once; who brings another's seal, or the same socket again, has been captured. */
static bool
welcome(const struct sleeper *s, const struct msg_REST_KEEP *k)
{
	struct identity who = { k->mailbox, k->login, k->quota };

	if (k->sock < 0 || k->state.n > HIBERNATE_STATE_MAX || !hibernate_sealed(k->sock, &who, k->seal))
		return false;
	for (const struct sleeper *o = all; o; o = o->next)
		if (o != s && o->stage != COMING && o->seal == k->seal)
			return false;
	return true;
}

static bool
take_keep(struct sleeper *s, struct msg *m)
{
	struct msg_REST_KEEP *k = &m->REST_KEEP;
	const struct span parts[] = { k->mailbox, k->login, k->quota, k->state };
	struct buf text;

	if (!welcome(s, k)) {
		log_warn(NULL, "login=<%.*s>: a session was not taken: its seal is not for this connection", SPAN_FMT(k->login));
		return false;
	}
	buf_init(&text, 4 * HIBERNATE_STATE_MAX);
	for (size_t i = 0; i < NELEMS(parts); i++) {
		buf_addspan(&text, parts[i]);
		s->lengths[i] = (uint16_t)parts[i].n;
	}
	if (text.over) {
		buf_fini(&text);
		return false;
	}
	s->text = x_realloc(NULL, text.len + 1);
	memcpy(s->text, text.p, text.len);
	buf_fini(&text);
	close_heard(&s->fd);
	s->fd = k->sock;
	k->sock = -1;
	s->seal = k->seal;
	s->until = k->until;
	s->words = k->words;
	s->word = clock_mono_ms();
	s->stage = ASLEEP;
	if (!listen_to(s->fd, EPOLLIN | EPOLLRDHUP, s))
		s->changed = true;	/* it cannot be heard: let it be awake */
	if (s->changed)
		changed(s);
	return true;
}

static void
hear_coming(struct sleeper *s)
{
	struct msg m;
	enum msg_result r = msg_recv(s->fd, R_IMAP_SESSION, R_KEEPER, &m);
	bool ok = false;

	if (r == MSG_AGAIN)
		return;
	if (r == MSG_OK) {
		ok = m.kind == MSG_REST_WATCH ? take_watch(s, &m) : m.kind == MSG_REST_KEEP && take_keep(s, &m);
		msg_close_fds(&m);
	}
	if (!ok)
		sleeper_end(s);
}

static void
hear_ask(void)
{
	struct msg m;
	enum msg_result r = msg_recv(ask, R_IMAP_SESSION, R_KEEPER, &m);

	if (r == MSG_OK && m.kind == MSG_REST && m.REST.link >= 0 && sleeper_new(m.REST.link))
		m.REST.link = -1;
	if (r == MSG_OK)
		msg_close_fds(&m);
	else if (r == MSG_END)		/* nobody is left who could come, and no zygote */
		close_heard(&ask);
}

/* ---- time ---- */

static void
say_word(struct sleeper *s, uint64_t now)
{
	ssize_t n = send(s->fd, WORD, sizeof(WORD) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);

	s->word = now;
	if (n > 0)
		s->said += (uint64_t)n;
}

static void
look_at_all(uint64_t now)
{
	struct sleeper *next;

	if (now - looked < LOOK_MS)
		return;
	looked = now;
	for (struct sleeper *s = all; s; s = next) {
		next = s->next;
		if (s->stage == COMING && now >= s->until)
			sleeper_end(s);
		else if (s->stage == ASLEEP && s->until && now >= s->until)
			wake(s);
		else if (s->stage == ASLEEP && s->words && now - s->word >= WORD_MS)
			say_word(s, now);
	}
}

/* ---- the process ---- */

/* The log was opened anew. */
static void
take_log(void)
{
	struct msg m;

	if (msg_recv(zygote, R_ZYGOTE, R_KEEPER, &m) != MSG_OK)
		return;
	if (m.kind == MSG_LOG && m.LOG.fd >= 0 && dup3(m.LOG.fd, STDERR_FILENO, 0) < 0)
		log_error(NULL, "keeper: cannot change to the new log: %s", strerror(errno));
	msg_close_fds(&m);
}

static void
hear_zygote(uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR)) {		/* it is dead: nobody can be woken any more */
		while (all)
			say_bye(all);
		_exit(0);
	}
	if (events & EPOLLIN)
		take_log();
	if (retiring || !(events & EPOLLRDHUP))
		return;
	retiring = true;
	epoll_ctl(poller, EPOLL_CTL_MOD, zygote, &(struct epoll_event){ .data = { .ptr = &zygote } });
}

/* The client is gone: its session has to end in its own way, but nobody waits for that. */
static void
hang_up(struct sleeper *s)
{
	epoll_ctl(poller, EPOLL_CTL_DEL, s->fd, NULL);
	changed(s);
}

static void
hear(const struct epoll_event *e)
{
	struct sleeper *s = e->data.ptr;

	if (e->data.ptr == &zygote)
		hear_zygote(e->events);
	else if (e->data.ptr == &ask)
		hear_ask();
	else if (e->data.ptr == &watcher)
		watch_read(changed, all_changed);
	else if (s->stage == COMING)
		hear_coming(s);
	else if (e->events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR))
		hang_up(s);
	else if (s->stage != GONE)
		wake(s);
}

static void
serve(void)
{
	struct epoll_event events[EVENTS_MAX];

	while (!retiring || count) {
		int n = epoll_wait(poller, events, EVENTS_MAX, due ? 1000 / PER_SECOND + 1 : all ? LOOK_MS : -1);

		if (n < 0 && errno != EINTR)
			die_errno("keeper: epoll_wait");
		for (int i = 0; i < n; i++)
			hear(&events[i]);
		wake_due(clock_mono_ms());
		look_at_all(clock_mono_ms());
		free_gone();
	}
}

void
keeper_run(int from, int to, uint32_t most, const char *last_word)
{
	ask = from;
	zygote = to;
	limit = most;
	bye = last_word;
	prctl(PR_SET_NAME, "imap-keeper", 0, 0, 0);
	log_new_process();
	poller = epoll_create1(EPOLL_CLOEXEC);
	watcher = watch_open();
	if (poller < 0)
		die_errno("keeper");
	if (watcher < 0)
		log_warn(NULL, "keeper: no inotify (fs.inotify.max_user_instances): %s; sessions in IDLE stay awake", strerror(errno));
	if (!jail_no_files() || !jail_no_fork())
		die_errno("keeper: jail");
	if (!set_nonblocking(ask, true))
		die_errno("keeper");
	if (!listen_to(ask, EPOLLIN, &ask) || !listen_to(zygote, EPOLLIN | EPOLLRDHUP, &zygote) ||
	    (watcher >= 0 && !listen_to(watcher, EPOLLIN, &watcher)))
		die_errno("keeper: epoll_ctl");
	refilled = looked = clock_mono_ms();
	serve();
	_exit(0);
}
