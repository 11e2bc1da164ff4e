/* input.c: standard input by lines. */
#include "input.h"

#include <errno.h>
#include <unistd.h>

#include "base/banned.h"

static void
fill(struct input *in)
{
	ssize_t r;

	if (in->at) {
		memmove(in->block, in->block + in->at, in->end - in->at);
		in->end -= in->at;
		in->at = 0;
	}
	do
		r = read(STDIN_FILENO, in->block + in->end, INPUT_BLOCK - in->end);
	while (r < 0 && errno == EINTR);
	in->failed = r < 0;
	in->eof = r <= 0;
	if (r > 0)
		in->end += (size_t)r;
}

bool
input_next(struct input *in, struct piece *p)
{
	size_t looked = 0;
	struct span have;
	ssize_t lf;

	for (;;) {
		have = span_of(in->block + in->at, in->end - in->at);
		lf = span_find(span_skip(have, looked), '\n');
		if (lf >= 0 || in->eof || have.n == INPUT_BLOCK)
			break;
		looked = have.n;
		fill(in);
	}
	if (in->failed || have.n == 0)
		return false;
	p->text = span_sub(have, 0, lf >= 0 ? looked + (size_t)lf : have.n);
	p->starts = !in->mid_line;
	p->ends = lf >= 0;
	in->at += p->text.n + p->ends;
	in->mid_line = !p->ends;
	return true;
}

void
input_end(struct input *in)
{
	in->eof = true;
	in->at = in->end;
}
