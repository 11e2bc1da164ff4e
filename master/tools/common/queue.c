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
#define IDS_BLOCK (64u << 10)		/* of ids, in one message */
#define REASON_ENDS 76			/* column of mailq */

/* One message, which may come in several parts. */
struct entry {
	struct buf id, state, sender, rcpts, sites;
	uint64_t size, arrival, next;
};

struct reader {
	queue_visitor *visit;
	queue_site_visitor *visit_site;
	void *ctx;
};

static int
connect_qmgr(const char *room)
{
	int fd = tool_connect(room, "qmgr");

	if (fd < 0)
		tool_complain("the queue cannot be asked: %s", errno == ENOENT || errno == ECONNREFUSED ?
		    "the mail system is not running" : errno == EACCES ? "only root may do that" : strerror(errno));
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
		buf_reset(&e->sites);
		e->size = m->size;
		e->arrival = m->arrival;
		e->next = m->next;
	}
	buf_addspan(&e->rcpts, m->rcpts);
	buf_addspan(&e->sites, m->sites);
}

static void
take_entry(struct reader *r, struct entry *e, const struct msg_QUEUE_ENTRY *m)
{
	if (!r->visit)
		return;
	take_part(e, m);
	if (!m->last)
		return;
	struct queue_entry q = { .id = buf_span(&e->id), .state = buf_span(&e->state), .sender = buf_span(&e->sender),
		.rcpts = buf_span(&e->rcpts), .sites = buf_span(&e->sites), .size = e->size, .arrival = e->arrival,
		.next = e->next };
	r->visit(r->ctx, &q);
	buf_reset(&e->id);
}

static void
take_site(struct reader *r, const struct msg_QUEUE_SITE *m)
{
	struct queue_site s = { .name = m->name, .reason = m->reason, .ready = m->ready, .busy = m->busy,
		.window = m->window, .parked = m->parked, .dead = m->dead, .rate = m->rate, .shared = m->shared, .hops = m->hops };

	if (r->visit_site)
		r->visit_site(r->ctx, &s);
}

/* Of one datagram, all that is in it. */
static bool
take_answers(struct reader *r, struct entry *e, struct queue_size *q, struct span list)
{
	static const int none[CHAN_FDS] = { -1, -1 };
	struct span wire;
	struct msg m;

	while (msg_list_next(&list, &wire)) {
		if (!msg_decode(wire, none, R_QMGR, R_PUBLIC, &m))
			return false;
		if (m.kind == MSG_QUEUE_END)
			*q = (struct queue_size){ true, m.QUEUE_END.messages, m.QUEUE_END.bytes, m.QUEUE_END.refused };
		else if (m.kind == MSG_QUEUE_ENTRY)
			take_entry(r, e, &m.QUEUE_ENTRY);
		else if (m.kind == MSG_QUEUE_SITE)
			take_site(r, &m.QUEUE_SITE);
	}
	return true;
}

/* Reads until QUEUE_END; false when the link ends before. */
static bool
read_answer(int fd, struct reader *r, struct queue_size *q)
{
	struct entry e = { 0 };
	struct msg in;

	buf_init(&e.id, 100);
	buf_init(&e.state, 100);
	buf_init(&e.sender, 8192);
	buf_init(&e.rcpts, ENTRY_MAX);
	buf_init(&e.sites, ENTRY_MAX);
	while (!q->known && msg_recv(fd, R_QMGR, R_PUBLIC, &in) == MSG_OK) {
		bool ok = in.kind == MSG_QUEUE_ANSWERS && take_answers(r, &e, q, in.QUEUE_ANSWERS.list);

		msg_close_fds(&in);
		if (!ok)
			break;
	}
	buf_fini(&e.id);
	buf_fini(&e.state);
	buf_fini(&e.sender);
	buf_fini(&e.rcpts);
	buf_fini(&e.sites);
	return q->known;
}

static int
ask(int fd, enum msg_kind kind, const void *m, struct reader *r, struct queue_size *q, const char *trouble)
{
	bool ok;

	if (fd < 0)
		return EX_UNAVAILABLE;
	ok = msg_send(fd, kind, m) && read_answer(fd, r, q);
	close(fd);
	if (ok)
		return 0;
	tool_complain("%s", trouble);
	return EX_TEMPFAIL;
}

struct queue_size
queue_measure(void)
{
	const struct msg_QUEUE_LIST list = { 0 };
	struct reader r = { 0 };
	struct queue_size q = { 0 };
	int fd = tool_connect("public", "qmgr");

	if (fd < 0)
		return q;
	if (msg_send(fd, MSG_QUEUE_LIST, &list) && !read_answer(fd, &r, &q))
		q.known = false;
	close(fd);
	return q;
}

int
queue_each(bool sites, queue_visitor *visit, void *ctx, struct queue_size *q)
{
	const struct msg_QUEUE_LIST m = { .sites = sites };
	struct reader r = { .visit = visit, .ctx = ctx };

	*q = (struct queue_size){ 0 };
	return ask(connect_qmgr("public"), MSG_QUEUE_LIST, &m, &r, q, "the list is not complete: qmgr ended the link");
}

int
queue_sites(queue_site_visitor *visit, void *ctx)
{
	const struct msg_QUEUE_SITES m = { 0 };
	struct reader r = { .visit_site = visit, .ctx = ctx };
	struct queue_size q = { 0 };

	return ask(connect_qmgr("public"), MSG_QUEUE_SITES, &m, &r, &q, "qmgr ended the link");
}

int
queue_change(uint32_t action, uint32_t states, struct span ids, unsigned *changed)
{
	struct msg_QUEUE_CHANGE m = { .action = action, .states = states };
	uint32_t refused = 0;
	int code = 0;

	do {
		struct span rest = ids, id;
		struct reader r = { 0 };
		struct queue_size q = { 0 };

		while (ids.n - rest.n < IDS_BLOCK && msg_list_next(&rest, &id))
			;
		m.ids = span_sub(ids, 0, ids.n - rest.n);
		ids = rest;
		code = ask(connect_qmgr("operator"), MSG_QUEUE_CHANGE, &m, &r, &q,
		    "qmgr ended the link: what was asked for may not be done, or may not last; see the log");
		*changed += q.messages;
		refused += q.refused;
	} while (code == 0 && ids.n);
	if (code || !refused)
		return code;
	tool_complain("%u message%s could not be changed; see the log", refused, refused == 1 ? "" : "s");
	return EX_IOERR;
}

uint32_t
queue_states(const char *name)
{
	static const struct { const char *name; uint32_t states; } queues[] = { { "incoming", QUEUE_IN_ACTIVE },
		{ "active", QUEUE_IN_ACTIVE }, { "deferred", QUEUE_IN_DEFERRED }, { "hold", QUEUE_IN_HOLD } };

	for (size_t i = 0; i < NELEMS(queues); i++)
		if (strcmp(name, queues[i].name) == 0)
			return queues[i].states;
	return 0;
}

/* Terminals obey control characters: none of a stranger's get there. */
void
queue_put_clean(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		putchar_unlocked((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i]);
}

/* Without the year: scripts count the words of Postfix's list. A long list has many messages of one second. */
static const char *
date_of(time_t t)
{
	static char date[64];
	static time_t last = -1;
	struct tm tm;

	if (t != last && localtime_r(&t, &tm))
		strftime(date, sizeof(date), "%a %b %e %H:%M:%S", &tm);
	last = t;
	return date;
}

static struct span
sender_of(const struct queue_entry *e)
{
	return e->sender.n ? e->sender : SPAN("MAILER-DAEMON");
}

void
queue_show_text(void *ctx, const struct queue_entry *e)
{
	struct span list = e->rcpts, addr, reason, said = SPAN_NONE;
	unsigned *shown = ctx;
	char id[64];

	if ((*shown)++ == 0)
		printf("%-17s %8s %-19s %s\n", "-Queue ID-", "--Size--", "----Arrival Time----", "-Sender/Recipient-------");
	snprintf(id, sizeof(id), "%.*s%s", SPAN_FMT(e->id), span_is(e->state, "active") ? "*" :
	    span_is(e->state, "hold") ? "!" : "");
	printf("%-17s %8llu %19s ", id, (unsigned long long)e->size, date_of((time_t)e->arrival));
	queue_put_clean(sender_of(e));
	putchar('\n');
	while (msg_list_next(&list, &addr) && msg_list_next(&list, &reason)) {
		if (reason.n && !span_eq(reason, said)) {	/* once for all recipients that share it, as Postfix */
			printf("%*s(", reason.n < REASON_ENDS ? (int)(REASON_ENDS - reason.n) : 0, "");
			queue_put_clean(reason);
			puts(")");
		}
		said = reason;
		printf("%47s", "");
		queue_put_clean(addr);
		putchar('\n');
	}
	putchar('\n');
}

/* Not all that mail carries is UTF-8; JSON is. */
json_t *
queue_json_text(struct span s)
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

/* Nearly all text is written as it is: a tree of values for each of a million messages would cost more than all the rest. */
static void
put_json(struct span s)
{
	json_t *j;

	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] > 0x7e || s.p[i] == '"' || s.p[i] == '\\')
			goto slow;
	printf("\"%.*s\"", SPAN_FMT(s));
	return;
slow:
	j = queue_json_text(s);
	json_dumpf(j, stdout, JSON_ENCODE_ANY);
	json_decref(j);
}

static void
put_member(const char *before, struct span value)
{
	fputs(before, stdout);
	put_json(value);
}

void
queue_show_json(void *ctx, const struct queue_entry *e)
{
	struct span list = e->rcpts, addr, reason, sites = e->sites, site;
	unsigned *shown = ctx, n = 0;

	++*shown;
	put_member("{\"queue_name\": ", e->state);
	put_member(", \"queue_id\": ", e->id);
	printf(", \"arrival_time\": %llu, \"message_size\": %llu, \"forced_expire\": false", (unsigned long long)e->arrival,
	    (unsigned long long)e->size);
	put_member(", \"sender\": ", sender_of(e));
	fputs(", \"recipients\": [", stdout);
	while (msg_list_next(&list, &addr) && msg_list_next(&list, &reason)) {
		put_member(n++ ? ", {\"address\": " : "{\"address\": ", addr);
		if (reason.n)
			put_member(", \"delay_reason\": ", reason);
		if (msg_list_next(&sites, &site))
			put_member(", \"nexthop\": ", site);
		putchar('}');
	}
	puts("]}");
}

void
queue_show_end(unsigned shown, uint64_t bytes)
{
	if (shown == 0)
		puts("Mail queue is empty");
	else
		printf("-- %llu Kbytes in %u Request%s.\n", (unsigned long long)(bytes + 1023) / 1024, shown,
		    shown == 1 ? "" : "s");
}

int
queue_print(bool json)
{
	struct queue_size q;
	unsigned shown = 0;
	int code = queue_each(false, json ? queue_show_json : queue_show_text, &shown, &q);

	if (code == 0 && !json)
		queue_show_end(shown, q.bytes);
	return code;
}

int
queue_flush(struct span id, struct span site)
{
	const struct msg_QUEUE_FLUSH m = { .id = id, .site = site };
	struct reader r = { 0 };
	struct queue_size q = { 0 };
	int code = ask(connect_qmgr("public"), MSG_QUEUE_FLUSH, &m, &r, &q, "flush: qmgr refused or ended the link");

	if (code == 0 && id.n && q.messages == 0) {
		tool_complain("%.*s is not in the queue, or is on hold", SPAN_FMT(id));
		code = EX_DATAERR;
	}
	return code;
}
