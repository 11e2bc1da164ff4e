/*
 * address.h: mailbox syntax (RFC 5321 4.1.2, RFC 6531) and address lists of
 * headers (RFC 5322 3.4). Reads hostile text; linear; never recurses; blocks
 * on nothing.
 */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include "base/buf.h"
#include "mail/envelope.h"

#define ADDRESS_LOCAL_MAX 64		/* RFC 5321 4.5.3.1.1 */
#define ADDRESS_DOMAIN_MAX 255
#define ADDRESS_LABEL_MAX 63
#define ADDRESS_PATH_MAX 2048		/* a source route included */

enum {
	ADDRESS_UTF8 = 1 << 0,		/* SMTPUTF8 was asked for: UTF-8 in local part and domain */
	ADDRESS_NULL = 1 << 1,		/* <> is allowed (MAIL) */
	ADDRESS_BARE = 1 << 2,		/* a local part without a domain is allowed; <postmaster> always is */
	ADDRESS_LOOSE = 1 << 3,		/* a path may lack its <> (strict_rfc821_envelopes = no) */
};

enum address_status {
	ADDRESS_OK,
	ADDRESS_SYNTAX,			/* 501 5.1.7 / 5.1.3 */
	ADDRESS_TOO_LONG,		/* a part is past its limit: 501 5.1.3 */
	ADDRESS_NEEDS_UTF8,		/* 8-bit without SMTPUTF8: 553 5.6.7 */
	ADDRESS_BAD_LITERAL,		/* [999.1.1.1]: 501 5.1.3 */
};
const char *address_problem(enum address_status st);	/* "bad address syntax" */

/* A mailbox "local@domain", the whole span. Spans point into s: local as written (perhaps quoted), domain without @. */
struct address {
	struct span local, domain;	/* domain empty: there is none */
};
enum address_status address_parse(struct span s, unsigned flags, struct address *a) CHECKED;

/*
 * "<a@b> PARAM=..." of MAIL and RCPT. Appends the canonical address to *out ("" for <>), *rest goes on
 * behind the >. Source routes (RFC 5321 C) are checked and dropped. A local part that starts with '-'
 * is refused: some program's option.
 */
enum address_status address_parse_path(struct span s, unsigned flags, struct buf *out, struct span *rest) CHECKED;

/* Canonical form: no needless quotes, domain in lower case. */
void address_canonical(const struct address *a, struct buf *out);
/* The local part without quotes and backslashes. */
void address_unquote(struct span local, struct buf *out);
/* A local part from plain text: quoted when it must be. */
void address_quote(struct span plain, struct buf *out);

/* Cut a checked address at its last @ (none: domain is empty). */
struct address address_split(struct span s);
/* user+tag: the local part before the first of the delimiters that is not its first character. A quoted one has no tag. */
struct span address_base(struct span local, struct span delimiters);

/* Domain of letters, digits, hyphens; limits; no address literal. Names of EHLO too. flags: ADDRESS_UTF8. */
bool address_domain_valid(struct span s, unsigned flags);
/* "[1.2.3.4]" or "[IPv6:...]" */
bool address_literal_valid(struct span s);
bool address_utf8_valid(struct span s);		/* well-formed UTF-8, no overlong forms, no surrogates */

/* ---- lists: From, To, Cc ... ---- */

#define ADDRESS_LIST_TOKENS 10240	/* what comes after them is not looked at */

enum address_item_kind { ADDRESS_MAILBOX, ADDRESS_GROUP_START, ADDRESS_GROUP_END };

/* Text is decoded (quotes, backslashes, comments, folding gone) and valid until the next call. */
struct address_item {
	enum address_item_kind kind;
	struct span name;		/* display name, or the group's; "" when there is none. Encoded words stay */
	struct span local;		/* without quotes */
	struct span domain;		/* as written; "" when there is none */
	struct span route;		/* "@a,@b", obsolete (RFC 5322 4.4); "" when there is none */
	bool bad;			/* repaired: it was not well-formed */
};

struct address_list {
	struct span in;
	size_t at;
	unsigned tokens;
	bool in_group;
	struct buf phrase, local, domain, route, comment;
};

/* value: of a header, folded or not. Every list begun is ended by address_list_fini. */
void address_list_begin(struct address_list *l, struct span value);
bool address_list_next(struct address_list *l, struct address_item *item);
void address_list_fini(struct address_list *l);

#endif
