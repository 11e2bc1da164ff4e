/* service_private.h: shared by service.c, service_serve.c and service_master.c only. */
#ifndef SERVICE_SERVICE_PRIVATE_H
#define SERVICE_SERVICE_PRIVATE_H

#include "base/loop.h"
#include "service/service.h"

#define MASTER_FD 0
#define CONF_FD 1
#define LISTENERS_MAX 16

struct listener {
	int fd;
	unsigned role;
	struct watch watch;
};

struct service_state {
	const struct service *svc;
	const char *name, *confdir, *home, *login, *mailbox;
	struct listener listeners[LISTENERS_MAX];
	size_t listener_count;
	struct listener accepted;	/* the one client of a process that was started for it; fd -1: none */
	bool explains;			/* -X */
	bool keep;			/* max_idle does not end it */
	bool retiring, stopping;
	bool full;
	uint32_t clients, told_clients;
	bool told_accepting;
	int counters_fd;
	uint32_t processes;		/* -M */
};
extern struct service_state service;

void service_read_params(int fd);		/* main.cf text of fd into `par`; dies on a mistake */
void service_serve(void);			/* until the end */
void service_begin_retiring(bool stop);		/* close listeners; exit when the last client is gone */

void master_link_start(void);			/* EVENT: watch fd 0 */
void master_link_take(void);			/* read what is there, act on it */
void master_link_take_all(void);		/* EVENT: the same, until there is no more, or it is time to end */
void master_tell(void);				/* STATUS, when it has changed */
int master_open_file(const char *path);

#endif
