/* Look-up tables: specs and texts as in main.cf, and damaged cdb files. The first byte chooses. */
#include "base/map.h"		/* before sys/mman.h, whose MAP_FAILED is a macro */

#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct span file;

static int
open_memory(const char *path)
{
	int fd = memfd_create("map", MFD_CLOEXEC);

	(void)path;
	if (fd >= 0 && !write_all(fd, file.p, file.n))
		close_fd(&fd);
	return fd;
}

static void
ask(struct span spec)
{
	static const char *const keys[] = { "a", "key", "Other Key", "" };
	struct buf out, err;
	struct maps *m;

	buf_init(&out, 1 << 16);
	buf_init(&err, 1 << 20);
	m = maps_open(spec, &err);
	for (size_t i = 0; m && i < NELEMS(keys); i++) {
		(void)!maps_find(m, span_str(keys[i]), &out);
		buf_reset(&out);
	}
	maps_free(m);
	buf_fini(&out);
	buf_fini(&err);
}

static bool
count(void *ctx, unsigned line, struct span key, struct span value)
{
	*(size_t *)ctx += line + key.n + value.n;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_of(data + 1, n ? n - 1 : 0);
	size_t sum = 0;

	if (n == 0)
		return 0;
	map_set_opener(open_memory);
	file = SPAN_NONE;
	switch (data[0] % 4) {
	case 0:
		ask(in);
		break;
	case 1:
		file = in;
		ask(SPAN("cdb:/x"));
		break;
	default:
		map_text_each(in, data[0] % 4 == 2 ? MAP_TEXT_PLAIN : MAP_TEXT_ALIASES, count, &sum);
	}
	return 0;
}
