/* postconf.h: what postconf.c (the command, main.cf) and postconf_master.c (master.cf) share. */
#ifndef TOOLS_POSTCONF_H
#define TOOLS_POSTCONF_H

#include "base/buf.h"

#define POSTCONF_TEXT_MAX (1u << 20)

enum postconf_change { CHANGE_NOTHING, CHANGE_SET, CHANGE_REMOVE, CHANGE_COMMENT };

/*
 * what: 'M' whole services ("submission/inet"), 'F' their columns ("submission/inet/chroot"), 'P' their parameters
 * ("submission/inet/smtpd_tls_security_level"). Exits on a mistake; an exit code otherwise.
 */
int postconf_master(const char *confdir, char what, enum postconf_change change, bool fold, int argc, char **argv);

/* DIR/NAME, changed by f, replaced in one step. Exits when it cannot be. */
void postconf_rewrite(const char *confdir, const char *name, void (*f)(void *ctx, struct span text, struct buf *out), void *ctx);

#endif
