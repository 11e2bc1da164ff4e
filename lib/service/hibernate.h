/*
 * hibernate.h: a session that has nothing to do gives its state to the keeper (service/keeper.h) and ends; the zygote
 * forks it anew when there is something to do. Its bytes go on through the same pair of sockets, so the front, which has
 * the other end, notices nothing and is told nothing.
 *
 * Whose session it is must not be for the session to say. The zygote seals it before the session has read a byte: a keyed
 * hash over the identity and over the cookie by which the kernel knows that one socket. The key never is in a process
 * that reads a client's bytes. A state comes back to the same mailbox and the same connection, or not at all.
 */
#ifndef SERVICE_HIBERNATE_H
#define SERVICE_HIBERNATE_H

#include "base/span.h"

#define HIBERNATE_STATE_MAX 4096	/* bytes of one session's state */
#define HIBERNATE_PLACES 64		/* directories that one session may have watched */

struct identity {
	struct span mailbox, login, quota;
};

/* ---- in the zygote ---- */
void hibernate_open(void);		/* makes the key */
uint64_t hibernate_seal(int sock, const struct identity *who);	/* 0: this is not a socket */
bool hibernate_sealed(int sock, const struct identity *who, uint64_t seal);	/* is this the seal of them? */

/*
 * In the child that becomes a session, before it reads a byte: the key is gone after it. ask: the socket to the keeper, -1:
 * none. who and state are borrowed until the first prepare(); said: bytes that went to the client while it was away.
 */
void hibernate_become(int ask, const struct identity *who, uint64_t seal, struct span state, uint64_t said);

/* ---- in a session ---- */
struct hibernator {
	/*
	 * Every change in these directories (open for reading; they stay the caller's) is noticed from now on. Waits
	 * some seconds at most. False: stay awake; the cause is logged when it is worth it.
	 */
	bool (*prepare)(const int *dirs, size_t n);
	/*
	 * The state and the socket go to the keeper. True: this process must end and touch neither. until: monotonic
	 * ms, 0: never; words: the client gets a line now and then. False: stay awake.
	 */
	bool (*commit)(int sock, struct span state, uint64_t until, bool words);
	void (*cancel)(void);		/* after prepare: not now */
};
const struct hibernator *hibernate_offered(void);	/* NULL: it cannot be done here */
struct span hibernate_state(void);	/* of the session that was woken; SPAN_NONE: this is a login */
uint64_t hibernate_said(void);

#endif
