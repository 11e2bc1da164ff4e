/* import_transport.c: transport:nexthop of Postfix in our words; which transports of its master.cf somebody asks for: parameters, options, tables. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "common/tool.h"
#include "import_config.h"
#include "base/banned.h"

#define TABLE_MAX (256u << 20)

/* "NAME" or "NAME:nexthop" as a word of the text; "=NAME" in an option. */
static bool
has_word(struct span text, struct span name)
{
	struct span rest = text, word, head;

	while (span_word(&rest, " ,=\t\r\n{}", &word)) {
		(void)span_cut(&word, ':', &head);
		if (span_eq(head, name))
			return true;
	}
	return false;
}

struct hunt {
	struct span name;
	bool found;
};

static bool
take_value(void *ctx, unsigned line, struct span key, struct span value)
{
	struct hunt *h = ctx;

	(void)line;
	(void)key;
	h->found = has_word(value, h->name);
	return !h->found;
}

static bool
tables_have(const char *spec, struct span name)
{
	struct hunt h = { .name = name };
	struct span rest = span_str(spec), item;
	struct buf text;

	buf_init(&text, TABLE_MAX);
	while (!h.found && map_next_item(&rest, ", \t", &item) > 0) {
		ssize_t slash = span_find(item, '/');
		char *path = slash < 0 ? NULL : x_spandup(span_skip(item, (size_t)slash));

		buf_reset(&text);
		if (path && tool_read(path, TABLE_MAX, &text))
			map_text_each(buf_span(&text), MAP_TEXT_PLAIN, take_value, &h);
		free(path);
	}
	buf_fini(&text);
	return h.found;
}

/* In master.cf only what stands behind "-o": each transport has its own name at the start of its line. */
static bool
options_have(const char *master, struct span name)
{
	struct span rest = span_str(master), line;

	while (span_cut(&rest, '\n', &line))
		if (line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t') && span_starts(span_trim(line), "-o") && has_word(line, name))
			return true;
	return false;
}

bool
import_names_transport(const struct import_config *ic, struct span name)
{
	for (size_t i = 0; i < ic->n; i++) {
		const struct import_line *l = &ic->v[i];

		if (strcmp(l->file, "main.cf") != 0)
			continue;
		if (has_word(span_str(l->value), name) || (strstr(l->name, "transport_maps") && tables_have(l->value, name)))
			return true;
	}
	return options_have(ic->master, name);
}

/* ---- transport:nexthop as a value ---- */

/* unix:private/dovecot-lmtp: smtp reaches what is in its own directory. */
static void
take_socket(struct import_line *l, const char *arg, struct span path)
{
	ssize_t slash = span_rfind(path, '/');
	struct span name = span_skip(path, (size_t)(slash + 1));
	struct buf to;

	buf_init(&to, 4096);
	buf_addf(&to, "lmtp:unix:%.*s", SPAN_FMT(name));
	import_out(l, arg, buf_span(&to));
	buf_reset(&to);
	buf_addf(&to, "that server has to listen on the socket run/smtp/%.*s of Merpati, too, which merpati-smtp may write to", SPAN_FMT(name));
	import_verdict(l, VERDICT_TRANSLATED, buf_cstr(&to));
	buf_fini(&to);
}

/* HOST:PORT: an address without brackets would be looked up as a domain. */
static void
take_host(struct import_line *l, const char *arg, struct span hop)
{
	ssize_t colon = span_rfind(hop, ':');
	size_t n = colon < 0 ? hop.n : (size_t)colon;
	struct buf to;

	buf_init(&to, 4096);
	buf_addf(&to, "lmtp:[%.*s]%.*s", (int)n, hop.p, (int)(hop.n - n), hop.p + n);
	import_out(l, arg, buf_span(&to));
	import_verdict(l, VERDICT_TRANSLATED, NULL);
	buf_fini(&to);
}

bool
import_transport(struct import_line *l, const char *arg)
{
	static const char *const same[] = { "virtual", "local", "smtp", "relay", "error", "discard" };
	struct span hop = span_str(l->value), name;
	bool known = false;

	if (!span_cut(&hop, ':', &name))
		return false;
	for (size_t i = 0; i < NELEMS(same); i++)
		known = known || span_is(name, same[i]);
	if (span_is(name, "lmtp") && span_starts(hop, "unix:")) {
		take_socket(l, arg, span_skip(hop, 5));
	} else if (span_is(name, "lmtp") && hop.n > 0 && hop.p[0] != '[' && !span_starts(hop, "inet:")) {
		take_host(l, arg, hop);
	} else if (known || span_is(name, "lmtp")) {
		import_out(l, arg, span_str(l->value));
		import_verdict(l, VERDICT_HONOURED, NULL);
	} else {
		import_verdict(l, VERDICT_LOST, "no program of master.cf is a transport: lmtp:unix:NAME or lmtp:[HOST]:PORT name another server; "
		    "without this line local delivers into Maildirs: take the old mail over by merpati import");
	}
	return true;
}
