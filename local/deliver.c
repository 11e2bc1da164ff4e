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
#define PATH_LONGEST 2048
#define FRESH_S 30			/* an older message may have been tried before */
#define UNSYNCED_MAX (16u << 20)	/* bytes that wait for one sync, all recipients together */

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

struct outcome
deliver_full(void)
{
	if (par.virtual_overquota_bounce)
		return outcome_make(OUTCOME_FAILED, "5.2.2", "the mailbox is full");
	return outcome_make(OUTCOME_DEFERRED, "4.2.2", "the mailbox is full");
}

static struct outcome
outcome_of(enum store_result r, int err)
{
	if (r == STORE_QUOTA)
		return deliver_full();
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

/* What the delivery for one recipient borrows while it is made. */
struct borrowed {
	struct buf head, path;
	struct mail_quota limit;
	struct mail_filling filling;
};

static void
find_maildir(const struct recipient *r, const struct delivery_place *place, struct buf *path)
{
	if (place->home)
		buf_adds(path, place->home_mailbox);
	else if (!mailboxpath_maildir(r->mailbox, path))
		buf_reset(path);
	while (path->len > 1 && path->p[path->len - 1] == '/')
		buf_truncate(path, path->len - 1);
	add_folder(path, r->extension);
}

/* False: the outcome is known already. */
static bool
prepare(const struct msg_DELIVER *d, struct message *msg, const struct recipient *r, const struct delivery_place *place,
    struct borrowed *b, struct mail_delivery *m, struct outcome *o)
{
	int64_t now = clock_wall(), arrival = d->arrival > INT64_MAX ? 0 : (int64_t)d->arrival;

	order_head(d, r, &b->head);
	find_maildir(r, place, &b->path);
	if (delivered_before(msg->body, r->address)) {
		*o = outcome_make(OUTCOME_FAILED, "5.4.6", "mail forwarding loop for %.*s", SPAN_FMT(r->address));
		return false;
	}
	if (b->path.len == 0 || b->path.p[0] == '/' || b->path.over || b->head.over) {
		*o = outcome_make(OUTCOME_DEFERRED, "4.3.5", "the recipient has no proper mailbox");
		return false;
	}
	*m = (struct mail_delivery){
		.path = buf_cstr(&b->path),
		.create = true,
		.queue_id = d->id,
		.rcpt = r->number,
		.arrival = arrival,
		.host = place->host,
		.head = buf_span(&b->head),
		.body = msg->body,
		.file = msg->large ? &msg->file : NULL,
		.body_crlf_size = msg->crlf_size,
		.strings = buf_span(&msg->strings),
		/* a second attempt needs a first one: by a process that is gone, or some time ago */
		.maybe_repeated = arrival <= place->started || now - arrival > FRESH_S || d->flags & MAIL_REPEATED,
		.limit = quota_parse(r->quota, &b->limit) ? &b->limit : NULL,
		.grace = par.virtual_mailbox_limit_grace,
		.filling = &b->filling,
	};
	return true;
}

static struct outcome
told(const struct mail_delivery *m, struct mail_delivered *done, const char *id)
{
	struct outcome o = m->file && m->file->damaged ? deliver_damaged() : outcome_of(done->result, done->err);

	if (o.kind != OUTCOME_DELIVERED && done->result != STORE_QUOTA)
		log_warn(id, "%s", buf_cstr(&done->cause));
	return o;
}

size_t
deliver_at_once(const struct message *msg)
{
	size_t n = msg->large ? 1 : UNSYNCED_MAX / (msg->body.n + 1);

	return n < MAIL_DELIVERIES_MAX ? n : MAIL_DELIVERIES_MAX;
}

void
deliver_all(const struct msg_DELIVER *d, struct message *msg, const struct recipient *r, size_t n,
    const struct delivery_place *place, struct outcome *o)
{
	struct borrowed *b = x_alloc(n * sizeof(*b));
	struct mail_delivery *m = x_alloc(n * sizeof(*m));
	struct mail_delivered *done = x_alloc(n * sizeof(*done));
	size_t *of = x_alloc(n * sizeof(*of)), ready = 0;	/* m[i] is for r[of[i]] */
	char *id = x_spandup(d->id);

	for (size_t i = 0; i < n; i++) {
		buf_init(&b[i].head, HEAD_MAX);
		buf_init(&b[i].path, PATH_LONGEST);
		if (prepare(d, msg, &r[i], place, &b[i], &m[ready], &o[i]))
			of[ready++] = i;
	}
	mailstore_deliver_all(m, done, ready);
	for (size_t i = 0; i < ready; i++) {
		o[of[i]] = told(&m[i], &done[i], id);
		warn_user(&m[i], r[of[i]].address);
		buf_fini(&done[i].cause);
	}
	for (size_t i = 0; i < n; i++) {
		buf_fini(&b[i].head);
		buf_fini(&b[i].path);
	}
	free(b);
	free(m);
	free(done);
	free(of);
	free(id);
}

struct outcome
deliver_one(const struct msg_DELIVER *d, struct message *msg, const struct recipient *r,
    const struct delivery_place *place)
{
	struct outcome o;

	deliver_all(d, msg, r, 1, place, &o);
	return o;
}
