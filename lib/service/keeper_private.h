/* keeper_private.h: shared by keeper.c and keeper_watch.c only. */
#ifndef SERVICE_KEEPER_PRIVATE_H
#define SERVICE_KEEPER_PRIVATE_H

#include "service/hibernate.h"

struct place;				/* a directory under watch */
struct sleeper;

struct member {				/* a session that waits for a place */
	struct place *place;
	struct sleeper *sleeper;
	struct member *next, **prev;	/* of this place */
	struct member *more;		/* of this session */
};

int watch_open(void);			/* the inotify descriptor; -1 with errno */
struct member *watch_add(struct sleeper *s, int dir) CHECKED;	/* the caller's, until watch_drop; NULL with errno */
void watch_drop(struct member *m);
/* Reads what has happened: changed(s) once or more for each session concerned. It may drop nothing. */
void watch_read(void (*changed)(struct sleeper *s), void (*all_changed)(void));

#endif
