/*
 * milter_wire.h: the milter protocol on the wire (version 2 to 6 as libmilter speaks it): a packet is u32 length,
 * one letter, and data; numbers are big endian, strings end with NUL. What a milter sends is taken to be hostile.
 */
#ifndef SMTPD_MILTER_WIRE_H
#define SMTPD_MILTER_WIRE_H

#include "base/buf.h"
#include "reply.h"

#define MILTER_PACKET_MAX (256u << 10)	/* of a milter; its library sends 64 KiB at most */
#define MILTER_CHUNK 65535		/* bytes of the body in one packet */
#define MILTER_VERSION 6

/* Steps of a dialog: what is sent, in this order. */
enum milter_step {
	MILTER_NEGOTIATE, MILTER_CONNECT, MILTER_HELO, MILTER_MAIL, MILTER_RCPT, MILTER_DATA, MILTER_HEADER, MILTER_EOH, MILTER_BODY,
	MILTER_END, MILTER_STEPS
};

/* What a milter may do to a message; both sides agree on these. */
enum {
	MILTER_ADDHDRS = 1 << 0, MILTER_CHGBODY = 1 << 1, MILTER_ADDRCPT = 1 << 2, MILTER_DELRCPT = 1 << 3, MILTER_CHGHDRS = 1 << 4,
	MILTER_QUARANTINES = 1 << 5, MILTER_CHGFROM = 1 << 6, MILTER_ADDRCPT_PAR = 1 << 7, MILTER_SETSYMLIST = 1 << 8,
};

/* What it does not want to be sent (NO), or to answer (NR). */
enum {
	MILTER_NOCONNECT = 1 << 0, MILTER_NOHELO = 1 << 1, MILTER_NOMAIL = 1 << 2, MILTER_NORCPT = 1 << 3, MILTER_NOBODY = 1 << 4,
	MILTER_NOHDRS = 1 << 5, MILTER_NOEOH = 1 << 6, MILTER_NR_HDR = 1 << 7, MILTER_NOUNKNOWN = 1 << 8, MILTER_NODATA = 1 << 9,
	MILTER_SKIP = 1 << 10, MILTER_RCPT_REJ = 1 << 11, MILTER_NR_CONN = 1 << 12, MILTER_NR_HELO = 1 << 13, MILTER_NR_MAIL = 1 << 14,
	MILTER_NR_RCPT = 1 << 15, MILTER_NR_DATA = 1 << 16, MILTER_NR_UNKN = 1 << 17, MILTER_NR_EOH = 1 << 18, MILTER_NR_BODY = 1 << 19,
	MILTER_LEADSPC = 1 << 20,
};

/* The same of an older version has only some of the bits. */
uint32_t milter_actions_of(uint32_t version);
uint32_t milter_protocol_of(uint32_t version);

enum milter_answer {
	MA_CONTINUE, MA_ACCEPT, MA_REJECT, MA_TEMPFAIL, MA_DISCARD, MA_REPLY, MA_CONN_FAIL, MA_SHUTDOWN, MA_PROGRESS, MA_SKIP,
	MA_OPTIONS,
	/* changes of the message, all before the answer to its end */
	MA_ADD_HEADER, MA_INSERT_HEADER, MA_CHANGE_HEADER, MA_CHANGE_FROM, MA_ADD_RCPT, MA_ADD_RCPT_PAR, MA_DELETE_RCPT, MA_REPLACE_BODY,
	MA_QUARANTINE,
};

/* Spans point into the packet. */
struct milter_reply {
	enum milter_answer kind;
	uint32_t index;			/* of headers; options: the version */
	struct span name, value;	/* strings in their order: a header's, an address and its parameters, a text; or bytes */
	uint32_t actions, protocol;	/* of options; value: lists of macros behind them */
};

enum milter_read { MILTER_MORE, MILTER_OK, MILTER_BAD };

/* The first packet of in, without its length; used: its bytes in all. */
enum milter_read milter_packet(struct span in, struct span *packet, size_t *used);
/* May the milter say this at that step, with these actions agreed on? False: *why is a sentence. */
bool milter_parse(struct span packet, enum milter_step step, uint32_t actions, struct milter_reply *r, const char **why) CHECKED;

/* The next list of macros of options: stage and names. False: at the end, or malformed. */
bool milter_symbols(struct span *rest, uint32_t *stage, struct span *names);

/* The text of MA_REPLY, checked, with one line or several: 4xx or 5xx; 421 ends the session. */
bool milter_reply_text(struct span text, struct reply *r) CHECKED;

/*
 * Appends a field "Name: value" LF. Folded lines must be: a line end without a blank behind it would begin another field. verbatim: the value
 * brings its leading blank itself. False: *why is a sentence.
 */
bool milter_field(const struct milter_reply *r, bool verbatim, struct buf *out, const char **why) CHECKED;

/* ---- what is sent ---- */
size_t milter_begin(struct buf *out, char command);	/* a packet; gives the mark for: */
void milter_finish(struct buf *out, size_t mark);
void milter_add_u32(struct buf *out, uint32_t v);
void milter_add_string(struct buf *out, struct span s);	/* with its NUL; those inside become blanks */

#endif
