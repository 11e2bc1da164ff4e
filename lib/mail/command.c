/* command.c: words of a command, without a shell. The text is an operator's or an ordinary user's. */
#include "mail/command.h"

#include <string.h>

#include "base/banned.h"

struct words {
	struct command *c;
	size_t len;
	struct buf *why;
};

bool
command_is(struct span t)
{
	return (t.n > 0 && t.p[0] == '|') || (t.n > 2 && t.p[0] == '"' && t.p[1] == '|' && t.p[t.n - 1] == '"');
}

static bool
refuse(struct words *w, const char *why)
{
	buf_adds(w->why, why);
	return false;
}

static bool
refuse_letter(struct words *w, char c)
{
	buf_addf(w->why, "'%c' would need a shell, and none is run: name a script that does it", c);
	return false;
}

static bool
put(struct words *w, char c)
{
	if (w->len == sizeof(w->c->text))
		return refuse(w, "the command is too long");
	w->c->text[w->len++] = c;
	return true;
}

static bool
begin_word(struct words *w)
{
	if (w->c->argc == COMMAND_ARGS_MAX)
		return refuse(w, "the command has too many arguments");
	w->c->argv[w->c->argc++] = w->c->text + w->len;
	return true;
}

/* Behind the quote q at the start of *s: up to its end. */
static bool
take_quoted(struct words *w, struct span *s)
{
	char q = s->p[0];

	for (*s = span_skip(*s, 1); s->n > 0; *s = span_skip(*s, 1)) {
		char c = s->p[0];

		if (c == q) {
			*s = span_skip(*s, 1);
			return true;
		}
		if (q == '"' && c == '\\' && s->n > 1 && strchr("\"\\", s->p[1])) {
			*s = span_skip(*s, 1);
			c = s->p[0];
		} else if (q == '"' && (c == '$' || c == '`')) {
			return refuse_letter(w, c);
		}
		if (!put(w, c))
			return false;
	}
	return refuse(w, "a quote has no end");
}

static bool
take_word(struct words *w, struct span *s)
{
	if (!begin_word(w))
		return false;
	if (s->p[0] == '~' || s->p[0] == '#')
		return refuse_letter(w, s->p[0]);
	while (s->n > 0 && s->p[0] != ' ' && s->p[0] != '\t') {
		char c = s->p[0];

		if (c == '"' || c == '\'') {
			if (!take_quoted(w, s))
				return false;
			continue;
		}
		if (strchr("$&;<>()|`*?[]{}!", c))
			return refuse_letter(w, c);
		if (c == '\\') {
			*s = span_skip(*s, 1);
			if (s->n == 0)
				return refuse(w, "a backslash stands at the end");
			c = s->p[0];
		}
		if (!put(w, c))
			return false;
		*s = span_skip(*s, 1);
	}
	return put(w, '\0');
}

/* A pair of quotes around all of it belongs to the file, not to the command: \" and \\ inside it are " and \. */
static bool
unquote(struct span *s, char room[COMMAND_TEXT_MAX])
{
	size_t n = 0;

	if (s->n < 2 || s->p[0] != '"' || s->p[s->n - 1] != '"')
		return true;
	*s = span_sub(*s, 1, s->n - 1);
	for (size_t i = 0; i < s->n; i++) {
		if (s->p[i] == '\\' && i + 1 < s->n && strchr("\"\\", s->p[i + 1]))
			i++;
		else if (s->p[i] == '"')
			return false;		/* two pairs: none is around all */
		if (n == COMMAND_TEXT_MAX)
			return false;
		room[n++] = s->p[i];
	}
	*s = span_of(room, n);
	return true;
}

bool
command_parse(struct span target, struct command *c, struct buf *why)
{
	struct words w = { .c = c, .why = why };
	char whole[COMMAND_TEXT_MAX], inner[COMMAND_TEXT_MAX];
	struct span s = target, rest;

	*c = (struct command){ .argc = 0 };
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
			return refuse(&w, "a control character");
	if (!command_is(s) || !unquote(&s, whole) || s.n == 0 || s.p[0] != '|')
		return refuse(&w, "not |PROGRAM ARGUMENT... or \"|PROGRAM ARGUMENT...\"");
	s = rest = span_trim(span_skip(s, 1));
	if (unquote(&rest, inner))		/* |"PROGRAM ARGUMENT..." */
		s = rest;
	while ((s = span_trim(s)).n > 0)
		if (!take_word(&w, &s))
			return false;
	if (c->argc == 0 || c->argv[0][0] != '/')
		return refuse(&w, "the program must be named by its full path");
	return true;
}
