/* tls_record.c: which TLSA records count. Their bytes are strangers'. */
#include "net/tls.h"

#include "base/banned.h"

bool
tls_record_usable(const struct tls_record *r)
{
	static const size_t lengths[] = { 0, 32, 64 };	/* of the object itself (any), SHA-256, SHA-512 */

	if ((r->usage != 2 && r->usage != 3) || r->selector > 1 || r->matching >= NELEMS(lengths) || r->data.n == 0)
		return false;
	return r->matching == 0 || r->data.n == lengths[r->matching];
}
