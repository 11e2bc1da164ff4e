/* folder.c: one selected folder: open, notice changes, close. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/store/driver.h"

#include "base/banned.h"

#define RACY_US 50000		/* an mtime younger than this may hide a later change (a tick is up to 10 ms) */
#define RACY_COARSE_US 2000000	/* the same where the file system keeps whole seconds */

size_t
folder_add(struct mailfolder *f, const struct mail_message *m)
{
	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 64;
		f->msgs = x_realloc(f->msgs, f->cap * sizeof(*f->msgs));
	}
	f->msgs[f->n] = *m;
	return f->n++;
}

/* Give a file a new name, as `as` says with the sizes of m when they are known; m->name, place, uid follow. Locked. */
bool
folder_rename_message(struct mailfolder *f, struct mail_message *m, const struct filename *as, enum place to)
{
	struct filename name = *as;
	char text[FILENAME_MAX_ + 1];
	struct buf base;
	bool ok;

	buf_init(&base, FILENAME_MAX_);
	if (folder_sized(m)) {
		name.size = m->size;
		name.crlf_size = m->crlf_size;
		name.has_size = name.has_crlf = true;
	}
	if (!filename_format(&name, to == PLACE_CUR || name.has_info, text)) {
		filename_make_base(&base, folder_date(f, m));	/* a name without room: it gets one of ours */
		name.base = buf_span(&base);
		name.extra[0] = '\0';
		m->id = filename_id(name.base);
		if (!filename_format(&name, to == PLACE_CUR || name.has_info, text)) {
			buf_fini(&base);
			return false;
		}
	}
	buf_fini(&base);
	ok = driver_rename(f->dir, m->place, m->name, to, text);
	if (ok) {
		free(m->name);
		m->name = x_strdup(text);
		m->place = (uint8_t)to;
		m->uid = name.uid;
	}
	return ok;
}

static bool
stat_places(const char *dir, struct timespec mtime[2])
{
	for (int i = 0; i < 2; i++) {
		char path[DRIVER_PATH_MAX];
		struct stat st;

		if (!driver_path(path, dir, driver_places[i], "") || stat(path, &st) < 0)
			return false;
		mtime[i] = st.st_mtim;
	}
	return true;
}

static uint64_t
timespec_us(const struct timespec *ts)
{
	return ts->tv_sec < 0 ? 0 : (uint64_t)ts->tv_sec * 1000000 + (uint64_t)ts->tv_nsec / 1000;
}

/* Would any change from now on give another mtime? As git does with its index. */
static bool
old_enough(const struct timespec mtime[2])
{
	uint64_t now = driver_now_us();

	for (int i = 0; i < 2; i++) {
		uint64_t guard = mtime[i].tv_nsec ? RACY_US : RACY_COARSE_US;

		if (timespec_us(&mtime[i]) + guard > now)
			return false;
	}
	return true;
}

static bool
same_mtimes(const struct timespec a[2], const struct timespec b[2])
{
	for (int i = 0; i < 2; i++)
		if (a[i].tv_sec != b[i].tv_sec || a[i].tv_nsec != b[i].tv_nsec)
			return false;
	return true;
}

/* \Recent is for the first session that sees a message (RFC 3501 2.3.2), however it has come. */
static void
take_recent(struct mailfolder *f)
{
	struct uidfile *u = &f->uids;

	/* of a mailbox that others have kept until now, what is in cur/ has been seen */
	for (size_t i = mailfolder_find(f, u->recent); i < f->n && !u->fresh; i++)
		f->msgs[i].flags |= MFLAG_RECENT;
	if (f->how & MAILFOLDER_READONLY || u->recent == u->next)
		return;
	u->recent = u->next;
	u->unsaved = true;
}

enum store_result
folder_catch_up(struct mailfolder *f)
{
	struct timespec mtime[2];
	enum store_result r;
	bool plain = f->how & MAILFOLDER_PLAIN, locked = f->uids.locked;

	if (f->trusted) {
		if (!stat_places(f->dir, mtime))
			return driver_fail(f->ms, "stat", f->dir);
		if (same_mtimes(mtime, f->mtime))
			return STORE_OK;
	}
	if (!plain && !uidfile_lock(&f->uids, f->dir))
		return driver_fail(f->ms, "lock", f->dir);
	keywords_load(f);
	if (f->uidvalidity && f->uidvalidity != f->uids.uidvalidity) {
		errno = ESTALE;		/* merpati-uid was lost: what this session has shown means nothing any more */
		r = driver_fail(f->ms, "UIDVALIDITY of", f->dir);
	} else if (!stat_places(f->dir, mtime)) {
		r = driver_fail(f->ms, "stat", f->dir);
	} else {
		f->trusted = old_enough(mtime);
		memcpy(f->mtime, mtime, sizeof(mtime));
		r = folder_scan(f);
		if (r == STORE_OK && !plain)
			take_recent(f);
		if (r == STORE_OK && !plain && !folder_number(f))
			r = driver_fail(f->ms, "number", f->dir);
		f->trusted = f->trusted && r == STORE_OK;
		f->indexed = false;
	}
	if (!locked)
		uidfile_unlock(&f->uids);
	return r;
}

/* A folder without its messages: for locks, UIDs and keywords. */
struct mailfolder *
folder_new(struct mailstore *ms, struct span name, unsigned how, enum store_result *r)
{
	struct mailfolder *f;
	struct buf dir;

	*r = mailstore_exists(ms, name);
	if (*r != STORE_OK)
		return NULL;
	f = x_new(struct mailfolder);
	buf_init(&dir, DRIVER_PATH_MAX);
	foldername_dir(ms->path, name, &dir);
	f->ms = ms;
	f->dir = x_spandup(buf_span(&dir));
	f->name = x_spandup(foldername_is_inbox(name) ? SPAN("INBOX") : name);
	f->how = how;
	f->watch = -1;
	f->fresh_view = true;
	f->tracked = how & MAILFOLDER_TRACK;
	uidfile_init(&f->uids);
	f->uids.root = ms->path;
	buf_fini(&dir);
	return f;
}

struct mailfolder *
mailfolder_open(struct mailstore *ms, struct span name, unsigned how, enum store_result *r)
{
	struct mailfolder *f = folder_new(ms, name, how, r);

	if (!f)
		return NULL;
	if (!(how & MAILFOLDER_PLAIN) && index_load_folder(f))
		f->fresh_view = false;
	if (f->uids.recent < f->uids.next)
		f->trusted = false;	/* some are for this session to take */
	*r = folder_catch_up(f);
	if (*r != STORE_OK) {
		folder_free(f);
		return NULL;
	}
	f->uidvalidity = f->uids.uidvalidity;
	f->fresh_view = false;
	f->changes.nchanged = 0;
	ms->wants_index = ms->wants_index || f->n >= INDEX_LEAST;
	if (!(how & MAILFOLDER_PLAIN))
		arrivals_look(ms, f->dir);
	for (size_t i = f->n; i-- > 0;) {	/* what the index still held */
		if (f->msgs[i].flags & MFLAG_GONE) {
			free(f->msgs[i].name);
			memmove(&f->msgs[i], &f->msgs[i + 1], (f->n - i - 1) * sizeof(*f->msgs));
			f->n--;
		}
	}
	f->told = f->n;
	f->told_modseq = f->modseq;
	f->uidnext = f->uids.next;
	return f;
}

void
folder_free(struct mailfolder *f)
{
	uidfile_close(&f->uids);
	close_fd(&f->watch);
	for (size_t i = 0; i < f->n; i++)
		free(f->msgs[i].name);
	keywords_free(f);
	free(f->changes.expunged);
	free(f->changes.changed);
	free(f->msgs);
	free(f->name);
	free(f->dir);
	free(f);
}

void
mailfolder_close(struct mailfolder *f)
{
	if (!f)
		return;
	if (f->how & MAILFOLDER_PLAIN)
		folder_note_sizes(f);
	else
		index_save_folder(f);
	folder_free(f);
}

/* ---- the snapshot ---- */
const char *
mailfolder_name(const struct mailfolder *f)
{
	return f->name;
}

size_t
mailfolder_count(const struct mailfolder *f)
{
	return f->n;
}

const struct mail_message *
mailfolder_messages(const struct mailfolder *f)
{
	return f->msgs;
}

int64_t
mailfolder_date(struct mailfolder *f, size_t index)
{
	return folder_date(f, &f->msgs[index]);
}

size_t
mailfolder_find(const struct mailfolder *f, uint32_t uid)
{
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (f->msgs[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint32_t
mailfolder_uidvalidity(const struct mailfolder *f)
{
	return f->uidvalidity;
}

uint32_t
mailfolder_uidnext(const struct mailfolder *f)
{
	return f->uidnext;
}

uint64_t
mailfolder_id(const struct mailfolder *f)
{
	return f->uids.id;
}

uint64_t
mailfolder_highestmodseq(const struct mailfolder *f)
{
	return f->told_modseq;
}

/* Take the gone ones out of the snapshot, from the end, as EXPUNGE reports them. */
static void
drop_gone(struct mailfolder *f)
{
	struct mailfolder_changes *ch = &f->changes;
	size_t gone = 0, to = 0;

	for (size_t i = 0; i < f->n; i++)
		gone += (f->msgs[i].flags & MFLAG_GONE) != 0;
	if (!gone)
		return;
	if (gone > f->cap_expunged) {
		f->cap_expunged = gone;
		ch->expunged = x_realloc(ch->expunged, gone * sizeof(*ch->expunged));
	}
	for (size_t i = 0; i < f->n; i++) {
		struct mail_message *m = &f->msgs[i];

		if (m->flags & MFLAG_GONE) {
			ch->expunged[gone - ++ch->nexpunged] = (struct mail_expunged){ (uint32_t)i, m->uid };
			free(m->name);
			continue;
		}
		f->msgs[to++] = *m;
	}
	f->n = to;
}

/* `changed` was noted with the indexes of before: bring it to the present ones, ascending. */
static int
by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
renumber_changed(struct mailfolder *f)
{
	struct mailfolder_changes *ch = &f->changes;
	size_t k = ch->nexpunged, to = 0;

	if (!ch->nchanged)
		return;
	qsort(ch->changed, ch->nchanged, sizeof(*ch->changed), by_number);
	for (size_t i = 0; i < ch->nchanged; i++) {
		uint32_t old = ch->changed[i];

		if (i + 1 < ch->nchanged && ch->changed[i + 1] == old)
			continue;	/* changed twice */
		while (k > 0 && ch->expunged[k - 1].index < old)
			k--;
		if (k > 0 && ch->expunged[k - 1].index == old)
			continue;
		ch->changed[to++] = old - (uint32_t)(ch->nexpunged - k);
	}
	ch->nchanged = to;
}

static bool
nothing_gone(const struct mailfolder *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->msgs[i].flags & MFLAG_GONE)
			return false;
	return true;
}

enum store_result
mailfolder_refresh(struct mailfolder *f, bool expunge, struct mailfolder_changes *ch)
{
	enum store_result r;
	char events[4096];

	if (f->reported)
		f->changes.nchanged = 0;
	f->changes.nexpunged = 0;
	while (f->watch >= 0 && read(f->watch, events, sizeof(events)) > 0)
		continue;
	r = f->how & MAILFOLDER_PLAIN ? STORE_OK : folder_catch_up(f);
	f->changes.arrived = (uint32_t)(f->n - f->told);
	if (f->changes.arrived && !(f->how & MAILFOLDER_PLAIN))
		arrivals_look(f->ms, f->dir);
	if (expunge)
		drop_gone(f);
	if (r == STORE_OK && nothing_gone(f))
		f->told_modseq = f->modseq;
	renumber_changed(f);
	f->told = f->n;
	f->reported = true;
	*ch = f->changes;
	return r;
}

int
mailfolder_watch(struct mailfolder *f)
{
	if (f->watch >= 0)
		return f->watch;
	f->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	for (int i = 0; i < 2 && f->watch >= 0; i++) {
		char path[DRIVER_PATH_MAX];

		if (!driver_path(path, f->dir, driver_places[i], "") ||
		    inotify_add_watch(f->watch, path, IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR) < 0)
			close_fd(&f->watch);
	}
	f->trusted = false;		/* what came before the watch */
	return f->watch;
}
