/* idn.c: U-labels to A-labels. Its input is any recipient's domain. */
#include "net/dns/idn.h"

#include <idn2.h>
#include <stdlib.h>

#include "base/buf.h"
#include "net/dns/dns.h"

#include "base/banned.h"

bool
idn_to_ascii(struct span domain, char *out, size_t size)
{
	char *name, *ascii = NULL;
	size_t n;
	bool ok;

	if (domain.n == 0 || domain.n >= 4 * DNS_NAME_MAX || memchr(domain.p, '\0', domain.n))
		return false;
	if (span_printable(domain)) {
		if (domain.n >= size)
			return false;
		memcpy(out, domain.p, domain.n);
		out[domain.n] = '\0';
		return true;
	}
	name = x_spandup(domain);
	ok = idn2_to_ascii_8z(name, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK;
	n = ok ? strlen(ascii) : 0;
	ok = ok && n > 0 && n < size && span_printable(span_of(ascii, n));
	if (ok)
		memcpy(out, ascii, n + 1);
	idn2_free(ascii);
	x_free(&name);
	return ok;
}
