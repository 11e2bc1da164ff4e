/*
 * milter_run.h: what the files of milters share: the links of one session, and the step that they are at.
 *
 *   milter.c          who is asked, and what comes of it
 *   milter_link.c     one link: connect, negotiate, send a step, wait for its answer
 *   milter_macros.c   what goes with a step: {client_addr} and the like
 *   milter_message.c  the message: what is sent of it, what is changed in it
 *   milter_wire.c     packets
 */
#ifndef SMTPD_MILTER_RUN_H
#define SMTPD_MILTER_RUN_H

#include "milter.h"
#include "milter_wire.h"
#include "service/milters.h"
#include "spill.h"

#define MILTER_EDITS_MAX (1u << 20)	/* bytes of changes of one milter */
#define MILTER_EDIT_COUNT 1000
#define MILTER_HEADER_MAX (1u << 20)	/* of a message that is shown to milters */
#define MILTER_PROGRESS_MAX 60		/* times that one answer may be put off */

struct milter_server {
	struct milter_spec spec;
	char *name;
	struct sockaddr_storage sa;
	socklen_t len;
	uint32_t protocol;
	enum milter_action action;
	uint64_t connect_ms, command_ms, content_ms;
};

enum milter_goal { GOAL_NONE, GOAL_MAIL, GOAL_RCPT, GOAL_CONTENT };

struct milter_link {
	struct milters *m;
	const struct milter_server *server;
	int fd;				/* -1: there is none */
	bool connecting;
	struct watch watch;
	struct timer timer;
	uint32_t version, actions, protocol;	/* as agreed */
	char *macros[MILTER_STEPS];	/* that it has asked for; NULL: ours */
	bool agreed, told_client, told_helo, in_message;
	bool passes_client, passes_message;	/* it has accepted them: asked no more */
	bool no_more_body;		/* it has said SKIP */
	bool waits;			/* for an answer to the step */
	unsigned progress;
	struct buf in, out;
	size_t sent;
	struct buf edits;		/* packets, framed as they came */
	unsigned edit_count;
	struct spill_range new_body;
	bool has_new_body, new_body_cr;
};

/* The message: its header in memory, its body in the file. */
struct milter_content {
	int fd;
	uint64_t end;			/* of the file */
	struct buf header;		/* without the blank line */
	struct spill_range body;	/* with the blank line in front, unless it was replaced */
	bool header_changed, body_replaced;
	uint32_t on_top;		/* fields that milters have put above ours, as they count */
	uint64_t header_begins;		/* in the file, as it was */
	size_t header_at;		/* how much has been shown to the milter that is at it */
	uint64_t body_at;
	bool cr;
	bool nobody;			/* all recipients have been taken away */
};

struct milters {
	struct session *s;
	struct milter_link *links;
	size_t n, at;
	enum milter_goal goal;
	enum milter_step step;
	bool running, within;		/* within: the caller is milter_command() */
	bool decided, discards;		/* the others need not be asked: refused with `verdict`, or to be thrown away */
	struct reply held, verdict;	/* held: of the command, when all agree */
	struct buf words;		/* what MAIL or RCPT said: strings */
	struct reply refusal;		/* of the client, for all that follows; code 0: none */
	bool refusal_of_helo;		/* until the next one */
	struct milter_content content;
};

/* milter.c */
void milter_proceed(struct milters *m);
void milter_answered(struct milter_link *l, const struct milter_reply *r);	/* to m->step */
void milter_failed(struct milter_link *l, const char *why);	/* the link is closed; its default action counts */

/* milter_link.c */
bool milter_connect(struct milter_link *l);	/* false: it failed at once, and has been told */
bool milter_send(struct milter_link *l, enum milter_step step);	/* false: there is nothing (more) to send at this step */
bool milter_idle(const struct milter_link *l);	/* nothing is under way in either direction */
void milter_tell(struct milter_link *l, char command);	/* ABORT, QUIT: no answer comes */
void milter_close(struct milter_link *l);
const char *milter_step_name(enum milter_step step);

/* milter_macros.c */
void milter_macros(const struct milter_link *l, enum milter_step step, char command, struct buf *out);

/* milter_message.c */
enum content_status { CONTENT_OK, CONTENT_TOO_LONG, CONTENT_UNREADABLE };
enum content_status content_begin(struct milters *m, int fd, uint64_t at, uint64_t size);	/* takes fd */
void content_rewind(struct milters *m);		/* for the next milter */
bool content_header(struct milter_link *l, struct buf *out);	/* a packet of what is to be sent; false: nothing more */
bool content_body(struct milter_link *l, struct buf *out);
bool content_note(struct milter_link *l, const struct milter_reply *r, struct span packet, const char **why);	/* a change; made when all is said */
bool content_change(struct milter_link *l, const char **why);	/* now. Counts as a whole: false: nothing of it */
void content_forget(struct milter_link *l);
bool content_finish(struct milters *m);		/* to spill_adopt(); false: the disk */
void content_drop(struct milters *m);

#endif
