/* cmd_basic.c: CAPABILITY, NOOP, CHECK, LOGOUT, ID, ENABLE, NAMESPACE. */
#include "session.h"

#include "base/log.h"
#include "../capability.h"
#include "modseq.h"
#include "base/banned.h"

#define ID_PAIRS_MAX 30		/* RFC 2971 3.3 */
#define ID_NAME_MAX 30
#define ID_VALUE_MAX 1024

struct reply
cmd_capability(struct session *s, struct command *c)
{
	struct buf out;

	if (!parse_end(&c->args))
		return reply_bad(c);
	buf_init(&out, 2048);
	imap_capability_session(&out, s->how->message_limit);
	stream_putf(&s->io, "* CAPABILITY %s\r\n", buf_cstr(&out));
	buf_fini(&out);
	return reply_ok("Capability completed");
}

struct reply
cmd_noop(struct session *s UNUSED, struct command *c)
{
	return parse_end(&c->args) ? reply_ok("Completed") : reply_bad(c);
}

struct reply
cmd_logout(struct session *s, struct command *c)
{
	if (!parse_end(&c->args))
		return reply_bad(c);
	stream_puts(&s->io, "* BYE Logging out\r\n");
	s->state = IN_LOGOUT;
	return reply_ok("Logout completed");
}

struct reply
cmd_refuse_login(struct session *s UNUSED, struct command *c)
{
	parse_fail(&c->args, "Already logged in");
	return reply_bad(c);
}

/* ID ("name" "Thunderbird" "version" "128"): said once in the log, it explains many a complaint */
static bool
parse_id(struct session *s, struct parser *p)
{
	struct span name, value;
	struct logline l;
	unsigned n = 0;
	bool nil, ok = true;

	if (!parse_space(p))
		return false;
	if (parse_try_word(p, "NIL"))
		return parse_end(p);
	if (!parse_char(p, '('))
		return false;
	logline_begin(&l, LOG_INFO_, s->id);
	while (ok && !parse_try(p, ')')) {
		ok = (n == 0 || parse_space(p)) && parse_string(p, &name) && parse_space(p) && parse_nstring(p, &value, &nil);
		if (ok && (++n > ID_PAIRS_MAX || name.n > ID_NAME_MAX || value.n > ID_VALUE_MAX))
			ok = parse_fail(p, "Too much identification");
		if (ok && (span_is_nocase(name, "name") || span_is_nocase(name, "version")))
			logline_str(&l, span_is_nocase(name, "name") ? "client" : "version", value);
	}
	logline_end(&l);
	return ok && parse_end(p);
}

struct reply
cmd_id(struct session *s, struct command *c)
{
	if (!parse_id(s, &c->args))
		return reply_bad(c);
	stream_puts(&s->io, "* ID (\"name\" \"Merpati\")\r\n");
	return reply_ok("ID completed");
}

static const struct {
	const char *name;
	unsigned means;
} features[] = {
	{ "CONDSTORE", ENABLED_CONDSTORE },
	{ "QRESYNC", ENABLED_CONDSTORE | ENABLED_QRESYNC },	/* RFC 7162 3.2.3 */
	{ "IMAP4rev2", ENABLED_REV2 },
	{ "UTF8=ACCEPT", ENABLED_UTF8 },
	{ "UIDONLY", ENABLED_UIDONLY },
};

/* Told are those that this server knows; unknown names are ignored (RFC 5161 3.1). */
struct reply
cmd_enable(struct session *s, struct command *c)
{
	unsigned asked = 0, means = 0;
	struct span name;

	do {
		if (!parse_space(&c->args) || !parse_atom(&c->args, &name))
			return reply_bad(c);
		for (size_t i = 0; i < NELEMS(features); i++) {
			if (span_is_nocase(name, features[i].name)) {
				asked |= 1u << i;
				means |= features[i].means;
			}
		}
	} while (!parse_at_end(&c->args));
	if (means & ENABLED_CONDSTORE)
		modseq_enable(s);
	s->enabled |= means;
	stream_puts(&s->io, "* ENABLED");
	for (size_t i = 0; i < NELEMS(features); i++)
		if (asked & 1u << i)
			stream_putf(&s->io, " %s", features[i].name);
	stream_puts(&s->io, "\r\n");
	return reply_ok("Enabled");
}

struct reply
cmd_namespace(struct session *s, struct command *c)
{
	if (!parse_end(&c->args))
		return reply_bad(c);
	stream_putf(&s->io, "* NAMESPACE ((\"\" \"%c\")) NIL NIL\r\n", MAILSTORE_SEPARATOR);
	return reply_ok("Namespace completed");
}
