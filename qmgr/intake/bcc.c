/* bcc.c: who gets a copy. Tables are the operator's, the addresses they are asked for have been parsed. */
#include "bcc.h"

#include "base/clock.h"
#include "base/map.h"
#include "mail/address.h"
#include "service/message.h"
#include "base/banned.h"

#define REFRESH_MS 1000
#define FOUND_MAX (256 * 1024)
#define VALUE_MAX 4096

void
bcc_init(struct bcc *b, const char *always, struct maps *sender, struct maps *recipient, const char *delimiters)
{
	*b = (struct bcc){ .always = always, .delimiters = delimiters, .sender = sender, .recipient = recipient };
	buf_init(&b->found, FOUND_MAX);
}

void
bcc_fini(struct bcc *b)
{
	maps_free(b->sender);
	maps_free(b->recipient);
	buf_fini(&b->found);
}

void
bcc_begin(struct bcc *b)
{
	uint64_t now = clock_mono_ms();

	buf_reset(&b->found);
	b->failed = false;
	if (b->refreshed && now - b->refreshed < REFRESH_MS)
		return;
	maps_refresh(b->sender);
	maps_refresh(b->recipient);
	b->refreshed = now;
}

static enum map_answer
find(struct bcc *b, struct maps *m, struct span address, struct buf *value)
{
	ssize_t at = span_rfind(address, '@');
	struct span domain = span_skip(address, at < 0 ? address.n : (size_t)at), base;
	enum map_answer ans;
	struct buf key;

	base = address_base(span_sub(address, 0, address.n - domain.n), span_str(b->delimiters));
	ans = maps_find(m, address, value);
	if (ans == MAP_NONE && base.n + domain.n != address.n) {
		buf_init(&key, VALUE_MAX);
		buf_addspan(&key, base);
		buf_addspan(&key, domain);
		ans = maps_find(m, buf_span(&key), value);
		buf_fini(&key);
	}
	return ans == MAP_NONE ? maps_find_part(m, domain, value) : ans;
}

static void
ask(struct bcc *b, struct maps *m, struct span address)
{
	struct buf value;
	enum map_answer ans;

	if (maps_empty(m) || address.n == 0 || b->failed)
		return;
	buf_init(&value, VALUE_MAX);
	ans = find(b, m, address, &value);
	if (ans == MAP_FAILED || value.over)
		b->failed = true;
	else if (ans == MAP_FOUND)
		msg_list_add(&b->found, span_trim(buf_span(&value)));
	buf_fini(&value);
}

void
bcc_recipient(struct bcc *b, struct span address)
{
	ask(b, b->recipient, address);
}

bool
bcc_end(struct bcc *b, struct span sender, struct span *list)
{
	ask(b, b->sender, sender);
	if (*b->always)
		msg_list_add(&b->found, span_str(b->always));
	*list = buf_span(&b->found);
	return !b->failed && !b->found.over;
}
