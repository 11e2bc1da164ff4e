/*
 * explain_smtpd.c: what an smtpd would answer to a client. The program itself is started, with the parameters of its service, and
 * tells of each word of its lists and of each table; whatever it tells may hold a stranger's text.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "common/queue.h"
#include "common/tool.h"
#include "explain.h"
#include "places.h"
#include "service/mastercf.h"
#include "service/message.h"
#include "base/banned.h"

#define TEXT_MAX (1u << 20)
#define ARGS_MAX (2 * SERVICE_OPTIONS_MAX + 8)
#define TOLD_MAX 100000			/* messages: an smtpd that never ends is ended */

/* ---- the program ---- */

static const struct service_row *
find_row(const struct mastercf *m, const char *service)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct service_row *row = &m->rows[i];

		if (row->kind && strcmp(row->kind->name, "smtpd") == 0 && (!service || strcmp(row->name, service) == 0))
			return row;
	}
	tool_fail(EX_USAGE, service ? "master.cf has no service %s of smtpd" : "master.cf has no service of smtpd", service);
}

/* 0: the link, 1: main.cf, as master would give them; 2 stays the caller's. */
static void NORETURN
become_smtpd(const struct service_row *row, const char *confdir, int link, int main_cf)
{
	const char *path = tool_path(places_daemon_directory(), "%s", row->kind->binary);
	char *argv[ARGS_MAX] = { x_strdup(row->kind->name), x_strdup("-X"), x_strdup("-n"), row->name, x_strdup("-c"), x_strdup(confdir) };
	size_t n = 6;

	for (size_t i = 0; i < row->option_count; i++) {
		argv[n++] = x_strdup("-o");
		argv[n++] = row->options[i];
	}
	if (dup2(link, 0) < 0 || dup2(main_cf, 1) < 0)
		_exit(EX_OSERR);
	execv(path, argv);
	tool_complain("%s: %s", path, strerror(errno));
	_exit(EX_UNAVAILABLE);
}

static pid_t
start(const struct service_row *row, const char *confdir, int *link)
{
	int main_cf = open(tool_path(confdir, "main.cf"), O_RDONLY | O_CLOEXEC), pair[2];
	pid_t pid;

	if (main_cf < 0 || !chan_pair(pair))
		tool_fail(EX_OSERR, "%s/main.cf: %s", confdir, strerror(errno));
	pid = fork();
	if (pid < 0)
		tool_fail(EX_OSERR, "fork: %s", strerror(errno));
	if (pid == 0)
		become_smtpd(row, confdir, pair[1], main_cf);
	close(main_cf);
	close(pair[1]);
	*link = pair[0];
	return pid;
}

/* ---- what it tells ---- */

/* Where a list is set: in the options of the service, or in main.cf. */
static json_t *
list_place(const struct service_row *row, struct span list)
{
	char *name = x_spandup(list);
	struct buf place;
	json_t *o;

	buf_init(&place, 8192);
	for (size_t i = 0; i < row->option_count; i++)
		if (span_starts(span_str(row->options[i]), name) && row->options[i][list.n] == '=')
			buf_addf(&place, "master.cf:%u", row->line);
	if (place.len == 0)
		explain_place(name, &place);
	o = queue_json_text(buf_span(&place));
	buf_fini(&place);
	free(name);
	return o;
}

/* A table without a file stands in the list itself. */
static json_t *
word_told(const struct service_row *row, const struct msg_EXPLAIN_WORD *w, json_t *looks)
{
	json_t *o = json_object(), *place = list_place(row, w->list), *look;
	size_t i;

	json_array_foreach(looks, i, look)
		if (json_string_length(json_object_get(look, "place")) == 0)
			json_object_set(look, "place", place);
	json_object_set_new(o, "list", queue_json_text(w->list));
	json_object_set_new(o, "place", place);
	json_object_set_new(o, "word", queue_json_text(w->word));
	if (w->arg.n > 0)
		json_object_set_new(o, "argument", queue_json_text(w->arg));
	json_object_set_new(o, "verdict", queue_json_text(w->verdict));
	if (w->reply.n > 0)
		json_object_set_new(o, "reply", queue_json_text(w->reply));
	return o;
}

static void
look_told(json_t *looks, const struct msg_EXPLAIN_LOOK *l)
{
	char *label = x_spandup(l->label), *type = x_spandup(l->type), *path = x_spandup(l->path);
	struct map_look look = { .label = label, .type = type, .path = *path ? path : NULL, .line = l->line,
		.answer = (enum map_answer)l->answer, .key = l->key, .value = l->value };

	if (l->answer <= MAP_FAILED)
		explain_look(looks, &look);
	free(label);
	free(type);
	free(path);
}

/* Reads to the end of the link. */
static json_t *
listen_to(int link, const struct service_row *row)
{
	json_t *steps = json_array(), *looks = json_array(), *o;
	struct msg m;

	for (unsigned i = 0; i < TOLD_MAX && msg_recv(link, R_SMTPD, R_OPERATOR, &m) == MSG_OK; i++) {
		if (m.kind == MSG_EXPLAIN_LOOK) {
			look_told(looks, &m.EXPLAIN_LOOK);
			continue;
		}
		if (m.kind == MSG_EXPLAIN_WORD) {
			o = word_told(row, &m.EXPLAIN_WORD, looks);
		} else if (m.kind == MSG_EXPLAIN_REPLY) {
			o = json_object();
			json_object_set_new(o, "command", queue_json_text(m.EXPLAIN_REPLY.command));
			json_object_set_new(o, "reply", queue_json_text(span_trim(m.EXPLAIN_REPLY.reply)));
		} else {
			msg_close_fds(&m);
			continue;
		}
		json_object_set_new(o, "lookups", looks);
		json_array_append_new(steps, o);
		looks = json_array();
	}
	json_decref(looks);
	return steps;
}

static void
read_services(const char *confdir, struct mastercf *m)
{
	struct buf text, err;

	buf_init(&text, TEXT_MAX);
	buf_init(&err, TEXT_MAX);
	if (!tool_read(tool_path(confdir, "master.cf"), TEXT_MAX, &text))
		tool_fail(EX_CONFIG, "%s/master.cf: %s", confdir, strerror(errno));
	if (mastercf_parse(m, buf_span(&text), par.inet_interfaces, par.inet_protocols, &err) > 0)
		tool_fail(EX_CONFIG, "%.*s", (int)span_trim(buf_span(&err)).n, err.p);
	buf_fini(&text);
	buf_fini(&err);
}

const char *
explain_smtpd(json_t *root, const char *confdir, const struct explain_client *c, struct span sender, struct span rcpt)
{
	char literal[100];
	struct msg_EXPLAIN q = { .client = span_str(c->address), .helo = span_str(c->helo), .sender = sender, .rcpt = rcpt,
		.login = span_str(c->login), .secure = c->secure || c->login[0], .dns = !c->no_dns };
	const struct service_row *row;
	const json_t *last;
	struct mastercf m;
	json_t *steps;
	int link, status = 0;
	pid_t pid;

	read_services(confdir, &m);
	row = find_row(&m, c->service);
	if (q.helo.n == 0) {
		snprintf(literal, sizeof(literal), strchr(c->address, ':') ? "[IPv6:%s]" : "[%s]", c->address);
		q.helo = span_str(literal);
	}
	pid = start(row, confdir, &link);
	steps = msg_send(link, MSG_EXPLAIN, &q) ? listen_to(link, row) : json_array();
	close(link);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	last = json_array_get(steps, json_array_size(steps) - 1);
	if (status != 0 || !json_object_get(last, "reply") || !json_object_get(last, "command"))
		tool_fail(WIFEXITED(status) && status ? WEXITSTATUS(status) : EX_SOFTWARE, "smtpd has not told its answer");
	json_object_set_new(root, "service", json_string(row->name));
	json_object_set_new(root, "smtpd", steps);
	mastercf_free(&m);
	return json_string_value(json_object_get(last, "reply"));
}

/* ---- for people ---- */

static const char *
str(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static void
print_word(const json_t *o, const char **list)
{
	if (strcmp(*list, str(o, "list")) != 0) {
		explain_put("  ", str(o, "list"), " (");
		explain_put("", str(o, "place"), "):\n");
	}
	*list = str(o, "list");
	explain_put("    ", str(o, "word"), "");
	explain_put(str(o, "argument")[0] ? " " : "", str(o, "argument"), "");
	explain_put(": ", str(o, "verdict"), "");
	explain_put(str(o, "reply")[0] ? ": " : "", str(o, "reply"), "\n");
	explain_print_lookups("      ", json_object_get(o, "lookups"));
}

void
explain_print_smtpd(const json_t *root)
{
	const char *list = "";
	const json_t *o;
	size_t i;

	if (!json_object_get(root, "smtpd"))
		return;
	explain_put("Service ", str(root, "service"), "");
	explain_put(" answers ", str(root, "client"), ":\n");
	json_array_foreach(json_object_get(root, "smtpd"), i, o) {
		if (str(o, "word")[0]) {
			print_word(o, &list);
			continue;
		}
		list = "";
		explain_print_lookups("    ", json_object_get(o, "lookups"));
		if (strncmp(str(o, "command"), "MAIL", 4) == 0 || strncmp(str(o, "command"), "RCPT", 4) == 0 || str(o, "reply")[0] != '2') {
			explain_put("  ", str(o, "command"), " => ");
			explain_put("", str(o, "reply"), "\n");
		}
	}
}
