/*
 * lend.c: files of virtual mailboxes for intake, which writes them. Born here, so
 * that the owner is right; the descriptor goes to intake, and when that has made the
 * message durable the file is renamed into new/. Trusts intake for mailbox and sizes.
 *
 *   state     DIRECT        DIRECT_LINK     DIRECT_DROP
 *   idle      open          close the link  nothing
 *   open      close         link: idle      drop: idle
 *
 * In the idle state also USAGE: is there room in a mailbox?
 */
#include "lend.h"

#include <errno.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "mail/mailboxpath.h"
#include "mail/store/mailstore.h"
#include "service/service.h"
#include "warning.h"

#include "base/banned.h"

#define ID_MAX 64
#define ADDRESS_MAX_ 1000

void
lend_init(struct loan *x)
{
	*x = (struct loan){ .open = false };
	buf_init(&x->path, 2048);
	buf_init(&x->id, ID_MAX);
	buf_init(&x->address, ADDRESS_MAX_);
}

void
lend_fini(struct loan *x)
{
	lend_drop(x);
	buf_fini(&x->path);
	buf_fini(&x->id);
	buf_fini(&x->address);
}

/* What does not work here is tried again by way of the queue, which tells of it. */
static int
failed(const struct loan *x, const struct buf *cause)
{
	int err = errno == EDQUOT ? ENOSPC : errno ? errno : EIO;	/* EDQUOT means our own limit */

	log_warn(x->id.len ? buf_cstr(&x->id) : NULL, "not delivered directly: %s", cause->len ? cause->p : strerror(err));
	return err;
}

int
lend_open(struct loan *x, const struct msg_DIRECT *m, const char *host, int *fd)
{
	struct buf cause;
	int err = 0;

	*fd = -1;
	buf_reset(&x->path);
	buf_reset(&x->id);
	buf_reset(&x->address);
	buf_addspan(&x->id, m->id);
	buf_addspan(&x->address, m->address);
	if (x->id.over || m->id.n == 0 || m->arrival > INT64_MAX || !mailboxpath_maildir(m->mailbox, &x->path))
		return EINVAL;
	x->d = (struct mail_delivery){ .path = buf_cstr(&x->path), .create = true, .queue_id = buf_span(&x->id),
		.rcpt = 0, .arrival = (int64_t)m->arrival, .host = host, .grace = par.virtual_mailbox_limit_grace,
		.filling = &x->filling };
	x->filling = (struct mail_filling){ 0 };
	x->d.limit = quota_parse(m->quota, &x->limit) ? &x->limit : NULL;
	buf_init(&cause, 8192);
	if (mailstore_direct_open(&x->d, fd, &cause) != STORE_OK)
		err = failed(x, &cause);
	buf_fini(&cause);
	x->open = err == 0;
	return err;
}

int
lend_link(struct loan *x, const struct msg_DIRECT_LINK *m)
{
	enum store_result r;
	struct buf cause;
	int err = 0;

	x->open = false;
	buf_init(&cause, 8192);
	x->d.strings = m->strings;
	r = mailstore_direct_link(&x->d, m->size, m->crlf_size, &cause);
	if (r == STORE_QUOTA)
		err = EDQUOT;
	else if (r != STORE_OK)
		err = failed(x, &cause);
	else
		warn_user(&x->d, buf_span(&x->address));
	buf_fini(&cause);
	return err;
}

void
lend_drop(struct loan *x)
{
	if (x->open)
		mailstore_direct_drop(&x->d);
	x->open = false;
}

static bool
answer_usage(int link, const struct msg_USAGE *m)
{
	struct msg_USAGE_DONE done = { .full = 0 };
	struct mail_quota limit;
	struct buf path;

	buf_init(&path, 2048);
	if (mailboxpath_maildir(m->mailbox, &path) && quota_parse(m->quota, &limit))
		done.full = mailstore_quota_check(buf_cstr(&path), &limit, par.virtual_mailbox_limit_grace, m->size) == STORE_QUOTA;
	buf_fini(&path);
	return msg_send(link, MSG_USAGE_DONE, &done);
}

static bool
take(struct loan *x, int link, const struct msg *m, const char *host)
{
	struct msg_DIRECT_FILE file;
	struct msg_DIRECT_DONE done;
	bool sent;

	if (m->kind == MSG_DIRECT && !x->open) {
		file.error = (uint32_t)lend_open(x, &m->DIRECT, host, &file.fd);
		sent = msg_send(link, MSG_DIRECT_FILE, &file);
		close_fd(&file.fd);
		return sent;
	}
	if (m->kind == MSG_DIRECT_LINK && x->open) {
		done.error = (uint32_t)lend_link(x, &m->DIRECT_LINK);
		return msg_send(link, MSG_DIRECT_DONE, &done);
	}
	if (m->kind == MSG_USAGE && !x->open)
		return answer_usage(link, &m->USAGE);
	lend_drop(x);
	return m->kind == MSG_DIRECT_DROP;
}

void
lend_serve(int fd, const char *host)
{
	struct loan x;
	struct msg m;

	lend_init(&x);
	while ((x.open ? msg_recv(fd, R_INTAKE, R_LOCAL, &m) : service_recv_peer(fd, R_INTAKE, R_LOCAL, &m)) == MSG_OK)
		if (!take(&x, fd, &m, host))
			break;
	lend_fini(&x);
}
