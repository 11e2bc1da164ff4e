/*
 * fuzz_members.c: whoever is on a list is an address, and nothing that runs or writes; the count is right.
 * links: qmgr/bounce/members.c
 */
#include "mail/address.h"
#include "members.h"
#include "service/message.h"

#include "fuzz.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span list, word, empty;
	struct members m;
	struct buf rcpts;
	uint32_t seen = 0;

	if (n > 65536)
		return 0;
	buf_init(&rcpts, MEMBERS_TEXT_MAX);
	members_parse(span_of(data, n), &m, &rcpts);
	check(!rcpts.over && m.n <= MEMBERS_MAX && (m.bad == 0) == (m.bad_line == 0));
	for (list = buf_span(&rcpts); msg_list_next(&list, &word); seen++) {
		struct address a;

		check(word.n > 0 && !strchr("|/:-\n", word.p[0]) && !memchr(word.p, '\n', word.n));
		check(address_parse(word, ADDRESS_BARE | ADDRESS_UTF8, &a) == ADDRESS_OK);
		check(msg_list_next(&list, &empty) && empty.n == 0 && msg_list_next(&list, &empty) && empty.n == 0);
	}
	check(seen == m.n);
	buf_fini(&rcpts);
	return 0;
}
