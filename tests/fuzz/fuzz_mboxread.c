/* An mbox: its messages lie in it one behind the other, and what is taken of each is no longer than it. */
#include <stdlib.h>

#include "mail/mboxread.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span s = span_of(n ? (const char *)data : "", n), rest = s;
	const char *last = s.p;
	struct mbox_message m;

	while (mbox_read(&rest, &m)) {
		struct mbox_notes notes;
		struct buf out;

		if (m.raw.p < last || m.raw.p + m.raw.n > s.p + s.n)
			abort();
		last = m.raw.p + m.raw.n;
		mbox_notes_init(&notes);
		buf_init(&out, m.raw.n);
		mbox_take(&m, &out, &notes);
		if (out.over || out.len > m.raw.n || notes.date < -1)
			abort();
		buf_fini(&out);
		mbox_notes_fini(&notes);
	}
	return 0;
}
