/*
 * queuefile.c: writing and reading the trailer of queue files. The writer is
 * ours; the reader takes every byte to be hostile (a captured intake wrote it).
 */
#include "mail/queuefile.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "mail/bodyfile.h"
#include "mail/crc32c.h"
#include "base/banned.h"

#define RECORD_HEAD 5			/* u8 type, u32 length */
#define FIRST_READ 8192			/* one pread is enough for most messages, and for most trailers */
#define MAGIC "MRPT\1\0\0\0"
#define END_MARK "END\n"

/* ---- queue ids ---- */

static void
put_base62(char *to, size_t n, uint64_t v)
{
	while (n--) {
		to[n] = QUEUE_HASHES[v % 62];
		v /= 62;
	}
}

/*
 * The time part counts on when the clock stands or is set back, so that a
 * process never gives one value twice; two processes differ in their number.
 */
void
queue_id_make(char out[QUEUE_ID_LEN + 1], uint32_t instance)
{
	static uint64_t last;
	static uint64_t pid;
	uint64_t now = clock_wall_us();

	if (now <= last)
		now = last + 1;
	last = now;
	if (!pid)			/* who makes ids does not fork: one system call less a message */
		pid = (uint64_t)getpid();
	put_base62(out, 9, now);
	put_base62(out + 9, 3, instance);
	put_base62(out + 12, 4, pid);
	out[QUEUE_ID_LEN] = '\0';
}

bool
queue_id_valid(struct span id)
{
	if (id.n != QUEUE_ID_LEN)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!id.p[i] || !strchr(QUEUE_HASHES, id.p[i]))
			return false;
	return true;
}

static uint64_t
get_base62(struct span digits)
{
	uint64_t v = 0;

	for (size_t i = 0; i < digits.n; i++)
		v = v * 62 + (uint64_t)(strchr(QUEUE_HASHES, digits.p[i]) - QUEUE_HASHES);
	return v;
}

bool
queue_id_fresh(struct span id, uint32_t instance)
{
	uint64_t now = clock_wall_us(), made;

	if (!queue_id_valid(id) || get_base62(span_sub(id, 9, 12)) != instance % (62 * 62 * 62))
		return false;
	made = get_base62(span_sub(id, 0, 9));
	return made <= now + 1000000 && now - (made < now ? made : now) <= QUEUE_ID_FRESH_S * UINT64_C(1000000);
}

/* The last character of the time: microseconds spread evenly. */
char
queue_id_hash(struct span id)
{
	return id.n > 8 ? id.p[8] : '0';
}

/* ---- writing ---- */

void
queue_trailer_init(struct queue_trailer *t)
{
	buf_init(&t->b, QUEUE_RECORDS_MAX + QUEUE_FOOTER_LEN);
	t->rcpts = 0;
}

void
queue_trailer_fini(struct queue_trailer *t)
{
	buf_fini(&t->b);
}

static void
add_record(struct queue_trailer *t, char type, struct span value)
{
	buf_addc(&t->b, type);
	buf_add_u32(&t->b, (uint32_t)value.n);
	buf_addspan(&t->b, value);
}

static void
add_text(struct queue_trailer *t, char type, struct span value)
{
	if (value.n)
		add_record(t, type, span_sub(value, 0, QUEUE_RECORDS_MAX));
}

void
queue_trailer_envelope(struct queue_trailer *t, const struct queue_envelope *e)
{
	add_record(t, 'S', span_sub(e->sender, 0, QUEUE_RECORDS_MAX));
	buf_addc(&t->b, 'T');
	buf_add_u32(&t->b, 8);
	buf_add_u64(&t->b, e->arrival_us);
	buf_addc(&t->b, 'F');
	buf_add_u32(&t->b, 4);
	buf_add_u32(&t->b, e->flags);
	add_text(t, 'E', e->envid);
	add_text(t, 'C', e->client);
	add_text(t, 'L', e->login);
	add_text(t, 'I', e->session);
}

void
queue_trailer_body(struct queue_trailer *t, uint32_t crc)
{
	buf_addc(&t->b, 'B');
	buf_add_u32(&t->b, 4);
	buf_add_u32(&t->b, crc);
}

void
queue_trailer_rcpt(struct queue_trailer *t, struct span addr, struct span orcpt, struct span notify)
{
	if (addr.n > UINT16_MAX || orcpt.n > UINT16_MAX || notify.n > UINT8_MAX) {
		t->b.over = true;
		return;
	}
	buf_addc(&t->b, 'R');
	buf_add_u32(&t->b, (uint32_t)(1 + 2 + addr.n + 2 + orcpt.n + 1 + notify.n));
	buf_addc(&t->b, '.');
	buf_add_u16(&t->b, (uint16_t)addr.n);
	buf_addspan(&t->b, addr);
	buf_add_u16(&t->b, (uint16_t)orcpt.n);
	buf_addspan(&t->b, orcpt);
	buf_addc(&t->b, (char)notify.n);
	buf_addspan(&t->b, notify);
	t->rcpts++;
}

void
queue_trailer_header(struct queue_trailer *t, struct span line)
{
	add_text(t, 'H', line);
}

static uint32_t
get_u32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

static uint64_t
get_u64(const char *p)
{
	return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

static uint32_t
get_u16(const char *p)
{
	return (uint32_t)(unsigned char)p[0] | (uint32_t)(unsigned char)p[1] << 8;
}

/* The next record of a checked or unchecked run of records; false at the end or when it is malformed. */
static bool
next_record(struct span recs, size_t *at, char *type, struct span *value)
{
	size_t n;

	if (*at >= recs.n || recs.n - *at < RECORD_HEAD)
		return false;
	n = get_u32(recs.p + *at + 1);
	if (n > recs.n - *at - RECORD_HEAD)
		return false;
	*type = recs.p[*at];
	*value = span_of(recs.p + *at + RECORD_HEAD, n);
	*at += RECORD_HEAD + n;
	return true;
}

/* CRC of the records, each state byte read as '.': marking a recipient leaves it valid. */
static uint32_t
records_crc(struct span recs)
{
	size_t at = 0, from = 0;
	struct span value;
	uint32_t crc = 0;
	char type;

	while (next_record(recs, &at, &type, &value)) {
		size_t state = at - value.n;

		if (type != 'R' || value.n == 0)
			continue;
		crc = crc32c(crc, span_sub(recs, from, state));
		crc = crc32c(crc, SPAN("."));
		from = state + 1;
	}
	return crc32c(crc, span_skip(recs, from));
}

bool
queue_trailer_end(struct queue_trailer *t, uint64_t body_len)
{
	struct span recs = buf_span(&t->b);
	uint32_t crc = t->b.over ? 0 : records_crc(recs);
	size_t footer = t->b.len;

	if (recs.n > QUEUE_RECORDS_MAX)
		t->b.over = true;
	buf_add(&t->b, MAGIC, 8);
	buf_add_u64(&t->b, body_len);
	buf_add_u64(&t->b, recs.n);
	buf_add_u32(&t->b, t->rcpts);
	buf_add_u32(&t->b, crc);
	if (t->b.over)
		return false;
	buf_add_u32(&t->b, crc32c(0, span_of(t->b.p + footer, 32)));
	buf_adds(&t->b, END_MARK);
	return !t->b.over;
}

/* ---- reading ---- */

struct footer {
	uint64_t body_len, trailer_len;
	uint32_t rcpts, crc;
};

static bool
parse_footer(const char *p, uint64_t file_size, struct footer *f)
{
	uint64_t sum;

	if (memcmp(p, MAGIC, 8) != 0 || memcmp(p + 36, END_MARK, 4) != 0 ||
	    get_u32(p + 32) != crc32c(0, span_of(p, 32)))
		return false;
	*f = (struct footer){ get_u64(p + 8), get_u64(p + 16), get_u32(p + 24), get_u32(p + 28) };
	if (f->trailer_len > QUEUE_RECORDS_MAX)
		return false;
	if (ckd_add(&sum, f->body_len, f->trailer_len) || ckd_add(&sum, sum, (uint64_t)QUEUE_FOOTER_LEN))
		return false;
	return sum == file_size;
}

static bool
parse_rcpt(struct span v, struct queue_rcpt *r)
{
	size_t n;

	if (v.n < 6)
		return false;
	r->state = v.p[0];
	n = get_u16(v.p + 1);
	v = span_skip(v, 3);
	if (v.n < n + 3)
		return false;
	r->addr = span_sub(v, 0, n);
	v = span_skip(v, n);
	n = get_u16(v.p);
	v = span_skip(v, 2);
	if (v.n < n + 1)
		return false;
	r->orcpt = span_sub(v, 0, n);
	v = span_skip(v, n);
	n = (unsigned char)v.p[0];
	r->notify = span_skip(v, 1);
	return r->notify.n == n && (r->state == '.' || r->state == 'R' || r->state == 'D');
}

static bool
take_record(struct queue_file *q, char type, struct span v)
{
	struct queue_envelope *e = &q->env;
	static const struct { char type; size_t field; } texts[] = {
		{ 'S', offsetof(struct queue_envelope, sender) },
		{ 'E', offsetof(struct queue_envelope, envid) },
		{ 'C', offsetof(struct queue_envelope, client) },
		{ 'L', offsetof(struct queue_envelope, login) },
		{ 'I', offsetof(struct queue_envelope, session) },
	};

	for (size_t i = 0; i < NELEMS(texts); i++)
		if (texts[i].type == type)
			memcpy((char *)e + texts[i].field, &v, sizeof(v));
	if (type == 'T' && v.n == 8)
		e->arrival_us = get_u64(v.p);
	if (type == 'F' && v.n == 4)
		e->flags = get_u32(v.p);
	if (type == 'B' && v.n == 4) {
		q->has_crc = true;
		q->crc = get_u32(v.p);
	}
	return (type != 'T' || v.n == 8) && ((type != 'F' && type != 'B') || v.n == 4);
}

/* Every record and recipient is well-formed, and there are as many recipients as the footer says. */
static bool
parse_records(struct queue_file *q)
{
	struct span recs = buf_span(&q->records), value;
	struct queue_rcpt r;
	uint32_t rcpts = 0;
	bool sender = false;
	size_t at = 0;
	char type;

	while (next_record(recs, &at, &type, &value)) {
		if (type == 'R' && (rcpts++ == UINT32_MAX || !parse_rcpt(value, &r)))
			return false;
		if (type != 'R' && !take_record(q, type, value))
			return false;
		sender |= type == 'S';
	}
	return at == recs.n && sender && rcpts == q->rcpts;
}

static bool
read_records(int fd, struct queue_file *q, const struct footer *f, const char *tail, size_t tail_len)
{
	size_t n = (size_t)f->trailer_len, have;
	char *to = n ? buf_room(&q->records, n) : q->records.p;

	if (!to)
		return errno = EFBIG, false;
	if (n <= tail_len - QUEUE_FOOTER_LEN) {
		have = n;
		memcpy(to, tail + tail_len - QUEUE_FOOTER_LEN - n, n);
	} else {
		have = tail_len - QUEUE_FOOTER_LEN;
		if (!pread_all(fd, to, n - have, (off_t)f->body_len))
			return false;
		memcpy(to + n - have, tail, have);
	}
	buf_grew(&q->records, n);
	return true;
}

/* tail: the last tail_len bytes of the file, which may be all of it. *ok: as it was written; false with errno: unreadable. */
static bool
check_message(int fd, const struct queue_file *q, const char *tail, size_t tail_len, bool *ok)
{
	static char block[64 << 10];
	size_t after = q->records.len + QUEUE_FOOTER_LEN;
	uint32_t crc = 0;

	*ok = true;
	if (!q->has_crc || q->body_len > QUEUE_BODY_CHECK_MAX)
		return true;
	if (q->body_len + after <= tail_len) {
		*ok = crc32c(0, span_of(tail, (size_t)q->body_len)) == q->crc;
		return true;
	}
	for (size_t at = 0, n; at < q->body_len; at += n) {
		n = q->body_len - at < sizeof(block) ? (size_t)q->body_len - at : sizeof(block);
		if (!pread_all(fd, block, n, (off_t)at))
			return false;
		crc = crc32c(crc, span_of(block, n));
	}
	*ok = crc == q->crc;
	return true;
}

static enum queue_read
fail(struct queue_file *q, enum queue_read result, struct buf *err, const char *what)
{
	queue_file_fini(q);
	buf_adds(err, what);
	if (result == QUEUE_READ_ERROR)
		buf_addf(err, ": %s", strerror(errno));
	return result;
}

/* The last bytes of the file; all of a small one by a single call, which is the end of it when it gives less than there is room for. */
static enum queue_read
read_tail(int fd, char tail[FIRST_READ], size_t *n, uint64_t *size, const char **what)
{
	ssize_t got = pread(fd, tail, FIRST_READ, 0);
	struct stat st;

	*what = "cannot read the queue file";
	if (got >= 0 && got < FIRST_READ) {
		*size = *n = (size_t)got;
	} else {
		if (fstat(fd, &st) != 0)
			return QUEUE_READ_ERROR;
		*what = "not a regular file";
		if (!S_ISREG(st.st_mode))
			return QUEUE_READ_NOT_A_MESSAGE;
		*what = "cannot read the queue file";
		*size = (uint64_t)st.st_size;
		*n = *size < FIRST_READ ? (size_t)*size : FIRST_READ;
		if (!pread_all(fd, tail, *n, st.st_size - (off_t)*n))
			return QUEUE_READ_ERROR;
	}
	*what = "too short: it was never finished";
	return *size < QUEUE_FOOTER_LEN ? QUEUE_READ_NOT_A_MESSAGE : QUEUE_READ_OK;
}

enum queue_read
queue_file_read(int fd, struct queue_file *q, bool check, struct buf *err)
{
	enum queue_read result;
	char tail[FIRST_READ];
	const char *what;
	struct footer f;
	uint64_t size;
	bool ok = true;
	size_t n;

	*q = (struct queue_file){ 0 };
	buf_init(&q->records, QUEUE_RECORDS_MAX);
	result = read_tail(fd, tail, &n, &size, &what);
	if (result != QUEUE_READ_OK)
		return fail(q, result, err, what);
	if (!parse_footer(tail + n - QUEUE_FOOTER_LEN, size, &f))
		return fail(q, QUEUE_READ_NOT_A_MESSAGE, err, "no valid footer: it was never finished, or is damaged");
	q->body_len = f.body_len;
	q->rcpts = f.rcpts;
	if (!read_records(fd, q, &f, tail, n))
		return fail(q, QUEUE_READ_ERROR, err, "cannot read the queue file");
	if (check && records_crc(buf_span(&q->records)) != f.crc)
		return fail(q, QUEUE_READ_NOT_A_MESSAGE, err, "wrong checksum of the records");
	if (!parse_records(q))
		return fail(q, QUEUE_READ_NOT_A_MESSAGE, err, "malformed records");
	if (check && !check_message(fd, q, tail, n, &ok))
		return fail(q, QUEUE_READ_ERROR, err, "cannot read the queue file");
	if (!ok)
		return fail(q, QUEUE_READ_NOT_A_MESSAGE, err, "wrong checksum of the message");
	return QUEUE_READ_OK;
}

void
queue_file_fini(struct queue_file *q)
{
	buf_fini(&q->records);
	*q = (struct queue_file){ .records = q->records };
}

bool
queue_file_rcpt(const struct queue_file *q, size_t *at, struct queue_rcpt *r)
{
	struct span value;
	char type;

	while (next_record(buf_span(&q->records), at, &type, &value)) {
		if (type != 'R' || !parse_rcpt(value, r))
			continue;
		r->state_at = (off_t)(q->body_len + (*at - value.n));
		return true;
	}
	return false;
}

bool
queue_file_header(const struct queue_file *q, size_t *at, struct span *line)
{
	char type;

	while (next_record(buf_span(&q->records), at, &type, line))
		if (type == 'H')
			return true;
	return false;
}

uint64_t
queue_file_sum(const struct queue_file *q)
{
	return q->has_crc && q->body_len > QUEUE_BODY_CHECK_MAX ? BODYFILE_SUM(q->crc) : 0;
}

bool
queue_file_mark(int fd, struct queue_file *q, const struct queue_rcpt *r, char state)
{
	if (!pwrite_all(fd, &state, 1, r->state_at))
		return false;
	q->records.p[(size_t)r->state_at - q->body_len] = state;
	return true;
}

void
queue_file_brief(const struct queue_file *q, struct buf *records)
{
	struct span recs = buf_span(&q->records), value;
	size_t at = 0;
	char type;

	while (next_record(recs, &at, &type, &value))
		if (type == 'S' || type == 'R')
			buf_addspan(records, span_sub(recs, at - value.n - RECORD_HEAD, at));
}

bool
queue_file_from_brief(struct span records, uint64_t body_len, uint32_t rcpts, struct queue_file *q)
{
	*q = (struct queue_file){ .body_len = body_len, .rcpts = rcpts };
	buf_init(&q->records, QUEUE_RECORDS_MAX);
	buf_addspan(&q->records, records);
	if (parse_records(q))
		return true;
	queue_file_fini(q);
	return false;
}
