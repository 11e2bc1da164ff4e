/* keeper_private.h: shared by keeper.c and keeper_watch.c only. */
#ifndef SERVICE_KEEPER_PRIVATE_H
#define SERVICE_KEEPER_PRIVATE_H

#include "service/hibernate.h"

struct place;				/* a directory under watch */
struct sleeper;

struct member {				/* a session that waits for a place; embedded in it */
	struct place *place;		/* NULL: not in use */
	struct sleeper *sleeper;
	struct member *next, **prev;
};

int watch_open(void);			/* the inotify descriptor; -1 with errno */
bool watch_add(struct member *m, struct sleeper *s, int dir) CHECKED;	/* false with errno */
void watch_drop(struct member *m);
/* Reads what has happened: changed(s) once or more for each session concerned. It may drop nothing. */
void watch_read(void (*changed)(struct sleeper *s), void (*all_changed)(void));

#endif
