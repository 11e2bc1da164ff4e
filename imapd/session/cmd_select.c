/* cmd_select.c: SELECT, EXAMINE, CLOSE, UNSELECT, STATUS. */
#include "list.h"
#include "modseq.h"

#include "base/banned.h"

static uint32_t
sum_keywords(const struct mailfolder *f)
{
	uint32_t sum = 1;

	for (unsigned n = 0; n < MAILSTORE_KEYWORDS; n++)
		for (const char *p = mailfolder_keyword_name(f, n); p && *p; p++)
			sum = (sum ^ (unsigned char)*p ^ n << 8) * 16777619;	/* FNV */
	return sum;
}

/* FLAGS lists what is known here; PERMANENTFLAGS what may be set, new keywords included (\*) */
void
session_tell_keywords(struct session *s)
{
	uint32_t sum = sum_keywords(s->folder);
	struct buf names;

	if (sum == s->told_keywords)
		return;
	s->told_keywords = sum;
	buf_init(&names, 8192);
	buf_adds(&names, "\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded");
	for (unsigned n = 0; n < MAILSTORE_KEYWORDS; n++) {
		const char *name = mailfolder_keyword_name(s->folder, n);

		if (name && !mailstore_is_forwarded(span_str(name)))
			buf_addf(&names, " %s", name);
	}
	stream_putf(&s->io, "* FLAGS (%s)\r\n", buf_cstr(&names));
	if (s->readonly)
		stream_puts(&s->io, "* OK [PERMANENTFLAGS ()] Read-only\r\n");
	else
		stream_putf(&s->io, "* OK [PERMANENTFLAGS (%s \\*)] Limited\r\n", buf_cstr(&names));
	buf_fini(&names);
}

static void
tell_folder(struct session *s)
{
	const struct mail_message *m = mailfolder_messages(s->folder);
	size_t count = mailfolder_count(s->folder), unseen = 0, recent = 0;
	char id[MAILBOXID_MAX];

	for (size_t i = 0; i < count; i++) {
		recent += (m[i].flags & MFLAG_RECENT) != 0;
		if (unseen == 0 && !(m[i].flags & MFLAG_SEEN))
			unseen = i + 1;
	}
	s->told_keywords = 0;
	session_tell_keywords(s);
	stream_putf(&s->io, "* %zu EXISTS\r\n", count);
	if (!(s->enabled & ENABLED_REV2))	/* RFC 9051 E: RECENT and UNSEEN are no more */
		stream_putf(&s->io, "* %zu RECENT\r\n", recent);
	if (unseen && !(s->enabled & (ENABLED_REV2 | ENABLED_UIDONLY)))
		stream_putf(&s->io, "* OK [UNSEEN %zu] First unseen\r\n", unseen);
	stream_putf(&s->io, "* OK [UIDVALIDITY %u] UIDs valid\r\n* OK [UIDNEXT %u] Predicted next UID\r\n",
	    mailfolder_uidvalidity(s->folder), mailfolder_uidnext(s->folder));
	print_mailboxid(mailfolder_id(s->folder), id);
	stream_putf(&s->io, "* OK [MAILBOXID (%s)] Identity\r\n", id);
	stream_putf(&s->io, "* OK [HIGHESTMODSEQ %llu] Highest\r\n", (unsigned long long)mailfolder_highestmodseq(s->folder));
}

struct reply
cmd_select(struct session *s, struct command *c)
{
	enum store_result r = STORE_BADNAME;
	struct modseq_select q;
	struct span name;
	unsigned how;
	bool ok;

	if (!parse_space(&c->args) || !parse_mailbox(&c->args, &name, &ok) || !modseq_parse_select(&c->args, s, &q) ||
	    !parse_end(&c->args))
		return reply_bad(c);
	if (s->folder)
		stream_puts(&s->io, "* OK [CLOSED] Previous mailbox is closed\r\n");
	session_close_folder(s);	/* even when this one fails (RFC 9051 6.3.2) */
	if (q.condstore)
		modseq_enable(s);
	s->readonly = span_is(span_str(c->row->name), "EXAMINE");
	how = (s->readonly ? MAILFOLDER_READONLY : 0) | (s->enabled & ENABLED_CONDSTORE ? MAILFOLDER_TRACK : 0);
	if (ok)
		s->folder = mailfolder_open(s->ms, name, how, &r);
	if (!s->folder)
		return reply_store(r);
	s->state = IN_SELECTED;
	tell_folder(s);
	if (s->enabled & ENABLED_REV2)		/* RFC 9051 6.3.2 */
		list_tell(s, "", name, c->args.raw_name);
	modseq_resync(s, &q);
	return (struct reply){ REPLY_OK, s->readonly ? "READ-ONLY" : "READ-WRITE", "Selected" };
}

/* CLOSE removes what is \Deleted without a word, UNSELECT does not (RFC 9051 6.4.1, 6.4.2) */
struct reply
cmd_close(struct session *s, struct command *c)
{
	enum store_result r = STORE_OK;
	const char *code = NULL;
	size_t count, n = 0;
	uint32_t *index;

	if (!parse_end(&c->args))
		return reply_bad(c);
	s->must_tell = true;
	if (s->enabled & ENABLED_QRESYNC)
		session_sync(s, true);	/* or HIGHESTMODSEQ would cover what the client was not told */
	count = mailfolder_count(s->folder);
	if (span_is(span_str(c->row->name), "CLOSE") && !s->readonly && s->state != IN_LOGOUT) {
		index = arena_try(&s->arena, (count + 1) * sizeof(*index));
		for (size_t i = 0; index && i < count; i++)
			if ((session_message(s, i)->flags & (MFLAG_DELETED | MFLAG_GONE)) == MFLAG_DELETED)
				index[n++] = (uint32_t)i;
		if (n)
			r = mailfolder_expunge(s->folder, index, n);
		if (n && s->enabled & ENABLED_QRESYNC)
			code = modseq_code(s);
	}
	if (s->state != IN_LOGOUT)
		session_close_folder(s);
	return r == STORE_OK ? (struct reply){ REPLY_OK, code, "Closed" } : reply_store(r);
}

static uint64_t st_messages(const struct mailstore_status *st) { return st->messages; }
static uint64_t st_recent(const struct mailstore_status *st) { return st->recent; }
static uint64_t st_uidnext(const struct mailstore_status *st) { return st->uidnext; }
static uint64_t st_uidvalidity(const struct mailstore_status *st) { return st->uidvalidity; }
static uint64_t st_unseen(const struct mailstore_status *st) { return st->unseen; }
static uint64_t st_deleted(const struct mailstore_status *st) { return st->deleted; }
static uint64_t st_modseq(const struct mailstore_status *st) { return st->highestmodseq; }
static uint64_t st_id(const struct mailstore_status *st) { return st->id; }
static uint64_t st_size(const struct mailstore_status *st) { return st->size; }
static uint64_t st_deleted_storage(const struct mailstore_status *st) { return st->deleted_size; }

static const struct {
	const char *name;
	uint64_t (*get)(const struct mailstore_status *st);
} status_items[] = {
	{ "MESSAGES", st_messages },
	{ "RECENT", st_recent },
	{ "UIDNEXT", st_uidnext },
	{ "UIDVALIDITY", st_uidvalidity },
	{ "UNSEEN", st_unseen },
	{ "DELETED", st_deleted },
	{ "SIZE", st_size },
	{ "DELETED-STORAGE", st_deleted_storage },	/* RFC 9208 */
	{ "HIGHESTMODSEQ", st_modseq },
	{ "MAILBOXID", st_id },		/* RFC 8474 */
	{ "APPENDLIMIT", NULL },	/* RFC 7889: the same of all folders */
};

static void
print_item(struct buf *out, size_t item, const struct mailstore_status *st, uint64_t limit)
{
	uint64_t value = status_items[item].get ? status_items[item].get(st) : limit;
	char id[MAILBOXID_MAX];

	print_mailboxid(value, id);
	if (status_items[item].get == st_id)
		buf_addf(out, "%s (%s)", status_items[item].name, id);
	else
		buf_addf(out, "%s %llu", status_items[item].name, (unsigned long long)value);
}

/* What costs more than a look at the names. */
static unsigned
wanted(uint32_t items)
{
	unsigned want = 0;

	for (size_t i = 0; i < NELEMS(status_items); i++) {
		uint64_t (*get)(const struct mailstore_status *st) = status_items[i].get;

		if (!(items & 1u << i))
			continue;
		want |= get == st_modseq ? STATUS_MODSEQ : 0;
		want |= get == st_size || get == st_deleted_storage ? STATUS_SIZES : 0;
	}
	return want;
}

bool
status_parse(struct parser *p, uint32_t *items)
{
	struct span word;
	size_t i;

	*items = 0;
	if (!parse_char(p, '('))
		return false;
	do {
		if (!parse_atom(p, &word))
			return false;
		for (i = 0; i < NELEMS(status_items); i++)
			if (span_is_nocase(word, status_items[i].name))
				break;
		if (i == NELEMS(status_items))
			return parse_fail(p, "Unknown STATUS item");
		*items |= 1u << i;
	} while (parse_try(p, ' '));
	return parse_char(p, ')');
}

uint32_t
status_item(const char *name)
{
	for (size_t i = 0; i < NELEMS(status_items); i++)
		if (!strcmp(name, status_items[i].name))
			return 1u << i;
	return 0;
}

void
status_print(struct session *s, struct span name, uint32_t items, const struct mailstore_status *st)
{
	uint64_t limit = s->message_max < UINT32_MAX ? s->message_max : UINT32_MAX;
	const char *gap = "";
	struct buf out;

	buf_init(&out, 8192);
	buf_adds(&out, "* STATUS ");
	print_mailbox(s, &out, name);
	buf_adds(&out, " (");
	for (size_t i = 0; i < NELEMS(status_items); i++) {
		if (!(items & 1u << i))
			continue;
		buf_adds(&out, gap);
		print_item(&out, i, st, limit);
		gap = " ";
	}
	buf_adds(&out, ")\r\n");
	stream_putspan(&s->io, buf_span(&out));
	buf_fini(&out);
}

enum store_result
status_tell(struct session *s, struct span name, uint32_t items)
{
	struct mailstore_status st;
	unsigned want = wanted(items);
	enum store_result r;

	if (want & STATUS_MODSEQ)	/* to ask for it makes the server tell MODSEQ from then on (RFC 7162 3.1) */
		modseq_enable(s);
	r = mailstore_status(s->ms, name, want, &st);
	if (r == STORE_OK)
		status_print(s, name, items, &st);
	return r;
}

struct reply
cmd_status(struct session *s, struct command *c)
{
	enum store_result r;
	struct span name;
	uint32_t items;
	bool ok;

	if (!parse_space(&c->args) || !parse_mailbox(&c->args, &name, &ok) || !parse_space(&c->args) ||
	    !status_parse(&c->args, &items) || !parse_end(&c->args))
		return reply_bad(c);
	r = ok ? status_tell(s, name, items) : STORE_BADNAME;
	return r == STORE_OK ? reply_ok("Status completed") : reply_store(r);
}
