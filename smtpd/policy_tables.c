/*
 * policy_tables.c: what the tables of recipients and senders say of an address, in words of SMTP. The tables are the operator's,
 * the addresses strangers'.
 */
#include "policy_run.h"

#include "service/params.h"

#include "base/banned.h"

struct reply
policy_unlisted(struct span address, const char *who)
{
	static const char *const table[] = {
		[CLASS_LOCAL] = "local recipient", [CLASS_VIRTUAL] = "virtual mailbox", [CLASS_ALIAS] = "virtual alias",
		[CLASS_RELAY] = "relay recipient", [CLASS_REMOTE] = "recipient",
	};
	bool sender = who[0] == 'S';
	enum address_class cls;

	if (address.n == 0)
		return reply_pending();
	switch (resolve_check(policy_resolver(), address, &cls)) {
	case RESOLVE_OK:
		return reply_pending();
	case RESOLVE_RETRY:
		return reply_make(451, "4.3.0", "<%.*s>: Temporary lookup failure", SPAN_FMT(address));
	case RESOLVE_UNKNOWN: {
		int code = (int)par.unknown_local_recipient_reject_code;

		return reply_make(code, sender ? (code < 500 ? "4.1.0" : "5.1.0") : code < 500 ? "4.1.1" : "5.1.1",
		    "<%.*s>: %s address rejected: User unknown in %s table", SPAN_FMT(address), who, table[cls]);
	}
	case RESOLVE_MOVED:
		return reply_make(550, sender ? "5.1.0" : "5.1.6", "<%.*s>: %s address rejected: User has moved to %.*s",
		    SPAN_FMT(address), who, SPAN_FMT(resolver_moved(policy_resolver())));
	case RESOLVE_BAD:
		break;
	}
	return reply_make(501, sender ? "5.1.7" : "5.1.3", "<%.*s>: %s address rejected: bad address", SPAN_FMT(address), who);
}

struct reply
policy_listed(struct span rcpt)
{
	return policy_unlisted(rcpt, "Recipient");
}

bool
policy_has_owners(void)
{
	return !maps_empty(policy_sender_logins());
}

enum map_answer
policy_owners(struct span sender, struct buf *owners)
{
	enum map_answer ans = maps_find(policy_sender_logins(), sender, owners);
	ssize_t at = span_rfind(sender, '@');

	return ans == MAP_NONE && at >= 0 ? maps_find_part(policy_sender_logins(), span_skip(sender, (size_t)at), owners) : ans;
}

enum map_answer
policy_owned(struct span address, const char *login)
{
	enum map_answer ans;
	struct buf owners;

	buf_init(&owners, 64 * 1024);
	ans = policy_owners(address, &owners);
	if (ans == MAP_FOUND && !param_list_has(buf_cstr(&owners), span_str(login)))
		ans = MAP_NONE;
	buf_fini(&owners);
	return ans;
}
