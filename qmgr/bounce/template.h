/*
 * template.h: the operator's words for reports, from bounce_template_file: Postfix's bounce(5).
 *
 *	failure_template = <<EOF
 *	Charset: us-ascii
 *	From: MAILER-DAEMON (Mail Delivery System)
 *	Subject: Undelivered Mail Returned to Sender
 *	Postmaster-Subject: Postmaster Copy: Undelivered Mail
 *
 *	This is the mail system at host $myhostname.
 *	EOF
 *
 * and delay_template, success_template. $names are those of the table in template.c.
 */
#ifndef BOUNCE_TEMPLATE_H
#define BOUNCE_TEMPLATE_H

#include "base/buf.h"

struct template {
	char *charset, *from, *subject, *postmaster_subject;
	char *text;			/* ends with a line end */
	bool eight_bit;
};

/* Before the jail; "" is no file. False and a sentence with file and line: then there are no templates. */
bool template_load(const char *file, struct buf *err) CHECKED;
/* For a BOUNCE_* of service/message.h; NULL: our own words. */
const struct template *template_of(uint32_t kind);

#endif
