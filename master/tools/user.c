/* user.c: merpati user: the users of conf/users. Passwords come from the terminal or standard input, never from the command line. */
#include "user.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "common/tool.h"
#include "mail/password/password.h"
#include "tools.h"
#include "base/banned.h"

#define VERIFIER_MAX 2048

/* One line without its end; false at the end of the input. */
static bool
read_line(struct buf *out)
{
	char c;

	while (read(STDIN_FILENO, &c, 1) == 1) {
		if (c == '\n')
			return true;
		buf_addc(out, c);
	}
	return out->len > 0;
}

static struct termios shown;

/* Interrupted at the prompt: the terminal must not stay without echo. */
static void
give_up(int sig)
{
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	_exit(128 + sig);
}

static void
ask(const char *prompt, struct buf *out)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	struct termios hidden;
	bool ok;

	tcgetattr(STDIN_FILENO, &shown);
	for (size_t i = 0; i < NELEMS(signals); i++)
		signal(signals[i], give_up);
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	fputs(prompt, stderr);
	ok = read_line(out);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	fputc('\n', stderr);
	if (!ok)
		tool_fail(EX_DATAERR, "no password was given; nothing was changed");
}

static void
read_password(struct buf *password)
{
	struct buf again;

	buf_init(password, PASSWORD_MAX + 2);
	if (!isatty(STDIN_FILENO)) {
		if (!read_line(password))
			tool_fail(EX_DATAERR, "no password on standard input; nothing was changed");
		if (password->len && password->p[password->len - 1] == '\r')
			buf_truncate(password, password->len - 1);
		return;
	}
	buf_init(&again, PASSWORD_MAX + 2);
	ask("New password: ", password);
	ask("Once more: ", &again);
	if (!span_eq(buf_span(password), buf_span(&again)))
		tool_fail(EX_DATAERR, "the two are not the same; nothing was changed");
	explicit_bzero(again.p, again.len);
	buf_fini(&again);
}

static void
make_verifier(struct buf *verifier)
{
	struct buf password;

	read_password(&password);
	buf_init(verifier, VERIFIER_MAX);
	if (password.over || !password_verifier(buf_span(&password), verifier))
		tool_fail(EX_DATAERR, "this password cannot be used (1 to %d bytes); nothing was changed", PASSWORD_MAX);
	explicit_bzero(password.p, password.len);
	buf_fini(&password);
}

/* add and passwd: the same but for whether the user may or must exist. The password is asked for without the lock. */
static int
set_password(const char *confdir, struct span address, bool must_exist)
{
	struct user_table t;
	struct buf verifier;
	bool exists;

	user_table_open(&t, confdir, false);
	exists = user_table_find(&t, address) != NULL;
	user_table_close(&t);
	if (exists && !must_exist)
		tool_fail(EX_CANTCREAT, "%.*s exists; to change the password: merpati user passwd %.*s",
		    SPAN_FMT(address), SPAN_FMT(address));
	if (!exists && must_exist)
		tool_fail(EX_NOUSER, "there is no user %.*s", SPAN_FMT(address));
	make_verifier(&verifier);
	user_table_open(&t, confdir, true);
	if ((user_table_find(&t, address) != NULL) != must_exist)
		tool_fail(EX_TEMPFAIL, "the table was changed meanwhile; try again");
	user_table_set(&t, address, buf_span(&verifier));
	user_table_save(&t);
	user_table_close(&t);
	buf_fini(&verifier);
	if (!must_exist && !param_list_has(par.virtual_mailbox_domains, span_skip(address, (size_t)span_rfind(address, '@') + 1)))
		tool_complain("warning: the domain of %.*s is not in virtual_mailbox_domains: no mail will come", SPAN_FMT(address));
	return 0;
}

static int
user_add(const char *confdir, struct span address)
{
	return set_password(confdir, address, false);
}

static int
user_passwd(const char *confdir, struct span address)
{
	return set_password(confdir, address, true);
}

static int
user_del(const char *confdir, struct span address)
{
	struct user_table t;
	struct user_line *l;

	user_table_open(&t, confdir, true);
	l = user_table_find(&t, address);
	if (!l)
		tool_fail(EX_NOUSER, "there is no user %.*s", SPAN_FMT(address));
	user_table_remove(&t, l);
	user_table_save(&t);
	user_table_close(&t);
	printf("%.*s is gone; the mail stays where it is\n", SPAN_FMT(address));
	return 0;
}

/* One JSON object a line; never a verifier. */
static void
show_json(const struct user_record *u)
{
	json_t *o = json_object();
	const struct { const char *key; struct span value; } fields[] = {
		{ "address", u->address }, { "uid", u->uid }, { "gid", u->gid }, { "home", u->home } };

	for (size_t i = 0; i < NELEMS(fields); i++)
		if (fields[i].value.n)
			json_object_set_new(o, fields[i].key, json_stringn(fields[i].value.p, fields[i].value.n));
	json_object_set_new(o, "login", json_boolean(u->verifier.p[0] != '!'));
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static int
user_list(const char *confdir)
{
	struct user_table t;

	user_table_open(&t, confdir, false);
	for (size_t i = 0; i < t.n; i++) {
		const struct user_record *u = &t.lines[i].rec;

		if (u->address.n && want_json)
			show_json(u);
		else if (u->address.n)
			printf("%.*s%s\n", SPAN_FMT(u->address), u->verifier.p[0] == '!' ? " (login disabled)" : "");
	}
	user_table_close(&t);
	return 0;
}

static int
import(const char *confdir, const char *file)
{
	struct user_table t;
	int code;

	user_table_open(&t, confdir, true);
	code = user_import(&t, file);
	user_table_close(&t);
	return code;
}

static const struct {
	const char *name;
	int (*run)(const char *confdir, struct span address);
} verbs[] = {
	{ "add", user_add },
	{ "del", user_del },
	{ "passwd", user_passwd },
};

int
command_user(const char *confdir, int argc, char **argv)
{
	struct buf address, err;

	tool_settings(confdir);
	if (argc == 2 && strcmp(argv[1], "list") == 0)
		return user_list(confdir);
	if (argc == 3 && strcmp(argv[1], "import") == 0)
		return import(confdir, argv[2]);
	buf_init(&address, 1000);
	buf_init(&err, 1000);
	for (size_t i = 0; argc == 3 && i < NELEMS(verbs); i++) {
		if (strcmp(argv[1], verbs[i].name) != 0)
			continue;
		if (!user_address(span_str(argv[2]), &address, &err))
			tool_fail(EX_DATAERR, "%s", err.p);
		return verbs[i].run(confdir, buf_span(&address));
	}
	tool_fail(EX_USAGE, "user: add|del|passwd ADDRESS, list, or import FILE (lines of address:password)");
}
