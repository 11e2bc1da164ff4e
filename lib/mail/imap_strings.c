/* imap_strings.c: the strings that are kept of a message, made while it is in memory. The message is a stranger's. */
#include "mail/header.h"
#include "mail/imaptext.h"

#include "base/banned.h"

#define HEADER_KEPT_MAX (8u << 10)
#define STRUCTURE_KEPT_MAX (6u << 10)
#define FRAME 5

bool
imap_header_kept(struct span name)
{
	static const char *const names[] = {
		"From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "References", "In-Reply-To", "Reply-To", "Sender",
		"Content-Type", "Priority", "X-Priority", "Importance", "List-Id", "List-Post", "List-Unsubscribe", "Newsgroups",
		"Content-Transfer-Encoding", "MIME-Version", "Auto-Submitted", "Disposition-Notification-To",
	};

	for (size_t i = 0; i < NELEMS(names); i++)
		if (span_is_nocase(name, names[i]))
			return true;
	return false;
}

static void
add_string(struct buf *out, uint8_t kind, const struct buf *string, size_t max)
{
	if (string->over || string->len > max || out->len + FRAME + string->len > IMAP_STRINGS_MAX)
		return;
	buf_addc(out, (char)kind);
	buf_add_u32(out, (uint32_t)string->len);
	buf_addspan(out, buf_span(string));
}

static void
begin(struct buf *string)
{
	buf_reset(string);
	string->over = false;
	buf_addc(string, IMAP_STRING_VERSION);
}

void
imap_header_keep(struct buf *out, struct span header)
{
	struct header_cursor c;
	struct header h;

	header_begin(&c, header);
	while (!out->over && header_next(&c, &h))
		if (imap_header_kept(h.name))
			buf_addspan(out, h.raw);
}

static void
add_header(struct span message, struct buf *out)
{
	struct buf string;

	buf_init(&string, HEADER_KEPT_MAX + 1);
	begin(&string);
	imap_header_keep(&string, message);
	add_string(out, CACHE_HEADER, &string, HEADER_KEPT_MAX);
	buf_fini(&string);
}

void
imap_strings_of_header(struct span beginning, struct buf *out)
{
	buf_reset(out);
	if (span_starts(beginning, "\n") || (beginning.n && memmem(beginning.p, beginning.n, "\n\n", 2)))
		add_header(beginning, out);
}

void
imap_strings(struct span message, struct buf *out)
{
	static const uint8_t kinds[] = { CACHE_BODY, CACHE_BODYSTRUCTURE };
	struct arena arena;
	struct buf string;
	struct mime mime;

	buf_reset(out);
	add_header(message, out);
	buf_init(&string, STRUCTURE_KEPT_MAX + 1);
	arena_init(&arena, MIME_ARENA_MAX);
	if (mime_parse(&mime, &arena, message))
		for (size_t i = 0; i < NELEMS(kinds); i++) {
			begin(&string);
			structure_print(&string, &mime, kinds[i] == CACHE_BODYSTRUCTURE);
			add_string(out, kinds[i], &string, STRUCTURE_KEPT_MAX);
		}
	arena_fini(&arena);
	buf_fini(&string);
}

bool
imap_strings_next(struct span *rest, uint8_t *kind, struct span *string)
{
	const unsigned char *p = (const unsigned char *)rest->p;
	uint32_t n;

	if (rest->n < FRAME)
		return false;
	n = p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 24;
	if (n > rest->n - FRAME)
		return false;
	*kind = p[0];
	*string = span_sub(*rest, FRAME, FRAME + n);
	*rest = span_skip(*rest, FRAME + n);
	return true;
}

bool
imap_strings_find(struct span strings, uint8_t kind, struct span *string)
{
	uint8_t k;

	while (imap_strings_next(&strings, &k, string))
		if (k == kind)
			return true;
	return false;
}
