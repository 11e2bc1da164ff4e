/* input.h: standard input by lines, whatever their length. */
#ifndef TOOLS_INPUT_H
#define TOOLS_INPUT_H

#include "base/span.h"

#define INPUT_BLOCK 65536

struct input {
	char block[INPUT_BLOCK];
	size_t at, end;
	bool mid_line;			/* the next piece continues a line */
	bool eof, failed;
};

struct piece {
	struct span text;		/* without the line end; borrowed until the next call */
	bool starts, ends;		/* at the start of a line; its LF was there */
};

/* The next line, or a piece of one longer than INPUT_BLOCK; false at the end, or when reading failed (errno). */
bool input_next(struct input *in, struct piece *p);
/* What follows is not wanted. */
void input_end(struct input *in);

#endif
