/* login.c: finds the password of a destination. The table is the operator's; what the server offers is a stranger's. */
#include "login.h"

#include <openssl/crypto.h>

#include "base/map.h"
#include "service/service.h"
#include "base/banned.h"

static struct maps *passwords;

void
login_open(void)
{
	passwords = service_maps(par.smtp_sasl_password_maps);
}

void
login_refresh(void)
{
	(void)maps_refresh(passwords);
}

static enum map_answer
by_sender(struct span sender, struct buf *value)
{
	enum map_answer ans = maps_find(passwords, sender, value);
	ssize_t at = span_rfind(sender, '@');

	return ans == MAP_NONE && at >= 0 ? maps_find(passwords, span_skip(sender, (size_t)at), value) : ans;
}

static enum map_answer
find(struct span nexthop, const char *host, struct span sender, struct buf *value)
{
	enum map_answer ans = MAP_NONE;

	if (par.smtp_sender_dependent_authentication && sender.n)
		ans = by_sender(sender, value);
	if (ans == MAP_NONE)
		ans = maps_find(passwords, nexthop, value);
	if (ans == MAP_NONE)
		ans = maps_find(passwords, span_str(host), value);
	return ans;
}

enum login_answer
login_begin(struct span nexthop, const char *host, struct span sender, struct span offered, bool tls,
    struct sasl **out, struct buf *err)
{
	const char *options = tls ? par.smtp_sasl_tls_security_options : par.smtp_sasl_security_options;
	bool plaintext = !param_list_has(options, SPAN("noplaintext"));
	struct span user, password;
	enum map_answer ans;
	struct buf value;

	*out = NULL;
	if (!par.smtp_sasl_auth_enable)
		return LOGIN_NONE;
	buf_init(&value, SASL_TEXT_MAX);
	ans = find(nexthop, host, sender, &value);
	password = span_trim(buf_span(&value));
	if (ans == MAP_FAILED)
		buf_adds(err, "smtp_sasl_password_maps cannot be read");
	else if (ans == MAP_FOUND && (!span_cut(&password, ':', &user) || !password.p || user.n == 0))
		buf_adds(err, "the entry of smtp_sasl_password_maps is not user:password");
	else if (ans == MAP_FOUND && offered.n)
		*out = sasl_new(offered, span_str(par.smtp_sasl_mechanism_filter), plaintext, user, password, SPAN_NONE);
	if (ans == MAP_FOUND && offered.n && !*out && !err->len)
		buf_addf(err, "none of its mechanisms (%.*s) may be used%s", SPAN_FMT(offered),
		    tls || plaintext ? "" : " without TLS");
	if (value.len)
		OPENSSL_cleanse(value.p, value.len);
	buf_fini(&value);
	return *out ? LOGIN_READY : err->len ? LOGIN_IMPOSSIBLE : LOGIN_NONE;
}
