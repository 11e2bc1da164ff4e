/*
 * queuefill N SPOOL [DOMAIN]: N deferred messages below SPOOL, written by the writer of queue files, spread over the
 * hashed directories; their last attempt was just now. For tests/bench/queue.
 * queuefill bare N SPOOL: what the file system alone takes for new messages beside those that are there: N files of
 * their size are created, written and synced in incoming/ and renamed to queue/<hash>/; prints the processor time of each
 * step in microseconds a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/die.h"
#include "mail/queuefile.h"
#include "base/banned.h"

#define BODY "Received: from bench\nFrom: bench@bench.test\nTo: x\nSubject: one of many\n\nnot much\n"

/* An id says when the message came: as queue_id_make() would have made it ten minutes ago. */
static void
old_id(char id[QUEUE_ID_LEN + 1], uint64_t us)
{
	queue_id_make(id, 1);
	for (size_t i = 9; i--; us /= 62)
		id[i] = QUEUE_HASHES[us % 62];
}

static void
write_one(const char *spool, const char *domain, unsigned n, time_t now, uid_t uid, gid_t gid)
{
	char id[QUEUE_ID_LEN + 1], path[4096], rcpt[256];
	struct queue_envelope e = { .sender = SPAN("bench@bench.test"), .client = SPAN("bench [127.0.0.1]"),
		.arrival_us = (uint64_t)(now - 600) * 1000000 + n };
	struct queue_trailer t;
	struct timespec tried[2] = { { .tv_sec = now }, { .tv_sec = now } };
	int fd;

	old_id(id, e.arrival_us);
	snprintf(path, sizeof(path), "%s/queue/%c/%s", spool, queue_id_hash(span_str(id)), id);
	snprintf(rcpt, sizeof(rcpt), "user%u@%s", n % 1000, domain);
	queue_trailer_init(&t);
	queue_trailer_envelope(&t, &e);
	queue_trailer_rcpt(&t, span_str(rcpt), SPAN_NONE, SPAN_NONE);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
	if (fd < 0 || !queue_trailer_end(&t, sizeof(BODY) - 1) || write(fd, BODY, sizeof(BODY) - 1) < 0 ||
	    write(fd, t.b.p, t.b.len) < 0 || fchown(fd, uid, gid) < 0 || fchmod(fd, 0660) < 0 || futimens(fd, tried) < 0)
		die_errno("cannot write %s", path);
	close(fd);
	queue_trailer_fini(&t);
}

static uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
bare_one(const char *spool, const char *id, uint64_t spent[4])
{
	static const char content[1500];
	char in[4096], out[4096];
	uint64_t at[5] = { cpu_ns() };
	int fd;

	snprintf(in, sizeof(in), "%s/incoming/%s", spool, id);
	snprintf(out, sizeof(out), "%s/queue/%c/%s", spool, queue_id_hash(span_str(id)), id);
	fd = open(in, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
	at[1] = cpu_ns();
	if (fd < 0 || write(fd, content, sizeof(content)) < 0)
		die_errno("cannot write %s", in);
	at[2] = cpu_ns();
	if (fsync(fd) < 0)
		die_errno("cannot sync %s", in);
	close(fd);
	at[3] = cpu_ns();
	if (rename(in, out) < 0)
		die_errno("cannot rename %s", in);
	at[4] = cpu_ns();
	for (int k = 0; k < 4; k++)
		spent[k] += at[k + 1] - at[k];
}

static int
bare(unsigned long n, const char *spool)
{
	char id[QUEUE_ID_LEN + 1];
	uint64_t spent[4] = { 0 };

	for (unsigned long i = 0; i < n; i++) {
		queue_id_make(id, 1);
		bare_one(spool, id, spent);
	}
	printf("create %.0f, write %.0f, sync %.0f, rename %.0f\n", (double)spent[0] / 1000 / (double)n, (double)spent[1] / 1000 / (double)n,
	    (double)spent[2] / 1000 / (double)n, (double)spent[3] / 1000 / (double)n);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "bare") == 0)
		return bare(strtoul(argv[2], NULL, 10), argv[3]);

	unsigned long n = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
	struct stat st;
	char dir[4096];
	time_t now = time(NULL);

	if (n == 0 || n > 10000000)
		die("usage: queuefill N SPOOL [DOMAIN]");
	snprintf(dir, sizeof(dir), "%s/incoming", argv[2]);
	if (stat(dir, &st) < 0)
		die_errno("cannot find %s", dir);
	for (unsigned i = 0; i < n; i++)
		write_one(argv[2], argc > 3 ? argv[3] : "dead.test", i, now, st.st_uid, st.st_gid);
	return 0;
}
