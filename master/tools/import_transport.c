/* import_transport.c: which transports of Postfix's master.cf somebody asks for: parameters, options, tables. */
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
