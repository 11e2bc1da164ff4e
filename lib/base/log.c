/* log.c: one event, one line, one write. */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/die.h"
#include "base/banned.h"

#define LINE_MAX_BYTES 4000	/* below PIPE_BUF: a line is never mixed with another process's */

static const char *log_name = "merpati";
static enum log_format log_form = LOG_TEXT;
static enum log_level log_least = LOG_INFO_;
static int log_pid;
static const char *const level_names[] = { "debug", "info", "warning", "error" };

void
log_new_process(void)
{
	log_pid = (int)getpid();
}

void
log_setup(const char *name, enum log_format format, enum log_level least)
{
	log_name = name;
	log_form = format;
	log_least = least;
	log_new_process();
}

/* Exactly n digits of v. */
static void
put_digits(char *to, size_t n, unsigned v)
{
	for (; n > 0; v /= 10)
		to[--n] = (char)('0' + v % 10);
}

/* 2026-11-22T06:05:52.853Z; printf would be a tenth of what a login costs. */
static void
add_time(struct buf *b)
{
	char text[] = "0000-00-00T00:00:00.000Z";
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	put_digits(text, 4, (unsigned)tm.tm_year + 1900);
	put_digits(text + 5, 2, (unsigned)tm.tm_mon + 1);
	put_digits(text + 8, 2, (unsigned)tm.tm_mday);
	put_digits(text + 11, 2, (unsigned)tm.tm_hour);
	put_digits(text + 14, 2, (unsigned)tm.tm_min);
	put_digits(text + 17, 2, (unsigned)tm.tm_sec);
	put_digits(text + 20, 3, (unsigned)(ts.tv_nsec / 1000000));
	buf_add(b, text, sizeof(text) - 1);
}

static void
add_escaped(struct buf *b, struct span s, bool json)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (json && (c == '"' || c == '\\'))
			buf_addf(b, "\\%c", c);
		else if (c >= 0x20 && c < 0x7f)
			buf_addc(b, (char)c);
		else
			buf_addf(b, json ? "\\u00%02x" : "\\x%02x", c);
	}
}

static void
write_line(struct buf *b)
{
	char *p = b->p;
	size_t n = b->len;
	ssize_t w;

	if (n == 0)
		return;
	do
		w = write(STDERR_FILENO, p, n);
	while (w < 0 && errno == EINTR);
}

void
logline_begin(struct logline *l, enum log_level level, const char *id)
{
	if (!log_pid)
		log_new_process();
	buf_init(&l->text, LINE_MAX_BYTES);
	l->level = level;
	l->json = log_form == LOG_JSON;
	if (l->json) {
		buf_adds(&l->text, "{\"time\":\"");
		add_time(&l->text);
		buf_addf(&l->text, "\",\"level\":\"%s\",\"daemon\":\"%s\",\"pid\":%d", level_names[level], log_name, log_pid);
		if (id)
			logline_str(l, "id", span_str(id));
		return;
	}
	add_time(&l->text);
	buf_addc(&l->text, ' ');
	buf_adds(&l->text, log_name);
	buf_addc(&l->text, '[');
	buf_addu(&l->text, (uint64_t)log_pid);
	buf_adds(&l->text, "]: ");
	if (id && *id) {
		add_escaped(&l->text, span_str(id), false);
		buf_adds(&l->text, ": ");
	}
	if (level >= LOG_WARN_) {
		buf_adds(&l->text, level_names[level]);
		buf_adds(&l->text, ": ");
	}
}

static void
next_field(struct logline *l, const char *key)
{
	bool first = l->text.len >= 2 && memcmp(l->text.p + l->text.len - 2, ": ", 2) == 0;

	buf_adds(&l->text, l->json ? ",\"" : first ? "" : ", ");
	buf_adds(&l->text, key);
	buf_adds(&l->text, l->json ? "\":" : "=");
}

static void
add_value(struct logline *l, const char *key, struct span value, bool angle)
{
	size_t room = LINE_MAX_BYTES / 4;

	next_field(l, key);
	if (l->json)
		buf_addc(&l->text, '"');
	else if (angle)
		buf_addc(&l->text, '<');
	add_escaped(&l->text, span_sub(value, 0, room), l->json);
	if (l->json)
		buf_addc(&l->text, '"');
	else if (angle)
		buf_addc(&l->text, '>');
}

void
logline_str(struct logline *l, const char *key, struct span value)
{
	add_value(l, key, value, false);
}

void
logline_addr(struct logline *l, const char *key, struct span value)
{
	add_value(l, key, value, true);
}

void
logline_num(struct logline *l, const char *key, uint64_t value)
{
	next_field(l, key);
	buf_addu(&l->text, value);
}

void
logline_fmt(struct logline *l, const char *key, const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, LINE_MAX_BYTES);
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	logline_str(l, key, buf_span(&b));
	buf_fini(&b);
}

void
logline_end(struct logline *l)
{
	int saved = errno;

	l->text.over = false;
	l->text.max += 2;
	buf_adds(&l->text, l->json ? "}\n" : "\n");
	if (l->level >= log_least)
		write_line(&l->text);
	buf_fini(&l->text);
	errno = saved;
}

static void PRINTF(3, 0)
log_prose(enum log_level level, const char *id, const char *fmt, va_list ap)
{
	struct logline l;
	struct buf b;

	if (level < log_least)
		return;
	buf_init(&b, LINE_MAX_BYTES);
	buf_vaddf(&b, fmt, ap);
	logline_begin(&l, level, id);
	if (l.json)
		logline_str(&l, "message", buf_span(&b));
	else
		add_escaped(&l.text, span_sub(buf_span(&b), 0, LINE_MAX_BYTES / 2), false);
	logline_end(&l);
	buf_fini(&b);
}

#define LOG_PROSE(function, level)					\
	void								\
	function(const char *id, const char *fmt, ...)			\
	{								\
		va_list ap;						\
									\
		va_start(ap, fmt);					\
		log_prose(level, id, fmt, ap);				\
		va_end(ap);						\
	}

LOG_PROSE(log_debug, LOG_DEBUG_)
LOG_PROSE(log_info, LOG_INFO_)
LOG_PROSE(log_warn, LOG_WARN_)
LOG_PROSE(log_error, LOG_ERROR_)

static void PRINTF(2, 0)
last_words(int err, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	if (err)
		log_error(NULL, "%s: %s", text, strerror(err));
	else
		log_error(NULL, "%s", text);
}

void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	last_words(0, fmt, ap);
	va_end(ap);
	_exit(EX_TEMPFAIL);
}

void
die_errno(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	va_start(ap, fmt);
	last_words(err, fmt, ap);
	va_end(ap);
	_exit(EX_TEMPFAIL);
}

void
die_config(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	last_words(0, fmt, ap);
	va_end(ap);
	_exit(EX_CONFIG);
}

void
bug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	last_words(0, fmt, ap);
	va_end(ap);
	abort();
}
