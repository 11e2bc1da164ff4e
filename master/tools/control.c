/* control.c: merpati stop, reload, status: asks master over run/control/master (root's own directory). */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/queue.h"
#include "common/tool.h"
#include "places.h"
#include "prepare.h"
#include "service/message.h"
#include "tools.h"
#include "base/banned.h"

#define STOP_MS 30000
#define RELOAD_MS 10000
#define RELOAD_STEP_MS 50
#define LINES_MAX 10000

struct answer {
	char **lines;
	size_t n;
	int code;			/* of CONTROL_END; -1: the link broke */
};

static void
add_line(struct answer *a, struct span text)
{
	if (a->n == LINES_MAX)
		return;
	a->lines = x_realloc(a->lines, (a->n + 1) * sizeof(*a->lines));
	a->lines[a->n++] = x_spandup(text);
}

static void
answer_fini(struct answer *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->lines[i]);
	free(a->lines);
}

/* False: nobody is there. */
static bool
ask_master(const char *verb, struct answer *a)
{
	const struct msg_CONTROL ask = { .verb = span_str(verb) };
	int fd = tool_connect("control", "master");
	struct msg in;

	*a = (struct answer){ .code = -1 };
	if (fd < 0 && errno == EACCES)
		tool_fail(EX_NOPERM, "%s: only root may ask master", verb);
	if (fd < 0)
		return false;
	if (msg_send(fd, MSG_CONTROL, &ask))
		while (a->code < 0 && msg_recv(fd, R_MASTER, R_OPERATOR, &in) == MSG_OK) {
			if (in.kind == MSG_CONTROL_LINE)
				add_line(a, in.CONTROL_LINE.text);
			else if (in.kind == MSG_CONTROL_END)
				a->code = (int)in.CONTROL_END.error;
		}
	close(fd);
	return true;
}

static pid_t
master_pid(void)
{
	struct buf text;
	uint32_t pid = 0;

	buf_init(&text, 64);
	if (!tool_read(tool_path(par.queue_directory, "pid/master.pid"), 64, &text) ||
	    !span_u32(span_trim(buf_span(&text)), 1, INT32_MAX, &pid))
		pid = 0;
	buf_fini(&text);
	return (pid_t)pid;
}

static void
no_more_args(int argc, char **argv)
{
	if (argc > 1)
		tool_fail(EX_USAGE, "%s: \"%s\" is not understood", argv[0], argv[1]);
}

/* ---- stop ---- */

int
command_stop(const char *confdir, int argc, char **argv)
{
	struct answer a;
	struct pollfd p;
	pid_t pid;

	no_more_args(argc, argv);
	tool_settings(confdir);
	pid = master_pid();
	p = (struct pollfd){ .fd = pid ? (int)syscall(SYS_pidfd_open, pid, 0) : -1, .events = POLLIN };
	if (!ask_master("stop", &a)) {
		printf("the mail system of %s is not running\n", confdir);
		return 0;
	}
	if (a.code < 0 && (p.fd < 0 || syscall(SYS_pidfd_send_signal, p.fd, SIGTERM, NULL, 0) < 0))	/* of another version */
		tool_fail(EX_PROTOCOL, "stop: master (process %d) did not understand, and cannot be signalled: %s", (int)pid,
		    strerror(errno));
	if (a.code > 0)
		tool_fail(a.code, "stop: master refused: %s", a.n ? a.lines[0] : "it did not say why");
	answer_fini(&a);
	if (p.fd >= 0 && poll(&p, 1, STOP_MS) == 0)
		tool_fail(EX_TEMPFAIL, "stop: master (process %d) is still there after %d s", (int)pid, STOP_MS / 1000);
	return 0;
}

/* ---- reload ---- */

/* The processes of the last reload must be there first. */
static void
ask_reload(const char *confdir, struct answer *a)
{
	for (int tries = RELOAD_MS / RELOAD_STEP_MS;; tries--) {
		if (!ask_master("reload", a))
			tool_fail(EX_UNAVAILABLE, "the mail system of %s is not running", confdir);
		if (a->code != EX_TEMPFAIL)
			return;
		answer_fini(a);
		if (tries == 0)
			tool_fail(EX_TEMPFAIL, "reload: processes are still starting after %d s; see the log, and try again", RELOAD_MS / 1000);
		usleep(RELOAD_STEP_MS * 1000);
	}
}

int
command_reload(const char *confdir, int argc, char **argv)
{
	struct answer a;
	struct check c;
	int code;

	no_more_args(argc, argv);
	check_init(&c, confdir);
	prepare_tables(&c);
	check_all(&c);
	code = check_report(&c);
	check_fini(&c);
	if (code) {
		tool_complain("nothing was changed: the old configuration stays in force");
		return code;
	}
	tool_settings(confdir);
	ask_reload(confdir, &a);
	for (size_t i = 0; i < a.n; i++)
		tool_complain("%s", a.lines[i]);
	code = a.code < 0 ? EX_PROTOCOL : a.code;
	if (a.code < 0)
		tool_complain("master did not answer; it may be of another version: stop it and start it anew");
	if (code)
		tool_complain("reload was refused: the old configuration stays in force");
	answer_fini(&a);
	return code;
}

/* ---- status ---- */

/* "word NAME k=v k=v": the value of a key, or nothing */
static struct span
field(const char *line, const char *key)
{
	struct span rest = span_str(line), word;

	while (span_word(&rest, " ", &word))
		if (word.n > strlen(key) && span_starts(word, key) && word.p[strlen(key)] == '=')
			return span_skip(word, strlen(key) + 1);
	return SPAN_NONE;
}

static struct span
nth_word(const char *line, int n)
{
	struct span rest = span_str(line), word = SPAN_NONE;

	for (int i = 0; i <= n; i++)
		if (!span_word(&rest, " ", &word))
			return SPAN_NONE;
	return word;
}

/* The name of a uid, as far as the system has one. */
static struct span
user_of(struct span uid)
{
	const struct passwd *pw;
	uint32_t n;

	if (!span_u32(uid, 0, UINT32_MAX - 1, &n) || !(pw = getpwuid(n)))
		return uid;
	return span_str(pw->pw_name);
}

static void
print_table(const struct answer *a)
{
	static const char *const keys[] = { "pid", "uid", "clients", "state" };
	static const int width[] = { 8, 18, 8, 10 };

	printf("%-16s%-8s%-18s%-8s%s\n", "PROCESS", "PID", "USER", "CLIENTS", "STATE");
	for (size_t i = 0; i < a->n; i++) {
		if (!span_is(nth_word(a->lines[i], 0), "process"))
			continue;
		printf("%-16.*s", SPAN_FMT(nth_word(a->lines[i], 1)));
		for (size_t k = 0; k < NELEMS(keys); k++) {
			struct span value = field(a->lines[i], keys[k]);

			if (strcmp(keys[k], "uid") == 0)
				value = user_of(value);
			printf(k ? " %-*.*s" : "%-*.*s", k + 1 < NELEMS(keys) ? width[k] - 1 : 0, SPAN_FMT(value));
		}
		putchar('\n');
	}
	printf("\n%-16s%s\n", "SERVICE", "LISTENS ON");
	for (size_t i = 0; i < a->n; i++)
		if (span_is(nth_word(a->lines[i], 0), "listen"))
			printf("%-16.*s%.*s\n", SPAN_FMT(nth_word(a->lines[i], 1)), SPAN_FMT(nth_word(a->lines[i], 2)));
}

static json_t *
json_of(struct span s)
{
	uint64_t n;

	if (span_u64(s, 0, INT64_MAX, &n))
		return json_integer((json_int_t)n);
	return json_stringn(s.p, s.n);
}

static void
print_json(const struct answer *a, const struct queue_size *q)
{
	static const char *const keys[] = { "pid", "uid", "clients", "state" };
	json_t *top = json_object(), *processes = json_array(), *listeners = json_array();

	for (size_t i = 0; i < a->n; i++) {
		struct span kind = nth_word(a->lines[i], 0), name = nth_word(a->lines[i], 1);
		json_t *o = json_object();

		if (span_is(kind, "process")) {
			json_object_set_new(o, "name", json_stringn(name.p, name.n));
			for (size_t k = 0; k < NELEMS(keys); k++)
				json_object_set_new(o, keys[k], json_of(field(a->lines[i], keys[k])));
			json_array_append_new(processes, o);
		} else if (span_is(kind, "listen")) {
			struct span at = nth_word(a->lines[i], 2);

			json_object_set_new(o, "service", json_stringn(name.p, name.n));
			json_object_set_new(o, "address", json_stringn(at.p, at.n));
			json_array_append_new(listeners, o);
		} else {
			json_decref(o);
		}
	}
	json_object_set_new(top, "processes", processes);
	json_object_set_new(top, "listeners", listeners);
	json_object_set_new(top, "queue", q->known ? json_pack("{s:I,s:I}", "messages", (json_int_t)q->messages,
	    "bytes", (json_int_t)q->bytes) : json_null());
	json_dumpf(top, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(top);
}

int
command_status(const char *confdir, int argc, char **argv)
{
	struct queue_size q;
	uint64_t left, need;
	struct answer a;

	no_more_args(argc, argv);
	tool_settings(confdir);
	if (!ask_master("status", &a))
		tool_fail(EX_UNAVAILABLE, "the mail system of %s is not running", confdir);
	if (a.code < 0)
		tool_fail(EX_PROTOCOL, "status: master did not answer; it may be of another version");
	q = queue_measure();
	if (want_json) {
		print_json(&a, &q);
	} else {
		print_table(&a);
		if (q.known)
			printf("\nqueue: %u message%s, %llu bytes\n", (unsigned)q.messages, q.messages == 1 ? "" : "s",
			    (unsigned long long)q.bytes);
		else
			printf("\nqueue: qmgr does not answer\n");
		if (places_lack_room(&left, &need))
			printf("disk: %llu MB are free; no mail is taken below %llu MB (queue_minfree)\n",
			    (unsigned long long)left >> 20, (unsigned long long)need >> 20);
	}
	answer_fini(&a);
	return 0;
}
