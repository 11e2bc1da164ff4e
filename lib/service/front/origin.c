/* origin.c: channel bindings of a connection as a list for auth. Nothing here comes from the client's words. */
#include "service/front/origin.h"

#include "net/conn.h"
#include "service/message.h"
#include "base/banned.h"

void
origin_bindings(struct conn *c, struct buf *list)
{
	struct buf one;
	const char *name;

	if (!c || !conn_secure(c))
		return;
	buf_init(&one, 128);
	for (unsigned i = 0; (name = conn_tls_binding(c, i, &one)); i++) {
		if (!*name)
			continue;
		msg_list_add(list, span_str(name));
		msg_list_add(list, buf_span(&one));
	}
	buf_fini(&one);
}
