/* session.c: the loop of a session: read a command, find its row, run it, tell what changed, answer. */
#include "session.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "input.h"
#include "modseq.h"
#include "notify.h"
#include "place.h"
#include "sleep.h"
#include "../capability.h"
#include "base/banned.h"

#define LOOK_MS 100			/* between two looks at the client */
#define PROGRESS_MS 10000		/* RFC 9585 4: 10 to 15 seconds */

struct reply
reply_ok(const char *text)
{
	return (struct reply){ REPLY_OK, NULL, text };
}

struct reply
reply_no(const char *code, const char *text)
{
	return (struct reply){ REPLY_NO, code, text };
}

struct reply
reply_bad(const struct command *c)
{
	return (struct reply){ REPLY_BAD, c->args.code, c->args.error ? c->args.error : "Bad arguments" };
}

/* RFC 5530 response codes */
struct reply
reply_store(enum store_result r)
{
	static const char *const codes[] = {
		[STORE_NOTFOUND] = "NONEXISTENT",
		[STORE_EXISTS] = "ALREADYEXISTS",
		[STORE_BADNAME] = "CANNOT",
		[STORE_LIMIT] = "LIMIT",
		[STORE_DENIED] = "NOPERM",
		[STORE_FULL] = "OVERQUOTA",
		[STORE_QUOTA] = "OVERQUOTA",
		[STORE_GONE] = "EXPUNGEISSUED",
		[STORE_BUSY] = "INUSE",
		[STORE_ERROR] = "SERVERBUG",
	};

	return reply_no((size_t)r < NELEMS(codes) ? codes[r] : NULL, store_result_text(r));
}

void
session_close_folder(struct session *s)
{
	if (s->folder)
		mailfolder_close(s->folder);
	free(s->saved.r);
	s->saved = (struct seqset){ 0 };
	s->folder = NULL;
	s->state = IN_AUTH;
}

const struct mail_message *
session_message(const struct session *s, size_t index)
{
	return &mailfolder_messages(s->folder)[index];
}

static bool
in_use(const struct mail_message *m)
{
	return (m->flags & MFLAG_GONE) == 0;
}

void
session_recall(const struct session *s, struct seqset *set)
{
	if (set->saved)
		*set = (struct seqset){ .r = s->saved.r, .n = s->saved.n, .saved = true };
}

bool
session_resolve(struct session *s, struct command *c, struct seqset *set, uint32_t **index, size_t *n)
{
	const struct mail_message *m = mailfolder_messages(s->folder);
	size_t count = mailfolder_count(s->folder), i = 0;
	bool by_uid = c->uid || set->saved;

	*n = 0;
	session_recall(s, set);
	seqset_resolve(set, by_uid ? count ? m[count - 1].uid : 0 : (uint32_t)count);
	if (!by_uid && !set->star && set->n && set->r[0].lo > count)
		return parse_fail(&c->args, "No such message");
	*index = arena_try(&s->arena, (count + 1) * sizeof(**index));
	if (!*index)
		return parse_fail(&c->args, "Mailbox is too large for this command");
	for (uint32_t k = 0; k < set->n; k++) {
		const struct seqrange *r = &set->r[k];

		if (!by_uid)
			i = r->lo - (r->lo != 0);
		else if (i < count && m[i].uid < r->lo)
			i = mailfolder_find(s->folder, r->lo);
		for (; i < count && (by_uid ? m[i].uid : i + 1) <= r->hi; i++)
			if (in_use(&m[i]))
				(*index)[(*n)++] = (uint32_t)i;
			else
				c->gone |= !by_uid;
	}
	return true;
}

const char *
session_limit_code(struct session *s, uint32_t uid)
{
	struct buf b;
	char *text;

	buf_init(&b, 64);
	buf_addf(&b, "MESSAGELIMIT %u", s->how->message_limit);
	if (uid)
		buf_addf(&b, " %u", uid);
	text = arena_strdup(&s->arena, buf_span(&b));
	buf_fini(&b);
	return text;
}

const char *
session_limit(struct session *s, uint32_t **index, size_t *n)
{
	size_t limit = s->how->message_limit;

	if (!limit || *n <= limit)
		return NULL;
	*index += *n - limit;
	*n = limit;
	return session_limit_code(s, session_message(s, **index)->uid);
}

static void
sync_flags(struct session *s, struct buf *out, uint32_t index)
{
	const struct mail_message *m = session_message(s, index);

	buf_reset(out);
	print_fetch(s, out, index, true);
	buf_adds(out, "FLAGS ");
	print_flags(s, out, m);
	if (s->enabled & ENABLED_CONDSTORE)
		buf_addf(out, " MODSEQ (%llu)", (unsigned long long)m->modseq);
	buf_adds(out, ")\r\n");
	stream_putspan(&s->io, buf_span(out));
}

/* `e` goes downwards. With QRESYNC and UIDONLY all of them in one line, by UID (RFC 7162 3.2.10). */
static void
sync_expunged(struct session *s, const struct mail_expunged *e, size_t n)
{
	struct seqwriter w = { 0 };
	struct buf set;

	if (!(s->enabled & (ENABLED_QRESYNC | ENABLED_UIDONLY))) {
		for (size_t i = 0; i < n; i++)
			stream_putf(&s->io, "* %u EXPUNGE\r\n", e[i].index + 1);
		return;
	}
	if (!n)
		return;
	buf_init(&set, MODSEQ_SET_MAX);
	w.out = &set;
	for (size_t i = n; i-- > 0;)
		seqwriter_add(&w, e[i].uid);
	seqwriter_end(&w);
	stream_puts(&s->io, "* VANISHED ");
	stream_putspan(&s->io, buf_span(&set));
	stream_puts(&s->io, "\r\n");
	buf_fini(&set);
}

/* Another session has removed the folder, or the disk fails: what was selected is no more. */
static void
lose_folder(struct session *s, enum store_result r)
{
	if (r == STORE_BUSY)
		return;
	log_warn(s->id, "selected mailbox is lost: %s", mailstore_cause(s->ms));
	stream_puts(&s->io, "* BYE [UNAVAILABLE] The selected mailbox is gone\r\n");
	s->state = IN_LOGOUT;
}

void
session_sync(struct session *s, bool expunge)
{
	struct mailfolder_changes ch;
	unsigned wanted;
	enum store_result r;
	uint32_t recent = 0;
	size_t count;
	struct buf out;
	bool at_once;

	wanted = notify_selected(s, &at_once);
	if (!s->folder || s->state == IN_LOGOUT || (!wanted && !s->must_tell))
		return;
	r = mailfolder_refresh(s->folder, expunge || at_once, &ch);
	if (r != STORE_OK) {
		lose_folder(s, r);
		return;
	}
	session_tell_keywords(s);
	sync_expunged(s, ch.expunged, ch.nexpunged);
	count = mailfolder_count(s->folder);
	if (ch.arrived) {
		for (size_t i = 0; i < count; i++)
			recent += (session_message(s, i)->flags & MFLAG_RECENT) != 0;
		stream_putf(&s->io, "* %zu EXISTS\r\n", count);
		if (!(s->enabled & ENABLED_REV2))
			stream_putf(&s->io, "* %u RECENT\r\n", recent);
	}
	notify_fetch(s, count - ch.arrived, count);
	buf_init(&out, 16384);
	for (size_t i = 0; i < ch.nchanged && wanted & NOTIFY_FLAGS; i++)
		sync_flags(s, &out, ch.changed[i]);
	buf_fini(&out);
}

bool
session_go_on(struct session *s, size_t done, size_t total)
{
	struct buf tag;
	uint64_t now;

	if (s->io.end != STREAM_OPEN)
		return false;
	now = clock_mono_ms();
	if (now - s->looked < LOOK_MS)
		return true;
	s->looked = now;
	if (stream_gone(&s->io))
		return false;
	if (now - s->told < PROGRESS_MS)
		return true;
	s->told = now;
	buf_init(&tag, 4 * IMAP_TAG_MAX);
	print_string(&tag, s->tag);
	stream_putf(&s->io, "* OK [INPROGRESS (%s %zu %zu)] Still at it\r\n", buf_cstr(&tag), done, total);
	buf_fini(&tag);
	return stream_flush(&s->io);
}

void
session_own(struct session *s, struct span to, const uint32_t *uids, size_t n)
{
	s->own.to = to;
	for (size_t i = 0; i < n; i++) {
		if (!uids[i])
			continue;
		s->own.count++;
		if (!s->own.lo)
			s->own.lo = uids[i];
		s->own.hi = uids[i];
	}
}

static void
answer(struct session *s, struct span tag, struct reply r)
{
	static const char *const words[] = { "OK", "NO", "BAD" };

	if (r.kind == REPLY_NONE)
		return;
	if (tag.n)
		stream_putspan(&s->io, tag);
	else
		stream_putc(&s->io, '*');
	stream_putc(&s->io, ' ');
	stream_puts(&s->io, words[r.kind]);
	if (r.code) {
		stream_puts(&s->io, " [");
		stream_puts(&s->io, r.code);
		stream_putc(&s->io, ']');
	}
	stream_putc(&s->io, ' ');
	stream_puts(&s->io, r.text);
	stream_puts(&s->io, "\r\n");
	s->bad = r.kind == REPLY_BAD ? s->bad + 1 : 0;
}

/* The words before the arguments; c->row stays NULL when the command is unknown. */
static bool
parse_command(struct session *s, struct command *c)
{
	struct span rest;

	c->tag = input_tag(buf_span(&s->line), &rest);
	if (c->tag.n == 0) {
		parse_begin(&c->args, rest, &s->arena);
		return parse_fail(&c->args, "Bad tag");
	}
	parse_begin(&c->args, rest, &s->arena);
	c->args.utf8 = session_utf8(s);
	if (parse_try_word(&c->args, "UID")) {
		c->uid = true;
		if (!parse_space(&c->args))
			return false;
	}
	if (!parse_atom(&c->args, &c->name))
		return false;
	c->row = command_find(c->name);
	if (!c->row)
		return parse_fail(&c->args, "Unknown command");
	if (c->uid && !c->row->may_uid)
		return parse_fail(&c->args, "This command is never said with UID");
	if (!(c->row->states & s->state))
		return parse_fail(&c->args, "No mailbox is selected");
	c->args.uid_only = s->enabled & ENABLED_UIDONLY;
	if (c->args.uid_only && c->row->may_uid && !c->uid && c->row->run != cmd_expunge)
		return parse_needs_uid(&c->args);
	return true;
}

static void
run_command(struct session *s)
{
	struct command c = { 0 };
	struct reply r;

	arena_reset(&s->arena);
	s->commands++;
	if (!parse_command(s, &c)) {
		answer(s, c.tag, reply_bad(&c));
		input_drop_literal(s);
		return;
	}
	s->own = (struct own_change){ 0 };
	s->must_tell = c.row->sync == SYNC_EXPUNGE || c.row->run == cmd_replace;
	s->tag = c.tag;
	s->told = s->looked = clock_mono_ms();
	r = c.row->run(s, &c);
	input_drop_literal(s);
	if (r.kind != REPLY_BAD && c.row->sync != SYNC_NONE)
		session_sync(s, c.row->sync >= SYNC_FULL || c.uid);
	s->must_tell = false;
	notify_look(s);
	if (c.row->sync == SYNC_EXPUNGE && r.kind == REPLY_OK && s->folder && s->enabled & ENABLED_QRESYNC) {
		if (r.code)
			stream_putf(&s->io, "* OK [%s] Highest\r\n", modseq_code(s));
		else
			r.code = modseq_code(s);
	}
	if (c.gone && r.kind == REPLY_OK && !r.code)	/* RFC 5530 3: a NOOP would tell */
		r.code = "EXPUNGEISSUED";
	answer(s, c.tag, r);
}

static const char *
farewell(const struct session *s)
{
	switch (s->io.end) {
	case STREAM_TIMEOUT:
		return "* BYE Autologout: silent for too long\r\n";
	case STREAM_TOO_LONG:
		return "* BYE Command is too long\r\n";
	case STREAM_OPEN:
		return s->bad >= IMAP_BAD_MAX ? "* BYE Too many bad commands\r\n" : NULL;
	default:
		return NULL;
	}
}

/* The IDLE in which the session fell asleep, to its end. */
static void
end_idle(struct session *s)
{
	struct command c = { .tag = span_str(s->idle_tag) };
	struct reply r;

	parse_begin(&c.args, SPAN_NONE, &s->arena);
	s->tag = c.tag;
	r = idle_go_on(s, &c);
	s->nap = s->how->nap_ms;
	if (r.kind != REPLY_NONE)
		session_sync(s, true);
	answer(s, c.tag, r);
}

static void
serve(struct session *s)
{
	struct span rest;

	if (s->idle_tag)
		end_idle(s);
	else
		notify_tell(s);		/* woken by what is to be told */
	while (s->state != IN_LOGOUT && s->bad < IMAP_BAD_MAX && s->io.end == STREAM_OPEN) {
		stream_rest(&s->io);
		place_tell_when_quiet(s);
		notify_wait(s);
		if (s->state == IN_LOGOUT || s->io.end != STREAM_OPEN || sleep_between(s))
			return;
		switch (input_command(s)) {
		case INPUT_END:
			return;
		case INPUT_REFUSED:
			answer(s, input_tag(buf_span(&s->line), &rest),
			    (struct reply){ REPLY_BAD, "TOOBIG", "Literal is too large, or no literal" });
			break;
		case INPUT_COMMAND:
			run_command(s);
			break;
		}
		if (s->io.end != STREAM_OPEN)
			return;
	}
}

static const char *const end_words[] = { "logout", "closed by the client", "timeout", "I/O error", "command too long" };

static void
log_end(const struct session *s)
{
	struct logline l;

	logline_begin(&l, LOG_INFO_, NULL);
	logline_addr(&l, "login", span_str(s->id));
	logline_num(&l, "commands", s->commands);
	logline_num(&l, "fetched", s->fetched);
	logline_num(&l, "in", s->io.total_in);
	logline_num(&l, "out", s->io.total_out);
	logline_num(&l, "time", (clock_mono_ms() - s->began) / 1000);
	if (s->slept)
		logline_num(&l, "slept", s->slept);
	logline_str(&l, "end", span_str(s->ms ? end_words[s->io.end] : "mailbox cannot be opened"));
	logline_end(&l);
}

/* The mailbox as it is at a login, or as it was left. False: there is nothing to serve. */
static bool
begin(struct session *s)
{
	const struct session_how *how = s->how;
	enum store_result r;

	s->ms = mailstore_new(how->path, true, &r);
	if (!s->ms) {
		stream_puts(&s->io, "* BYE [UNAVAILABLE] The mailbox cannot be opened\r\n");
		return false;
	}
	mailstore_limit(s->ms, &how->quota);
	if (how->state.n)
		return sleep_resume(s);
	if (how->special_folders && mailstore_create_defaults(s->ms) != STORE_OK)
		log_warn(how->id, "the folders of a new user cannot be made: %s", mailstore_cause(s->ms));
	return true;
}

void
session_run(int fd, const struct session_how *how)
{
	struct session s = {
		.id = how->id, .line_max = how->line_max, .message_max = how->message_max, .state = IN_AUTH, .how = how,
		.nap = how->hibernator ? how->nap_ms : 0, .began = clock_mono_ms(),
	};
	const char *bye;

	stream_init(&s.io, fd, how->timeout_ms);
	arena_init(&s.arena, IMAP_ARENA_MAX);
	buf_init(&s.line, how->line_max + IMAP_COMMAND_MAX);
	s.io.welcome = !how->state.n;		/* the front has answered the login, and then may lend */
	if (begin(&s))
		serve(&s);
	bye = s.asleep ? NULL : farewell(&s);
	if (bye) {
		enum stream_end end = s.io.end;

		s.io.end = STREAM_OPEN;
		stream_puts(&s.io, bye);
		stream_flush(&s.io);
		s.io.end = end;
	}
	stream_flush(&s.io);
	notify_free(&s);
	session_close_folder(&s);
	if (!s.asleep)
		log_end(&s);
	mailstore_free(s.ms);
	free(s.idle_tag);
	place_free(&s);
	buf_fini(&s.line);
	arena_fini(&s.arena);
	stream_fini(&s.io);
}
