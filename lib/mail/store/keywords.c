/*
 * keywords.c: what the letters a to z in a folder's file names mean. The file
 * dovecot-keywords ("0 $Label1" a line, 0 is the letter a) is shared with
 * Dovecot, so that a mailbox can move between the two. Written by others:
 * a bad line is skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/store/driver.h"

#include "base/banned.h"

#define KEYWORDS_FILE "dovecot-keywords"
#define KEYWORDS_FILE_MAX 16384

/* An IMAP atom (RFC 9051 9: flag-keyword), so that the file stays one line a keyword. */
static bool
keyword_valid(struct span name)
{
	if (name.n == 0 || name.n > MAILSTORE_KEYWORD_MAX || !span_printable(name))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (strchr("(){ %*\"\\]", name.p[i]))
			return false;
	return true;
}

void
keywords_free(struct mailfolder *f)
{
	for (size_t i = 0; i < MAILSTORE_KEYWORDS; i++)
		x_free(&f->keywords[i]);
}

void
keywords_load(struct mailfolder *f)
{
	char path[DRIVER_PATH_MAX];
	struct span rest, line, number;
	struct stat st;
	struct buf b;
	uint32_t n;

	if (!driver_path(path, f->dir, KEYWORDS_FILE, "") || stat(path, &st) < 0)
		return;
	if (st.st_mtim.tv_sec == f->keywords_mtime.tv_sec && st.st_mtim.tv_nsec == f->keywords_mtime.tv_nsec)
		return;
	buf_init(&b, KEYWORDS_FILE_MAX);
	if (read_regular_file(AT_FDCWD, path, &b)) {
		keywords_free(f);
		f->keywords_mtime = st.st_mtim;
		rest = buf_span(&b);
		while (span_cut(&rest, '\n', &line)) {
			if (!span_cut(&line, ' ', &number) || !span_u32(number, 0, MAILSTORE_KEYWORDS - 1, &n))
				continue;
			line = span_trim(line.p ? line : SPAN_NONE);
			if (!f->keywords[n] && keyword_valid(line))
				f->keywords[n] = x_spandup(line);
		}
	}
	buf_fini(&b);
}

static int
find(const struct mailfolder *f, struct span name)
{
	for (int i = 0; i < MAILSTORE_KEYWORDS; i++)
		if (f->keywords[i] && span_eq_nocase(span_str(f->keywords[i]), name))
			return i;
	return -1;
}

static bool
save(struct mailfolder *f)
{
	char path[DRIVER_PATH_MAX];
	struct stat st;
	struct buf b;
	bool ok;

	buf_init(&b, KEYWORDS_FILE_MAX);
	for (int i = 0; i < MAILSTORE_KEYWORDS; i++)
		if (f->keywords[i])
			buf_addf(&b, "%d %s\n", i, f->keywords[i]);
	ok = driver_path(path, f->dir, KEYWORDS_FILE, "") && replace_file(AT_FDCWD, path, buf_span(&b), 0600);
	if (ok && stat(path, &st) == 0)
		f->keywords_mtime = st.st_mtim;
	buf_fini(&b);
	return ok;
}

int
keywords_letter(struct mailfolder *f, struct span name, bool create)
{
	int letter = find(f, name);
	bool locked = f->uids.locked;

	if (letter >= 0 || !create || !keyword_valid(name))
		return letter;
	if (!uidfile_lock(&f->uids, f->dir))
		return -1;
	keywords_load(f);
	letter = find(f, name);
	for (int i = 0; i < MAILSTORE_KEYWORDS && letter < 0; i++) {
		if (f->keywords[i])
			continue;
		f->keywords[i] = x_spandup(name);
		if (save(f))
			letter = i;
		else
			x_free(&f->keywords[i]);
		break;
	}
	if (!locked)
		uidfile_unlock(&f->uids);
	return letter;
}

bool
mailstore_is_forwarded(struct span name)
{
	return span_is_nocase(name, "$Forwarded");
}

bool
keywords_add(struct mailfolder *f, struct span keyword, struct filename *name)
{
	int letter;

	if (mailstore_is_forwarded(keyword)) {
		name->flags |= MFLAG_FORWARDED;
		return true;
	}
	letter = keywords_letter(f, keyword, true);
	if (letter < 0)
		return false;
	name->keywords |= 1u << letter;
	return true;
}

bool
keywords_translate(struct mailfolder *from, struct mailfolder *to, uint32_t bits, struct filename *name)
{
	for (unsigned i = 0; i < MAILSTORE_KEYWORDS; i++)	/* a letter without a name means nothing elsewhere */
		if (bits >> i & 1 && from->keywords[i] && !keywords_add(to, span_str(from->keywords[i]), name))
			return false;
	return true;
}

const char *
mailfolder_keyword_name(const struct mailfolder *f, unsigned n)
{
	return n < MAILSTORE_KEYWORDS ? f->keywords[n] : NULL;
}

int
mailfolder_keyword(struct mailfolder *f, struct span name, bool create)
{
	return keywords_letter(f, name, create);
}
