/* mark.c: SCM_RIGHTS in a byte stream. What the other end sends along beyond one descriptor is closed. */
#include "base/mark.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/banned.h"

#define FDS_MAX 8		/* the kernel drops what is more */

bool
mark_send(int sock, char byte, int fd, int flags)
{
	union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	do
		n = sendmsg(sock, &m, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

/* The first is kept. */
static void
take_descriptors(const struct cmsghdr *c, int *fd)
{
	size_t bytes = c->cmsg_len - CMSG_LEN(0);

	for (size_t at = 0; at + sizeof(int) <= bytes; at += sizeof(int)) {
		int one;

		memcpy(&one, CMSG_DATA(c) + at, sizeof(one));
		if (*fd < 0)
			*fd = one;
		else
			close(one);
	}
}

ssize_t
mark_recv(int sock, void *p, size_t n, int flags, int *fd)
{
	union { char space[CMSG_SPACE(FDS_MAX * sizeof(int))]; struct cmsghdr align; } control;
	struct iovec iov = { p, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t got = recvmsg(sock, &m, flags | MSG_CMSG_CLOEXEC);

	*fd = -1;
	for (struct cmsghdr *c = got >= 0 ? CMSG_FIRSTHDR(&m) : NULL; c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			take_descriptors(c, fd);
	return got;
}
