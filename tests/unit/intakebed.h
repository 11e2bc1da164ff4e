/* intakebed.h: intake before a destination that is memory, with faults on order; messages for it, and how they are read back. */
#ifndef TESTS_INTAKEBED_H
#define TESTS_INTAKEBED_H

#include "tests/unit/unit.h"

#include <sys/mman.h>
#undef MAP_FAILED			/* an answer of a table, here */
#include <unistd.h>

#include "base/fdio.h"
#include "intake.h"
#include "base/map.h"
#include "mail/envelope.h"
#include "service/params.h"

/* ---- a destination in memory ---- */

enum step { CREATE, WRITE, SUBMIT, DONE, STEPS };

static struct memory {
	struct dest d;
	struct buf bytes;
	bool open, committed;
	unsigned calls[STEPS], aborts, releases;
	enum step fail_step;
	unsigned fail_at;		/* the how manieth call of that step, from 1; 0: none */
	int fail_errno;
	uint64_t free;
} mem;

static inline bool
step(enum step s)
{
	if (++mem.calls[s] == mem.fail_at && s == mem.fail_step) {
		mem.d.err = mem.fail_errno;
		return false;
	}
	return true;
}

static inline bool
mem_create(struct dest *d, const char *id)
{
	(void)d;
	assert_true(queue_id_valid(span_str(id)));
	if (!step(CREATE))
		return false;
	mem.open = true;
	return true;
}

static inline bool
mem_write(struct dest *d, struct span s)
{
	(void)d;
	assert_true(mem.open);
	buf_addspan(&mem.bytes, s);
	return step(WRITE);
}

static inline bool
mem_submit(struct dest *d)
{
	(void)d;
	return step(SUBMIT);
}

static inline bool
mem_done(struct dest *d)
{
	(void)d;
	if (!step(DONE))
		return false;
	mem.committed = true;
	mem.open = false;
	return true;
}

static inline void
mem_release(struct dest *d)
{
	(void)d;
	assert_true(mem.committed);
	mem.releases++;
}

static inline void
mem_abort(struct dest *d)
{
	(void)d;
	mem.aborts++;
	mem.open = false;
	buf_reset(&mem.bytes);
}

static inline bool
mem_free_bytes(struct dest *d, uint64_t *bytes)
{
	(void)d;
	*bytes = mem.free;
	return true;
}

static inline void
mem_reset(void)
{
	static const struct dest_ops ops = { mem_create, mem_write, mem_submit, mem_done, mem_release, mem_abort, mem_free_bytes,
	    NULL };

	buf_fini(&mem.bytes);
	mem = (struct memory){ .d = { .ops = &ops }, .free = 1ull << 40 };
	buf_init(&mem.bytes, 64u << 20);
}

static inline int
setup(void **state)
{
	(void)state;
	par.myhostname = "mx.test";
	par.myorigin = "origin.test";
	par.mail_name = "Merpati";
	par.message_size_limit = 1000000;
	par.queue_minfree = 0;
	par.hopcount_limit = 3;
	par.header_size_limit = 102400;
	if (!mem.d.ops)
		buf_init(&mem.bytes, 1);
	mem_reset();
	return 0;
}

/* ---- messages ---- */

static inline struct msg_MAIL
mail_of(struct buf *rcpts, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		msg_list_add(rcpts, span_str(list[i]));
		msg_list_add(rcpts, SPAN("rfc822;o"));
		msg_list_add(rcpts, SPAN("NEVER"));
	}
	return (struct msg_MAIL){ .session = SPAN("s1"), .sender = SPAN("a@b"), .client_addr = SPAN("192.0.2.1"),
		.client_name = SPAN("c.test"), .helo = SPAN("helo.test"), .protocol = SPAN("ESMTP"),
		.rcpts = buf_span(rcpts) };
}

static inline struct reply
take_all(struct intake *in, struct msg_MAIL *m, struct span body, size_t chunk)
{
	struct reply r;
	unsigned released;

	assert_true(intake_begin(in, m));
	while (body.n) {
		struct span part = span_sub(body, 0, chunk);

		intake_body(in, part);
		body = span_skip(body, part.n);
	}
	r = intake_end(in);
	released = mem.releases;
	intake_after(in, &r);
	assert_int_equal(mem.releases - released, in->dest == &mem.d && r.code == 250);
	return r;
}

static inline void
read_back(struct queue_file *q)
{
	struct buf err;
	int fd = memfd_create("q", 0);

	buf_init(&err, 1000);
	assert_true(pwrite_all(fd, mem.bytes.p, mem.bytes.len, 0));
	if (queue_file_read(fd, q, true, &err) != QUEUE_READ_OK)
		fail_msg("%s", err.p);
	close(fd);
	buf_fini(&err);
}

/* The body without the Received field in front */
static inline struct span
without_trace(const struct queue_file *q)
{
	struct span s = span_of(mem.bytes.p, (size_t)q->body_len);

	assert_true(span_starts(s, "Received: "));
	for (size_t i = 0; i + 1 < s.n; i++)
		if (s.p[i] == '\n' && s.p[i + 1] != '\t')
			return span_skip(s, i + 1);
	return SPAN_NONE;
}

#endif
