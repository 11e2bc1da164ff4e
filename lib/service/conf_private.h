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
bool conf_expand(const struct conf *c, struct span in, int depth, struct buf *out, struct buf *why);

#endif
