/*
 * fuzz_sasl.c: messages of a login, for each mechanism: no bytes are a proof. The
 * first byte chooses the mechanism, 0xfe ends a message.
 * links: master/auth/sasl.c master/auth/proven.c master/auth/penalty.c
 */
#include <stdlib.h>

#include "base/log.h"
#include "mail/password/password.h"
#include "penalty.h"
#include "proven.h"
#include "sasl.h"
#include "service/message.h"
#include "service/params.h"

#include "base/banned.h"

#define MESSAGES_MAX 8
#define MESSAGE_END ((char)0xfe)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
char *crypt_rn(const char *phrase, const char *setting, void *data, int size);

/* crypt(3) takes its time on purpose; here no password fits anyway. */
char *
crypt_rn(const char *phrase, const char *setting, void *data, int size)
{
	static char hash[] = "$y$none";

	(void)phrase;
	(void)setting;
	(void)data;
	(void)size;
	return hash;
}

bool
account_login(struct span name, struct buf *login)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] == 0x7f)
			return false;
	buf_addspan(login, span_sub(name, 0, LOGIN_MAX));
	return name.n > 0 && name.n <= LOGIN_MAX;
}

enum map_answer
account_verifier(struct span login, struct buf *out)
{
	if (span_is(login, "f"))
		return MAP_FAILED;
	if (!span_starts(login, "a"))
		return MAP_NONE;
	buf_adds(out, "$y$other|SCRAM-SHA-256$4096,W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
	return MAP_FOUND;
}

enum map_answer
account_of_certificate(struct span fingerprints, struct buf *login)
{
	buf_addspan(login, fingerprints);
	return fingerprints.n ? MAP_FOUND : MAP_NONE;
}

static void
set_up(void)
{
	size_t size;
	void *spare;

	log_setup("fuzz", LOG_TEXT, LOG_ERROR_);
	par.myhostname = "mx.test";
	par.smtpd_sasl_mechanism_filter = AUTH_MECHS;
	saslx_library_open();
	proven_open(-1, 300);
	spare = proven_spare(&size);
	penalty_open(spare, size);
}

static void
play(const char *mech, struct span in, struct span bindings)
{
	/* EXTERNAL: a certificate of nobody */
	struct saslx_origin from = { .bindings = bindings };
	enum auth_result result = AUTH_FAILED;
	enum saslx_turn turn;
	struct span message, out;
	struct saslx x;

	if (!saslx_open(&x, "smtp", &from) || !span_cut(&in, MESSAGE_END, &message))
		abort();
	if (message.n == 1 && message.p[0] == '-')
		message = (struct span){ NULL, 0 };
	turn = saslx_start(&x, mech, SPAN("nobody"), message, &out, &result);
	for (int i = 0; turn == SASLX_MORE && i < MESSAGES_MAX; i++) {
		if (!span_cut(&in, MESSAGE_END, &message))
			message = SPAN_NONE;
		turn = saslx_step(&x, message, &out, &result);
	}
	if (turn == SASLX_DONE && result == AUTH_OK)
		abort();
	saslx_close(&x);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const mechs[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "EXTERNAL" };
	static struct buf bindings;
	static bool ready;
	struct span in = span_of(data, n);

	if (!ready) {
		set_up();
		buf_init(&bindings, 200);
		msg_list_add(&bindings, SPAN("tls-exporter"));
		msg_list_add(&bindings, SPAN("0123456789abcdef0123456789abcdef"));
	}
	ready = true;
	if (n < 1 || n > 8192)
		return 0;
	play(mechs[data[0] % NELEMS(mechs)], span_skip(in, 1), data[0] & 0x80 ? SPAN_NONE : buf_span(&bindings));
	return 0;
}
