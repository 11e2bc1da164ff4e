/*
 * checks.h: header_checks, mime_header_checks, nested_header_checks and body_checks: what tables say of one
 * field or line of a message, and what is done about it.
 */
#ifndef INTAKE_CHECKS_H
#define INTAKE_CHECKS_H

#include "intake.h"

enum check_kind { CHECK_HEADER, CHECK_MIME, CHECK_NESTED, CHECK_BODY, CHECKS };

void checks_open(void);					/* before the jail */
void checks_refresh(void);				/* tables replaced meanwhile */
bool checks_wanted(const struct intake *in);		/* there are tables, it is not what this system has made itself, and has not been asked yet */
bool checks_has(enum check_kind kind);

/*
 * The field or line `raw`, with its line end as far as it has one: what shall stand in its place is appended to
 * out. May fail the message (in->failure), mark it discarded, or order something (intake_orders()).
 */
void checks_ask(struct intake *in, enum check_kind kind, struct span raw, struct buf *out);

#endif
