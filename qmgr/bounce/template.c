/* template.c: reads bounce_template_file, which is the operator's. Each mistake has a line. */
#include "template.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/fdio.h"
#include "service/message.h"
#include "service/params.h"
#include "base/banned.h"

#define FILE_MAX (256u << 10)
#define TEXT_MAX (64u << 10)
#define VALUE_MAX 900
#define END_MAX 64			/* the word behind << */

enum { FAILURE, DELAY, SUCCESS, TEMPLATES };

static const char *const names[] = { [FAILURE] = "failure_template", [DELAY] = "delay_template",
	[SUCCESS] = "success_template" };
static struct template templates[TEMPLATES];
static bool present[TEMPLATES];

struct reading {
	const char *file;
	unsigned line;
	struct buf *err;
	int at;				/* the template that is being read; TEMPLATES: one that is not used */
	bool header;
	char end[END_MAX];
	struct buf text;
};

static bool
wrong(struct reading *r, const char *what, struct span s)
{
	buf_addf(r->err, "bounce_template_file: %s:%u: %s \"%.*s\"", r->file, r->line, what, SPAN_FMT(s));
	return false;
}

/* ---- $names ---- */

static const struct { const char *name; const char *const *value; } words[] = {
	{ "myhostname", &par.myhostname }, { "mydomain", &par.mydomain }, { "myorigin", &par.myorigin },
	{ "mail_name", &par.mail_name },
};
static const struct { const char *name; const uint32_t *value; } times[] = {
	{ "delay_warning_time_", &par.delay_warning_time }, { "maximal_queue_lifetime_", &par.maximal_queue_lifetime },
};
static const struct { const char *name; uint32_t seconds; } units[] = {
	{ "seconds", 1 }, { "minutes", 60 }, { "hours", 3600 }, { "days", 86400 }, { "weeks", 604800 },
};

static bool
add_value(struct span name, struct buf *out)
{
	for (size_t i = 0; i < NELEMS(words); i++)
		if (span_is(name, words[i].name)) {
			buf_adds(out, *words[i].value);
			return true;
		}
	for (size_t i = 0; i < NELEMS(times); i++)
		for (size_t k = 0; k < NELEMS(units) && span_starts(name, times[i].name); k++)
			if (span_is(span_skip(name, strlen(times[i].name)), units[k].name)) {
				buf_addf(out, "%u", (*times[i].value + units[k].seconds / 2) / units[k].seconds);
				return true;
			}
	return false;
}

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* A line with $name, ${name}, $(name) replaced; $$ is $. */
static bool
expand(struct reading *r, struct span s, struct buf *out)
{
	size_t i = 0;

	while (i < s.n) {
		size_t from, to;
		char close = 0;

		if (s.p[i] != '$') {
			buf_addc(out, s.p[i++]);
			continue;
		}
		if (i + 1 < s.n && s.p[i + 1] == '$') {
			buf_addc(out, '$');
			i += 2;
			continue;
		}
		from = i + 1;
		if (from < s.n && (s.p[from] == '{' || s.p[from] == '('))
			close = s.p[from++] == '{' ? '}' : ')';
		for (to = from; to < s.n && is_word(s.p[to]); to++)
			;
		if ((close && (to == s.n || s.p[to] != close)) || !add_value(span_sub(s, from, to), out))
			return wrong(r, "there is no", span_sub(s, i, to));
		i = to + (close != 0);
	}
	return true;
}

/* ---- lines ---- */

static bool
take_header(struct reading *r, struct span line)
{
	struct template *t = r->at < TEMPLATES ? &templates[r->at] : NULL;
	const struct { const char *name; char **to; } fields[] = {
		{ "Charset", t ? &t->charset : NULL }, { "From", t ? &t->from : NULL }, { "Subject", t ? &t->subject : NULL },
		{ "Postmaster-Subject", t ? &t->postmaster_subject : NULL },
	};
	struct span value = line, name;
	struct buf out;
	bool ok;

	if (line.n == 0) {
		r->header = false;
		return true;
	}
	(void)span_cut(&value, ':', &name);
	for (size_t i = 0; i < NELEMS(fields); i++) {
		if (!span_is_nocase(span_trim(name), fields[i].name))
			continue;
		buf_init(&out, VALUE_MAX);
		ok = expand(r, span_trim(value), &out);
		if (ok && (out.over || out.len == 0 || !span_printable(buf_span(&out))))
			ok = wrong(r, "must be short and ASCII:", line);
		if (ok && t) {
			free(*fields[i].to);
			*fields[i].to = x_spandup(buf_span(&out));
		}
		buf_fini(&out);
		return ok;
	}
	return wrong(r, "Charset, From, Subject or Postmaster-Subject is wanted, not", line);
}

static void
set_default(char **field, const char *value)
{
	if (!*field)
		*field = x_strdup(value);
}

static bool
end_template(struct reading *r)
{
	struct template *t = &templates[r->at];

	r->end[0] = '\0';
	if (r->header || r->text.len == 0)
		return wrong(r, "there is no text behind the header of", span_str(r->at < TEMPLATES ? names[r->at] : "the template"));
	if (r->at == TEMPLATES)
		return true;
	set_default(&t->charset, "us-ascii");
	set_default(&t->from, "MAILER-DAEMON (Mail Delivery System)");
	set_default(&t->subject, "Mail Delivery Status");
	set_default(&t->postmaster_subject, t->subject);
	t->text = x_spandup(buf_span(&r->text));
	for (size_t i = 0; i < r->text.len; i++)
		t->eight_bit |= (unsigned char)r->text.p[i] >= 0x80;
	present[r->at] = true;
	return !t->eight_bit || !span_is_nocase(span_str(t->charset), "us-ascii") ||
	    wrong(r, "8-bit text needs another Charset in", span_str(names[r->at]));
}

/* "failure_template = <<EOF" */
static bool
begin_template(struct reading *r, struct span line)
{
	struct span value = line, name, end;

	(void)span_cut(&value, '=', &name);
	name = span_trim(name);
	end = span_trim(value);
	if (!span_starts(end, "<<") || end.n < 3 || end.n - 2 >= END_MAX)
		return wrong(r, "NAME = <<WORD is wanted, not", line);
	end = span_trim(span_skip(end, 2));
	for (r->at = 0; r->at < TEMPLATES && !span_is(name, names[r->at]); r->at++)
		;
	if (r->at == TEMPLATES && !span_is(name, "verify_template"))
		return wrong(r, "failure_template, delay_template or success_template is wanted, not", name);
	if (r->at < TEMPLATES && present[r->at])
		return wrong(r, "this stands here twice:", name);
	memcpy(r->end, end.p, end.n);
	r->end[end.n] = '\0';
	r->header = true;
	buf_reset(&r->text);
	return true;
}

static bool
take_line(struct reading *r, struct span line)
{
	struct span bare = span_trim(line);

	if (memchr(line.p, '\0', line.n))
		return wrong(r, "not text:", SPAN_NONE);
	if (!r->end[0])
		return bare.n == 0 || bare.p[0] == '#' || begin_template(r, bare);
	if (span_is(bare, r->end))
		return end_template(r);
	if (r->header)
		return take_header(r, bare);
	if (!expand(r, line, &r->text))
		return false;
	buf_addc(&r->text, '\n');
	return !r->text.over || wrong(r, "too long:", span_sub(line, 0, 40));
}

bool
template_load(const char *file, struct buf *err)
{
	struct reading r = { .file = file, .err = err };
	struct buf text;
	struct span rest, line;
	bool ok = true;

	if (!file[0])
		return true;
	buf_init(&text, FILE_MAX);
	buf_init(&r.text, TEXT_MAX);
	if (!read_file(AT_FDCWD, file, &text)) {
		buf_addf(err, "bounce_template_file: %s: %s", file, strerror(errno));
		ok = false;
	}
	rest = buf_span(&text);
	while (ok && span_cut(&rest, '\n', &line)) {
		r.line++;
		ok = take_line(&r, line);
	}
	if (ok && r.end[0])
		ok = wrong(&r, "the end is missing:", span_str(r.end));
	for (int i = 0; !ok && i < TEMPLATES; i++)
		present[i] = false;
	buf_fini(&text);
	buf_fini(&r.text);
	return ok;
}

const struct template *
template_of(uint32_t kind)
{
	static const int of[] = { [BOUNCE_FAILED] = FAILURE, [BOUNCE_DELAYED] = DELAY, [BOUNCE_DELIVERED] = SUCCESS,
		[BOUNCE_DOUBLE] = FAILURE, [BOUNCE_EXPANDED] = SUCCESS, [BOUNCE_COPY] = FAILURE,
		[BOUNCE_COPY_DELAYED] = DELAY };

	return kind < NELEMS(of) && present[of[kind]] ? &templates[of[kind]] : NULL;
}
