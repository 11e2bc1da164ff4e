/* filename.c: Maildir file names. They were written by anybody who may write to the mailbox: not trusted. */
#include "mail/store/filename.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"

#include "base/banned.h"

#define DATE_MAX 253402300799	/* the year 9999 */
#define HOST_MAX 64

static const struct {
	char letter;
	uint8_t flag;
} letters[] = {			/* in the order in which they stand in a name */
	{ 'D', MFLAG_DRAFT },
	{ 'F', MFLAG_FLAGGED },
	{ 'P', MFLAG_FORWARDED },
	{ 'R', MFLAG_ANSWERED },
	{ 'S', MFLAG_SEEN },
	{ 'T', MFLAG_DELETED },
};

static char own_host[HOST_MAX + 1] = "localhost";

static void
parse_letter(char c, struct filename *f)
{
	if (c >= 'a' && c <= 'z') {
		f->keywords |= 1u << (c - 'a');
		return;
	}
	for (size_t i = 0; i < NELEMS(letters); i++) {
		if (letters[i].letter == c) {
			f->flags |= letters[i].flag;
			return;
		}
	}
	if (c >= 'A' && c <= 'Z')
		f->unknown |= 1u << (c - 'A');
}

/* The first field of a kind counts; a second one is left out, so that it can never take the first one's place. */
static void
parse_field(struct span field, struct filename *f, size_t *extra)
{
	struct span value = span_skip(field, 2);
	uint64_t n;

	if (span_starts(field, "S=") && span_u64(value, 0, INT64_MAX, &n)) {
		f->size = f->has_size ? f->size : n;
		f->has_size = true;
	} else if (span_starts(field, "W=") && span_u64(value, 0, INT64_MAX, &n)) {
		f->crlf_size = f->has_crlf ? f->crlf_size : n;
		f->has_crlf = true;
	} else if (span_starts(field, "U=") && span_u64(value, 1, UINT32_MAX - 1, &n)) {
		f->uid = f->uid ? f->uid : (uint32_t)n;
	} else {		/* fits: it is a part of a name of at most FILENAME_MAX_ bytes */
		f->extra[(*extra)++] = ',';
		memcpy(f->extra + *extra, field.p, field.n);
		*extra += field.n;
	}
}

bool
filename_parse(struct span name, struct filename *f)
{
	ssize_t colon, comma;
	struct span rest, field;
	size_t extra = 0;

	if (name.n == 0 || name.n > FILENAME_MAX_ || name.p[0] == '.')
		return false;
	if (span_uncontrolled(name) < name.n || span_find(name, '/') >= 0)
		return false;
	memset(f, 0, offsetof(struct filename, extra));
	f->base = name;
	colon = span_rfind(name, ':');
	if (colon >= 0) {
		struct span info = span_skip(name, (size_t)colon + 1);

		f->has_info = true;
		if (span_starts(info, "2,"))
			for (size_t i = 2; i < info.n; i++)
				parse_letter(info.p[i], f);
		name = span_sub(name, 0, (size_t)colon);
		f->base = name;
	}
	comma = span_find(name, ',');
	if (comma >= 0) {
		f->base = span_sub(name, 0, (size_t)comma);
		rest = span_skip(name, (size_t)comma + 1);
		while (span_cut(&rest, ',', &field))
			parse_field(field, f, &extra);
	}
	f->extra[extra] = '\0';
	/* a file whose size is 0 with CRLF but not without, or that shrinks by CRLF, was named wrongly */
	if (f->has_size && f->has_crlf && (f->crlf_size < f->size || f->crlf_size - f->size > f->size))
		f->has_size = f->has_crlf = false;
	return f->base.n > 0;
}

static void
add_number(struct buf *out, const char *field, uint64_t n)
{
	buf_adds(out, field);
	buf_addu(out, n);
}

bool
filename_format(const struct filename *f, bool info, char out[FILENAME_MAX_ + 1])
{
	struct buf b;
	bool ok;

	buf_init(&b, FILENAME_MAX_);
	buf_addspan(&b, f->base);
	if (f->has_size)
		add_number(&b, ",S=", f->size);
	if (f->has_crlf)
		add_number(&b, ",W=", f->crlf_size);
	if (f->uid)
		add_number(&b, ",U=", f->uid);
	buf_adds(&b, f->extra);
	if (info) {
		size_t k = 0;

		buf_adds(&b, ":2,");
		for (char c = 'A'; c <= 'Z'; c++) {
			bool ours = k < NELEMS(letters) && letters[k].letter == c;

			if (ours ? (f->flags & letters[k].flag) != 0 : (f->unknown >> (c - 'A') & 1) != 0)
				buf_addc(&b, c);
			k += ours;
		}
		for (unsigned i = 0; i < MAILSTORE_KEYWORDS; i++)
			if (f->keywords >> i & 1)
				buf_addc(&b, (char)('a' + i));
	}
	ok = !b.over && b.len > 0;
	if (ok)
		memcpy(out, buf_cstr(&b), b.len + 1);
	buf_fini(&b);
	return ok;
}

static uint64_t
rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static void
sip_rounds(uint64_t v[4], int n)
{
	while (n--) {
		v[0] += v[1], v[1] = rotl(v[1], 13), v[1] ^= v[0], v[0] = rotl(v[0], 32);
		v[2] += v[3], v[3] = rotl(v[3], 16), v[3] ^= v[2];
		v[0] += v[3], v[3] = rotl(v[3], 21), v[3] ^= v[0];
		v[2] += v[1], v[1] = rotl(v[1], 17), v[1] ^= v[2], v[2] = rotl(v[2], 32);
	}
}

/* SipHash-2-4 with 128 bits of output and a fixed key: an identity, not a secret. */
struct mail_id
filename_id(struct span base)
{
	uint64_t v[4] = { 0x736f6d6570736575, 0x646f72616e646f6d ^ 0xee, 0x6c7967656e657261, 0x7465646279746573 };
	uint64_t last = (uint64_t)base.n << 56, m;
	struct mail_id id;
	size_t i;

	for (i = 0; i + 8 <= base.n; i += 8) {
		memcpy(&m, base.p + i, 8);
		v[3] ^= m;
		sip_rounds(v, 2);
		v[0] ^= m;
	}
	for (size_t k = 0; i + k < base.n; k++)
		last |= (uint64_t)(unsigned char)base.p[i + k] << (8 * k);
	v[3] ^= last;
	sip_rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xee;
	sip_rounds(v, 4);
	m = v[0] ^ v[1] ^ v[2] ^ v[3];
	memcpy(id.b, &m, 8);
	v[1] ^= 0xdd;
	sip_rounds(v, 4);
	m = v[0] ^ v[1] ^ v[2] ^ v[3];
	memcpy(id.b + 8, &m, 8);
	return id;
}

bool
filename_date(struct span base, int64_t *date)
{
	ssize_t dot = span_find(base, '.');
	uint64_t v;

	if (dot <= 0 || (size_t)dot + 2 > base.n || !span_u64(span_sub(base, 0, (size_t)dot), 0, DATE_MAX, &v))
		return false;
	if (base.p[dot + 1] != 'Q' && base.p[dot + 1] != 'A')
		return false;
	*date = (int64_t)v;
	return true;
}

static void
add_host(struct buf *out, const char *host)
{
	size_t n = strnlen(host, HOST_MAX);

	for (size_t i = 0; i < n; i++) {
		char c = host[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-';

		buf_addc(out, plain ? c : '_');
	}
}

void
filename_init(void)
{
	char name[256];

	if (gethostname(name, sizeof(name)) == 0 && name[0]) {
		name[sizeof(name) - 1] = '\0';
		snprintf(own_host, sizeof(own_host), "%.*s", HOST_MAX, name);
	}
}

static int64_t
clip_date(int64_t date)
{
	return date < 0 ? 0 : date > DATE_MAX ? DATE_MAX : date;
}

void
filename_make_base(struct buf *out, int64_t date)
{
	static uint64_t seed;
	static pid_t seeded_by;
	static unsigned count;

	if (seeded_by != getpid()) {	/* a fork must not repeat its parent's names */
		rand_bytes(&seed, sizeof(seed));
		seeded_by = getpid();
	}
	buf_addf(out, "%lld.A%016llxN%u.", (long long)clip_date(date), (unsigned long long)seed, count++);
	add_host(out, own_host);
}

void
filename_delivery_base(struct buf *out, int64_t arrival, struct span queue_id, uint32_t rcpt, const char *host)
{
	buf_addf(out, "%lld.Q", (long long)clip_date(arrival));
	for (size_t i = 0; i < queue_id.n && i < 64; i++) {
		char c = queue_id.p[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		buf_addc(out, plain ? c : '_');
	}
	buf_addf(out, "R%u.", rcpt);
	add_host(out, host);
}
