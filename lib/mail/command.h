/*
 * command.h: a target "|/path/program argument ..." of an alias or a .forward as an argument vector. No shell ever sees it:
 * what only a shell could do is refused. The text may be an ordinary user's; linear, bounded.
 */
#ifndef MAIL_COMMAND_H
#define MAIL_COMMAND_H

#include "base/buf.h"

#define COMMAND_TEXT_MAX 1024
#define COMMAND_ARGS_MAX 64

struct command {
	char text[COMMAND_TEXT_MAX];
	char *argv[COMMAND_ARGS_MAX + 1];	/* into text; NULL at the end */
	size_t argc;
};

/* Is the target, as it is written, a program: |..., or "|..." as a whole in quotes? (An address "|x"@domain is none.) */
bool command_is(struct span target);

/*
 * Words are separated by blanks; quotes and backslashes hold them together as in sh(1); the first is a full path. False
 * and a sentence in why: a letter that means something to a shell, a quote without end, too much.
 */
bool command_parse(struct span target, struct command *c, struct buf *why) CHECKED;

#endif
