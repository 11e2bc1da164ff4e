/* adopt.c: messages of another store into a folder, some dozens at a time. File names in the folder are the owner's: checked. */
#include "mail/store/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "mail/store/driver.h"
#include "mail/store/popid.h"

#include "base/banned.h"

#define BATCH 64			/* messages under one lock and one sync of the folder */
#define JOURNAL "merpati-imported"
#define JOURNAL_MAX (768u << 20)	/* 33 bytes a message */
#define ID_DIGITS (2 * sizeof(struct mail_id))
#define BLOCK 65536
#define UID_MOST 0xf0000000u		/* a list may not use the UIDs up */

struct known {
	struct mail_id id;
	uint8_t place;
	char *name;			/* NULL: in the journal alone */
};

struct waiting {
	char *tmp, *base, *extra, *keywords, *pop_id;
	struct mail_id id;
	uint32_t uid;
	uint8_t flags;
	bool fresh;
	uint64_t size, crlf_size;
};

struct mailadopt {
	struct mailstore *ms;
	struct mailfolder *to;		/* without messages */
	uint32_t uidvalidity, reserved;	/* of the source; 0: its UIDs mean nothing here */
	int journal;
	struct known *known;
	size_t nknown, cap;
	struct waiting batch[BATCH];
	size_t n;
	struct adopt_count count;
};

/* ---- what is there ---- */

static int
by_id(const void *a, const void *b)
{
	const struct known *x = a, *y = b;
	int r = memcmp(x->id.b, y->id.b, sizeof(x->id.b));

	return r ? r : (y->name != NULL) - (x->name != NULL);	/* files first */
}

static void
known_add(struct mailadopt *a, const struct mail_id *id, enum place place, const char *name)
{
	if (a->nknown == a->cap) {
		a->cap = a->cap ? 2 * a->cap : 256;
		a->known = x_realloc(a->known, a->cap * sizeof(*a->known));
	}
	a->known[a->nknown++] = (struct known){ .id = *id, .place = (uint8_t)place, .name = name ? x_strdup(name) : NULL };
}

static const struct known *
known_find(const struct mailadopt *a, const struct mail_id *id)
{
	size_t low = 0, high = a->nknown;

	while (low < high) {		/* the first one of equals */
		size_t mid = low + (high - low) / 2;

		if (memcmp(a->known[mid].id.b, id->b, sizeof(id->b)) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < a->nknown && memcmp(a->known[low].id.b, id->b, sizeof(id->b)) == 0 ? &a->known[low] : NULL;
}

static void
known_forget(struct mailadopt *a)
{
	for (size_t i = 0; i < a->nknown; i++)
		free(a->known[i].name);
	a->nknown = 0;
}

static bool
read_place(struct mailadopt *a, enum place place)
{
	char path[DRIVER_PATH_MAX];
	struct filename name;
	struct dirent *e;
	DIR *d;

	if (!driver_path(path, a->to->dir, driver_places[place], ""))
		return false;
	d = opendir(path);
	while (d && a->nknown < DRIVER_MESSAGES_MAX && (e = readdir(d))) {
		struct mail_id id;

		if (!filename_parse(span_str(e->d_name), &name))
			continue;
		id = filename_id(name.base);
		known_add(a, &id, place, e->d_name);
	}
	if (d)
		closedir(d);
	return d != NULL;
}

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
parse_id(struct span line, struct mail_id *id)
{
	if (line.n != ID_DIGITS)
		return false;
	for (size_t i = 0; i < sizeof(id->b); i++) {
		int high = digit(line.p[2 * i]), low = digit(line.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		id->b[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* ---- the journal ---- */

static bool
parse_head(struct mailadopt *a, struct span line)
{
	struct span word[4];
	uint32_t validity, reserved;
	size_t n = 0;

	while (n < NELEMS(word) && span_word(&line, " ", &word[n]))
		n++;
	if (n != 4 || !span_is(word[0], JOURNAL) || !span_is(word[1], "1") || !span_u32(word[2], 0, UINT32_MAX, &validity) ||
	    !span_u32(word[3], 0, UINT32_MAX, &reserved))
		return false;
	a->reserved = validity == a->uidvalidity ? reserved : 0;
	return true;
}

/* False: there is no head. */
static bool
read_journal(struct mailadopt *a, const struct buf *text)
{
	struct span rest = buf_span(text), line;
	struct mail_id id;

	if (!text->len || !span_cut(&rest, '\n', &line) || !parse_head(a, line))
		return false;
	while (rest.n && span_cut(&rest, '\n', &line))
		if (parse_id(line, &id))
			known_add(a, &id, PLACE_CUR, NULL);
	return true;
}

/* The first time: the source's UIDs become this folder's, when it has given none of its own. The promise is made before it is kept. */
static bool
write_head(struct mailadopt *a, uint32_t uidnext)
{
	struct buf head;
	bool ok;

	a->reserved = a->uidvalidity && a->to->uids.next == 1 ? uidnext : 0;
	buf_init(&head, 100);
	buf_addf(&head, JOURNAL " 1 %u %u\n", a->uidvalidity, a->reserved);
	ok = ftruncate(a->journal, 0) == 0 && write_all(a->journal, head.p, head.len) && fsync(a->journal) == 0 &&
	    fsync_dir(AT_FDCWD, a->to->dir);
	buf_fini(&head);
	return ok;
}

static bool
open_journal(struct mailadopt *a, uint32_t uidnext)
{
	char path[DRIVER_PATH_MAX];
	struct buf text;
	bool ok;

	if (!driver_path(path, a->to->dir, JOURNAL, ""))
		return false;
	a->journal = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	buf_init(&text, JOURNAL_MAX);
	ok = a->journal >= 0 && read_fd(a->journal, &text) && (read_journal(a, &text) || write_head(a, uidnext));
	buf_fini(&text);
	if (ok && a->reserved && a->to->uids.next == 1)
		ok = uidfile_adopt(&a->to->uids, a->uidvalidity, a->reserved);
	return ok;
}

static bool
note_batch(struct mailadopt *a)
{
	struct buf text;
	bool ok;

	buf_init(&text, BATCH * (ID_DIGITS + 1));
	for (size_t i = 0; i < a->n; i++) {
		for (size_t k = 0; k < sizeof(a->batch[i].id.b); k++)
			buf_addf(&text, "%02x", a->batch[i].id.b[k]);
		buf_addc(&text, '\n');
	}
	ok = write_all(a->journal, text.p, text.len) && fsync(a->journal) == 0;
	buf_fini(&text);
	return ok;
}

/* ---- begin, end ---- */

static void
waiting_free(struct waiting *w)
{
	if (w->tmp)
		unlink(w->tmp);
	free(w->tmp);
	free(w->base);
	free(w->extra);
	free(w->keywords);
	free(w->pop_id);
	*w = (struct waiting){ 0 };
}

struct mailadopt *
mailadopt_begin(struct mailstore *ms, struct span folder, uint32_t uidvalidity, uint32_t uidnext, enum store_result *r)
{
	struct mailadopt *a;
	struct mailfolder *to;

	*r = mailstore_create(ms, folder);
	if (*r != STORE_OK && *r != STORE_EXISTS)
		return NULL;
	to = folder_new(ms, folder, 0, r);
	if (!to)
		return NULL;
	a = x_new(struct mailadopt);
	a->ms = ms;
	a->to = to;
	a->journal = -1;
	a->uidvalidity = uidvalidity = uidnext > UID_MOST ? 0 : uidvalidity;
	if (!read_place(a, PLACE_CUR) || !read_place(a, PLACE_NEW) || !uidfile_lock(&to->uids, to->dir) ||
	    !open_journal(a, uidnext)) {
		*r = driver_fail(ms, "prepare", to->dir);
		mailadopt_end(a);
		return NULL;
	}
	if (to->uids.uidvalidity != uidvalidity)
		a->uidvalidity = a->reserved = 0;
	uidfile_unlock(&to->uids);
	if (a->nknown)
		qsort(a->known, a->nknown, sizeof(*a->known), by_id);
	return a;
}

bool
mailadopt_keeps_uids(const struct mailadopt *a)
{
	return a->uidvalidity != 0;
}

const struct adopt_count *
mailadopt_count(const struct mailadopt *a)
{
	return &a->count;
}

void
mailadopt_end(struct mailadopt *a)
{
	for (size_t i = 0; i < a->n; i++)
		waiting_free(&a->batch[i]);
	known_forget(a);
	free(a->known);
	close_fd(&a->journal);
	folder_free(a->to);
	free(a);
}

/* ---- one message ---- */

/* Into tmp/, durable, as old as it was. */
static bool
copy_content(int from, const char *path, int64_t date)
{
	static char block[BLOCK];
	struct timespec times[2] = { { .tv_sec = date }, { .tv_sec = date } };
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), err;
	off_t at = 0;
	ssize_t got = 0;
	bool ok = fd >= 0;

	while (ok && (got = pread(from, block, sizeof(block), at)) > 0) {
		ok = write_all(fd, block, (size_t)got);
		at += got;
	}
	ok = ok && got == 0 && futimens(fd, times) == 0 && fsync(fd) == 0;
	err = errno;
	close_fd(&fd);
	errno = err;
	return ok;
}

static bool
prepare_message(struct mailadopt *a, struct waiting *w, const struct adopt_message *m)
{
	char path[DRIVER_PATH_MAX], name[FILENAME_MAX_ + 8];

	snprintf(name, sizeof(name), "I%.*s", SPAN_FMT(m->base));
	if (!driver_path(path, a->to->dir, "tmp", name))
		return false;
	unlink(path);			/* of a run that was interrupted */
	w->tmp = x_strdup(path);
	w->base = x_spandup(m->base);
	w->extra = x_spandup(m->extra);
	w->keywords = x_spandup(m->keywords);
	w->pop_id = x_spandup(m->pop_id);
	w->id = filename_id(m->base);
	w->uid = m->uid;
	w->flags = m->flags & MFLAG_ALL;
	w->fresh = m->fresh;
	return copy_content(m->fd, path, m->date) && driver_measure(path, 0, &w->size, &w->crlf_size);
}

enum adopt_answer
mailadopt_add(struct mailadopt *a, const struct adopt_message *m)
{
	struct mail_id id = filename_id(m->base);
	const struct known *k = known_find(a, &id);
	struct filename parsed;

	if (k)
		return k->name ? ADOPT_THERE : ADOPT_REMOVED;
	if (!filename_parse(m->base, &parsed) || parsed.base.n != m->base.n || m->extra.n > FILENAME_MAX_) {
		errno = EINVAL;
		driver_fail(a->ms, "name", a->to->dir);
		return ADOPT_FAILED;
	}
	if (a->n == BATCH && mailadopt_flush(a) != STORE_OK)
		return ADOPT_FAILED;
	if (!prepare_message(a, &a->batch[a->n], m)) {
		driver_fail(a->ms, "copy to", a->to->dir);
		waiting_free(&a->batch[a->n]);
		return ADOPT_FAILED;
	}
	a->n++;
	return ADOPT_TAKEN;
}

/* ---- many at once. Locked. ---- */

static void
set_keywords(struct mailadopt *a, const char *keywords, struct filename *name)
{
	struct span rest = span_str(keywords), word;

	while (span_word(&rest, " ", &word))
		if (!keywords_add(a->to, word, name))
			a->count.keywords++;
}

/* Below what was reserved it is the source's own; above, it must be higher than all that were given. */
static bool
choose_uid(struct mailadopt *a, struct waiting *w)
{
	struct uidfile *u = &a->to->uids;

	if (!a->uidvalidity || (w->uid >= a->reserved && w->uid < u->next)) {
		a->count.renumbered += w->uid != 0;
		w->uid = 0;
	}
	return w->uid < u->next || uidfile_raise(u, w->uid + 1);
}

/* A name has 255 bytes: what others wrote into it goes first, then POP3's id. */
static bool
format_name(struct mailadopt *a, const struct waiting *w, struct filename *name, bool info, char out[FILENAME_MAX_ + 1])
{
	for (int without = 0; without < 3; without++) {
		snprintf(name->extra, sizeof(name->extra), "%s", without > 0 ? "" : w->extra);
		if (*w->pop_id && (without == 2 || !popid_add(name, span_str(w->pop_id)))) {
			if (without < 2)
				continue;
			a->count.pop_ids++;
		}
		if (filename_format(name, info, out))
			return true;
	}
	errno = ENAMETOOLONG;
	return false;
}

static bool
place_message(struct mailadopt *a, struct waiting *w)
{
	struct filename name = { .base = span_str(w->base), .has_size = true, .has_crlf = true, .size = w->size,
	    .crlf_size = w->crlf_size, .flags = w->flags };
	char text[FILENAME_MAX_ + 1], path[DRIVER_PATH_MAX];
	enum place place;

	if (!choose_uid(a, w))
		return false;
	name.uid = w->uid;
	set_keywords(a, w->keywords, &name);
	place = w->fresh && !w->uid && !name.flags && !name.keywords ? PLACE_NEW : PLACE_CUR;
	if (!format_name(a, w, &name, place == PLACE_CUR, text) ||
	    !driver_path(path, a->to->dir, driver_places[place], text) || rename(w->tmp, path) < 0)
		return false;
	x_free(&w->tmp);
	return true;
}

static bool
sync_places(struct mailadopt *a)
{
	char path[DRIVER_PATH_MAX];

	for (int i = 0; i < 2; i++)
		if (!driver_path(path, a->to->dir, driver_places[i], "") || !fsync_dir(AT_FDCWD, path))
			return false;
	return true;
}

enum store_result
mailadopt_flush(struct mailadopt *a)
{
	struct quotafile q = { .fd = -1 };
	enum store_result r = STORE_OK;
	int64_t bytes = 0, placed = 0;
	bool counted;

	if (a->n == 0)
		return STORE_OK;
	if (!uidfile_lock(&a->to->uids, a->to->dir))
		return driver_fail(a->ms, "lock", a->to->dir);
	keywords_load(a->to);
	counted = quota_open(a->ms, &q);
	if (counted)
		quotafile_change(&q);
	for (; (size_t)placed < a->n && place_message(a, &a->batch[placed]); placed++)
		bytes += (int64_t)a->batch[placed].size;
	if ((size_t)placed < a->n)
		r = driver_fail(a->ms, "place", a->batch[placed].base);
	quotafile_close(&q, bytes, placed);
	uidfile_unlock(&a->to->uids);
	if (r == STORE_OK && (!sync_places(a) || !note_batch(a)))
		r = driver_fail(a->ms, "sync", a->to->dir);
	for (size_t i = 0; i < a->n; i++)
		waiting_free(&a->batch[i]);
	a->n = 0;
	return r;
}

int
mailadopt_read(struct mailadopt *a, struct span base)
{
	struct mail_id id = filename_id(base);
	char path[DRIVER_PATH_MAX];

	for (int tries = 0; tries < 2; tries++) {
		const struct known *k = known_find(a, &id);

		if (k && k->name && driver_path(path, a->to->dir, driver_places[k->place], k->name)) {
			int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

			if (fd >= 0)
				return fd;
		}
		if (tries == 0) {	/* it has come since, or a session has renamed it */
			known_forget(a);
			if (!read_place(a, PLACE_CUR) || !read_place(a, PLACE_NEW))
				return -1;
			if (a->nknown)
				qsort(a->known, a->nknown, sizeof(*a->known), by_id);
		}
	}
	return -1;
}
