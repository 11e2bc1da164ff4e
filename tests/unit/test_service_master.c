/* test_service_master.c: the link to master: what comes while a question waits is neither its answer nor carried out in the middle. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/chan.h"
#include "base/loop.h"
#include "service/message.h"
#include "service/service_private.h"
#include "base/banned.h"

static const struct service daemon_service = { .name = "test", .role = R_QMGR, .model = SERVICE_EVENT };
static int master_end;
static bool asking;
static unsigned spawned;

static void
answer_file(const char *path, const char *file)
{
	struct msg_FILE m = { .path = span_str(path), .fd = open(file, O_RDONLY | O_CLOEXEC) };

	assert_true(m.fd >= 0 && msg_send(master_end, MSG_FILE, &m));
	close(m.fd);
}

static bool
same_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino && a.st_rdev == b.st_rdev;
}

/* As qmgr does: the news leads to work that asks master as well. */
static void
on_spawned(uint32_t token, uint32_t error, struct span text)
{
	int fd;

	assert_false(asking);
	assert_int_equal(token, 5 + spawned);
	assert_int_equal(error, 7);
	assert_true(span_is(text, "no such user"));
	answer_file("/b", "/dev/null");
	fd = master_open_file("/b");
	assert_true(same_file(fd, "/dev/null"));
	close(fd);
	if (++spawned == 2)
		loop_stop();
}

static void
what_comes_meanwhile_waits_and_answers_are_told_apart(void **state)
{
	struct msg_SPAWNED news = { .token = 5, .error = 7, .text = SPAN("no such user") };
	int fd;

	(void)state;
	assert_true(msg_send(master_end, MSG_SPAWNED, &news));
	answer_file("/late", "/dev/zero");
	news.token++;
	assert_true(msg_send(master_end, MSG_SPAWNED, &news));
	answer_file("/a", "/dev/full");
	asking = true;
	fd = master_open_file("/a");
	asking = false;
	assert_true(same_file(fd, "/dev/full"));
	close(fd);
	assert_int_equal(spawned, 0);
	loop_run();
	assert_int_equal(spawned, 2);
}

static int
start(void **state)
{
	int fd[2];

	(void)state;
	assert_true(chan_pair(fd));
	master_end = fd[0];
	assert_int_equal(dup2(fd[1], MASTER_FD), MASTER_FD);
	service.svc = &daemon_service;
	loop_init();
	master_link_start();
	service_on_spawned(on_spawned);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_meanwhile_waits_and_answers_are_told_apart),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
