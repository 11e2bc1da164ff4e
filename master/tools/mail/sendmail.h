/* sendmail.h: the parts of sendmail(1). */
#ifndef TOOLS_SENDMAIL_H
#define TOOLS_SENDMAIL_H

#include "input.h"
#include "submit.h"

#define SENDMAIL_HEADER_MAX (1u << 20)	/* a longer header is refused */

struct sendmail {
	bool rcpts_from_header;		/* -t */
	bool dots;			/* no -i: a line with a dot alone ends the message */
	const char *full_name;		/* -F */
	struct submit submit;
	struct input input;
};

/* The header of standard input, without what must not be sent on; with -t its recipients. False: told already, code is set. */
bool sendmail_header(struct sendmail *sm, int *code);

/* -bs: SMTP on standard input and output. */
int sendmail_smtp(struct sendmail *sm);

/* EX_* for an answer of intake. */
int sendmail_exit_code(const struct submit_result *r);

#endif
