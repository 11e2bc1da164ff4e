/*
 * zygote.h: sessions of virtual users: a capability-free process of the
 * virtual-mail uid that forks one child a login. Each child shuts itself into
 * one mailbox by Landlock before it reads a byte of the client.
 *
 * The same program also serves one system user: exec'd by master as that user
 * with -a FD:R_INET, jailed to the home directory.
 */
#ifndef SERVICE_ZYGOTE_H
#define SERVICE_ZYGOTE_H

#include "service/service.h"

struct zygote {
	/*
	 * Serve one login; the working directory is the mailbox directory (below it
	 * `maildir`). The stream is plain bytes, blocking. The process exits when it returns.
	 */
	void (*session)(int fd, struct span login, const char *maildir);
	const char *lost;	/* the last word to a client whose session sleeps and cannot be woken; NULL: sessions do not sleep */
};

/* In service->open, for sessions that sleep (service/hibernate.h). */
void zygote_open(void);

/*
 * service->start: takes over FORK messages of master. svc->sys of the service
 * needs JAIL_FORK | JAIL_LANDLOCK beside what the session needs.
 */
void zygote_start(const struct zygote *z);

/* When service_main() has returned: wakes sessions until the last one that sleeps has ended. */
void zygote_finish(void);

/* service->serve: the exec'd session of a system user. */
void zygote_serve(int fd, unsigned role);

#endif
