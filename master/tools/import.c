/* import.c: merpati import: the mail of another store into a mailbox. This side runs as the owner of that mailbox and writes it. */
#include <errno.h>
#include <grp.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/chan.h"
#include "base/fdio.h"
#include "common/tool.h"
#include "import.h"
#include "mail/store/adopt.h"
#include "mail/store/foreignlist.h"
#include "mailbox.h"
#include "tools.h"
#include "base/banned.h"

#define DIGEST 32
#define USAGE "import: ADDRESS MAILDIR, or ADDRESS MBOX [--folder NAME]; [--pop3-uidl FORMAT]"

struct taken {
	char *base;
	unsigned char digest[DIGEST];
};

struct counts {
	uint64_t messages, bytes, there, removed, lost;
};

struct import {
	struct mailstore *ms;
	struct mailadopt *folder;	/* NULL: this one cannot be written */
	char *name;
	struct taken *taken;		/* of this folder, to be compared at its end */
	size_t n, cap;
	struct counts now, all;
	uint64_t folders, different, warnings;
	unsigned char sum[DIGEST];	/* of all digests, added up */
	bool ended;
};

/* ---- contents ---- */

static bool
digest_file(int fd, unsigned char out[DIGEST], uint64_t *size)
{
	static char block[65536];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	ssize_t got = 0;
	off_t at = 0;

	while (ok && (got = pread(fd, block, sizeof(block), at)) > 0) {
		ok = EVP_DigestUpdate(md, block, (size_t)got);
		at += got;
	}
	ok = ok && got == 0 && EVP_DigestFinal_ex(md, out, NULL);
	EVP_MD_CTX_free(md);
	*size = (uint64_t)at;
	return ok;
}

static void
add_digest(unsigned char sum[DIGEST], const unsigned char more[DIGEST])
{
	unsigned carry = 0;

	for (size_t i = DIGEST; i-- > 0;) {
		carry += (unsigned)sum[i] + more[i];
		sum[i] = (unsigned char)carry;
		carry >>= 8;
	}
}

static void
remember(struct import *im, struct span base, const unsigned char digest[DIGEST])
{
	if (im->n == im->cap) {
		im->cap = im->cap ? 2 * im->cap : 256;
		im->taken = x_realloc(im->taken, im->cap * sizeof(*im->taken));
	}
	im->taken[im->n].base = x_spandup(base);
	memcpy(im->taken[im->n++].digest, digest, DIGEST);
}

/* Everything is read back from the disk as it is now. */
static void
compare_all(struct import *im)
{
	for (size_t i = 0; i < im->n; i++) {
		int fd = mailadopt_read(im->folder, span_str(im->taken[i].base));
		unsigned char digest[DIGEST];
		uint64_t size;

		if (fd < 0 || !digest_file(fd, digest, &size) || memcmp(digest, im->taken[i].digest, DIGEST) != 0) {
			tool_complain("%s: %s is not what was imported: %s", im->name, im->taken[i].base, fd < 0 ? strerror(errno) : "other content");
			im->different++;
		} else {
			add_digest(im->sum, digest);
		}
		close_fd(&fd);
	}
}

/* ---- folders ---- */

static void
report_folder(const struct import *im, const struct adopt_count *c)
{
	printf("%s: %llu imported", im->name, (unsigned long long)im->now.messages);
	if (im->now.there)
		printf(", %llu there already", (unsigned long long)im->now.there);
	if (im->now.removed)
		printf(", %llu removed since an earlier run", (unsigned long long)im->now.removed);
	if (im->now.lost)
		printf(", %llu NOT TAKEN", (unsigned long long)im->now.lost);
	if (!mailadopt_keeps_uids(im->folder))
		printf("; new UIDs");
	else if (c->renumbered)
		printf("; %llu with new UIDs", (unsigned long long)c->renumbered);
	if (c->keywords)
		printf("; %llu keywords without a free letter", (unsigned long long)c->keywords);
	if (c->pop_ids)
		printf("; %llu ids of POP3 that do not fit", (unsigned long long)c->pop_ids);
	putchar('\n');
}

static void
end_folder(struct import *im)
{
	uint64_t *all[] = { &im->all.messages, &im->all.bytes, &im->all.there, &im->all.removed, &im->all.lost };
	const uint64_t now[] = { im->now.messages, im->now.bytes, im->now.there, im->now.removed, im->now.lost };

	if (im->folder) {
		if (mailadopt_flush(im->folder) != STORE_OK)
			tool_fail(EX_IOERR, "%s: %s; run again when that is mended, nothing will come twice", im->name, mailstore_cause(im->ms));
		compare_all(im);
		report_folder(im, mailadopt_count(im->folder));
		mailadopt_end(im->folder);
		im->folder = NULL;
		im->folders++;
	}
	for (size_t i = 0; i < NELEMS(all); i++)
		*all[i] += now[i];
	for (size_t i = 0; i < im->n; i++)
		free(im->taken[i].base);
	im->n = 0;
	im->now = (struct counts){ 0 };
	x_free(&im->name);
}

static void
on_folder(struct import *im, const struct import_record *r)
{
	uint32_t validity, next;
	enum store_result res;

	end_folder(im);
	if (r->n < 3 || !span_u32(r->field[1], 0, UINT32_MAX, &validity) || !span_u32(r->field[2], 0, UINT32_MAX, &next))
		tool_fail(EX_PROTOCOL, "a malformed record of the reading process");
	im->name = x_spandup(r->field[0]);
	im->folder = mailadopt_begin(im->ms, r->field[0], validity, next, &res);
	if (!im->folder && res != STORE_BADNAME)
		tool_fail(EX_IOERR, "%s: %s", im->name, res == STORE_LIMIT ? store_result_text(res) : mailstore_cause(im->ms));
	if (!im->folder)
		tool_complain("the folder \"%s\" is left out: %s", im->name, store_result_text(res));
}

/* ---- messages ---- */

static bool
parse_message(const struct import_record *r, struct adopt_message *m)
{
	uint32_t flags;
	uint64_t date;

	if (r->n < 8 || r->fd < 0)
		return false;
	*m = (struct adopt_message){ .fd = r->fd, .base = r->field[0], .extra = r->field[1], .keywords = r->field[4],
		.pop_id = r->field[5], .fresh = span_is(r->field[7], "1") };
	if (!span_u32(r->field[2], 0, UINT32_MAX - 1, &m->uid) || !span_u32(r->field[3], 0, MFLAG_ALL, &flags) ||
	    !span_u64(r->field[6], 0, INT64_MAX, &date))
		return false;
	m->flags = (uint8_t)flags;
	m->date = (int64_t)date;
	return true;
}

static void
on_message(struct import *im, const struct import_record *r)
{
	unsigned char digest[DIGEST];
	struct adopt_message m;
	struct stat st;
	uint64_t size;

	if (!parse_message(r, &m) || fstat(r->fd, &st) < 0 || !S_ISREG(st.st_mode))
		tool_fail(EX_PROTOCOL, "a malformed record of the reading process");
	if (!im->folder || !digest_file(r->fd, digest, &size)) {
		im->now.lost++;
		return;
	}
	switch (mailadopt_add(im->folder, &m)) {
	case ADOPT_TAKEN:
		im->now.messages++;
		im->now.bytes += size;
		remember(im, m.base, digest);
		break;
	case ADOPT_THERE:
		im->now.there++;
		remember(im, m.base, digest);
		break;
	case ADOPT_REMOVED:
		im->now.removed++;
		break;
	case ADOPT_FAILED:
		tool_fail(EX_IOERR, "%s: %s; run again when that is mended, nothing will come twice", im->name, mailstore_cause(im->ms));
	}
}

static void
on_subscribed(struct import *im, const struct import_record *r)
{
	if (r->n < 1 || mailstore_subscribe(im->ms, r->field[0], true) == STORE_OK)
		return;
	tool_complain("warning: the subscription of \"%.*s\" is left out", SPAN_FMT(r->field[0]));
	im->warnings++;
}

static void
on_warning(struct import *im, const struct import_record *r)
{
	tool_complain("warning: %s%s%.*s", im->name ? im->name : "", im->name ? ": " : "", SPAN_FMT(r->field[0]));
	im->warnings++;
}

static void
on_lost(struct import *im, const struct import_record *r)
{
	tool_complain("%s: %.*s", im->name ? im->name : "", SPAN_FMT(r->field[0]));
	im->now.lost++;
}

static void
on_end(struct import *im, const struct import_record *r)
{
	(void)r;
	end_folder(im);
	im->ended = true;
}

static void
take_records(struct import *im, int link)
{
	static const struct {
		enum import_kind kind;
		void (*on)(struct import *im, const struct import_record *r);
	} kinds[] = {
		{ IMPORT_FOLDER, on_folder }, { IMPORT_MESSAGE, on_message }, { IMPORT_SUBSCRIBED, on_subscribed },
		{ IMPORT_WARNING, on_warning }, { IMPORT_LOST, on_lost }, { IMPORT_END, on_end },
	};
	struct import_record r;

	while (!im->ended && import_receive(link, &r)) {
		for (size_t i = 0; i < NELEMS(kinds); i++)
			if (kinds[i].kind == (enum import_kind)r.kind)
				kinds[i].on(im, &r);
		close_fd(&r.fd);
	}
}

/* ---- the two sides ---- */

static void
become(uid_t uid, gid_t gid)
{
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0))
		tool_fail(EX_NOPERM, "cannot become the owner of the source: %s", strerror(errno));
}

static pid_t
start_reader(struct import_source *s, int other)
{
	struct stat st;
	pid_t pid;

	if (lstat(s->path, &st) < 0)
		tool_fail(EX_NOINPUT, "%s: %s", s->path, strerror(errno));
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		tool_fail(EX_NOINPUT, "%s: neither a Maildir nor an mbox; of a link, name where it leads", s->path);
	if (S_ISDIR(st.st_mode) && strcmp(s->folder, "INBOX") != 0)
		tool_fail(EX_USAGE, "--folder is for an mbox; a Maildir has its folders");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		tool_fail(EX_OSERR, "fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	close(other);
	become(st.st_uid, st.st_gid);
	(S_ISDIR(st.st_mode) ? import_read_maildir : import_read_mbox)(s);
	_exit(0);
}

static int
report(const struct import *im)
{
	printf("%llu messages in %llu folders, %llu bytes imported", (unsigned long long)im->all.messages,
	    (unsigned long long)im->folders, (unsigned long long)im->all.bytes);
	if (im->all.there)
		printf("; %llu were there already", (unsigned long long)im->all.there);
	if (im->all.removed)
		printf("; %llu were removed since an earlier run", (unsigned long long)im->all.removed);
	printf("\nread back and compared: %llu, SHA-256 of all added up: ",
	    (unsigned long long)(im->all.messages + im->all.there - im->different));
	for (size_t i = 0; i < DIGEST; i++)
		printf("%02x", im->sum[i]);
	putchar('\n');
	if (!im->ended)
		tool_fail(EX_TEMPFAIL, "the source was not read to its end; run again, nothing will come twice");
	if (im->all.lost || im->different)
		tool_fail(EX_DATAERR, "%llu messages are not in the mailbox, %llu are not as they were",
		    (unsigned long long)im->all.lost, (unsigned long long)im->different);
	return 0;
}

static void
parse_options(struct import_source *s, int argc, char **argv)
{
	const char *why;

	for (int i = 3; i < argc; i += 2) {
		const char **value = strcmp(argv[i], "--folder") == 0 ? &s->folder : strcmp(argv[i], "--pop3-uidl") == 0 ? &s->pop_format : NULL;

		if (!value || i + 1 >= argc)
			tool_fail(EX_USAGE, USAGE);
		*value = argv[i + 1];
	}
	why = foreignlist_format_check(s->pop_format);
	if (why)
		tool_fail(EX_USAGE, "--pop3-uidl %s: %s", s->pop_format, why);
	if (mailstore_name_check(span_str(s->folder)) != STORE_OK)
		tool_fail(EX_USAGE, "--folder %s: this name is not allowed", s->folder);
}

int
command_import(const char *confdir, int argc, char **argv)
{
	struct import_source s = { .folder = "INBOX", .pop_format = "%08Xu%08Xv" };
	struct import im = { 0 };
	struct mailbox box = { 0 };
	enum store_result r;
	int link[2], status;
	pid_t pid;

	if (argc < 3)
		tool_fail(EX_USAGE, USAGE);
	parse_options(&s, argc, argv);
	s.path = argv[2];
	tool_settings(confdir);
	mailbox_find(&box, argv[1]);
	mailstore_init();
	if (!chan_pair(link))
		tool_fail(EX_OSERR, "socketpair: %s", strerror(errno));
	s.link = link[0];
	pid = start_reader(&s, link[1]);
	close(link[0]);
	mailbox_become_owner(&box);
	im.ms = mailstore_new(box.path.p, true, &r);
	if (!im.ms)
		tool_fail(EX_CANTCREAT, "%s/%s: %s", box.base, box.path.p, store_result_text(r));
	take_records(&im, link[1]);
	close(link[1]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (!im.ended)
		end_folder(&im);
	mailstore_free(im.ms);
	return report(&im);
}
