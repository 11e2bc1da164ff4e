/* grammar.c: pieces of IMAP commands from clients that are not logged in. */
#include "grammar.h"

#include "base/banned.h"

static bool
atom_char(char c)
{
	return c > ' ' && c < 0x7f && !memchr("(){%*\"\\]", c, 8);
}

static bool
astring_char(char c)
{
	return atom_char(c) || c == ']';
}

static bool
take_while(struct span *rest, bool (*fits)(char c), struct span *out)
{
	size_t n = 0;

	while (n < rest->n && fits(rest->p[n]))
		n++;
	*out = span_sub(*rest, 0, n);
	*rest = span_skip(*rest, n);
	return n > 0;
}

static bool
take_char(struct span *rest, char c)
{
	if (rest->n == 0 || rest->p[0] != c)
		return false;
	*rest = span_skip(*rest, 1);
	return true;
}

static bool
take_line_end(struct span *rest)
{
	if (rest->n > 1 && rest->p[0] == '\r')
		*rest = span_skip(*rest, 1);
	return take_char(rest, '\n');
}

static bool
tag_char(char c)
{
	return astring_char(c) && c != '+';
}

bool
imap_tag(struct span *rest, struct span *tag)
{
	return take_while(rest, tag_char, tag) && tag->n <= IMAP_TAG_MAX;
}

bool
imap_space(struct span *rest)
{
	if (!take_char(rest, ' '))
		return false;
	while (take_char(rest, ' '))
		;
	return true;
}

bool
imap_atom(struct span *rest, struct span *atom)
{
	return take_while(rest, atom_char, atom);
}

static bool
word_char(char c)
{
	return c > ' ' && c < 0x7f;
}

bool
imap_word(struct span *rest, struct span *word)
{
	return take_while(rest, word_char, word);
}

/* Behind the opening quote. */
static bool
take_quoted(struct span *rest, struct buf *out)
{
	for (size_t i = 0; i < rest->n; i++) {
		char c = rest->p[i];

		if (c == '"') {
			*rest = span_skip(*rest, i + 1);
			return !out->over;
		}
		if (c == '\\' && (++i == rest->n || ((c = rest->p[i]) != '"' && c != '\\')))
			return false;
		if (c == '\r' || c == '\n' || c == 0)
			return false;
		buf_addc(out, c);
	}
	return false;
}

/* Behind the opening brace. */
static bool
take_literal(struct span *rest, struct buf *out)
{
	struct span size;
	ssize_t close = span_find(*rest, '}');
	uint32_t n;

	if (close <= 0)
		return false;
	size = span_sub(*rest, 0, (size_t)close);
	*rest = span_skip(*rest, (size_t)close + 1);
	if (size.p[size.n - 1] == '+')
		size.n--;
	if (!span_u32(size, 0, UINT32_MAX, &n) || !take_line_end(rest) || n > rest->n || memchr(rest->p, 0, n))
		return false;
	buf_add(out, rest->p, n);
	*rest = span_skip(*rest, n);
	return !out->over;
}

static bool
take_string(struct span *rest, struct buf *out)
{
	if (take_char(rest, '"'))
		return take_quoted(rest, out);
	return take_char(rest, '{') && take_literal(rest, out);
}

bool
imap_astring(struct span *rest, struct buf *out)
{
	struct span atom;

	if (rest->n > 0 && (rest->p[0] == '"' || rest->p[0] == '{'))
		return take_string(rest, out);
	if (!take_while(rest, astring_char, &atom))
		return false;
	buf_addspan(out, atom);
	return !out->over;
}

static bool
take_nil(struct span *rest)
{
	if (!span_starts_nocase(*rest, "NIL"))
		return false;
	*rest = span_skip(*rest, 3);
	return true;
}

static bool
take_pair(struct span *rest)
{
	struct buf key, value;
	bool ok;

	buf_init(&key, IMAP_ID_KEY_MAX);
	buf_init(&value, IMAP_ID_VALUE_MAX);
	ok = take_string(rest, &key) && imap_space(rest) && (take_nil(rest) || take_string(rest, &value));
	buf_fini(&key);
	buf_fini(&value);
	return ok;
}

bool
imap_id_list(struct span *rest)
{
	if (take_nil(rest))
		return true;
	if (!take_char(rest, '('))
		return false;
	for (int i = 0; i < IMAP_ID_PAIRS_MAX; i++) {
		if (take_char(rest, ')'))
			return true;
		if ((i > 0 && !imap_space(rest)) || !take_pair(rest))
			return false;
	}
	return take_char(rest, ')');
}

bool
imap_end(struct span rest)
{
	while (take_char(&rest, ' '))
		;
	return take_line_end(&rest) && rest.n == 0;
}
