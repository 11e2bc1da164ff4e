/*
 * accounts.h: who exists, what proves it, where the mail is and how much. Reads secrets.cdb,
 * users.cdb and quota.cdb; all are opened through master, before the jail and again
 * when they were replaced.
 */
#ifndef AUTH_ACCOUNTS_H
#define AUTH_ACCOUNTS_H

#include "base/map.h"

#define LOGIN_MAX 320		/* bytes of a login name, RFC 5321 4.5.3.1 */

void accounts_open(void);	/* before the jail; dies on a mistake */
void accounts_refresh(void);	/* cheap; before each exchange */

/*
 * The canonical form of a name from a stranger: lower case, and completed by
 * the domain when there is exactly one virtual domain. False: no account can
 * have such a name.
 */
bool account_login(struct span name, struct buf *login) CHECKED;

/* The login of auth_external_maps for one of the fingerprints (blank separated). */
enum map_answer account_of_certificate(struct span fingerprints, struct buf *login);
/* Of secrets.cdb: what fake verifiers are made of; empty when the table was made without. */
void account_secret(struct buf *out);

enum map_answer account_verifier(struct span login, struct buf *verifier);
enum map_answer account_mailbox(struct span login, struct buf *mailbox);	/* directory below virtual_mailbox_base */
struct span account_quota(struct span login, struct buf *room);	/* his limit or his domain's, in room; empty: none */

#endif
