/*
 * The memory of qmgr: messages, reasons, the timer wheel, sites and their windows. No disk, no clock.
 * links: qmgr/glance.c qmgr/message.c qmgr/reason.c qmgr/wheel.c qmgr/schedule.c qmgr/lane.c qmgr/steady.c qmgr/hop.c
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <time.h>
#include <stdlib.h>

#include "base/buf.h"
#include "qmgr/glance.h"
#include "qmgr/hop.h"
#include "qmgr/message.h"
#include "qmgr/reason.h"
#include "qmgr/schedule.h"
#include "qmgr/steady.h"
#include "qmgr/wheel.h"
#include "base/banned.h"

static struct span
id_of(unsigned n)
{
	static char text[32];

	snprintf(text, sizeof(text), "8DnAQ%011u", n);
	return span_of(text, QUEUE_ID_LEN);
}

static void
test_messages(void **state)
{
	enum { MANY = 20000 };
	uint32_t at = 0, seen = 0;

	(void)state;
	assert_true(sizeof(struct message) <= 56);	/* with its place in the hash: 64 bytes at most */
	for (unsigned i = 0; i < MANY; i++)
		assert_non_null(message_new(id_of(i)));
	assert_null(message_new(id_of(7)));
	assert_null(message_new(SPAN("short")));
	assert_int_equal(message_count(), MANY);
	for (unsigned i = 0; i < MANY; i += 2)
		message_free(message_find(id_of(i)));
	assert_int_equal(message_count(), MANY / 2);
	for (unsigned i = 0; i < MANY; i++)
		assert_true(!!message_find(id_of(i)) == (i % 2 == 1));
	while (message_each(&at))
		seen++;
	assert_int_equal(seen, MANY / 2);
	for (unsigned i = 0; i < MANY; i += 2)
		assert_non_null(message_new(id_of(i)));
	for (unsigned i = 0; i < MANY; i++)
		message_free(message_find(id_of(i)));
	assert_int_equal(message_count(), 0);
}

static void
make_file(struct queue_file *q, unsigned rcpts)
{
	struct queue_trailer t;

	queue_trailer_init(&t);
	queue_trailer_envelope(&t, &(struct queue_envelope){ .sender = SPAN("a@b") });
	for (unsigned i = 0; i < rcpts; i++)
		queue_trailer_rcpt(&t, SPAN("somebody@example.com"), SPAN_NONE, SPAN_NONE);
	assert_true(queue_file_from_brief(buf_span(&t.b), 4096, rcpts, q));
	q->env.arrival_us = 77;
	queue_trailer_fini(&t);
}

static void
keep(const struct message *m, unsigned rcpts)
{
	struct queue_file q;

	make_file(&q, rcpts);
	glance_keep(m, &q);
	queue_file_fini(&q);
}

/* The number of recipients that is kept of a message; 0: nothing is. */
static unsigned
kept(const struct message *m)
{
	struct queue_file q;
	struct queue_rcpt r;
	unsigned n = 0;
	size_t at = 0;

	if (!glance_find(m, &q))
		return 0;
	while (queue_file_rcpt(&q, &at, &r))
		n += span_is(r.addr, "somebody@example.com");
	assert_true(span_is(q.env.sender, "a@b") && q.env.arrival_us == 77 && q.body_len == 4096 && n == q.rcpts);
	queue_file_fini(&q);
	return n;
}

/* What lists know of messages: bounded, replaced, and never that of another message under the same number. */
static void
test_glances(void **state)
{
	enum { MANY = 140000 };
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		keep(message_new(id_of(i)), 1);
	assert_true(glance_bytes() <= GLANCE_BYTES && glance_bytes() > GLANCE_BYTES / 10 * 9);
	for (unsigned i = 0; i < MANY; i++)
		found += kept(message_find(id_of(i)));
	assert_in_range(found, 90000, 131072);
	assert_int_equal(kept(message_find(id_of(5))), 1);
	glance_forget(message_find(id_of(5)));
	assert_int_equal(kept(message_find(id_of(5))), 0);
	glance_forget(message_find(id_of(6)));
	keep(message_find(id_of(6)), 2);
	assert_int_equal(kept(message_find(id_of(6))), 2);
	keep(message_find(id_of(6)), 1000);		/* too large to be kept: then nothing is, not what was before */
	assert_int_equal(kept(message_find(id_of(6))), 0);
	for (unsigned i = 0; i < MANY; i++) {
		glance_forget(message_find(id_of(i)));
		message_free(message_find(id_of(i)));
	}
	assert_int_equal(glance_bytes(), 0);
}

static void
test_arrival(void **state)
{
	char id[QUEUE_ID_LEN + 1];
	struct message *m;
	uint64_t before = (uint64_t)time(NULL);

	(void)state;
	queue_id_make(id, 5);
	m = message_new(span_str(id));
	assert_true(message_arrival(m) >= before && message_arrival(m) <= before + 2);
	message_free(m);
}

static void
test_reasons(void **state)
{
	char text[32];
	uint16_t a = reason_keep(SPAN("connection refused")), b = reason_keep(SPAN("connection refused"));

	(void)state;
	assert_true(a != 0 && a == b);
	assert_int_equal(reason_keep(SPAN_NONE), 0);
	reason_drop(a);
	assert_true(span_is(reason_text(b), "connection refused"));
	reason_drop(b);
	for (unsigned i = 0; i < REASONS_MAX - 1; i++) {
		snprintf(text, sizeof(text), "reason %u", i);
		assert_true(reason_keep(span_str(text)) != 0);
	}
	assert_int_equal(reason_keep(SPAN("one too many")), 0);
	for (uint16_t r = 1; r < REASONS_MAX; r++)
		reason_drop(r);
	assert_true(reason_keep(SPAN("room again")) != 0);
}

static void
test_reasons_of_each_recipient(void **state)
{
	const struct reason_of same[] = { { 0, SPAN("x") }, { 5, SPAN("x") } };
	const struct reason_of two[] = { { 2, SPAN("refused") }, { 4, SPAN("greylisted") }, { 4, SPAN("later") } };
	static struct reason_of many[REASON_SET_MAX + 5];
	static uint16_t kept[REASON_SETS_MAX + 1];
	uint16_t a = reason_keep_all(same, 2), b = reason_keep_all(two, 3);
	unsigned sets = 0;

	(void)state;
	assert_int_equal(reason_keep_all(NULL, 0), 0);
	assert_true(a != 0 && a < REASONS_MAX && span_is(reason_for(a, 99), "x"));
	assert_true(b >= REASONS_MAX && span_is(reason_for(b, 2), "refused") && span_is(reason_for(b, 4), "greylisted"));
	assert_true(span_is(reason_text(b), "refused") && span_is(reason_for(b, 7), "refused"));
	reason_drop(b);
	assert_int_equal(reason_keep_all(two, 2), b);	/* its place is free again */
	reason_drop(b);
	reason_drop(a);
	for (uint32_t i = 0; i < NELEMS(many); i++)
		many[i] = (struct reason_of){ i, i % 2 ? SPAN("odd") : SPAN("even") };
	for (; sets < NELEMS(kept); sets++) {
		kept[sets] = reason_keep_all(many, sets < 490 ? NELEMS(many) : 2);
		if (kept[sets] < REASONS_MAX)
			break;
	}
	assert_true(sets > 500 && sets <= REASON_SETS_MAX);	/* full, one way or the other: one reason for all */
	assert_true(span_is(reason_for(kept[sets], 1), "even"));
	assert_true(span_is(reason_for(kept[0], 999), "odd") && span_is(reason_for(kept[0], 1003), "even"));
	for (unsigned i = 0; i <= sets; i++)
		reason_drop(kept[i]);
}

/* ---- wheel ---- */

static unsigned came;

static void
count_due(struct message *m)
{
	came++;
	message_free(m);
}

static void
test_wheel(void **state)
{
	static const struct { uint32_t delay, early, on_time; } cases[] = {
		{ 1, 0, 1 }, { 0, 0, 1 }, { 5, 4, 5 }, { 4095, 4094, 4095 }, { 4096, 4095, 4096 }, { 100000, 99999, 100000 },
	};
	uint32_t now = 10;

	(void)state;
	wheel_start(now);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct message *m = message_new(id_of(100));

		came = 0;
		wheel_add(m, cases[i].delay);
		wheel_turn(now + cases[i].early, count_due);
		assert_int_equal(came, 0);
		now += cases[i].on_time;
		wheel_turn(now, count_due);
		assert_int_equal(came, 1);
		assert_int_equal(wheel_count(), 0);
	}
}

static void
test_wheel_after_a_long_sleep(void **state)
{
	uint32_t now = wheel_now();

	(void)state;
	came = 0;
	for (unsigned i = 0; i < 500; i++)
		wheel_add(message_new(id_of(i)), i * 37);
	wheel_remove(message_find(id_of(3)));
	wheel_turn(now + 1000000, count_due);
	assert_int_equal(came, 499);
	assert_int_equal(wheel_count(), 0);
	message_free(message_find(id_of(3)));
}

/* ---- schedule ---- */

static bool
yes(const struct site *s)
{
	(void)s;
	return true;
}

static void
limits(void)
{
	schedule_limits = (struct schedule_limits){ .first_window = 5,
		.window = { [POOL_VIRTUAL] = 4, [POOL_LOCAL] = 2, [POOL_SMTP] = 20, [POOL_BOUNCE] = 100, [KIND_LMTP] = 3 },
		.good = { 1, FEEDBACK_BY_WINDOW }, .bad = { 1, FEEDBACK_BY_WINDOW }, .dead_at = 1,
		.dead_min = 10, .dead_max = 40 };
}

static void
test_sites_take_turns_within_their_windows(void **state)
{
	static struct ready r[60];
	struct site *slow = site_get(POOL_SMTP, SPAN("slow.test")), *quick = site_get(POOL_SMTP, SPAN("QUICK.test"));
	unsigned of_slow = 0, of_quick = 0;

	(void)state;
	assert_ptr_equal(quick, site_get(POOL_SMTP, SPAN("quick.TEST")));
	assert_ptr_not_equal(quick, site_get(POOL_LOCAL, SPAN("quick.test")));
	for (int i = 0; i < 40; i++)
		schedule_add(slow, 7, &r[i]);
	for (int i = 40; i < 43; i++)
		schedule_add(quick, 7, &r[i]);
	assert_true(lane_full(slow->lanes, 100) && !lane_full(quick->lanes, 100));
	for (struct ready *n; (n = schedule_next(POOL_SMTP, yes)) != NULL; )
		(n->site == slow ? &of_slow : &of_quick)[0]++;
	assert_int_equal(of_slow, 5);
	assert_int_equal(of_quick, 3);
	for (unsigned i = 0; i < 5; i++)	/* each success makes room for more than itself */
		assert_false(schedule_done(slow, FEEDBACK_GOOD, 0));
	of_slow = 0;
	while (schedule_next(POOL_SMTP, yes))
		of_slow++;
	assert_true(of_slow == 5 || of_slow == 6);
	while (quick->busy)
		schedule_done(quick, FEEDBACK_GOOD, 0);
	while (slow->busy)
		schedule_done(slow, FEEDBACK_GOOD, 0);
	for (int i = 0; i < 1000; i++) {
		struct ready *n = schedule_next(POOL_SMTP, yes);

		if (!n)
			break;
		assert_true(slow->busy <= 20);
		schedule_done(slow, FEEDBACK_GOOD, 0);
	}
	assert_int_equal(slow->nready, 0);
}

static void
test_a_site_of_troubles_dies_and_comes_back_slowly(void **state)
{
	static struct ready r[30];
	struct site *s = site_get(POOL_SMTP, SPAN("dead.test"));
	uint64_t now = 1000;
	unsigned tried = 0, drained = 0;
	bool died = false;

	(void)state;
	for (size_t i = 0; i < NELEMS(r); i++)
		schedule_add(s, 7, &r[i]);
	while (!died && schedule_next(POOL_SMTP, yes)) {
		tried++;
		died = schedule_done(s, FEEDBACK_TROUBLE, now);
	}
	assert_true(died && tried <= 6);
	assert_true(site_dead(s, now) && site_dead(s, now + 9999));
	while (schedule_drain(s)) {
		drained++;
		assert_false(schedule_done(s, FEEDBACK_NONE, now));
	}
	assert_int_equal(tried + drained, NELEMS(r));
	schedule_sweep(now);
	assert_ptr_equal(site_find(POOL_SMTP, SPAN("dead.test")), s);	/* remembered */
	now += 10000;
	assert_false(site_dead(s, now));
	for (size_t i = 0; i < 3; i++)
		schedule_add(s, 7, &r[i]);
	assert_non_null(schedule_next(POOL_SMTP, yes));
	assert_null(schedule_next(POOL_SMTP, yes));		/* one at a time */
	assert_true(schedule_done(s, FEEDBACK_TROUBLE, now));
	assert_true(site_dead(s, now + 19999) && !site_dead(s, now + 20000));	/* twice as long */
	while (schedule_drain(s))
		schedule_done(s, FEEDBACK_NONE, now);
	schedule_sweep(now + 1000000);
	assert_null(site_find(POOL_SMTP, SPAN("dead.test")));
}

static void
test_unget(void **state)
{
	static struct ready r[2];
	struct site *s = site_get(POOL_LOCAL, SPAN("bob"));
	struct ready *first;

	(void)state;
	schedule_add(s, 7, &r[0]);
	schedule_add(s, 7, &r[1]);
	first = schedule_next(POOL_LOCAL, yes);
	assert_ptr_equal(first, &r[0]);
	schedule_unget(first);
	assert_int_equal(s->busy, 0);
	assert_ptr_equal(schedule_next(POOL_LOCAL, yes), &r[0]);
	assert_ptr_equal(schedule_next(POOL_LOCAL, yes), &r[1]);
	assert_null(schedule_next(POOL_LOCAL, yes));
}

/* A mailing and a small mail at one site: the small one is second, not last. */
static void
test_lanes_take_turns(void **state)
{
	static struct ready r[40], small, late;
	struct site *s = site_get(POOL_VIRTUAL, SPAN_NONE);
	struct ready *n;

	(void)state;
	for (size_t i = 0; i < NELEMS(r); i++)
		schedule_add(s, 1, &r[i]);
	assert_ptr_equal(schedule_next(POOL_VIRTUAL, yes), &r[0]);
	schedule_add(s, 2, &small);
	assert_int_equal(s->nlanes, 2);
	n = schedule_next(POOL_VIRTUAL, yes);
	assert_true(n == &small || schedule_next(POOL_VIRTUAL, yes) == &small);
	assert_int_equal(s->nlanes, 1);
	for (unsigned i = 0; i < LANES_MAX * 2; i++)	/* more sources than lanes share them */
		assert_non_null(lane_get(s, 100 + i));
	assert_int_equal(s->nlanes, LANES_MAX);
	schedule_add(s, 1, &late);
	while (s->busy)
		schedule_done(s, FEEDBACK_GOOD, 0);
	for (unsigned left = s->nready; left; left--) {
		assert_non_null(schedule_next(POOL_VIRTUAL, yes));
		schedule_done(s, FEEDBACK_GOOD, 0);
	}
	for (struct lane *l = s->lanes, *next; l; l = next) {
		next = l->sibling;
		lane_release(l);
	}
	assert_int_equal(s->nlanes + s->nready + s->busy, 0);
}

static void
test_the_share_of_a_lane_is_of_what_is_left(void **state)
{
	struct site *s = site_get(POOL_SMTP, SPAN("share.test"));
	struct lane *a = lane_get(s, 1);

	(void)state;
	assert_int_equal(lane_limit(a, 20000), 5000);
	assert_int_equal(lane_limit(a, 0), 8);
	(void)lane_get(s, 2);
	assert_int_equal(lane_limit(a, 20000), 2500);
	lane_release(lane_get(s, 2));
	lane_release(a);
	assert_null(s->lanes);
}

static bool
is_third(const struct ready *r)
{
	return r->source == 3;
}

static void
test_pick_and_park(void **state)
{
	static struct ready r[6];
	struct site *s = site_get(POOL_SMTP, SPAN("pick.test"));
	struct message *m = message_new(id_of(1)), *o = message_new(id_of(2));

	(void)state;
	for (unsigned i = 0; i < NELEMS(r); i++)
		schedule_add(s, 1 + i % 3, &r[i]);
	assert_true(schedule_pick(s, is_third)->source == 3 && schedule_pick(s, is_third)->source == 3);
	assert_null(schedule_pick(s, is_third));
	assert_true(s->nlanes == 2 && s->nready == 4 && s->busy == 2);
	lane_park(lane_get(s, 1), m);
	lane_park(lane_get(s, 3), o);
	assert_true(s->nparked == 2 && schedule_parked() == 2 && m->state == MESSAGE_PARKED);
	while (s->nready) {
		while (s->busy)
			schedule_done(s, FEEDBACK_GOOD, 0);
		assert_non_null(schedule_next(POOL_SMTP, yes));
	}
	assert_int_equal(s->nlanes, 2);		/* parked messages keep theirs */
	lane_release(lane_unpark(m));
	lane_release(lane_unpark(o));
	assert_true(s->nlanes == 0 && s->nparked == 0 && schedule_parked() == 0);
	schedule_done(s, FEEDBACK_GOOD, 0);
	message_free(m);
	message_free(o);
}

static void
test_next_hops_of_one_set_of_mail_hosts_are_one_site(void **state)
{
	enum { SET = 77, OTHER = 78, MANY = 100 };
	static struct ready r[MANY];
	struct site *own = hop_site(POOL_SMTP, SPAN("d0.test"), 0), *s;
	uint64_t now = 1000;
	char name[20];

	(void)state;
	assert_true(own == site_find(POOL_SMTP, SPAN("d0.test")) && own->set == 0);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "D%u.test", i);
		s = hop_learn(span_str(name), SET, SPAN("mx.test"), now);
		snprintf(name, sizeof(name), "d%u.TEST", i);
		assert_ptr_equal(hop_site(POOL_SMTP, span_str(name), now), s);
		schedule_add(s, i, &r[i]);
	}
	assert_true(s->set == SET && s->nhops == MANY && s != own && span_is(span_str(s->name), "mx.test"));
	assert_ptr_equal(hop_find(POOL_SMTP, SPAN("d5.test")), s);
	assert_null(hop_find(POOL_SMTP, SPAN("mx.test")));	/* the name of a host is no next hop */
	assert_null(hop_find(POOL_LOCAL, SPAN("d5.test")));
	for (unsigned i = 0; i < 5; i++)		/* one window for all of them */
		assert_non_null(schedule_next(POOL_SMTP, yes));
	assert_null(schedule_next(POOL_SMTP, yes));
	for (unsigned i = 0; i < 5; i++)		/* and one death */
		if (schedule_done(s, FEEDBACK_TROUBLE, now))
			break;
	assert_true(site_dead(hop_site(POOL_SMTP, SPAN("d99.test"), now), now));
	while (schedule_drain(s))
		schedule_done(s, FEEDBACK_NONE, now);
	while (s->busy)
		schedule_done(s, FEEDBACK_NONE, now);
	assert_ptr_equal(hop_site(POOL_SMTP, SPAN("d1.test"), now + 9999), s);
	s->dead_until = now + 60000;			/* dead for longer: has it moved away? */
	assert_ptr_not_equal(hop_site(POOL_SMTP, SPAN("d1.test"), now + 10000), s);
	hop_confirm(SPAN("d1.test"), now + 10000);
	assert_ptr_equal(hop_site(POOL_SMTP, SPAN("d1.test"), now + 10001), s);
	assert_ptr_not_equal(hop_learn(SPAN("d1.test"), OTHER, SPAN("mx.other.test"), now + 10001), s);
	assert_true(s->nhops == MANY - 1 && hop_site(POOL_SMTP, SPAN("d1.test"), now)->set == OTHER);
	schedule_sweep(now + 1000000);
	assert_ptr_equal(hop_find(POOL_SMTP, SPAN("d2.test")), s);	/* while a next hop leads there */
	hop_sweep(now + 100 * 3600000ull);
	schedule_sweep(now + 100 * 3600000ull);
	assert_null(hop_find(POOL_SMTP, SPAN("d2.test")));
	assert_true(site_get_set(SET, SPAN("mx.test"))->nhops == 0);
}

static void
test_the_table_of_next_hops_is_bounded(void **state)
{
	char name[24];

	(void)state;
	for (unsigned i = 0; i <= HOPS_MAX; i++) {
		snprintf(name, sizeof(name), "n%u.test", i);
		assert_int_equal(hop_learn(span_str(name), 5, SPAN("mx.test"), 0)->set, 5);
	}
	assert_int_equal(site_get_set(5, SPAN("mx.test"))->nhops, HOPS_MAX);
	assert_null(hop_find(POOL_SMTP, span_str(name)));
	hop_sweep(UINT64_MAX);
	assert_int_equal(site_get_set(5, SPAN("mx.test"))->nhops, 0);
}

static void
test_feedback_rules(void **state)
{
	static const struct { const char *text; bool ok; double amount; unsigned by; } cases[] = {
		{ "1", true, 1, FEEDBACK_FLAT }, { "0.5", true, 0.5, FEEDBACK_FLAT }, { "0", true, 0, FEEDBACK_FLAT },
		{ "1/concurrency", true, 1, FEEDBACK_BY_WINDOW }, { "1 / sqrt_concurrency", true, 1, FEEDBACK_BY_ROOT },
		{ "2", false, 0, 0 }, { "-1", false, 0, 0 }, { "", false, 0, 0 }, { "1/what", false, 0, 0 },
		{ "x", false, 0, 0 }, { "0.11111111111111111111", false, 0, 0 }, { "nan", false, 0, 0 },
	};
	struct site *s = site_get(POOL_SMTP, SPAN("lmtp:unix:x"));
	struct ready r;

	(void)state;
	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct feedback_rule f = { -1, 0 };

		assert_int_equal(feedback_parse(span_str(cases[i].text), &f), cases[i].ok);
		if (cases[i].ok)
			assert_true(f.amount == cases[i].amount && f.by == cases[i].by);
	}
	assert_true(s->kind == KIND_LMTP && s->window == 3);
	schedule_limits.rate_delay[KIND_LMTP] = 2;
	schedule_add(s, 1, &r);
	assert_non_null(schedule_next(POOL_SMTP, yes));
	schedule_add(s, 1, &r);
	assert_null(schedule_next(POOL_SMTP, yes));	/* one at a time, whatever the window */
	schedule_done(s, FEEDBACK_GOOD, 5000);
	assert_int_equal(s->rate_until, 7000);
	assert_non_null(schedule_next(POOL_SMTP, yes));
	schedule_done(s, FEEDBACK_NONE, 6000);
	assert_int_equal(s->rate_until, 7000);
	limits();
}

static void
test_steady_clock(void **state)
{
	const uint64_t s = 1000000, begin = 1800000000 * s, year = 365ull * 86400 * s;
	uint64_t t;

	(void)state;
	assert_int_equal(steady_step(begin, 1000), begin);
	assert_int_equal(steady_step(begin + s, 2000), begin + s);
	assert_int_equal(steady_step(begin + 10 * year, 3000), begin + 3 * s);		/* ahead: double speed */
	assert_int_equal(steady_step(begin - 10 * year, 4000), begin + 3 * s);		/* back: stands still */
	t = steady_step(begin + 4 * s, 5000);
	assert_int_equal(t, begin + 4 * s);						/* agrees again */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_glances),
		cmocka_unit_test(test_arrival),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_reasons_of_each_recipient),
		cmocka_unit_test(test_wheel),
		cmocka_unit_test(test_wheel_after_a_long_sleep),
		cmocka_unit_test(test_sites_take_turns_within_their_windows),
		cmocka_unit_test(test_a_site_of_troubles_dies_and_comes_back_slowly),
		cmocka_unit_test(test_unget),
		cmocka_unit_test(test_lanes_take_turns),
		cmocka_unit_test(test_the_share_of_a_lane_is_of_what_is_left),
		cmocka_unit_test(test_pick_and_park),
		cmocka_unit_test(test_next_hops_of_one_set_of_mail_hosts_are_one_site),
		cmocka_unit_test(test_the_table_of_next_hops_is_bounded),
		cmocka_unit_test(test_feedback_rules),
		cmocka_unit_test(test_steady_clock),
	};

	limits();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
