/* transfer.c: transfer encodings in pieces. Bodies are strangers'. */
#include "transfer.h"

#include "base/banned.h"

static const struct {
	const char *name;
	enum transfer encoding;
} names[] = {
	{ "", TRANSFER_NONE }, { "7bit", TRANSFER_NONE }, { "8bit", TRANSFER_NONE }, { "binary", TRANSFER_NONE },
	{ "base64", TRANSFER_BASE64 }, { "quoted-printable", TRANSFER_QUOTED },
};

enum transfer
transfer_by_name(struct span name)
{
	name = span_trim(name);
	for (size_t i = 0; i < NELEMS(names); i++)
		if (span_is_nocase(name, names[i].name))
			return names[i].encoding;
	return TRANSFER_UNKNOWN;
}

void
transfer_begin(struct transfer_state *st, enum transfer encoding, bool wire)
{
	*st = (struct transfer_state){ .encoding = encoding, .wire = wire };
	buf_init(&st->lines, 2 * TRANSFER_WINDOW);
}

void
transfer_end(struct transfer_state *st)
{
	buf_fini(&st->lines);
}

/* The next bytes of the body; "=XX" is not cut. */
static struct span
take_window(struct span *body, enum transfer encoding)
{
	size_t n = body->n < TRANSFER_WINDOW ? body->n : TRANSFER_WINDOW;
	struct span window;

	for (size_t k = 2; k > 0 && encoding == TRANSFER_QUOTED && n < body->n; k--)
		if (body->p[n - k] == '=') {
			n -= k;
			break;
		}
	window = span_sub(*body, 0, n);
	*body = span_skip(*body, n);
	return window;
}

/* A CR before each LF that has none */
static struct span
with_crlf(struct transfer_state *st, struct span in)
{
	buf_reset(&st->lines);
	while (in.n) {
		ssize_t lf = span_find(in, '\n');
		size_t n = lf < 0 ? in.n : (size_t)lf;

		buf_addspan(&st->lines, span_sub(in, 0, n));
		if (n)
			st->last = in.p[n - 1];
		if (lf >= 0) {
			buf_adds(&st->lines, st->last == '\r' ? "\n" : "\r\n");
			st->last = '\n';
		}
		in = span_skip(in, n + (lf >= 0));
	}
	return buf_span(&st->lines);
}

bool
transfer_next(struct transfer_state *st, struct span *body, struct buf *out)
{
	struct span window;

	if (body->n == 0)
		return false;
	window = take_window(body, st->encoding);
	if (st->wire && st->encoding != TRANSFER_BASE64)
		window = with_crlf(st, window);
	if (st->encoding == TRANSFER_BASE64)
		decode_base64_more(out, window, &st->base64);
	else if (st->encoding == TRANSFER_QUOTED)
		decode_quoted_printable(out, window, false);
	else
		buf_addspan(out, window);
	return true;
}
