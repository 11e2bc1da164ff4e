/* submit.c: a message to intake. The text is the user's; intake checks all of it again. */
#include "submit.h"

#include <errno.h>
#include <stdio.h>

#include "base/fdio.h"
#include "mail/address.h"
#include "service/message.h"
#include "tool.h"
#include "base/banned.h"

#define BODY_BLOCK 65536		/* bytes in one message to intake, with as much for the recipients */
#define LIST_BLOCK 32768
#define RCPTS_MAX (32u << 20)

void
submit_init(struct submit *s)
{
	*s = (struct submit){ .fd = -1 };
	buf_init(&s->sender, ADDRESS_PATH_MAX);
	buf_init(&s->envid, 200);
	buf_init(&s->notify, 64);
	buf_init(&s->rcpts, RCPTS_MAX);
	buf_init(&s->body, BODY_BLOCK);
}

void
submit_fini(struct submit *s)
{
	close_fd(&s->fd);
	buf_fini(&s->sender);
	buf_fini(&s->envid);
	buf_fini(&s->notify);
	buf_fini(&s->rcpts);
	buf_fini(&s->body);
}

void
submit_reset(struct submit *s)
{
	buf_reset(&s->sender);
	buf_reset(&s->rcpts);
	buf_reset(&s->body);
	s->nrcpt = 0;
	s->begun = s->failed = false;
}

bool
submit_connect(struct submit *s)
{
	if (s->fd < 0)
		s->fd = tool_connect("public", "submit");
	return s->fd >= 0;
}

/* The canonical form of an address; one without a domain is completed by intake. */
static bool
check_address(struct span in, struct buf *out, struct buf *err)
{
	struct address a;
	enum address_status st = address_parse(in, ADDRESS_BARE | ADDRESS_UTF8, &a);

	if (st == ADDRESS_OK && a.local.p[0] != '-') {
		address_canonical(&a, out);
		return true;
	}
	buf_addf(err, "\"%.*s\": %s", (int)(in.n > 200 ? 200 : in.n), in.p, st != ADDRESS_OK ? address_problem(st) :
	    "an address must not begin with \"-\"");
	return false;
}

bool
submit_sender(struct submit *s, struct span address, struct buf *err)
{
	buf_reset(&s->sender);
	if (address.n > 1 && address.p[0] == '<' && address.p[address.n - 1] == '>')
		address = span_sub(address, 1, address.n - 1);
	return address.n == 0 || check_address(address, &s->sender, err);
}

bool
submit_rcpt(struct submit *s, struct span address, struct buf *err)
{
	struct buf canonical;
	bool ok;

	buf_init(&canonical, ADDRESS_PATH_MAX);
	ok = check_address(address, &canonical, err);
	if (ok) {
		msg_list_add(&s->rcpts, buf_span(&canonical));
		msg_list_add(&s->rcpts, SPAN_NONE);
		msg_list_add(&s->rcpts, buf_span(&s->notify));
		s->nrcpt++;
	}
	buf_fini(&canonical);
	if (s->rcpts.over)
		tool_fail(EX_DATAERR, "too many recipients");
	return ok;
}

/* As many whole triples as fit in one message. */
static struct span
take_rcpts(struct submit *s)
{
	struct span rest = buf_span(&s->rcpts), item;
	size_t n = 0;

	while (rest.n) {
		for (int i = 0; i < 3; i++)
			if (!msg_list_next(&rest, &item))
				return SPAN_NONE;
		if (s->rcpts.len - rest.n > LIST_BLOCK)
			break;
		n = s->rcpts.len - rest.n;
	}
	return span_sub(buf_span(&s->rcpts), 0, n);
}

/* What has gathered; more than once when the recipients do not fit in one message. */
static void
send_block(struct submit *s, bool end)
{
	/* A link on which nothing was said for seconds is closed: what writes to us may take hours to begin. */
	if (!s->begun) {
		close_fd(&s->fd);
		s->failed = !submit_connect(s);
	}
	do {
		struct span rcpts = take_rcpts(s);
		bool all = rcpts.n == s->rcpts.len;
		struct span body = all ? buf_span(&s->body) : SPAN_NONE;
		const struct msg_MAIL mail = { .sender = buf_span(&s->sender), .flags = s->flags, .envid = buf_span(&s->envid),
			.rcpts = rcpts, .body = body, .last = end && all ? MAIL_END : MAIL_MORE };
		const struct msg_PART part = { .rcpts = rcpts, .body = body, .last = end && all ? MAIL_END : MAIL_MORE };

		if (!s->failed && !msg_send(s->fd, s->begun ? MSG_PART : MSG_MAIL, s->begun ? (const void *)&part : &mail))
			s->failed = true;
		s->begun = true;
		buf_consume(&s->rcpts, rcpts.n);
		if (all)
			buf_reset(&s->body);
	} while (s->rcpts.len && !s->failed);
}

static void
add_body(struct submit *s, struct span text)
{
	while (text.n) {
		size_t room = BODY_BLOCK - s->body.len, n = text.n < room ? text.n : room;

		buf_add(&s->body, text.p, n);
		text = span_skip(text, n);
		if (s->body.len == BODY_BLOCK)
			send_block(s, false);
	}
}

void
submit_text(struct submit *s, struct span text)
{
	while (text.n) {
		ssize_t lf = span_find(text, '\n');
		size_t n = lf < 0 ? text.n : (size_t)lf;
		bool cr = n && text.p[n - 1] == '\r';

		add_body(s, span_sub(text, 0, n));
		if (lf >= 0)
			add_body(s, cr ? SPAN("\n") : SPAN("\r\n"));
		text = span_skip(text, n + (lf >= 0));
	}
}

struct submit_result
submit_end(struct submit *s)
{
	struct submit_result r = { .code = 451, .dsn = "4.3.0", .text = "the queue did not answer" };
	struct msg in;

	send_block(s, true);
	/* Also when the queue has let go of us: it may have said why before. */
	if (s->fd >= 0 && msg_recv(s->fd, R_INTAKE, R_PUBLIC, &in) == MSG_OK && in.kind == MSG_MAIL_DONE) {
		r.code = in.MAIL_DONE.code;
		snprintf(r.dsn, sizeof(r.dsn), "%.*s", SPAN_FMT(in.MAIL_DONE.dsn));
		snprintf(r.text, sizeof(r.text), "%.*s", SPAN_FMT(in.MAIL_DONE.text));
	} else {
		s->failed = true;
	}
	if (s->failed)
		close_fd(&s->fd);
	submit_reset(s);
	return r;
}

void
submit_abort(struct submit *s)
{
	const struct msg_PART part = { .last = MAIL_ABORT };

	if (s->begun && !s->failed && !msg_send(s->fd, MSG_PART, &part))
		s->failed = true;
	if (s->failed)
		close_fd(&s->fd);
	submit_reset(s);
}
