/* map_kinds.h: what the kinds of table have in common; for map*.c alone. */
#ifndef BASE_MAP_KINDS_H
#define BASE_MAP_KINDS_H

#include <cdb.h>
#include <sys/stat.h>

#include "base/map.h"

#define MAP_DEPTH_MAX 2			/* unionmap in pipemap in unionmap */

struct map_pair {
	char *key, *value;
	unsigned line;			/* texthash */
};

struct map_rules;

extern unsigned map_line;			/* where the last table that knows its lines has found something */

struct map {
	struct map *next;
	const struct map_kind *kind;
	char *path;			/* of the file: PATH.cdb, or the text itself */
	struct map_table *table;	/* a compiled one; NULL: none is open */
	bool stale_told;
	struct timespec written;	/* of the file that is open, */
	off_t size;			/* and how long it was: one that is changed in its place is no longer used */
	struct timespec changed;	/* its ctime, which a link or rename changes, also one that replaces it; 0: too young to be trusted */
	nlink_t links;
	bool pattern;
	int watch;			/* texts: the file that was read; -1: none */
	char *fixed;			/* static: the value */
	struct map_pair *pairs;		/* inline; texthash, sorted */
	size_t npairs;
	struct map_rules *rules;	/* cidr, regexp, pcre */
	struct maps *inner;		/* unionmap, pipemap */
	unsigned depth;			/* in how many of those it lies */
};

struct map_key {
	struct span raw;		/* as it was asked for */
	struct span folded;		/* in lower case; empty when it is longer than MAP_KEY_MAX */
};

struct map_kind {
	const char *type;
	bool (*path)(struct map *m, struct span arg, struct buf *err);	/* sets m->path; NULL: no file */
	bool (*open)(struct map *m, struct span arg, struct buf *err);
	enum map_answer (*find)(const struct map *m, struct map_key key, struct buf *out);
	bool (*refresh)(struct map *m);		/* NULL: never stale. True: reopened */
	bool pattern;				/* asked for whole keys of any length only */
	bool any_length;			/* finds in keys longer than MAP_KEY_MAX */
	bool (*each)(const struct map *m, map_entry *f, void *ctx);	/* NULL: cannot be listed */
};

bool map_strip_braces(struct span *s);		/* "{text}" to "text"; false: no braces, unchanged */
struct maps *maps_open_inside(struct span spec, unsigned depth, struct buf *err);
bool maps_check_inside(struct span spec, unsigned depth, void (*on_file)(void *ctx, const char *path), void *ctx,
    struct buf *err);
struct map *maps_first(struct maps *m);

/* map_file.c */
bool map_file_path(struct map *m, struct span arg, struct buf *err);
bool map_file_open(struct map *m, struct span arg, struct buf *err);
enum map_answer map_file_find(const struct map *m, struct map_key key, struct buf *out);
bool map_file_refresh(struct map *m);
bool map_file_each(const struct map *m, map_entry *f, void *ctx);
void map_file_close(struct map *m);
void map_file_note(struct map *m, const struct stat *st);	/* this is what is open */
/* Has another file taken the place of the one that is open? One fstat, unless something was done to it. */
bool map_file_replaced(struct map *m, int fd);
/* map_table.c: fd is its own from then on; NULL with errno. The file is sound when it is opened, and may be overwritten at any time. */
struct map_table *map_table_new(int fd, uint64_t size);
void map_table_free(struct map_table *t);	/* NULL is fine */
bool map_table_kept(const struct map_table *t);		/* in memory: nothing done to the file changes an answer */
int map_table_fd(const struct map_table *t);
enum map_answer map_table_find(const struct map_table *t, struct span key, struct buf *out);
bool map_table_each(const struct map_table *t, map_entry *f, void *ctx);	/* false: damaged */
/* map_sound.c: is the file a whole cdb? */
bool map_file_sound(int fd, unsigned size);

/* map_inline.c */
bool map_static_open(struct map *m, struct span arg, struct buf *err);
enum map_answer map_static_find(const struct map *m, struct map_key key, struct buf *out);
bool map_inline_open(struct map *m, struct span arg, struct buf *err);
enum map_answer map_inline_find(const struct map *m, struct map_key key, struct buf *out);
bool map_pairs_each(const struct map *m, map_entry *f, void *ctx);
void map_pairs_free(struct map_pair *pairs, size_t n);

/* map_source.c: tables whose text is read when they are opened */
bool map_source_path(struct map *m, struct span arg, struct buf *err);
bool map_source_open(struct map *m, struct span arg, struct buf *err);
bool map_source_refresh(struct map *m);
enum map_answer map_texthash_find(const struct map *m, struct map_key key, struct buf *out);

/* map_rules.c: cidr, regexp, pcre */
enum map_rule_type { MAP_CIDR, MAP_REGEXP, MAP_PCRE };
struct map_rules *map_rules_parse(enum map_rule_type type, const char *file, struct span text, struct buf *err);
void map_rules_free(struct map_rules *r);
void map_rules_values(const struct map *m, map_value *f, void *ctx);
enum map_answer map_rules_find(const struct map *m, struct map_key key, struct buf *out);

/* map_many.c */
bool map_many_open(struct map *m, struct span arg, struct buf *err);
bool map_many_refresh(struct map *m);
enum map_answer map_union_find(const struct map *m, struct map_key key, struct buf *out);
enum map_answer map_pipe_find(const struct map *m, struct map_key key, struct buf *out);

#endif
