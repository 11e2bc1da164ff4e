/* The state of a session that slept, without its first two bytes (the kind), as a captured session would have left it. links: imapd/session/ */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "notify.h"
#include "sleep.h"
#include "base/log.h"
#include "mail/store/view.h"
#include "service/message.h"
#include "tests/unit/tmptree.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char dir[] = "/tmp/fuzz-sleep-XXXXXX";

static void
clean_up(void)
{
	remove_tree(dir);
}

static void
set_up(void)
{
	enum store_result r;

	if (!mkdtemp(dir) || chdir(dir) < 0)
		abort();
	atexit(clean_up);
	log_setup("fuzz", LOG_TEXT, LOG_ERROR_ + 1);
	mailstore_free(mailstore_new("Maildir", true, &r));
}

static void
check_view(struct span s)
{
	struct view_run r = { 0 };
	struct view v;
	uint32_t last = 0, count;
	int more;

	if (!view_parse(s, &v))
		return;
	count = v.count;
	while ((more = view_next(&v, &r)) > 0) {
		if (r.lo <= last || r.hi < r.lo || r.hi >= v.uidnext || v.count >= count)
			abort();
		last = r.hi;
		count = v.count;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span input = span_of(n ? (const char *)data : "", n);
	struct session_how how = { .id = "fuzz", .path = "Maildir" };
	struct session s = { .how = &how, .id = how.id, .state = IN_AUTH };
	static bool ready;
	enum store_result r;
	struct buf state;

	if (!ready)
		set_up();
	ready = true;
	check_view(input);
	buf_init(&state, n + 2);
	buf_add_u16(&state, MSG_IMAP_STATE);
	buf_addspan(&state, input);
	how.state = buf_span(&state);
	stream_init(&s.io, -1, 0);
	arena_init(&s.arena, IMAP_ARENA_MAX);
	s.ms = mailstore_new(how.path, false, &r);
	if (!s.ms)
		abort();
	sleep_resume(&s);
	notify_free(&s);
	session_close_folder(&s);
	mailstore_free(s.ms);
	free(s.idle_tag);
	free(s.place);
	arena_fini(&s.arena);
	stream_fini(&s.io);
	buf_fini(&state);
	return 0;
}
