/* foldername.c: names of folders come from clients: what could leave the Maildir or confuse a reader is refused. */
#include "mail/store/foldername.h"

#include "base/banned.h"

bool
foldername_is_inbox(struct span name)
{
	return span_is_nocase(name, "INBOX");
}

/* Well-formed UTF-8 (RFC 3629) without C0, C1 and DEL. */
static bool
utf8_clean(struct span s)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i];
		unsigned more = c < 0x80 ? 0 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
		uint32_t v = more == 0 ? c : c & (0x3fu >> more);

		if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || s.n - i <= more)
			return false;
		for (unsigned k = 1; k <= more; k++) {
			unsigned char d = (unsigned char)s.p[i + k];

			if ((d & 0xc0) != 0x80)
				return false;
			v = v << 6 | (d & 0x3f);
		}
		if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
			return false;
		if (v < 0x20 || (v >= 0x7f && v <= 0x9f) || v == 0x2028 || v == 0x2029)
			return false;
		i += more + 1;
	}
	return true;
}

/* No level is empty (so no "..", no leading or final dot), a '/' or a blank at an end. */
static bool
levels_clean(struct span name)
{
	struct span rest = name, level;
	unsigned depth = 0;

	while (span_cut(&rest, MAILSTORE_SEPARATOR, &level)) {
		if (level.n == 0 || span_find(level, '/') >= 0 || span_trim(level).n != level.n)
			return false;
		if (++depth > MAILSTORE_DEPTH_MAX)
			return false;
	}
	return true;
}

enum store_result
mailstore_name_check(struct span name)
{
	/* names that other programs could take for the Maildir's own parts */
	static const char *const reserved[] = { "cur", "new", "tmp" };

	if (name.n == 0 || name.n > MAILSTORE_NAME_MAX || name.p[0] == '~')
		return STORE_BADNAME;
	if (!levels_clean(name) || !utf8_clean(name))
		return STORE_BADNAME;
	for (size_t i = 0; i < NELEMS(reserved); i++)
		if (span_is(name, reserved[i]))
			return STORE_BADNAME;
	return STORE_OK;
}

void
foldername_dir(const char *maildir, struct span name, struct buf *out)
{
	buf_reset(out);
	buf_adds(out, maildir);
	if (!foldername_is_inbox(name)) {
		buf_adds(out, "/.");
		buf_addspan(out, name);
	}
}

bool
foldername_of_entry(struct span entry, struct span *name)
{
	if (entry.n < 2 || entry.p[0] != '.')
		return false;
	*name = span_skip(entry, 1);
	return mailstore_name_check(*name) == STORE_OK && !foldername_is_inbox(*name);
}

bool
foldername_is_below(struct span name, struct span parent)
{
	return name.n > parent.n && name.p[parent.n] == MAILSTORE_SEPARATOR && span_eq(span_sub(name, 0, parent.n), parent);
}
