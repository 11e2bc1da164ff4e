/* foreign.h: parameters of Postfix that Merpati does not have, and what to do with a line that sets one. */
#ifndef SERVICE_FOREIGN_H
#define SERVICE_FOREIGN_H

#include "base/span.h"

/* A half sentence for the complaint; NULL: not one that is often seen. */
const char *foreign_param_advice(struct span name);

#endif
