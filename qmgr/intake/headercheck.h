/* headercheck.h: header_checks. */
#ifndef INTAKE_HEADERCHECK_H
#define INTAKE_HEADERCHECK_H

#include "intake.h"

void headercheck_open(void);			/* before the jail */
void headercheck_refresh(void);			/* tables replaced meanwhile */
bool headercheck_wanted(const struct intake *in);	/* not for what this system has made itself */

/*
 * The fields of `header` as they shall be, appended to out. May fail the message
 * (in->failure) or mark it discarded.
 */
void headercheck_run(struct intake *in, struct span header, struct buf *out);

#endif
