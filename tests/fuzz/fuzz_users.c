/* fuzz_users.c: lines of the users table; what is accepted must survive being written and read again. */
#include "mail/users.h"

#include <stdlib.h>

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_mailbox(struct span address, struct span value)
{
	struct buf mailbox;

	buf_init(&mailbox, 4096);
	if (user_mailbox(address, value, &mailbox)) {
		if (mailbox.len == 0 || mailbox.p[0] == '/' || strstr(mailbox.p, "/../") || span_starts(buf_span(&mailbox), "../"))
			abort();
	} else if (mailbox.len != 0) {
		abort();
	}
	buf_fini(&mailbox);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span line = span_of(data, n);
	struct user_record u, again;
	struct buf err, text;

	buf_init(&err, 256);
	buf_init(&text, 16384);
	if (user_parse_line(line, &u, &err)) {
		user_format_line(&text, &u);
		if (text.over || !user_parse_line(buf_span(&text), &again, &err) || !span_eq(u.address, again.address) ||
		    !span_eq(u.verifier, again.verifier) || !span_eq(u.home, again.home))
			abort();
		check_mailbox(u.address, u.home);
	} else if (err.len == 0) {
		abort();
	}
	check_mailbox(SPAN("a@b.test"), line);
	check_mailbox(line, SPAN("::"));
	buf_fini(&err);
	buf_fini(&text);
	return 0;
}
