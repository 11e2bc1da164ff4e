/* session.c: open the maildrop, answer commands until QUIT. */
#include "session.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

#include "base/banned.h"

/* The first line goes through the front to the client: the end of its login. */
static bool
open_maildrop(struct pop3 *p, const char *maildir)
{
	enum store_result r;

	p->store = mailstore_new(maildir, true, &r);
	if (p->store)
		r = mailstore_lock(p->store);
	if (r == STORE_OK)
		p->folder = mailfolder_open(p->store, SPAN("INBOX"), MAILFOLDER_PLAIN, &r);
	if (r == STORE_OK) {
		p->msgs = mailfolder_messages(p->folder);
		p->count = mailfolder_count(p->folder);
		p->deleted = x_alloc(p->count + 1);
		stream_puts(&p->stream, "+OK Logged in.\r\n");
		return true;
	}
	if (r == STORE_BUSY) {		/* RFC 2449 8.1.1 */
		stream_puts(&p->stream, "-ERR [IN-USE] another session has this mailbox\r\n");
	} else {
		log_warn(NULL, "cannot open %s: %s", maildir, p->store ? mailstore_cause(p->store) : store_result_text(r));
		stream_putf(&p->stream, "-ERR [SYS/TEMP] %s\r\n", store_result_text(r));
	}
	return false;
}

static void
close_maildrop(struct pop3 *p)
{
	mailfolder_close(p->folder);
	mailstore_free(p->store);
	free(p->deleted);
}

static void
log_end(const struct pop3 *p, struct span login)
{
	static const char *const ends[] = {
		[STREAM_OPEN] = "quit", [STREAM_EOF] = "disconnected", [STREAM_TIMEOUT] = "idle",
		[STREAM_FAILED] = "lost", [STREAM_TOO_LONG] = "line too long",
	};
	struct logline l;

	logline_begin(&l, LOG_INFO_, NULL);
	logline_addr(&l, "login", login);
	logline_num(&l, "commands", p->commands);
	logline_num(&l, "messages", p->count);
	logline_num(&l, "retrieved", p->retrieved);
	logline_num(&l, "removed", p->removed);
	logline_num(&l, "in", p->stream.total_in);
	logline_num(&l, "out", p->stream.total_out);
	logline_num(&l, "time", (clock_mono_ms() - p->began) / 1000);
	logline_str(&l, "end", span_str(ends[p->stream.end]));
	logline_end(&l);
}

/* Nothing can be read any more, but the client reads: what it asked before is answered, and it is told what was wrong. */
static void
refuse_line(struct pop3 *p)
{
	if (p->stream.end != STREAM_TOO_LONG)
		return;
	p->stream.end = STREAM_OPEN;
	stream_puts(&p->stream, "-ERR Line too long\r\n");
	stream_flush(&p->stream);
	p->stream.end = STREAM_TOO_LONG;
}

void
pop3_session(int fd, struct span login, const char *maildir, uint32_t idle_ms)
{
	struct pop3 p = { .began = clock_mono_ms() };
	struct buf line;

	stream_init(&p.stream, fd, idle_ms);
	mailtext_init(&p.text);
	buf_init(&line, POP3_LINE_MAX);
	if (open_maildrop(&p, maildir)) {
		stream_welcome_loan(&p.stream);		/* when the front has this line, it may lend */
		while (!p.quit && (buf_reset(&line), stream_rest(&p.stream), stream_line(&p.stream, &line)))
			pop3_command(&p, buf_span(&line));
	}
	close_maildrop(&p);		/* before the last word: who hears it may come again at once */
	refuse_line(&p);
	stream_flush(&p.stream);
	log_end(&p, login);
	mailtext_fini(&p.text);
	buf_fini(&line);
	stream_fini(&p.stream);
}
