/* direct.c: which messages go straight into a mailbox, and the log's lines about them. */
#include "direct.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "intake.h"
#include "mail/bodyfile.h"
#include "mail/delivered.h"
#include "mail/envelope.h"
#include "mail/imaptext.h"
#include "mail/resolve.h"
#include "service/params.h"
#include "base/banned.h"

#define REFRESH_MS 1000			/* as in qmgr: how long a replaced table may stay unseen */
#define ARENA_MAX (256 * 1024)
#define HEAD_MAX 2048

/* Flags that ask for nothing beyond the delivery. */
#define PLAIN (MAIL_8BITMIME | MAIL_SMTPUTF8 | MAIL_RET_FULL | MAIL_RET_HDRS | MAIL_SUBMISSION | MAIL_BARE_LF_REJECT | \
	MAIL_TLS_OPTIONAL)

void
direct_init(struct direct *d, int link, struct resolver *resolver)
{
	*d = (struct direct){ .resolver = resolver, .was_linked = link >= 0 };
	dest_mailbox_init(&d->to, link);
	arena_init(&d->arena, ARENA_MAX);
}

void
direct_fini(struct direct *d)
{
	resolver_free(d->resolver);
	buf_fini(&d->to.strings);
	arena_fini(&d->arena);
}

bool
direct_lost(const struct direct *d)
{
	return d->was_linked && d->to.link < 0;
}

static void
refresh_tables(struct direct *d)
{
	uint64_t now = clock_mono_ms();

	if (d->refreshed && now - d->refreshed < REFRESH_MS)
		return;
	resolver_refresh(d->resolver);
	d->refreshed = now;
}

static bool
has_extension(struct span address)
{
	struct span local = span_sub(address, 0, (size_t)(span_rfind(address, '@') < 0 ? 0 : span_rfind(address, '@')));

	for (const char *c = par.recipient_delimiter; *c; c++)
		if (span_find(local, *c) > 0)
			return true;
	return false;
}

/* The mailbox of the only recipient, if there is nothing to decide about it. */
static bool
find_mailbox(struct direct *d, const struct intake *in)
{
	struct span address = buf_span(&in->first_rcpt);
	struct resolved *out;
	struct buf text;
	size_t n = 0;
	bool ok;

	if (in->trailer.rcpts != 1 || in->notify || in->env.flags & ~(uint32_t)PLAIN || has_extension(address))
		return false;
	refresh_tables(d);
	arena_reset(&d->arena);
	buf_init(&text, 512);
	ok = resolve_expand(d->resolver, &d->arena, address, &out, &n, &text) == RESOLVE_OK && n == 1 &&
	    strcmp(out[0].transport, "virtual") == 0 && span_eq(out[0].address, address) && out[0].mailbox.n > 0 &&
	    out[0].owner.n == 0;	/* local, who would open the file, is virtual_mail_user */
	if (ok) {
		d->to.mailbox = out[0].mailbox;
		d->to.quota = out[0].quota;
		d->to.address = address;
	}
	buf_fini(&text);
	return ok;
}

bool
direct_full(struct direct *d, struct span address, uint64_t size)
{
	struct resolved *out;
	struct buf text;
	size_t n = 0;
	bool full;

	if (d->to.link < 0)
		return false;
	refresh_tables(d);
	arena_reset(&d->arena);
	buf_init(&text, 512);
	full = resolve_expand(d->resolver, &d->arena, address, &out, &n, &text) == RESOLVE_OK;
	for (size_t i = 0; i < n && full; i++) {
		d->to.id = NULL;
		d->to.mailbox = out[i].mailbox;
		d->to.quota = out[i].quota;
		full = out[i].quota.n > 0 && out[i].owner.n == 0 && dest_mailbox_full(&d->to, size);
	}
	buf_fini(&text);
	return full && n > 0;
}

static bool
commit(struct dest *to)
{
	return to->ops->commit_submit(to) && to->ops->commit_done(to);
}

/* True: the sender is told. Otherwise the queue tries again; a report would go to whom the sender claims to be. */
static bool
is_refused(struct direct *d, struct intake *in)
{
	static const struct reply now = { 452, "4.2.2", "The mailbox is full" }, for_good = { 552, "5.2.2", "The mailbox is full" };

	if (d->to.full && in->role == R_SMTPD) {
		intake_fail(in, par.virtual_overquota_bounce ? for_good : now);
		return true;
	}
	log_info(in->id, "goes by the queue, a direct delivery has failed: %s", strerror(d->to.d.err));
	if (d->to.linking)
		in->env.flags |= MAIL_REPEATED;
	return false;
}

static bool
put(struct direct *d, struct intake *in)
{
	struct dest *to = &d->to.d;

	d->to.in_pieces = false;
	if (to->ops->create(to, in->id) && to->ops->write(to, buf_span(&in->out)) && commit(to)) {
		to->ops->release(to);
		return true;
	}
	to->ops->abort(to);
	(void)is_refused(d, in);
	return false;
}

/* May it go straight into a mailbox, as far as the beginning of it tells? Then `head` is what comes in front. */
static bool
is_simple(struct direct *d, struct intake *in, struct buf *head)
{
	if (!par.direct_delivery || d->to.link < 0 || in->created || in->out.over ||
	    delivered_before(buf_span(&in->out), buf_span(&in->first_rcpt)) || !find_mailbox(d, in))
		return false;
	d->to.arrival = in->env.arrival_us / 1000000;
	delivered_head(in->env.sender, buf_span(&in->first_rcpt), head);
	return !head->over;
}

static bool
deliver_small(struct direct *d, struct intake *in)
{
	size_t text = in->out.len;
	struct buf head;
	bool ok;

	buf_init(&head, HEAD_MAX);
	d->begun_us = clock_wall_us();
	ok = is_simple(d, in, &head) && buf_room(&in->out, head.len);
	if (ok) {
		memmove(in->out.p + head.len, in->out.p, text);
		memcpy(in->out.p, head.p, head.len);
		buf_grew(&in->out, head.len);
		ok = put(d, in);
		if (!ok && !in->failure.code)
			buf_consume(&in->out, head.len);
	}
	in->out.over = false;
	buf_fini(&head);
	return ok;
}

/* ---- a message that is not in memory as a whole ---- */

void
direct_begin(struct direct *d, struct intake *in)
{
	struct dest *to = &d->to.d;
	struct buf head;

	buf_init(&head, HEAD_MAX);
	if (is_simple(d, in, &head)) {
		d->to.in_pieces = true;
		imap_strings_of_header(buf_span(&in->out), &d->to.strings);
		if (to->ops->create(to, in->id) && to->ops->write(to, buf_span(&head))) {
			d->head = head.len;
			in->to = to;
			in->created = true;
		} else {
			to->ops->abort(to);
			(void)is_refused(d, in);
		}
	}
	buf_fini(&head);
}

/* The file is one of the mailbox's: what comes out of it is believed when it is what went in. */
static bool
copy_back(const struct direct *d, struct intake *in)
{
	static char block[BODYFILE_PIECE];
	struct bodyfile file = { .fd = d->to.fd, .off = d->head, .len = in->written, .sum = BODYFILE_SUM(in->crc) };
	struct span piece;

	if (!in->dest->ops->create(in->dest, in->id))
		return false;
	in->created = true;
	do {
		if (!bodyfile_next(&file, block, sizeof(block), &piece)) {
			in->dest->err = errno;
			return false;
		}
		if (!in->dest->ops->write(in->dest, piece))
			return false;
	} while (piece.n);
	return true;
}

bool
direct_leave(struct direct *d, struct intake *in)
{
	bool ok;

	if (is_refused(d, in))
		return false;
	in->to = in->dest;
	in->created = false;
	ok = copy_back(d, in);
	d->to.d.ops->abort(&d->to.d);
	return ok;
}

/* Nothing has been ordered meanwhile that the queue must do. */
static bool
is_still_simple(const struct intake *in)
{
	return in->trailer.rcpts == 1 && in->redirect.len == 0 && !(in->env.flags & ~(uint32_t)PLAIN);
}

static bool
deliver_large(struct direct *d, struct intake *in)
{
	d->to.d.err = ECANCELED;
	intake_flush(in);
	if (in->failure.code || in->to == in->dest)
		return false;
	d->begun_us = clock_wall_us();
	if (is_still_simple(in) && commit(in->to)) {
		in->to->ops->release(in->to);
		in->created = false;
		return true;
	}
	if (!direct_leave(d, in) && !in->failure.code)
		intake_fail_errno(in, "write");
	return false;
}

bool
direct_deliver(struct direct *d, struct intake *in)
{
	return in->to == &d->to.d ? deliver_large(d, in) : deliver_small(d, in);
}

static double
seconds(uint64_t from, uint64_t to)
{
	return to > from ? (double)(to - from) / 1e6 : 0;
}

void
direct_log(const struct direct *d, const struct intake *in)
{
	uint64_t now = clock_wall_us();
	struct logline l;

	logline_begin(&l, LOG_INFO_, in->id);
	logline_addr(&l, "from", in->env.sender);
	logline_num(&l, "size", in->size);
	logline_str(&l, "nrcpt", SPAN("1 (direct)"));
	logline_end(&l);
	logline_begin(&l, LOG_INFO_, in->id);
	logline_addr(&l, "to", buf_span(&in->first_rcpt));
	logline_str(&l, "relay", SPAN("virtual"));
	logline_fmt(&l, "delay", "%.2f", seconds(in->env.arrival_us, now));
	logline_fmt(&l, "delays", "%.2f/0/0/%.2f", seconds(in->env.arrival_us, d->begun_us), seconds(d->begun_us, now));
	logline_str(&l, "dsn", SPAN("2.0.0"));
	logline_str(&l, "status", SPAN("sent (delivered to maildir)"));
	logline_end(&l);
}
