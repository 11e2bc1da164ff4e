/* result.h: what the end of a program means for the mail (sysexits.h), and what it may know of the mail. */
#ifndef LOCAL_PIPE_RESULT_H
#define LOCAL_PIPE_RESULT_H

#include "base/arena.h"
#include "mail/outcome.h"
#include "run.h"

/* Its output stands in the text, as far as there is room; "5.1.1 words" or "4.x.x words" in it count as with Postfix. */
struct outcome result_of(const struct run_end *end, const char *program, uint32_t limit_s);

/* Spans of strangers: every letter that is not in `filter` becomes '_', and 1000 bytes are enough of each. */
struct mail_facts {
	struct span sender, recipient, original, local, domain, extension;
	const char *user, *home;
	const char *filter;		/* command_expansion_filter */
};

/* An environment for execve(2), from the arena: PATH, HOME, USER, LOGNAME, SHELL and what local(8) of Postfix gives. */
char **result_environment(const struct mail_facts *f, struct arena *a);

#endif
