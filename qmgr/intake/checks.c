/*
 * checks.c: the tables of header_checks and its kin, and their actions. The tables are root's, what they are asked
 * of are strangers' fields and lines; each is asked once.
 */
#include "checks.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "service/params.h"
#include "service/service.h"
#include "base/banned.h"

#define VALUE_MAX 4096
#define REFRESH_MS 1000
#define LINE_MAX_ 990			/* of a header or line that an action makes */
#define TOLD_MAX 200			/* bytes of a field or line that stand in the log */

static struct maps *tables[CHECKS];

static const char *const kinds[] = {
	[CHECK_HEADER] = "header", [CHECK_MIME] = "mime_header", [CHECK_NESTED] = "nested_header", [CHECK_BODY] = "body",
};

struct piece {
	struct intake *in;
	enum check_kind kind;
	struct span raw;		/* with its line end */
	struct span text;		/* behind the word of the action */
	struct buf *out;
};

void
checks_open(void)
{
	const char *const specs[] = {
		[CHECK_HEADER] = par.header_checks, [CHECK_MIME] = par.mime_header_checks,
		[CHECK_NESTED] = par.nested_header_checks, [CHECK_BODY] = par.body_checks,
	};

	for (size_t i = 0; i < CHECKS; i++) {
		maps_free(tables[i]);
		tables[i] = specs[i] && *specs[i] ? service_maps(specs[i]) : NULL;
	}
}

bool
checks_has(enum check_kind kind)
{
	return !maps_empty(tables[kind]);
}

bool
checks_wanted(const struct intake *in)
{
	bool any = false;

	for (size_t i = 0; i < CHECKS; i++)
		any = any || checks_has((enum check_kind)i);
	return any && !in->shown && in->role != R_BOUNCE && !(in->env.flags & MAIL_INTERNAL);
}

void
checks_refresh(void)
{
	static uint64_t next;
	uint64_t now = clock_mono_ms();

	if (now < next)
		return;
	next = now + REFRESH_MS;
	for (size_t i = 0; i < CHECKS; i++)
		maps_refresh(tables[i]);
}

/* ---- actions ---- */

static void
tell(const struct piece *f, const char *action)
{
	struct span line = span_trim_right(span_sub(f->raw, 0, TOLD_MAX));

	log_info(f->in->id, "%s: %s %.*s: %.*s", action, kinds[f->kind], SPAN_FMT(line), SPAN_FMT(f->text));
}

static void
keep(struct piece *f)
{
	buf_addspan(f->out, f->raw);
}

static void
act_ignore(struct piece *f)
{
	(void)f;
}

static void
act_strip(struct piece *f)
{
	tell(f, "strip");
}

static void
act_warn(struct piece *f)
{
	tell(f, "warning");
	keep(f);
}

static void
act_info(struct piece *f)
{
	tell(f, "info");
	keep(f);
}

/* May the text of the action stand in the place of what was asked? In a header it must be a field. */
static bool
is_line(const struct piece *f)
{
	ssize_t colon = span_find(f->text, ':');

	if (f->kind == CHECK_BODY)
		return f->text.n <= LINE_MAX_ && !memchr(f->text.p, '\n', f->text.n);
	return colon > 0 && f->text.n <= LINE_MAX_ && !memchr(f->text.p, '\n', f->text.n) &&
	    span_find(span_sub(f->text, 0, (size_t)colon), ' ') < 0;
}

static void
refuse(struct piece *f, uint32_t code, const char *dsn, struct span text)
{
	struct intake *in = f->in;

	tell(f, "reject");
	snprintf(in->check_dsn, sizeof(in->check_dsn), "%s", dsn);
	snprintf(in->check_text, sizeof(in->check_text), "%.*s", SPAN_FMT(text));
	intake_fail(in, (struct reply){ code, in->check_dsn, in->check_text });
}

static void
misconfigured(struct piece *f, const char *what)
{
	log_warn(f->in->id, "%s_checks: %s: %.*s", kinds[f->kind], what, SPAN_FMT(f->text));
	refuse(f, 451, "4.3.5", SPAN("Server configuration error"));
}

static void
act_prepend(struct piece *f)
{
	if (!is_line(f)) {
		misconfigured(f, "PREPEND needs a line, in a header a field");
		return;
	}
	buf_addspan(f->out, f->text);
	buf_addc(f->out, '\n');
	keep(f);
}

static void
act_replace(struct piece *f)
{
	if (!is_line(f)) {
		misconfigured(f, "REPLACE needs a line, in a header a field");
		return;
	}
	tell(f, "replace");
	buf_addspan(f->out, f->text);
	if (f->raw.n > 0 && f->raw.p[f->raw.n - 1] == '\n')
		buf_addc(f->out, '\n');
}

/* "REJECT 5.7.2 text" */
static void
act_reject(struct piece *f)
{
	struct span rest = f->text, word;
	char dsn[10] = "5.7.1";

	if (span_word(&rest, " \t", &word) && word.n >= 5 && word.n < sizeof(dsn) && word.p[0] == '5' && word.p[1] == '.') {
		memcpy(dsn, word.p, word.n);
		dsn[word.n] = '\0';
		f->text = span_trim(rest.p ? rest : SPAN_NONE);
	}
	refuse(f, 550, dsn, f->text.n ? f->text : SPAN("message content rejected"));
}

static void
act_discard(struct piece *f)
{
	tell(f, "discard");
	f->in->discarded = true;
}

static void
act_hold(struct piece *f)
{
	tell(f, "hold");
	intake_orders(f->in, true, SPAN_NONE, SPAN_NONE);
	keep(f);
}

static bool
is_address(struct span text)
{
	struct address a;

	return address_parse(text, ADDRESS_UTF8, &a) == ADDRESS_OK && text.n <= ADDRESS_MAX;
}

static void
act_redirect(struct piece *f)
{
	if (!is_address(f->text)) {
		misconfigured(f, "REDIRECT needs one address user@domain");
		return;
	}
	tell(f, "redirect");
	intake_orders(f->in, false, f->text, SPAN_NONE);
	keep(f);
}

static void
act_bcc(struct piece *f)
{
	struct buf list;

	if (!is_address(f->text)) {
		misconfigured(f, "BCC needs one address user@domain");
		return;
	}
	tell(f, "bcc");
	buf_init(&list, 2 * ADDRESS_MAX);
	msg_list_add(&list, f->text);
	intake_orders(f->in, false, SPAN_NONE, buf_span(&list));
	buf_fini(&list);
	keep(f);
}

static const struct {
	const char *word;
	void (*act)(struct piece *f);
} actions[] = {
	{ "DUNNO", keep }, { "OK", keep }, { "IGNORE", act_ignore }, { "STRIP", act_strip }, { "WARN", act_warn },
	{ "INFO", act_info }, { "PREPEND", act_prepend }, { "REPLACE", act_replace }, { "REJECT", act_reject },
	{ "DISCARD", act_discard }, { "HOLD", act_hold }, { "REDIRECT", act_redirect }, { "BCC", act_bcc },
};

static void
act(struct piece *f, struct span action)
{
	struct span word;

	f->text = span_trim(action);
	if (!span_word(&f->text, " \t", &word))
		word = SPAN_NONE;
	f->text = span_trim(f->text.p ? f->text : SPAN_NONE);
	for (size_t i = 0; i < NELEMS(actions); i++)
		if (span_is_nocase(word, actions[i].word)) {
			actions[i].act(f);
			return;
		}
	f->text = action;
	misconfigured(f, "there is no such action here");
}

static struct span
without_end(struct span line)
{
	return line.n > 0 && line.p[line.n - 1] == '\n' ? span_sub(line, 0, line.n - 1) : line;
}

void
checks_ask(struct intake *in, enum check_kind kind, struct span raw, struct buf *out)
{
	struct piece f = { .in = in, .kind = kind, .raw = raw, .text = SPAN_NONE, .out = out };
	enum map_answer a;
	struct buf value;

	if (maps_empty(tables[kind])) {
		keep(&f);
		return;
	}
	buf_init(&value, VALUE_MAX);
	a = maps_find(tables[kind], kind == CHECK_BODY ? without_end(raw) : span_trim_right(raw), &value);
	if (a == MAP_FAILED)
		refuse(&f, 451, "4.3.0", SPAN("Temporary lookup failure"));
	else if (a == MAP_FOUND)
		act(&f, buf_span(&value));
	else
		keep(&f);
	buf_fini(&value);
}
