/* forward.c: where a system user wants his mail. The file is his, its words may be anything. */
#include "forward.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "mail/address.h"
#include "mail/command.h"
#include "mail/targets.h"
#include "base/banned.h"

#define FILE_MAX (64u << 10)
#define NAME_LONGEST 512

/* ---- words ---- */

struct words {
	struct forward *f;
	struct span user;
	struct buf *why;
	unsigned n;
};

static bool
refuse(struct words *w, unsigned line, const char *why)
{
	buf_addf(w->why, "line %u: %s", line, why);
	return false;
}

static bool
take_program(struct words *w, struct span word, unsigned line)
{
	struct command c;

	if (!w->f->may_run)
		return refuse(w, line, "no program is run for a .forward here (allow_mail_to_commands)");
	if (w->f->program_count == FORWARD_PROGRAMS_MAX)
		return refuse(w, line, "too many programs");
	buf_addf(w->why, "line %u: ", line);
	if (!command_parse(word, &c, w->why))
		return false;
	buf_reset(w->why);
	w->f->programs[w->f->program_count++] = word;
	return true;
}

static bool
take_word(void *ctx, struct span word, unsigned line)
{
	struct words *w = ctx;
	struct span bare = word;
	struct address a;

	if (command_is(word))
		return take_program(w, word, line);
	if (bare.p[0] == '"' && span_rfind(bare, '@') < 0)
		bare = span_skip(bare, 1);
	if (bare.n > 0 && strchr("|/:", bare.p[0]))
		return refuse(w, line, "files and :include: are not delivered to");
	if (word.n > 2 && word.p[0] == '<' && word.p[word.n - 1] == '>')
		word = span_sub(word, 1, word.n - 1);
	if (word.n > 1 && word.p[0] == '\\')
		word = span_skip(word, 1);
	if (span_eq_nocase(word, w->user)) {	/* his own name: the mailbox */
		w->f->keep = true;
		return true;
	}
	if (word.p[0] == '-' || address_parse(word, ADDRESS_BARE | ADDRESS_UTF8, &a) != ADDRESS_OK)
		return refuse(w, line, "not an address");
	buf_addspan(&w->f->addresses, word);
	buf_addc(&w->f->addresses, '\n');
	if (++w->n > FORWARD_MAX || w->f->addresses.over)
		return refuse(w, line, "too many addresses");
	return true;
}

bool
forward_parse(struct span text, struct span user, struct forward *f, struct buf *why)
{
	struct words w = { .f = f, .user = user, .why = why };

	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' && !strchr("\t\n\r", text.p[i] ? text.p[i] : 1)) {
			buf_adds(why, "not a text");
			return false;
		}
	return targets_each(text, take_word, &w);
}

/* ---- the file ---- */

/* "$home/.forward+$extension": the name below the home directory. False: it is not asked for. */
static bool
name_of(struct span item, struct span user, struct span extension, struct buf *name)
{
	static const char begin[] = "$home/";

	if (!span_starts(item, begin))
		return false;
	item = span_skip(item, strlen(begin));
	while (item.n > 0) {
		struct span value = SPAN_NONE;
		size_t skip = 0;

		if (span_starts(item, "$extension") && (skip = 10))
			value = extension;
		else if (span_starts(item, "$user") && (skip = 5))
			value = user;
		if (skip && (value.n == 0 || span_find(value, '/') >= 0 || value.p[0] == '.' || memchr(value.p, '\0', value.n)))
			return false;
		if (!skip) {
			value = span_sub(item, 0, 1);
			skip = 1;
		}
		buf_addspan(name, value);
		item = span_skip(item, skip);
	}
	return !name->over && name->len > 0;
}

/* As sendmail and Postfix have it: the user's own or root's, and nobody else may have written it. */
static const char *
why_unsafe(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file";
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return "belongs to somebody else";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "may be written by others";
	if (st->st_nlink != 1)
		return "has another name too";
	if (st->st_size > FILE_MAX)
		return "too large";
	return NULL;
}

static bool
is_temporary(int err)
{
	return err == EIO || err == ESTALE || err == ENFILE || err == EMFILE || err == ENOMEM || err == EINTR || err == ETIMEDOUT;
}

static enum forward_answer
use(const char *name, int fd, struct span user, const char *id, struct forward *f)
{
	enum forward_answer answer = FORWARD_NONE;
	struct stat st;
	struct buf why;
	const char *unsafe;

	buf_init(&f->text, FILE_MAX);
	buf_init(&why, 512);
	if (fstat(fd, &st) < 0) {
		answer = FORWARD_LATER;
	} else if ((unsafe = why_unsafe(&st)) != NULL) {
		buf_adds(&why, unsafe);
	} else if (!read_fd(fd, &f->text)) {
		answer = FORWARD_LATER;
	} else if (forward_parse(buf_span(&f->text), user, f, &why)) {
		answer = f->addresses.len > 0 || f->program_count > 0 ? FORWARD_YES : FORWARD_NONE;
	}
	if (why.len)
		log_warn(id, "%s is not used: %s", name, why.p);
	buf_fini(&why);
	return answer;
}

enum forward_answer
forward_read(const char *path, struct span user, struct span extension, const char *id, struct forward *f)
{
	enum forward_answer answer = FORWARD_NONE;
	struct span rest = span_str(path), item;
	struct buf name;
	bool found = false;

	buf_init(&name, NAME_LONGEST);
	while (!found && answer == FORWARD_NONE && span_word(&rest, ", \t", &item)) {
		int fd;

		buf_reset(&name);
		if (!name_of(item, user, extension, &name))
			continue;
		fd = open(buf_cstr(&name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		found = fd >= 0 || (errno != ENOENT && errno != ENOTDIR);
		if (fd >= 0)
			answer = use(buf_cstr(&name), fd, user, id, f);
		else if (is_temporary(errno))
			answer = FORWARD_LATER;
		else if (found)
			log_warn(id, "%s is not used: %s", buf_cstr(&name), errno == ELOOP ? "a symbolic link" : strerror(errno));
		close_fd(&fd);
	}
	buf_fini(&name);
	return answer;
}
