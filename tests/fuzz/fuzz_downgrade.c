/* A message made 7-bit: any bytes; pieces of any size make the same. links: smtp/downgrade.c */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "smtp/downgrade.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
make(int fd, size_t n, size_t step, struct buf *out)
{
	struct downgrade *d = downgrade_new(fd, n, SPAN_NONE, 0);
	size_t rounds = 0;

	must(d != NULL);
	while (downgrade_next(d, step, out))
		must(rounds++ < 16 * n + 16);
	downgrade_free(d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int fd = memfd_create("message", MFD_CLOEXEC);
	struct buf whole, pieces;

	if (n == 0 || n > 1u << 16 || fd < 0 || write(fd, data, n) != (ssize_t)n) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	buf_init(&whole, 1u << 22);
	buf_init(&pieces, 1u << 22);
	make(fd, n, 1u << 20, &whole);
	make(fd, n, 777, &pieces);
	must(!whole.over && !pieces.over && whole.len > 0);
	buf_fini(&whole);
	buf_fini(&pieces);
	close(fd);
	return 0;
}
