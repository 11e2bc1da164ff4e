/* explain.h: what merpati explain has found out, as JSON from the beginning; the text for people is written from that. */
#ifndef TOOLS_EXPLAIN_H
#define TOOLS_EXPLAIN_H

#include <jansson.h>

#include "base/buf.h"
#include "base/map.h"

/* Where the parameter is set: "main.cf:12", "default". */
void explain_place(const char *parameter, struct buf *out);

/*
 * The way to a next hop: {"hosts": [{"host", "preference", "signed", "addresses", "tls"}]} or {"trouble"} is added to
 * `destination`. Asks the DNS: blocks as long as that takes (at most some seconds a question). flags: MAIL_*.
 */
void explain_route(json_t *destination, struct span nexthop, bool lmtp, uint32_t flags);
void explain_route_open(void);

/*
 * The address as intake makes it (canonical_maps and their like): appended to out; where that is another one it is told as
 * `name`, with what counts for class (REWRITE_* of intake's rewrite.h). False: a table fails, and the message is put off.
 */
void explain_rewrite_open(void);
bool explain_rewrite(json_t *root, const char *name, unsigned class, struct span address, struct buf *out);

/* "copies": who gets one by always_bcc, sender_bcc_maps, recipient_bcc_maps, of addresses as intake makes them. False: as above. */
bool explain_copies(json_t *root, struct span sender, struct span recipient);

/* The tables of a parameter, whose look-ups are told under its name; does not return when they cannot be opened. */
struct maps *explain_maps(const char *parameter, const char *spec);

/* A look-up, with file and line as far as they can be found ("place", may be empty), appended to the array. */
void explain_look(void *array, const struct map_look *l);
/* For people: each look-up of the array a line. */
void explain_print_lookups(const char *before, const json_t *array);
void explain_put(const char *before, const char *s, const char *after);		/* s is a stranger's */

/* explain_smtpd.c: of the client; "" and false: nothing is said. helo: its address, as a literal. */
struct explain_client {
	const char *address, *helo, *login, *service;	/* service: NULL: the first one of smtpd */
	bool secure, no_dns;
};
/*
 * "smtpd": every word that is judged, with its tables, and every reply up to RCPT, told by the program itself. Returns the
 * last reply, which lives with root. Exits when smtpd cannot tell.
 */
const char *explain_smtpd(json_t *root, const char *confdir, const struct explain_client *c, struct span sender, struct span rcpt);
void explain_print_smtpd(const json_t *root);

#endif
