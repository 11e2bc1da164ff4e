/* Messages between processes, as a captured process would send them: any role to any role. What decodes is encoded again. */
#include <stdlib.h>

#include "service/message.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const unsigned roles[] = { R_ANY | R_PUBLIC | R_OPERATOR, R_SMTPD, R_PUBLIC, R_QMGR, R_OPERATOR, R_MASTER };

static void
walk(struct span s)
{
	struct span item, list = s;
	uint32_t n = 0;

	while (msg_list_next(&list, &item))
		n++;
	if (n != msg_list_count(s) || list.n != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const int none[CHAN_FDS] = { -1, -1 }, two[CHAN_FDS] = { 0, 1 };
	struct msg m, again;
	struct buf wire;
	int fds[CHAN_FDS] = { -1, -1 }, nfds;
	unsigned role;

	if (n == 0)
		return 0;
	role = roles[data[0] % NELEMS(roles)];
	if (!msg_decode(span_of(data + 1, n - 1), data[0] & 0x80 ? two : none, role, R_ANY | R_PUBLIC | R_OPERATOR, &m))
		return 0;
	buf_init(&wire, 4 * CHAN_MAX);
	if (m.kind == MSG_MAIL)
		walk(m.MAIL.rcpts);
	if (m.kind == MSG_QUEUE_ANSWERS)
		walk(m.QUEUE_ANSWERS.list);
	if (m.kind == MSG_QUEUE_ENTRY)
		walk(m.QUEUE_ENTRY.rcpts);
	/* what was understood survives another trip; other tags and repeated fields do not come back */
	if (!msg_encode(m.kind, &m.NEW, &wire, fds, &nfds))
		abort();
	for (int i = nfds; i < CHAN_FDS; i++)
		fds[i] = -1;
	if (!msg_decode(buf_span(&wire), fds, role, R_ANY | R_PUBLIC | R_OPERATOR, &again) || again.kind != m.kind)
		abort();
	buf_fini(&wire);
	return 0;
}
