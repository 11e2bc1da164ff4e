/* import_link.c: records between the two processes of merpati import. The reader's owner may be hostile: every field is checked where it is used. */
#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/chan.h"
#include "base/fdio.h"
#include "common/tool.h"
#include "import.h"
#include "base/banned.h"

void
import_send(int link, enum import_kind kind, int fd, const struct span *field, unsigned n)
{
	struct buf b;

	buf_init(&b, IMPORT_RECORD_MAX);
	buf_addc(&b, (char)kind);
	for (unsigned i = 0; i < n; i++) {
		buf_addspan(&b, field[i]);
		buf_addc(&b, '\0');
	}
	if (b.over)
		tool_fail(EX_DATAERR, "a name in the source is too long");
	if (!chan_send(link, b.p, b.len, &fd, fd >= 0))
		tool_fail(EX_IOERR, "the writing process is gone: %s", strerror(errno));
	buf_fini(&b);
}

void
import_tell(int link, enum import_kind kind, const char *fmt, ...)
{
	struct buf text;
	va_list ap;
	struct span s;

	buf_init(&text, 4096);
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	s = buf_span(&text);
	import_send(link, kind, -1, &s, 1);
	buf_fini(&text);
}

bool
import_receive(int link, struct import_record *r)
{
	static char block[IMPORT_RECORD_MAX];
	int fds[CHAN_FDS];
	struct span rest;
	ssize_t got = chan_recv(link, block, sizeof(block), fds);

	if (got <= 0)
		return false;
	close_fd(&fds[1]);
	*r = (struct import_record){ .kind = block[0], .fd = fds[0] };
	rest = span_of(block + 1, (size_t)got - 1);
	while (rest.n && r->n < IMPORT_FIELDS && span_cut(&rest, '\0', &r->field[r->n]))
		r->n++;
	return true;
}
