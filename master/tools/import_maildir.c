/* import_maildir.c: a Maildir of Dovecot, Courier or Merpati, read as its owner; its files may be anything, links too. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "common/tool.h"
#include "import.h"
#include "mail/store/courierkeywords.h"
#include "mail/store/filename.h"
#include "mail/store/popid.h"
#include "mail/store/uidfile.h"
#include "mail/store/uidlist.h"
#include "mail/store/foreignlist.h"
#include "utf7.h"
#include "base/banned.h"

#define MESSAGES_MAX (16u << 20)	/* in one folder */
#define SMALL_FILE_MAX (4u << 20)
#define KEYWORD_FILES_MAX (1u << 20)	/* of messages whose keywords Courier has not put into its list yet */

struct message {
	char *name;
	struct filename parsed;
	bool fresh;
	unsigned twin;			/* the how manieth of this base */
	uint32_t uid;
	const struct foreignlist_entry *entry;
};

struct folder {
	const struct import_source *s;
	int dir;
	bool inbox;
	struct message *messages;
	size_t n, cap;
	struct foreignlist list;
	struct buf list_text, pop_text;
	char *keywords[MAILSTORE_KEYWORDS];	/* of Dovecot, by the letter in a name */
	struct courierkeywords courier;
	bool ours;			/* UIDs are in the names, or in own_list */
	struct uidlist own_list;
};

/* ---- small files ---- */

static bool
read_small(int dir, const char *name, size_t max, struct buf *text)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool ok;

	buf_init(text, max);
	ok = fd >= 0 && read_fd(fd, text);
	close_fd(&fd);
	return ok;
}

/* Folders have names in modified UTF-7 there; what is none stays as it is. */
static void
decode_name(struct span name, struct buf *out)
{
	buf_reset(out);
	if (utf7_decode(out, name))
		return;
	buf_reset(out);
	buf_addspan(out, name);
}

static void
read_keywords(struct folder *f)
{
	struct span rest, line, number;
	struct buf text;
	uint32_t n;

	if (read_small(f->dir, "dovecot-keywords", SMALL_FILE_MAX, &text)) {
		rest = buf_span(&text);
		while (rest.n && span_cut(&rest, '\n', &line))
			if (span_cut(&line, ' ', &number) && line.n && span_u32(number, 0, MAILSTORE_KEYWORDS - 1, &n) && !f->keywords[n])
				f->keywords[n] = x_spandup(span_trim(line));
	}
	buf_fini(&text);
}

static void
read_courier_keywords(struct folder *f)
{
	int fd = openat(f->dir, "courierimapkeywords", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	unsigned files = 0;
	struct dirent *e;
	struct buf text;

	courierkeywords_init(&f->courier);
	while (d && files++ < KEYWORD_FILES_MAX && (e = readdir(d))) {
		bool list = strcmp(e->d_name, COURIERKEYWORDS_LIST) == 0;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (!read_small(fd, e->d_name, list ? COURIERKEYWORDS_MAX : SMALL_FILE_MAX, &text))
			import_tell(f->s->link, IMPORT_WARNING, "a file of Courier's keywords cannot be read: %s", strerror(errno));
		else if (list)
			courierkeywords_read_list(&f->courier, buf_span(&text));
		else
			courierkeywords_read_file(&f->courier, span_str(e->d_name), buf_span(&text));
		buf_fini(&text);
	}
	if (d)
		closedir(d);
	courierkeywords_sort(&f->courier);
}

/* UIDs: of Merpati itself when it has been here, else of Dovecot, else of Courier. */
static void
read_uids(struct folder *f)
{
	static const char *const lists[] = { "dovecot-uidlist", "courierimapuiddb" };
	struct uidfile u;

	foreignlist_init(&f->list);
	buf_init(&f->list_text, 0);
	buf_init(&f->pop_text, 0);
	uidfile_init(&u);
	if (fchdir(f->dir) == 0 && uidfile_peek(".", &u)) {
		f->ours = true;
		f->list.uidvalidity = u.uidvalidity;
		f->list.uidnext = u.next;
		uidlist_load(&f->own_list, ".", u.uidvalidity);
		return;
	}
	for (size_t i = 0; i < NELEMS(lists); i++) {
		buf_fini(&f->list_text);
		if (read_small(f->dir, lists[i], FOREIGNLIST_MAX, &f->list_text)) {
			if (foreignlist_read_dovecot(&f->list, buf_span(&f->list_text)))
				break;
			import_tell(f->s->link, IMPORT_WARNING, "%s is damaged", lists[i]);
		} else if (errno != ENOENT) {
			tool_fail(EX_NOINPUT, "%s/%s: %s", f->s->path, lists[i], strerror(errno));
		}
	}
	if (f->inbox && read_small(f->dir, "courierpop3dsizelist", FOREIGNLIST_MAX, &f->pop_text) &&
	    !foreignlist_read_courier_pop(&f->list, buf_span(&f->pop_text)))
		import_tell(f->s->link, IMPORT_WARNING, "courierpop3dsizelist is of an unknown version");
	foreignlist_sort(&f->list);
}

/* ---- messages ---- */

static uint32_t
own_uid(const struct folder *f, const struct filename *name)
{
	struct mail_id id = filename_id(name->base);

	return name->uid ? name->uid : uidlist_find(&f->own_list, &id);
}

static void
add_message(struct folder *f, const char *name, bool fresh)
{
	struct message *m;
	struct span key = span_str(name);
	ssize_t colon = span_find(key, ':');

	if (f->n == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 256;
		f->messages = x_realloc(f->messages, f->cap * sizeof(*f->messages));
	}
	m = &f->messages[f->n];
	*m = (struct message){ .name = x_strdup(name), .fresh = fresh };
	if (!filename_parse(span_str(m->name), &m->parsed)) {
		import_tell(f->s->link, IMPORT_LOST, "a file whose name cannot be a message's");
		free(m->name);
		return;
	}
	m->entry = foreignlist_find(&f->list, colon < 0 ? key : span_sub(key, 0, (size_t)colon));
	m->uid = f->ours ? own_uid(f, &m->parsed) : m->entry ? m->entry->uid : 0;
	f->n++;
}

static void
read_place(struct folder *f, const char *place)
{
	int fd = openat(f->dir, place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!d)
		tool_fail(EX_NOINPUT, "%s: %s of a folder: %s", f->s->path, place, strerror(errno));
	while ((errno = 0, e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (f->n >= MESSAGES_MAX)
			tool_fail(EX_DATAERR, "%s: more than %u messages in a folder", f->s->path, MESSAGES_MAX);
		add_message(f, e->d_name, strcmp(place, "new") == 0);
	}
	if (errno)
		tool_fail(EX_IOERR, "%s: %s of a folder: %s", f->s->path, place, strerror(errno));
	closedir(d);
}

static int
by_base(const void *pa, const void *pb)
{
	const struct message *a = pa, *b = pb;
	int r = span_cmp(a->parsed.base, b->parsed.base);

	return r ? r : strcmp(a->name, b->name);
}

static int
by_uid(const void *pa, const void *pb)
{
	const struct message *a = pa, *b = pb;

	if (a->uid != b->uid)		/* those without come last */
		return a->uid - 1 < b->uid - 1 ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Two files of one base are two messages. */
static void
sort_messages(struct folder *f)
{
	if (f->n)
		qsort(f->messages, f->n, sizeof(*f->messages), by_base);
	for (size_t i = 1; i < f->n; i++)
		if (span_eq(f->messages[i].parsed.base, f->messages[i - 1].parsed.base)) {
			f->messages[i].twin = f->messages[i - 1].twin + 1;
			f->messages[i].entry = NULL;	/* what the list says is of the first one */
			f->messages[i].uid = 0;
		}
	if (f->n)
		qsort(f->messages, f->n, sizeof(*f->messages), by_uid);
}

static void
add_keywords(const struct folder *f, const struct message *m, struct buf *out)
{
	ssize_t colon = span_find(span_str(m->name), ':');
	struct span key = span_str(m->name);

	for (unsigned i = 0; i < MAILSTORE_KEYWORDS; i++)
		if (m->parsed.keywords >> i & 1 && f->keywords[i])
			buf_addf(out, "%s%s", out->len ? " " : "", f->keywords[i]);
	if (out->len == 0 && !f->ours)
		buf_addspan(out, courierkeywords_find(&f->courier, colon < 0 ? key : span_sub(key, 0, (size_t)colon)));
}

static bool
is_compressed(int fd)
{
	unsigned char head[4] = { 0 };

	return pread(fd, head, sizeof(head), 0) == sizeof(head) && ((head[0] == 0x1f && head[1] == 0x8b) ||
	    memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0 || memcmp(head, "BZh", 3) == 0);
}

static int
open_message(const struct folder *f, const struct message *m, struct stat *st)
{
	char path[FILENAME_MAX_ + 8];
	const char *why = NULL;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", m->fresh ? "new" : "cur", m->name);
	fd = openat(f->dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, st) < 0)
		why = errno == ENOENT ? "was renamed or removed meanwhile; run again" : strerror(errno);
	else if (!S_ISREG(st->st_mode))
		why = "not a file";
	else if (is_compressed(fd))
		why = "compressed: have Dovecot write it out plain first (doveadm, without mail_compress)";
	if (why) {
		import_tell(f->s->link, IMPORT_LOST, "%s: %s", path, why);
		close_fd(&fd);
	}
	return fd;
}

static void
make_pop_id(const struct folder *f, const struct message *m, struct buf *out)
{
	struct buf own;

	buf_init(&own, MAILSTORE_POP_ID_MAX + 1);
	if (f->inbox && m->entry && !popid_of(&m->parsed, &own))
		foreignlist_pop_id(&f->list, m->entry, f->s->pop_format, out);
	buf_fini(&own);
}

static void
send_message(const struct folder *f, const struct message *m)
{
	struct buf base, keywords, pop, number[3];
	struct stat st;
	int fd = open_message(f, m, &st);

	if (fd < 0)
		return;
	buf_init(&base, 2 * FILENAME_MAX_);
	buf_init(&keywords, 8192);
	buf_init(&pop, 1000);
	for (size_t i = 0; i < NELEMS(number); i++)
		buf_init(&number[i], 32);
	buf_addspan(&base, m->parsed.base);
	if (m->twin)
		buf_addf(&base, ".%u", m->twin + 1);
	add_keywords(f, m, &keywords);
	make_pop_id(f, m, &pop);
	buf_addf(&number[0], "%u", m->uid);
	buf_addf(&number[1], "%u", m->parsed.flags);
	buf_addf(&number[2], "%lld", (long long)(st.st_mtime < 0 ? 0 : st.st_mtime));
	import_send(f->s->link, IMPORT_MESSAGE, fd, (struct span[]){ buf_span(&base), span_str(m->parsed.extra), buf_span(&number[0]),
	    buf_span(&number[1]), buf_span(&keywords), buf_span(&pop), buf_span(&number[2]), m->fresh ? SPAN("1") : SPAN("0") }, 8);
	close(fd);
	buf_fini(&base);
	buf_fini(&keywords);
	buf_fini(&pop);
	for (size_t i = 0; i < NELEMS(number); i++)
		buf_fini(&number[i]);
}

/* ---- folders ---- */

static void
read_folder(const struct import_source *s, int dir, struct span name)
{
	struct folder f = { .s = s, .dir = dir, .inbox = span_is(name, "INBOX") };
	struct buf number[2];

	buf_init(&number[0], 32);
	buf_init(&number[1], 32);
	read_uids(&f);
	buf_addf(&number[0], "%u", f.list.uidvalidity);
	buf_addf(&number[1], "%u", f.list.uidnext);
	import_send(s->link, IMPORT_FOLDER, -1, (struct span[]){ name, buf_span(&number[0]), buf_span(&number[1]) }, 3);
	read_keywords(&f);
	read_courier_keywords(&f);
	read_place(&f, "new");		/* what moves to cur/ meanwhile is met there */
	read_place(&f, "cur");
	sort_messages(&f);
	for (size_t i = 0; i < f.n; i++) {
		send_message(&f, &f.messages[i]);
		free(f.messages[i].name);
	}
	free(f.messages);
	for (size_t i = 0; i < NELEMS(f.keywords); i++)
		free(f.keywords[i]);
	courierkeywords_fini(&f.courier);
	foreignlist_fini(&f.list);
	uidlist_fini(&f.own_list);
	buf_fini(&f.list_text);
	buf_fini(&f.pop_text);
	buf_fini(&number[0]);
	buf_fini(&number[1]);
}

static void
read_entry(const struct import_source *s, int root, const char *entry)
{
	int dir = openat(root, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct buf name;

	if (dir < 0)
		return;			/* a file */
	if (faccessat(dir, "cur", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		buf_init(&name, 1000);
		decode_name(span_str(entry + 1), &name);
		read_folder(s, dir, buf_span(&name));
		buf_fini(&name);
	}
	close(dir);
}

/* Dovecot's file has names by line, or from version 2 on levels parted by tabs; Courier's has "INBOX." in front. */
static void
read_subscriptions(const struct import_source *s, int root, const char *file, const char *prefix)
{
	struct span rest, line;
	struct buf text, name;

	buf_init(&name, 1000);
	if (read_small(root, file, SMALL_FILE_MAX, &text)) {
		rest = buf_span(&text);
		while (rest.n && span_cut(&rest, '\n', &line)) {
			if (line.n == 0 || span_is(line, "V\t2"))
				continue;
			if (span_starts(line, prefix))
				line = span_skip(line, strlen(prefix));
			for (char *p = (char *)(uintptr_t)line.p; (p = memchr(p, '\t', (size_t)(line.p + line.n - p)));)
				*p = MAILSTORE_SEPARATOR;
			decode_name(line, &name);
			if (!name.over && !memchr(name.p, '\0', name.len))
				import_send(s->link, IMPORT_SUBSCRIBED, -1, (struct span[]){ buf_span(&name) }, 1);
		}
	} else if (errno != ENOENT) {
		import_tell(s->link, IMPORT_WARNING, "%s: %s", file, strerror(errno));
	}
	buf_fini(&text);
	buf_fini(&name);
}

void
import_read_maildir(const struct import_source *s)
{
	int root = open(s->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *e;
	DIR *d;

	if (root < 0 || faccessat(root, "cur", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		tool_fail(EX_NOINPUT, "%s: %s", s->path, root < 0 ? strerror(errno) : "not a Maildir: there is no cur in it");
	read_folder(s, root, SPAN("INBOX"));
	d = fdopendir(openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	while (d && (e = readdir(d)))
		if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			read_entry(s, root, e->d_name);
	if (d)
		closedir(d);
	read_subscriptions(s, root, "subscriptions", "");
	read_subscriptions(s, root, "courierimapsubscribed", "INBOX.");
	close(root);
	import_send(s->link, IMPORT_END, -1, NULL, 0);
}
