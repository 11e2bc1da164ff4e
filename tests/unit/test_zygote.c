/*
 * test_zygote.c: the parent of sessions: each child sees one mailbox and nothing beside it. The spine
 * is played by this file.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "service/zygote.h"
#include "tests/unit/tmptree.h"
#include "base/banned.h"

static char dir[] = "/tmp/merpati-zygote-XXXXXX";
static void (*fork_session)(struct span mailbox, struct span login, int sock);
static const char *mailbox_option = "";
static bool home;

/* ---- the spine ---- */

void
service_on_log(void (*f)(void) UNUSED)
{
}

void
service_on_fork(void (*f)(struct span mailbox, struct span login, int sock))
{
	fork_session = f;
}

void
service_also(int fd UNUSED, void (*ready)(void) UNUSED)
{
}

void
service_take_quota(struct span quota UNUSED)
{
}

const char *
service_quota(void)
{
	return "";
}

const char *
service_mailbox(void)
{
	return mailbox_option;
}

const char *
service_login(void)
{
	return "bob";
}

bool
service_has_home(void)
{
	return home;
}

/* ---- a session that tells what it may do ---- */

static const char *
attempt(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == EACCES ? "walled" : strerror(errno);
	close(fd);
	return "done";
}

static void
session(int fd, struct span login, const char *maildir)
{
	dprintf(fd, "login=%.*s maildir=%s own=%s neighbour=%s above=%s root=%s", SPAN_FMT(login), maildir,
	    attempt("mine", O_RDWR | O_CREAT), attempt("../b/secret", O_RDONLY), attempt("../new", O_RDWR | O_CREAT),
	    attempt("/etc/passwd", O_RDONLY));
}

static const struct zygote zygote = { .session = session };

/* What the session on the other end of this socket writes until its end. */
static void
hear(int fd, char *out, size_t cap)
{
	size_t len = 0;
	ssize_t n;

	while (len < cap - 1 && (n = read(fd, out + len, cap - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(fd);
}

static void
ask(const char *mailbox, char *out, size_t cap)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fork_session(span_str(mailbox), SPAN("a@v.example"), pair[1]);	/* which closes it */
	hear(pair[0], out, cap);
}

static void
a_login_sees_its_mailbox_only(void **state)
{
	char out[1024];

	(void)state;
	ask("v.example/a", out, sizeof(out));
	assert_string_equal(out, "login=a@v.example maildir=Maildir own=done neighbour=walled above=walled root=walled");
	ask("v.example/a/", out, sizeof(out));	/* the Maildir itself */
	assert_string_equal(out, "login=a@v.example maildir=. own=done neighbour=walled above=walled root=walled");
}

static void
a_first_login_makes_the_directory(void **state)
{
	char out[1024], path[256];
	struct stat st;

	(void)state;
	ask("v.example/fresh", out, sizeof(out));
	assert_non_null(strstr(out, "own=done neighbour=walled"));
	snprintf(path, sizeof(path), "%s/v.example/fresh", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

/* Names come from a table that an operator writes: nothing leads up or to a hidden place. */
static void
odd_mailboxes_are_refused(void **state)
{
	static const char *const odd[] = { "", "/", "/etc", "..", "v.example/..", "v.example/../v.example/b", ".", ".hidden",
		"v.example//a", "v.example/a//", "v.example/.x" };
	char out[1024], longname[700];

	(void)state;
	memset(longname, 'x', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = '\0';
	for (size_t i = 0; i < NELEMS(odd); i++) {
		ask(odd[i], out, sizeof(out));
		assert_string_equal(out, "");
	}
	ask(longname, out, sizeof(out));
	assert_string_equal(out, "");
	fork_session(SPAN("v.example/a"), SPAN("a"), -1);	/* a message without its socket */
}

/* Another user's session is exec'd by master: in the home directory, in the place that home_mailbox names. */
static void
serve_as(const char *mailbox, bool has_home, char *out, size_t cap)
{
	int pair[2], status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	mailbox_option = mailbox;
	home = has_home;
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		zygote_serve(pair[1], R_INET);
		_exit(0);
	}
	close(pair[1]);
	hear(pair[0], out, cap);
	waitpid(pid, &status, 0);
}

static void
served_sessions(void **state)
{
	char out[1024];

	(void)state;
	par.home_mailbox = "Mail/in//";
	serve_as("", true, out, sizeof(out));
	assert_non_null(strstr(out, "login=bob maildir=Mail/in own="));
	serve_as("v.example/a", false, out, sizeof(out));
	assert_string_equal(out, "login=bob maildir=Maildir own=done neighbour=walled above=walled root=walled");
	serve_as("../x", false, out, sizeof(out));
	assert_string_equal(out, "");
}

static bool
set_up(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (!mkdtemp(dir) || chdir(dir) < 0 || !make_dirs(AT_FDCWD, "v.example/a", 0700) ||
	    !make_dirs(AT_FDCWD, "v.example/b", 0700) || dup2(null, STDIN_FILENO) < 0)	/* where a link to master is */
		return false;
	close(open("v.example/b/secret", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	log_setup("zygote", LOG_TEXT, LOG_ERROR_ + 1);
	zygote_start(&zygote);
	return fork_session;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_login_sees_its_mailbox_only), cmocka_unit_test(a_first_login_makes_the_directory),
		cmocka_unit_test(odd_mailboxes_are_refused), cmocka_unit_test(served_sessions),
	};
	int r;

	if (!set_up())
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	remove_tree(dir);
	return r;
}
