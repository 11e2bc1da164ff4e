/* Lines of the log: one write, printable, the same fields as text and as JSON; and dates. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/banned.h"

/* What f writes to descriptor 2. */
static void
capture(void (*f)(void), char *out, size_t cap)
{
	int fd = memfd_create("log", MFD_CLOEXEC), saved = dup(STDERR_FILENO);
	ssize_t n;

	dup2(fd, STDERR_FILENO);
	f();
	dup2(saved, STDERR_FILENO);
	n = pread(fd, out, cap - 1, 0);
	out[n > 0 ? n : 0] = '\0';
	close(fd);
	close(saved);
}

static void
hostile_fields(void)
{
	struct logline l;

	logline_begin(&l, LOG_INFO_, "ID1");
	logline_addr(&l, "from", SPAN("a\r\n2026 master[1]: forged\x1b[2J\"\\\xff"));
	logline_num(&l, "size", 42);
	logline_fmt(&l, "delay", "%d/%d", 1, 2);
	logline_end(&l);
}

static void
text_is_escaped(void **state)
{
	char out[8192];

	(void)state;
	log_setup("smtpd", LOG_TEXT, LOG_INFO_);
	capture(hostile_fields, out, sizeof(out));
	assert_non_null(strstr(out, "ID1: from=<a\\x0d\\x0a2026 master[1]: forged\\x1b[2J\"\\\\xff>, size=42, delay=1/2\n"));
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
	for (const char *p = out; *p; p++)
		assert_true((*p >= 0x20 && *p < 0x7f) || *p == '\n');
}

static void
json_is_escaped(void **state)
{
	char out[8192];

	(void)state;
	log_setup("smtpd", LOG_JSON, LOG_INFO_);
	capture(hostile_fields, out, sizeof(out));
	assert_int_equal(out[0], '{');
	assert_non_null(strstr(out, "\"id\":\"ID1\",\"from\":\"a\\u000d\\u000a2026 master[1]: forged\\u001b[2J\\\"\\\\\\u00ff\",\"size\":42"));
	assert_non_null(strstr(out, "\"delay\":\"1/2\"}\n"));
}

static void
long_and_quiet(void)
{
	char text[20000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_debug(NULL, "not written");
	log_warn("ID", "%s", text);
}

static void
bounds(void **state)
{
	char out[30000];

	(void)state;
	log_setup("smtpd", LOG_TEXT, LOG_INFO_);
	capture(long_and_quiet, out, sizeof(out));
	assert_null(strstr(out, "not written"));
	assert_true(strlen(out) < 4096);		/* PIPE_BUF: never mixed with another process's line */
	assert_int_equal(out[strlen(out) - 1], '\n');
}

static void
dates(void **state)
{
	static const struct {
		time_t t;
		const char *text;
	} rows[] = {
		{ 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
		{ 1795291480, "Sat, 21 Nov 2026 20:04:40 +0000" },
		{ 951782400, "Tue, 29 Feb 2000 00:00:00 +0000" },
		{ 4102444799, "Thu, 31 Dec 2099 23:59:59 +0000" },
	};
	char out[CLOCK_DATE_MAX];
	uint64_t a, b;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++)
		assert_string_equal(clock_rfc5322(rows[i].t, out), rows[i].text);
	a = clock_mono_ms();
	b = clock_mono_ms();
	assert_true(b >= a);
	assert_true((uint64_t)clock_wall() <= clock_wall_us() / 1000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(text_is_escaped), cmocka_unit_test(json_is_escaped),
		cmocka_unit_test(bounds), cmocka_unit_test(dates) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
