/* run.c: start a program, feed it, listen to it, see that nothing of it stays. What it does and writes may be anything. */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/fdio.h"
#include "base/jail.h"
#include "base/log.h"
#include "base/banned.h"

#define CHUNK (64u << 10)
#define ERROR_FD 3			/* in the child: errno of a failed exec */
#define PROCESSES_MAX 500		/* of the user at a time, as far as a program of ours adds to them */
#define SWEEPS_MAX 100000		/* looks for what a program has left */
#define LAST_WORDS 16			/* reads of what it wrote before it ended: more than a pipe holds */
#define CHILDREN_TEXT_MAX (64u << 10)

static volatile sig_atomic_t told_to_stop;

static void
on_term(int sig)
{
	(void)sig;
	told_to_stop = 1;
}

void
run_init(void)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		die_errno("cannot become the parent of what programs leave");
}

/* ---- the child ---- */

static void
default_signals(void)
{
	static const int changed[] = { SIGPIPE, SIGXFSZ, SIGTERM, SIGCHLD };
	sigset_t none;

	for (size_t i = 0; i < NELEMS(changed); i++)
		signal(changed[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
become_program(const struct run *r, int in, int out, int error)
{
	const struct rlimit no_core = { 0, 0 }, processes = { PROCESSES_MAX, PROCESSES_MAX };
	int err;

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &no_core);
	setrlimit(RLIMIT_NPROC, &processes);
	/* pipes of ours were made behind 0, 1, 2: none of these can be among them */
	if (dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2 &&
	    (error == ERROR_FD || dup2(error, ERROR_FD) == ERROR_FD) && fcntl(ERROR_FD, F_SETFD, FD_CLOEXEC) == 0 &&
	    syscall(SYS_close_range, ERROR_FD + 1, ~0u, 0) == 0) {
		default_signals();
		jail_program_child();
		execve(r->argv[0], r->argv, r->env);
	}
	err = errno;
	(void)!write(ERROR_FD, &err, sizeof(err));
	_exit(127);
}

/* ---- the parent ---- */

struct running {
	const struct run *r;
	pid_t pid;
	int in, out, pidfd;		/* in, out: ours of the two pipes; -1: closed */
	struct span pending;		/* of the input, read already */
	uint64_t left, at;		/* of the message's part */
	char chunk[CHUNK];
	sigset_t waiting;		/* signals that are blocked while we wait: all that were, without SIGTERM */
};

static bool
make_pipe(int fd[2], int ours)
{
	if (pipe2(fd, O_CLOEXEC) == 0 && set_nonblocking(fd[ours], true))
		return true;
	close_fd(&fd[0]);
	close_fd(&fd[1]);
	return false;
}

/* errno of the child's exec; 0: it runs */
static int
error_of(int fd)
{
	int err = 0;
	ssize_t n;

	do
		n = read(fd, &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(err) ? err : 0;
}

static int
start(struct running *x)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, error[2] = { -1, -1 }, err = 0;

	if (!make_pipe(in, 1) || !make_pipe(out, 0) || pipe2(error, O_CLOEXEC) < 0 || (x->pid = fork()) < 0)
		err = errno;
	else if (x->pid == 0)
		become_program(x->r, in[0], out[1], error[1]);
	close_fd(&in[0]);
	close_fd(&out[1]);
	close_fd(&error[1]);
	x->in = in[1];
	x->out = out[0];
	if (!err) {
		err = error_of(error[0]);
		x->pidfd = (int)syscall(SYS_pidfd_open, x->pid, 0);
		if (!err && x->pidfd < 0)
			err = errno;
	}
	close_fd(&error[0]);
	return err;
}

/* The next piece of the message. False: it cannot be read. */
static bool
load_chunk(struct running *x)
{
	size_t n = x->left < CHUNK ? (size_t)x->left : CHUNK;

	if (!pread_all(x->r->message, x->chunk, n, (off_t)x->at))
		return false;
	x->pending = span_of(x->chunk, n);
	x->at += n;
	x->left -= n;
	return true;
}

/* As much as it takes; a program may leave what it does not want. */
static bool
feed(struct running *x)
{
	while (x->in >= 0) {
		ssize_t n;

		if (x->pending.n == 0 && x->left > 0 && !load_chunk(x))
			return false;
		if (x->pending.n == 0) {
			close_fd(&x->in);
			break;
		}
		n = write(x->in, x->pending.p, x->pending.n);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0)
			close_fd(&x->in);
		else
			x->pending = span_skip(x->pending, (size_t)n);
	}
	return true;
}

static void
listen_to(struct running *x, struct buf *output)
{
	char text[4096];
	ssize_t n = read(x->out, text, sizeof(text));

	if (n > 0) {
		size_t room = output->max - output->len;

		buf_add(output, text, (size_t)n < room ? (size_t)n : room);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		close_fd(&x->out);
	}
}

/* Until the program itself has ended, its time is over, or we shall end. */
static void
attend(struct running *x, struct run_end *end)
{
	uint64_t until = clock_mono_ms() + (uint64_t)x->r->limit_s * 1000;

	for (;;) {
		uint64_t now = clock_mono_ms(), ms = until > now ? until - now : 0;
		struct timespec wait = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
		struct pollfd p[] = { { x->pidfd, POLLIN, 0 }, { x->in, POLLOUT, 0 }, { x->out, POLLIN, 0 } };

		if (ppoll(p, NELEMS(p), &wait, &x->waiting) < 0 && errno != EINTR)
			die_errno("poll");
		if (told_to_stop || now >= until) {
			end->how = told_to_stop ? RUN_STOPPED : RUN_TOO_LONG;
			return;
		}
		if (p[1].revents && !feed(x)) {
			end->how = RUN_NO_INPUT;
			end->error = errno;
			return;
		}
		if (p[0].revents)
			return;
		if (p[2].revents)
			listen_to(x, end->output);
	}
}

/* ---- nothing stays ---- */

static void
kill_children(void)
{
	struct buf text;
	struct span rest, word;
	uint32_t pid;

	buf_init(&text, CHILDREN_TEXT_MAX);
	if (read_file(AT_FDCWD, "/proc/thread-self/children", &text) || text.len > 0) {
		rest = buf_span(&text);
		while (span_word(&rest, " \n", &word))
			if (span_u32(word, 2, INT32_MAX, &pid))
				kill((pid_t)pid, SIGKILL);
	}
	buf_fini(&text);
}

/* The whole group, and then whatever has left the group: it has become our child, or will when its parent dies. */
static int
sweep(struct running *x)
{
	int status = 0, one;

	kill(-x->pid, SIGKILL);
	for (int n = 0; n < SWEEPS_MAX; n++) {
		pid_t pid = waitpid(-1, &one, WNOHANG);

		if (pid == x->pid)
			status = one;
		if (pid < 0 && errno == ECHILD)
			return status;
		if (pid == 0) {
			kill_children();
			poll(NULL, 0, 1);
		}
	}
	die("processes of a program cannot be ended");
}

void
run_program(const struct run *r, struct run_end *end)
{
	struct running *x = x_new(struct running);
	struct sigaction term = { .sa_handler = on_term }, before;
	sigset_t block, old;

	*x = (struct running){ .r = r, .pid = -1, .in = -1, .out = -1, .pidfd = -1, .pending = r->head,
		.left = r->body_len, .at = r->body_off };
	end->how = RUN_ENDED;
	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &old);
	sigaction(SIGTERM, &term, &before);
	x->waiting = old;
	end->error = start(x);
	if (end->error)
		end->how = RUN_NOT_STARTED;
	else
		attend(x, end);
	close_fd(&x->in);
	if (x->pid > 0) {
		/* what it has written before it ended */
		for (int i = 0; i < LAST_WORDS && x->out >= 0 && end->how == RUN_ENDED; i++)
			listen_to(x, end->output);
		end->status = sweep(x);
	}
	close_fd(&x->out);
	close_fd(&x->pidfd);
	sigaction(SIGTERM, &before, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	free(x);
}
