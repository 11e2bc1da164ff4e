/* outcome.c: results about mail. Text of replies comes from remote servers: hostile, made printable here. */
#include "mail/outcome.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/banned.h"

void
outcome_clean(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
			*s = *s == '\t' || *s == '\n' || *s == '\r' ? ' ' : '?';
}

static void
copy_text(char *to, size_t cap, struct span from)
{
	size_t n = from.n < cap - 1 ? from.n : cap - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = from.p[i] ? from.p[i] : '?';
	to[n] = '\0';
	outcome_clean(to);
}

struct outcome
outcome_make(enum outcome_kind kind, const char *dsn, const char *fmt, ...)
{
	struct outcome o = { .kind = kind };
	va_list ap;

	copy_text(o.dsn, sizeof(o.dsn), span_str(dsn));
	va_start(ap, fmt);
	vsnprintf(o.text, sizeof(o.text), fmt, ap);
	va_end(ap);
	if (kind != OUTCOME_REDIRECTED)		/* its text is a list of lines */
		outcome_clean(o.text);
	return o;
}

static size_t
digits_at(struct span s, size_t i)
{
	size_t n = 0;

	while (n < 4 && i + n < s.n && s.p[i + n] >= '0' && s.p[i + n] <= '9')
		n++;
	return n;
}

size_t
outcome_enhanced_code(struct span s)
{
	size_t subject, detail, n;

	if (s.n < 5 || !strchr("245", s.p[0]) || !s.p[0] || s.p[1] != '.')
		return 0;
	subject = digits_at(s, 2);
	if (subject < 1 || subject > 3 || 2 + subject >= s.n || s.p[2 + subject] != '.')
		return 0;
	detail = digits_at(s, 3 + subject);
	n = 3 + subject + detail;
	if (detail < 1 || detail > 3 || (n < s.n && s.p[n] != ' '))
		return 0;
	return n;
}

struct outcome
outcome_from_reply(int code, struct span text, const char *mta)
{
	struct outcome o = { .code = code };
	size_t n;

	o.kind = code >= 200 && code < 300 ? OUTCOME_DELIVERED : code >= 500 ? OUTCOME_FAILED : OUTCOME_DEFERRED;
	n = outcome_enhanced_code(text);
	/* RFC 3463 2: the class says the same as the reply; where it does not, the reply counts */
	if (n && text.p[0] == "245"[o.kind == OUTCOME_DELIVERED ? 0 : o.kind == OUTCOME_DEFERRED ? 1 : 2])
		copy_text(o.dsn, sizeof(o.dsn), span_sub(text, 0, n));
	else
		copy_text(o.dsn, sizeof(o.dsn), span_str(o.kind == OUTCOME_DELIVERED ? "2.0.0" :
		    o.kind == OUTCOME_DEFERRED ? "4.0.0" : "5.0.0"));
	copy_text(o.text, sizeof(o.text), text);
	copy_text(o.mta, sizeof(o.mta), span_str(mta));
	return o;
}

const char *
outcome_word(enum outcome_kind kind)
{
	static const char *const words[] = {
		[OUTCOME_DELIVERED] = "sent",
		[OUTCOME_DEFERRED] = "deferred",
		[OUTCOME_FAILED] = "bounced",
		[OUTCOME_REDIRECTED] = "redirected",
		[OUTCOME_DAMAGED] = "deferred",
	};

	return kind < NELEMS(words) ? words[kind] : "unknown";
}
