/*
 * deliver.c: prefix headers, loop check, and what the store's answer means to
 * the sender. The message was written by strangers; qmgr vouches for the rest.
 */
#include "deliver.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/delivered.h"
#include "mail/envelope.h"
#include "mail/imaptext.h"
#include "mail/mailboxpath.h"
#include "mail/store/mailstore.h"
#include "service/params.h"
#include "warning.h"

#include "base/banned.h"

#define READ_MAX (1u << 20)		/* of a larger message no more than its beginning is in memory */
#define HEAD_MAX (64u << 10)		/* lines that we put in front */
#define FRESH_S 30			/* an older message may have been tried before */

void
message_init(struct message *msg)
{
	*msg = (struct message){ .body = SPAN_NONE };
	buf_init(&msg->own, READ_MAX);
	buf_init(&msg->strings, IMAP_STRINGS_MAX);
}

bool
message_load(struct message *msg, int fd, uint64_t off, uint64_t len, uint64_t sum)
{
	size_t n;
	char *to;

	msg->file = (struct bodyfile){ .fd = fd, .off = off, .len = len, .sum = sum };
	msg->large = len > READ_MAX;
	n = msg->large ? BODYFILE_PIECE : (size_t)len;
	buf_reset(&msg->own);
	buf_reset(&msg->strings);
	msg->body = SPAN_NONE;
	to = n ? buf_room(&msg->own, n) : NULL;
	if (n && (!to || !bodyfile_next(&msg->file, to, n, &msg->body)))
		return false;
	buf_grew(&msg->own, n);
	if (msg->large) {
		imap_strings_of_header(msg->body, &msg->strings);
	} else {
		msg->crlf_size = mailtext_crlf_size(msg->body);
		imap_strings(msg->body, &msg->strings);
	}
	return true;
}

struct outcome
deliver_damaged(void)
{
	return outcome_make(OUTCOME_DAMAGED, "4.3.0", "the queue file is damaged");
}

static struct outcome
outcome_of(enum store_result r, int err)
{
	if (r == STORE_QUOTA && par.virtual_overquota_bounce)
		return outcome_make(OUTCOME_FAILED, "5.2.2", "the mailbox is full");
	if (r == STORE_QUOTA)
		return outcome_make(OUTCOME_DEFERRED, "4.2.2", "the mailbox is full");
	if (r == STORE_OK || r == STORE_EXISTS)	/* EXISTS: our own file of an attempt whose end qmgr did not see */
		return outcome_make(OUTCOME_DELIVERED, "2.0.0", "delivered to maildir%s", r == STORE_OK ? "" : " before");
	if (err == EDQUOT)
		return outcome_make(OUTCOME_DEFERRED, "4.2.2", "the mailbox is full");
	if (err == ENOSPC)
		return outcome_make(OUTCOME_DEFERRED, "4.3.1", "no space left for mail");
	if (r == STORE_DENIED)
		return outcome_make(OUTCOME_DEFERRED, "4.2.0", "the mailbox may not be written: %s", strerror(err));
	return outcome_make(OUTCOME_DEFERRED, "4.3.0", "the mailbox cannot be written: %s", strerror(err));
}

static struct outcome
store(struct mail_delivery *m, const char *id)
{
	struct outcome o;
	struct buf cause;
	enum store_result r;
	int err;

	buf_init(&cause, 8192);
	r = mailstore_deliver(m, &cause);
	err = errno;
	o = m->file && m->file->damaged ? deliver_damaged() : outcome_of(r, err);
	if (o.kind != OUTCOME_DELIVERED && r != STORE_QUOTA)
		log_warn(id, "%s", buf_cstr(&cause));
	buf_fini(&cause);
	return o;
}

/* user+tag goes into the folder `tag` when the user has one. */
static void
add_folder(struct buf *path, struct span extension)
{
	size_t maildir = path->len;
	struct stat st;

	if (maildir == 0 || extension.n == 0 || mailstore_name_check(extension) != STORE_OK)
		return;
	buf_addf(path, "/.%.*s", SPAN_FMT(extension));
	if (path->over || lstat(buf_cstr(path), &st) < 0 || !S_ISDIR(st.st_mode)) {
		buf_truncate(path, maildir);
		path->over = false;
	}
}

struct outcome
deliver_one(const struct msg_DELIVER *d, struct message *msg, const struct recipient *r,
    const struct delivery_place *place)
{
	struct buf head, path;
	struct outcome o;
	char *id = x_spandup(d->id);
	int64_t now = clock_wall(), arrival = d->arrival > INT64_MAX ? 0 : (int64_t)d->arrival;

	buf_init(&head, HEAD_MAX);
	buf_init(&path, 2048);
	order_head(d, r, &head);
	if (place->home)
		buf_adds(&path, place->home_mailbox);
	else if (!mailboxpath_maildir(r->mailbox, &path))
		buf_reset(&path);
	while (path.len > 1 && path.p[path.len - 1] == '/')
		buf_truncate(&path, path.len - 1);
	add_folder(&path, r->extension);
	if (delivered_before(msg->body, r->address)) {
		o = outcome_make(OUTCOME_FAILED, "5.4.6", "mail forwarding loop for %.*s", SPAN_FMT(r->address));
	} else if (path.len == 0 || path.p[0] == '/' || path.over || head.over) {
		o = outcome_make(OUTCOME_DEFERRED, "4.3.5", "the recipient has no proper mailbox");
	} else {
		struct mail_filling filling = { 0 };
		struct mail_quota limit;
		struct mail_delivery m = {
			.path = buf_cstr(&path),
			.create = true,
			.queue_id = d->id,
			.rcpt = r->number,
			.arrival = arrival,
			.host = place->host,
			.head = buf_span(&head),
			.body = msg->body,
			.file = msg->large ? &msg->file : NULL,
			.body_crlf_size = msg->crlf_size,
			.strings = buf_span(&msg->strings),
			/* a second attempt needs a first one: by a process that is gone, or some time ago */
			.maybe_repeated = arrival <= place->started || now - arrival > FRESH_S || d->flags & MAIL_REPEATED,
			.grace = par.virtual_mailbox_limit_grace,
			.filling = &filling,
		};

		m.limit = quota_parse(r->quota, &limit) ? &limit : NULL;
		o = store(&m, id);
		warn_user(&m, r->address);
	}
	buf_fini(&head);
	buf_fini(&path);
	free(id);
	return o;
}
