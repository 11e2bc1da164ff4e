/*
 * cmd_compress.c: COMPRESS DEFLATE (RFC 4978). The front compresses, because it is where TLS is: the last byte of the
 * answer goes to it with a descriptor in hand, and what follows that byte is compressed, both ways.
 */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/banned.h"

/* The descriptor is only a mark at its place in the stream; the front closes it. */
static bool
send_marked(int fd, char byte)
{
	union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	do {
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			poll(&p, 1, 1000);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	return n == 1;
}

struct reply
cmd_compress(struct session *s, struct command *c)
{
	struct span mechanism;

	if (!parse_space(&c->args) || !parse_atom(&c->args, &mechanism) || !parse_end(&c->args))
		return reply_bad(c);
	if (!span_is_nocase(mechanism, "DEFLATE"))
		return reply_no("CANNOT", "Mechanism is not known");
	if (s->compressed)
		return reply_no("COMPRESSIONACTIVE", "Compression is on already");
	stream_putspan(&s->io, c->tag);
	stream_puts(&s->io, " OK Compression is on from here\r");
	s->compressed = true;
	if (!stream_flush(&s->io) || !send_marked(s->io.fd, '\n'))
		s->io.end = STREAM_FAILED;
	else
		s->io.total_out++;
	return (struct reply){ REPLY_NONE, NULL, NULL };
}
