/*
 * compile.h: the texts of conf/ made into tables: aliases, users, the users of
 * the system. Sentences of mistakes and warnings are appended to err, one a line.
 */
#ifndef TOOLS_COMPILE_H
#define TOOLS_COMPILE_H

#include "base/buf.h"

/* conf/users to users.cdb (anyone) and secrets.cdb (root alone). False: the old ones stay. */
bool compile_users(const char *confdir, struct buf *err);
/* The same from text that is not written yet. `file` is for sentences. */
bool compile_users_text(const char *confdir, const char *file, struct span text, struct buf *err);
/* Check alone: how many mistakes. */
int compile_check_users(const char *file, struct span text, struct buf *err);

const char *compile_users_cdb(void);	/* its path; static */

/* conf/quota, the limits of mailboxes, to quota.cdb when that is older or missing; no text is an empty table. */
bool compile_quota(struct buf *err);
/* The same from a text that is not written yet. */
bool compile_quota_text(const char *file, struct span text, struct buf *err);
int compile_check_quota(const char *file, struct span text, struct buf *err);	/* check alone: how many mistakes */
const char *compile_quota_file(void);	/* its path, beside users_file; static */

/* getpwent(3) to system-users.cdb: root and everybody with a uid that people have. */
bool compile_system_users(const char *confdir, struct buf *err);

/* Every alias file that alias_maps names. `stale`: only those whose table is older or missing. */
/* lists.cdb from the files of lists_directory. */
#define COMPILE_LIST_OWNER "# owner:"
bool compile_lists(const char *confdir, struct buf *err) CHECKED;
/* The lists by name, in order. */
void compile_each_list(void (*f)(void *ctx, const char *name), void *ctx);

/* The text of a look-up table that a command keeps: "key value". Makes TEXT.cdb. */
bool compile_plain(const char *text, struct buf *err) CHECKED;
bool compile_aliases(bool stale, struct buf *err);

/* Is path.cdb missing or older than path? */
bool compile_is_stale(const char *text, const char *cdb);

#endif
