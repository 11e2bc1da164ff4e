/* dotscan.c: finds the end of a message in a stranger's bytes, however they are cut. */
#include "dotscan.h"

#include "base/banned.h"

void
dotscan_init(struct dotscan *d)
{
	d->at = DS_LINE_START;
}

/* Lines up to the next dot that begins one, as much as out can take. Most messages have few dots, and many lines. */
static size_t
take_text(struct dotscan *d, struct span in, struct buf *out)
{
	size_t room = out->max - out->len, n = in.n < room ? in.n : room;
	const char *dot = in.p;

	while ((dot = memchr(dot, '.', n - (size_t)(dot - in.p)))) {
		if (dot - in.p >= 2 && dot[-1] == '\n' && dot[-2] == '\r') {
			n = (size_t)(dot - in.p);
			break;
		}
		dot++;
	}
	if (in.p[n - 1] == '\r')
		d->at = DS_CR;
	else if (n >= 2 && in.p[n - 1] == '\n' && in.p[n - 2] == '\r')
		d->at = DS_LINE_START;
	buf_add(out, in.p, n);
	return n;
}

/* One byte at or behind a line start. */
static void
take_byte(struct dotscan *d, char c, struct buf *out)
{
	switch (d->at) {
	case DS_LINE_START:
		if (c == '.') {
			d->at = DS_DOT;		/* withheld: the end, or stuffing */
			return;
		}
		break;
	case DS_DOT:
		if (c == '\r') {
			d->at = DS_DOT_CR;
			return;
		}
		break;
	case DS_DOT_CR:
		if (c == '\n') {
			d->at = DS_END;
			return;
		}
		buf_addc(out, '\r');
		break;
	case DS_CR:
		if (c == '\n') {
			buf_addc(out, c);
			d->at = DS_LINE_START;
			return;
		}
		break;
	case DS_TEXT:
	case DS_END:
		break;
	}
	buf_addc(out, c);
	d->at = c == '\r' ? DS_CR : DS_TEXT;
}

size_t
dotscan_feed(struct dotscan *d, struct span in, struct buf *out)
{
	size_t used = 0;

	while (used < in.n && d->at != DS_END && out->max - out->len >= 2) {
		if (d->at == DS_TEXT) {
			used += take_text(d, span_skip(in, used), out);
		} else {
			take_byte(d, in.p[used], out);
			used++;
		}
	}
	return used;
}
