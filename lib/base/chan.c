/* chan.c: AF_UNIX SOCK_SEQPACKET with descriptors. */
#include "base/chan.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/banned.h"

bool
chan_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) == 0;
}

static bool
address_of(const char *path, struct sockaddr_un *sa)
{
	size_t n = strlen(path);

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (n >= sizeof(sa->sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(sa->sun_path, path, n);
	return true;
}

static void
close_keep_errno(int fd)
{
	int err = errno;

	close(fd);
	errno = err;
}

int
chan_connect(const char *path)
{
	struct sockaddr_un sa;
	int fd;

	if (!address_of(path, &sa))
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close_keep_errno(fd);
	return -1;
}

int
chan_listen(const char *path, mode_t mode)
{
	struct sockaddr_un sa;
	int fd;

	if (!address_of(path, &sa))
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && chmod(path, mode) == 0 && listen(fd, 511) == 0)
		return fd;
	close_keep_errno(fd);
	return -1;
}

bool
chan_send(int fd, const void *p, size_t n, const int *fds, int nfds)
{
	union { struct cmsghdr align; char room[CMSG_SPACE(sizeof(int) * CHAN_FDS)]; } control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t w;

	if (nfds > CHAN_FDS || n == 0) {
		errno = EINVAL;
		return false;
	}
	if (nfds > 0) {
		struct cmsghdr *c;

		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)nfds);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)nfds);
	}
	do
		w = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (w < 0 && errno == EINTR);
	return w == (ssize_t)n;
}

static void
take_fds(struct msghdr *m, int fds[CHAN_FDS])
{
	int have = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (have < CHAN_FDS)
				fds[have++] = got;
			else
				close(got);
		}
	}
}

ssize_t
chan_recv(int fd, void *p, size_t cap, int fds[CHAN_FDS])
{
	union { struct cmsghdr align; char room[CMSG_SPACE(sizeof(int) * CHAN_FDS)]; } control;
	struct iovec iov = { .iov_base = p, .iov_len = cap };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.room, .msg_controllen = sizeof(control.room) };
	ssize_t r;

	for (int i = 0; i < CHAN_FDS; i++)
		fds[i] = -1;
	do
		r = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return r;
	take_fds(&m, fds);
	if (!(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return r;
	for (int i = 0; i < CHAN_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
	errno = EMSGSIZE;
	return -1;
}
