/* test_pop3_session.c: POP3 dialogues through a socket pair. links: pop3d/session/session.c pop3d/session/commands.c */
#include "session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "tests/unit/tmptree.h"
#include "tests/unit/unit.h"

static char dir[64];
static bool disk_fails;		/* every fsync */
static int syncs;		/* in the session's process: told by its exit status */

int
fsync(int fd)
{
	syncs++;
	if (disk_fails) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static int
setup(void **state)
{
	enum store_result r;

	(void)state;
	mailstore_init();
	snprintf(dir, sizeof(dir), "/tmp/pop3-test-XXXXXX");
	if (!mkdtemp(dir) || chdir(dir) < 0)
		return -1;
	mailstore_free(mailstore_new("Maildir", true, &r));
	put_file("Maildir/new/1000.Q1R1.h,S=22,W=26", "A: b\n\n.dot\n..\nlast..\n\n");
	put_file("Maildir/new/2000.Q2R1.h,S=15,W=18", "A: b\n\nno newl\n\n");
	put_file("Maildir/cur/3000.foreign:2,S", "A: b\r\n\r\ncrlf\r\nno end");
	return 0;
}

/* What the session answers when the client sends `input` and closes. Gives how often it synced. */
static int
dialogue(const char *input, struct buf *out)
{
	char block[4096];
	int fd[2], status;
	ssize_t n;
	pid_t pid;

	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	pid = fork();
	if (pid == 0) {
		close(fd[1]);
		syncs = 0;
		pop3_session(fd[0], SPAN("u@d.test"), "Maildir", 5000);
		_exit(syncs);
	}
	close(fd[0]);
	/* a session that refuses may have ended before it could read a word */
	assert_true(send(fd[1], input, strlen(input), MSG_NOSIGNAL) == (ssize_t)strlen(input) || errno == EPIPE);
	shutdown(fd[1], SHUT_WR);
	while ((n = read(fd[1], block, sizeof(block))) > 0)
		buf_add(out, block, (size_t)n);
	close(fd[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
expect(const char *input, const char *output)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	dialogue(input, &out);
	assert_string_equal(buf_cstr(&out), output);
	buf_fini(&out);
}

#define HELLO "+OK Logged in.\r\n"
#define NO "-ERR no such message\r\n"

static void
test_reads(void **state)
{
	(void)state;
	expect("STAT\r\nLIST\r\nlist 2\r\n", HELLO "+OK 3 64\r\n+OK\r\n1 26\r\n2 18\r\n3 20\r\n.\r\n+OK 2 18\r\n");
	expect("RETR 1\r\n", HELLO "+OK 26 octets\r\nA: b\r\n\r\n..dot\r\n...\r\nlast..\r\n\r\n.\r\n");
	expect("TOP 1 1\r\nTOP 1 0\r\n", HELLO "+OK 26 octets\r\nA: b\r\n\r\n..dot\r\n.\r\n+OK 26 octets\r\nA: b\r\n\r\n.\r\n");
	expect("TOP 3 4294967295\r\n", HELLO "+OK 20 octets\r\nA: b\r\n\r\ncrlf\r\nno end\r\n.\r\n");
}

static void
test_bad(void **state)
{
	struct buf in, out;

	(void)state;
	expect("RETR 4294967297\r\nRETR -1\r\nRETR 0\r\nRETR 4\r\nDELE x\r\n", HELLO NO NO NO NO NO);
	expect("TOP 1 99999999999\r\nTOP 1\r\nRETR\r\nSTAT 1\r\nUSER x\r\nXTND\r\n\r\n", HELLO "-ERR usage: TOP message lines\r\n"
	    "-ERR usage: TOP message lines\r\n-ERR an argument is missing\r\n-ERR no argument is expected\r\n"
	    "-ERR already logged in\r\n-ERR unknown command\r\n-ERR a command is missing\r\n");
	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	for (int i = 0; i < 500; i++)
		buf_adds(&in, "FOO\r\n");
	dialogue(buf_cstr(&in), &out);
	assert_true(out.len < 1000);
	assert_non_null(strstr(buf_cstr(&out), "too many"));
	buf_reset(&in);
	buf_reset(&out);
	buf_adds(&in, "STAT\r\n");
	for (int i = 0; i < 50000; i++)
		buf_adds(&in, "x");
	dialogue(buf_cstr(&in), &out);
	assert_string_equal(buf_cstr(&out), HELLO "+OK 3 64\r\n-ERR Line too long\r\n");
	buf_fini(&in);
	buf_fini(&out);
}

static void
test_uidl_and_delete(void **state)
{
	struct buf a, b;

	(void)state;
	buf_init(&a, 4096);
	buf_init(&b, 4096);
	dialogue("UIDL\r\nQUIT\r\n", &a);
	assert_int_equal(rename("Maildir/new/1000.Q1R1.h,S=22,W=26", "Maildir/cur/1000.Q1R1.h,S=22,W=26,U=7:2,S"), 0);
	dialogue("UIDL\r\nQUIT\r\n", &b);
	assert_string_equal(buf_cstr(&a), buf_cstr(&b));
	expect("DELE 2\r\nDELE 2\r\nRETR 2\r\n", HELLO "+OK marked for deletion\r\n-ERR message is deleted\r\n-ERR message is deleted\r\n");
	expect("STAT\r\nQUIT\r\n", HELLO "+OK 3 64\r\n+OK bye\r\n");
	expect("DELE 2\r\nRSET\r\nSTAT\r\nDELE 2\r\nSTAT\r\nQUIT\r\n", HELLO "+OK marked for deletion\r\n+OK\r\n+OK 3 64\r\n"
	    "+OK marked for deletion\r\n+OK 2 46\r\n+OK bye\r\n");
	expect("STAT\r\nQUIT\r\n", HELLO "+OK 2 46\r\n+OK bye\r\n");
	buf_fini(&a);
	buf_fini(&b);
}

/* +OK to QUIT means that nothing comes back, whatever happens to the power. */
static void
test_removals_are_durable(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	put_file("Maildir/new/4000.Q4R1.h,S=3,W=4", "ab\n");
	put_file("Maildir/new/5000.Q5R1.h,S=3,W=4", "ab\n");
	assert_int_equal(dialogue("UIDL\r\nQUIT\r\n", &out), 0);
	buf_reset(&out);
	disk_fails = true;
	assert_int_equal(dialogue("DELE 3\r\nQUIT\r\n", &out), 1);
	assert_string_equal(buf_cstr(&out), HELLO "+OK marked for deletion\r\n-ERR [SYS/TEMP] some deleted messages were not removed\r\n");
	disk_fails = false;
	buf_reset(&out);
	assert_int_equal(dialogue("DELE 3\r\nQUIT\r\n", &out), 1);
	assert_string_equal(buf_cstr(&out), HELLO "+OK marked for deletion\r\n+OK bye\r\n");
	buf_fini(&out);
}

static void
test_in_use(void **state)
{
	enum store_result r;
	struct mailstore *ms = mailstore_new("Maildir", false, &r);

	(void)state;
	assert_int_equal(mailstore_lock(ms), STORE_OK);
	expect("STAT\r\n", "-ERR [IN-USE] another session has this mailbox\r\n");
	mailstore_free(ms);
	expect("NOOP\r\n", HELLO "+OK\r\n");
}

static int
teardown(void **state)
{
	(void)state;
	return leave_tree(dir);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_uidl_and_delete),
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_removals_are_durable),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
