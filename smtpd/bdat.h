/* bdat.h: the argument of BDAT. */
#ifndef SMTPD_BDAT_H
#define SMTPD_BDAT_H

#include "base/span.h"

/* "SIZE [LAST]", SIZE in decimal digits up to 2^64 - 1. False: neither. */
bool bdat_parse(struct span arg, uint64_t *size, bool *last) CHECKED;

#endif
