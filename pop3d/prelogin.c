/*
 * prelogin.c: POP3 before login (RFC 1939 4, 7; RFC 2449; RFC 2595 4; RFC 5034).
 * Commands are a stranger's bytes. The front's note holds the name that USER
 * gave; the session's first line is the answer to the login.
 */
#include "prelogin.h"

#include "service/front/authclient.h"
#include "service/params.h"
#include "service/roles.h"
#include "base/banned.h"

#define CAPABILITY_MAX 512

static void
bad(struct front *f, const char *text)
{
	front_write(f, "-ERR %s\r\n", text);
	front_error(f);
}

static void
greet(struct front *f)
{
	front_write(f, "+OK %.255s %.64s POP3 ready\r\n", par.myhostname, par.mail_name);
}

/* ---- commands ---- */

static void
on_capa(struct front *f, struct span args)
{
	struct buf out;

	if (args.n > 0) {
		bad(f, "CAPA has no arguments");
		return;
	}
	buf_init(&out, CAPABILITY_MAX);
	buf_adds(&out, "+OK Capabilities follow\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8\r\n"
	    "LANG\r\nEXPIRE NEVER\r\n");
	if (front_tls_offered(f))
		buf_adds(&out, "STLS\r\n");
	if (front_may_login(f)) {
		buf_adds(&out, "USER\r\nSASL ");
		authclient_list(par.smtpd_sasl_mechanism_filter, "", front_secure(f) ? AUTH_BOUND : 0, &out);
		buf_adds(&out, "\r\n");
	}
	buf_adds(&out, "IMPLEMENTATION Merpati\r\n.\r\n");
	front_write(f, "%s", buf_cstr(&out));
	buf_fini(&out);
}

static void
on_noop(struct front *f, struct span args)
{
	(void)args;
	front_write(f, "+OK\r\n");
}

static void
on_quit(struct front *f, struct span args)
{
	(void)args;
	front_write(f, "+OK Bye\r\n");
	front_close(f, FRONT_BYE_LOGOUT);
}

static void
on_stls(struct front *f, struct span args)
{
	if (args.n > 0) {
		bad(f, "STLS has no arguments");
	} else if (!front_tls_offered(f)) {
		bad(f, front_secure(f) ? "TLS is on already" : "TLS is not available");
	} else {
		front_write(f, "+OK Begin TLS negotiation\r\n");
		front_starttls(f);
	}
}

static bool
login_allowed(struct front *f)
{
	if (front_may_login(f))
		return true;
	bad(f, "[AUTH] Login needs TLS");
	return false;
}

static void
on_user(struct front *f, struct span args)
{
	struct buf *note = front_note(f);

	if (!login_allowed(f))
		return;
	buf_reset(note);
	buf_addspan(note, span_trim(args));
	if (note->len == 0 || note->over || memchr(note->p, 0, note->len)) {
		buf_reset(note);
		bad(f, "USER takes a name");
		return;
	}
	front_write(f, "+OK\r\n");	/* for every name: who exists is nobody's business */
}

/* The password is all of the line behind one blank: it may have blanks of its own. */
static void
on_pass(struct front *f, struct span args)
{
	struct buf user;

	if (!login_allowed(f))
		return;
	if (front_note(f)->len == 0) {
		bad(f, "USER comes first");
		return;
	}
	buf_init(&user, FRONT_NOTE_MAX);
	buf_addspan(&user, buf_span(front_note(f)));
	buf_reset(front_note(f));
	front_login(f, buf_span(&user), args);
	buf_fini(&user);
}

/* Clients from before CAPA ask so what they may use. */
static void
list_mechanisms(struct front *f)
{
	struct buf all;
	struct span rest, mech;

	buf_init(&all, CAPABILITY_MAX);
	authclient_list(par.smtpd_sasl_mechanism_filter, "", front_secure(f) ? AUTH_BOUND : 0, &all);
	rest = buf_span(&all);
	front_write(f, "+OK Mechanisms follow\r\n");
	while (span_word(&rest, " ", &mech))
		front_write(f, "%.*s\r\n", SPAN_FMT(mech));
	front_write(f, ".\r\n");
	buf_fini(&all);
}

static void
on_auth(struct front *f, struct span args)
{
	struct span mech, initial = SPAN_NONE, more;

	if (!login_allowed(f))
		return;
	if (!span_word(&args, " ", &mech)) {
		list_mechanisms(f);
		return;
	}
	span_word(&args, " ", &initial);
	if (span_word(&args, " ", &more))
		bad(f, "AUTH takes a mechanism and at most one response in base64");
	else
		front_authenticate(f, mech, initial.n > 0, initial);
}

/* RFC 6856 2: messages are sent as they are in any case, names and passwords are compared as bytes. */
static void
on_utf8(struct front *f, struct span args)
{
	if (args.n > 0)
		bad(f, "UTF8 has no arguments");
	else
		front_write(f, "+OK UTF-8 is welcome\r\n");
}

/* RFC 6856 3: there is one language, English (i-default). */
static void
on_lang(struct front *f, struct span args)
{
	args = span_trim(args);
	if (args.n == 0)
		front_write(f, "+OK Languages follow\r\nen English\r\n.\r\n");
	else if (span_is(args, "*") || span_is_nocase(args, "en") || span_is_nocase(args, "i-default"))
		front_write(f, "+OK en is spoken\r\n");
	else
		front_write(f, "-ERR This language is not spoken\r\n");
}

/* What the session knows: there is nothing wrong with it but the time. */
static void
on_too_early(struct front *f, struct span args)
{
	(void)args;
	bad(f, "Log in first");
}

static const struct front_command commands[] = {
	{ "CAPA", on_capa },
	{ "NOOP", on_noop },
	{ "QUIT", on_quit },
	{ "STLS", on_stls },
	{ "USER", on_user },
	{ "PASS", on_pass },
	{ "AUTH", on_auth },
	{ "UTF8", on_utf8 },
	{ "LANG", on_lang },
	{ "STAT", on_too_early }, { "LIST", on_too_early }, { "RETR", on_too_early }, { "DELE", on_too_early },
	{ "RSET", on_too_early }, { "TOP", on_too_early }, { "UIDL", on_too_early },
};

static void
on_command(struct front *f, struct span line)
{
	struct span verb, args;

	line = span_sub(line, 0, line.n - 1);		/* it ends with LF, perhaps with CRLF */
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	args = line;
	span_cut(&args, ' ', &verb);
	if (!args.p)
		args = SPAN_NONE;
	if (!front_run(f, commands, NELEMS(commands), verb, args))
		bad(f, "Unknown command");
}

/* ---- the end of a login ---- */

static void
not_logged_in(struct front *f, enum front_refusal why)
{
	static const char *const texts[FRONT_REFUSALS] = {
		[FRONT_FAILED] = "-ERR [AUTH] Authentication failed\r\n",
		[FRONT_MALFORMED] = "-ERR Malformed authentication data\r\n",
		[FRONT_UNSUPPORTED] = "-ERR Authentication mechanism not supported\r\n",
		[FRONT_UNAVAILABLE] = "-ERR [SYS/TEMP] Temporary authentication failure\r\n",
		[FRONT_CROWDED] = "-ERR [SYS/TEMP] Too many sessions of this user from this address\r\n",
		[FRONT_CANCELLED] = "-ERR Authentication cancelled\r\n",
	};

	front_write(f, "%s", texts[why]);
}

static uint32_t
idle_seconds(void)
{
	return par.pop3_idle_timeout;
}

const struct front_protocol pop3_prelogin = {
	.name = "pop3",
	.role = R_POP3D,
	.scope = SCOPE_POP3,
	.limits = { .line = FRONT_LINE_MAX, .command = FRONT_LINE_MAX },
	.session_greets = true,
	.farewells = {
		[FRONT_BYE_LONG] = "-ERR Line too long\r\n",
		[FRONT_BYE_ERRORS] = "-ERR Too many errors\r\n",
		[FRONT_BYE_FAILURES] = "-ERR Too many failed logins\r\n",
		[FRONT_BYE_TIMEOUT] = NULL,	/* RFC 1939 3: close without a word */
		[FRONT_BYE_CROWD] = "-ERR [SYS/TEMP] Too many connections from your address that are not logged in\r\n",
		[FRONT_BYE_SHUTDOWN] = "-ERR [SYS/TEMP] Server is shutting down\r\n",
		[FRONT_BYE_STRANGER] = "-ERR This is POP3\r\n",
		[FRONT_BYE_KICKED] = "-ERR [SYS/TEMP] Disconnected by the operator\r\n",
	},
	.greet = greet,
	.command = on_command,
	.not_logged_in = not_logged_in,
	.idle_seconds = idle_seconds,
};
