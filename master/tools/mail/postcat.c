/* postcat.c: postcat(1): a queue file, readable. What it holds was written by strangers. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "mail.h"
#include "mail/queuefile.h"
#include "tool.h"
#include "base/banned.h"

#define BLOCK 65536

struct parts {
	bool envelope, header, body;
};

static void
print_field(const char *name, struct span value)
{
	if (!value.n)
		return;
	printf("%s: ", name);
	for (size_t i = 0; i < value.n; i++)
		putchar(isprint((unsigned char)value.p[i]) ? value.p[i] : '?');
	putchar('\n');
}

static void
print_envelope(const struct queue_file *q, const char *name)
{
	char date[CLOCK_DATE_MAX];
	struct queue_rcpt r;
	size_t at = 0;

	printf("*** ENVELOPE RECORDS %s ***\n", name);
	printf("message_size: %llu\nrecipients: %u\nflags: 0x%x\narrival_time: %s\n", (unsigned long long)q->body_len,
	    (unsigned)q->rcpts, (unsigned)q->env.flags, clock_rfc5322((time_t)(q->env.arrival_us / 1000000), date));
	print_field("client", q->env.client);
	print_field("login", q->env.login);
	print_field("session", q->env.session);
	print_field("envelope_id", q->env.envid);
	printf("sender: ");
	for (size_t i = 0; i < q->env.sender.n; i++)
		putchar(isprint((unsigned char)q->env.sender.p[i]) ? q->env.sender.p[i] : '?');
	putchar('\n');
	while (queue_file_rcpt(q, &at, &r)) {
		print_field(r.state != '.' ? "done_recipient" : "recipient", r.addr);
		print_field("original_recipient", r.orcpt);
		print_field("notify", r.notify);
	}
	for (at = 0; queue_file_header(q, &at, &r.addr);)
		print_field("late_header", span_trim_right(r.addr));
}

/* The message up to its blank line, or from there on, or both. */
static bool
print_message(int fd, uint64_t len, const struct parts *p)
{
	static char block[BLOCK];
	bool in_header = true;
	char last = '\n';

	for (uint64_t at = 0; at < len;) {
		size_t n = len - at < BLOCK ? (size_t)(len - at) : BLOCK;

		if (!pread_all(fd, block, n, (off_t)at))
			return false;
		for (size_t i = 0; i < n; i++) {
			bool ends = in_header && block[i] == '\n' && last == '\n';

			if (in_header ? p->header : p->body)
				putchar(block[i]);
			last = block[i];
			in_header = in_header && !ends;
		}
		at += n;
	}
	return true;
}

/* The queue file that is open as fd, which is closed. */
static int
print_open(int fd, const char *name, const struct parts *p)
{
	struct queue_file q;
	struct buf err;
	int code = 0;

	buf_init(&err, 1000);
	if (queue_file_read(fd, &q, true, &err) != QUEUE_READ_OK) {
		tool_complain("%s: %s", name, err.p);
		code = EX_DATAERR;
	} else {
		if (p->envelope)
			print_envelope(&q, name);
		if (p->envelope && p->header)
			puts("*** MESSAGE CONTENTS ***");
		if ((p->header || p->body) && !print_message(fd, q.body_len, p))
			code = EX_IOERR;
		if (p->envelope)
			puts("*** END ***");
		queue_file_fini(&q);
	}
	buf_fini(&err);
	close(fd);
	return code;
}

static int
print_file(const char *path, const char *name, const struct parts *p)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return print_open(fd, name, p);
	tool_complain("%s: %s", path, strerror(errno));
	return EX_NOINPUT;
}

/* A queue file has its beginning at its end: what comes through a pipe is kept first. */
static int
print_input(const struct parts *p)
{
	static char block[BLOCK];
	int fd = memfd_create("postcat", MFD_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		tool_fail(EX_OSERR, "memfd: %s", strerror(errno));
	while ((n = read(0, block, sizeof(block))) > 0)
		if (!write_all(fd, block, (size_t)n))
			tool_fail(EX_OSERR, "memfd: %s", strerror(errno));
	if (n < 0)
		tool_fail(EX_NOINPUT, "standard input: %s", strerror(errno));
	return print_open(fd, "standard input", p);
}

static int
print_queued(const char *id, const struct parts *p)
{
	const char *path;

	if (!queue_id_valid(span_str(id)))
		tool_fail(EX_DATAERR, "\"%s\" is not a queue id", id);
	path = tool_path(par.queue_directory, "queue/%c/%s", queue_id_hash(span_str(id)), id);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		path = tool_path(par.queue_directory, "hold/%s", id);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		path = tool_path(par.queue_directory, "incoming/%s", id);
	return print_file(path, id, p);
}

int
postcat_main(int argc, char **argv)
{
	struct parts p = { 0 };
	const char *confdir = NULL;
	bool queued = false;
	int opt, code = 0;

	while ((opt = getopt(argc, argv, "+c:behqv")) != -1) {
		if (opt == '?')
			mail_usage();
		if (opt == 'c')
			confdir = optarg;
		queued |= opt == 'q';
		p.envelope |= opt == 'e';
		p.header |= opt == 'h';
		p.body |= opt == 'b';
	}
	if (queued && optind == argc)
		mail_usage();
	if (!p.envelope && !p.header && !p.body)
		p = (struct parts){ true, true, true };
	if (queued)
		tool_settings(tool_confdir(confdir));
	if (optind == argc)
		return print_input(&p);
	for (int i = optind; i < argc; i++) {
		int r = queued ? print_queued(argv[i], &p) : print_file(argv[i], argv[i], &p);

		code = r ? r : code;
	}
	return code;
}
