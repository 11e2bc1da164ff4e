/*
 * map.h: look-up tables, opened before the jail and read inside it.
 *
 *   hash:PATH cdb:PATH   PATH.cdb, built by postmap(1) from the text PATH (cdb, mmapped)
 *   inline:{ {k = v}, {k2 = v2} } or inline:{k=v, k2=v2}
 *   static:VALUE         every key finds VALUE
 *
 * A map file is replaced by rename. map_refresh() sees that the open one is
 * unlinked and gets the new one through the opener (inside a jail: from master).
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

/*
 * `spec` is a comma or blank separated list ("hash:/etc/x, inline:{a=b}").
 * On a mistake: NULL and a sentence in err. An empty spec gives an empty list.
 */
struct maps *maps_open(struct span spec, struct buf *err);
void maps_free(struct maps *m);
bool maps_empty(const struct maps *m);
bool maps_refresh(struct maps *m);		/* cheap: one fstat a file; true when something was reopened */

/* First table that has the key. Keys are folded to lower case. value is appended to out. */
enum map_answer maps_find(struct maps *m, struct span key, struct buf *out);

/*
 * Check a spec without keeping it: false and a sentence in err. Each file a
 * spec names is reported to on_file (may be NULL): the map file itself.
 */
bool maps_check(struct span spec, void (*on_file)(void *ctx, const char *path), void *ctx, struct buf *err);

/*
 * Build PATH.cdb from text lines "key value" (continued by leading blank, '#'
 * comments), replaced by rename. False and "file:line: sentence" in err.
 */
bool map_build(const char *text_path, const char *cdb_path, unsigned mode, struct buf *err) CHECKED;

/* Walk a text map: f returns false to stop. */
bool map_text_each(struct span text, bool (*f)(void *ctx, unsigned line, struct span key, struct span value), void *ctx);

#endif
