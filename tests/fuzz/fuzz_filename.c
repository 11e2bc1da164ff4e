/* Maildir file names and folder names: what is parsed formats to a name that parses to the same. */
#include <stdlib.h>

#include "mail/store/filename.h"
#include "mail/store/foldername.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
same(const struct filename *a, const struct filename *b)
{
	if (!span_eq(a->base, b->base) || a->uid != b->uid || a->flags != b->flags || a->keywords != b->keywords ||
	    a->unknown != b->unknown || a->has_size != b->has_size || a->has_crlf != b->has_crlf ||
	    (a->has_size && a->size != b->size) || (a->has_crlf && a->crlf_size != b->crlf_size) ||
	    strcmp(a->extra, b->extra) != 0)
		abort();
}

static void
check_folder(struct span s)
{
	struct span name;
	struct buf dir, entry;

	if (mailstore_name_check(s) != STORE_OK)
		return;
	if (memchr(s.p, '/', s.n) || memchr(s.p, 0, s.n) || s.n > MAILSTORE_NAME_MAX)
		abort();
	buf_init(&dir, 4096);
	buf_init(&entry, 4096);
	foldername_dir("M", s, &dir);
	if (dir.over || (dir.len > 1 && (memcmp(dir.p, "M/.", 3) != 0 || dir.p[3] == '.')))
		abort();
	buf_addc(&entry, '.');
	buf_addspan(&entry, s);
	if (!foldername_is_inbox(s) && (!foldername_of_entry(buf_span(&entry), &name) || !span_eq(name, s)))
		abort();
	buf_fini(&dir);
	buf_fini(&entry);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span s = span_of(n ? (const char *)data : "", n);
	struct filename a, b;
	char text[FILENAME_MAX_ + 1], again[FILENAME_MAX_ + 1];
	int64_t date;

	check_folder(s);
	if (!filename_parse(s, &a))
		return 0;
	filename_date(a.base, &date);
	filename_id(a.base);
	if (!filename_format(&a, true, text))
		return 0;
	if (!filename_parse(span_str(text), &b))
		abort();
	same(&a, &b);
	if (!filename_format(&b, true, again) || strcmp(text, again) != 0)
		abort();
	return 0;
}
