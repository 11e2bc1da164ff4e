/*
 * headercheck.c: header_checks: each field of a message, folded as it came, is
 * asked of tables whose actions let it pass, change it or refuse the message. The
 * tables are root's, the fields are strangers'; each field is asked once.
 */
#include "headercheck.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/envelope.h"
#include "mail/header.h"
#include "service/params.h"
#include "service/service.h"
#include "base/banned.h"

#define VALUE_MAX 4096
#define REFRESH_MS 1000
#define LINE_MAX_ 990			/* of a header that an action makes */

static struct maps *tables;

struct field {
	struct intake *in;
	struct span raw;		/* with its line end */
	struct span text;		/* behind the word of the action */
	struct buf *out;
};

void
headercheck_open(void)
{
	tables = par.header_checks && *par.header_checks ? service_maps(par.header_checks) : NULL;
}

bool
headercheck_wanted(const struct intake *in)
{
	return !maps_empty(tables) && in->role != R_BOUNCE && !(in->env.flags & MAIL_INTERNAL);
}

void
headercheck_refresh(void)
{
	static uint64_t next;
	uint64_t now = clock_mono_ms();

	if (maps_empty(tables) || now < next)
		return;
	next = now + REFRESH_MS;
	maps_refresh(tables);
}

/* ---- actions ---- */

static void
tell(const struct field *f, const char *action)
{
	struct span line = span_trim_right(span_sub(f->raw, 0, 200));

	log_info(f->in->id, "%s: header %.*s: %.*s", action, SPAN_FMT(line), SPAN_FMT(f->text));
}

static void
keep(struct field *f)
{
	buf_addspan(f->out, f->raw);
}

static void
act_ignore(struct field *f)
{
	(void)f;
}

static void
act_strip(struct field *f)
{
	tell(f, "strip");
}

static void
act_warn(struct field *f)
{
	tell(f, "warning");
	keep(f);
}

static void
act_info(struct field *f)
{
	tell(f, "info");
	keep(f);
}

static bool
is_field(const struct field *f)
{
	ssize_t colon = span_find(f->text, ':');

	return colon > 0 && f->text.n <= LINE_MAX_ && !memchr(f->text.p, '\n', f->text.n) &&
	    span_find(span_sub(f->text, 0, (size_t)colon), ' ') < 0;
}

static void
refuse(struct field *f, uint32_t code, const char *dsn, struct span text)
{
	struct intake *in = f->in;

	tell(f, "reject");
	snprintf(in->check_dsn, sizeof(in->check_dsn), "%s", dsn);
	snprintf(in->check_text, sizeof(in->check_text), "%.*s", SPAN_FMT(text));
	intake_fail(in, (struct reply){ code, in->check_dsn, in->check_text });
}

static void
act_prepend(struct field *f)
{
	if (!is_field(f)) {
		refuse(f, 451, "4.3.5", SPAN("Server configuration error"));
		return;
	}
	buf_addspan(f->out, f->text);
	buf_addc(f->out, '\n');
	keep(f);
}

static void
act_replace(struct field *f)
{
	if (!is_field(f)) {
		refuse(f, 451, "4.3.5", SPAN("Server configuration error"));
		return;
	}
	tell(f, "replace");
	buf_addspan(f->out, f->text);
	buf_addc(f->out, '\n');
}

/* "REJECT 5.7.2 text" */
static void
act_reject(struct field *f)
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
act_discard(struct field *f)
{
	tell(f, "discard");
	f->in->discarded = true;
}

static void
act_not_here(struct field *f)
{
	log_warn(f->in->id, "header_checks: FILTER, HOLD, REDIRECT and BCC are not done here");
	refuse(f, 451, "4.3.5", SPAN("Server configuration error"));
}

static const struct {
	const char *word;
	void (*act)(struct field *f);
} actions[] = {
	{ "DUNNO", keep }, { "OK", keep }, { "IGNORE", act_ignore }, { "STRIP", act_strip }, { "WARN", act_warn },
	{ "INFO", act_info }, { "PREPEND", act_prepend }, { "REPLACE", act_replace }, { "REJECT", act_reject },
	{ "DISCARD", act_discard },
};

static void
act(struct field *f, struct span action)
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
	act_not_here(f);
}

void
headercheck_run(struct intake *in, struct span header, struct buf *out)
{
	struct header_cursor c;
	struct header h;
	struct buf value;

	buf_init(&value, VALUE_MAX);
	header_begin(&c, header);
	while (!in->failure.code && header_next(&c, &h)) {
		struct field f = { .in = in, .raw = h.raw, .text = SPAN_NONE, .out = out };
		enum map_answer a;

		buf_reset(&value);
		a = maps_find(tables, span_trim_right(h.raw), &value);
		if (a == MAP_FAILED)
			refuse(&f, 451, "4.3.0", SPAN("Temporary lookup failure"));
		else if (a == MAP_FOUND)
			act(&f, buf_span(&value));
		else
			keep(&f);
	}
	buf_addspan(out, span_skip(header, c.at));
	buf_fini(&value);
}
