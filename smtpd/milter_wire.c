/* milter_wire.c: packets to and from a milter. Each letter is a row: what follows it, and when it may come. */
#include "milter_wire.h"

#include <ctype.h>

#include "base/banned.h"

#define NAME_MAX_ 200			/* of a header field */
#define FIELD_MAX 65536			/* its value */
#define STEP(s) (1u << (s))
#define ANY (STEP(MILTER_STEPS) - 1 - STEP(MILTER_NEGOTIATE))
#define IN_MESSAGE (ANY & ~(STEP(MILTER_CONNECT) | STEP(MILTER_HELO)))
#define AT_END STEP(MILTER_END)

/* what follows the letter: i a number, s a string, t one that may be missing, b all the rest */
static const struct {
	char letter;
	enum milter_answer kind;
	const char *layout;
	unsigned steps;
	uint32_t action;		/* that must have been agreed on */
} rows[] = {
	{ 'c', MA_CONTINUE, "", ANY, 0 },
	{ 'a', MA_ACCEPT, "", ANY, 0 },
	{ 'r', MA_REJECT, "", ANY, 0 },
	{ 't', MA_TEMPFAIL, "", ANY, 0 },
	{ 'd', MA_DISCARD, "", IN_MESSAGE, 0 },
	{ 'y', MA_REPLY, "s", ANY, 0 },
	{ 'f', MA_CONN_FAIL, "", ANY, 0 },
	{ '4', MA_SHUTDOWN, "", ANY, 0 },
	{ 'p', MA_PROGRESS, "", ANY, 0 },
	{ 's', MA_SKIP, "", STEP(MILTER_BODY), 0 },
	{ 'O', MA_OPTIONS, "iAPb", STEP(MILTER_NEGOTIATE), 0 },
	{ 'h', MA_ADD_HEADER, "ss", AT_END, MILTER_ADDHDRS },
	{ 'i', MA_INSERT_HEADER, "iss", AT_END, MILTER_ADDHDRS },
	{ 'm', MA_CHANGE_HEADER, "iss", AT_END, MILTER_CHGHDRS },
	{ 'e', MA_CHANGE_FROM, "st", AT_END, MILTER_CHGFROM },
	{ '+', MA_ADD_RCPT, "s", AT_END, MILTER_ADDRCPT },
	{ '2', MA_ADD_RCPT_PAR, "st", AT_END, MILTER_ADDRCPT_PAR },
	{ '-', MA_DELETE_RCPT, "s", AT_END, MILTER_DELRCPT },
	{ 'b', MA_REPLACE_BODY, "b", AT_END, MILTER_CHGBODY },
	{ 'q', MA_QUARANTINE, "s", AT_END, MILTER_QUARANTINES },
};

uint32_t
milter_actions_of(uint32_t version)
{
	static const uint32_t all[] = { [2] = 0x3f, [3] = 0x3f, [4] = 0x3f, [5] = 0x3f, [6] = 0x1ff };

	return all[version];
}

uint32_t
milter_protocol_of(uint32_t version)
{
	static const uint32_t all[] = { [2] = 0x7f, [3] = 0x17f, [4] = 0x3ff, [5] = 0x3ff, [6] = 0x1fffff & ~(uint32_t)MILTER_RCPT_REJ };

	return all[version];
}

/* ---- what comes ---- */

static uint32_t
get_u32(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

enum milter_read
milter_packet(struct span in, struct span *packet, size_t *used)
{
	uint32_t n;

	if (in.n < 4)
		return MILTER_MORE;
	n = get_u32(in.p);
	if (n == 0 || n > MILTER_PACKET_MAX)
		return MILTER_BAD;
	if (in.n - 4 < n)
		return MILTER_MORE;
	*packet = span_sub(in, 4, 4 + (size_t)n);
	*used = 4 + (size_t)n;
	return MILTER_OK;
}

static bool
take_u32(struct span *rest, uint32_t *v)
{
	if (rest->n < 4)
		return false;
	*v = get_u32(rest->p);
	*rest = span_skip(*rest, 4);
	return true;
}

static bool
take_string(struct span *rest, struct span *s)
{
	ssize_t nul = span_find(*rest, '\0');

	if (nul < 0)
		return false;
	*s = span_sub(*rest, 0, (size_t)nul);
	*rest = span_skip(*rest, (size_t)nul + 1);
	return true;
}

static bool
take_part(char layout, struct span *rest, struct milter_reply *r, struct span *text)
{
	if (layout == 'i')
		return take_u32(rest, &r->index);
	if (layout == 'A')
		return take_u32(rest, &r->actions);
	if (layout == 'P')
		return take_u32(rest, &r->protocol);
	if (layout == 't' && rest->n == 0)
		return true;
	if (layout != 'b')
		return take_string(rest, text);
	*text = *rest;
	*rest = SPAN_NONE;
	return true;
}

/* The first string or run of bytes is the value, unless there are two: then it is the name. */
static bool
take_layout(const char *layout, struct span rest, struct milter_reply *r)
{
	struct span texts[2] = { SPAN_NONE, SPAN_NONE };
	unsigned n = 0;

	for (; *layout; layout++) {
		bool is_text = strchr("stb", *layout);

		if (!take_part(*layout, &rest, r, &texts[n]))
			return false;
		n += is_text;
	}
	r->name = n == 2 ? texts[0] : SPAN_NONE;
	r->value = n == 2 ? texts[1] : texts[0];
	return rest.n == 0;
}

bool
milter_parse(struct span packet, enum milter_step step, uint32_t actions, struct milter_reply *r, const char **why)
{
	*r = (struct milter_reply){ .name = SPAN_NONE, .value = SPAN_NONE };
	for (size_t i = 0; packet.n > 0 && i < NELEMS(rows); i++) {
		if (packet.p[0] != rows[i].letter)
			continue;
		r->kind = rows[i].kind;
		*why = "its answer does not belong here";
		if (!(rows[i].steps & STEP(step)))
			return false;
		*why = "it changes what it has not asked to change";
		if (rows[i].action && !(actions & rows[i].action))
			return false;
		*why = "its answer is malformed";
		return take_layout(rows[i].layout, span_skip(packet, 1), r);
	}
	*why = "its answer is none that the protocol has";
	return false;
}

bool
milter_symbols(struct span *rest, uint32_t *stage, struct span *names)
{
	return take_u32(rest, stage) && take_string(rest, names);
}

/* ---- texts ---- */

static bool
is_code(struct span line, const char code[4])
{
	return line.n >= 3 && memcmp(line.p, code, 3) == 0 && (line.n == 3 || line.p[3] == ' ' || line.p[3] == '-');
}

/* "5.7.1", behind the code of each line; the first line's is the reply's. */
static struct span
cut_dsn(struct span line, char class, struct reply *r)
{
	struct span rest = line, word;
	unsigned dots = 0;

	if (!span_word(&rest, " ", &word) || word.n >= sizeof(r->dsn) || word.n < 5 || word.p[0] != class)
		return line;
	for (size_t i = 0; i < word.n; i++) {
		if (!isdigit((unsigned char)word.p[i]) && word.p[i] != '.')
			return line;
		dots += word.p[i] == '.';
	}
	if (dots != 2 || line.p[0] == ' ')
		return line;
	if (!r->dsn[0]) {
		memcpy(r->dsn, word.p, word.n);
		r->dsn[word.n] = '\0';
	}
	return rest.p && rest.n > 0 ? span_skip(rest, 1) : SPAN_NONE;
}

bool
milter_reply_text(struct span text, struct reply *r)
{
	struct buf all;
	struct span line;
	char code[4] = "";
	bool ok = text.n >= 3 && (text.p[0] == '4' || text.p[0] == '5') && isdigit((unsigned char)text.p[1]) && isdigit((unsigned char)text.p[2]);

	if (!ok)
		return false;
	memcpy(code, text.p, 3);
	*r = reply_make((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'), "", "%s", "");
	buf_init(&all, REPLY_TEXT_MAX - 1);
	text = span_trim_right(text);
	for (bool first = true; ok && text.p && span_cut(&text, '\n', &line); first = false) {
		line = span_trim_right(line);
		ok = is_code(line, code);
		if (!first)
			buf_addc(&all, '\n');
		buf_addspan(&all, cut_dsn(span_skip(line, 4), code[0], r));
	}
	ok = ok && !all.over && !memchr(all.p, '\r', all.len);
	if (ok)
		memcpy(r->text, all.p, all.len + 1);
	if (!r->dsn[0])
		memcpy(r->dsn, code[0] == '4' ? "4.7.1" : "5.7.1", 6);
	if (r->code == 421)
		r->then = THEN_CLOSE;
	buf_fini(&all);
	return ok;
}

static bool
name_valid(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f || name.p[i] == ':')
			return false;
	return name.n > 0 && name.n <= NAME_MAX_;
}

/* Line ends become LF; each but the last must be a fold. */
static bool
add_value(struct span value, struct buf *out)
{
	value = span_trim_right(value);
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i], next = i + 1 < value.n ? value.p[i + 1] : '\0';

		if (c == '\r' && next == '\n')
			continue;
		if (c == '\r' || (c == '\n' && next != ' ' && next != '\t'))
			return false;
		buf_addc(out, c);
	}
	return true;
}

bool
milter_field(const struct milter_reply *r, bool verbatim, struct buf *out, const char **why)
{
	*why = "the name of its header field is none";
	if (!name_valid(r->name))
		return false;
	*why = "its header field is too long";
	if (r->value.n > FIELD_MAX)
		return false;
	buf_addspan(out, r->name);
	buf_adds(out, verbatim && r->value.n > 0 ? ":" : ": ");
	*why = "its header field has a line end that is no fold";
	if (!add_value(r->value, out))
		return false;
	buf_addc(out, '\n');
	return true;
}

/* ---- what goes ---- */

void
milter_add_u32(struct buf *out, uint32_t v)
{
	const char b[4] = { (char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v };

	buf_add(out, b, sizeof(b));
}

void
milter_add_string(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_addc(out, s.p[i] ? s.p[i] : ' ');
	buf_addc(out, '\0');
}

size_t
milter_begin(struct buf *out, char command)
{
	size_t mark = out->len;

	milter_add_u32(out, 0);
	buf_addc(out, command);
	return mark;
}

void
milter_finish(struct buf *out, size_t mark)
{
	uint32_t n = (uint32_t)(out->len - mark - 4);

	if (out->over)
		return;
	for (int i = 0; i < 4; i++)
		out->p[mark + (size_t)i] = (char)(n >> (24 - 8 * i));
}
