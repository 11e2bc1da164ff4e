/* zygote.c: one child a login, shut into its mailbox before it reads a byte. Master is trusted, the client is not. */
#include "service/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"

#include "base/banned.h"

#define MASTER_LINK 0

static const struct zygote *zygote;

/* Below the present root, without a way up. */
static bool
mailbox_ok(struct span mailbox)
{
	struct span part;

	if (mailbox.n == 0 || mailbox.n > 512 || memchr(mailbox.p, 0, mailbox.n))
		return false;
	while (span_cut(&mailbox, '/', &part))
		if (part.n == 0 || part.p[0] == '.')
			return false;
	return true;
}

/* The directory is there but at a user's first login. */
static bool
shut_in(const char *mailbox)
{
	if (chdir(mailbox) < 0 && (errno != ENOENT || !make_dirs(AT_FDCWD, mailbox, 0700) || chdir(mailbox) < 0))
		return false;
	return jail_only_dir(".") && jail_no_fork();
}

/* A user of the system: what else lies in the home directory (keys, programs that run at a login) is no business of his mail. */
static bool
shut_home(const char *maildir)
{
	return make_dirs(AT_FDCWD, maildir, 0700) && jail_only_dir(maildir) && jail_no_fork();
}

static void
be_session(struct span mailbox, struct span login, int sock)
{
	char *dir = x_spandup(mailbox);

	close(MASTER_LINK);
	log_new_process();
	if (!shut_in(dir)) {
		log_error(NULL, "login=<%.*s>: cannot enter %s: %s", SPAN_FMT(login), dir, strerror(errno));
		_exit(1);
	}
	zygote->session(sock, login, "Maildir");
	_exit(0);		/* nothing is left to flush: exit handlers would only copy the zygote's pages */
}

static void
take_fork(struct span mailbox, struct span login, int sock)
{
	pid_t pid;

	if (sock < 0)
		return;
	if (!mailbox_ok(mailbox)) {
		log_error(NULL, "not a mailbox: %.*s", SPAN_FMT(mailbox));
		close(sock);
		return;
	}
	pid = fork();
	if (pid == 0)
		be_session(mailbox, login, sock);
	if (pid < 0)
		log_error(NULL, "login=<%.*s>: cannot fork: %s", SPAN_FMT(login), strerror(errno));
	close(sock);
}

void
zygote_start(const struct zygote *z)
{
	struct sigaction sa = { .sa_handler = SIG_IGN, .sa_flags = SA_NOCLDWAIT };

	zygote = z;
	sigaction(SIGCHLD, &sa, NULL);	/* children are nobody's concern: the kernel reaps them */
	service_on_fork(take_fork);
}

void
zygote_serve(int fd, unsigned role)
{
	const char *mailbox = service_mailbox();
	char *maildir;

	(void)role;
	set_nonblocking(fd, false);
	if (*mailbox && (!mailbox_ok(span_str(mailbox)) || !shut_in(mailbox))) {
		log_error(NULL, "cannot enter %s: %s", mailbox, strerror(errno));
		return;
	}
	maildir = x_strdup(service_has_home() && !*mailbox ? par.home_mailbox : "Maildir");
	for (size_t n = strlen(maildir); n > 1 && maildir[n - 1] == '/'; n--)
		maildir[n - 1] = '\0';
	if (!*mailbox && !shut_home(maildir))
		log_error(NULL, "cannot enter %s: %s", maildir, strerror(errno));
	else
		zygote->session(fd, span_str(service_login()), maildir);
	free(maildir);
}
