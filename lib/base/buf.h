/*
 * buf.h: growable bytes, born with a maximum.
 *
 * Invariants: p is never NULL and p[len] is always NUL (so buf_cstr is free);
 * len <= max. Appending past max sets `over` and is ignored, and so is every
 * append after it: a chain of appends needs one check at its end. Running out
 * of memory dies: the process is disposable.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/span.h"

struct buf {
	char *p;
	size_t len, cap, max;
	bool over;
};

void buf_init(struct buf *b, size_t max);	/* allocates nothing yet */
void buf_fini(struct buf *b);			/* frees; the buf may be used again */
void buf_reset(struct buf *b);			/* len = 0, over = false; keeps the memory */
void buf_shrink(struct buf *b);			/* gives the memory back when empty */

void buf_add(struct buf *b, const void *p, size_t n);
void buf_addspan(struct buf *b, struct span s);
void buf_adds(struct buf *b, const char *s);
void buf_addu(struct buf *b, uint64_t v);	/* decimal, and much cheaper than buf_addf: for answers of many lines */
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) PRINTF(2, 0);
void buf_add_u16(struct buf *b, uint16_t v);	/* little endian, for our own files and frames */
void buf_add_u32(struct buf *b, uint32_t v);
void buf_add_u64(struct buf *b, uint64_t v);

/* Room for n more bytes at p + len, or NULL (over is set); the caller then calls buf_grew(n). */
char *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);

void buf_consume(struct buf *b, size_t n);	/* drop n bytes from the front */
void buf_truncate(struct buf *b, size_t len);

/* Inline, because texts are decoded a byte at a time; room that is there is within max. */
static inline void
buf_addc(struct buf *b, char c)
{
	if (b->len + 1 < b->cap && !b->over) {
		b->p[b->len++] = c;
		b->p[b->len] = '\0';
		return;
	}
	buf_add(b, &c, 1);
}

static inline struct span
buf_span(const struct buf *b)
{
	return span_of(b->p, b->len);
}

static inline const char *
buf_cstr(const struct buf *b)
{
	return b->p;
}

/* Memory that cannot fail: dies instead. x_free nulls the pointer it is given. */
void *x_alloc(size_t n);			/* zeroed */
void *x_realloc(void *p, size_t n);
char *x_strdup(const char *s);
char *x_spandup(struct span s);			/* NUL-terminated copy */
#define x_free(pp) (free(*(pp)), *(pp) = NULL)
#define x_new(type) ((type *)x_alloc(sizeof(type)))

#endif
