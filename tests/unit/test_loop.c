/* The event loop's face, and randomness. */
#include "tests/unit/unit.h"

#include <unistd.h>

#include "base/attr.h"
#include "base/loop.h"
#include "base/rand.h"
#include "base/banned.h"

static int order[8];
static int happened;
static struct timer timers[3];
static struct watch watch;
static int pipe_fd[2];

static void
on_time(void *ctx)
{
	order[happened++] = *(int *)ctx;
	if (*(int *)ctx == 3)
		loop_stop();
}

static void
on_later(void *ctx)
{
	order[happened++] = *(int *)ctx;
}

static void
timers_fire_once_in_order(void **state)
{
	static int n[] = { 1, 2, 3, 9 };

	(void)state;
	happened = 0;
	for (int i = 0; i < 3; i++)
		timer_init(&timers[i], on_time, &n[i]);
	timer_set(&timers[2], 60);
	timer_set(&timers[1], 30);
	timer_set(&timers[0], 5000);
	timer_set(&timers[0], 5);	/* replaces */
	loop_later(on_later, &n[3]);
	loop_run();
	assert_int_equal(happened, 4);
	assert_int_equal(order[0], 9);
	assert_int_equal(order[1], 1);
	assert_int_equal(order[2], 2);
	assert_int_equal(order[3], 3);
	for (int i = 0; i < 3; i++)
		timer_stop(&timers[i]);
}

static void
on_readable(void *ctx, int events)
{
	char c;

	(void)ctx;
	assert_int_equal(events, LOOP_READ);
	assert_int_equal(read(pipe_fd[0], &c, 1), 1);
	if (++happened == 2) {
		watch_set(&watch, 0);	/* asleep: the third byte is not told */
		timer_set(&timers[0], 20);
	}
}

static void
a_watch_can_sleep(void **state)
{
	static int three = 3;

	(void)state;
	happened = 0;
	assert_int_equal(pipe(pipe_fd), 0);
	assert_int_equal(write(pipe_fd[1], "abc", 3), 3);
	timer_init(&timers[0], on_time, &three);
	watch_start(&watch, pipe_fd[0], LOOP_READ, on_readable, NULL);
	loop_run();
	assert_int_equal(happened, 3);	/* two bytes and the timer */
	watch_stop(&watch);
	timer_stop(&timers[0]);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static void
random_numbers_stay_below_and_differ(void **state)
{
	unsigned seen[7] = { 0 };
	unsigned char a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	for (int i = 0; i < 7000; i++)
		seen[rand_below(7)]++;		/* an index out of range is a sanitizer report */
	for (size_t i = 0; i < NELEMS(seen); i++)
		assert_in_range(seen[i], 500, 1500);
	assert_int_equal(rand_below(1), 0);
	rand_bytes(a, sizeof(a));
	rand_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

static int
start_loop(void **state)
{
	(void)state;
	loop_init();
	return 0;
}

/* Work in steps that goes on for ever starves no descriptor. */
static int steps_pipe[2], steps;

static void
on_bytes(void *ctx, int events)
{
	(void)ctx;
	(void)events;
	loop_stop();
}

static void
one_step(void *ctx)
{
	if (++steps == 10)
		assert_int_equal(write(steps_pipe[1], "x", 1), 1);
	assert_true(steps < 1000);
	loop_later(one_step, ctx);
}

static void
steps_starve_no_descriptor(void **state)
{
	struct watch w;

	(void)state;
	assert_int_equal(pipe(steps_pipe), 0);
	watch_start(&w, steps_pipe[0], LOOP_READ, on_bytes, NULL);
	loop_later(one_step, NULL);
	loop_run();
	assert_true(steps >= 10);
	watch_stop(&w);
	close(steps_pipe[0]);
	close(steps_pipe[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_once_in_order),
		cmocka_unit_test(a_watch_can_sleep),
		cmocka_unit_test(steps_starve_no_descriptor),
		cmocka_unit_test(random_numbers_stay_below_and_differ),
	};

	return cmocka_run_group_tests(tests, start_loop, NULL);
}
