/* Queue files: what is written is read again, and nothing else is taken for a message. Outcomes too. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/crc32c.h"
#include "mail/outcome.h"
#include "mail/crc32c.h"
#include "mail/queuefile.h"
#include "base/banned.h"

#define BODY "Received: x\n\nbody\n"

static int
make_file(struct span bytes)
{
	int fd = memfd_create("queue", 0);

	assert_true(fd >= 0);
	assert_true(pwrite_all(fd, bytes.p, bytes.n, 0));
	return fd;
}

static void
make_message(struct buf *out, unsigned rcpts)
{
	struct queue_envelope e = { .sender = SPAN("a@b"), .envid = SPAN("env"), .client = SPAN("h [1.2.3.4]"),
		.login = SPAN("bob"), .session = SPAN("s1"), .arrival_us = 1234567890123456, .flags = 0x102 };
	struct queue_trailer t;

	queue_trailer_init(&t);
	for (unsigned i = 0; i < rcpts; i++)
		queue_trailer_rcpt(&t, i ? SPAN("c@d") : SPAN("first@d"), SPAN("rfc822;c"), SPAN("FAILURE"));
	queue_trailer_envelope(&t, &e);
	queue_trailer_header(&t, SPAN("X-Late: 1\n"));
	queue_trailer_body(&t, crc32c(0, SPAN(BODY)));
	assert_true(queue_trailer_end(&t, sizeof(BODY) - 1));
	buf_adds(out, BODY);
	buf_addspan(out, buf_span(&t.b));
	queue_trailer_fini(&t);
}

/* What is kept for lists is the same envelope, marks of this moment included. */
static void
same_in_brief(const struct queue_file *q)
{
	size_t at = 0, at_brief = 0;
	struct queue_rcpt r, s;
	struct queue_file brief;
	struct buf records;

	buf_init(&records, QUEUE_RECORDS_MAX);
	queue_file_brief(q, &records);
	assert_true(queue_file_from_brief(buf_span(&records), q->body_len, q->rcpts, &brief));
	assert_true(span_eq(brief.env.sender, q->env.sender) && brief.body_len == q->body_len && brief.rcpts == q->rcpts);
	while (queue_file_rcpt(q, &at, &r))
		assert_true(queue_file_rcpt(&brief, &at_brief, &s) && span_eq(r.addr, s.addr) && r.state == 'D' && s.state == 'D');
	assert_false(queue_file_rcpt(&brief, &at_brief, &s));
	queue_file_fini(&brief);
	assert_false(queue_file_from_brief(buf_span(&records), q->body_len, q->rcpts + 1, &brief));
	buf_fini(&records);
}

static void
round_trip(void **state)
{
	static const unsigned counts[] = { 0, 1, 2, 1000 };

	(void)state;
	for (size_t i = 0; i < NELEMS(counts); i++) {
		struct queue_rcpt r;
		struct queue_file q;
		struct buf b, err;
		struct span line;
		unsigned n = 0;
		size_t at = 0;
		int fd;

		buf_init(&b, 1 << 20);
		buf_init(&err, 1000);
		make_message(&b, counts[i]);
		fd = make_file(buf_span(&b));
		assert_int_equal(queue_file_read(fd, &q, true, &err), QUEUE_READ_OK);
		assert_int_equal(q.body_len, sizeof(BODY) - 1);
		assert_int_equal(q.rcpts, counts[i]);
		assert_true(span_is(q.env.sender, "a@b") && span_is(q.env.envid, "env") && span_is(q.env.login, "bob"));
		assert_true(span_is(q.env.client, "h [1.2.3.4]") && span_is(q.env.session, "s1"));
		assert_true(q.env.arrival_us == 1234567890123456 && q.env.flags == 0x102);
		while (queue_file_rcpt(&q, &at, &r)) {
			assert_true(span_is(r.addr, n++ ? "c@d" : "first@d"));
			assert_true(span_is(r.orcpt, "rfc822;c") && span_is(r.notify, "FAILURE") && r.state == '.');
			assert_true(queue_file_mark(fd, &q, &r, 'D'));
		}
		assert_int_equal(n, counts[i]);
		same_in_brief(&q);
		at = 0;
		assert_true(queue_file_header(&q, &at, &line) && span_is(line, "X-Late: 1\n"));
		assert_false(queue_file_header(&q, &at, &line));
		queue_file_fini(&q);
		/* marked recipients leave the checksum as it was */
		assert_int_equal(queue_file_read(fd, &q, true, &err), QUEUE_READ_OK);
		at = n = 0;
		while (queue_file_rcpt(&q, &at, &r))
			n += r.state == 'D';
		assert_int_equal(n, counts[i]);
		queue_file_fini(&q);
		close(fd);
		buf_fini(&b);
		buf_fini(&err);
	}
}

/* Cut anywhere, or with any bit wrong: not a message (a state byte alone may be what it wants of its two). */
static void
damage(void **state)
{
	struct queue_file q;
	struct buf b, err;
	int fd;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_init(&err, 1000);
	make_message(&b, 3);
	for (size_t n = 0; n < b.len; n++) {
		fd = make_file(span_of(b.p, n));
		assert_int_equal(queue_file_read(fd, &q, true, &err), QUEUE_READ_NOT_A_MESSAGE);
		buf_reset(&err);
		close(fd);
	}
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		b.p[bit / 8] ^= (char)(1 << bit % 8);
		fd = make_file(buf_span(&b));
		assert_int_equal(queue_file_read(fd, &q, true, &err), QUEUE_READ_NOT_A_MESSAGE);
		assert_true(err.len > 0);
		buf_reset(&err);
		b.p[bit / 8] ^= (char)(1 << bit % 8);
		close(fd);
	}
	buf_fini(&b);
	buf_fini(&err);
}

static void
strange_files(void **state)
{
	struct queue_file q;
	struct buf err;
	int fd[2];

	(void)state;
	buf_init(&err, 1000);
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(queue_file_read(fd[0], &q, true, &err), QUEUE_READ_NOT_A_MESSAGE);
	assert_int_equal(queue_file_read(-1, &q, true, &err), QUEUE_READ_ERROR);
	close(fd[0]);
	close(fd[1]);
	buf_fini(&err);
}

static void
ids(void **state)
{
	char id[QUEUE_ID_LEN + 1], last[QUEUE_ID_LEN + 1] = "";

	(void)state;
	for (int i = 0; i < 10000; i++) {
		queue_id_make(id, 62 * 62 * 62 - 1);
		assert_true(queue_id_valid(span_str(id)));
		assert_true(strcmp(last, id) < 0);
		assert_non_null(strchr(QUEUE_HASHES, queue_id_hash(span_str(id))));
		memcpy(last, id, sizeof(id));
	}
	assert_true(memcmp(id + 9, "zzz", 3) == 0);
	assert_false(queue_id_valid(SPAN("")));
	assert_false(queue_id_valid(SPAN(".instance")));
	assert_false(queue_id_valid(SPAN("0123456789abcde/")));
	assert_false(queue_id_valid(SPAN("0123456789abcde\0")));
	assert_false(queue_id_valid(SPAN("0123456789abcdefg")));
}

static void
checksum(void **state)
{
	(void)state;
	assert_int_equal(crc32c(0, SPAN("123456789")), 0xe3069283);	/* RFC 3720 B.4 */
	assert_int_equal(crc32c(crc32c(0, SPAN("1234")), SPAN("56789")), 0xe3069283);
	assert_int_equal(crc32c(0, SPAN("")), 0);
	for (size_t at = 0; at < 9; at++)		/* any processor says the same */
		for (size_t n = 0; n < 40; n++) {
			struct span s = span_sub(SPAN("\0\1\xff any bytes at any place, and of any length at all"), at, at + n);

			assert_int_equal(crc32c(7, s), crc32c_by_table(7, s));
		}
}

static void
replies(void **state)
{
	static const struct { int code; const char *text; enum outcome_kind kind; const char *dsn; } cases[] = {
		{ 250, "2.1.5 Ok", OUTCOME_DELIVERED, "2.1.5" }, { 250, "Ok", OUTCOME_DELIVERED, "2.0.0" },
		{ 451, "4.7.1 later", OUTCOME_DEFERRED, "4.7.1" }, { 550, "5.1.1", OUTCOME_FAILED, "5.1.1" },
		{ 550, "4.1.1 lies", OUTCOME_FAILED, "5.0.0" }, { 550, "5.1.1x", OUTCOME_FAILED, "5.0.0" },
		{ 550, "5.1234.1 x", OUTCOME_FAILED, "5.0.0" }, { 550, "5..1 x", OUTCOME_FAILED, "5.0.0" },
		{ 421, "", OUTCOME_DEFERRED, "4.0.0" }, { 354, "", OUTCOME_DEFERRED, "4.0.0" },
	};
	struct outcome o;

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		o = outcome_from_reply(cases[i].code, span_str(cases[i].text), "mx");
		assert_int_equal(o.kind, cases[i].kind);
		assert_string_equal(o.dsn, cases[i].dsn);
	}
	o = outcome_from_reply(550, SPAN("a\0b\x1b[0m\r\nc\xff"), "mx\n");
	assert_string_equal(o.text, "a?b?[0m  c?");
	assert_string_equal(o.mta, "mx ");
	o = outcome_make(OUTCOME_FAILED, "5.1.1", "%02000d", 1);
	assert_int_equal(strlen(o.text), OUTCOME_TEXT_MAX - 1);
	assert_string_equal(outcome_word(OUTCOME_FAILED), "bounced");
}

/* Longer than what one read takes: a byte of any block; a message above the bound is not read. */
static void
damage_of_long_messages(void **state)
{
	static const struct { size_t len; bool seen; } cases[] = {
		{ 4000, true }, { 5000, true }, { 70000, true }, { QUEUE_BODY_CHECK_MAX, true }, { QUEUE_BODY_CHECK_MAX + 1, false },
	};
	struct queue_envelope e = { .sender = SPAN("a@b"), .arrival_us = 1 };

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct queue_trailer t;
		struct queue_file q;
		struct buf b, err;
		size_t n = cases[i].len, places[] = { 0, n / 2, n - 1 };

		buf_init(&b, 4u << 20);
		buf_init(&err, 1000);
		memset(buf_room(&b, n), 'x', n);
		buf_grew(&b, n);
		queue_trailer_init(&t);
		queue_trailer_envelope(&t, &e);
		queue_trailer_body(&t, crc32c(0, buf_span(&b)));
		assert_true(queue_trailer_end(&t, n));
		buf_addspan(&b, buf_span(&t.b));
		for (size_t k = 0; k <= NELEMS(places); k++) {
			bool whole = k == NELEMS(places);
			int fd;

			if (!whole)
				b.p[places[k]] ^= 4;
			fd = make_file(buf_span(&b));
			assert_int_equal(queue_file_read(fd, &q, true, &err),
			    whole || !cases[i].seen ? QUEUE_READ_OK : QUEUE_READ_NOT_A_MESSAGE);
			queue_file_fini(&q);
			assert_int_equal(queue_file_read(fd, &q, false, &err), QUEUE_READ_OK);
			queue_file_fini(&q);
			close(fd);
			if (!whole)
				b.p[places[k]] ^= 4;
		}
		queue_trailer_fini(&t);
		buf_fini(&b);
		buf_fini(&err);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(damage),
		cmocka_unit_test(damage_of_long_messages),
		cmocka_unit_test(strange_files),
		cmocka_unit_test(ids),
		cmocka_unit_test(checksum),
		cmocka_unit_test(replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
