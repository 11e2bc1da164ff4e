/*
 * milters.h: the grammar of smtpd_milters: inet:host:port, unix:name (a socket in run_directory/smtpd), or
 * { inet:host:port, connect_timeout=10s, default_action=accept } with what differs from milter_*. Root-owned text.
 */
#ifndef SERVICE_MILTERS_H
#define SERVICE_MILTERS_H

#include "service/restrict.h"

#define MILTERS_MAX 16

enum milter_action { MILTER_ACCEPT, MILTER_REJECT, MILTER_TEMPFAIL, MILTER_QUARANTINE, MILTER_SHUTDOWN, MILTER_ACTIONS };

struct milter_spec {
	struct span name;		/* as it stands in main.cf */
	struct restrict_server where;
	uint32_t connect_timeout, command_timeout, content_timeout;	/* seconds; 0: as milter_* says */
	uint32_t protocol;		/* 2 to 6; 0: as milter_protocol says */
	int action;			/* enum milter_action; -1: as milter_default_action says */
};

/* The next milter of a list: 1, 0 at the end, -1 and a sentence in err. Spans point into the list. */
int milters_next(struct span *list, struct milter_spec *m, struct buf *err);

/* Is the list well formed, and no longer than MILTERS_MAX? */
bool milters_check(struct span list, struct buf *err);

int milter_action_of(struct span word);		/* -1: there is no such action */

#endif
