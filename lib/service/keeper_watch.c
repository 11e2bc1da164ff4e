/* keeper_watch.c: directories and who waits for a change in them. Sessions name one by a descriptor, never by a path. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/buf.h"
#include "service/keeper_private.h"
#include "base/banned.h"

#define BUCKETS 4096
#define EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define READS_MAX 64			/* at a time: who sleeps on is woken the next time */

struct place {
	int wd;
	struct member *members;
	struct place *next;		/* in its bucket */
};

static int instance = -1;
static struct place *buckets[BUCKETS];

int
watch_open(void)
{
	instance = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return instance;
}

static struct place **
find(int wd)
{
	struct place **at = &buckets[(unsigned)wd % BUCKETS];

	while (*at && (*at)->wd != wd)
		at = &(*at)->next;
	return at;
}

/* Only who could open the directory for reading has such a descriptor; O_PATH proves nothing. */
static bool
may_read(int dir)
{
	int flags = fcntl(dir, F_GETFL);

	if (flags >= 0 && !(flags & O_PATH))
		return true;
	errno = EACCES;
	return false;
}

struct member *
watch_add(struct sleeper *s, int dir)
{
	struct place **at;
	struct member *m;
	int wd;

	if (!may_read(dir) || fchdir(dir) < 0)
		return NULL;
	wd = inotify_add_watch(instance, ".", EVENTS);	/* the same number again for a directory that has one */
	if (chdir("/") < 0 || wd < 0)
		return NULL;
	at = find(wd);
	if (!*at) {
		*at = x_new(struct place);
		(*at)->wd = wd;
	}
	m = x_new(struct member);
	*m = (struct member){ .place = *at, .sleeper = s, .next = (*at)->members, .prev = &(*at)->members };
	if (m->next)
		m->next->prev = &m->next;
	m->place->members = m;
	return m;
}

void
watch_drop(struct member *m)
{
	struct place *p = m->place, **at;

	*m->prev = m->next;
	if (m->next)
		m->next->prev = m->prev;
	free(m);
	if (p->members)
		return;
	at = find(p->wd);
	if (*at == p)
		*at = p->next;
	inotify_rm_watch(instance, p->wd);	/* fails when the directory has gone: the kernel has done it */
	free(p);
}

static void
tell(int wd, void (*changed)(struct sleeper *s))
{
	struct place *p = *find(wd);

	for (struct member *m = p ? p->members : NULL; m; m = m->next)
		changed(m->sleeper);
}

void
watch_read(void (*changed)(struct sleeper *s), void (*all_changed)(void))
{
	union { char bytes[16384]; struct inotify_event align; } events;
	ssize_t n;

	for (int i = 0; i < READS_MAX && (n = read(instance, events.bytes, sizeof(events.bytes))) > 0; i++) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(events.bytes + at);

			if (e->mask & IN_Q_OVERFLOW)
				all_changed();
			else if (!(e->mask & IN_IGNORED))
				tell(e->wd, changed);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	}
}
