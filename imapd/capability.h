/* capability.h: what an IMAP session announces after login. The front includes it for its answer to a login. */
#ifndef IMAP_CAPABILITY_H
#define IMAP_CAPABILITY_H

#define IMAP_CAPABILITY_SESSION \
	"IMAP4rev1 LITERAL+ ID ENABLE NAMESPACE CHILDREN SPECIAL-USE UIDPLUS MOVE UNSELECT IDLE STATUS=SIZE " \
	"LIST-EXTENDED LIST-STATUS ESEARCH SEARCHRES WITHIN"

#endif
