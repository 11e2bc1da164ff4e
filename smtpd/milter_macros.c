/* milter_macros.c: the values that go to milters with each step, by the names that Sendmail gave them. */
#include "milter_run.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/tls.h"
#include "service/params.h"

#include "base/banned.h"

#define VALUE_MAX 2048

static struct span
last_rcpt(const struct session *s)
{
	struct span rest = span_skip(buf_span(&s->rcpts), s->rcpt_at), address = SPAN_NONE;

	(void)msg_list_next(&rest, &address);
	return address;
}

static void
domain_of(struct span address, struct buf *out)
{
	ssize_t at = span_rfind(address, '@');

	if (at >= 0)
		buf_addspan(out, span_skip(address, (size_t)at + 1));
}

/* A word of "TLSv1.3 TLS_AES_256_GCM_SHA384 ..." */
static struct span
tls_word(const struct session *s, unsigned n)
{
	struct span rest = span_str(s->tls), word = SPAN_NONE;

	for (unsigned i = 0; i <= n; i++)
		if (!span_word(&rest, " ", &word))
			return SPAN_NONE;
	return word;
}

static void
put_client(const struct session *s, struct buf *out)
{
	buf_addf(out, "%s [%s]", client_name(s), s->addr);
}

static void
put_client_name(const struct session *s, struct buf *out)
{
	buf_adds(out, client_name(s));
}

static void
put_client_addr(const struct session *s, struct buf *out)
{
	buf_adds(out, s->addr);
}

static void
put_client_port(const struct session *s, struct buf *out)
{
	buf_addf(out, "%u", ntohs(s->peer.sin6_port));
}

static void
put_client_ptr(const struct session *s, struct buf *out)
{
	buf_adds(out, client_reverse(s));
}

static void
put_client_resolve(const struct session *s, struct buf *out)
{
	static const char *const words[] = { [DNS_OK] = "OK", [DNS_FAIL] = "TEMP" };
	enum dns_status st = peername_status(s->names);

	buf_adds(out, st < NELEMS(words) && words[st] ? words[st] : "FAIL");
}

static void
put_daemon_addr(const struct session *s, struct buf *out)
{
	struct sockaddr_storage here = client_here(s);
	char text[NETLIST_TEXT_MAX];

	if (here.ss_family != AF_UNSPEC)
		buf_adds(out, netlist_text(&here, text));
}

static void
put_daemon_port(const struct session *s, struct buf *out)
{
	struct sockaddr_storage here = client_here(s);

	if (here.ss_family != AF_UNSPEC)
		buf_addf(out, "%u", ntohs(((const struct sockaddr_in6 *)&here)->sin6_port));
}

static void
put_hostname(const struct session *s, struct buf *out)
{
	(void)s;
	buf_adds(out, par.myhostname);
}

static void
put_daemon_name(const struct session *s, struct buf *out)
{
	(void)s;
	buf_adds(out, par.milter_macro_daemon_name);
}

static void
put_version(const struct session *s, struct buf *out)
{
	(void)s;
	buf_adds(out, par.milter_macro_v);
}

static void
put_tls_version(const struct session *s, struct buf *out)
{
	buf_addspan(out, tls_word(s, 0));
}

static void
put_cipher(const struct session *s, struct buf *out)
{
	buf_addspan(out, tls_word(s, 1));
}

static void
put_cipher_bits(const struct session *s, struct buf *out)
{
	struct span cipher = tls_word(s, 1);

	if (cipher.n > 0)
		buf_adds(out, memmem(cipher.p, cipher.n, "128", 3) ? "128" : "256");
}

static void
put_cert_subject(const struct session *s, struct buf *out)
{
	if (s->peer_cert)
		buf_adds(out, s->peer_cert->name);
}

static void
put_auth_type(const struct session *s, struct buf *out)
{
	if (s->login && s->mech)
		buf_adds(out, s->mech);
}

static void
put_auth_authen(const struct session *s, struct buf *out)
{
	if (s->login)
		buf_adds(out, s->login);
}

static void
put_id(const struct session *s, struct buf *out)
{
	if (s->milters && s->milters->goal == GOAL_CONTENT)
		buf_adds(out, s->shown_id);
}

static void
put_mail_addr(const struct session *s, struct buf *out)
{
	buf_addspan(out, buf_span(&s->sender));
}

static void
put_mail_host(const struct session *s, struct buf *out)
{
	domain_of(buf_span(&s->sender), out);
}

static void
put_rcpt_addr(const struct session *s, struct buf *out)
{
	buf_addspan(out, last_rcpt(s));
}

static void
put_rcpt_host(const struct session *s, struct buf *out)
{
	domain_of(last_rcpt(s), out);
}

static const struct {
	const char *name;
	void (*put)(const struct session *s, struct buf *out);
} values[] = {
	{ "j", put_hostname }, { "_", put_client }, { "v", put_version }, { "i", put_id },
	{ "{daemon_name}", put_daemon_name }, { "{daemon_addr}", put_daemon_addr }, { "{daemon_port}", put_daemon_port },
	{ "{client_addr}", put_client_addr }, { "{client_name}", put_client_name }, { "{client_port}", put_client_port },
	{ "{client_ptr}", put_client_ptr }, { "{client_resolve}", put_client_resolve },
	{ "{tls_version}", put_tls_version }, { "{cipher}", put_cipher }, { "{cipher_bits}", put_cipher_bits },
	{ "{cert_subject}", put_cert_subject },
	{ "{auth_type}", put_auth_type }, { "{auth_authen}", put_auth_authen },
	{ "{mail_addr}", put_mail_addr }, { "{mail_host}", put_mail_host },
	{ "{rcpt_addr}", put_rcpt_addr }, { "{rcpt_host}", put_rcpt_host },
};

/* milter_macro_defaults: "name=value" or "{name}=value" */
static void
put_default(struct span name, struct buf *out)
{
	struct span rest = span_str(par.milter_macro_defaults), word;

	while (span_word(&rest, ", \t", &word)) {
		struct span value = word, said;

		(void)span_cut(&value, '=', &said);
		if (value.p && span_eq(span_trim(said), name)) {
			buf_addspan(out, span_trim(value));
			return;
		}
	}
}

/* Names of one letter stand alone, longer ones in braces, also where the list has none. */
static void
put_value(const struct session *s, struct span name, struct buf *value)
{
	for (size_t i = 0; i < NELEMS(values); i++)
		if (span_is(name, values[i].name)) {
			values[i].put(s, value);
			break;
		}
	if (value->len == 0)
		put_default(name, value);
}

static void
add_macro(const struct session *s, struct span word, struct buf *out)
{
	struct buf name, value;

	buf_init(&name, 128);
	buf_init(&value, VALUE_MAX);
	if (word.n > 1 && word.p[0] != '{')
		buf_addf(&name, "{%.*s}", SPAN_FMT(word));
	else
		buf_addspan(&name, word);
	put_value(s, buf_span(&name), &value);
	if (value.len > 0 && !name.over) {
		milter_add_string(out, buf_span(&name));
		milter_add_string(out, buf_span(&value));
	}
	buf_fini(&name);
	buf_fini(&value);
}

static const char *
names_of(const struct milter_link *l, enum milter_step step)
{
	const char *const ours[MILTER_STEPS] = {
		[MILTER_CONNECT] = par.milter_connect_macros, [MILTER_HELO] = par.milter_helo_macros,
		[MILTER_MAIL] = par.milter_mail_macros, [MILTER_RCPT] = par.milter_rcpt_macros,
		[MILTER_DATA] = par.milter_data_macros, [MILTER_EOH] = par.milter_end_of_header_macros,
		[MILTER_END] = par.milter_end_of_data_macros,
	};

	return l->macros[step] ? l->macros[step] : ours[step];
}

void
milter_macros(const struct milter_link *l, enum milter_step step, char command, struct buf *out)
{
	struct span rest = span_str(names_of(l, step)), word;
	size_t mark;

	if (rest.n == 0)
		return;
	mark = milter_begin(out, 'D');
	buf_addc(out, command);
	while (span_word(&rest, ", \t", &word))
		add_macro(l->m->s, word, out);
	milter_finish(out, mark);
}
