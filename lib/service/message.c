/*
 * message.c: typed messages over SOCK_SEQPACKET links, made from messages.def.
 * Decodes what other processes send: every length is checked, nothing is trusted.
 */
#include "service/message.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "base/log.h"
#include "base/banned.h"

#define STR_MAX (8 * 1024)	/* longest STR field */

enum field_type { F_U32, F_U64, F_STR, F_BYTES, F_LIST, F_FD };

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
};

#define MSG(kind, from, to)						\
	static const struct field *fields_##kind(void)			\
	{								\
		typedef struct msg_##kind self;				\
		static const struct field f[] = {
#define FIELD(name, type) { #name, type, offsetof(self, name) },
#define U32(name) FIELD(name, F_U32)
#define U64(name) FIELD(name, F_U64)
#define STR(name) FIELD(name, F_STR)
#define BYTES(name) FIELD(name, F_BYTES)
#define LIST(name) FIELD(name, F_LIST)
#define FD(name) FIELD(name, F_FD)
#define END(kind)							\
			{ NULL, F_U32, sizeof(self) }			\
		};							\
		return f;						\
	}
#include "service/messages.def"

static const struct message_row {
	const char *name;
	const struct field *(*fields)(void);
	unsigned from, to;
} rows[] = {
#define MSG(kind, from, to) { #kind, fields_##kind, from, to },
#include "service/messages.def"
};

const char *
msg_name(enum msg_kind kind)
{
	return (size_t)kind < NELEMS(rows) ? rows[kind].name : "?";
}

static uint64_t
get_le(const char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)(unsigned char)p[i] << (8 * i);
	return v;
}

static void
put_header(struct buf *out, size_t tag, uint32_t len)
{
	buf_addc(out, (char)tag);
	buf_add_u32(out, len);
}

/* One field; what is zero or empty is left out. */
static bool
encode_field(struct buf *out, size_t tag, const struct field *f, const char *m, int fds[CHAN_FDS], int *nfds)
{
	const void *v = m + f->offset;
	struct span s;

	switch (f->type) {
	case F_U32:
		if (*(const uint32_t *)v) {
			put_header(out, tag, 4);
			buf_add_u32(out, *(const uint32_t *)v);
		}
		return true;
	case F_U64:
		if (*(const uint64_t *)v) {
			put_header(out, tag, 8);
			buf_add_u64(out, *(const uint64_t *)v);
		}
		return true;
	case F_FD:
		if (*(const int *)v < 0)
			return true;
		if (*nfds >= CHAN_FDS)
			return false;
		fds[(*nfds)++] = *(const int *)v;
		put_header(out, tag, 0);
		return true;
	case F_STR:
	case F_BYTES:
	case F_LIST:
		s = *(const struct span *)v;
		if (f->type == F_STR && s.n > STR_MAX)
			return false;
		if (s.n && s.n <= CHAN_MAX) {
			put_header(out, tag, (uint32_t)s.n);
			buf_addspan(out, s);
		}
		return s.n <= CHAN_MAX;
	}
	return false;
}

bool
msg_encode(enum msg_kind kind, const void *m, struct buf *out, int fds[CHAN_FDS], int *nfds)
{
	const struct field *f = rows[kind].fields();

	*nfds = 0;
	buf_add_u16(out, (uint16_t)kind);
	for (size_t i = 0; f[i].name; i++)
		if (!encode_field(out, i, &f[i], m, fds, nfds))
			return false;
	return !out->over;
}

static void
set_empty(const struct field *f, char *m)
{
	for (; f->name; f++) {
		if (f->type == F_FD)
			*(int *)(void *)(m + f->offset) = -1;
		else if (f->type >= F_STR)
			*(struct span *)(void *)(m + f->offset) = SPAN_NONE;
	}
}

static bool
decode_field(const struct field *f, char *m, struct span v, const int fds[CHAN_FDS], int *taken)
{
	void *to = m + f->offset;

	switch (f->type) {
	case F_U32:
		if (v.n == 4)
			*(uint32_t *)to = (uint32_t)get_le(v.p, 4);
		return v.n == 4;
	case F_U64:
		if (v.n == 8)
			*(uint64_t *)to = get_le(v.p, 8);
		return v.n == 8;
	case F_FD:
		if (v.n || *taken >= CHAN_FDS || fds[*taken] < 0 || *(int *)to >= 0)
			return false;
		*(int *)to = fds[(*taken)++];
		return true;
	case F_STR:
		if (v.n > STR_MAX)
			return false;
		/* fall through */
	case F_BYTES:
	case F_LIST:
		*(struct span *)to = v;
		return true;
	}
	return false;
}

static bool
decode_fields(const struct field *f, size_t count, char *m, struct span wire, const int fds[CHAN_FDS], int *taken)
{
	while (wire.n) {
		size_t tag, len;

		if (wire.n < 5)
			return false;
		tag = (unsigned char)wire.p[0];
		len = (size_t)get_le(wire.p + 1, 4);
		wire = span_skip(wire, 5);
		if (len > wire.n)
			return false;
		if (tag < count && !decode_field(&f[tag], m, span_of(wire.p, len), fds, taken))
			return false;
		wire = span_skip(wire, len);
	}
	return true;
}

bool
msg_decode(struct span wire, const int fds[CHAN_FDS], unsigned from, unsigned to, struct msg *out)
{
	const struct field *f;
	size_t kind, count = 0;
	int taken = 0;

	if (wire.n < 2)
		return false;
	kind = (size_t)get_le(wire.p, 2);
	if (kind >= NELEMS(rows) || !(rows[kind].from & from) || !(rows[kind].to & to))
		return false;
	memset(out, 0, sizeof(*out));
	out->kind = (enum msg_kind)kind;
	f = rows[kind].fields();
	while (f[count].name)
		count++;
	set_empty(f, (char *)&out->NEW);
	if (!decode_fields(f, count, (char *)&out->NEW, span_skip(wire, 2), fds, &taken))
		return false;
	return taken >= CHAN_FDS || fds[taken] < 0;	/* no descriptor without its field */
}

void
msg_close_fds(struct msg *m)
{
	const struct field *f = rows[m->kind].fields();

	for (; f->name; f++) {
		int *fd = (int *)(void *)((char *)&m->NEW + f->offset);

		if (f->type != F_FD || *fd < 0)
			continue;
		close(*fd);
		*fd = -1;
	}
}

bool
msg_send(int fd, enum msg_kind kind, const void *m)
{
	static struct buf wire;
	int fds[CHAN_FDS], nfds;

	if (!wire.max)
		buf_init(&wire, CHAN_MAX);
	buf_reset(&wire);
	if (!msg_encode(kind, m, &wire, fds, &nfds)) {
		errno = EMSGSIZE;
		return false;
	}
	return chan_send(fd, wire.p, wire.len, fds, nfds);
}

static void
close_all(const int fds[CHAN_FDS])
{
	for (int i = 0; i < CHAN_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

enum msg_result
msg_recv_or_reset(int fd, unsigned from, unsigned to, struct msg *out)
{
	static char wire[CHAN_MAX];
	int fds[CHAN_FDS];
	ssize_t n = chan_recv(fd, wire, sizeof(wire), fds);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return MSG_AGAIN;
	if (n < 0 && errno != EMSGSIZE)
		return MSG_END;
	if (n == 0) {
		close_all(fds);
		errno = 0;
		return MSG_END;
	}
	if (n > 0 && msg_decode(span_of(wire, (size_t)n), fds, from, to, out))
		return MSG_OK;
	close_all(fds);
	log_warn(NULL, "a process sent what it may not send here (%zd bytes, kind %d, role 0x%x): link closed",
	    n, n >= 2 ? (int)get_le(wire, 2) : -1, from);
	return MSG_BAD;
}

enum msg_result
msg_recv(int fd, unsigned from, unsigned to, struct msg *out)
{
	enum msg_result r = msg_recv_or_reset(fd, from, to, out);

	return r == MSG_END && errno == ECONNRESET ? msg_recv_or_reset(fd, from, to, out) : r;
}

void
msg_list_add(struct buf *list, struct span s)
{
	buf_add_u32(list, (uint32_t)s.n);
	buf_addspan(list, s);
}

bool
msg_list_next(struct span *list, struct span *s)
{
	size_t len;

	if (list->n < 4)
		goto bad;
	len = (size_t)get_le(list->p, 4);
	if (len > list->n - 4)
		goto bad;
	*s = span_of(list->p + 4, len);
	*list = span_skip(*list, 4 + len);
	return true;
bad:
	*list = SPAN_NONE;
	return false;
}

uint32_t
msg_list_count(struct span list)
{
	struct span s;
	uint32_t n = 0;

	while (msg_list_next(&list, &s))
		n++;
	return n;
}
