/*
 * fuzz_pop3.c: a POP3 session after its login, through a socket pair: each command has one answer, an answer of several lines ends
 * with the dot that belongs to it whatever the messages hold, and nothing is removed without QUIT.
 * links: pop3d/session/session.c pop3d/session/commands.c
 */
#include "session.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "fuzz.h"
#include "tests/unit/tmptree.h"
#include "base/banned.h"

#define INPUT_MAX 4096			/* its answers have room in the socket */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct { const char *name, *text; } mails[] = {
	{ "1000.Q1R1.h,S=23,W=28", "A: b\n\n.\n..\n+OK\n-ERR\nx\r\n" },
	{ "2000.Q2R1.h,S=11,W=12", "A: b\n\nno e" },
	{ "3000.Q3R1.h,S=18,W=21", "A: b\r\r\n.\r\n\r\n\n.\rx\n\r" },
};
static char dir[64];

static void
leave(void)
{
	remove_tree(dir);
}

static void
put_mails(void)
{
	char path[256];

	for (size_t i = 0; i < NELEMS(mails); i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/Maildir/new/%s", dir, mails[i].name);
		if (access(path, F_OK) == 0)
			continue;
		f = fopen(path, "w");
		check(f && fputs(mails[i].text, f) >= 0 && fclose(f) == 0);
	}
}

static size_t
count_mails(void)
{
	char path[256];
	struct dirent *e;
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/Maildir/new", dir);
	d = opendir(path);
	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static void
begin(void)
{
	char path[128];
	enum store_result r;

	if (dir[0])
		return;
	log_setup("fuzz_pop3", LOG_TEXT, LOG_ERROR_);
	mailstore_init();
	snprintf(dir, sizeof(dir), "/tmp/pop3-fuzz-XXXXXX");
	check(mkdtemp(dir) && atexit(leave) == 0);
	snprintf(path, sizeof(path), "%s/Maildir", dir);
	mailstore_free(mailstore_new(path, true, &r));
	check(r == STORE_OK);
}

/* One line of the answers, without its CRLF; false at their end. */
static bool
answer_line(struct span *out, struct span *line)
{
	ssize_t lf = span_find(*out, '\n');

	if (lf < 0) {
		check(out->n == 0);
		return false;
	}
	check(lf > 0 && out->p[lf - 1] == '\r');
	*line = span_sub(*out, 0, (size_t)lf - 1);
	*out = span_skip(*out, (size_t)lf + 1);
	return true;
}

static bool
has_lines(struct span verb, bool argument)
{
	static const struct { const char *verb; bool argument; } rows[] = {
		{ "RETR", true }, { "TOP", true }, { "LIST", false }, { "UIDL", false }, { "CAPA", false }, { "LANG", false },
	};

	for (size_t i = 0; i < NELEMS(rows); i++)
		if (span_is_nocase(verb, rows[i].verb))
			return argument == rows[i].argument;
	return false;
}

/* The answers belong to these commands, in their order. True: the last was a QUIT that was carried out. */
static bool
check_answers(struct span in, struct span out)
{
	struct span line, verb;
	bool quit = false;

	check(answer_line(&out, &line) && span_is(line, "+OK Logged in."));
	while (answer_line(&out, &line)) {
		ssize_t lf = span_find(in, '\n');
		struct span command;
		bool good = span_starts(line, "+OK");

		if (span_is(line, "-ERR Line too long")) {	/* the last word to what cannot be read */
			check(!quit && out.n == 0);
			break;
		}
		check(!quit && lf >= 0 && (good || span_starts(line, "-ERR ")));
		command = span_sub(in, 0, (size_t)lf);
		in = span_skip(in, (size_t)lf + 1);
		if (command.n && command.p[command.n - 1] == '\r')
			command.n--;
		if (!good)
			continue;
		check(span_word(&command, " ", &verb));
		quit = span_is_nocase(verb, "QUIT");
		if (!has_lines(verb, span_trim(command).n > 0))
			continue;
		do
			check(answer_line(&out, &line));
		while (!span_is(line, "."));
	}
	return quit;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char path[128], block[8192];
	struct buf out;
	ssize_t got;
	int fd[2];

	if (n > INPUT_MAX)
		return 0;
	begin();
	put_mails();
	buf_init(&out, 1 << 20);
	snprintf(path, sizeof(path), "%s/Maildir", dir);
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	check(n == 0 || write(fd[1], data, n) == (ssize_t)n);
	shutdown(fd[1], SHUT_WR);
	pop3_session(fd[0], SPAN("u@d.test"), path, 5000);
	close(fd[0]);
	while ((got = read(fd[1], block, sizeof(block))) > 0)
		buf_add(&out, block, (size_t)got);
	close(fd[1]);
	if (!check_answers(span_of((const char *)data, n), buf_span(&out)))
		check(count_mails() == NELEMS(mails));
	buf_fini(&out);
	return 0;
}
