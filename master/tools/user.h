/*
 * user.h: the table of users in memory while it is being changed. Comments and
 * the order of lines are kept. The file is replaced as a whole, under a lock.
 */
#ifndef TOOLS_USER_H
#define TOOLS_USER_H

#include "mail/users.h"

struct user_line {
	char *text;
	struct user_record rec;		/* spans into text; address empty: a comment */
	bool added;			/* by this command */
};

struct user_table {
	const char *confdir;
	int lock;
	struct user_line *lines;
	size_t n, cap;
	size_t *order, norder;		/* by address, of the lines as they were read */
};

/* Exits with a sentence when the table is damaged or may not be written. `change`: takes the lock. */
void user_table_open(struct user_table *t, const char *confdir, bool change);
/* Replaces conf/users and compiles both tables. Exits when that fails, or when a user who was added would have the mail of another as his. */
void user_table_save(struct user_table *t);
void user_table_close(struct user_table *t);

struct user_line *user_table_find(struct user_table *t, struct span address);
/* Adds the user (his home is what virtual_mailbox_maps say), or gives the present one another verifier. Valid until the next change. */
const struct user_record *user_table_set(struct user_table *t, struct span address, struct span verifier);
/* Gives a present user another record; its spans need not outlive the call. The address stays. */
void user_table_put(struct user_table *t, struct user_line *l, const struct user_record *rec);
/* A user who is not there yet; no look-up finds it before the table is read again. */
const struct user_record *user_table_add(struct user_table *t, const struct user_record *rec);
void user_table_remove(struct user_table *t, struct user_line *l);

/* Checked and canonical; false and a sentence. */
bool user_address(struct span in, struct buf *out, struct buf *err) CHECKED;

/* The first line of an export: what follows are lines of the table, verifiers and all. */
#define USER_EXPORT_HEAD "# merpati users 1"

int user_list(const char *confdir, int argc, char **argv);
int user_show(const char *confdir, int argc, char **argv);
int user_export(const char *confdir, int argc, char **argv);
int user_set(const char *confdir, int argc, char **argv);
/* NAME=VALUE as of user set; *u borrows from argv and room. Exits with a sentence: not one of them, or there is mail of another uid. */
void user_set_fields(struct user_record *u, int argc, char **argv, struct buf *room);

int user_rename(const char *confdir, int argc, char **argv);

/* user import FILE */
int user_import(struct user_table *t, const char *file);

#endif
