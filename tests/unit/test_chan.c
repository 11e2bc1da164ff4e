/* SOCK_SEQPACKET links with descriptors. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/chan.h"
#include "base/fdio.h"
#include "base/banned.h"

static unsigned
open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
messages_keep_their_borders(void **state)
{
	int fd[2], fds[CHAN_FDS];
	char got[16];

	(void)state;
	assert_true(chan_pair(fd));
	assert_true(chan_send(fd[0], "one", 3, NULL, 0));
	assert_true(chan_send(fd[0], "three", 5, NULL, 0));
	assert_int_equal(chan_recv(fd[1], got, sizeof(got), fds), 3);
	assert_int_equal(chan_recv(fd[1], got, sizeof(got), fds), 5);
	assert_memory_equal(got, "three", 5);
	assert_int_equal(fds[0], -1);
	assert_true(chan_send(fd[0], "12345678901234567", 17, NULL, 0));
	assert_int_equal(chan_recv(fd[1], got, sizeof(got), fds), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_false(chan_send(fd[0], "", 0, NULL, 0));	/* would look like the end of the link */
	close(fd[0]);
	assert_int_equal(chan_recv(fd[1], got, sizeof(got), fds), 0);
	assert_false(chan_send(fd[1], "x", 1, NULL, 0));	/* and no SIGPIPE */
	assert_int_equal(errno, EPIPE);
	close(fd[1]);
}

static void
descriptors(void **state)
{
	int fd[2], fds[CHAN_FDS], pipe_fd[2], two[2];
	unsigned before = open_descriptors();
	char got[16] = "";

	(void)state;
	assert_true(chan_pair(fd));
	assert_int_equal(pipe(pipe_fd), 0);
	two[0] = pipe_fd[1];
	two[1] = pipe_fd[0];
	assert_true(chan_send(fd[0], "x", 1, two, 2));
	assert_int_equal(chan_recv(fd[1], got, sizeof(got), fds), 1);
	assert_true(fds[0] >= 0 && fds[1] >= 0);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	assert_true(write_all(fds[0], "hi", 2));
	assert_int_equal(read(pipe_fd[0], got, 2), 2);
	close(fds[0]);
	close(fds[1]);
	/* a message that does not fit leaves no descriptor behind */
	assert_true(chan_send(fd[0], "12345678901234567", 17, two, 1));
	assert_int_equal(chan_recv(fd[1], got, sizeof(got), fds), -1);
	assert_int_equal(fds[0], -1);
	assert_false(chan_send(fd[0], "x", 1, two, 3));
	close(fd[0]);
	close(fd[1]);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	assert_int_equal(open_descriptors(), before);
}

static void
listeners(void **state)
{
	char dir[] = "/tmp/merpati-chan-XXXXXX", path[64], longer[300];
	struct stat st;
	int server, client;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	assert_int_equal(chan_connect(path), -1);
	assert_int_equal(errno, ENOENT);
	server = chan_listen(path, 0660);
	assert_true(server >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	close(server);
	assert_int_equal(chan_connect(path), -1);	/* a stale one */
	assert_int_equal(errno, ECONNREFUSED);
	server = chan_listen(path, 0600);
	client = chan_connect(path);
	assert_true(server >= 0 && client >= 0);
	close(client);
	close(server);
	unlink(path);
	rmdir(dir);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(chan_listen(longer, 0600), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(messages_keep_their_borders), cmocka_unit_test(descriptors),
		cmocka_unit_test(listeners) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
