/* capability.h: what an IMAP session announces after login. The front includes it for its answer to a login. */
#ifndef IMAP_CAPABILITY_H
#define IMAP_CAPABILITY_H

#include "base/buf.h"

#define IMAP_CAPABILITY_SESSION \
	"IMAP4rev1 IMAP4rev2 UTF8=ACCEPT LITERAL+ ID ENABLE NAMESPACE CHILDREN SPECIAL-USE CREATE-SPECIAL-USE UIDPLUS MOVE UNSELECT IDLE STATUS=SIZE " \
	"LIST-EXTENDED LIST-STATUS ESEARCH ESORT SEARCHRES WITHIN SORT SORT=DISPLAY THREAD=ORDEREDSUBJECT THREAD=REFERENCES " \
	"APPENDLIMIT MULTIAPPEND CONDSTORE QRESYNC OBJECTID SAVEDATE QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE BINARY PREVIEW REPLACE COMPRESS=DEFLATE INPROGRESS PARTIAL UIDONLY NOTIFY"

/* message_limit: imap_message_limit; 0: none (RFC 9738) */
static inline void
imap_capability_session(struct buf *out, uint32_t message_limit)
{
	buf_adds(out, IMAP_CAPABILITY_SESSION);
	if (message_limit)
		buf_addf(out, " MESSAGELIMIT=%u", message_limit);
}

#endif
