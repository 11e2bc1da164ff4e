/* Queue files: any bytes are refused or read within bounds; a repaired footer lets the fuzzer reach the records. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/crc32c.h"
#include "mail/queuefile.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
read_all(int fd, size_t size, bool check)
{
	struct queue_rcpt r;
	struct queue_file q;
	struct span line;
	struct buf err;
	uint32_t rcpts = 0;
	size_t at = 0;

	buf_init(&err, 1000);
	if (queue_file_read(fd, &q, check, &err) == QUEUE_READ_OK) {
		while (queue_file_rcpt(&q, &at, &r)) {
			rcpts++;
			if (r.state_at < (off_t)q.body_len || r.state_at >= (off_t)size)
				abort();
		}
		at = 0;
		while (queue_file_header(&q, &at, &line))
			;
		if (rcpts != q.rcpts || q.body_len > size)
			abort();
	} else if (err.len == 0) {
		abort();
	}
	queue_file_fini(&q);
	buf_fini(&err);
}

/* The bytes as records behind a body of one byte, with a footer that fits them. The first two count the recipients. */
static void
with_footer(int fd, struct span records, uint32_t rcpts)
{
	struct buf b;
	size_t footer;

	buf_init(&b, 1 << 24);
	buf_addc(&b, '\n');
	buf_addspan(&b, records);
	footer = b.len;
	buf_add(&b, "MRPT\1\0\0\0", 8);
	buf_add_u64(&b, 1);
	buf_add_u64(&b, records.n);
	buf_add_u32(&b, rcpts);
	buf_add_u32(&b, 0);
	buf_add_u32(&b, crc32c(0, span_of(b.p + footer, 32)));
	buf_adds(&b, "END\n");
	if (!b.over && ftruncate(fd, 0) == 0 && pwrite_all(fd, b.p, b.len, 0))
		read_all(fd, b.len, false);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span s = span_of(n ? (const char *)data : "", n);
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || !pwrite_all(fd, s.p, s.n, 0))
		abort();
	read_all(fd, s.n, true);
	if (s.n)
		with_footer(fd, span_skip(s, 1), (unsigned char)s.p[0]);
	close(fd);
	return 0;
}
