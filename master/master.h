/*
 * master.h: what the files of master share. Master binds, spawns, reaps and
 * becomes users; it reads root-owned files and small messages of its children,
 * and never a byte of mail.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <sys/socket.h>
#include <sys/types.h>

#include "base/loop.h"
#include "mail/mailboxpath.h"
#include "service/mastercf.h"
#include "service/message.h"
#include "service/params.h"
#include "service/room.h"

#define SERVICE_LISTENERS_MAX SERVICE_ADDRS_MAX

struct listener {
	int fd;
	unsigned role;				/* of those who come in */
	struct sockaddr_storage addr;		/* inet; AF_UNSPEC: a socket of run/ */
	struct watch demand;			/* watched while no child would accept */
};

struct service {
	const struct daemon_kind *kind;
	char *name;
	unsigned min, max;
	char *options[SERVICE_OPTIONS_MAX];
	size_t option_count;
	struct listener listeners[SERVICE_LISTENERS_MAX];
	size_t listener_count;
	int counters_fd;
	unsigned count, idle;			/* children that are not retiring; of those, ready for one more client */
	unsigned failures;			/* deaths in a row soon after the start */
	uint64_t not_before;			/* monotonic ms: back-off */
	struct timer tend_later;
	unsigned unheard;			/* looks in a row at which somebody waited although some are free */
	bool seen;				/* reload: still in master.cf */
	struct service *next;
};

struct child {
	pid_t pid;
	struct service *service;
	int link;
	struct watch watch;
	uint32_t clients;
	bool accepting, retiring, told;		/* told: has sent its first STATUS */
	bool zygote;				/* that gets FORK: not retiring */
	unsigned missed;			/* PINGs since it said something */
	uid_t uid;
	uint64_t started;
	struct child *next;
};

struct owner {
	uid_t uid;
	gid_t gid;
	char home[512];			/* of a user of the system, else "" */
	char mailbox[MAILBOXPATH_MAX + 1];	/* of a virtual user who has a uid of his own, else "" */
};

/* What a process is started for. */
struct task {
	int sock;			/* -1: none */
	unsigned sock_role;
	struct span login, quota;
};
#define TASK_NONE (struct task){ .sock = -1, .login = SPAN_NONE, .quota = SPAN_NONE }

/* One reading of the configuration. */
struct config {
	struct conf *conf;
	struct params par;
	struct mastercf services;
	struct maps *sni;			/* tls_server_sni_maps; NULL: not opened yet */
	struct keyfiles {			/* that it names, sorted */
		char **at;
		size_t n, room;
	} sni_files;
	struct maps *users, *uids, *gids;	/* whose virtual mailboxes are (virtual.c); NULL: not opened yet */
	struct buf text;			/* main.cf */
	int memfd;				/* the same, sealed, for children */
};

struct master {
	const char *confdir;
	char *libexec;
	struct config *config;
	struct service *services;
	struct child *children;
	int ready_fd;				/* told once when every service accepts; -1 after that */
	bool stopping;
	bool rootless;
};
extern struct master master;

/* keyfiles.c */
bool keyfiles_have(struct config *c, const char *path);	/* a private key may be in it: for keyd alone */
void keyfiles_free(struct config *c);
/* config.c: NULL and every mistake in err */
struct config *config_load(const char *confdir, struct buf *err);
void config_free(struct config *c);
bool config_names_file(struct config *c, const char *path, unsigned role);	/* may a daemon of this role have it opened? */
bool config_is_list(const struct config *c, const char *path);	/* a file of members, by alias_include_directories */
bool owner_of_daemon(const struct config *c, const struct daemon_kind *kind, struct owner *o);
bool owner_of_user(const char *name, struct owner *o);		/* /etc/passwd; never uid 0 */

bool owner_is_ours(const struct config *c, const struct owner *o);	/* the uid of one of our daemons, or virtual_mail_user's */

/* virtual.c */
enum virtual_owner { VIRTUAL_SHARED, VIRTUAL_OWN, VIRTUAL_REFUSED };
/* key: user@domain, @domain. SHARED: virtual_mail_user's, and *o is he. REFUSED: a sentence in why. */
enum virtual_owner owner_of_mailbox(struct config *c, struct span key, struct span mailbox, struct owner *o, struct buf *why);
void virtual_free(struct config *c);

/* services.c, sockets.c */
bool services_apply(struct config *c, struct buf *err);		/* bind what is new; on failure nothing has changed */
void services_tend(void);
void services_look(void);			/* from now on, once a second, for processes that hang */
void service_tend(struct service *s);		/* keep `min` children; watch for demand when none is free */
void services_close(void);			/* all listeners, at the end */
struct service *service_find(const char *kind);

struct plan {
	int *fds;				/* rows x SERVICE_ADDRS_MAX; -1: skipped */
	bool *fresh;
	size_t rows;
};
bool plan_make(struct plan *p, const struct config *c, struct buf *err);	/* false: fresh sockets are closed again */
bool plan_uses(const struct plan *p, int fd);
void plan_free(struct plan *p);
bool trust_bind(void (*add)(struct service *s, int fd, unsigned role), struct buf *err);
int bind_run_socket(const char *class, const char *server, mode_t mode, struct buf *err);

/* child.c */
struct child *child_start(struct service *s, const struct owner *o, const struct task *t);
void children_reap(void);
void children_look(void);			/* once a second: a server that hangs is killed, and started anew by its death */
void children_tell(enum msg_kind kind, const void *m, bool stays);	/* every child that stays, or that does not */
bool children_starting(void);		/* is there one of a service that must be there which has not said a word? Not who hangs */
void children_signal(int sig);
struct child *child_zygote(struct service *s);

/* exec.c */
struct launch {
	const char *path;
	char *const *argv;
	const int *fds;				/* become 0, 1, 2, 3, ... */
	size_t fd_count;
	bool become;				/* take uid, gid and keep CAP_SYS_CHROOT for the one chroot */
	uid_t uid;
	gid_t gid;
	const struct room *room;		/* is made before; NULL: none */
};
pid_t launch(const struct launch *l);		/* -1 with errno */
void keep_five_capabilities(void);

/* request.c */
void request_take(struct child *c, struct msg *m);

/* control.c */
bool control_start(struct buf *err);
void ready_check(void);				/* tell whoever waits for the start */
void ready_failed(const char *why);

/* main.c */
bool master_reload(struct buf *err);
void master_stop(void);

#endif
