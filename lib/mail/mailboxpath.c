/* mailboxpath.c: paths of virtual mailboxes. They come from the operator's tables and from other daemons. */
#include "mail/mailboxpath.h"

#include "base/banned.h"

#define PART_MAX 255

static bool
ends_with_slash(struct span s)
{
	return s.n > 1 && s.p[s.n - 1] == '/';
}

struct span
mailboxpath_dir(struct span mailbox)
{
	return ends_with_slash(mailbox) ? span_sub(mailbox, 0, mailbox.n - 1) : mailbox;
}

const char *
mailboxpath_inside(struct span mailbox)
{
	return ends_with_slash(mailbox) ? "." : "Maildir";
}

bool
mailboxpath_valid(struct span mailbox)
{
	struct span rest = mailboxpath_dir(mailbox), part;

	if (rest.n == 0 || mailbox.n > MAILBOXPATH_MAX)
		return false;
	for (size_t i = 0; i < rest.n; i++)
		if ((unsigned char)rest.p[i] < ' ' || rest.p[i] == 0x7f)
			return false;
	while (span_cut(&rest, '/', &part))
		if (part.n == 0 || part.n > PART_MAX || part.p[0] == '.')
			return false;
	return true;
}

bool
mailboxpath_maildir(struct span mailbox, struct buf *path)
{
	if (!mailboxpath_valid(mailbox))
		return false;
	buf_addspan(path, mailboxpath_dir(mailbox));
	if (!ends_with_slash(mailbox))
		buf_adds(path, "/Maildir");
	return !path->over;
}

bool
mailboxpath_of_value(struct span value, struct buf *mailbox, struct buf *why)
{
	size_t start = mailbox->len;

	value = span_trim(value);
	if (!ends_with_slash(value)) {
		if (why)
			buf_addf(why, "\"%.*s\" is not a Maildir: write a directory below virtual_mailbox_base with / at its end; "
			    "users of the users table need no entry", SPAN_FMT(value));
		return false;
	}
	if (value.n > 9 && span_ends_nocase(value, "/Maildir/") && span_is(span_skip(value, value.n - 9), "/Maildir/"))
		value.n -= 9;
	buf_addspan(mailbox, value);
	if (!mailbox->over && mailboxpath_valid(value))
		return true;
	buf_truncate(mailbox, start);
	if (why)
		buf_addf(why, "\"%.*s\" is not a path below virtual_mailbox_base: no / at its start, no part that begins with a dot, at most %d bytes",
		    SPAN_FMT(value), MAILBOXPATH_MAX);
	return false;
}
