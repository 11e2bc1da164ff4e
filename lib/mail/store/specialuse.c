/* specialuse.c: which folder is Sent, Trash ...: the file `merpati-special-use`, one "use folder" a line. The user may edit it. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fdio.h"
#include "mail/store/driver.h"

#include "base/banned.h"

#define FILE_NAME "merpati-special-use"
#define FILE_MAX (1u << 20)

static const char *const words[MAILUSE_COUNT] = { "Archive", "Drafts", "Junk", "Sent", "Trash" };

const char *
mailstore_use_name(unsigned n)
{
	return words[n];
}

/* "Sent Gesendet": false for what is no such line. */
static bool
parse_line(struct span line, unsigned *use, struct span *name)
{
	struct span word;

	*name = line;
	if (!span_cut(name, ' ', &word) || !name->p || mailstore_name_check(*name) != STORE_OK)
		return false;
	for (unsigned n = 0; n < MAILUSE_COUNT; n++) {
		*use = 1u << n;
		if (span_is_nocase(word, words[n]))
			return true;
	}
	return false;
}

static enum store_result
load(struct mailstore *ms, struct buf *text, char path[DRIVER_PATH_MAX])
{
	if (!driver_path(path, ms->path, FILE_NAME, ""))
		return driver_fail(ms, "read", ms->path);
	if (!read_regular_file(AT_FDCWD, path, text) && errno != ENOENT)
		return driver_fail(ms, "read", path);
	return STORE_OK;
}

enum store_result
mailstore_list_uses(struct mailstore *ms, void (*f)(void *ctx, struct span name, unsigned use), void *ctx)
{
	char path[DRIVER_PATH_MAX];
	struct span rest, line, name;
	enum store_result r;
	struct buf text;
	unsigned use;

	buf_init(&text, FILE_MAX);
	r = load(ms, &text, path);
	rest = buf_span(&text);
	while (r == STORE_OK && text.len && span_cut(&rest, '\n', &line))
		if (parse_line(line, &use, &name))
			f(ctx, name, use);
	buf_fini(&text);
	return r;
}

static void
add_lines(struct buf *out, struct span name, unsigned uses)
{
	for (unsigned n = 0; n < MAILUSE_COUNT; n++)
		if (uses & 1u << n) {
			buf_addf(out, "%s ", words[n]);
			buf_addspan(out, name);
			buf_addc(out, '\n');
		}
}

/* The name that a line's folder has afterwards; empty: the line goes. */
typedef void rename_line(struct span name, const void *how, struct buf *after);

/* The file with its lines renamed and some added, whole or not at all. Sessions of one user take turns. */
static enum store_result
rewrite(struct mailstore *ms, rename_line *rename, const void *how, struct span add, unsigned uses)
{
	int turn = driver_lock_names(ms);
	char path[DRIVER_PATH_MAX];
	struct buf text, out, after;
	struct span rest, line, name;
	enum store_result r;
	unsigned use;

	buf_init(&text, FILE_MAX);
	buf_init(&out, FILE_MAX);
	buf_init(&after, DRIVER_PATH_MAX);
	r = turn >= 0 ? load(ms, &text, path) : driver_fail(ms, "lock", ms->path);
	rest = buf_span(&text);
	while (r == STORE_OK && text.len && span_cut(&rest, '\n', &line)) {
		if (!parse_line(line, &use, &name))
			continue;
		buf_reset(&after);
		rename(name, how, &after);
		if (after.len)
			add_lines(&out, buf_span(&after), use);
	}
	add_lines(&out, add, uses);
	if (r == STORE_OK && out.over)
		r = STORE_LIMIT;
	if (r == STORE_OK && !span_eq(buf_span(&out), buf_span(&text)) &&
	    !replace_file(AT_FDCWD, path, buf_span(&out), 0600))
		r = driver_fail(ms, "write", path);
	buf_fini(&text);
	buf_fini(&out);
	buf_fini(&after);
	close_fd(&turn);
	return r;
}

static void
without(struct span name, const void *how, struct buf *after)
{
	const struct span *gone = how;

	if (!span_eq(name, *gone))
		buf_addspan(after, name);
}

enum store_result
mailstore_set_use(struct mailstore *ms, struct span name, unsigned uses)
{
	enum store_result r = mailstore_name_check(name);

	if (r != STORE_OK)
		return r;
	return rewrite(ms, without, &name, name, uses);
}

struct moved { struct span from, to; };

static void
moved_with(struct span name, const void *how, struct buf *after)
{
	const struct moved *m = how;

	if (!span_eq(name, m->from) && !foldername_is_below(name, m->from)) {
		buf_addspan(after, name);
		return;
	}
	buf_addspan(after, m->to);
	buf_addspan(after, span_skip(name, m->from.n));
}

enum store_result
specialuse_move(struct mailstore *ms, struct span from, struct span to)
{
	return rewrite(ms, moved_with, &(struct moved){ from, to }, SPAN_NONE, 0);
}

/* Is it a folder that a new user gets? A first login that was cut short leaves some of them. */
static void
count_own(void *ctx, struct span name)
{
	unsigned *own = ctx;

	for (unsigned n = 0; n < MAILUSE_COUNT; n++)
		if (span_is(name, words[n]))
			return;
	*own += !foldername_is_inbox(name);
}

/* The file of subscriptions is made last: where it is, there is nothing to do, and that is all a later login looks at. */
static bool
is_new(struct mailstore *ms)
{
	char path[DRIVER_PATH_MAX];
	unsigned own = 0;

	if (!driver_path(path, ms->path, "subscriptions", "") || access(path, F_OK) == 0 || errno != ENOENT)
		return false;
	return mailstore_list(ms, count_own, &own) == STORE_OK && own == 0;
}

/*
 * The directories are not synced one by one: what is written last is, and journals keep the order. An empty folder that a power
 * cut took would be no loss either.
 */
static enum store_result
make_defaults(struct mailstore *ms)
{
	char path[DRIVER_PATH_MAX];
	enum store_result r = STORE_OK;
	struct buf uses, names, dir;

	buf_init(&uses, FILE_MAX);
	buf_init(&names, FILE_MAX);
	buf_init(&dir, DRIVER_PATH_MAX);
	for (unsigned n = 0; n < MAILUSE_COUNT && r == STORE_OK; n++) {
		buf_reset(&dir);
		foldername_dir(ms->path, span_str(words[n]), &dir);
		if (!driver_make_folder(buf_cstr(&dir)))
			r = driver_fail(ms, "make", buf_cstr(&dir));
		buf_adds(&names, words[n]);
		buf_addc(&names, '\n');
		add_lines(&uses, span_str(words[n]), 1u << n);
	}
	/* a user who has said himself what his folders are for has said it for good */
	if (r == STORE_OK && (!driver_path(path, ms->path, FILE_NAME, "") ||
	    (access(path, F_OK) < 0 && !replace_file(AT_FDCWD, path, buf_span(&uses), 0600))))
		r = driver_fail(ms, "write", ms->path);
	if (r == STORE_OK && (!driver_path(path, ms->path, "subscriptions", "") ||
	    !replace_file(AT_FDCWD, path, buf_span(&names), 0600)))
		r = driver_fail(ms, "write", ms->path);
	buf_fini(&uses);
	buf_fini(&names);
	buf_fini(&dir);
	return r;
}

enum store_result
mailstore_create_defaults(struct mailstore *ms)
{
	enum store_result r = STORE_OK;
	int turn;

	if (!is_new(ms))
		return STORE_OK;
	turn = driver_lock_names(ms);
	if (turn < 0)
		r = driver_fail(ms, "lock", ms->path);
	else if (is_new(ms))		/* not made by another first login meanwhile */
		r = make_defaults(ms);
	close_fd(&turn);
	return r;
}
