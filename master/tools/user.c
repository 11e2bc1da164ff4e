/* user.c: merpati user: the users of conf/users. Passwords come from the terminal or standard input, never from the command line. */
#include "user.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "common/tool.h"
#include "home.h"
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
	password_schemes(par.password_scheme);
	if (password.over || !password_verifier(buf_span(&password), verifier))
		tool_fail(EX_DATAERR, "this password cannot be used (1 to %d bytes); nothing was changed", PASSWORD_MAX);
	explicit_bzero(password.p, password.len);
	buf_fini(&password);
}

/* add and passwd: the same but for whether the user may or must exist. The password is asked for without the lock. */
static int
set_password(const char *confdir, struct span address, bool must_exist, int argc, char **argv)
{
	struct user_table t;
	const struct user_record *rec;
	struct buf verifier, room;
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
	rec = user_table_set(&t, address, buf_span(&verifier));
	if (argc > 0) {
		struct user_record more = *rec;

		buf_init(&room, 8192);
		user_set_fields(&more, argc, argv, &room);
		user_table_put(&t, &t.lines[t.n - 1], &more);
		buf_fini(&room);
	}
	user_table_save(&t);
	if (!must_exist)
		home_make(rec);
	user_table_close(&t);
	buf_fini(&verifier);
	if (!must_exist && !domain_is_ours(span_skip(address, (size_t)span_rfind(address, '@') + 1)))
		tool_complain("warning: the domain of %.*s is not in virtual_mailbox_domains, no mail will come: "
		    "merpati domain add DOMAIN", SPAN_FMT(address));
	return 0;
}

static int
user_add(const char *confdir, struct span address, int argc, char **argv)
{
	return set_password(confdir, address, false, argc, argv);
}

static int
user_passwd(const char *confdir, struct span address, int argc, char **argv)
{
	return set_password(confdir, address, true, argc, argv);
}

static int
user_del(const char *confdir, struct span address, int argc, char **argv)
{
	struct user_table t;
	struct user_line *l;

	(void)argc;
	(void)argv;
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

static int
import(const char *confdir, int argc, char **argv)
{
	struct user_table t;
	int code;

	(void)argc;
	user_table_open(&t, confdir, true);
	code = user_import(&t, argv[0]);
	user_table_close(&t);
	return code;
}

/* A verb for one user, whose address is the first argument. */
static int
with_user(const char *confdir, int argc, char **argv, int (*run)(const char *confdir, struct span address, int argc, char **argv))
{
	struct buf address, err;
	int code;

	buf_init(&address, 1000);
	buf_init(&err, 1000);
	if (!user_address(span_str(argv[0]), &address, &err))
		tool_fail(EX_DATAERR, "%s", err.p);
	code = run(confdir, buf_span(&address), argc - 1, argv + 1);
	buf_fini(&address);
	buf_fini(&err);
	return code;
}

static int
verb_add(const char *confdir, int argc, char **argv)
{
	return with_user(confdir, argc, argv, user_add);
}

static int
verb_del(const char *confdir, int argc, char **argv)
{
	return with_user(confdir, argc, argv, user_del);
}

static int
verb_passwd(const char *confdir, int argc, char **argv)
{
	return with_user(confdir, argc, argv, user_passwd);
}

int
command_user(const char *confdir, int argc, char **argv)
{
	static const struct subcommand verbs[] = {
		{ "add", verb_add, 1, 5 }, { "del", verb_del, 1, 1 }, { "passwd", verb_passwd, 1, 1 }, { "set", user_set, 2, 5 },
		{ "rename", user_rename, 2, 2 },
		{ "show", user_show, 1, 1 }, { "list", user_list, 0, 0 }, { "import", import, 1, 1 }, { "export", user_export, 0, 0 },
	};

	tool_settings(confdir);
	return subcommand_run(verbs, NELEMS(verbs), confdir, argc, argv, "user: add ADDRESS [uid=N gid=N] [home=DIR] [login=no], "
	    "del|passwd|show ADDRESS, set ADDRESS [login=yes|no] [home=DIR] [uid=N gid=N], rename OLD NEW, list, export, or import FILE (lines of address:password, or what export wrote)");
}
