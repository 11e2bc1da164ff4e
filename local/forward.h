/*
 * forward.h: the .forward of a system user, read as that user inside his home directory. What is unsafe (a link, another
 * owner, writable by others, no text) is not used, and the log says so: the mail then stays in his mailbox.
 */
#ifndef LOCAL_FORWARD_H
#define LOCAL_FORWARD_H

#include "base/buf.h"

#define FORWARD_MAX 100			/* addresses that one file may name */
#define FORWARD_TEXT_MAX 6000		/* bytes of all of them: they go back to qmgr in one message */

#define FORWARD_PROGRAMS_MAX 4		/* of one file */

struct forward {
	struct buf addresses;		/* a line each; born by the caller with FORWARD_TEXT_MAX */
	bool keep;			/* a copy for the mailbox too */
	bool may_run;			/* in: programs are allowed (allow_mail_to_commands) */
	struct span programs[FORWARD_PROGRAMS_MAX];	/* as written, mail/command.h; into `text` */
	unsigned program_count;
	struct buf text;		/* what forward_read has read; the caller's fini */
};

enum forward_answer {
	FORWARD_NONE,			/* none, or none that may be used: into the mailbox */
	FORWARD_YES,			/* to the addresses and programs, at least one */
	FORWARD_LATER,			/* the file could not be read: errno */
};

/* path: forward_path, "$home/NAME" items with $user and $extension; the first file that is there counts. id: for the log. */
enum forward_answer forward_read(const char *path, struct span user, struct span extension, const char *id, struct forward *f);

/* The words of a file. False and a sentence in why: none of it is used. */
bool forward_parse(struct span text, struct span user, struct forward *f, struct buf *why);

#endif
