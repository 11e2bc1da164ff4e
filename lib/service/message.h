/*
 * message.h: typed messages over SOCK_SEQPACKET links, made from messages.def.
 *
 *	struct msg_NEW m = { .id = span };
 *	msg_send(fd, MSG_NEW, &m);
 *
 *	struct msg in;
 *	switch (msg_recv(fd, R_INTAKE, R_QMGR, &in)) ... in.NEW.id
 *
 * On the wire: u16 kind, then per field u8 tag (its number), u32 length,
 * value; all little endian. A field left out is zero or empty; unknown tags are
 * skipped. A kind that the peer's role may not send, a length past the end, or
 * a wrong type ends the link (MSG_BAD), never the daemon.
 */
#ifndef SERVICE_MESSAGE_H
#define SERVICE_MESSAGE_H

#include "base/buf.h"
#include "base/chan.h"
#include "service/roles.h"

enum msg_kind {
#define MSG(kind, from, to) MSG_##kind,
#include "service/messages.def"
	MSG_KINDS
};

#define SITE_ANY UINT64_MAX	/* DELIVER.site: whatever it is */

#define MSG(kind, from, to) struct msg_##kind { char unused_;
#define END(kind) };
#define U32(name) uint32_t name;
#define U64(name) uint64_t name;
#define STR(name) struct span name;
#define BYTES(name) struct span name;
#define LIST(name) struct span name;
#define FD(name) int name;
#include "service/messages.def"

struct msg {
	enum msg_kind kind;
	union {
#define MSG(kind, from, to) struct msg_##kind kind;
#include "service/messages.def"
	};
};

enum msg_result {
	MSG_OK,
	MSG_AGAIN,		/* nothing there (non-blocking socket) */
	MSG_END,		/* the peer has closed, or the socket is dead */
	MSG_BAD,		/* not a message that this peer may send here: logged; close the link */
};

/*
 * FD fields: set to -1 when there is none (0 is a descriptor!). Descriptors
 * stay the caller's. False with errno as chan_send; EMSGSIZE: too long.
 */
bool msg_send(int fd, enum msg_kind kind, const void *m) CHECKED;

/*
 * Spans in *out are borrowed from one buffer of the process: valid until the
 * next msg_recv. Descriptors in *out belong to the caller. `from`: the role of
 * the peer; `to`: our own.
 */
enum msg_result msg_recv(int fd, unsigned from, unsigned to, struct msg *out);
/*
 * The same for who must know whether a peer has ended before it had read all that was sent to it: MSG_END with
 * errno ECONNRESET, once. The kernel says so before it hands out what that peer had sent, which the next calls give.
 */
enum msg_result msg_recv_or_reset(int fd, unsigned from, unsigned to, struct msg *out);

/* The same without a socket, for tests and fuzzing. */
bool msg_encode(enum msg_kind kind, const void *m, struct buf *out, int fds[CHAN_FDS], int *nfds);
bool msg_decode(struct span wire, const int fds[CHAN_FDS], unsigned from, unsigned to, struct msg *out);

const char *msg_name(enum msg_kind kind);
void msg_close_fds(struct msg *m);		/* closes every descriptor that the message carries */

/* Lists: u32 length + bytes, repeated. */
void msg_list_add(struct buf *list, struct span s);
bool msg_list_next(struct span *list, struct span *s);	/* false: at the end, or malformed (then *list is emptied) */
uint32_t msg_list_count(struct span list);

/* `last` of MAIL and PART */
enum { MAIL_MORE = 0, MAIL_END = 1, MAIL_ABORT = 2 };
/* `kind` of BOUNCE */
enum { BOUNCE_FAILED, BOUNCE_DELAYED, BOUNCE_DELIVERED, BOUNCE_DOUBLE,
	BOUNCE_EXPANDED, BOUNCE_COPY, BOUNCE_COPY_DELAYED };
/* `state` of VERIFIED; later: it is being found out, or cannot be now */
enum verify_state { VERIFY_LATER, VERIFY_OK, VERIFY_DEFERRED, VERIFY_REFUSED, VERIFY_STATES };
/* `action` and `states` of QUEUE_CHANGE */
enum queue_action { QUEUE_HOLD, QUEUE_RELEASE, QUEUE_DELETE, QUEUE_REQUEUE, QUEUE_RETRY, QUEUE_ACTIONS };
enum { QUEUE_IN_ACTIVE = 1, QUEUE_IN_DEFERRED = 2, QUEUE_IN_HOLD = 4, QUEUE_IN_ALL = 7 };

#endif
