/* The header cursor, unfolding, dates: the fields and the body make up the whole message again. */
#include <stdlib.h>

#include "mail/date.h"
#include "mail/header.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span s = span_of(n ? (const char *)data : "", n);
	char text[DATE_IMAP_MAX];
	struct header_cursor c;
	struct header h;
	struct buf out;
	size_t at = 0;
	time_t t, back;
	int zone;

	buf_init(&out, 4096);
	header_begin(&c, s);
	while (header_next(&c, &h)) {
		if (h.at != at || h.raw.n == 0)
			abort();
		at += h.raw.n;
		buf_reset(&out);
		header_unfold(&out, h.value);
		if (out.len && memchr(out.p, '\n', out.len))
			abort();
		if (date_parse(h.value, &t, &zone)) {
			date_format_imap(t, zone, text);
			if (!date_parse_imap(span_str(text), &back, &zone) || back != t)
				abort();
		}
		if (date_parse_imap(h.value, &t, &zone) || date_parse_day(h.value, &t))
			date_format_imap(t, 0, text);
	}
	if (c.body < at || c.body > at + 2 || c.body != header_body(s))
		abort();
	header_skip_cfws(s);
	buf_fini(&out);
	return 0;
}
