/* home.c: what a system user wants done with his mail. Runs as that user, in his home directory. */
#include "home.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "forward.h"
#include "mail/delivered.h"
#include "mail/envelope.h"
#include "mbox.h"
#include "service/params.h"
#include "base/banned.h"

#define HEAD_MAX (64u << 10)

static struct outcome
into_mbox(const struct msg_DELIVER *d, struct message *msg, const struct recipient *r, const char *path, const char *id)
{
	struct outcome o = outcome_make(OUTCOME_DELIVERED, "2.0.0", "delivered to mailbox");
	struct mbox_message m = { .sender = d->sender, .body = msg->body, .file = msg->large ? &msg->file : NULL,
		.when = (time_t)d->arrival, .limit = par.mailbox_size_limit };
	struct buf head, cause;

	buf_init(&head, HEAD_MAX);
	buf_init(&cause, 1024);
	order_head(d, r, &head);
	m.head = buf_span(&head);
	if (path[0] == '/' || head.over) {
		o = outcome_make(OUTCOME_DEFERRED, "4.3.5", "the recipient has no proper mailbox");
	} else if (!mbox_append(path, &m, &cause)) {
		int err = errno;

		log_warn(id, "%s", buf_cstr(&cause));
		o = msg->large && msg->file.damaged ? deliver_damaged() : err == EFBIG ? deliver_full() :
		    outcome_make(OUTCOME_DEFERRED, err == ENOSPC ? "4.3.1" : err == EDQUOT ? "4.2.2" : "4.2.0",
		    "the mailbox cannot be written: %s", err == EAGAIN ? "it is locked" : strerror(err));
	}
	buf_fini(&head);
	buf_fini(&cause);
	return o;
}

static struct outcome
into_mailbox(const struct msg_DELIVER *d, struct message *msg, const struct recipient *r,
    const struct delivery_place *place, const char *id)
{
	size_t n = strlen(place->home_mailbox);

	return n > 0 && place->home_mailbox[n - 1] == '/' ? deliver_one(d, msg, r, place) :
	    into_mbox(d, msg, r, place->home_mailbox, id);
}

struct outcome
deliver_home(const struct msg_DELIVER *d, struct message *msg, const struct recipient *r,
    const struct delivery_place *place, struct buf *to)
{
	struct forward f = { .may_run = param_list_has(par.allow_mail_to_commands, SPAN("forward")) };
	enum forward_answer answer;
	struct outcome o;
	char *id;

	if (delivered_before(msg->body, r->address))
		return outcome_make(OUTCOME_FAILED, "5.4.6", "mail forwarding loop for %.*s", SPAN_FMT(r->address));
	id = x_spandup(d->id);
	buf_init(&f.addresses, FORWARD_TEXT_MAX);
	buf_init(&f.text, 1);
	answer = forward_read(par.forward_path, r->mailbox, r->extension, id, &f);
	if (answer == FORWARD_LATER)
		o = outcome_make(OUTCOME_DEFERRED, "4.3.0", "cannot read .forward: %s", strerror(errno));
	else if (answer == FORWARD_YES && f.program_count > 0 && !(d->flags & MAIL_PROGRAMS_RAN))
		o = outcome_make(OUTCOME_REDIRECTED, "2.0.0", "%s", "");
	else if (answer == FORWARD_NONE || f.keep)
		o = into_mailbox(d, msg, r, place, id);
	else
		o = outcome_make(OUTCOME_DELIVERED, "2.0.0", "nothing kept");
	if (o.kind == OUTCOME_REDIRECTED) {
		buf_adds(to, f.keep || f.addresses.len > 0 ? "|\n\\\n" : "|\n");
	} else if (answer == FORWARD_YES && f.addresses.len > 0 && o.kind == OUTCOME_DELIVERED) {
		o.kind = OUTCOME_REDIRECTED;
		buf_addspan(to, buf_span(&f.addresses));
	}
	buf_fini(&f.addresses);
	buf_fini(&f.text);
	free(id);
	return o;
}
