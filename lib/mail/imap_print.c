/* imap_print.c: strings as IMAP writes them. Contents come from senders: nothing may break the grammar. */
#include "mail/imaptext.h"

#include "mail/header.h"

#include "base/banned.h"

#define QUOTED_MAX 1000		/* longer strings are literals */

void
print_string(struct buf *out, struct span text)
{
	if (text.n > QUOTED_MAX || !span_printable(text)) {
		buf_addf(out, "{%zu}\r\n", text.n);
		for (size_t i = 0; i < text.n; i++)
			buf_addc(out, text.p[i] ? text.p[i] : '?');
		return;
	}
	buf_addc(out, '"');
	if (span_find(text, '"') < 0 && span_find(text, '\\') < 0) {
		buf_addspan(out, text);
		text = SPAN_NONE;
	}
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, text.p[i]);
	}
	buf_addc(out, '"');
}

void
print_header(struct buf *out, struct span value, size_t max, const char *empty)
{
	struct buf text;
	struct span s = span_trim(value);

	if (s.n && s.n <= max && span_printable(s)) {	/* as it is: nearly all */
		print_string(out, s);
		return;
	}
	buf_init(&text, max);
	header_unfold(&text, value);
	for (size_t i = 0; i < text.len; i++)
		if (text.p[i] == '\t')
			text.p[i] = ' ';
	s = span_trim(buf_span(&text));
	if (s.n)
		print_string(out, s);
	else
		buf_adds(out, empty);
	buf_fini(&text);
}
