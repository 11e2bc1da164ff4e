/* Messages between processes: every kind there and back, who may send what, damaged bytes. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "service/message.h"
#include "base/banned.h"

/* Every field gets a value that says where it was. */
static uint32_t serial;

#define U32(name) m.name = ++serial;
#define U64(name) m.name = (uint64_t)++serial << 32;
#define STR(name) m.name = SPAN(#name);
#define BYTES(name) m.name = span_of("body\0of " #name, 8 + sizeof(#name));
#define LIST(name) m.name = SPAN("\3\0\0\0abc\0\0\0\0");
#define FD(name) m.name = 7;
#define MSG(kind, from, to)							\
	static bool								\
	encode_##kind(struct buf *wire, int fds[CHAN_FDS], int *nfds)		\
	{									\
		struct msg_##kind m = { 0 };
#define END(kind)								\
		return msg_encode(MSG_##kind, &m, wire, fds, nfds);		\
	}
#include "service/messages.def"

#define U32(name) assert_int_equal(in.name, ++serial);
#define U64(name) assert_true(in.name == (uint64_t)++serial << 32);
#define STR(name) assert_true(span_is(in.name, #name));
#define BYTES(name) assert_true(span_eq(in.name, span_of("body\0of " #name, 8 + sizeof(#name))));
#define LIST(name) assert_int_equal(msg_list_count(in.name), 2);
#define FD(name) assert_int_equal(in.name, 7);
#define MSG(name_, from_, to_)							\
	static void								\
	check_##name_(const struct msg *m)					\
	{									\
		const struct msg_##name_ in = m->name_;				\
		(void)in;
#define END(kind) }
#include "service/messages.def"

static const struct {
	bool (*encode)(struct buf *wire, int fds[CHAN_FDS], int *nfds);
	void (*check)(const struct msg *m);
	unsigned from, to;
} kinds[] = {
#define MSG(kind, from, to) { encode_##kind, check_##kind, from, to },
#include "service/messages.def"
};

static void
every_kind_there_and_back(void **state)
{
	(void)state;
	for (size_t k = 0; k < NELEMS(kinds); k++) {
		int fds[CHAN_FDS] = { -1, -1 }, nfds;
		struct buf wire;
		struct msg m;

		buf_init(&wire, CHAN_MAX);
		serial = 100;
		assert_true(kinds[k].encode(&wire, fds, &nfds));
		if (!msg_decode(buf_span(&wire), fds, kinds[k].from, kinds[k].to, &m))
			fail_msg("%s is not understood", msg_name((enum msg_kind)k));
		assert_int_equal(m.kind, k);
		serial = 100;
		kinds[k].check(&m);
		/* nobody else may send it, or get it */
		assert_false(msg_decode(buf_span(&wire), fds, ~kinds[k].from, kinds[k].to, &m));
		assert_false(msg_decode(buf_span(&wire), fds, kinds[k].from, ~kinds[k].to, &m));
		/* a descriptor that no field takes */
		if (nfds == 0)
			assert_false(msg_decode(buf_span(&wire), (int[CHAN_FDS]){ 7, -1 }, kinds[k].from, kinds[k].to, &m));
		/* cut anywhere: an error or a message, never a read past the end */
		for (size_t n = 0; n < wire.len; n++) {
			char *copy = x_spandup(span_of(wire.p, n));

			(void)msg_decode(span_of(copy, n), fds, kinds[k].from, kinds[k].to, &m);
			x_free(&copy);
		}
		buf_fini(&wire);
	}
}

static void
damaged(void **state)
{
	static const struct {
		struct span wire;
		bool ok;
	} rows[] = {
		{ SPAN(""), false },
		{ SPAN("\x07"), false },
		{ SPAN("\xff\xff"), false },
		{ SPAN("\0\0"), true },					/* STATUS with nothing */
		{ SPAN("\0\0\0\4\0\0\0\1\0\0\0"), true },
		{ SPAN("\0\0\0\3\0\0\0\1\0\0"), false },		/* a short number */
		{ SPAN("\0\0\0\xff\xff\xff\xff\1\0\0\0"), false },	/* longer than the message */
		{ SPAN("\0\0\x63\2\0\0\0hi"), true },			/* a field of the future */
		{ SPAN("\0\0\0\4\0\0"), false },
	};
	struct msg m;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++)
		if (msg_decode(rows[i].wire, (int[CHAN_FDS]){ -1, -1 }, R_SMTPD, R_MASTER, &m) != rows[i].ok)
			fail_msg("row %zu", i);
}

static void
lists(void **state)
{
	struct span list = SPAN("\1\0\0\0a\377\0\0\0b"), s;
	struct buf b;

	(void)state;
	assert_true(msg_list_next(&list, &s) && span_is(s, "a"));
	assert_false(msg_list_next(&list, &s));			/* malformed: the rest is dropped */
	assert_int_equal(list.n, 0);
	buf_init(&b, 100);
	msg_list_add(&b, SPAN("one"));
	msg_list_add(&b, SPAN_NONE);
	assert_int_equal(msg_list_count(buf_span(&b)), 2);
	buf_fini(&b);
}

static void
over_a_link(void **state)
{
	int fd[2], null = open("/dev/null", O_RDONLY);
	struct msg_FILE file = { .path = SPAN("/a"), .fd = null };
	struct msg_NEW new = { .id = SPAN("x") };
	static char big[9000];
	struct msg_OPEN_FILE too_long = { .path = span_of(big, sizeof(big)) };
	struct msg in;

	(void)state;
	assert_true(chan_pair(fd));
	assert_true(msg_send(fd[0], MSG_FILE, &file));
	assert_int_equal(msg_recv(fd[1], R_MASTER, R_SMTPD, &in), MSG_OK);
	assert_true(in.FILE.fd >= 0 && in.FILE.fd != null);
	msg_close_fds(&in);
	assert_int_equal(in.FILE.fd, -1);
	assert_false(msg_send(fd[0], MSG_OPEN_FILE, &too_long));
	assert_int_equal(errno, EMSGSIZE);
	assert_true(msg_send(fd[0], MSG_NEW, &new));
	assert_int_equal(msg_recv(fd[1], R_SMTPD, R_QMGR, &in), MSG_BAD);	/* only intake may say so */
	close(fd[0]);
	assert_int_equal(msg_recv(fd[1], R_INTAKE, R_QMGR, &in), MSG_END);
	close(fd[1]);
	close(null);
}

/* A peer that ends with something unread has still said what it said; the kernel tells of its end first. */
static void
last_words(void **state)
{
	static const struct {
		enum msg_result (*recv)(int fd, unsigned from, unsigned to, struct msg *out);
		int resets;
	} rows[] = { { msg_recv, 0 }, { msg_recv_or_reset, 1 } };
	struct msg_NEW new = { .id = SPAN("x") };
	struct msg in;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int fd[2];

		assert_true(chan_pair(fd));
		assert_true(msg_send(fd[0], MSG_NEW, &new));
		assert_true(msg_send(fd[1], MSG_NEW, &new));
		close(fd[1]);
		for (int n = 0; n < rows[i].resets; n++) {
			assert_int_equal(rows[i].recv(fd[0], R_INTAKE, R_QMGR, &in), MSG_END);
			assert_int_equal(errno, ECONNRESET);
		}
		assert_int_equal(rows[i].recv(fd[0], R_INTAKE, R_QMGR, &in), MSG_OK);
		assert_int_equal(rows[i].recv(fd[0], R_INTAKE, R_QMGR, &in), MSG_END);
		assert_int_equal(errno, 0);
		close(fd[0]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_kind_there_and_back), cmocka_unit_test(damaged),
		cmocka_unit_test(lists), cmocka_unit_test(over_a_link), cmocka_unit_test(last_words) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
