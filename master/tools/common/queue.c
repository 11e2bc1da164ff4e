/* queue.c: listing and flushing the queue. qmgr is trusted; addresses and reasons in its answers are strangers'. */
#include "queue.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "service/message.h"
#include "tool.h"
#include "base/banned.h"

#define ENTRY_MAX (64u << 20)

/* One message, which may come in several parts. */
struct entry {
	struct buf id, state, sender, rcpts;
	uint64_t size, arrival;
};

struct listing {
	void (*show)(struct listing *l, const struct entry *e);
	unsigned shown;
};

static int
connect_qmgr(void)
{
	int fd = tool_connect("public", "qmgr");

	if (fd < 0)
		tool_complain("the queue cannot be asked: %s", errno == ENOENT || errno == ECONNREFUSED ?
		    "the mail system is not running" : strerror(errno));
	return fd;
}

static void
set(struct buf *b, struct span s)
{
	buf_reset(b);
	buf_addspan(b, s);
}

static void
take_part(struct entry *e, const struct msg_QUEUE_ENTRY *m)
{
	if (!span_eq(m->id, buf_span(&e->id))) {
		set(&e->id, m->id);
		set(&e->state, m->state);
		set(&e->sender, m->sender);
		buf_reset(&e->rcpts);
		e->size = m->size;
		e->arrival = m->arrival;
	}
	buf_addspan(&e->rcpts, m->rcpts);
}

/* Asks and reads until QUEUE_END; false when the link ends before. */
static bool
read_answer(int fd, struct listing *l, struct queue_size *q)
{
	struct entry e = { 0 };
	struct msg in;

	buf_init(&e.id, 100);
	buf_init(&e.state, 100);
	buf_init(&e.sender, 8192);
	buf_init(&e.rcpts, ENTRY_MAX);
	while (!q->known && msg_recv(fd, R_QMGR, R_PUBLIC, &in) == MSG_OK) {
		if (in.kind == MSG_QUEUE_END) {
			*q = (struct queue_size){ true, in.QUEUE_END.messages, in.QUEUE_END.bytes };
		} else if (in.kind == MSG_QUEUE_ENTRY && l->show) {
			take_part(&e, &in.QUEUE_ENTRY);
			if (in.QUEUE_ENTRY.last) {
				l->show(l, &e);
				l->shown++;
				buf_reset(&e.id);
			}
		}
		msg_close_fds(&in);
	}
	buf_fini(&e.id);
	buf_fini(&e.state);
	buf_fini(&e.sender);
	buf_fini(&e.rcpts);
	return q->known;
}

struct queue_size
queue_measure(void)
{
	const struct msg_QUEUE_LIST ask = { 0 };
	struct listing l = { 0 };
	struct queue_size q = { 0 };
	int fd = tool_connect("public", "qmgr");

	if (fd < 0)
		return q;
	if (msg_send(fd, MSG_QUEUE_LIST, &ask) && !read_answer(fd, &l, &q))
		q.known = false;
	close(fd);
	return q;
}

/* Terminals obey control characters: none of a stranger's get there. */
static void
put_clean(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		putchar((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i]);
}

static void
show_text(struct listing *l, const struct entry *e)
{
	struct span list = buf_span(&e->rcpts), addr, reason;
	time_t arrival = (time_t)e->arrival;
	char date[64], id[64];
	struct tm tm;

	if (l->shown == 0)
		printf("%-18s%-9s%-25s%s\n", "-Queue ID-", "--Size--", "----Arrival Time----", "-Sender/Recipient-------");
	localtime_r(&arrival, &tm);
	strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	snprintf(id, sizeof(id), "%s%s", e->id.p, strcmp(e->state.p, "active") == 0 ? "*" :
	    strcmp(e->state.p, "hold") == 0 ? "!" : "");
	printf("%-18s%8llu %-25s", id, (unsigned long long)e->size, date);
	put_clean(e->sender.len ? buf_span(&e->sender) : SPAN("MAILER-DAEMON"));
	putchar('\n');
	while (msg_list_next(&list, &addr) && msg_list_next(&list, &reason)) {
		if (reason.n) {
			printf("%35s(", "");
			put_clean(reason);
			puts(")");
		}
		printf("%52s", "");
		put_clean(addr);
		putchar('\n');
	}
	putchar('\n');
}

/* Not all that mail carries is UTF-8; JSON is. */
static json_t *
json_text(struct span s)
{
	json_t *j = json_stringn(s.p, s.n);
	struct buf b;

	if (j)
		return j;
	buf_init(&b, 4 * s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] & 0x80)
			buf_addf(&b, "\\x%02x", (unsigned char)s.p[i]);
		else
			buf_addc(&b, s.p[i]);
	j = json_stringn(b.p, b.len);
	buf_fini(&b);
	return j;
}

static void
show_json(struct listing *l, const struct entry *e)
{
	struct span list = buf_span(&e->rcpts), addr, reason;
	json_t *o = json_object(), *rcpts = json_array();

	(void)l;
	json_object_set_new(o, "queue_name", json_text(buf_span(&e->state)));
	json_object_set_new(o, "queue_id", json_text(buf_span(&e->id)));
	json_object_set_new(o, "arrival_time", json_integer((json_int_t)e->arrival));
	json_object_set_new(o, "message_size", json_integer((json_int_t)e->size));
	json_object_set_new(o, "sender", json_text(buf_span(&e->sender)));
	while (msg_list_next(&list, &addr) && msg_list_next(&list, &reason)) {
		json_t *r = json_object();

		json_object_set_new(r, "address", json_text(addr));
		if (reason.n)
			json_object_set_new(r, "delay_reason", json_text(reason));
		json_array_append_new(rcpts, r);
	}
	json_object_set_new(o, "recipients", rcpts);
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

int
queue_print(bool json)
{
	const struct msg_QUEUE_LIST ask = { 0 };
	struct listing l = { .show = json ? show_json : show_text };
	struct queue_size q = { 0 };
	int fd = connect_qmgr();
	bool ok;

	if (fd < 0)
		return EX_UNAVAILABLE;
	ok = msg_send(fd, MSG_QUEUE_LIST, &ask) && read_answer(fd, &l, &q);
	close(fd);
	if (!ok) {
		tool_complain("the list is not complete: qmgr ended the link");
		return EX_TEMPFAIL;
	}
	if (!json && l.shown == 0)
		puts("Mail queue is empty");
	else if (!json)
		printf("-- %llu Kbytes in %u Request%s.\n", (unsigned long long)(q.bytes + 1023) / 1024, l.shown,
		    l.shown == 1 ? "" : "s");
	return 0;
}

int
queue_flush(struct span id, struct span site)
{
	const struct msg_QUEUE_FLUSH ask = { .id = id, .site = site };
	struct listing l = { 0 };
	struct queue_size q = { 0 };
	int fd = connect_qmgr();
	bool ok;

	if (fd < 0)
		return EX_UNAVAILABLE;
	ok = msg_send(fd, MSG_QUEUE_FLUSH, &ask) && read_answer(fd, &l, &q);
	close(fd);
	if (ok)
		return 0;
	tool_complain("flush: qmgr refused or ended the link");
	return EX_TEMPFAIL;
}
