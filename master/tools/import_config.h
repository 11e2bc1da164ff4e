/* import_config.h: what becomes of each line of a Postfix configuration. Private to import_config*.c. */
#ifndef TOOLS_IMPORT_CONFIG_H
#define TOOLS_IMPORT_CONFIG_H

#include "base/buf.h"

enum verdict { VERDICT_HONOURED, VERDICT_TRANSLATED, VERDICT_IGNORED, VERDICT_LOST, VERDICTS };

struct import_line {
	const char *file;		/* main.cf, master.cf */
	unsigned line;
	char *name, *value;		/* as they stand there; master.cf: "SERVICE/TYPE" and the command, or "SERVICE/TYPE -o NAME" */
	enum verdict verdict;
	char *out_name, *out_value;	/* our line of main.cf; NULL: none */
	char *why;			/* half a sentence; NULL: nothing to say */
};

struct import_config {
	const char *dir;
	const char *master;		/* the text of master.cf */
	struct import_line *v;
	size_t n, cap;
};

/* Copies the spans. */
struct import_line *import_add(struct import_config *ic, const char *file, unsigned line, struct span name, struct span value);
void import_verdict(struct import_line *l, enum verdict v, const char *why);

/* Our line of main.cf. */
void import_out(struct import_line *l, const char *name, struct span value);

/* Parameters with a way of their own: verdict, and perhaps our line, of the name arg. False: as any other. */
bool import_mail_user(struct import_line *l, const char *arg);
bool import_mailboxes(struct import_line *l, const char *arg);
bool import_transport(struct import_line *l, const char *arg);
/* virtual_gid_maps. uids: what virtual_uid_maps are, or NULL */
bool import_mail_group(struct import_line *l, const char *uids);

/* One parameter, wherever it is set: verdict, and our name and value. Whether the value is right is not looked at. */
void import_param(struct import_config *ic, struct import_line *l);
/* Does a value of main.cf, or master.cf, have this text? */
bool import_says(const struct import_config *ic, const char *word);
/* Does main.cf, a table of transports, or an option of master.cf name this transport? */
bool import_names_transport(const struct import_config *ic, struct span name);
/* The same for the lines of master.cf. */
void import_master(struct import_config *ic, struct span text);

#endif
