/*
 * params.h: the parameters of main.cf, one row each in params.def.
 *
 * Parsing is the same in every program: names unknown to the table, bad
 * values, and undefined $names are all collected, each with file, line and a
 * suggestion; nothing is guessed. `par` holds the values of this process.
 */
#ifndef SERVICE_PARAMS_H
#define SERVICE_PARAMS_H

#include "base/buf.h"

/* who sees a row */
enum {
	SCOPE_ALL = 0xffff,
	SCOPE_MASTER = 1 << 0,
	SCOPE_SMTPD = 1 << 1,
	SCOPE_INTAKE = 1 << 2,
	SCOPE_QMGR = 1 << 3,
	SCOPE_SMTP = 1 << 4,
	SCOPE_LOCAL = 1 << 5,
	SCOPE_BOUNCE = 1 << 6,
	SCOPE_IMAP = 1 << 7,
	SCOPE_POP3 = 1 << 8,
	SCOPE_AUTH = 1 << 9,
	SCOPE_KEYD = 1 << 10,
	SCOPE_PIPE = 1 << 11,
};

/*
 * PARAM(type, name, default, min, max, scope, "One sentence.")
 *   STR TEXT       const char *   $name is expanded
 *   LIST           const char *   comma or blank separated words; only those in `min` when it has any; one at least when `max` is some
 *   DOMAINS        const char *   list of domains and type:table
 *   NETS           const char *   list of addresses and networks
 *   MAPS           const char *   list of type:table
 *   RULES          const char *   list of restrictions (restrict.h)
 *   MILTERS        const char *   list of milters (milters.h)
 *   TLS            const char *   versions of TLS (base/tlsrange.h)
 *   FEEDBACK       const char *   by how much a result moves a concurrency (service/feedback.h)
 *   FILE           const char *   must exist when not empty
 *   ENUM           const char *   one of the words in `min` (blank separated)
 *   BOOL           bool           yes, no
 *   INT            uint32_t       min..max
 *   TIME           uint32_t       seconds; suffix s m h d w
 *   SIZE           uint64_t       bytes; suffix K M G
 */
struct params {
#define P_STR(name) const char *name;
#define P_LIST(name) const char *name;
#define P_NETS(name) const char *name;
#define P_DOMAINS(name) const char *name;
#define P_MAPS(name) const char *name;
#define P_RULES(name) const char *name;
#define P_MILTERS(name) const char *name;
#define P_TLS(name) const char *name;
#define P_FEEDBACK(name) const char *name;
#define P_FILE(name) const char *name;
#define P_ENUM(name) const char *name;
#define P_BOOL(name) bool name;
#define P_INT(name) uint32_t name;
#define P_TIME(name) uint32_t name;
#define P_SIZE(name) uint64_t name;
#define PARAM(type, name, dflt, min, max, scope, text) P_##type(name)
/* a name that is none in C */
#define PARAM_AS(type, field, name, dflt, min, max, scope, text) P_##type(field)
#include "service/params.def"
#undef PARAM
#undef PARAM_AS
#undef P_STR
#undef P_LIST
#undef P_NETS
#undef P_DOMAINS
#undef P_MAPS
#undef P_RULES
#undef P_MILTERS
#undef P_TLS
#undef P_FEEDBACK
#undef P_FILE
#undef P_ENUM
#undef P_BOOL
#undef P_INT
#undef P_TIME
#undef P_SIZE
};

extern struct params par;

enum param_type { PT_STR, PT_LIST, PT_NETS, PT_MAPS, PT_RULES, PT_TLS, PT_MILTERS, PT_FILE, PT_ENUM, PT_BOOL, PT_INT, PT_TIME, PT_SIZE, PT_DOMAINS,
	PT_FEEDBACK };

struct param_row {
	const char *name;
	enum param_type type;
	const char *dflt, *min, *max;
	unsigned scope;
	const char *text;
	size_t offset;			/* into struct params */
};

extern const struct param_row param_rows[];
extern const size_t param_count;
const struct param_row *param_find(struct span name);

/* A set of settings read from main.cf and -o options, before they become `par`. */
struct conf;
struct conf *conf_new(const char *confdir);	/* confdir: absolute; $config_directory */
void conf_free(struct conf *c);

/* Errors are appended to `err`, one line each: "main.cf:12: ...". Returns how many; lines with "warning:" do not count. */
int conf_read_text(struct conf *c, const char *file, struct span text, struct buf *err);
int conf_option(struct conf *c, const char *where, struct span name_value, struct buf *err);	/* "name=value" */
int conf_apply(const struct conf *c, struct params *out, struct buf *err);	/* check all, fill *out (strings live until conf_free) */
/*
 * Names that no row has and no $name refers to. `others`: further text that may
 * refer to names (the options of master.cf). Only master and check ask this: a
 * daemon sees just its own options.
 */
int conf_check_names(const struct conf *c, const char *others, struct buf *err);
int conf_check_files(const struct conf *c, struct buf *err);	/* files and maps exist and open; only where the file system is seen */

/* "main.cf:12: " or "master.cf:7 (submission): "; for a default: "default of NAME: " */
void conf_place(const struct conf *c, const char *name, struct buf *out);

/* For postconf: the raw setting (NULL: default), and the expanded value of a name. */
const char *conf_raw(const struct conf *c, const char *name);
bool conf_value(const struct conf *c, const char *name, struct buf *out);
void conf_each_name(const struct conf *c, void (*f)(void *ctx, const char *name), void *ctx);	/* that is set, once, in the order of main.cf */
/* Every file that a setting names (maps, certificates): what master may open for a daemon. */
void conf_each_file(const struct conf *c, void (*f)(void *ctx, const char *path), void *ctx);

/* Word and number syntax shared with master.cf. */
bool param_time(struct span s, uint32_t *out) CHECKED;
bool param_size(struct span s, uint64_t *out) CHECKED;
/* Nearest known name within a small edit distance, or NULL. */
const char *param_suggest(struct span name);

/* The word of the blank separated list that is nearest to `word`, or NULL; it ends at a blank or NUL. */
const char *param_nearest(struct span word, const char *words);

/* Is path, by its text alone, a file below one of these directories? No part of it may begin with a dot. */
bool param_path_below(const char *directories, const char *path);

/* Is `word` in the comma/blank separated list? (case-insensitive) */
bool param_list_has(const char *list, struct span word);

#endif
