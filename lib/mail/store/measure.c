/*
 * measure.c: sizes and dates that the name of a file does not tell: looked up when somebody asks, since thousands of
 * files that came at once would be thousands of files to read.
 */
#include <errno.h>
#include <sys/stat.h>

#include "mail/store/driver.h"

#include "base/banned.h"

#define DATE_MAX 253402300799	/* the year 9999 */

static bool
look(const struct mailfolder *f, const struct mail_message *m, char path[DRIVER_PATH_MAX], struct stat *st)
{
	return driver_path(path, f->dir, driver_places[m->place], m->name) && lstat(path, st) == 0 && S_ISREG(st->st_mode);
}

static bool
take_date(const struct mailfolder *f, struct mail_message *m)
{
	char path[DRIVER_PATH_MAX];
	struct stat st;

	if (!look(f, m, path, &st))
		return false;
	m->date = st.st_mtime < 0 ? 0 : st.st_mtime;
	return true;
}

static bool
take_sizes(const struct mailfolder *f, struct mail_message *m)
{
	char path[DRIVER_PATH_MAX];
	struct stat st;

	return look(f, m, path, &st) && driver_measure(path, (uint64_t)st.st_size, &m->size, &m->crlf_size);
}

bool
folder_sized(const struct mail_message *m)
{
	return m->crlf_size > 0 || m->measured;
}

/* All that the name could tell. False: not a file of ours to read, or gone. */
bool
folder_complete(struct mailfolder *f, struct mail_message *m)
{
	if (m->date < 0 && !take_date(f, m))
		return false;
	if (folder_sized(m))
		return true;
	m->measured = true;
	return take_sizes(f, m);
}

/* For the order of UIDs alone: names begin with the second of the delivery, whoever made them. */
bool
folder_guess_date(struct mailfolder *f, struct mail_message *m)
{
	const char *p = m->name;
	int64_t v = 0;

	if (m->date >= 0)
		return true;
	while (*p >= '0' && *p <= '9' && v < DATE_MAX)
		v = v * 10 + (*p++ - '0');
	m->guessed = p > m->name && *p == '.';
	if (!m->guessed)
		return take_date(f, m);
	m->date = v;
	return true;
}

int64_t
folder_date(struct mailfolder *f, struct mail_message *m)
{
	if (m->date >= 0 || take_date(f, m))
		return m->date;
	folder_relocate(f);
	if (!take_date(f, m))
		m->date = 0;		/* gone: no more looks at the whole folder for it */
	return m->date;
}

uint64_t
folder_bytes(struct mailfolder *f, const struct mail_message *m)
{
	char path[DRIVER_PATH_MAX];
	struct stat st;

	return m->size ? m->size : look(f, m, path, &st) ? (uint64_t)st.st_size : 0;
}

uint64_t
mailfolder_size(struct mailfolder *f, size_t index)
{
	struct mail_message *m = &f->msgs[index];

	if (folder_sized(m))
		return m->crlf_size;
	if (!(m->flags & MFLAG_GONE) && !take_sizes(f, m)) {
		folder_relocate(f);
		if (!take_sizes(f, m))
			m->size = m->crlf_size = 0;	/* gone: no more looks at the whole folder for it */
	}
	m->measured = true;
	f->indexed = false;		/* the index is to know it too */
	return m->crlf_size;
}

/*
 * A maildrop that gives no UIDs writes the sizes into the names of what stays, when it is closed; others
 * do it with the UID. Who cannot rename measures again.
 */
void
folder_note_sizes(struct mailfolder *f)
{
	struct filename name;

	for (size_t i = 0; i < f->n; i++) {
		struct mail_message *m = &f->msgs[i];

		if (!m->measured || m->flags & MFLAG_GONE || !filename_parse(span_str(m->name), &name))
			continue;
		m->measured = false;
		if (!folder_rename_message(f, m, &name, m->place) && errno != ENOENT)
			return;
	}
}
