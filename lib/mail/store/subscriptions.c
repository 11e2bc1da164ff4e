/* subscriptions.c: the file `subscriptions`, one folder a line. The user may edit it: bad lines are skipped. */
#include <errno.h>
#include <fcntl.h>

#include "base/fdio.h"
#include "mail/store/driver.h"

#include "base/banned.h"

#define SUBSCRIPTIONS_MAX (4u << 20)

static enum store_result
load(struct mailstore *ms, struct buf *text, char path[DRIVER_PATH_MAX])
{
	if (!driver_path(path, ms->path, "subscriptions", ""))
		return driver_fail(ms, "read", ms->path);
	if (!read_regular_file(AT_FDCWD, path, text) && errno != ENOENT)
		return driver_fail(ms, "read", path);
	return STORE_OK;
}

enum store_result
mailstore_list_subscribed(struct mailstore *ms, void (*f)(void *ctx, struct span name), void *ctx)
{
	char path[DRIVER_PATH_MAX];
	struct span rest, line;
	enum store_result r;
	struct buf text;

	buf_init(&text, SUBSCRIPTIONS_MAX);
	r = load(ms, &text, path);
	rest = buf_span(&text);
	while (r == STORE_OK && text.len && span_cut(&rest, '\n', &line))
		if (mailstore_name_check(line) == STORE_OK)
			f(ctx, line);
	buf_fini(&text);
	return r;
}

enum store_result
mailstore_subscribe(struct mailstore *ms, struct span name, bool on)
{
	enum store_result r = mailstore_name_check(name);
	char path[DRIVER_PATH_MAX];
	struct span rest, line;
	struct buf text, out;

	if (r != STORE_OK)
		return r;
	buf_init(&text, SUBSCRIPTIONS_MAX);
	buf_init(&out, SUBSCRIPTIONS_MAX);
	r = load(ms, &text, path);
	rest = buf_span(&text);
	while (r == STORE_OK && text.len && span_cut(&rest, '\n', &line)) {
		if (mailstore_name_check(line) != STORE_OK || span_eq(line, name))
			continue;
		buf_addspan(&out, line);
		buf_addc(&out, '\n');
	}
	if (on) {
		buf_addspan(&out, name);
		buf_addc(&out, '\n');
	}
	if (r == STORE_OK && out.over)
		r = STORE_LIMIT;
	if (r == STORE_OK && !replace_file(AT_FDCWD, path, buf_span(&out), 0600))
		r = driver_fail(ms, "write", path);
	buf_fini(&text);
	buf_fini(&out);
	return r;
}
