/*
 * warning.c: a mailbox that fills up: told at the delivery that passes a threshold, in the mailbox itself. The message
 * is not refused for want of room, and does not travel: there is nothing on the way that could be late or loop.
 */
#include "warning.h"

#include <errno.h>
#include <time.h>

#include "base/log.h"
#include "service/params.h"

#include "base/banned.h"

#define TEXT_MAX 8192
#define WARNING_RCPT 0x40000000u	/* number of the recipient in the file's name */

/* The highest threshold that lies between; 0: none. */
static unsigned
passed(const struct mail_filling *f)
{
	struct span rest = span_str(par.virtual_mailbox_limit_warnings), word;
	uint32_t percent, best = 0;

	while (span_word(&rest, ", \t", &word)) {
		if (word.n && word.p[word.n - 1] == '%')
			word.n--;
		if (span_u32(word, 1, 1000, &percent) && f->before < percent && f->after >= percent && percent > best)
			best = percent;
	}
	return best;
}

static void
add_size(struct buf *out, const char *what, uint64_t have, uint64_t limit, uint64_t unit)
{
	if (limit)
		buf_addf(out, "%s: %llu of %llu\n", what, (unsigned long long)(have / unit), (unsigned long long)(limit / unit));
}

static void
write_text(struct buf *out, const struct mail_delivery *d, struct span address, unsigned percent)
{
	const struct mail_filling *f = d->filling;
	time_t arrival = (time_t)d->arrival;
	struct tm tm = { 0 };
	char date[40] = "";

	if (gmtime_r(&arrival, &tm))
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	buf_addf(out, "Return-Path: <>\nDelivered-To: %.*s\n", SPAN_FMT(address));
	buf_addf(out, "Date: %s\nFrom: Mail Delivery System <MAILER-DAEMON@%s>\nTo: %.*s\n", date, par.myhostname, SPAN_FMT(address));
	buf_addf(out, "Subject: Your mailbox is %u%% full\nMessage-ID: <%.*s.%u.quota@%s>\n", f->after, SPAN_FMT(d->queue_id),
	    d->rcpt, par.myhostname);
	buf_adds(out, "Auto-Submitted: auto-generated\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n");
	buf_addf(out, "The mailbox %.*s has passed %u percent of what it may hold.\n\n", SPAN_FMT(address), percent);
	add_size(out, "Kilobytes", f->use.bytes, d->limit->bytes, 1024);
	add_size(out, "Messages", f->use.messages, d->limit->messages, 1);
	buf_adds(out, "\nWhen it is full, no further mail can be delivered.\nPlease remove what is no longer needed.\n");
}

void
warn_user(const struct mail_delivery *d, struct span address)
{
	unsigned percent = d->limit && d->filling ? passed(d->filling) : 0;
	struct mail_delivery w = *d;
	struct buf text, cause;

	if (!percent)
		return;
	buf_init(&text, TEXT_MAX);
	buf_init(&cause, TEXT_MAX);
	write_text(&text, d, address, percent);
	w.rcpt = WARNING_RCPT + (d->rcpt & (WARNING_RCPT - 1));
	w.head = w.strings = SPAN_NONE;
	w.body = buf_span(&text);
	w.body_crlf_size = mailtext_crlf_size(w.body);
	w.over = true;
	w.filling = NULL;
	if (text.over || (mailstore_deliver(&w, &cause) != STORE_OK && errno != EEXIST))
		log_warn(NULL, "<%.*s> could not be warned: %s", SPAN_FMT(address), buf_cstr(&cause));
	else
		log_info(NULL, "<%.*s> was warned: the mailbox is %u%% full", SPAN_FMT(address), d->filling->after);
	buf_fini(&text);
	buf_fini(&cause);
}
