/*
 * run.h: one program, its input, its output, its end. The program may be hostile: it gets no descriptor but its three, no
 * environment but ours, so much time, and when it has ended nothing of what it started is left.
 */
#ifndef LOCAL_PIPE_RUN_H
#define LOCAL_PIPE_RUN_H

#include "base/buf.h"

#define RUN_OUTPUT_MAX 2000		/* what is kept; the rest is read and thrown away */

struct run {
	char *const *argv, *const *env;	/* argv[0]: full path */
	struct span head;		/* its input: this, then a part of a file */
	int message;
	uint64_t body_off, body_len;
	uint32_t limit_s;
};

struct run_end {
	enum { RUN_ENDED, RUN_NOT_STARTED, RUN_TOO_LONG, RUN_STOPPED, RUN_NO_INPUT } how;
	int status;			/* RUN_ENDED: as of waitpid(2) */
	int error;			/* RUN_NOT_STARTED, RUN_NO_INPUT: errno */
	struct buf *output;		/* the caller's, of RUN_OUTPUT_MAX: the first of what it wrote */
};

void run_init(void);			/* once a process: children of children become ours when their parents end */

/* Blocks until the program has ended, for its limit at most; a SIGTERM to us ends it (RUN_STOPPED). */
void run_program(const struct run *r, struct run_end *end);

#endif
