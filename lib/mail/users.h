/*
 * users.h: the users table. Text (conf/users, root only):
 *
 *   address:verifier:uid:gid:home:
 *
 *   address    user@domain, lower case
 *   verifier   parts joined by '|': a crypt(3) string, and SCRAM verifiers as
 *              "SCRAM-SHA-256$4096,salt$storedkey,serverkey" (RFC 5803 with ',' for ':');
 *              "!" in front: login is disabled
 *   uid gid    numbers, of the user's own: his processes and files have them; empty: virtual_uid_maps, else virtual_mail_user
 *   home       directory below virtual_mailbox_base that holds Maildir, or, with / at its end, is one; empty: DOMAIN/USER
 *
 * Compiled to users.cdb (address -> "uid:gid:home", world-readable) and
 * secrets.cdb (address -> verifier, readable by root only: auth gets it from master).
 */
#ifndef MAIL_USERS_H
#define MAIL_USERS_H

#include "base/buf.h"

/*
 * A record of secrets.cdb that is no user's (no login has a blank in it): a
 * random secret that stays when the table is made anew.
 */
#define USERS_SECRET_KEY "the secret"

struct user_record {
	struct span address, verifier, uid, gid, home;
};

/* One line of the text. false and a sentence in err when it is malformed. */
bool user_parse_line(struct span line, struct user_record *u, struct buf *err);
void user_format_line(struct buf *out, const struct user_record *u);

/* The numbers of a value of users.cdb; false: it has none. */
bool user_ids(struct span value, struct span *uid, struct span *gid);

/* Appends the mailbox (mailboxpath.h) of a value of users.cdb: "bench.test/u1"; false when malformed. */
bool user_mailbox(struct span address, struct span value, struct buf *mailbox);

#endif
