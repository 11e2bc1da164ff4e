/* import_mbox.c: an mbox file, read as its owner. Messages get names made from what is in them, so that a second run knows them. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/map.h"
#include "common/tool.h"
#include "import.h"
#include "mail/mboxread.h"
#include "mail/store/mailstore.h"
#include "mail/store/foreignlist.h"
#include <sys/mman.h>		/* last: its MAP_FAILED is another one than that of map.h */
#include "base/banned.h"

#define SAME_MAX 1000			/* messages of equal content that are told apart by counting */
#define DIGEST_BYTES 16			/* of SHA-256, in a name */

struct mbox {
	const struct import_source *s;
	struct foreignlist list;		/* for the ids of POP3 */
	struct map_maker *seen;
	int64_t mtime;
};

/* "DATE.AHEXNn.mbox": a name of our own form, so that the date stays with it. */
static void
make_base(struct mbox *b, size_t at, const struct buf *text, int64_t date, struct buf *base)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	size_t start;

	if (!EVP_Digest(text->p, text->len, md, NULL, EVP_sha256(), NULL))
		tool_fail(EX_SOFTWARE, "SHA-256 is not to be had");
	buf_addf(base, "%lld.A", (long long)date);
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		buf_addf(base, "%02x", md[i]);
	start = base->len;
	for (unsigned k = 0; k <= SAME_MAX; k++) {
		buf_truncate(base, start);
		if (k < SAME_MAX)
			buf_addf(base, "N%u.mbox", k);
		else
			buf_addf(base, "P%zu.mbox", at);
		if (map_maker_add(b->seen, buf_span(base), SPAN("x")) == MAP_ADDED)
			return;
	}
}

static int
as_file(const struct buf *text)
{
	int fd = memfd_create("message", MFD_CLOEXEC);

	if (fd < 0 || !write_all(fd, text->p, text->len))
		tool_fail(EX_OSERR, "memory for a message: %s", strerror(errno));
	return fd;
}

static unsigned
flags_of(const struct mbox_notes *n)
{
	return (n->seen ? MFLAG_SEEN : 0) | (n->answered ? MFLAG_ANSWERED : 0) | (n->flagged ? MFLAG_FLAGGED : 0) |
	    (n->deleted ? MFLAG_DELETED : 0) | (n->draft ? MFLAG_DRAFT : 0);
}

static void
send_message(struct mbox *b, size_t at, const struct buf *text, const struct mbox_notes *n)
{
	int64_t date = n->date >= 0 ? n->date : b->mtime;
	struct foreignlist_entry e = { .uid = n->uid };
	struct buf base, pop, number[3];
	int fd = as_file(text);

	buf_init(&base, 200);
	buf_init(&pop, 200);
	for (size_t i = 0; i < NELEMS(number); i++)
		buf_init(&number[i], 32);
	make_base(b, at, text, date, &base);
	if (n->uid && b->list.uidvalidity && strcmp(b->s->folder, "INBOX") == 0)
		foreignlist_pop_id(&b->list, &e, b->s->pop_format, &pop);
	buf_addf(&number[0], "%u", n->uid);
	buf_addf(&number[1], "%u", flags_of(n));
	buf_addf(&number[2], "%lld", (long long)date);
	import_send(b->s->link, IMPORT_MESSAGE, fd, (struct span[]){ buf_span(&base), SPAN_NONE, buf_span(&number[0]), buf_span(&number[1]),
	    buf_span(&n->keywords), buf_span(&pop), buf_span(&number[2]), n->old || n->seen ? SPAN("0") : SPAN("1") }, 8);
	close(fd);
	buf_fini(&base);
	buf_fini(&pop);
	for (size_t i = 0; i < NELEMS(number); i++)
		buf_fini(&number[i]);
}

/* UIDs are told in the first message. */
static void
send_folder(struct mbox *b, const struct mbox_notes *first)
{
	struct buf validity, next;

	b->list.uidvalidity = first->uidvalidity;
	b->list.uidnext = first->uidvalidity ? first->uidlast + 1 : 0;
	buf_init(&validity, 32);
	buf_init(&next, 32);
	buf_addf(&validity, "%u", b->list.uidvalidity);
	buf_addf(&next, "%u", b->list.uidnext);
	import_send(b->s->link, IMPORT_FOLDER, -1, (struct span[]){ span_str(b->s->folder), buf_span(&validity), buf_span(&next) }, 3);
	buf_fini(&validity);
	buf_fini(&next);
}

static void
read_text(struct mbox *b, struct span text)
{
	struct span rest = text;
	struct mbox_message m;
	bool told = false;

	while (mbox_read(&rest, &m)) {
		struct mbox_notes n;
		struct buf out;

		mbox_notes_init(&n);
		buf_init(&out, m.raw.n);
		mbox_take(&m, &out, &n);
		if (!told)
			send_folder(b, &n);
		told = true;
		if (!n.internal)
			send_message(b, (size_t)(m.raw.p - text.p), &out, &n);
		buf_fini(&out);
		mbox_notes_fini(&n);
	}
	if (!told && span_trim(text).n)
		tool_fail(EX_DATAERR, "%s: not an mbox: no line of it begins with \"From \"", b->s->path);
}

void
import_read_mbox(const struct import_source *s)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	struct mbox b = { .s = s };
	struct stat st;
	void *map;
	int fd = open(s->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		tool_fail(EX_NOINPUT, "%s: %s", s->path, fd < 0 ? strerror(errno) : "not a file");
	if (fcntl(fd, F_SETLK, &lock) < 0)
		tool_fail(EX_TEMPFAIL, "%s: locked by another program", s->path);
	b.mtime = st.st_mtime < 0 ? 0 : st.st_mtime;
	b.seen = map_maker_new();
	if (st.st_size > 0) {
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED)
			tool_fail(EX_IOERR, "%s: %s", s->path, strerror(errno));
		read_text(&b, span_of(map, (size_t)st.st_size));
		munmap(map, (size_t)st.st_size);
	}
	map_maker_free(b.seen);
	close(fd);
	import_send(s->link, IMPORT_END, -1, NULL, 0);
}
