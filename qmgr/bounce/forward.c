/*
 * forward.c: a copy with another sender and other recipients goes to intake like any message, as one queue file:
 * all members or none. The message was written by strangers, the members perhaps by an ordinary user.
 */
#include "forward.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/log.h"
#include "mail/bodyfile.h"
#include "mail/delivered.h"
#include "mail/envelope.h"
#include "members.h"
#include "service/service.h"
#include "submit.h"
#include "base/banned.h"

#define CHUNK (64 * 1024)
#define RCPTS_CHUNK (48 * 1024)		/* of recipients in one PART */
#define HEAD_MAX 4096

/* ---- who ---- */

/* False: no file by this name, or not ours to have; errno. */
static bool
read_members(const char *path, struct buf *text)
{
	struct stat st;
	bool ok = false;
	int fd = service_open_file(path);

	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0)
		goto out;
	errno = EPERM;
	if (st.st_mode & S_IWOTH)		/* everybody could have himself written to by everybody */
		goto out;
	ok = read_fd(fd, text);
out:
	close_fd(&fd);
	return ok;
}

static struct outcome
find_members(const struct msg_FORWARD *m, const char *id, struct buf *rcpts)
{
	struct outcome o = outcome_make(OUTCOME_DELIVERED, "2.0.0", "ok");
	struct members who = { .n = 0 };
	char *path = x_spandup(m->file);
	struct buf text;

	buf_init(&text, MEMBERS_TEXT_MAX);
	if (m->file.n && !read_members(path, &text)) {
		o = outcome_make(OUTCOME_DEFERRED, "4.2.4", "the members of the list cannot be read");
		log_warn(id, "%s: %s", path, errno == EPERM ? "may be written by everybody: not used" : strerror(errno));
		goto out;
	}
	members_parse(m->file.n ? buf_span(&text) : m->members, &who, rcpts);
	if (who.bad)
		log_warn(id, "%s:%u: %u of the members of %.*s name no address and are left out", m->file.n ? path : "alias",
		    who.bad_line, (unsigned)who.bad, SPAN_FMT(m->address));
	if (who.too_many || rcpts->over)
		o = outcome_make(OUTCOME_FAILED, "5.2.4", "the list has more than %u members", (unsigned)MEMBERS_MAX);
	else if (who.n == 0)
		o = outcome_make(OUTCOME_FAILED, "5.2.4", "the list has no members");
out:
	buf_fini(&text);
	x_free(&path);
	return o;
}

/* ---- what ---- */

/* RFC 2919, RFC 3834 2: what answers by itself must know a list. */
static void
write_head(const struct msg_FORWARD *m, struct buf *head)
{
	ssize_t at = span_rfind(m->address, '@');

	delivered_to(m->address, head);
	if (!m->managed || at < 0)
		return;
	buf_addf(head, "List-Id: <%.*s.%.*s>\nPrecedence: list\n", (int)at, m->address.p,
	    SPAN_FMT(span_skip(m->address, (size_t)at + 1)));
}

/* False: errno is kept, the link is of no more use. */
static bool
send_body(int link, struct bodyfile *file)
{
	static char chunk[CHUNK];

	do {
		struct msg_PART part = { .last = MAIL_MORE };

		if (!bodyfile_next(file, chunk, CHUNK, &part.body))
			return false;
		if (file->done == file->len)
			part.last = MAIL_END;
		if (!msg_send(link, MSG_PART, &part))
			return false;
	} while (file->done < file->len);
	return true;
}

static bool
send_rcpts(int link, struct span list)
{
	while (list.n) {
		struct span rest = list, item;
		size_t n = 0;

		while (rest.n && n < RCPTS_CHUNK) {	/* whole triples */
			for (int i = 0; i < 3; i++)
				if (!msg_list_next(&rest, &item))
					return false;
			n = list.n - rest.n;
		}
		if (!msg_send(link, MSG_PART, &(struct msg_PART){ .rcpts = span_sub(list, 0, n), .last = MAIL_MORE }))
			return false;
		list = rest;
	}
	return true;
}

static bool
try_once(int link, const struct msg_FORWARD *m, struct span rcpts, struct bodyfile *file, struct outcome *o, struct buf *id)
{
	struct msg_MAIL mail = { .sender = m->sender, .session = m->id, .size_hint = m->body_len, .last = MAIL_MORE,
		.flags = m->flags & (MAIL_SMTPUTF8 | MAIL_8BITMIME | MAIL_REQUIRETLS) };
	struct buf head;
	bool ok;

	buf_init(&head, HEAD_MAX);
	write_head(m, &head);
	ok = link >= 0 && !head.over && msg_send(link, MSG_MAIL, &mail) && send_rcpts(link, rcpts) &&
	    msg_send(link, MSG_PART, &(struct msg_PART){ .body = buf_span(&head), .last = MAIL_MORE }) &&
	    send_body(link, file) && submit_answer(link, o, id);
	buf_fini(&head);
	return ok;
}

static struct outcome
hand_over(const struct msg_FORWARD *m, struct span rcpts, int *link, int (*connect_again)(void))
{
	struct bodyfile file = { .fd = m->message, .off = m->body_off, .len = m->body_len, .sum = m->sum };
	struct outcome o;
	struct buf id;
	bool ok;

	buf_init(&id, 64);
	ok = try_once(*link, m, rcpts, &file, &o, &id);
	if (!ok && !file.damaged) {
		/* intake ends when it has been idle for long; a half sent message is thrown away with the link */
		close_fd(link);
		*link = connect_again();
		bodyfile_rewind(&file);
		ok = try_once(*link, m, rcpts, &file, &o, &id);
	}
	if (!ok && file.damaged) {
		o = outcome_make(OUTCOME_DAMAGED, "4.3.0", "the queue file is damaged");
		close_fd(link);
	} else if (!ok) {
		o = outcome_make(OUTCOME_DEFERRED, "4.3.0", "cannot hand a copy to intake: %s", strerror(errno));
		close_fd(link);
	} else if (o.kind == OUTCOME_DELIVERED) {
		o = outcome_make(OUTCOME_DELIVERED, "2.0.0", "forwarded as %.*s", (int)id.len, id.p);
	}
	buf_fini(&id);
	return o;
}

struct outcome
forward(const struct msg_FORWARD *m, int *link, int (*connect_again)(void))
{
	char *id = x_spandup(m->id);
	struct outcome o;
	struct buf rcpts;
	bool before;

	buf_init(&rcpts, MEMBERS_TEXT_MAX);
	if (!delivered_before_fd(m->message, m->body_off, m->body_len, m->address, &before))
		o = outcome_make(OUTCOME_DEFERRED, "4.3.0", "cannot read the message: %s", strerror(errno));
	else if (before)
		o = outcome_make(OUTCOME_FAILED, "5.4.6", "mail forwarding loop for %.*s", SPAN_FMT(m->address));
	else
		o = find_members(m, id, &rcpts);
	if (o.kind == OUTCOME_DELIVERED)
		o = hand_over(m, buf_span(&rcpts), link, connect_again);
	buf_fini(&rcpts);
	x_free(&id);
	return o;
}
