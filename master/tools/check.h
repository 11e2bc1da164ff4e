/* check.h: every mistake of a configuration in one run. */
#ifndef TOOLS_CHECK_H
#define TOOLS_CHECK_H

#include "base/buf.h"
#include "service/params.h"

struct check {
	const char *confdir;
	struct conf *conf;		/* NULL: there is no main.cf */
	struct buf out;			/* sentences, one a line */
	int errors;
};

void check_init(struct check *c, const char *confdir);
void check_fini(struct check *c);

/* main.cf into `par`. Errors are counted; `par` holds what is right. */
void check_read(struct check *c);
/* Everything else; after check_read. */
void check_all(struct check *c);

/* One more sentence: a mistake, or a warning (not counted). `name`: the parameter whose line it is about, or NULL. */
void check_error(struct check *c, const char *name, const char *fmt, ...) PRINTF(3, 4);
void check_warning(struct check *c, const char *name, const char *fmt, ...) PRINTF(3, 4);

void check_services(struct check *c);	/* master.cf */
void check_tls(struct check *c);	/* key and certificate files */
void check_aliases(struct check *c);	/* loops, targets that are no addresses */
void check_owners(struct check *c);	/* tables of uids and gids */
void check_milters(struct check *c);	/* nobody answers there */
void check_places(struct check *c);	/* directories that the daemons cannot pass through */

/* The sentences to standard error; EX_CONFIG when there was an error, else 0. */
int check_report(struct check *c);

#endif
