/*
 * service.h: the spine of every daemon. main() is one `const struct service`
 * and one call of service_main().
 *
 *   exec as the final uid -> parameters -> open() -> jail -> start() -> serve
 *
 * Descriptors at exec: 0 link to master, 1 main.cf as master read it (a sealed
 * memfd), 2 log; further ones are named on the command line by master:
 *   NAME -n SERVICE -c CONFDIR [-o NAME=VALUE]... [-l FD:ROLE]... [-a FD:ROLE] [-C COUNTERS_FD] [-M PROCESSES]
 *        [-k] [-H HOME] [-m MAILBOX] [-u LOGIN] [-q QUOTA] [-X]
 * -l: a listener and the role (a number) of those who come in on it; -a: an
 * accepted link (the process was SPAWNed for it); -k: kept warm, max_idle does
 * not end it; -H: chroot of ROOT_MAIL instead of virtual_mailbox_base;
 * -m: of a virtual user who has a uid of his own, for which the process was started; -q: the limit of that mailbox;
 * -X: not for master but for merpati explain, whose link is descriptor 0: explain() instead of all that comes after the parameters.
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include <sys/socket.h>

#include "base/buf.h"
#include "base/jail.h"
#include "base/map.h"
#include "service/message.h"
#include "service/params.h"
#include "service/roles.h"

enum service_model {
	SERVICE_BLOCKING,	/* one link at a time, from accept to close, in serve() */
	SERVICE_EVENT,		/* accept() for each link; everything else by the loop */
};

/* Where the daemon's chroot is. */
enum service_root {
	ROOT_RUN,		/* run/<name>: nothing but the sockets of those it may speak to */
	ROOT_QUEUE,		/* queue_directory */
	ROOT_INCOMING,		/* queue_directory/incoming */
	ROOT_MAIL,		/* virtual_mailbox_base, or the home directory of a system user */
	ROOT_PROGRAMS,		/* none: programs of others run here, inside jail_enter_program()'s walls */
};

struct service {
	const char *name;
	unsigned role;			/* our own R_* */
	enum service_model model;
	unsigned scope;			/* which parameters it may see (SCOPE_*) */
	enum service_root root;
	bool write_below;		/* the root may be written */
	unsigned sys;			/* JAIL_* */
	uint16_t tcp_connect[16];
	bool stays;			/* one instance for ever: gets PARAMS on reload instead of RETIRE */

	void (*open)(void);		/* before the jail: maps, libraries, links. May die. */
	void (*start)(void);		/* inside the jail, before the first client */
	void (*serve)(int fd, unsigned role);			/* BLOCKING; fd is closed after it; read the link by service_recv */
	void (*accept)(int fd, unsigned role, const struct sockaddr_storage *peer);	/* EVENT; owns fd; non-blocking for R_INET */
	void (*reloaded)(void);		/* new parameters are in `par` (only when stays) */
	/* EVENT, retiring: does it still work when the last client is gone? It ends when not, or after two seconds. NULL: always. */
	bool (*lingers)(void);
	void (*explain)(int fd);	/* what would be, told to the operator by `fd`; as him, outside of the jail, serving nobody */
	void (*retire)(void);		/* EVENT: told to finish; again when a stop follows (service_stopping); the spine ends it with the last client */
};

int service_main(const struct service *svc, int argc, char **argv);

/* ---- what a daemon may ask of its spine ---- */

/*
 * BLOCKING: the next message of a link. Waits; MSG_END also when the process
 * shall retire or, unless it is kept, has waited max_idle.
 */
enum msg_result service_recv(int fd, unsigned from, unsigned to, struct msg *out);
/* The same for a link whose other end retires by itself: it is served until that ends, or all of the system. */
enum msg_result service_recv_peer(int fd, unsigned from, unsigned to, struct msg *out);

const char *service_name(void);			/* the name in master.cf: "submission", ... (-n) */
int service_connect(const char *server);	/* link to SERVER's socket in our run directory; -1 with errno */
int service_open_file(const char *path);	/* by master: only files that the configuration names; -1 with errno */
int service_open_kept(const char *what);	/* what master keeps over the lives of this daemon, by its name there; -1 with errno */
bool service_spawn(uint32_t token, const char *service, struct span user, struct span mailbox, struct span login, int sock) CHECKED;
						/* the answer comes to service_on_spawned, or use service_spawn_wait */
bool service_spawn_wait(const char *service, struct span user, struct span mailbox, struct span login, struct span quota,
    int sock, struct buf *err) CHECKED;
void service_on_spawned(void (*f)(uint32_t token, uint32_t error, struct span text));
void service_on_who(void (*f)(struct span what, bool kick, int to));	/* service/who.h; f owns `to` */
void service_on_log(void (*f)(void));		/* descriptor 2 is another file now */
void service_on_fork(void (*f)(struct span mailbox, struct span login, int sock));	/* zygotes */
void service_also(int fd, void (*ready)(void));	/* BLOCKING: while waiting, look at this too; -1: no more */
void service_take_quota(struct span quota);	/* what service_quota() gives from now on */

void service_clients(int change);		/* +1, -1: kept as the STATUS that master sees */
void service_full(bool full);			/* EVENT: stop and resume accepting (connection limit) */
void service_retire(void);			/* after max_use, or when asked: finish and exit */
bool service_retiring(void);
bool service_stopping(void);			/* all of the system ends: clients are told, not served to their end */
void service_done(void) NORETURN;		/* exit 0 */
int service_counters_fd(void);			/* -1: none */
uint32_t service_connections(const char *param, uint32_t wanted, uint32_t each);
				/* how many clients of `each` descriptors fit this process; fewer than wanted: a warning names param */
uint32_t service_processes(void);		/* that share the counters with us at most; 1 when there are none */
const char *service_login(void);		/* -u, "" when none: a session's user */
const char *service_mailbox(void);		/* -m, "" when none */
const char *service_quota(void);		/* of the session: mail/quota.h; "" when none */
bool service_has_home(void);			/* -H: the root is a system user's home directory */
const char *service_home(void);			/* -H, "" when none */

/* The expanded value of a parameter that no row describes (a class of restrictions); NULL: not set. The caller frees it. */
char *service_setting(const char *name);

/* Before the jail: maps of a parameter; dies (EX_CONFIG) on a mistake. */
struct maps *service_maps(const char *spec);

/* Debug builds: MERPATI_MISBEHAVE=open|connect|exec|kill makes the daemon try that once inside its jail. */

#endif
