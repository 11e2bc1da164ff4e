/*
 * instance.c: the random number of a spool, part of its queue ids. It lies in
 * incoming/.instance, made by the first intake that starts; the name is no
 * queue id, so nobody takes it for a message.
 */
#include "intake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/die.h"
#include "base/fdio.h"
#include "base/rand.h"
#include "base/banned.h"

#define INSTANCES (62 * 62 * 62)

static bool
read_number(int dir, uint32_t *number)
{
	struct buf b;
	bool ok;

	buf_init(&b, 32);
	ok = read_file(dir, ".instance", &b) && span_u32(span_trim(buf_span(&b)), 0, INSTANCES - 1, number);
	buf_fini(&b);
	return ok;
}

/* link(2) lets exactly one of several starters win. */
static void
make_number(int dir)
{
	char tmp[32], text[16];
	int n, fd;

	snprintf(tmp, sizeof(tmp), ".instance.%d", (int)getpid());
	n = snprintf(text, sizeof(text), "%u\n", (unsigned)rand_below(INSTANCES));
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0660);
	if (fd < 0 || !write_all(fd, text, (size_t)n) || fsync(fd) < 0)
		die_errno("cannot write incoming/.instance");
	close(fd);
	if (linkat(dir, tmp, dir, ".instance", 0) < 0 && errno != EEXIST)
		die_errno("cannot link incoming/.instance");
	unlinkat(dir, tmp, 0);
}

uint32_t
instance_number(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint32_t number;

	if (fd < 0)
		die_errno("cannot open %s", dir);
	if (!read_number(fd, &number)) {
		make_number(fd);
		if (!read_number(fd, &number))
			die("%s/.instance holds no number", dir);
	}
	close(fd);
	return number;
}
