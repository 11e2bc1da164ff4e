/* Texts of cidr:, regexp:, pcre: and texthash: tables, and keys for them. The first byte chooses; the key stands before the first NUL. */
#include "base/map.h"		/* before sys/mman.h, whose MAP_FAILED is a macro */

#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "regex/regex.h"
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const specs[] = { "cidr:/x", "regexp:/x", "pcre:/x", "texthash:/x" };
	struct buf out, err;
	struct maps *m;
	struct span key;

	if (n == 0)
		return 0;
	file = span_of(data + 1, n - 1);
	if (!span_cut(&file, '\0', &key) || !file.p)
		return 0;
	regex_init();
	map_set_opener(open_memory);
	buf_init(&out, 1 << 16);
	buf_init(&err, 1 << 16);
	m = maps_open(span_str(specs[data[0] % NELEMS(specs)]), &err);
	if (m)
		(void)!maps_find(m, key, &out);
	maps_free(m);
	buf_fini(&out);
	buf_fini(&err);
	return 0;
}
