/* conf_private.h: shared by conf.c, conf_apply.c and conf_files.c only. */
#ifndef SERVICE_CONF_PRIVATE_H
#define SERVICE_CONF_PRIVATE_H

#include "base/arena.h"
#include "service/params.h"

#define CONF_LINE_MAX (64 * 1024)	/* one logical line, one expanded value */
#define CONF_BYTES_MAX (4 << 20)	/* all settings together */
#define CONF_DEPTH_MAX 20		/* $name in $name in ... */

struct setting {
	const char *name, *value;
	const char *file;
	unsigned line;		/* 0: from -o; file then says where */
};

struct conf {
	struct arena arena;
	const char *dir;
	struct setting *settings;
	size_t count, cap;
};

struct setting *conf_find(const struct conf *c, struct span name);
/* conf_actions.c: mistakes told, "FILE:LINE: " in front; only where regular expressions are at hand. */
int conf_check_rule_tables(const struct conf *c, const char *name, struct span list, const char *classes, struct buf *err);
int conf_check_actions(const struct conf *c, const char *name, struct span spec, struct buf *err);
bool conf_expand(const struct conf *c, struct span in, int depth, struct buf *out, struct buf *why);

#endif
