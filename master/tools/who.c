/*
 * who.c: merpati who, kick: the sessions of imapd, pop3d and smtpd. Master hands
 * us a link to each daemon; what comes over it is the word of a process that
 * serves strangers: checked, bounded, and printed without control characters.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/tool.h"
#include "service/message.h"
#include "tools.h"
#include "base/banned.h"

#define PATIENCE_S 3		/* a daemon that is silent for longer hangs */
#define DAEMONS_MAX 256
#define SESSIONS_MAX 200000	/* that a daemon may tell of */
#define WORD_MAX 320

struct row {
	char *id, *service, *user, *client, *tls, *folder;
	uint64_t since, in, out;
	uint32_t idle, ending;
};

struct rows {
	struct row *r;
	size_t n;
	bool silent;		/* a daemon has not answered: these are not all */
};

static char *
clean(struct span s)
{
	char *text = x_spandup(span_sub(s, 0, s.n < WORD_MAX ? s.n : WORD_MAX));

	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return text;
}

static void
add_row(struct rows *all, const struct msg_SESSION *m)
{
	if ((all->n & (all->n - 1)) == 0)
		all->r = x_realloc(all->r, (all->n ? 2 * all->n : 1) * sizeof(*all->r));
	all->r[all->n++] = (struct row){ .id = clean(m->id), .service = clean(m->service), .user = clean(m->user),
		.client = clean(m->client), .tls = clean(m->tls), .since = m->since, .in = m->in, .out = m->out,
		.idle = m->idle, .ending = m->ending, .folder = clean(m->folder) };
}

static void
rows_fini(struct rows *all)
{
	for (size_t i = 0; i < all->n; i++) {
		free(all->r[i].id);
		free(all->r[i].service);
		free(all->r[i].user);
		free(all->r[i].client);
		free(all->r[i].tls);
		free(all->r[i].folder);
	}
	free(all->r);
}

/* ---- asking ---- */

static void
patience(int fd)
{
	struct timeval tv = { .tv_sec = PATIENCE_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

static void
hear_daemon(struct rows *all, int fd, const char *process)
{
	size_t most = all->n + SESSIONS_MAX;
	enum msg_result r;
	struct msg m;

	patience(fd);
	while ((r = msg_recv(fd, R_SMTPD | R_IMAPD | R_POP3D, R_OPERATOR, &m)) == MSG_OK && all->n < most)
		add_row(all, &m.SESSION);
	if (r == MSG_END)
		return;
	tool_complain("%s %s", process, r == MSG_AGAIN ? "does not answer: its sessions are missing here" : "talks nonsense, or without end");
	all->silent = true;
}

/* All that match, in the order of daemons. */
static void
ask(const char *confdir, const char *verb, const char *what, struct rows *all)
{
	const struct msg_CONTROL q = { .verb = span_str(verb), .what = span_str(what) };
	int fd = tool_connect("control", "master"), links[DAEMONS_MAX], code = -1;
	char *names[DAEMONS_MAX];
	size_t n = 0;
	struct msg m;

	if (fd < 0 && errno == EACCES)
		tool_fail(EX_NOPERM, "%s: only root may ask master", verb);
	if (fd < 0)
		tool_fail(EX_UNAVAILABLE, "the mail system of %s is not running", confdir);
	if (!msg_send(fd, MSG_CONTROL, &q))
		tool_fail(EX_PROTOCOL, "%s: %s", verb, strerror(errno));
	while (code < 0 && msg_recv(fd, R_MASTER, R_OPERATOR, &m) == MSG_OK) {
		if (m.kind == MSG_CONTROL_END) {
			code = (int)m.CONTROL_END.error;
		} else if (m.kind == MSG_WHO_LINK && m.WHO_LINK.from >= 0 && n < DAEMONS_MAX) {
			names[n] = clean(m.WHO_LINK.process);
			links[n++] = m.WHO_LINK.from;
		} else {
			msg_close_fds(&m);
		}
	}
	close(fd);
	if (code != 0)
		tool_fail(EX_PROTOCOL, "%s: master did not answer; it may be of another version", verb);
	for (size_t i = 0; i < n; i++) {
		hear_daemon(all, links[i], names[i]);
		close(links[i]);
		free(names[i]);
	}
}

/* ---- printing ---- */

static void
print_duration(uint32_t s)
{
	char text[32];

	if (s == UINT32_MAX)
		snprintf(text, sizeof(text), "-");
	else if (s < 60)
		snprintf(text, sizeof(text), "%us", s);
	else if (s < 3600)
		snprintf(text, sizeof(text), "%um%02us", s / 60, s % 60);
	else
		snprintf(text, sizeof(text), "%uh%02um", s / 3600, s / 60 % 60);
	printf(" %-7s", text);
}

static void
print_row(const struct row *r)
{
	time_t since = (time_t)r->since;
	char when[32] = "-";
	struct tm tm;

	if (localtime_r(&since, &tm))
		strftime(when, sizeof(when), "%m-%d %H:%M:%S", &tm);
	printf("%-11s %-28s %-22s %-8.*s %-14s", r->service, *r->user ? r->user : "-", r->client,
	    *r->tls ? (int)strcspn(r->tls, " ") : 1, *r->tls ? r->tls : "-", when);
	print_duration(r->idle);
	printf(" %-9llu %-9llu %-12s%s%s%s\n", (unsigned long long)r->in, (unsigned long long)r->out, r->id, *r->folder ? " " : "",
	    r->folder, r->ending ? " (ending)" : "");
}

static void
print_json_row(const struct row *r)
{
	json_t *o = json_pack("{s:s,s:s,s:s*,s:s,s:s*,s:I,s:I,s:I,s:b}", "session", r->id, "service", r->service, "user",
	    *r->user ? r->user : NULL, "client", r->client, "tls", *r->tls ? r->tls : NULL, "since", (json_int_t)r->since,
	    "in", (json_int_t)r->in, "out", (json_int_t)r->out, "ending", r->ending != 0);

	if (!o)
		return;			/* a name that is not UTF-8 */
	if (r->idle != UINT32_MAX)
		json_object_set_new(o, "idle", json_integer((json_int_t)r->idle));
	if (*r->folder)			/* a name that is not UTF-8 is left out, its session is not */
		json_object_set_new(o, "folder", json_string(r->folder));
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static void
print_rows(const struct rows *all)
{
	if (!want_json && all->n)
		printf("%-11s %-28s %-22s %-8s %-14s %-7s %-9s %-9s %-12s %s\n", "SERVICE", "USER", "CLIENT", "TLS", "SINCE", "IDLE",
		    "IN", "OUT", "SESSION", "FOLDER");
	for (size_t i = 0; i < all->n; i++)
		(want_json ? print_json_row : print_row)(&all->r[i]);
}

/* ---- the commands ---- */

/* An address of a client as the daemons write it, however it was written here. */
static const char *
normal(const char *what)
{
	static char text[INET6_ADDRSTRLEN];
	struct in6_addr six;

	if (strchr(what, ':') && inet_pton(AF_INET6, what, &six) == 1 && inet_ntop(AF_INET6, &six, text, sizeof(text)))
		return text;
	return what;
}

int
command_who(const char *confdir, int argc, char **argv)
{
	struct rows all = { 0 };

	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		tool_fail(EX_USAGE, "who: it is who [USER|ADDRESS]");
	tool_settings(confdir);
	ask(confdir, "who", argc == 2 ? normal(argv[1]) : "", &all);
	print_rows(&all);
	if (!all.n && !want_json && !all.silent)
		printf("nobody is logged in%s%s\n", argc == 2 ? " as or from " : "", argc == 2 ? argv[1] : "");
	rows_fini(&all);
	return all.silent ? EX_TEMPFAIL : 0;
}

/* Several sessions are ended only by --all: a user's name may mean more of them than one thinks. */
int
command_kick(const char *confdir, int argc, char **argv)
{
	struct rows found = { 0 }, gone = { 0 };
	const char *what = NULL;
	bool every = false;
	int code;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--all") == 0)
			every = true;
		else if (argv[i][0] == '-' || !argv[i][0] || what)
			tool_fail(EX_USAGE, "kick: it is kick USER|ADDRESS|SESSION [--all]");
		else
			what = normal(argv[i]);
	}
	if (!what)
		tool_fail(EX_USAGE, "kick: whom? a user, a client's address, or a session of merpati who");
	tool_settings(confdir);
	ask(confdir, "who", what, &found);
	if (found.n > 1 && !every) {
		print_rows(&found);
		tool_fail(EX_USAGE, "kick: these %zu sessions match; name one by its SESSION, or say --all", found.n);
	}
	if (found.n)
		ask(confdir, "kick", every ? what : found.r[0].id, &gone);
	print_rows(&gone);
	if (!gone.n && !found.silent)
		tool_complain("kick: no session of %s", what);
	code = found.silent || gone.silent ? EX_TEMPFAIL : gone.n ? 0 : EX_NOUSER;
	rows_fini(&found);
	rows_fini(&gone);
	return code;
}
