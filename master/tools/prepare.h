/* prepare.h: what start and reload do before master reads the configuration. */
#ifndef TOOLS_PREPARE_H
#define TOOLS_PREPARE_H

#include "check.h"

/* main.cf into `par`; stale tables of users and aliases and the users of the system anew. -1: mistakes are in c->out. */
int prepare_tables(struct check *c);

#endif
