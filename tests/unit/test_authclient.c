/* test_authclient.c: exchanges with an auth that answers, vanishes, or is not there. */
#include "service/front/authclient.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "service/message.h"
#include "base/banned.h"

#define PATIENCE_MS 5000

struct heard {
	int replies;
	bool more;
	enum auth_result result;
	char data[64], user[64];
};

static int listener, peer = -1;
static struct timer patience;

static void
too_late(void *ctx)
{
	(void)ctx;
	fail_msg("nothing happened");
}

static void
copy(char to[64], struct span s)
{
	assert_true(s.n < 64);
	memcpy(to, s.p, s.n);
	to[s.n] = 0;
}

static void
on_reply(void *ctx, const struct authreply *r)
{
	struct heard *h = ctx;

	h->replies++;
	h->more = r->more;
	h->result = r->result;
	copy(h->data, r->data);
	copy(h->user, r->user);
	loop_stop();
}

static void
wait_for_reply(void)
{
	timer_set(&patience, PATIENCE_MS);
	loop_run();
	timer_clear(&patience);
}

static void
stop_soon(void *ctx)
{
	(void)ctx;
	loop_stop();
}

static void
run_for(uint64_t ms)
{
	struct timer t;

	timer_init(&t, stop_soon, NULL);
	timer_set(&t, ms);
	loop_run();
	timer_stop(&t);
}

static struct authexch *
start(struct heard *h, const char *mech, struct span initial)
{
	*h = (struct heard){ 0 };
	static const struct authorigin from = { .secure = true, .client = { "192.0.2.7", 9 } };

	return authclient_start(span_str(mech), initial.p != NULL, initial, &from, -1, on_reply, h);
}

/* What auth gets: one message of this kind. */
static void
take(enum msg_kind kind, struct msg *m)
{
	if (peer < 0)
		peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	assert_int_equal(msg_recv(peer, R_IMAPD, R_AUTH, m), MSG_OK);
	assert_int_equal(m->kind, kind);
}

static void
answer_done(uint32_t number, enum auth_result result, const char *user)
{
	const struct msg_AUTH_DONE m = { .exch = number, .result = result, .user = span_str(user), .data = SPAN_NONE,
		.text = SPAN_NONE };

	assert_true(msg_send(peer, MSG_AUTH_DONE, &m));
}

static void
auth_is_not_there(void **state)
{
	struct heard h;

	(void)state;
	start(&h, "PLAIN", SPAN("\0a\0b"));
	assert_int_equal(h.replies, 0);
	wait_for_reply();
	assert_int_equal(h.result, AUTH_UNAVAILABLE);
	listener = chan_listen("auth", 0600);
	assert_true(listener >= 0);
}

static void
unknown_mechanisms_are_not_asked(void **state)
{
	static const char *const mechs[] = { "NTLM", "", "PLAIN LOGIN", "ANONYMOUS", "A-NAME-OF-MORE-THAN-THIRTY-TWO-BYTES" };
	struct heard h;

	(void)state;
	for (size_t i = 0; i < NELEMS(mechs); i++) {
		start(&h, mechs[i], SPAN("x"));
		wait_for_reply();
		assert_int_equal(h.result, AUTH_UNSUPPORTED);
	}
}

static void
an_exchange_has_turns(void **state)
{
	struct authexch *e;
	struct msg_AUTH_MORE more = { .data = SPAN("Password:") };
	struct heard h;
	struct msg m;

	(void)state;
	e = start(&h, "login", (struct span){ NULL, 0 });
	take(MSG_AUTH_START, &m);
	assert_true(span_is(m.AUTH_START.mech, "LOGIN"));
	assert_true(span_is(m.AUTH_START.service, "imap"));
	assert_true(span_is(m.AUTH_START.client_addr, "192.0.2.7"));
	assert_int_equal(m.AUTH_START.has_initial, 0);
	assert_int_equal(m.AUTH_START.secure, 1);
	more.exch = m.AUTH_START.exch;
	assert_true(msg_send(peer, MSG_AUTH_MORE, &more));
	wait_for_reply();
	assert_true(h.more);
	assert_string_equal(h.data, "Password:");
	authclient_step(e, SPAN("secret"));
	take(MSG_AUTH_STEP, &m);
	assert_true(span_is(m.AUTH_STEP.data, "secret"));
	answer_done(m.AUTH_STEP.exch, AUTH_OK, "a@b.test");
	wait_for_reply();
	assert_int_equal(h.replies, 2);
	assert_int_equal(h.result, AUTH_OK);
	assert_string_equal(h.user, "a@b.test");
}

static void
answers_to_others_are_ignored(void **state)
{
	struct heard h;
	struct msg m;

	(void)state;
	start(&h, "PLAIN", SPAN("\0a\0b"));
	take(MSG_AUTH_START, &m);
	answer_done(m.AUTH_START.exch + 1000, AUTH_OK, "evil@b.test");
	answer_done(m.AUTH_START.exch, 77, "odd@b.test");
	wait_for_reply();
	assert_int_equal(h.replies, 1);
	assert_int_equal(h.result, AUTH_UNAVAILABLE);
}

static void
who_cancels_hears_nothing(void **state)
{
	struct authexch *e;
	struct heard h;
	struct msg m;

	(void)state;
	authclient_cancel(NULL);
	e = start(&h, "PLAIN", SPAN("\0a\0b"));
	take(MSG_AUTH_START, &m);
	authclient_cancel(e);
	take(MSG_AUTH_CANCEL, &m);
	answer_done(m.AUTH_CANCEL.exch, AUTH_OK, "a@b.test");
	e = start(&h, "NTLM", SPAN("x"));
	authclient_cancel(e);
	run_for(50);
	assert_int_equal(h.replies, 0);
}

static void
long_messages_are_not_sent(void **state)
{
	static char big[AUTHCLIENT_DATA_MAX + 1];
	struct heard h;

	(void)state;
	start(&h, "PLAIN", span_of(big, sizeof(big)));
	wait_for_reply();
	assert_int_equal(h.result, AUTH_MALFORMED);
}

static void
a_lost_link_ends_its_exchanges(void **state)
{
	struct authexch *e;
	struct heard h, late;
	struct msg_AUTH_MORE more = { .data = SPAN_NONE };
	struct msg m;

	(void)state;
	e = start(&late, "PLAIN", (struct span){ NULL, 0 });
	take(MSG_AUTH_START, &m);
	more.exch = m.AUTH_START.exch;
	assert_true(msg_send(peer, MSG_AUTH_MORE, &more));
	wait_for_reply();
	start(&h, "PLAIN", SPAN("\0a\0b"));
	take(MSG_AUTH_START, &m);
	close_fd(&peer);
	run_for(50);
	authclient_step(e, SPAN("x"));		/* too late, and harmless */
	run_for(50);
	assert_int_equal(h.replies, 1);
	assert_int_equal(h.result, AUTH_UNAVAILABLE);
	assert_int_equal(late.replies, 2);
	assert_int_equal(late.result, AUTH_UNAVAILABLE);
	start(&h, "PLAIN", SPAN("\0a\0b"));	/* on a new link */
	take(MSG_AUTH_START, &m);
	answer_done(m.AUTH_START.exch, AUTH_OK, "a@b.test");
	wait_for_reply();
	assert_int_equal(h.result, AUTH_OK);
}

static void
mechanisms_are_filtered(void **state)
{
	struct buf out;

	(void)state;
	assert_true(authclient_offers("PLAIN, LOGIN", SPAN("plain"), 0));
	assert_false(authclient_offers("PLAIN", SPAN("LOGIN"), 0));
	assert_false(authclient_offers("PLAIN NTLM", SPAN("NTLM"), 0));
	buf_init(&out, 256);
	authclient_list("LOGIN, PLAIN, NTLM", "AUTH=", 0, &out);
	assert_string_equal(buf_cstr(&out), "AUTH=PLAIN AUTH=LOGIN");
	buf_fini(&out);
}

static int
group_setup(void **state)
{
	char dir[] = "/tmp/authclient-test-XXXXXX";

	(void)state;
	if (!mkdtemp(dir) || chdir(dir) < 0)
		return -1;
	log_setup("test", LOG_TEXT, LOG_ERROR_);
	loop_init();
	timer_init(&patience, too_late, NULL);
	authclient_init(R_IMAPD);
	*state = x_strdup(dir);
	return 0;
}

static int
group_teardown(void **state)
{
	unlink("auth");
	rmdir(*state);
	free(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auth_is_not_there),
		cmocka_unit_test(unknown_mechanisms_are_not_asked),
		cmocka_unit_test(an_exchange_has_turns),
		cmocka_unit_test(answers_to_others_are_ignored),
		cmocka_unit_test(who_cancels_hears_nothing),
		cmocka_unit_test(long_messages_are_not_sent),
		cmocka_unit_test(a_lost_link_ends_its_exchanges),
		cmocka_unit_test(mechanisms_are_filtered),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
