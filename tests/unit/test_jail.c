/* The walls: each row is a jail and an attempt; a child enters and tries, the parent sees how it ended. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/jail.h"
#include "base/banned.h"

#define NOBODY 65534		/* root is above limits of processes */

static pid_t tester;
static int pair[2];
static char room[] = "/tmp/merpati-jail-XXXXXX";

/* 0: done; errno otherwise */
static int
read_inside(void)
{
	return open("inside", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static int
write_inside(void)
{
	return open("written", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 ? errno : 0;
}

static int
read_outside(void)
{
	return open("../../../../../../etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static int
make_inet_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int
make_datagram_socket(void)
{
	return socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) < 0 ? errno : 0;
}

static int
make_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int
run_program(void)
{
	char *argv[] = { (char[]){ "true" }, NULL };

	execve("/bin/true", argv, argv + 1);
	return errno;
}

static int
signal_parent(void)
{
	return kill(getppid(), 0) < 0 ? errno : 0;
}

static int
become_root_again(void)
{
	return setuid(0) < 0 ? errno : 0;
}

static int
remove_outside(void)
{
	return unlink("../merpati-jail-nothing") < 0 ? errno : 0;
}

static int
fork_a_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int
limit_itself(void)
{
	return jail_no_fork() ? 0 : errno;
}

/* What a captured session would do to its zygote, which has another pid but the same uid. */
static int
signal_the_zygote(void)
{
	pid_t zygote = getpid(), pid = fork();
	int status;

	if (pid == 0)
		_exit(kill(zygote, 0) < 0 ? EPERM : 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 0;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? EPERM : WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static int
fork_when_it_may_not(void)
{
	return jail_no_fork() ? fork_a_child() : 0;
}

static int
fork_after_lifting_the_limit(void)
{
	const struct rlimit many = { RLIM_INFINITY, RLIM_INFINITY };

	return !jail_no_fork() || setrlimit(RLIMIT_NPROC, &many) == 0 ? 0 : fork_a_child();
}

/* Another session has the same uid. */
static int
limit_another_process(void)
{
	const struct rlimit few = { 3, 3 };

	return prlimit(tester, RLIMIT_NOFILE, &few, NULL) < 0 ? errno : 0;
}

/* A socket that it has; MSG_FASTOPEN would connect it anew, to anybody. */
static int
send_with(int flags)
{
	const struct sockaddr_in to = { .sin_family = AF_INET };
	int got = (int)sendto(pair[0], "x", 1, flags, (const struct sockaddr *)&to, sizeof(to));

	return got < 0 && errno != EOPNOTSUPP && errno != EISCONN ? errno : 0;
}

static int
send_to_another(void)
{
	return send_with(0);
}

static int
connect_by_sending(void)
{
	return send_with(MSG_FASTOPEN);
}

static int
connect_by_a_message(void)
{
	struct iovec iov = { room, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	return sendmsg(pair[0], &m, MSG_FASTOPEN) < 0 ? errno : 0;
}

static int
make_closing_wait(void)
{
	const struct linger l = { 1, 1000 };

	return setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &l, sizeof(l)) < 0 ? errno : 0;
}

static int
set_timeout(void)
{
	const struct timeval tv = { .tv_sec = 1 };

	return setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0 ? errno : 0;
}

enum { DONE = 1, REFUSED = 2, KILLED = 4, AS_NOBODY = 8 };

static const struct {
	const char *name;
	unsigned sys;
	bool write_below;
	int (*attempt)(void);
	int allowed;			/* DONE, or the ways to be stopped */
} rows[] = {
	{ "read inside", JAIL_READ, false, read_inside, DONE },
	{ "read inside without the right", 0, false, read_inside, REFUSED | KILLED },
	{ "write inside", JAIL_READ | JAIL_WRITE, true, write_inside, DONE },
	{ "write inside without the right", JAIL_READ, false, write_inside, REFUSED | KILLED },
	{ "read outside", JAIL_READ | JAIL_WRITE, true, read_outside, REFUSED | KILLED },
	{ "remove outside", JAIL_READ | JAIL_WRITE, true, remove_outside, REFUSED | KILLED },
	{ "inet socket", JAIL_SOCKET | JAIL_UNIX | JAIL_READ, false, make_inet_socket, REFUSED | KILLED },
	{ "inet socket allowed", JAIL_INET, false, make_inet_socket, DONE },
	{ "datagrams allowed", JAIL_SOCKET | JAIL_UDP, false, make_datagram_socket, DONE },
	{ "a connection where datagrams are allowed", JAIL_SOCKET | JAIL_UDP | JAIL_UNIX, false, make_inet_socket, REFUSED },
	{ "unix socket", JAIL_SOCKET | JAIL_INET, false, make_unix_socket, REFUSED | KILLED },
	{ "unix socket allowed", JAIL_UNIX, false, make_unix_socket, DONE },
	{ "send", JAIL_SOCKET, false, send_to_another, DONE },
	{ "another connection of a socket", JAIL_SOCKET, false, connect_by_sending, KILLED },
	{ "the same with UNIX sockets", JAIL_SOCKET | JAIL_UNIX | JAIL_UDP, false, connect_by_sending, KILLED },
	{ "the same with a message", JAIL_SOCKET, false, connect_by_a_message, KILLED },
	{ "a connection allowed", JAIL_SOCKET | JAIL_INET, false, connect_by_sending, DONE },
	{ "a close that waits", JAIL_SOCKET, false, make_closing_wait, KILLED },
	{ "a time-out", JAIL_SOCKET, false, set_timeout, DONE },
	{ "exec", JAIL_READ | JAIL_WRITE | JAIL_SOCKET | JAIL_UNIX | JAIL_INET, true, run_program, REFUSED | KILLED },
	{ "kill", JAIL_SOCKET | JAIL_UNIX, false, signal_parent, REFUSED | KILLED },
	{ "setuid", JAIL_READ, false, become_root_again, REFUSED | KILLED },
	{ "fork", JAIL_SOCKET | JAIL_READ, false, fork_a_child, REFUSED | KILLED },
	{ "fork allowed", JAIL_FORK, false, fork_a_child, DONE },
	{ "fork no more", JAIL_FORK, false, fork_when_it_may_not, REFUSED | AS_NOBODY },
	{ "fork with a limit that is lifted again", JAIL_FORK, false, fork_after_lifting_the_limit, REFUSED | AS_NOBODY },
	{ "fork no more, root", JAIL_FORK, false, fork_when_it_may_not, REFUSED | KILLED },
	{ "limits of another process", JAIL_FORK, false, limit_another_process, REFUSED },
	{ "limits without the right", JAIL_SOCKET, false, limit_itself, REFUSED | AS_NOBODY },
	{ "a session and its zygote", JAIL_FORK, false, signal_the_zygote, REFUSED },
};

static int
how_it_ends(size_t i)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct jail j = { .sys = rows[i].sys, .root = room, .write_below = rows[i].write_below };
		struct buf missing;

		buf_init(&missing, 256);
		if (rows[i].allowed & AS_NOBODY) {
			j.root = NULL;
			if (getuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
				_exit(2);
		}
		jail_enter(&j, &missing);
		_exit(rows[i].attempt() == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : 0;
	return WEXITSTATUS(status) == 0 ? DONE : WEXITSTATUS(status) == 1 ? REFUSED : 0;
}

static void
each_attempt_ends_as_its_row_says(void **state)
{
	(void)state;
	tester = getpid();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		int end = how_it_ends(i);

		if (!(end & rows[i].allowed))
			fail_msg("%s: ended as %d", rows[i].name, end);
	}
}

static int
reads(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A zygote's child sees its own directory and no other. */
static void
a_child_is_shut_into_one_directory(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		struct jail j = { .sys = JAIL_READ | JAIL_WRITE | JAIL_FORK | JAIL_LANDLOCK, .root = room, .write_below = true };
		struct buf missing;
		bool before, own, other;

		buf_init(&missing, 256);
		jail_enter(&j, &missing);
		before = reads("b/mail");
		if (!jail_only_dir("a"))
			_exit(10);
		own = reads("a/mail") && rename("a/mail", "a/moved") == 0;
		other = reads("b/mail");
		_exit(span_is(span_str(buf_cstr(&missing)), "Landlock") ? 77 : before && own && !other ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int
make_room(void **state)
{
	(void)state;
	if (!mkdtemp(room) || chdir(room) < 0 || mkdir("a", 0700) < 0 || mkdir("b", 0700) < 0)
		return -1;
	return replace_file(AT_FDCWD, "inside", SPAN("x"), 0600) && replace_file(AT_FDCWD, "a/mail", SPAN("x"), 0600) &&
	    replace_file(AT_FDCWD, "b/mail", SPAN("x"), 0600) ? 0 : -1;
}

static int
remove_room(void **state)
{
	static const char *const files[] = { "inside", "written", "a/mail", "a/moved", "b/mail" };

	(void)state;
	for (size_t i = 0; i < NELEMS(files); i++)
		unlink(files[i]);
	rmdir("a");
	rmdir("b");
	return chdir("/") == 0 && rmdir(room) == 0 ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_attempt_ends_as_its_row_says),
		cmocka_unit_test(a_child_is_shut_into_one_directory),
	};

	return cmocka_run_group_tests(tests, make_room, remove_room);
}
