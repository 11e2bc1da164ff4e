/* buf.c: growable bytes, born with a maximum. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/die.h"
#include "base/banned.h"

static char empty[1];		/* what an unused buf points to; never written to */

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .p = empty, .max = max };
}

void
buf_fini(struct buf *b)
{
	if (b->cap)
		free(b->p);
	buf_init(b, b->max);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->over = false;
	if (b->cap)
		b->p[0] = '\0';
}

void
buf_shrink(struct buf *b)
{
	if (b->len == 0 && !b->over)
		buf_fini(b);
}

char *
buf_room(struct buf *b, size_t n)
{
	size_t need, cap;

	if (b->over || n > b->max || b->len > b->max - n) {
		b->over = true;
		return NULL;
	}
	need = b->len + n + 1;
	if (need > b->cap) {
		cap = b->cap ? b->cap : 64;
		while (cap < need)
			cap *= 2;
		if (cap > b->max + 1)
			cap = b->max + 1;
		b->p = x_realloc(b->cap ? b->p : NULL, cap);
		b->cap = cap;
		b->p[b->len] = '\0';
	}
	return b->p + b->len;
}

void
buf_grew(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	if (n > b->cap - b->len - 1)
		bug("buf_grew: %zu bytes, but room for %zu", n, b->cap - b->len - 1);
	b->len += n;
	b->p[b->len] = '\0';
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	char *to;

	if (n == 0 || !(to = buf_room(b, n)))
		return;
	memcpy(to, p, n);
	buf_grew(b, n);
}

void
buf_addspan(struct buf *b, struct span s)
{
	buf_add(b, s.p, s.n);
}

void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_addu(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + v % 10);
	while (v /= 10);
	buf_add(b, digits + at, sizeof(digits) - at);
}

/* Into the room that is there; what does not fit is printed again, once its length is known. */
void
buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	size_t room = b->over || b->cap == 0 ? 0 : b->cap - b->len;
	va_list again;
	char *to;
	int n;

	va_copy(again, ap);
	n = vsnprintf(room ? b->p + b->len : NULL, room, fmt, again);
	va_end(again);
	if (n > 0 && (size_t)n < room) {
		b->len += (size_t)n;
		return;
	}
	if (room)
		b->p[b->len] = '\0';
	if (n <= 0 || !(to = buf_room(b, (size_t)n)))
		return;
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	buf_grew(b, (size_t)n);
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
}

static void
add_le(struct buf *b, uint64_t v, size_t n)
{
	unsigned char le[8];

	for (size_t i = 0; i < n; i++)
		le[i] = (unsigned char)(v >> (8 * i));
	buf_add(b, le, n);
}

void
buf_add_u16(struct buf *b, uint16_t v)
{
	add_le(b, v, 2);
}

void
buf_add_u32(struct buf *b, uint32_t v)
{
	add_le(b, v, 4);
}

void
buf_add_u64(struct buf *b, uint64_t v)
{
	add_le(b, v, 8);
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	if (n >= b->len) {
		b->len = 0;
	} else {
		memmove(b->p, b->p + n, b->len - n);
		b->len -= n;
	}
	b->p[b->len] = '\0';
}

void
buf_truncate(struct buf *b, size_t len)
{
	if (len >= b->len)
		return;
	b->len = len;
	b->p[len] = '\0';
}

void *
x_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		die("out of memory (%zu bytes)", n);
	return p;
}

void *
x_realloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p)
		die("out of memory (%zu bytes)", n);
	return p;
}

char *
x_strdup(const char *s)
{
	return x_spandup(span_str(s));
}

char *
x_spandup(struct span s)
{
	char *p = x_alloc(s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}
