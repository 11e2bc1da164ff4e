/*
 * mastercf.h: master.cf, the table of services. Postfix's eight columns:
 *
 *   service type private unpriv chroot wakeup maxproc command [-o name=value]...
 *
 *   service  inet: port, host:port, [v6]:port; unix: a name; of smtpd a socket in run/public
 *   private, unpriv, chroot, wakeup: kept for Postfix's shape; "-", "y" (chroot "n" is refused: the
 *            walls are compiled in)
 *   maxproc  MAX, MIN-MAX, or "-"
 *   command  one of the daemons of daemons.def
 */
#ifndef SERVICE_MASTERCF_H
#define SERVICE_MASTERCF_H

#include <sys/socket.h>

#include "base/buf.h"
#include "service/params.h"

struct daemon_kind {
	const char *name;		/* in master.cf and in the log */
	const char *binary;
	const char *user;		/* suffix of mail_owner_prefix; "vmail": virtual_mail_user; "": default_privs */
	unsigned role;
	enum { HOW_INET, HOW_SERVER, HOW_AGENT, HOW_SESSION } how;
	bool stays;			/* one process, reloaded in place */
	bool counters;			/* shared counters for its workers */
	unsigned min, max;		/* default number of processes */
	bool spare;			/* not every configuration has it */
};
extern const struct daemon_kind daemon_kinds[];
extern const size_t daemon_kind_count;
const struct daemon_kind *daemon_find(struct span name);

#define SERVICE_ADDRS_MAX 16
#define SERVICE_OPTIONS_MAX 48

struct service_row {
	char *name;
	const struct daemon_kind *kind;
	unsigned min, max, line;
	char *options[SERVICE_OPTIONS_MAX];	/* "name=value" */
	size_t option_count;
	struct sockaddr_storage addrs[SERVICE_ADDRS_MAX];	/* inet */
	bool optional[SERVICE_ADDRS_MAX];	/* ::1 of loopback-only: a host without IPv6 is no mistake */
	size_t addr_count;
};

struct mastercf {
	struct service_row *rows;
	size_t count;
	struct buf options_text;		/* all values of -o, for conf_check_names */
};

/*
 * Parse the text. `interfaces`: the value of inet_interfaces, `protocols` of
 * inet_protocols. Every mistake is appended to err ("master.cf:7: ..."); returns how many.
 */
int mastercf_parse(struct mastercf *m, struct span text, const char *interfaces, const char *protocols, struct buf *err);
void mastercf_free(struct mastercf *m);
/* A service's own parameters: main.cf and its options; errors name master.cf's line. Returns how many. */
int mastercf_check_params(const struct service_row *row, const char *confdir, struct span main_cf, struct buf *err);
/* "127.0.0.1:25", "[::1]:25" */
void address_text(const struct sockaddr_storage *sa, struct buf *out);

#endif
