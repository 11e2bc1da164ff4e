/*
 * map.h: look-up tables, opened before the jail and read inside it.
 *
 *   hash:PATH btree:PATH cdb:PATH   PATH.cdb, built by postmap(1) from the text PATH (cdb)
 *   texthash:PATH        the text itself, read when the table is opened
 *   cidr:PATH            networks and values, the first that holds the address wins
 *   regexp:PATH pcre:PATH  expressions and values, the first that matches wins
 *   inline:{ {k = v}, {k2 = v2} } or inline:{k=v, k2=v2}
 *   static:VALUE         every key finds VALUE
 *   unionmap:{A, B}      what is found in each, joined by commas
 *   pipemap:{A, B}       what is found in A is the key for B
 *
 * A file is replaced by rename. maps_refresh() sees by its times that something was done to the open one
 * (also when that has another link), and gets the one that is there now through the opener (inside a jail: from master);
 * when that has mistakes, the old table stays. A compiled one of more than 256 KB
 * that was overwritten where it lies answers MAP_FAILED until it is whole again. cidr, regexp and pcre are
 * pattern tables: see maps_find_part().
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/buf.h"

struct map;			/* one table */
struct maps;			/* a list of tables, asked in order */

enum map_answer { MAP_FOUND, MAP_NONE, MAP_FAILED };	/* FAILED: the answer is not known: 451, never "no" */

/* How a map file is opened: returns an fd or -1 with errno. Default: open(2). */
typedef int map_opener(const char *path);
void map_set_opener(map_opener *f);
int map_open_file(const char *path);		/* by the opener; the caller closes */

/*
 * `spec` is a comma or blank separated list ("hash:/etc/x, inline:{a=b}").
 * On a mistake: NULL and a sentence in err. An empty spec gives an empty list.
 */
struct maps *maps_open(struct span spec, struct buf *err);
void maps_free(struct maps *m);
bool maps_empty(const struct maps *m);
bool maps_refresh(struct maps *m);		/* cheap: one fstat a file; true when something was reopened */

/*
 * First table that has the key. Keys are folded to lower case, but not for
 * regular expressions, which have a flag for that. value is appended to out.
 */
enum map_answer maps_find(struct maps *m, struct span key, struct buf *out);
/* The same for a part of an address (a domain, a user, a network): pattern tables know whole ones only. */
enum map_answer maps_find_part(struct maps *m, struct span key, struct buf *out);

/* Every entry; f returns false to stop. MAP_FAILED when a table is damaged, MAP_NONE when one cannot be listed. */
typedef bool map_entry(void *ctx, struct span key, struct span value);
enum map_answer maps_each(struct maps *m, map_entry *f, void *ctx);

/*
 * What each table has answered, for those who explain it: f is called for every table that is asked. label: what
 * maps_label() has set, "" if nothing; path: the file that is open, NULL: none; line: in the text, 0: not known.
 */
struct map_look {
	const char *label, *type, *path;
	unsigned line;
	enum map_answer answer;
	struct span key, value;
};
void map_trace(void (*f)(void *ctx, const struct map_look *look), void *ctx);
void maps_label(struct maps *m, const char *label);	/* borrowed for good */

/* Every value and where it stands, as far as it does: file may be NULL, line 0, key empty (of a pattern). */
typedef void map_value(void *ctx, const char *file, unsigned line, struct span key, struct span value);
void maps_each_value(struct maps *m, map_value *f, void *ctx);

/*
 * Regular expressions come from a library that only some programs have
 * (lib/regex); without it regexp: and pcre: can be checked but not opened.
 */
#define REGEX_GROUPS 10			/* $0 to $9 */
enum { REGEX_CASE = 1, REGEX_MULTILINE = 2, REGEX_DOT_NO_NEWLINE = 4, REGEX_EXTENDED = 8, REGEX_ANCHORED = 16,
	REGEX_DOLLAR_END = 32, REGEX_UNGREEDY = 64, REGEX_BASIC = 128, REGEX_POSIX = 256 };
struct regex_ops {
	void *(*compile)(struct span pattern, unsigned flags, unsigned *groups, struct buf *err);	/* NULL: a mistake */
	int (*match)(const void *re, struct span key, struct span group[REGEX_GROUPS]);	/* 1, 0; -1: the effort has a limit */
	void (*free)(void *re);
};
extern const struct regex_ops *map_regex;	/* NULL: none */

/*
 * Check a spec without keeping it: false and a sentence in err. Each file a
 * spec names is reported to on_file (may be NULL): the map file itself.
 */
bool maps_check(struct span spec, void (*on_file)(void *ctx, const char *path), void *ctx, struct buf *err);

/*
 * Text of a table: logical lines, continued by lines that begin with a blank;
 * empty lines and lines that begin with '#' are skipped.
 *   MAP_TEXT_PLAIN    key value
 *   MAP_TEXT_ALIASES  name: value    (the name may be quoted)
 *   MAP_TEXT_LINES    the whole line is both
 * f returns false to stop. A mistake comes as an empty key (nothing to
 * continue, or no name) or an empty value. False when f stopped the walk.
 */
enum map_syntax { MAP_TEXT_PLAIN, MAP_TEXT_ALIASES, MAP_TEXT_LINES };
bool map_text_each(struct span text, enum map_syntax syntax,
    bool (*f)(void *ctx, unsigned line, struct span key, struct span value), void *ctx);

/*
 * Build cdb_path from the text, replaced by rename and fsynced. False on any
 * mistake, and "file:line: sentence" lines in err; the old table then stays.
 * True with err not empty: warnings (a key given twice: the first is kept).
 */
bool map_build(const char *text_path, const char *cdb_path, enum map_syntax syntax, unsigned mode, struct buf *err) CHECKED;

/* A table built entry by entry, in memory until it is written. */
struct map_maker;
enum map_added { MAP_ADDED, MAP_TWICE, MAP_TOO_LONG };
struct map_maker *map_maker_new(void);
void map_maker_free(struct map_maker *m);
enum map_added map_maker_add(struct map_maker *m, struct span key, struct span value);	/* keys are folded */
bool map_maker_write(struct map_maker *m, const char *cdb_path, unsigned mode) CHECKED;	/* once; false with errno */

/* Is this item of a list a table ("hash:PATH"), and not a name or a literal ("[IPv6:::1]")? */
static inline bool
map_is_table(struct span item)
{
	return item.n > 0 && item.p[0] != '[' && span_find(item, ':') > 0;
}

/* The next item of a list in which braces protect separators: 1, 0 at the end, -1 when braces do not match. */
int map_next_item(struct span *s, const char *seps, struct span *item);

/* Keys longer than this are in no table but a pattern table; values and text files have bounds too. */
#define MAP_KEY_MAX 1000
#define MAP_VALUE_MAX (1u << 20)
#define MAP_TEXT_MAX (1u << 30)
#define MAP_SOURCE_MAX (64u << 20)	/* of a text that is read when the table is opened */

#endif
