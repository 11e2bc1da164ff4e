/* check_milters.c: is there somebody where smtpd_milters says? He may be started later, so this is a warning. */
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdio.h"
#include "service/milters.h"
#include "base/banned.h"

#define ANSWER_MS 1000

static bool
is_connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = ETIMEDOUT;

	if (poll(&p, 1, ANSWER_MS) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return false;
	errno = err;
	return err == 0;
}

/* False with errno. */
static bool
answers(const struct restrict_server *where)
{
	struct sockaddr_storage sa;
	socklen_t len = restrict_address(where, &sa);
	struct sockaddr_un *un = (void *)&sa;
	bool ok;
	int fd;

	if (!where->inet && (size_t)snprintf(un->sun_path, sizeof(un->sun_path), "%s/smtpd/%.*s", par.run_directory, SPAN_FMT(where->host)) >= sizeof(un->sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ok = fd >= 0 && (connect(fd, (struct sockaddr *)&sa, len) == 0 || (errno == EINPROGRESS && is_connected(fd)));
	close_fd(&fd);
	return ok;
}

void
check_milters(struct check *c)
{
	struct span list = span_str(par.smtpd_milters);
	struct milter_spec m;
	struct buf err;

	buf_init(&err, 4096);
	while (milters_next(&list, &m, &err) > 0)
		if (!answers(&m.where))
			check_warning(c, "smtpd_milters", "the milter %.*s does not answer: %s", SPAN_FMT(m.name), strerror(errno));
	buf_fini(&err);
}
