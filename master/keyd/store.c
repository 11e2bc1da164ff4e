/*
 * store.c: loads the key files and notices when they are replaced. Files are
 * the operator's (or a renewal program's): read through master, which opens
 * only what the configuration names. A pair that does not fit is refused with
 * its reason and the old one stays.
 */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/rand.h"
#include "service/service.h"
#include "base/banned.h"

#define FILES_MAX (2 * KEYS_MAX)
#define LOOK_MS 1000
#define TICKET_KEY_LEN 80
#define TICKET_KEYS 3			/* the current one and two old ones */
#define TICKET_MS (12 * 3600 * 1000ull)
#define EXPIRES_SOON 14			/* days */

/* By what a file is recognised. */
struct stamp {
	int error;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

static char *paths[FILES_MAX];
static size_t path_count;
static struct stamp tried[FILES_MAX], seen[FILES_MAX];	/* of the last load, of the last look */

static struct keys *now, *old;
static uint32_t generation;
static unsigned char tickets[TICKET_KEYS][TICKET_KEY_LEN];
static size_t ticket_count;

static struct timer look_timer, ticket_timer;
static void (*changed)(void);

/* ---- files ---- */

static void
take_paths(void)
{
	struct span list = span_str(par.smtpd_tls_chain_files), one;

	for (size_t i = 0; i < path_count; i++)
		x_free(&paths[i]);
	path_count = 0;
	while (path_count < FILES_MAX && span_word(&list, ", \t\r\n", &one))
		paths[path_count++] = x_spandup(one);
	memset(tried, 0, sizeof(tried));
	memset(seen, 0, sizeof(seen));
}

static struct stamp
stamp_of(int fd, int error)
{
	struct stamp s;
	struct stat st;

	memset(&s, 0, sizeof(s));	/* compared as bytes, padding too */
	if (fd < 0 || fstat(fd, &st) < 0) {
		s.error = fd < 0 ? error : errno;
		return s;
	}
	s.dev = st.st_dev;
	s.ino = st.st_ino;
	s.size = st.st_size;
	s.mtime = st.st_mtim;
	s.ctime = st.st_ctim;
	return s;
}

static void
open_files(int fds[FILES_MAX], struct stamp stamps[FILES_MAX])
{
	for (size_t i = 0; i < path_count; i++) {
		fds[i] = service_open_file(paths[i]);
		stamps[i] = stamp_of(fds[i], errno);
	}
}

static void
close_files(int fds[FILES_MAX])
{
	for (size_t i = 0; i < path_count; i++)
		close_fd(&fds[i]);
}

static bool
same(const struct stamp a[FILES_MAX], const struct stamp b[FILES_MAX])
{
	return memcmp(a, b, path_count * sizeof(a[0])) == 0;
}

/* All files behind each other, in one piece of memory that is wiped afterwards. */
static bool
read_files(const int fds[FILES_MAX], const struct stamp stamps[FILES_MAX], struct buf *pem, struct buf *err)
{
	size_t all = 0;

	for (size_t i = 0; i < path_count; i++) {
		if (stamps[i].error) {
			buf_addf(err, "%s: %s", paths[i], strerror(stamps[i].error));
			return false;
		}
		if (stamps[i].size > KEYS_PEM_MAX) {
			buf_addf(err, "%s: too big", paths[i]);
			return false;
		}
		all += (size_t)stamps[i].size + 1;
	}
	if (!buf_room(pem, all)) {
		buf_adds(err, "the files together are too big");
		return false;
	}
	for (size_t i = 0; i < path_count; i++) {
		size_t n = (size_t)stamps[i].size;

		if (n && !pread_all(fds[i], buf_room(pem, n), n, 0)) {
			buf_addf(err, "%s: %s", paths[i], strerror(errno));
			return false;
		}
		buf_grew(pem, n);
		buf_addc(pem, '\n');
	}
	return true;
}

/* ---- loading ---- */

static void
report(const struct keys *k)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct keypair *p = &k->at[i];
		const char *names = p->names.len ? p->names.p : "default";

		if (p->days_left < 0)
			log_warn(NULL, "certificate %zu (%s, %s) has expired", i + 1, p->type, names);
		else if (p->days_left < EXPIRES_SOON)
			log_warn(NULL, "certificate %zu (%s, %s) expires in %d days", i + 1, p->type, names, (int)p->days_left);
		else
			log_info(NULL, "certificate %zu (%s, %s) loaded, expires in %d days", i + 1, p->type, names,
			    (int)p->days_left);
	}
}

static bool
load(const int fds[FILES_MAX], const struct stamp stamps[FILES_MAX])
{
	struct keys *fresh = NULL;
	struct buf pem, err;

	buf_init(&pem, KEYS_PEM_MAX);
	buf_init(&err, 500);
	memcpy(tried, stamps, sizeof(tried));
	if (path_count && read_files(fds, stamps, &pem, &err))
		fresh = keys_load(buf_span(&pem), &err);
	if (fresh) {
		report(fresh);
		keys_free(old);
		old = now;
		now = fresh;
		generation++;
	} else if (path_count) {
		log_error(NULL, "keys of smtpd_tls_chain_files not taken: %s; %s", err.p,
		    now ? "the old ones stay in use" : "TLS is not offered");
	}
	explicit_bzero(pem.p, pem.len);
	buf_fini(&pem);
	buf_fini(&err);
	return fresh != NULL;
}

/* A renewal replaces several files: what has just changed is loaded at the next look, if it stays. */
static void
look(void *ctx)
{
	struct stamp stamps[FILES_MAX];
	int fds[FILES_MAX];
	bool settled;

	(void)ctx;
	memset(stamps, 0, sizeof(stamps));
	open_files(fds, stamps);
	settled = same(stamps, seen);
	memcpy(seen, stamps, sizeof(seen));
	if (settled && !same(stamps, tried) && load(fds, stamps) && changed)
		changed();
	close_files(fds);
	timer_set(&look_timer, LOOK_MS);
}

/* ---- ticket keys ---- */

static void
rotate(void)
{
	memmove(tickets[1], tickets[0], sizeof(tickets) - sizeof(tickets[0]));
	rand_bytes(tickets[0], sizeof(tickets[0]));
	if (ticket_count < TICKET_KEYS)
		ticket_count++;
	generation++;
}

static void
on_ticket_time(void *ctx)
{
	(void)ctx;
	rotate();
	if (changed)
		changed();
	timer_set(&ticket_timer, TICKET_MS);
}

/* ---- the interface ---- */

void
store_open(void)
{
	struct stamp stamps[FILES_MAX];
	int fds[FILES_MAX];

	rotate();
	take_paths();
	memset(stamps, 0, sizeof(stamps));
	open_files(fds, stamps);
	load(fds, stamps);
	memcpy(seen, stamps, sizeof(seen));
	close_files(fds);
}

void
store_start(void (*on_change)(void))
{
	changed = on_change;
	timer_init(&look_timer, look, NULL);
	timer_init(&ticket_timer, on_ticket_time, NULL);
	timer_set(&look_timer, LOOK_MS);
	timer_set(&ticket_timer, TICKET_MS);
}

void
store_configured(void)
{
	take_paths();			/* loaded anew by the next looks */
}

const struct keys *
store_keys(void)
{
	return now;
}

uint32_t
store_generation(void)
{
	return generation;
}

struct span
store_tickets(void)
{
	return span_of(tickets, ticket_count * TICKET_KEY_LEN);
}

const struct keypair *
store_find(uint32_t id)
{
	const struct keypair *k = keys_find(now, id);

	return k ? k : keys_find(old, id);
}
