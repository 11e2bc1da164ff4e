/* map_kinds.h: what the kinds of table have in common; for map*.c alone. */
#ifndef BASE_MAP_KINDS_H
#define BASE_MAP_KINDS_H

#include <cdb.h>

#include "base/map.h"

struct map_pair {
	char *key, *value;
};

struct map {
	struct map *next;
	const struct map_kind *kind;
	char *path;			/* file: PATH.cdb */
	struct cdb cdb;
	bool open, stale_told;
	char *fixed;			/* static: the value */
	struct map_pair *pairs;		/* inline */
	size_t npairs;
};

struct map_kind {
	const char *type;
	bool (*open)(struct map *m, struct span arg, struct buf *err);
	enum map_answer (*find)(const struct map *m, struct span key, struct buf *out);	/* key is folded */
};

/* The next item of a list in which braces protect separators: 1, 0 at the end, -1 when braces do not match. */
int map_next_item(struct span *s, const char *seps, struct span *item);

bool map_file_path(struct map *m, struct span arg, struct buf *err);
bool map_file_open(struct map *m, struct span arg, struct buf *err);
enum map_answer map_file_find(const struct map *m, struct span key, struct buf *out);
bool map_file_refresh(struct map *m);
void map_file_close(struct map *m);

bool map_static_open(struct map *m, struct span arg, struct buf *err);
enum map_answer map_static_find(const struct map *m, struct span key, struct buf *out);
bool map_inline_open(struct map *m, struct span arg, struct buf *err);
enum map_answer map_inline_find(const struct map *m, struct span key, struct buf *out);

#endif
