/* reply.c: replies as values. Text may quote what the client said, so it is made printable here. */
#include "reply.h"

#include <stdio.h>

#include "base/banned.h"

static struct reply vmake(int code, const char *dsn, enum reply_then then, const char *fmt, va_list ap) PRINTF(4, 0);

static struct reply
vmake(int code, const char *dsn, enum reply_then then, const char *fmt, va_list ap)
{
	struct reply r;

	r.code = code;
	r.then = then;
	r.delay_ms = 0;
	snprintf(r.dsn, sizeof(r.dsn), "%s", dsn);
	vsnprintf(r.text, sizeof(r.text), fmt, ap);
	return r;
}

struct reply
reply_make(int code, const char *dsn, const char *fmt, ...)
{
	struct reply r;
	va_list ap;

	va_start(ap, fmt);
	r = vmake(code, dsn, THEN_NEXT, fmt, ap);
	va_end(ap);
	return r;
}

struct reply
reply_close(int code, const char *dsn, const char *fmt, ...)
{
	struct reply r;
	va_list ap;

	va_start(ap, fmt);
	r = vmake(code, dsn, THEN_CLOSE, fmt, ap);
	va_end(ap);
	return r;
}

/* Nothing is said yet: several for each command, so nothing is printed. */
static struct reply
silent(int code)
{
	struct reply r;

	r.code = code;
	r.then = THEN_NEXT;
	r.delay_ms = 0;
	r.dsn[0] = r.text[0] = '\0';
	return r;
}

struct reply
reply_pending(void)
{
	return silent(0);
}

struct reply
reply_wait(void)
{
	return silent(REPLY_WAIT);
}

void
reply_soften(struct reply *r)
{
	if (r->code < 500)
		return;
	r->code -= 100;
	if (r->dsn[0] == '5')
		r->dsn[0] = '4';
}

void
reply_format(const struct reply *r, struct buf *out)
{
	struct span rest = span_str(r->text), line;

	while (span_cut(&rest, '\n', &line)) {
		buf_addu(out, (uint64_t)r->code);
		buf_addc(out, rest.p ? '-' : ' ');
		if (r->dsn[0]) {
			buf_adds(out, r->dsn);
			buf_addc(out, ' ');
		}
		for (size_t i = 0; i < line.n; i++)
			buf_addc(out, line.p[i] >= ' ' && line.p[i] < 0x7f ? line.p[i] : '?');
		buf_adds(out, "\r\n");
	}
}
