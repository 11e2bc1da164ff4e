/*
 * parse.h: the arguments of one command (RFC 9051 9), read from a whole command
 * in memory: lines with their literals in place ("{5}" CRLF and five bytes).
 *
 * Spans point into the command or into its arena. Every parse_* returns false
 * on a mistake and leaves a sentence in `error` (the first one stays). Nothing
 * recurses; lists are counted against the bounds below.
 */
#ifndef IMAP_PARSE_H
#define IMAP_PARSE_H

#include <time.h>

#include "base/arena.h"
#include "seqset.h"

#define PARSE_KEYWORDS_MAX 100		/* flags in one list */
#define PARSE_FIELDS_MAX 500		/* header names in one section */
#define PARSE_ITEMS_MAX 100		/* items of one FETCH */
#define PARSE_PARTS_MAX 100		/* numbers in one section path */

struct parser {
	struct span in;
	size_t at;
	struct arena *arena;
	const char *error;
	const char *code;		/* response code for the error; NULL: none */
	bool uid_only;			/* message numbers are a mistake (RFC 9586) */
	bool utf8;			/* mailbox names are UTF-8 (RFC 9051, RFC 6855), not modified UTF-7 */
	struct span raw_name;		/* the last mailbox name as it was sent, decoded from its string */
};

void parse_begin(struct parser *p, struct span in, struct arena *a);
bool parse_fail(struct parser *p, const char *error);	/* returns false */
bool parse_needs_uid(struct parser *p);			/* the same with the code UIDREQUIRED */
bool parse_at_end(const struct parser *p);		/* but for blanks, which people who type leave there */
char parse_peek(const struct parser *p);		/* 0 at the end */
bool parse_end(struct parser *p) CHECKED;		/* nothing may follow */
bool parse_char(struct parser *p, char c) CHECKED;
bool parse_try(struct parser *p, char c);		/* no error when it is another */
bool parse_space(struct parser *p) CHECKED;		/* one, or more as some clients send; something follows */
bool parse_try_word(struct parser *p, const char *word);	/* without regard to case, whole atom */

bool parse_atom(struct parser *p, struct span *s) CHECKED;
bool parse_string(struct parser *p, struct span *s) CHECKED;	/* quoted or literal */
bool parse_astring(struct parser *p, struct span *s) CHECKED;
bool parse_nstring(struct parser *p, struct span *s, bool *nil) CHECKED;
bool parse_u32(struct parser *p, uint32_t *v) CHECKED;
bool parse_u63(struct parser *p, uint64_t *v) CHECKED;		/* number64, mod-sequence-valzer */
bool parse_seqset(struct parser *p, struct seqset *set) CHECKED;
bool parse_list_pattern(struct parser *p, struct span *s) CHECKED;	/* list-mailbox: as sent */
/*
 * A mailbox name as UTF-8, INBOX in upper case. A name that is not valid
 * modified UTF-7 (or UTF-8, see p->utf8) gives *ok = false and no syntax error: the answer is NO.
 */
bool parse_mailbox(struct parser *p, struct span *name, bool *ok) CHECKED;
/* The same of a text that is already at hand. */
bool parse_decode_name(struct parser *p, struct span raw, struct span *name, bool *ok) CHECKED;

/* Flags: system flags as a mask, keywords as spans. */
enum {
	FLAG_SEEN = 1 << 0,
	FLAG_ANSWERED = 1 << 1,
	FLAG_FLAGGED = 1 << 2,
	FLAG_DELETED = 1 << 3,
	FLAG_DRAFT = 1 << 4,
	FLAG_RECENT = 1 << 5,
};
struct flag_list {
	unsigned system;
	struct span *keywords;
	uint32_t n;
};
unsigned flag_by_name(struct span s);			/* "\Seen"; 0: none of these */
bool parse_flag(struct parser *p, struct flag_list *f) CHECKED;
bool parse_flag_list(struct parser *p, struct flag_list *f) CHECKED;	/* in parentheses */
bool parse_date_time(struct parser *p, time_t *t) CHECKED;	/* quoted */
bool parse_date(struct parser *p, time_t *day) CHECKED;	/* quoted or not */

/* BODY[...] */
enum section_what { SECTION_ALL, SECTION_HEADER, SECTION_FIELDS, SECTION_FIELDS_NOT, SECTION_TEXT, SECTION_MIME };
struct section {
	uint32_t *path;
	uint32_t depth;
	enum section_what what;
	struct span *fields;
	uint32_t nfields;
	struct span text;		/* as sent, between the brackets: goes into the answer */
};

enum fetch_what {
	FETCH_FLAGS, FETCH_UID, FETCH_MODSEQ, FETCH_INTERNALDATE, FETCH_SIZE, FETCH_ENVELOPE, FETCH_BODY, FETCH_BODYSTRUCTURE,
	FETCH_SECTION,			/* BODY[...] and its older names */
	FETCH_BINARY, FETCH_BINARY_SIZE, FETCH_PREVIEW, FETCH_EMAILID, FETCH_THREADID, FETCH_SAVEDATE,
};
struct fetch_item {
	enum fetch_what what;
	const char *name;		/* as it is answered; NULL: "BODY[text]" */
	struct section section;
	bool peek, partial;
	uint64_t from, count;
};
struct fetch_list {
	struct fetch_item *items;
	uint32_t n;
};
bool parse_fetch_list(struct parser *p, struct fetch_list *f) CHECKED;

#endif
