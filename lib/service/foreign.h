/* foreign.h: parameters of Postfix that Merpati does not have, and what to do with a line that sets one. */
#ifndef SERVICE_FOREIGN_H
#define SERVICE_FOREIGN_H

#include <stdbool.h>

#include "base/span.h"

/* A half sentence for the complaint; NULL: not one that is often seen. */
const char *foreign_param_advice(struct span name);

/* The same, and whether something is lost without that line. */
const char *foreign_param(struct span name, bool *lost);

#endif
