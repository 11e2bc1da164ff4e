/* wire.c: stored lines (LF) as the client sees them (CRLF). No NUL may be sent in a literal (RFC 9051 4.3). */
#include "message.h"

#include "base/banned.h"

static bool
is_bare(struct span text, const char *lf)
{
	return lf == text.p || lf[-1] != '\r';
}

uint64_t
wire_size(struct span text)
{
	uint64_t size = text.n;
	const char *at = text.p, *end = text.p + text.n;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		size += is_bare(text, at);
		at++;
	}
	return size;
}

struct window {
	struct stream *io;
	uint64_t skip, left;
	bool has_nul;
};

static void
put(struct window *w, const char *p, size_t n)
{
	if (w->skip >= n) {
		w->skip -= n;
		return;
	}
	p += w->skip;
	n -= (size_t)w->skip;
	w->skip = 0;
	if (n > w->left)
		n = (size_t)w->left;
	w->left -= n;
	if (!w->has_nul) {
		stream_put(w->io, p, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		stream_putc(w->io, p[i] ? p[i] : '?');
}

uint64_t
wire_put(struct stream *io, struct span text, uint64_t from, uint64_t count)
{
	struct window w = { io, from, count, text.n && memchr(text.p, '\0', text.n) };
	const char *at = text.p, *end = text.p + text.n;

	while (at < end && w.left) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		put(&w, at, (size_t)((lf ? lf : end) - at));
		if (!lf)
			break;
		if (is_bare(text, lf))
			put(&w, "\r\n", 2);
		else
			put(&w, "\n", 1);
		at = lf + 1;
	}
	return w.left;
}
