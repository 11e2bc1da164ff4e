/* zygote.c: one child a login, shut into its mailbox before it reads a byte. Master is trusted, the client is not. */
#include "service/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/chan.h"
#include "base/fdio.h"
#include "base/log.h"
#include "mail/mailboxpath.h"
#include "service/hibernate.h"
#include "service/keeper.h"

#include "base/banned.h"

#define MASTER_LINK 0
#define OTHER_FILES 256		/* descriptors that the keeper needs beside one for each session */

static const struct zygote *zygote;

/* The keeper of sessions that sleep: where they come in, and our own link to it. */
static struct {
	bool wanted;
	uint32_t limit;
	int ask, link;
} keeper = { .ask = -1, .link = -1 };

/* One that is to be made. */
struct login {
	struct identity who;
	uint64_t seal;
	struct span state;		/* SPAN_NONE: it has just logged in */
	uint64_t said;
	int sock;
};

/* The directory is there but at a user's first login. */
static bool
shut_in(struct span mailbox)
{
	char *dir = x_spandup(mailboxpath_dir(mailbox));
	bool ok = chdir(dir) == 0 || (errno == ENOENT && make_dirs(AT_FDCWD, dir, 0700) && chdir(dir) == 0);

	free(dir);
	return ok && jail_only_dir(".") && jail_no_fork();
}

/* A user of the system: what else lies in the home directory (keys, programs that run at a login) is no business of his mail. */
static bool
shut_home(const char *maildir)
{
	return make_dirs(AT_FDCWD, maildir, 0700) && jail_only_dir(maildir) && jail_no_fork();
}

static void
be_session(const struct login *l)
{
	close(MASTER_LINK);
	close_fd(&keeper.link);
	hibernate_become(keeper.ask, &l->who, l->seal, l->state, l->said);
	log_new_process();
	if (!shut_in(l->who.mailbox)) {
		log_error(NULL, "login=<%.*s>: cannot enter %.*s: %s", SPAN_FMT(l->who.login), SPAN_FMT(l->who.mailbox), strerror(errno));
		_exit(1);
	}
	zygote->session(l->sock, l->who.login, mailboxpath_inside(l->who.mailbox));
	_exit(0);		/* nothing is left to flush: exit handlers would only copy the zygote's pages */
}

/* False: there is no process; the socket stays the caller's. */
static bool
fork_session(const struct login *l)
{
	pid_t pid = fork();

	if (pid == 0)
		be_session(l);
	if (pid < 0)
		log_error(NULL, "login=<%.*s>: cannot fork: %s", SPAN_FMT(l->who.login), strerror(errno));
	return pid > 0;
}

/* ---- sessions that sleep ---- */

/* The keeper has ended: those who slept are lost, those awake stay so. The next login gets a new one. */
static void
keeper_lost(void)
{
	service_also(-1, NULL);
	close_fd(&keeper.link);
	close_fd(&keeper.ask);
}

static void
wake(struct msg_WAKE *w)
{
	struct login l = { .who = { w->mailbox, w->login, w->quota }, .seal = w->seal, .state = w->state, .said = w->said,
		.sock = w->sock };

	if (!hibernate_sealed(w->sock, &l.who, w->seal) || !mailboxpath_valid(w->mailbox)) {
		log_error(NULL, "login=<%.*s>: not woken: the seal is not for this connection", SPAN_FMT(w->login));
		return;
	}
	service_take_quota(w->quota);
	if (!fork_session(&l) && send(w->sock, zygote->lost, strlen(zygote->lost), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug(NULL, "bye: %s", strerror(errno));
}

static void
hear_keeper(void)
{
	struct msg m;
	enum msg_result r = msg_recv(keeper.link, R_KEEPER, R_ZYGOTE, &m);

	if (r == MSG_OK) {
		if (m.kind == MSG_WAKE)
			wake(&m.WAKE);
		msg_close_fds(&m);
	} else if (r != MSG_AGAIN) {
		keeper_lost();
	}
}

/* The keeper is no child of master: it has the log from us. */
static void
pass_log(void)
{
	const struct msg_LOG m = { .fd = STDERR_FILENO };

	if (keeper.link >= 0 && !msg_send(keeper.link, MSG_LOG, &m))
		log_warn(NULL, "the keeper keeps the old log: %s", strerror(errno));
}

/* login: the byte pair of the session for which it is started; it must not stay open in the keeper. */
static bool
start_keeper(int login)
{
	int in[2], link[2];
	pid_t pid = -1;

	if (!chan_pair(in))
		return false;
	if (chan_pair(link)) {
		pid = fork();
		if (pid == 0) {
			close(MASTER_LINK);
			close(login);
			close(in[1]);
			close(link[1]);
			keeper_run(in[0], link[0], keeper.limit, zygote->lost);
		}
		close(link[0]);
		keeper.link = link[1];
	}
	close(in[0]);
	keeper.ask = in[1];
	if (pid > 0)
		service_also(keeper.link, hear_keeper);
	else
		keeper_lost();
	return pid > 0;
}

static void
take_fork(struct span mailbox, struct span login, int sock)
{
	struct login l = { .who = { mailbox, login, SPAN_NONE }, .state = SPAN_NONE, .sock = sock };

	if (sock < 0)
		return;
	if (!mailboxpath_valid(mailbox)) {
		log_error(NULL, "not a mailbox: %.*s", SPAN_FMT(mailbox));
		close(sock);
		return;
	}
	if (keeper.wanted && (keeper.ask >= 0 || start_keeper(sock))) {
		l.who.quota = span_str(service_quota());
		l.seal = hibernate_seal(sock, &l.who);
	}
	fork_session(&l);
	close(sock);
}

void
zygote_open(void)
{
	struct rlimit r;

	hibernate_open();
	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur <= 2 * OTHER_FILES)
		return;
	keeper.limit = (r.rlim_cur > UINT32_MAX ? UINT32_MAX : (uint32_t)r.rlim_cur) - OTHER_FILES;
	keeper.wanted = true;
}

void
zygote_start(const struct zygote *z)
{
	struct sigaction sa = { .sa_handler = SIG_IGN, .sa_flags = SA_NOCLDWAIT };

	zygote = z;
	keeper.wanted = keeper.wanted && z->lost;
	sigaction(SIGCHLD, &sa, NULL);	/* children are nobody's concern: the kernel reaps them */
	service_on_fork(take_fork);
	service_on_log(pass_log);
}

void
zygote_finish(void)
{
	if (keeper.link < 0)
		return;
	close_fd(&keeper.ask);
	shutdown(keeper.link, SHUT_WR);		/* "end with the last of them" */
	while (keeper.link >= 0)
		hear_keeper();
}

void
zygote_serve(int fd, unsigned role)
{
	const char *mailbox = service_mailbox();
	char *maildir;

	(void)role;
	set_nonblocking(fd, false);
	if (*mailbox && (!mailboxpath_valid(span_str(mailbox)) || !shut_in(span_str(mailbox)))) {
		log_error(NULL, "cannot enter %s: %s", mailbox, strerror(errno));
		return;
	}
	maildir = x_strdup(service_has_home() && !*mailbox ? par.home_mailbox : mailboxpath_inside(span_str(mailbox)));
	for (size_t n = strlen(maildir); n > 1 && maildir[n - 1] == '/'; n--)
		maildir[n - 1] = '\0';
	if (!*mailbox && !shut_home(maildir))
		log_error(NULL, "cannot enter %s: %s", maildir, strerror(errno));
	else
		zygote->session(fd, span_str(service_login()), maildir);
	free(maildir);
}
