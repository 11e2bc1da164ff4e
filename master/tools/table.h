/*
 * table.h: a compiled table of a parameter, changed by command: text and table are replaced as a whole, under the
 * lock of the directory of main.cf, so that two commands at once do not lose each other's change. Comments and the
 * order of lines stay. Every function exits with a sentence when it cannot do its work; then nothing is changed.
 */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include "base/buf.h"

#define TABLE_TEXT_MAX (256u << 20)

struct table_file {
	char *text_path, *cdb_path;
	int lock;
	struct buf text;
};

/* The first compiled table of `spec`, which is the value of the parameter `name`. `change`: takes the lock. */
void table_open(struct table_file *t, const char *confdir, const char *name, const char *spec, bool change);
void table_save(struct table_file *t, struct span text);
void table_close(struct table_file *t);

/* Appends the text without the entry of this key, continuation lines included; was it there? */
bool table_without(struct span text, struct span key, struct buf *out);
/* Appends the value of a key; false: no such entry. */
bool table_value(struct span text, struct span key, struct buf *out);

/* ADDRESS as an operator types it: checked, canonical, in lower case. catch_all: "@domain" will do. */
void table_address(const char *arg, bool catch_all, struct buf *out);
/* The same, false and a sentence instead of an exit. */
bool table_take_address(struct span in, bool catch_all, struct buf *out, struct buf *err) CHECKED;
/* DOMAIN the same way. */
void table_domain(const char *arg, struct buf *out);

/* The text of FILE, or of standard input for "-". */
void table_read_input(const char *file, struct buf *out);

/* The lock of the directory of main.cf; closing it gives it back. Removes what commands that were killed have left. */
int table_lock(const char *confdir);

#endif
