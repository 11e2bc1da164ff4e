/*
 * scan.c: from what lies in new/ and cur/ to the folder's snapshot.
 *
 * The scan runs under the folder's lock (all our own renames do), so a file
 * that is missing is gone, and one that shows up is new. Other programs know
 * no lock: a rename that fails with ENOENT was theirs, and the next scan sees
 * the result.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mail/store/driver.h"
#include "mail/store/uidlist.h"

#include "base/banned.h"

#define UID_ADOPT_MAX 0xf0000000u	/* a name may not use the UIDs up */
#define LINES_MAX (1u << 30)		/* of one change of the list of UIDs */
#define RENAMED_MOST 200		/* of new messages under names of others: more are listed (uidlist.h) */
#define LIST_SLACK 1000			/* lines that no name needs, before the list is written anew */

/* A table from id to index in msgs: open addressing over the ids, which are hashes already. */
struct id_table {
	uint32_t *slot;			/* index + 1 */
	size_t mask;
};

struct scan {
	struct mailfolder *f;
	struct id_table known;
	uint8_t *seen;			/* of the messages that were there before */
	size_t before;
	struct mail_message *fresh;	/* not yet in the snapshot */
	size_t nfresh, cap;
	struct uidlist list;
	bool mass;			/* too many to rename them all before the folder is shown */
};

static size_t
hash_of(const struct mail_id *id, size_t mask)
{
	uint64_t h;

	memcpy(&h, id->b, sizeof(h));
	return (size_t)h & mask;
}

static void
table_init(struct id_table *t, const struct mail_message *msgs, size_t n)
{
	size_t size = 64;

	while (size < n * 2)
		size *= 2;
	t->mask = size - 1;
	t->slot = x_alloc(size * sizeof(*t->slot));
	for (size_t i = 0; i < n; i++) {
		size_t at = hash_of(&msgs[i].id, t->mask);

		if (msgs[i].flags & MFLAG_GONE)
			continue;
		while (t->slot[at])
			at = (at + 1) & t->mask;
		t->slot[at] = (uint32_t)i + 1;
	}
}

static struct mail_message *
table_find(const struct id_table *t, struct mail_message *msgs, const struct mail_id *id)
{
	for (size_t at = hash_of(id, t->mask); t->slot[at]; at = (at + 1) & t->mask)
		if (memcmp(msgs[t->slot[at] - 1].id.b, id->b, sizeof(id->b)) == 0)
			return &msgs[t->slot[at] - 1];
	return NULL;
}

static void
fresh_add(struct scan *s, const struct filename *name, const struct mail_id *id, const char *text, enum place place)
{
	struct mail_message *m;

	if (s->nfresh == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->fresh = x_realloc(s->fresh, s->cap * sizeof(*s->fresh));
	}
	m = &s->fresh[s->nfresh++];
	*m = (struct mail_message){
		.uid = name->uid, .keywords = name->keywords, .flags = name->flags,
		.size = name->has_size ? name->size : 0,
		.crlf_size = name->has_size && name->has_crlf ? name->crlf_size : 0,
		.id = *id, .name = x_strdup(text), .place = (uint8_t)place,
	};
	if (!filename_date(name->base, &m->date))
		m->date = -1;
}

static void
changed_add(struct mailfolder *f, size_t index)
{
	struct mailfolder_changes *ch = &f->changes;

	if (f->reported)
		ch->nchanged = 0;
	f->reported = false;
	if (ch->nchanged == f->cap_changed) {
		f->cap_changed = f->cap_changed ? f->cap_changed * 2 : 64;
		ch->changed = x_realloc(ch->changed, f->cap_changed * sizeof(*ch->changed));
	}
	ch->changed[ch->nchanged++] = (uint32_t)index;
}

/* A message that we know: its name may have changed. */
static void
scan_known(struct scan *s, struct mail_message *m, const struct filename *name, const char *text, enum place place)
{
	size_t index = (size_t)(m - s->f->msgs);
	uint8_t kept = m->flags & (MFLAG_RECENT | MFLAG_GONE);

	s->seen[index] = 1;
	if ((m->flags & MFLAG_ALL) != name->flags || m->keywords != name->keywords) {
		m->modseq = 0;
		changed_add(s->f, index);
	}
	m->flags = name->flags | kept;
	m->keywords = name->keywords;
	if (place == m->place && strcmp(m->name, text) == 0)
		return;
	m->place = (uint8_t)place;
	free(m->name);
	m->name = x_strdup(text);
}

static void
scan_entry(struct scan *s, const char *text, enum place place)
{
	struct mail_message *m;
	struct filename name;
	struct mail_id id;

	if (!filename_parse(span_str(text), &name) || s->before + s->nfresh >= DRIVER_MESSAGES_MAX)
		return;
	id = filename_id(name.base);
	m = table_find(&s->known, s->f->msgs, &id);
	if (m && !s->seen[m - s->f->msgs])
		scan_known(s, m, &name, text, place);
	else
		fresh_add(s, &name, &id, text, place);
}

/* Only the names of messages that we know: another session renamed one just now. */
static void
relocate_entry(struct scan *s, const char *text, enum place place)
{
	struct mail_message *m;
	struct filename name;
	struct mail_id id;

	if (!filename_parse(span_str(text), &name))
		return;
	id = filename_id(name.base);
	m = table_find(&s->known, s->f->msgs, &id);
	if (!m || (m->place == place && strcmp(m->name, text) == 0))
		return;
	m->place = (uint8_t)place;	/* new flags are for the next scan to report */
	free(m->name);
	m->name = x_strdup(text);
}

/* A second look for messages that the first one missed: readdir(3) may pass by a file that is renamed meanwhile. */
static void
missed_entry(struct scan *s, const char *text, enum place place)
{
	struct mail_message *m;
	struct filename name;
	struct mail_id id;

	if (!filename_parse(span_str(text), &name))
		return;
	id = filename_id(name.base);
	m = table_find(&s->known, s->f->msgs, &id);
	if (m && !s->seen[m - s->f->msgs])
		scan_known(s, m, &name, text, place);
}

static bool
is_file(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static bool
each_entry(struct scan *s, enum place place, void (*f)(struct scan *, const char *, enum place))
{
	char path[DRIVER_PATH_MAX];
	struct dirent *e;
	DIR *d;
	int err;

	if (!driver_path(path, s->f->dir, driver_places[place], ""))
		return false;
	d = opendir(path);
	if (!d)
		return false;
	while ((errno = 0, e = readdir(d)))
		if (e->d_type == DT_REG || (e->d_type == DT_UNKNOWN && is_file(dirfd(d), e->d_name)))
			f(s, e->d_name, place);
	err = errno;
	closedir(d);
	errno = err;
	return err == 0;
}

void
folder_relocate(struct mailfolder *f)
{
	struct scan s = { .f = f, .before = f->n };

	table_init(&s.known, f->msgs, f->n);
	for (int i = 0; i < 2; i++)
		if (!each_entry(&s, i, relocate_entry))
			break;
	free(s.known.slot);
	f->trusted = false;
}

static int
by_uid_then_age(const struct mail_message *a, const struct mail_message *b)
{
	if (a->uid != b->uid)		/* those without come last */
		return a->uid - 1 < b->uid - 1 ? -1 : 1;
	if (a->date != b->date)
		return a->date < b->date ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int
by_place(const void *a, const void *b)
{
	return by_uid_then_age(*(struct mail_message *const *)a, *(struct mail_message *const *)b);
}

/* By pointers: qsort(3) moves what it sorts many times, byte by byte. */
static void
sort_fresh(struct scan *s)
{
	struct mail_message **order, *sorted;
	size_t i = 1;

	while (i < s->nfresh && by_uid_then_age(&s->fresh[i - 1], &s->fresh[i]) <= 0)
		i++;
	if (i >= s->nfresh)
		return;
	order = x_alloc(s->nfresh * sizeof(*order));
	sorted = x_alloc(s->nfresh * sizeof(*sorted));
	for (i = 0; i < s->nfresh; i++)
		order[i] = &s->fresh[i];
	qsort(order, s->nfresh, sizeof(*order), by_place);
	for (i = 0; i < s->nfresh; i++)
		sorted[i] = *order[i];
	free(order);
	free(s->fresh);
	s->fresh = sorted;
	s->cap = s->nfresh;
}

/*
 * Take away UIDs that are not this folder's: above what it gave (copied from elsewhere), or below what this session
 * has shown. Who has none in the name may have one in the list.
 */
static void
claim_uids(struct scan *s)
{
	struct mailfolder *f = s->f;
	uint32_t shown = f->n ? f->msgs[f->n - 1].uid : 0;
	uint32_t limit = f->uids.fresh ? UID_ADOPT_MAX : f->uids.next;
	size_t without = 0;

	for (size_t i = 0; i < s->nfresh; i++) {
		struct mail_message *m = &s->fresh[i];

		if (!m->uid && m->place == PLACE_CUR && !(f->how & MAILFOLDER_PLAIN)) {
			if (!without++)
				uidlist_load(&s->list, f->dir, f->uids.uidvalidity);
			m->uid = uidlist_find(&s->list, &m->id);
		}
		if (f->how & MAILFOLDER_PLAIN || m->uid >= limit || m->uid <= shown)
			m->uid = 0;
	}
}

/* What a message needs before it can be put in its place. False: it cannot be read. */
static bool
prepare(struct scan *s, struct mail_message *m)
{
	if (m->uid)
		return true;
	return s->mass ? folder_guess_date(s->f, m) : folder_complete(s->f, m);
}

/* Drop from `fresh` what can not be read, and put the rest in order. */
static void
settle(struct scan *s)
{
	uint32_t last = 0;
	size_t n = 0;

	claim_uids(s);
	for (size_t i = 0; i < s->nfresh; i++)
		n += s->fresh[i].uid == 0;
	s->mass = n > RENAMED_MOST && !(s->f->how & MAILFOLDER_PLAIN);
	n = 0;
	for (size_t i = 0; i < s->nfresh; i++) {
		if (prepare(s, &s->fresh[i]))
			s->fresh[n++] = s->fresh[i];
		else
			free(s->fresh[i].name);
	}
	s->nfresh = n;
	sort_fresh(s);
	for (size_t i = 0; i < n; i++) {
		uint32_t uid = s->fresh[i].uid;

		if (uid && uid == last)		/* two files: the later one gets a new UID */
			s->fresh[i].uid = 0;
		last = uid;
	}
	sort_fresh(s);
	for (size_t i = 0; i < n; i++)
		if (s->fresh[i].guessed)
			s->fresh[i].date = -1;	/* the file tells it when somebody asks */
}

/* Two files of one base are two messages: the second gets a name of its own. */
static bool
rename_twin(struct mailfolder *f, struct mail_message *m, struct filename *name, struct buf *base)
{
	filename_make_base(base, folder_date(f, m));
	name->base = buf_span(base);
	name->uid = 0;
	m->uid = 0;
	m->id = filename_id(name->base);
	return folder_rename_message(f, m, name, m->place);
}

static struct mail_message *
twin_of(const struct scan *s, const struct id_table *among, size_t i)
{
	struct mail_message *first = table_find(&s->known, s->f->msgs, &s->fresh[i].id);

	if (first)			/* seen: or it would not be fresh */
		return first;
	first = table_find(among, s->fresh, &s->fresh[i].id);
	return first != &s->fresh[i] ? first : NULL;
}

/* One file that was renamed while we read the directory, and so was met under both names. */
static bool
is_renamed(struct mailfolder *f, struct mail_message *first, const struct mail_message *again)
{
	char path[DRIVER_PATH_MAX];

	if (!driver_path(path, f->dir, driver_places[first->place], first->name) || access(path, F_OK) == 0 || errno != ENOENT)
		return false;
	free(first->name);
	first->name = x_strdup(again->name);
	first->place = again->place;
	f->trusted = false;
	return true;
}

/* A second file of a base stays as a message of its own, where names may be given. */
static bool
keep_twin(struct mailfolder *f, struct mail_message *m)
{
	struct filename name;
	struct buf base;
	bool keep;

	buf_init(&base, FILENAME_MAX_);
	keep = !(f->how & MAILFOLDER_PLAIN) && filename_parse(span_str(m->name), &name) && rename_twin(f, m, &name, &base);
	buf_fini(&base);
	return keep;
}

static void
split_twins(struct scan *s)
{
	enum fate { KEEP, TWIN, DROP };
	uint8_t *fate = x_alloc(s->nfresh + 1);
	struct id_table among;
	size_t n = 0;

	table_init(&among, s->fresh, s->nfresh);
	for (size_t i = 0; i < s->nfresh; i++) {
		struct mail_message *first = twin_of(s, &among, i);

		if (first)
			fate[i] = is_renamed(s->f, first, &s->fresh[i]) ? DROP : TWIN;
	}
	for (size_t i = 0; i < s->nfresh; i++) {
		struct mail_message m = s->fresh[i];

		if (fate[i] == KEEP || (fate[i] == TWIN && keep_twin(s->f, &m)))
			s->fresh[n++] = m;
		else
			free(m.name);
	}
	s->nfresh = n;
	free(among.slot);
	free(fate);
}

/* The list of UIDs with these lines more; when most of it is of names that are gone, with those that still need it alone. */
static bool
save_list(struct scan *s, struct buf *lines)
{
	struct mailfolder *f = s->f;
	struct filename name;
	size_t needed = 0;
	bool whole;

	if (!lines->len && !lines->over)
		return true;
	for (size_t i = 0; s->list.n > LIST_SLACK && i < f->n; i++)
		needed += filename_parse(span_str(f->msgs[i].name), &name) && !name.uid;
	whole = s->list.n > 2 * needed + LIST_SLACK;
	for (size_t i = 0; whole && i < f->n; i++)
		if (filename_parse(span_str(f->msgs[i].name), &name) && !name.uid)
			uidlist_add(lines, f->msgs[i].uid, name.base);
	return uidlist_save(&s->list, f->dir, f->uids.uidvalidity, lines, whole);
}

/* One message gets its UID and its place. False: it is gone, or stays as it is. */
static bool
give_uid(struct scan *s, struct mail_message *m, uint32_t *next, struct buf *lines)
{
	struct mailfolder *f = s->f;
	bool take = m->place == PLACE_NEW && !(f->how & MAILFOLDER_READONLY);
	struct filename name;

	if (m->place == PLACE_NEW)
		m->flags |= MFLAG_RECENT;
	if (m->uid && !take)
		return true;
	if (!filename_parse(span_str(m->name), &name))
		return false;
	if (s->mass && m->place == PLACE_CUR && !name.uid) {
		m->uid = (*next)++;
		uidlist_add(lines, m->uid, name.base);
		return true;
	}
	name.uid = m->uid ? m->uid : (*next)++;
	return folder_rename_message(f, m, &name, take ? PLACE_CUR : m->place);
}

/* UIDs for those without; everything from new/ into cur/. */
static bool
give_uids(struct scan *s)
{
	struct mailfolder *f = s->f;
	uint32_t need = 0, next = 0, top = f->n ? f->msgs[f->n - 1].uid : 0;
	struct buf lines;
	size_t n = 0;
	bool ok;

	for (size_t i = 0; i < s->nfresh; i++) {
		need += s->fresh[i].uid == 0;
		top = s->fresh[i].uid > top ? s->fresh[i].uid : top;
	}
	if (!uidfile_raise(&f->uids, top + 1) || !uidfile_take(&f->uids, need, &next))
		return false;
	buf_init(&lines, LINES_MAX);
	for (size_t i = 0; i < s->nfresh; i++) {
		if (give_uid(s, &s->fresh[i], &next, &lines))
			s->fresh[n++] = s->fresh[i];
		else
			free(s->fresh[i].name);
	}
	s->nfresh = n;
	ok = save_list(s, &lines);
	buf_fini(&lines);
	return ok;
}

static void
take_fresh(struct scan *s)
{
	struct mailfolder *f = s->f;

	sort_fresh(s);
	for (size_t i = 0; i < s->nfresh; i++)
		folder_add(f, &s->fresh[i]);
}

static bool
all_seen(const struct scan *s)
{
	for (size_t i = 0; i < s->before; i++)
		if (!s->seen[i] && !(s->f->msgs[i].flags & MFLAG_GONE))
			return false;
	return true;
}

static void
mark_missing(struct scan *s)
{
	for (size_t i = 0; i < s->before; i++) {
		struct mail_message *m = &s->f->msgs[i];

		if (!s->seen[i])
			m->flags |= MFLAG_GONE;
	}
}

enum store_result
folder_scan(struct mailfolder *f)
{
	struct scan s = { .f = f, .before = f->n };
	/*
	 * Without the lock new/ comes first: what moves to cur/ meanwhile is met there. With it, cur/
	 * does: a foreign program's move is then seen by the next scan, whole.
	 */
	enum place first = f->how & MAILFOLDER_PLAIN ? PLACE_NEW : PLACE_CUR;
	bool ok;

	table_init(&s.known, f->msgs, f->n);
	s.seen = x_alloc(f->n + 1);
	ok = each_entry(&s, first, scan_entry) && each_entry(&s, first == PLACE_CUR ? PLACE_NEW : PLACE_CUR, scan_entry);
	if (ok && !all_seen(&s))
		ok = each_entry(&s, PLACE_CUR, missed_entry) && each_entry(&s, PLACE_NEW, missed_entry);
	if (ok) {
		settle(&s);
		split_twins(&s);
		ok = f->how & MAILFOLDER_PLAIN || give_uids(&s);
	}
	if (ok) {
		mark_missing(&s);
		take_fresh(&s);
		s.nfresh = 0;
	}
	for (size_t i = 0; i < s.nfresh; i++)
		free(s.fresh[i].name);
	free(s.fresh);
	free(s.known.slot);
	free(s.seen);
	uidlist_fini(&s.list);
	return ok ? STORE_OK : driver_fail(f->ms, "read", f->dir);
}
