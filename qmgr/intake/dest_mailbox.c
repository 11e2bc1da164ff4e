/*
 * dest_mailbox.c: a file in a mailbox, opened by a local of the virtual-mail user,
 * written and made durable here, then linked into new/ by that local. A local
 * that is slow or talks nonsense costs ANSWER_S once: its link is closed.
 */
#include "dest.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "mail/delivered.h"
#include "mail/imaptext.h"
#include "service/message.h"
#include "base/banned.h"

#define ANSWER_S 5

static struct dest_mailbox *
mailbox_of(struct dest *d)
{
	return (struct dest_mailbox *)(void *)((char *)d - offsetof(struct dest_mailbox, d));
}

static bool
failed(struct dest *d, int err)
{
	d->err = err;
	return false;
}

static bool
lose(struct dest_mailbox *f, const char *why)
{
	log_warn(f->id, "the link to virtual is given up: %s", why);
	close_fd(&f->link);
	f->open = false;
	return failed(&f->d, EPIPE);
}

static bool
ask(struct dest_mailbox *f, enum msg_kind kind, const void *m)
{
	return f->link >= 0 && (msg_send(f->link, kind, m) || lose(f, strerror(errno)));
}

static bool
answer(struct dest_mailbox *f, enum msg_kind kind, struct msg *m)
{
	enum msg_result r = msg_recv(f->link, R_LOCAL, R_INTAKE, m);

	if (r == MSG_OK && m->kind == kind)
		return true;
	if (r == MSG_OK)
		msg_close_fds(m);
	return lose(f, r == MSG_AGAIN ? "no answer in time" : r == MSG_END ? "its process has ended" : "a wrong answer");
}

static bool
mailbox_create(struct dest *d, const char *id)
{
	struct dest_mailbox *f = mailbox_of(d);
	struct msg_DIRECT m = { .id = span_str(id), .mailbox = f->mailbox, .arrival = f->arrival,
		.address = f->address, .quota = f->quota };
	struct stat st;
	struct msg a;

	f->id = id;
	f->size = f->crlf_size = 0;
	f->last = 0;
	f->linking = f->full = false;
	if (!ask(f, MSG_DIRECT, &m) || !answer(f, MSG_DIRECT_FILE, &a))
		return failed(d, EPIPE);
	if (a.DIRECT_FILE.error) {
		msg_close_fds(&a);
		return failed(d, (int)a.DIRECT_FILE.error);
	}
	f->open = true;
	f->fd = a.DIRECT_FILE.fd;
	/* a pipe or a device would hold us for as long as its other end likes */
	if (f->fd >= 0 && fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode))
		return true;
	return lose(f, "what it opened is no file");
}

static bool
mailbox_write(struct dest *d, struct span s)
{
	struct dest_mailbox *f = mailbox_of(d);

	if (!f->in_pieces)
		imap_strings(s, &f->strings);
	f->size += s.n;
	f->crlf_size += mailtext_crlf_more(s, &f->last);
	return write_all(f->fd, s.p, s.n) || failed(d, errno);
}

static bool
mailbox_commit_submit(struct dest *d)
{
	struct dest_mailbox *f = mailbox_of(d);
	struct msg_DIRECT_LINK m = { .size = f->size, .crlf_size = f->crlf_size,
		.strings = buf_span(&f->strings) };

	if (fsync(f->fd) < 0)
		return failed(d, errno);
	f->open = false;
	f->linking = true;
	return ask(f, MSG_DIRECT_LINK, &m);
}

static bool
mailbox_commit_done(struct dest *d)
{
	struct dest_mailbox *f = mailbox_of(d);
	struct msg a;

	if (!answer(f, MSG_DIRECT_DONE, &a))
		return false;
	f->full = a.DIRECT_DONE.error == EDQUOT;
	return a.DIRECT_DONE.error == 0 || failed(d, (int)a.DIRECT_DONE.error);
}

static void
mailbox_release(struct dest *d)
{
	close_fd(&mailbox_of(d)->fd);
}

static void
mailbox_abort(struct dest *d)
{
	struct dest_mailbox *f = mailbox_of(d);

	close_fd(&f->fd);
	if (f->open && !ask(f, MSG_DIRECT_DROP, &(struct msg_DIRECT_DROP){ 0 }))
		log_debug(f->id, "an unfinished file is left to its local");
	f->open = false;
}

static bool
mailbox_free_bytes(struct dest *d, uint64_t *bytes)
{
	(void)d;
	*bytes = UINT64_MAX;
	return true;
}

bool
dest_mailbox_full(struct dest_mailbox *f, uint64_t size)
{
	struct msg_USAGE m = { .mailbox = f->mailbox, .quota = f->quota, .size = size };
	struct msg a;

	return ask(f, MSG_USAGE, &m) && answer(f, MSG_USAGE_DONE, &a) && a.USAGE_DONE.full;
}

void
dest_mailbox_init(struct dest_mailbox *f, int link)
{
	static const struct dest_ops ops = {
		.create = mailbox_create,
		.write = mailbox_write,
		.commit_submit = mailbox_commit_submit,
		.commit_done = mailbox_commit_done,
		.release = mailbox_release,
		.abort = mailbox_abort,
		.free_bytes = mailbox_free_bytes,
	};
	const struct timeval limit = { .tv_sec = ANSWER_S };

	*f = (struct dest_mailbox){ .d = { .ops = &ops }, .link = link, .fd = -1 };
	buf_init(&f->strings, IMAP_STRINGS_MAX);
	if (link >= 0 && (setsockopt(link, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(link, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0))
		lose(f, "it cannot be given a time limit");
}
