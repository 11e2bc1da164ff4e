/* mboxread.c: one pass over the file, one over each message. Lines are found by memchr; nothing is copied but the message itself. */
#include "mail/mboxread.h"

#include <time.h>

#include "mail/header.h"

#include "base/banned.h"

#define INTERNAL "FOLDER INTERNAL DATA"	/* in the subject of what the c-client library keeps at the beginning */

static struct span
cut_line(struct span *rest)
{
	ssize_t lf = span_find(*rest, '\n');
	size_t n = lf < 0 ? rest->n : (size_t)lf + 1;
	struct span line = span_sub(*rest, 0, n);

	*rest = span_skip(*rest, n);
	return line;
}

static bool
is_blank(struct span line)
{
	return line.n == 0 || line.p[0] == '\n' || (line.n >= 2 && line.p[0] == '\r' && line.p[1] == '\n');
}

bool
mbox_read(struct span *rest, struct mbox_message *m)
{
	struct span line = SPAN_NONE, before = SPAN_NONE;
	const char *start;

	while (rest->n && !span_starts(line = cut_line(rest), "From "))
		continue;
	if (!span_starts(line, "From "))
		return false;
	m->from = span_trim(span_skip(line, 5));
	start = rest->p;
	m->raw = span_of(start, 0);
	while (rest->n) {
		struct span ahead = *rest;

		line = cut_line(&ahead);
		if (before.p && is_blank(before) && span_starts(line, "From "))
			break;
		if (!before.p && span_starts(line, "From "))
			break;		/* a message of nothing */
		before = line;
		*rest = ahead;
	}
	m->raw.n = (size_t)(rest->p - start);
	if (before.p && before.n && is_blank(before) && m->raw.n >= before.n)
		m->raw.n -= before.n;
	return true;
}

/* ---- notes of other programs ---- */

void
mbox_notes_init(struct mbox_notes *n)
{
	*n = (struct mbox_notes){ .date = -1 };
	buf_init(&n->keywords, MBOX_KEYWORDS_MAX);
}

void
mbox_notes_fini(struct mbox_notes *n)
{
	buf_fini(&n->keywords);
}

static void
note_letters(struct mbox_notes *n, struct span value)
{
	for (size_t i = 0; i < value.n; i++) {
		n->seen |= value.p[i] == 'R';
		n->old |= value.p[i] == 'O';
		n->answered |= value.p[i] == 'A';
		n->flagged |= value.p[i] == 'F';
		n->deleted |= value.p[i] == 'D';
		n->draft |= value.p[i] == 'T';
	}
}

static void
note_keywords(struct mbox_notes *n, struct span value)
{
	struct span word;

	while (span_word(&value, " \t\r\n", &word)) {
		size_t len = n->keywords.len;

		if (len)
			buf_addc(&n->keywords, ' ');
		buf_addspan(&n->keywords, word);
		if (n->keywords.over) {
			buf_truncate(&n->keywords, len);
			return;
		}
	}
}

static void
note_uid(struct mbox_notes *n, struct span value)
{
	uint32_t uid;

	if (span_u32(span_trim(value), 1, UINT32_MAX - 1, &uid))
		n->uid = uid;
}

/* "1700000000 0000000042 $Label1 $Label2": keywords of the file as a whole are of no interest */
static void
note_base(struct mbox_notes *n, struct span value)
{
	uint32_t validity, last;
	struct span word;

	if (span_word(&value, " \t\r\n", &word) && span_u32(word, 1, UINT32_MAX, &validity) &&
	    span_word(&value, " \t\r\n", &word) && span_u32(word, 0, UINT32_MAX - 1, &last)) {
		n->uidvalidity = validity;
		n->uidlast = last;
	}
}

static void
note_internal(struct mbox_notes *n, struct span value)
{
	note_base(n, value);
	n->internal = true;
}

static void
note_nothing(struct mbox_notes *n, struct span value)
{
	(void)n;
	(void)value;
}

static const struct {
	const char *name;
	void (*note)(struct mbox_notes *n, struct span value);
} fields[] = {
	{ "Status", note_letters },
	{ "X-Status", note_letters },
	{ "X-Keywords", note_keywords },
	{ "X-UID", note_uid },
	{ "X-IMAPbase", note_base },
	{ "X-IMAP", note_internal },
	{ "Content-Length", note_nothing },
};

/* Is it one for the programs, and not for the readers? */
static bool
take_note(struct mbox_notes *n, const struct header *h)
{
	for (size_t i = 0; i < NELEMS(fields); i++) {
		if (!span_is_nocase(h->name, fields[i].name))
			continue;
		fields[i].note(n, h->value);
		return true;
	}
	return false;
}

/* "ann@example.org Wed Nov  1 12:00:00 2023", perhaps with a zone behind the time or the year */
static int64_t
date_of(struct span from)
{
	static const char *const months = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct span word, rest = from;
	struct tm tm = { 0 };
	uint32_t day, year, clock[3];
	const char *month = NULL;

	while (span_word(&rest, " \t", &word)) {
		struct span time;
		size_t n = 0;

		month = word.n == 3 ? memmem(months, 36, word.p, 3) : NULL;
		if (!month || (month - months) % 3 != 0 || !span_word(&rest, " \t", &word) || !span_u32(word, 1, 31, &day) ||
		    !span_word(&rest, " \t", &time))
			continue;
		while (n < 3 && span_cut(&time, ':', &word) && span_u32(word, 0, n == 0 ? 23 : 60, &clock[n]))
			n++;
		if (n < 2)
			return -1;
		while (span_word(&rest, " \t", &word))
			if (word.n == 4 && span_u32(word, 1970, 9999, &year)) {
				tm = (struct tm){ .tm_year = (int)year - 1900, .tm_mon = (int)(month - months) / 3, .tm_mday = (int)day,
					.tm_hour = (int)clock[0], .tm_min = (int)clock[1], .tm_sec = n > 2 ? (int)clock[2] : 0 };
				return timegm(&tm);
			}
		return -1;
	}
	return -1;
}

static bool
is_quoted(struct span line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] == '>')
		n++;
	return n > 0 && span_starts(span_skip(line, n), "From ");
}

static void
add_line(struct buf *out, struct span line)
{
	buf_addspan(out, is_quoted(line) ? span_skip(line, 1) : line);
}

void
mbox_take(const struct mbox_message *m, struct buf *out, struct mbox_notes *n)
{
	bool pseudo = false;
	struct header_cursor c;
	struct span rest;
	struct header h;

	n->date = date_of(m->from);
	header_begin(&c, m->raw);
	while (header_next(&c, &h)) {
		pseudo |= span_is_nocase(h.name, "Subject") && memmem(h.value.p, h.value.n, INTERNAL, strlen(INTERNAL)) != NULL;
		if (!take_note(n, &h))
			add_line(out, h.raw);
	}
	n->internal = n->internal && pseudo;
	rest = span_skip(m->raw, c.at);		/* the blank line too */
	while (rest.n)
		add_line(out, cut_line(&rest));
}
