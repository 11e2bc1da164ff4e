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

#include "base/die.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/loop.h"
#include "service/service.h"
#include "sources.h"
#include "tickets.h"
#include "base/banned.h"

#define LOOK_MS 1000
#define LOAD_GROUPS 4			/* at a time */
#define LOOK_FILES 256			/* at a look; more take several */
#define REPORTED 64			/* certificates of a load that have a line of their own in the log */
#define EXPIRES_SOON 14			/* days */

/* By what a file is recognised. */
struct stamp {
	int error;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

static const struct source *sources;
static size_t source_count;
static struct stamp *tried, *seen;	/* of each source: of the last load, of the last look */
static size_t looked;			/* sources before this one have had their turn in this round */

static struct keys *now, *old;
static uint32_t generation;

static struct timer look_timer, load_timer, ticket_timer;
static void (*changed)(void);

/* ---- files ---- */

static void
take_sources(void)
{
	struct buf err;

	buf_init(&err, 500);
	source_count = sources_list(&sources, &err);
	if (err.len > 0)
		log_error(NULL, "%s", buf_cstr(&err));
	buf_fini(&err);
	free(tried);
	free(seen);
	tried = calloc(source_count + 1, sizeof(*tried));
	seen = calloc(source_count + 1, sizeof(*seen));
	if (!tried || !seen)
		die("out of memory (key files)");
	looked = 0;
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

static bool
same(const struct stamp *a, const struct stamp *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* One file's part behind the others, in memory that is wiped afterwards. */
static bool
read_source(const struct source *f, int fd, const struct stamp *stamp, struct buf *pem, struct buf *err)
{
	size_t n = stamp->error || stamp->size > KEYS_PEM_MAX ? 0 : (size_t)stamp->size;
	struct buf text;
	bool ok = false;

	buf_init(&text, KEYS_PEM_MAX + 1);
	if (stamp->error)
		buf_addf(err, "%s: %s", f->path, strerror(stamp->error));
	else if (stamp->size > KEYS_PEM_MAX)
		buf_addf(err, "%s: too big", f->path);
	else if (!buf_room(&text, KEYS_PEM_MAX) || (n && !pread_all(fd, buf_room(&text, n), n, 0)))
		buf_addf(err, "%s: %s", f->path, strerror(errno));
	else
		ok = true;
	if (ok) {
		buf_grew(&text, n);
		if (f->part == PART_ALL) {
			buf_addspan(pem, buf_span(&text));
			buf_addc(pem, '\n');
		} else {
			ok = keys_pick(buf_span(&text), f->part == PART_KEY, pem);
		}
		if (pem->over)
			buf_adds(err, "the files together are too big");
		ok = ok && !pem->over;
	}
	explicit_bzero(text.p, text.len);
	buf_fini(&text);
	return ok;
}

/* The files of one group, from the first on; *end: the first of the next one. skip: only to know them again. */
static struct keys *
load_group(size_t from, size_t *end, bool skip, struct buf *err)
{
	struct keys *k = NULL;
	struct buf pem;
	bool ok = !skip;
	size_t i = from;

	buf_init(&pem, KEYS_PEM_MAX);
	if (ok && !buf_room(&pem, KEYS_PEM_MAX))	/* once, so that no copy of a key stays behind a realloc */
		ok = false;
	for (; i < source_count && sources[i].group == sources[from].group; i++) {
		int fd = service_open_file(sources[i].path);

		tried[i] = stamp_of(fd, errno);
		ok = ok && read_source(&sources[i], fd, &tried[i], &pem, err);
		close_fd(&fd);
	}
	*end = i;
	if (ok)
		k = keys_load(buf_span(&pem), err);
	if (!k && !skip && sources[from].name)
		buf_addf(err, " (for %s)", sources[from].name);
	explicit_bzero(pem.p, pem.len);
	buf_fini(&pem);
	return k;
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
		else if (i < REPORTED)
			log_info(NULL, "certificate %zu (%s, %s) loaded, expires in %d days", i + 1, p->type, names,
			    (int)p->days_left);
	}
	if (k->n > REPORTED)
		log_info(NULL, "%zu certificates loaded", k->n);
}

/* The load under way; all NULL: none. */
static struct {
	struct keys *all;
	size_t next;			/* source */
	bool failed;
	struct buf err;
} load;

static void
load_begin(void)
{
	load.all = x_new(struct keys);
	load.next = 0;
	load.failed = false;
	buf_init(&load.err, 500);
}

static void
load_forget(void)
{
	keys_free(load.all);
	load.all = NULL;
	buf_fini(&load.err);
}

/*
 * All or nothing: a name that fell back to the default certificate would be a
 * mistake that only clients see. Where nothing is in use yet, the good names
 * are better than none.
 */
static void
load_one(void)
{
	const char *name = sources[load.next].name;
	struct keys *k = load_group(load.next, &load.next, load.failed, &load.err);

	if (load.failed || (k && keys_append(load.all, k, span_str(name))))
		return;
	if (!k && name && !now) {
		log_error(NULL, "keys of tls_server_sni_maps not taken: %s", buf_cstr(&load.err));
		buf_reset(&load.err);
		return;
	}
	if (k)
		buf_addf(&load.err, "more than %d chains", KEYS_MAX);
	load.failed = true;
}

/* True when there are other keys than before. */
static bool
load_end(void)
{
	bool good = source_count > 0 && !load.failed;

	if (good) {
		report(load.all);
		keys_free(old);
		old = now;
		now = load.all;
		load.all = NULL;
		generation++;
	} else if (source_count) {
		log_error(NULL, "keys not taken: %s; %s", buf_cstr(&load.err),
		    now ? "the old ones stay in use" : "TLS is not offered");
	}
	load_forget();
	return good;
}

/* Keys are slow to read, and handshakes ask for signatures meanwhile: a few at a time. */
static void
on_load_time(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < LOAD_GROUPS && load.next < source_count; i++)
		load_one();
	if (load.next < source_count) {
		timer_set(&load_timer, 0);
		return;
	}
	if (load_end() && changed)
		changed();
	timer_set(&look_timer, LOOK_MS);
}

/*
 * A renewal replaces several files: what has just changed is loaded at the next
 * look, if it stays. Files that have not changed give the next ones their turn.
 */
static void
look(void *ctx)
{
	size_t end;
	bool settled = true, fresh = false;

	(void)ctx;
	if (sources_changed())
		take_sources();
	end = source_count - looked < LOOK_FILES ? source_count : looked + LOOK_FILES;
	for (size_t i = looked; i < end; i++) {
		int fd = service_open_file(sources[i].path);
		struct stamp stamp = stamp_of(fd, errno);

		close_fd(&fd);
		settled = settled && same(&stamp, &seen[i]);
		fresh = fresh || !same(&stamp, &tried[i]);
		seen[i] = stamp;
	}
	if (settled)
		looked = end == source_count ? 0 : end;
	if (settled && fresh) {
		load_begin();
		timer_set(&load_timer, 0);
	} else {
		timer_set(&look_timer, LOOK_MS);
	}
}

/* ---- ticket keys ---- */

static void
on_ticket_time(void *ctx)
{
	(void)ctx;
	tickets_rotate();
	generation++;
	if (changed)
		changed();
	timer_set(&ticket_timer, tickets_rotate_in());
}

/* ---- the interface ---- */

void
store_open(void)
{
	generation++;
	sources_open();
	take_sources();
	load_begin();
	while (load.next < source_count)
		load_one();
	(void)load_end();
	memcpy(seen, tried, source_count * sizeof(*seen));
}

void
store_start(void (*on_change)(void))
{
	changed = on_change;
	timer_init(&look_timer, look, NULL);
	timer_init(&load_timer, on_load_time, NULL);
	timer_init(&ticket_timer, on_ticket_time, NULL);
	timer_set(&look_timer, LOOK_MS);
	timer_set(&ticket_timer, tickets_rotate_in());
}

void
store_configured(void)
{
	sources_open();
	if (load.all) {
		load_forget();
		timer_clear(&load_timer);
		timer_set(&look_timer, LOOK_MS);
	}
	take_sources();			/* loaded anew by the next looks */
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

const struct keypair *
store_find(uint32_t id)
{
	const struct keypair *k = keys_find(now, id);

	return k ? k : keys_find(old, id);
}
