/* generic.c: addresses and headers for the world outside; one table for smtp, one for lmtp. */
#include "generic.h"

#include <errno.h>
#include <string.h>

#include "base/fdio.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "mail/headeraddr.h"
#include "service/addrmap.h"
#include "service/params.h"
#include "base/banned.h"

#define HEADER_BLOCK (16u << 10)
#define HEADER_MAX (16u << 20)		/* more than header_size_limit can be */
#define ADDRESSES_MAX 10240		/* in one header; those behind them stay as they are */

static struct maps *tables[2];
static struct addrmap rules;

void
generic_open(struct maps *smtp, struct maps *lmtp)
{
	tables[false] = smtp;
	tables[true] = lmtp;
	maps_label(smtp, "smtp_generic_maps");
	maps_label(lmtp, "lmtp_generic_maps");
	rules = addrmap_make("generic");
}

enum map_answer
generic_address(bool lmtp, struct span address, struct buf *out)
{
	size_t before = out->len;
	enum map_answer ans = MAP_NONE;

	if (!maps_empty(tables[lmtp]))
		ans = addrmap_find(&rules, tables[lmtp], address, out);
	if (ans == MAP_NONE)
		buf_addspan(out, address);
	else if (ans == MAP_FAILED)
		buf_truncate(out, before);
	return ans;
}

/* ---- a header ---- */

struct header_walk {
	bool lmtp, failed;
	unsigned addresses;
};

static bool
take_address(void *ctx, bool sender, struct span address, struct buf *out)
{
	struct header_walk *w = ctx;
	struct address a;
	enum map_answer ans;

	(void)sender;
	if (w->failed || ++w->addresses > ADDRESSES_MAX || address_parse(address, ADDRESS_UTF8, &a) != ADDRESS_OK)
		return false;
	ans = generic_address(w->lmtp, address, out);
	w->failed = ans == MAP_FAILED;
	return ans == MAP_FOUND;
}

bool
generic_header(bool lmtp, struct span header, struct buf *out)
{
	struct header_walk w = { .lmtp = lmtp };

	headeraddr_rewrite_all(header, take_address, &w, out);
	return !w.failed;
}

/* ---- a delivery ---- */

/* Where the blank line begins, looked for behind `from`; -1: it has not come. */
static ssize_t
header_end(struct span text, size_t from)
{
	const char *end;

	if (text.n && text.p[0] == '\n')
		return 0;
	end = memmem(text.p + from, text.n - from, "\n\n", 2);
	return end ? end - text.p + 1 : -1;
}

/* The header of the message, or all of a message that is nothing else. False: errno. */
static bool
read_header(const struct delivery *d, struct buf *text)
{
	ssize_t end = -1;

	while (end < 0 && text->len < d->file.len && text->len < HEADER_MAX) {
		uint64_t left = d->file.len - text->len;
		size_t n = left < HEADER_BLOCK ? (size_t)left : HEADER_BLOCK, from = text->len ? text->len - 1 : 0;
		char *at = buf_room(text, n);

		if (!at || !pread_all(d->file.fd, at, n, (off_t)(d->file.off + text->len)))
			return false;
		buf_grew(text, n);
		end = header_end(buf_span(text), from);
	}
	if (end >= 0)
		buf_truncate(text, (size_t)end);
	return true;
}

static bool
make_header(struct delivery *d, struct outcome *trouble)
{
	struct buf text;
	bool ok;

	buf_init(&text, HEADER_MAX + HEADER_BLOCK);
	ok = read_header(d, &text);
	if (!ok) {
		*trouble = outcome_make(OUTCOME_DEFERRED, "4.3.0", "cannot read the queue file: %s", strerror(errno));
	} else if (!generic_header(d->lmtp, buf_span(&text), &d->header)) {
		*trouble = outcome_make(OUTCOME_DEFERRED, "4.3.0", "%s cannot be read, or says no address",
		    d->lmtp ? "lmtp_generic_maps" : "smtp_generic_maps");
		ok = false;
	} else if (d->header.over) {
		*trouble = outcome_make(OUTCOME_FAILED, "5.3.4", "the header with the addresses of smtp_generic_maps is too large");
		ok = false;
	} else {
		d->header_len = text.len;
	}
	buf_fini(&text);
	return ok;
}

static bool
make_address(struct delivery *d, struct span address, struct span *wire)
{
	struct buf out;
	enum map_answer ans;

	*wire = address;
	if (address.n == 0 || maps_empty(tables[d->lmtp]))
		return true;
	buf_init(&out, ADDRESS_PATH_MAX);
	ans = generic_address(d->lmtp, address, &out);
	if (ans == MAP_FOUND)
		*wire = arena_span(&d->arena, buf_span(&out));
	for (size_t i = 0; ans == MAP_FOUND && i < wire->n; i++)
		if ((unsigned char)wire->p[i] >= 0x80)
			d->flags |= MAIL_SMTPUTF8;
	buf_fini(&out);
	return ans != MAP_FAILED && wire->n > 0;
}

bool
generic_delivery(struct delivery *d, struct outcome *trouble)
{
	bool ok;

	(void)maps_refresh(tables[d->lmtp]);
	ok = make_address(d, d->sender, &d->wire_sender);
	for (uint32_t i = 0; i < d->n; i++)
		ok &= make_address(d, d->rcpts[i].addr, &d->rcpts[i].wire);
	if (!ok)
		*trouble = outcome_make(OUTCOME_DEFERRED, "4.3.0", "%s cannot be read, or says no address",
		    d->lmtp ? "lmtp_generic_maps" : "smtp_generic_maps");
	return ok && (maps_empty(tables[d->lmtp]) || d->flags & MAIL_PROBE || make_header(d, trouble));
}
