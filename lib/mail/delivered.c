/* delivered.c: the head of a delivered message. Addresses and message are those of strangers. */
#include "mail/delivered.h"

#include "base/fdio.h"

#include "base/banned.h"

#define HEADER_MAX (256u << 10)		/* how far a loop is looked for */

uint64_t
mailtext_crlf_size(struct span lf)
{
	const char *p = lf.p, *end = lf.p + lf.n;
	uint64_t size = lf.n;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		size += p == lf.p || p[-1] != '\r';
		p++;
	}
	return size;
}

uint64_t
mailtext_crlf_more(struct span lf, char *last)
{
	bool whole = lf.n && lf.p[0] == '\n' && *last == '\r';	/* its CR was the end of the piece before */
	uint64_t size = mailtext_crlf_size(lf) - whole;

	if (lf.n)
		*last = lf.p[lf.n - 1];
	return size;
}

/* Addresses come out of an envelope; a control character would make a header of its own. */
static void
add_clean(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_addc(b, (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i]);
}

void
delivered_to(struct span address, struct buf *head)
{
	buf_adds(head, "Delivered-To: ");
	add_clean(head, address);
	buf_addc(head, '\n');
}

void
delivered_head(struct span sender, struct span address, struct buf *head)
{
	buf_adds(head, "Return-Path: <");	/* RFC 5321 4.4: the last one to handle it adds this */
	add_clean(head, sender);
	buf_adds(head, ">\n");
	delivered_to(address, head);
}

bool
delivered_before(struct span body, struct span address)
{
	struct span rest = span_sub(body, 0, HEADER_MAX), line;

	while (span_cut(&rest, '\n', &line)) {
		line = span_trim_right(line);
		if (line.n == 0)
			return false;
		if (span_starts_nocase(line, "Delivered-To:") && span_eq_nocase(span_trim(span_skip(line, 13)), address))
			return true;
	}
	return false;
}

bool
delivered_before_fd(int fd, uint64_t off, uint64_t len, struct span address, bool *before)
{
	size_t n = len < HEADER_MAX ? (size_t)len : HEADER_MAX;
	struct buf text;
	char *to;
	bool ok = true;

	buf_init(&text, HEADER_MAX);
	to = n > 0 ? buf_room(&text, n) : NULL;
	if (n > 0)
		ok = to && pread_all(fd, to, n, (off_t)off);
	if (ok)
		buf_grew(&text, n);
	*before = ok && delivered_before(buf_span(&text), address);
	buf_fini(&text);
	return ok;
}

void
delivered_from_line(struct span sender, time_t when, struct buf *out)
{
	struct tm tm;
	char date[40];

	buf_adds(out, "From ");
	if (sender.n == 0)
		buf_adds(out, "MAILER-DAEMON");
	for (size_t i = 0; i < sender.n; i++)	/* one word: readers split at blanks */
		buf_addc(out, (unsigned char)sender.p[i] <= ' ' || sender.p[i] == 0x7f ? '_' : sender.p[i]);
	gmtime_r(&when, &tm);
	strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	buf_addf(out, "  %s\n", date);
}
