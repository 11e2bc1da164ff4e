/* headeraddr.c: find the addresses of a header field (RFC 5322 3.4) without taking it apart. */
#include "mail/headeraddr.h"

#include <string.h>

#include "mail/header.h"
#include "base/banned.h"

struct walk {
	struct span in;
	size_t at, copied;
	/* of the mailbox that is being read */
	unsigned words;
	struct span word, angle;
	bool has_angle;
	bool (*f)(void *ctx, struct span address, struct buf *out);
	void *ctx;
	struct buf *out, fresh;
};

/* Behind the end of what begins here and ends at `close`; a backslash hides the next character. */
static size_t
skip_to(struct span s, size_t at, char open, char close)
{
	unsigned depth = 0;

	for (; at < s.n; at++) {
		if (s.p[at] == '\\' && close != ']')
			at++;
		else if (s.p[at] == close && (depth == 0 || --depth == 0))
			return at + 1;
		else if (open && s.p[at] == open)
			depth++;
	}
	return s.n;
}

static size_t
skip_comment(struct span s, size_t at)
{
	return skip_to(s, at, '(', ')');
}

static size_t
skip_quoted(struct span s, size_t at)
{
	return skip_to(s, at + 1, 0, '"');
}

/* <...>: quotes may hold a '>' */
static size_t
skip_angle(struct span s, size_t at)
{
	while (at < s.n && s.p[at] != '>')
		at = s.p[at] == '"' ? skip_quoted(s, at) : at + 1;
	return at;
}

static void
end_mailbox(struct walk *w)
{
	struct span a = w->has_angle ? span_trim(w->angle) : w->words == 1 ? w->word : SPAN_NONE;

	buf_reset(&w->fresh);
	if (a.n > 0 && w->f(w->ctx, a, &w->fresh) && !w->fresh.over) {
		size_t start = (size_t)(a.p - w->in.p);

		buf_addspan(w->out, span_sub(w->in, w->copied, start));
		buf_addspan(w->out, buf_span(&w->fresh));
		w->copied = start + a.n;
	}
	w->words = 0;
	w->has_angle = false;
}

static void
take_word(struct walk *w)
{
	size_t start = w->at;

	while (w->at < w->in.n && !strchr(" \t\r\n,;:<>(", w->in.p[w->at] ? w->in.p[w->at] : 'x')) {
		if (w->in.p[w->at] == '"')
			w->at = skip_quoted(w->in, w->at);
		else if (w->in.p[w->at] == '[')
			w->at = skip_to(w->in, w->at, 0, ']');
		else
			w->at++;
	}
	w->word = span_sub(w->in, start, w->at);
	w->words++;
}

static void
step(struct walk *w)
{
	char c = w->in.p[w->at];

	if (c == ',' || c == ';') {
		end_mailbox(w);
		w->at++;
	} else if (c == ':') {		/* the name of a group ends */
		w->words = 0;
		w->at++;
	} else if (c == '(') {
		w->at = skip_comment(w->in, w->at);
	} else if (c == '<') {
		size_t end = skip_angle(w->in, w->at + 1);

		w->angle = span_sub(w->in, w->at + 1, end);
		w->has_angle = end < w->in.n;
		w->at = end < w->in.n ? end + 1 : end;
	} else if (c && strchr(" \t\r\n>", c)) {
		w->at++;
	} else {
		take_word(w);
	}
}

void
headeraddr_rewrite(struct span value, bool (*f)(void *ctx, struct span address, struct buf *out), void *ctx, struct buf *out)
{
	struct walk w = { .in = value, .f = f, .ctx = ctx, .out = out };

	buf_init(&w.fresh, 1024);
	while (w.at < value.n)
		step(&w);
	end_mailbox(&w);
	buf_addspan(out, span_skip(value, w.copied));
	buf_fini(&w.fresh);
}

/* ---- a whole header ---- */

struct field {
	bool (*f)(void *ctx, bool sender, struct span address, struct buf *out);
	void *ctx;
	bool sender;
};

static bool
take_of_field(void *ctx, struct span address, struct buf *out)
{
	const struct field *f = ctx;

	return f->f(f->ctx, f->sender, address, out);
}

static bool
has_addresses(struct span name, bool *sender)
{
	static const struct { const char *name; bool sender; } fields[] = {
		{ "From", true }, { "Sender", true }, { "Reply-To", true }, { "Errors-To", true }, { "Disposition-Notification-To", true },
		{ "Return-Receipt-To", true }, { "Resent-From", true }, { "Resent-Sender", true }, { "Resent-Reply-To", true },
		{ "Mail-Followup-To", true }, { "To", false }, { "Cc", false }, { "Apparently-To", false }, { "Resent-To", false },
		{ "Resent-Cc", false },
	};

	for (size_t i = 0; i < NELEMS(fields); i++)
		if (span_is_nocase(name, fields[i].name)) {
			*sender = fields[i].sender;
			return true;
		}
	return false;
}

void
headeraddr_rewrite_all(struct span header, bool (*f)(void *ctx, bool sender, struct span address, struct buf *out), void *ctx,
    struct buf *out)
{
	struct field field = { .f = f, .ctx = ctx };
	struct header_cursor c;
	struct header h;

	header_begin(&c, header);
	while (header_next(&c, &h)) {
		size_t before = (size_t)(h.value.p - h.raw.p);

		if (!has_addresses(h.name, &field.sender)) {
			buf_addspan(out, h.raw);
			continue;
		}
		buf_addspan(out, span_sub(h.raw, 0, before));
		headeraddr_rewrite(h.value, take_of_field, &field, out);
		buf_addspan(out, span_skip(h.raw, before + h.value.n));
	}
	buf_addspan(out, span_skip(header, c.at));
}
