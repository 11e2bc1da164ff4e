/*
 * objectid.c: what stays of a message when it is copied: its identity (RFC 8474), in a field E= of the copy's name; and when
 * it came into this folder (RFC 8514), in D= of a copy, whose file is as old as the first one's. Names are not trusted.
 */
#include "mail/store/objectid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"

#include "base/banned.h"

#define ID_DIGITS (2 * sizeof(struct mail_id))

bool
objectid_field(const struct filename *name, const char *key, struct span *value)
{
	struct span rest = span_str(name->extra), field;

	while (span_cut(&rest, ',', &field)) {
		if (span_starts(field, key)) {
			*value = span_skip(field, strlen(key));
			return true;
		}
	}
	return false;
}

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
parse_id(struct span text, struct mail_id *id)
{
	if (text.n != ID_DIGITS)
		return false;
	for (size_t i = 0; i < sizeof(id->b); i++) {
		int high = digit(text.p[2 * i]), low = digit(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		id->b[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

struct mail_id
objectid_of(const struct filename *name)
{
	struct mail_id id;
	struct span text;

	return objectid_field(name, "E=", &text) && parse_id(text, &id) ? id : filename_id(name->base);
}

void
objectid_copy(const struct filename *from, struct filename *to)
{
	struct mail_id id = objectid_of(from);
	size_t n = 0;

	n += (size_t)snprintf(to->extra, sizeof(to->extra), ",E=");
	for (size_t i = 0; i < sizeof(id.b); i++)
		n += (size_t)snprintf(to->extra + n, sizeof(to->extra) - n, "%02x", id.b[i]);
	snprintf(to->extra + n, sizeof(to->extra) - n, ",D=%llu", (unsigned long long)clock_wall());
}

struct mail_id
mailfolder_email_id(const struct mailfolder *f, size_t index)
{
	struct filename name;

	return filename_parse(span_str(f->msgs[index].name), &name) ? objectid_of(&name) : f->msgs[index].id;
}

int64_t
mailfolder_save_date(struct mailfolder *f, size_t index)
{
	for (int tries = 0; tries < 2; tries++) {
		const struct mail_message *m = &f->msgs[index];
		char path[DRIVER_PATH_MAX];
		struct filename name;
		struct span text;
		struct stat st;
		uint64_t v;

		if (filename_parse(span_str(m->name), &name) && objectid_field(&name, "D=", &text) &&
		    span_u64(text, 0, UINT32_MAX * 8ull, &v))
			return (int64_t)v;
		if (driver_path(path, f->dir, driver_places[m->place], m->name) && lstat(path, &st) == 0)
			return st.st_mtime < 0 ? 0 : st.st_mtime;
		folder_relocate(f);
	}
	return -1;
}
