/* parse_fetch.c: the items of FETCH, with their sections (RFC 9051 fetch-att, section). Every byte is the client's. */
#include "parse.h"

#include "base/banned.h"

static const struct {
	const char *name;
	enum section_what what;
	bool fields, in_part_only;
} section_texts[] = {
	{ "HEADER", SECTION_HEADER, false, false },
	{ "HEADER.FIELDS", SECTION_FIELDS, true, false },
	{ "HEADER.FIELDS.NOT", SECTION_FIELDS_NOT, true, false },
	{ "TEXT", SECTION_TEXT, false, false },
	{ "MIME", SECTION_MIME, false, true },
};

static bool
parse_fields(struct parser *p, struct section *s)
{
	s->fields = arena_try(p->arena, PARSE_FIELDS_MAX * sizeof(*s->fields));
	if (!s->fields)
		return parse_fail(p, "Arguments take too much memory");
	if (!parse_space(p) || !parse_char(p, '('))
		return false;
	do {
		if (s->nfields == PARSE_FIELDS_MAX)
			return parse_fail(p, "Too many header names");
		if (!parse_astring(p, &s->fields[s->nfields++]))
			return false;
	} while (parse_try(p, ' '));
	return parse_char(p, ')');
}

/* "1.2." of "1.2.HEADER" */
static bool
parse_path(struct parser *p, struct section *s, bool *text_follows)
{
	*text_follows = parse_peek(p) != ']';
	if (parse_peek(p) < '0' || parse_peek(p) > '9')
		return true;
	s->path = arena_try(p->arena, PARSE_PARTS_MAX * sizeof(*s->path));
	if (!s->path)
		return parse_fail(p, "Arguments take too much memory");
	for (;;) {
		if (s->depth == PARSE_PARTS_MAX)
			return parse_fail(p, "Section is too deep");
		if (!parse_u32(p, &s->path[s->depth]))
			return false;
		if (s->path[s->depth++] == 0)
			return parse_fail(p, "Part numbers begin with 1");
		*text_follows = parse_try(p, '.');
		if (!*text_follows || parse_peek(p) < '0' || parse_peek(p) > '9')
			return true;
	}
}

static bool
parse_section(struct parser *p, struct section *s)
{
	size_t start, word;
	bool text;

	*s = (struct section){ .what = SECTION_ALL };
	if (!parse_char(p, '['))
		return false;
	start = p->at;
	if (!parse_path(p, s, &text))
		return false;
	if (text) {
		size_t i;

		word = p->at;
		while (parse_peek(p) && !strchr(" ]", parse_peek(p)))
			p->at++;
		for (i = 0; i < NELEMS(section_texts); i++)
			if (span_is_nocase(span_sub(p->in, word, p->at), section_texts[i].name))
				break;
		if (i == NELEMS(section_texts) || (section_texts[i].in_part_only && s->depth == 0))
			return parse_fail(p, "Unknown section");
		s->what = section_texts[i].what;
		if (section_texts[i].fields && !parse_fields(p, s))
			return false;
	}
	s->text = span_sub(p->in, start, p->at);
	return parse_char(p, ']');
}

static bool
parse_partial(struct parser *p, struct fetch_item *it)
{
	if (!parse_try(p, '<'))
		return true;
	it->partial = true;
	if (!parse_u63(p, &it->from) || !parse_char(p, '.') || !parse_u63(p, &it->count) || !parse_char(p, '>'))
		return false;
	return it->count > 0 || parse_fail(p, "Empty partial range");
}

static const struct {
	const char *name;
	struct fetch_item item;
} items[] = {
	{ "FLAGS", { .what = FETCH_FLAGS } },
	{ "UID", { .what = FETCH_UID } },
	{ "MODSEQ", { .what = FETCH_MODSEQ } },
	{ "INTERNALDATE", { .what = FETCH_INTERNALDATE } },
	{ "RFC822.SIZE", { .what = FETCH_SIZE } },
	{ "ENVELOPE", { .what = FETCH_ENVELOPE } },
	{ "BODYSTRUCTURE", { .what = FETCH_BODYSTRUCTURE } },
	{ "BODY", { .what = FETCH_BODY } },
	{ "RFC822", { .what = FETCH_SECTION, .name = "RFC822" } },
	{ "RFC822.HEADER", { .what = FETCH_SECTION, .name = "RFC822.HEADER", .section.what = SECTION_HEADER, .peek = true } },
	{ "RFC822.TEXT", { .what = FETCH_SECTION, .name = "RFC822.TEXT", .section.what = SECTION_TEXT } },
	{ "BODY[", { .what = FETCH_SECTION } },
	{ "BODY.PEEK[", { .what = FETCH_SECTION, .peek = true } },
	{ "BINARY[", { .what = FETCH_BINARY } },
	{ "BINARY.PEEK[", { .what = FETCH_BINARY, .peek = true } },
	{ "BINARY.SIZE[", { .what = FETCH_BINARY_SIZE, .peek = true } },
	{ "EMAILID", { .what = FETCH_EMAILID } },
	{ "THREADID", { .what = FETCH_THREADID } },
	{ "SAVEDATE", { .what = FETCH_SAVEDATE } },
	{ "PREVIEW", { .what = FETCH_PREVIEW } },
};

/* What stands behind an item's name */
static bool
parse_arguments(struct parser *p, struct fetch_item *it)
{
	size_t start = p->at;

	switch (it->what) {
	case FETCH_SECTION:
		return it->name || (parse_section(p, &it->section) && parse_partial(p, it));
	case FETCH_BINARY:
	case FETCH_BINARY_SIZE:
		if (!parse_section(p, &it->section) || (it->what == FETCH_BINARY && !parse_partial(p, it)))
			return false;
		/* RFC 3516 4.2: numbers alone */
		return it->section.what == SECTION_ALL || parse_fail(p, "BINARY takes part numbers");
	case FETCH_PREVIEW:
		/* RFC 8970 3.2: LAZY allows to say nothing; there is always something to say */
		if (parse_try(p, ' ') && parse_try(p, '(') && parse_try_word(p, "LAZY"))
			return parse_char(p, ')');
		p->at = start;
		return true;
	default:
		return true;
	}
}

static bool
add_item(struct parser *p, struct fetch_list *f, const struct fetch_item *it)
{
	if (f->n == PARSE_ITEMS_MAX)
		return parse_fail(p, "Too many items");
	f->items[f->n++] = *it;
	return true;
}

static bool
parse_item(struct parser *p, struct fetch_list *f)
{
	size_t start = p->at;
	struct span name;

	while (parse_peek(p) && !strchr(" ()[<", parse_peek(p)))
		p->at++;
	name = span_sub(p->in, start, p->at + (parse_peek(p) == '['));
	for (size_t i = 0; i < NELEMS(items); i++) {
		struct fetch_item it = items[i].item;

		if (!span_is_nocase(name, items[i].name))
			continue;
		if (!parse_arguments(p, &it))
			return false;
		return add_item(p, f, &it);
	}
	return parse_fail(p, "Unknown FETCH item");
}

static const struct {
	const char *name;
	uint32_t n;
} macros[] = {			/* each is a prefix of the same list */
	{ "FAST", 3 },
	{ "ALL", 4 },
	{ "FULL", 5 },
};
static const struct fetch_item macro_items[] = {
	{ .what = FETCH_FLAGS }, { .what = FETCH_INTERNALDATE }, { .what = FETCH_SIZE }, { .what = FETCH_ENVELOPE },
	{ .what = FETCH_BODY },
};

bool
parse_fetch_list(struct parser *p, struct fetch_list *f)
{
	f->n = 0;
	f->items = arena_try(p->arena, PARSE_ITEMS_MAX * sizeof(*f->items));
	if (!f->items)
		return parse_fail(p, "Arguments take too much memory");
	for (size_t i = 0; i < NELEMS(macros); i++) {
		if (!parse_try_word(p, macros[i].name))
			continue;
		memcpy(f->items, macro_items, macros[i].n * sizeof(*f->items));
		f->n = macros[i].n;
		return true;
	}
	if (!parse_try(p, '('))
		return parse_item(p, f);
	do {
		if (!parse_item(p, f))
			return false;
	} while (parse_try(p, ' '));
	return parse_char(p, ')');
}
