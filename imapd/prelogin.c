/*
 * prelogin.c: IMAP before login: CAPABILITY NOOP LOGOUT ID STARTTLS LOGIN
 * AUTHENTICATE. A command comes whole, with its literals; its bytes are a
 * stranger's. The front's note holds the tag of the command that is answered.
 */
#include "prelogin.h"

#include "capability.h"
#include "compress.h"
#include "grammar.h"
#include "service/front/authclient.h"
#include "service/params.h"
#include "service/roles.h"
#include "base/banned.h"

#define CAPABILITY_MAX 1024
#define COMMAND_MAX (2 * FRONT_LINE_MAX)
#define LITERAL_MAX 4096	/* before login, RFC 7888 5 */

static void
answer(struct front *f, const char *text)
{
	front_write(f, "%s %s\r\n", buf_cstr(front_note(f)), text);
}

static void
bad(struct front *f, const char *text)
{
	answer(f, text);
	front_error(f);
}

static void
add_capabilities(struct front *f, struct buf *out)
{
	buf_adds(out, "IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ID ENABLE");
	if (front_tls_offered(f))
		buf_adds(out, " STARTTLS");
	if (!front_may_login(f)) {
		buf_adds(out, " LOGINDISABLED");
		return;
	}
	buf_addc(out, ' ');
	authclient_list(par.smtpd_sasl_mechanism_filter, "AUTH=", front_secure(f) ? AUTH_BOUND : 0, out);
}

static void
greet(struct front *f)
{
	struct buf capabilities;

	buf_init(&capabilities, CAPABILITY_MAX);
	add_capabilities(f, &capabilities);
	front_write(f, "* OK [CAPABILITY %s] %.255s %.64s ready\r\n", buf_cstr(&capabilities), par.myhostname, par.mail_name);
	buf_fini(&capabilities);
}

/* ---- commands ---- */

static void
on_capability(struct front *f, struct span args)
{
	struct buf capabilities;

	if (!imap_end(args)) {
		bad(f, "BAD CAPABILITY has no arguments");
		return;
	}
	buf_init(&capabilities, CAPABILITY_MAX);
	add_capabilities(f, &capabilities);
	front_write(f, "* CAPABILITY %s\r\n", buf_cstr(&capabilities));
	answer(f, "OK Capability completed");
	buf_fini(&capabilities);
}

static void
on_noop(struct front *f, struct span args)
{
	if (imap_end(args))
		answer(f, "OK Noop completed");
	else
		bad(f, "BAD NOOP has no arguments");
}

static void
on_logout(struct front *f, struct span args)
{
	if (!imap_end(args)) {
		bad(f, "BAD LOGOUT has no arguments");
		return;
	}
	front_write(f, "* BYE Logging out\r\n");
	answer(f, "OK Logout completed");
	front_close(f, FRONT_BYE_LOGOUT);
}

static void
on_id(struct front *f, struct span args)
{
	if (!imap_space(&args) || !imap_id_list(&args) || !imap_end(args)) {
		bad(f, "BAD ID takes NIL or a list of at most 30 pairs");
		return;
	}
	front_write(f, "* ID (\"name\" \"Merpati\")\r\n");
	answer(f, "OK ID completed");
}

static void
on_starttls(struct front *f, struct span args)
{
	if (!imap_end(args)) {
		bad(f, "BAD STARTTLS has no arguments");
	} else if (!front_tls_offered(f)) {
		bad(f, front_secure(f) ? "BAD TLS is on already" : "BAD TLS is not available");
	} else {
		answer(f, "OK Begin TLS negotiation now");
		front_starttls(f);
	}
}

static bool
login_allowed(struct front *f)
{
	if (front_may_login(f))
		return true;
	bad(f, "NO [PRIVACYREQUIRED] Login needs TLS");
	return false;
}

static void
on_login(struct front *f, struct span args)
{
	struct buf user, password;

	if (!login_allowed(f))
		return;
	buf_init(&user, FRONT_LINE_MAX);
	buf_init(&password, FRONT_LINE_MAX);
	if (imap_space(&args) && imap_astring(&args, &user) && imap_space(&args) && imap_astring(&args, &password) &&
	    imap_end(args))
		front_login(f, buf_span(&user), buf_span(&password));
	else
		bad(f, "BAD LOGIN takes a name and a password");
	explicit_bzero(password.p, password.len);
	buf_fini(&user);
	buf_fini(&password);
}

static void
on_authenticate(struct front *f, struct span args)
{
	struct span mech, initial = SPAN_NONE;
	bool has_initial = false;

	if (!login_allowed(f))
		return;
	if (!imap_space(&args) || !imap_atom(&args, &mech)) {
		bad(f, "BAD AUTHENTICATE takes a mechanism");
		return;
	}
	if (!imap_end(args) && imap_space(&args)) {
		has_initial = true;
		if (!imap_word(&args, &initial)) {
			bad(f, "BAD The initial response is base64, or =");
			return;
		}
	}
	if (imap_end(args))
		front_authenticate(f, mech, has_initial, initial);
	else
		bad(f, "BAD AUTHENTICATE takes a mechanism and at most one response in base64");
}

/* What the session knows (imapd/session/commands.c): there is nothing wrong with it but the time. */
static void
on_too_early(struct front *f, struct span args)
{
	(void)args;
	bad(f, "BAD Log in first");
}

static const struct front_command commands[] = {
	{ "CAPABILITY", on_capability },
	{ "NOOP", on_noop },
	{ "LOGOUT", on_logout },
	{ "ID", on_id },
	{ "STARTTLS", on_starttls },
	{ "LOGIN", on_login },
	{ "AUTHENTICATE", on_authenticate },
	{ "APPEND", on_too_early }, { "CHECK", on_too_early }, { "CLOSE", on_too_early }, { "COMPRESS", on_too_early },
	{ "COPY", on_too_early }, { "CREATE", on_too_early }, { "DELETE", on_too_early }, { "ENABLE", on_too_early },
	{ "EXAMINE", on_too_early }, { "EXPUNGE", on_too_early }, { "FETCH", on_too_early }, { "GETQUOTA", on_too_early },
	{ "GETQUOTAROOT", on_too_early }, { "IDLE", on_too_early }, { "LIST", on_too_early }, { "LSUB", on_too_early },
	{ "MOVE", on_too_early }, { "NAMESPACE", on_too_early }, { "NOTIFY", on_too_early }, { "RENAME", on_too_early },
	{ "REPLACE", on_too_early }, { "SEARCH", on_too_early }, { "SELECT", on_too_early }, { "SETQUOTA", on_too_early },
	{ "SORT", on_too_early }, { "STATUS", on_too_early }, { "STORE", on_too_early }, { "SUBSCRIBE", on_too_early },
	{ "THREAD", on_too_early }, { "UID", on_too_early }, { "UNSELECT", on_too_early }, { "UNSUBSCRIBE", on_too_early },
};

/* The tag into the note; false: there is none, and the client has been told. */
static bool
take_tag(struct front *f, struct span *rest)
{
	struct buf *note = front_note(f);
	struct span tag;

	buf_reset(note);
	if (imap_tag(rest, &tag)) {
		buf_addspan(note, tag);
		return true;
	}
	buf_addc(note, '*');
	bad(f, "BAD A command begins with a tag");
	return false;
}

static void
on_command(struct front *f, struct span command)
{
	struct span verb;

	if (!take_tag(f, &command))
		return;
	if (!imap_space(&command) || !imap_atom(&command, &verb))
		bad(f, "BAD Missing command");
	else if (!front_run(f, commands, NELEMS(commands), verb, command))
		bad(f, "BAD Unknown command");
}

static void
on_refused(struct front *f, struct span command)
{
	if (take_tag(f, &command))
		bad(f, "BAD Literal too long");
}

/* ---- the end of a login ---- */

static void
logged_in(struct front *f)
{
	struct buf text;

	buf_init(&text, CAPABILITY_MAX);
	buf_adds(&text, "OK [CAPABILITY ");
	imap_capability_session(&text, (uint32_t)par.imap_message_limit);
	buf_adds(&text, "] Logged in");
	answer(f, buf_cstr(&text));
	buf_fini(&text);
}

static void
not_logged_in(struct front *f, enum front_refusal why)
{
	static const char *const texts[FRONT_REFUSALS] = {
		[FRONT_FAILED] = "NO [AUTHENTICATIONFAILED] Authentication failed",
		[FRONT_MALFORMED] = "BAD Malformed authentication data",
		[FRONT_UNSUPPORTED] = "NO [CANNOT] Authentication mechanism not supported",
		[FRONT_UNAVAILABLE] = "NO [UNAVAILABLE] Temporary authentication failure",
		[FRONT_CROWDED] = "NO [LIMIT] Too many sessions of this user from this address",
		[FRONT_CANCELLED] = "BAD Authentication cancelled",
	};

	answer(f, texts[why]);
}

static uint32_t
idle_seconds(void)
{
	return par.imap_idle_timeout;
}

const struct front_protocol imap_prelogin = {
	.name = "imap",
	.role = R_IMAPD,
	.scope = SCOPE_IMAP,
	.go_on = "+ OK\r\n",
	.limits = { .line = FRONT_LINE_MAX, .literal = LITERAL_MAX, .command = COMMAND_MAX },
	.farewells = {
		[FRONT_BYE_LONG] = "* BYE Command too long\r\n",
		[FRONT_BYE_ERRORS] = "* BYE Too many errors\r\n",
		[FRONT_BYE_FAILURES] = "* BYE Too many failed logins\r\n",
		[FRONT_BYE_TIMEOUT] = "* BYE Idle for too long\r\n",
		[FRONT_BYE_CROWD] = "* BYE [LIMIT] Too many connections from your address that are not logged in\r\n",
		[FRONT_BYE_SHUTDOWN] = "* BYE [UNAVAILABLE] Server is shutting down\r\n",
		[FRONT_BYE_STRANGER] = "* BYE This is IMAP\r\n",
		[FRONT_BYE_KICKED] = "* BYE [UNAVAILABLE] Disconnected by the operator\r\n",
		[FRONT_BYE_LOST] = "* BYE [UNAVAILABLE] The session is lost; please log in again\r\n",
	},
	.last_word = "* BYE ",
	.greet = greet,
	.command = on_command,
	.refused = on_refused,
	.logged_in = logged_in,
	.not_logged_in = not_logged_in,
	.idle_seconds = idle_seconds,
	.codec = &compress_codec,
};
