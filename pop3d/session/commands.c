/* commands.c: the commands of the transaction state (RFC 1939 5). The client is logged in, and still not trusted. */
#include <stdlib.h>

#include "base/log.h"
#include "session.h"

#include "base/banned.h"

enum { NO_ARG, MAY_ARG, MUST_ARG };

static void
ok(struct pop3 *p, const char *text)
{
	stream_puts(&p->stream, "+OK");
	if (*text)
		stream_putf(&p->stream, " %s", text);
	stream_puts(&p->stream, "\r\n");
}

static void
err(struct pop3 *p, const char *text)
{
	stream_putf(&p->stream, "-ERR %s\r\n", text);
}

/* A message number that is there and not deleted; else the answer is given. */
static bool
take_number(struct pop3 *p, struct span word, size_t *index)
{
	uint32_t n;

	if (!span_u32(word, 1, UINT32_MAX, &n) || n > p->count || (p->msgs[n - 1].flags & MFLAG_GONE)) {
		err(p, "no such message");
		return false;
	}
	if (p->deleted[n - 1]) {
		err(p, "message is deleted");
		return false;
	}
	*index = n - 1;
	return true;
}

static void
cmd_stat(struct pop3 *p, struct span arg)
{
	uint64_t size = 0;
	size_t n = 0;

	(void)arg;
	for (size_t i = 0; i < p->count; i++) {
		if (p->deleted[i])
			continue;
		n++;
		size += p->msgs[i].crlf_size;
	}
	stream_putf(&p->stream, "+OK %zu %llu\r\n", n, (unsigned long long)size);
}

static void
put_size(struct pop3 *p, size_t i)
{
	stream_putf(&p->stream, "%zu %llu\r\n", i + 1, (unsigned long long)p->msgs[i].crlf_size);
}

/* The same in every session, whatever other programs rename. */
static void
put_uidl(struct pop3 *p, size_t i)
{
	struct buf id;

	buf_init(&id, MAILSTORE_POP_ID_MAX + 1);
	mailfolder_pop_id(p->folder, i, &id);
	stream_putf(&p->stream, "%zu %s\r\n", i + 1, buf_cstr(&id));
	buf_fini(&id);
}

static void
listing(struct pop3 *p, struct span arg, void (*put)(struct pop3 *, size_t))
{
	size_t one;

	if (arg.n) {
		if (!take_number(p, arg, &one))
			return;
		stream_puts(&p->stream, "+OK ");
		put(p, one);
		return;
	}
	ok(p, "");
	for (size_t i = 0; i < p->count; i++)
		if (!p->deleted[i])
			put(p, i);
	stream_puts(&p->stream, ".\r\n");
}

static void
cmd_list(struct pop3 *p, struct span arg)
{
	listing(p, arg, put_size);
}

static void
cmd_uidl(struct pop3 *p, struct span arg)
{
	listing(p, arg, put_uidl);
}

/* Lines with CRLF and stuffed dots, then the final dot; `lines` of the body at most. One pass, no copy but the buffer's. */
static void
put_message(struct pop3 *p, struct span text, uint64_t lines)
{
	const char *at = text.p, *end = text.p + text.n;
	bool body = false;

	while (at < end && (!body || lines-- > 0)) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		const char *stop = nl ? nl : end;

		if (*at == '.')
			stream_putc(&p->stream, '.');
		if (stop > at && stop[-1] == '\r')
			stop--;
		stream_put(&p->stream, at, (size_t)(stop - at));
		stream_put(&p->stream, "\r\n", 2);
		body = body || stop == at;
		at = nl ? nl + 1 : end;
	}
	stream_put(&p->stream, ".\r\n", 3);
}

static void
send_message(struct pop3 *p, size_t i, uint64_t lines)
{
	enum store_result r = mailfolder_read(p->folder, i, &p->text);

	if (r != STORE_OK) {
		if (r != STORE_GONE)
			log_warn(NULL, "%s", mailstore_cause(p->store));
		stream_putf(&p->stream, "-ERR [SYS/%s] %s\r\n", r == STORE_GONE ? "PERM" : "TEMP", store_result_text(r));
		return;
	}
	stream_putf(&p->stream, "+OK %llu octets\r\n", (unsigned long long)p->msgs[i].crlf_size);
	put_message(p, p->text.text, lines);
	p->retrieved += lines == UINT64_MAX;
}

static void
cmd_retr(struct pop3 *p, struct span arg)
{
	size_t i;

	if (take_number(p, arg, &i))
		send_message(p, i, UINT64_MAX);
}

static void
cmd_top(struct pop3 *p, struct span arg)
{
	struct span word, rest;
	uint32_t lines;
	size_t i;

	if (!span_word(&arg, " ", &word) || !span_word(&arg, " ", &rest) || span_trim(arg).n ||
	    !span_u32(rest, 0, UINT32_MAX, &lines))
		err(p, "usage: TOP message lines");
	else if (take_number(p, word, &i))
		send_message(p, i, lines);
}

static void
cmd_dele(struct pop3 *p, struct span arg)
{
	size_t i;

	if (!take_number(p, arg, &i))
		return;
	p->deleted[i] = 1;
	ok(p, "marked for deletion");
}

static void
cmd_noop(struct pop3 *p, struct span arg)
{
	(void)arg;
	ok(p, "");
}

static void
cmd_rset(struct pop3 *p, struct span arg)
{
	(void)arg;
	memset(p->deleted, 0, p->count);
	ok(p, "");
}

static void
cmd_capa(struct pop3 *p, struct span arg)
{
	(void)arg;
	ok(p, "capabilities follow");
	stream_puts(&p->stream, "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8\r\nLANG\r\nEXPIRE NEVER\r\n"
	    "IMPLEMENTATION Merpati\r\n.\r\n");
}

/* RFC 6856 3 */
static void
cmd_lang(struct pop3 *p, struct span arg)
{
	if (arg.n == 0)
		stream_puts(&p->stream, "+OK languages follow\r\nen English\r\n.\r\n");
	else if (span_is(arg, "*") || span_is_nocase(arg, "en") || span_is_nocase(arg, "i-default"))
		ok(p, "en is spoken");
	else
		err(p, "this language is not spoken");
}

/* RFC 1939 6: only now, and only here, mail is removed. */
static void
cmd_quit(struct pop3 *p, struct span arg)
{
	uint32_t *index = x_alloc((p->count + 1) * sizeof(*index));
	enum store_result r = STORE_OK;
	size_t n = 0;

	(void)arg;
	for (size_t i = 0; i < p->count; i++)
		if (p->deleted[i])
			index[n++] = (uint32_t)i;
	if (n)
		r = mailfolder_expunge(p->folder, index, n);
	free(index);
	p->quit = true;
	if (r != STORE_OK) {
		log_warn(NULL, "%s", mailstore_cause(p->store));
		err(p, "[SYS/TEMP] some deleted messages were not removed");
		return;
	}
	p->removed = (uint32_t)n;
	ok(p, "bye");
}

static void
bad(struct pop3 *p, const char *text)
{
	if (++p->bad >= POP3_BAD_MAX) {
		p->quit = true;		/* nothing is removed: that was no QUIT */
		text = "too many bad commands";
	}
	err(p, text);
}

/* What the front has taken before. */
static void
cmd_too_late(struct pop3 *p, struct span arg)
{
	(void)arg;
	bad(p, "already logged in");
}

static const struct command {
	const char *verb;
	void (*run)(struct pop3 *p, struct span arg);
	int arg;
} commands[] = {
	{ "RETR", cmd_retr, MUST_ARG },
	{ "DELE", cmd_dele, MUST_ARG },
	{ "TOP",  cmd_top,  MUST_ARG },
	{ "LIST", cmd_list, MAY_ARG },
	{ "UIDL", cmd_uidl, MAY_ARG },
	{ "STAT", cmd_stat, NO_ARG },
	{ "NOOP", cmd_noop, NO_ARG },
	{ "RSET", cmd_rset, NO_ARG },
	{ "CAPA", cmd_capa, NO_ARG },
	{ "LANG", cmd_lang, MAY_ARG },
	{ "QUIT", cmd_quit, NO_ARG },
	{ "USER", cmd_too_late, MAY_ARG },
	{ "PASS", cmd_too_late, MAY_ARG },
	{ "AUTH", cmd_too_late, MAY_ARG },
	{ "STLS", cmd_too_late, MAY_ARG },
	{ "UTF8", cmd_too_late, MAY_ARG },
};

void
pop3_command(struct pop3 *p, struct span line)
{
	struct span arg = line, verb;

	p->commands++;
	if (!span_word(&arg, " ", &verb)) {
		bad(p, "a command is missing");
		return;
	}
	arg = span_trim(arg);
	for (size_t i = 0; i < NELEMS(commands); i++) {
		const struct command *c = &commands[i];

		if (!span_is_nocase(verb, c->verb))
			continue;
		if ((c->arg == NO_ARG && arg.n) || (c->arg == MUST_ARG && !arg.n))
			bad(p, c->arg == NO_ARG ? "no argument is expected" : "an argument is missing");
		else
			c->run(p, arg);
		return;
	}
	bad(p, "unknown command");
}
