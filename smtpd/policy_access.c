/*
 * policy_access.c: access tables and what they may answer (Postfix's access(5)).
 * The tables are root's, the keys are strangers'; an action of a policy service
 * goes the same way.
 */
#include "policy_run.h"

#include <stdlib.h>

#include "base/log.h"
#include "mail/envelope.h"
#include "net/tls.h"
#include "service/message.h"
#include "service/params.h"

#include "base/banned.h"

#define VALUE_MAX 16384
#define PARENTS_MAX 130			/* labels of a name */
#define PREPEND_MAX 8192		/* bytes of all PREPENDs of one message */

/* ---- actions ---- */

struct action {
	struct policy_run *run;
	struct span text;		/* behind the word */
	enum subject of;
};

/* "4.7.1 text" to its parts; without a code, dsn stays as it is. */
static struct span
take_dsn(struct span text, char dsn[10])
{
	struct span word, rest = text;

	if (!span_word(&rest, " \t", &word) || word.n < 5 || word.n > 9 || !strchr("245", word.p[0]) || word.p[1] != '.')
		return text;
	for (size_t i = 0; i < word.n; i++)
		if (word.p[i] != '.' && (word.p[i] < '0' || word.p[i] > '9'))
			return text;
	memcpy(dsn, word.p, word.n);
	dsn[word.n] = '\0';
	return span_trim(rest.p ? rest : SPAN_NONE);
}

static enum verdict
refuse_with(const struct action *a, int code, const char *usual)
{
	char dsn[10] = "", why[REPLY_TEXT_MAX];
	struct span text;

	memcpy(dsn, usual, strlen(usual) + 1);
	text = take_dsn(a->text, dsn);
	if (text.n == 0)
		text = SPAN("Access denied");
	if (text.n >= sizeof(why))
		text.n = sizeof(why) - 1;
	memcpy(why, text.p, text.n);
	why[text.n] = '\0';
	return run_refuse(a->run, a->of, code, dsn, why);
}

static enum verdict
act_ok(const struct action *a)
{
	(void)a;
	return PERMIT;
}

static enum verdict
act_dunno(const struct action *a)
{
	(void)a;
	return DUNNO;
}

static enum verdict
act_reject(const struct action *a)
{
	return refuse_with(a, (int)par.access_map_reject_code, "5.7.1");
}

static enum verdict
act_defer(const struct action *a)
{
	return refuse_with(a, 450, "4.7.1");
}

static enum verdict
act_defer_if_permit(const struct action *a)
{
	struct reply kept = a->run->reply;

	(void)refuse_with(a, 450, "4.7.1");
	if (a->run->if_permit.code == 0)
		a->run->if_permit = a->run->reply;
	a->run->reply = kept;
	return DUNNO;
}

static enum verdict
act_defer_if_reject(const struct action *a)
{
	struct reply kept = a->run->reply;

	(void)refuse_with(a, 450, "4.7.1");
	a->run->if_reject = a->run->reply;
	a->run->reply = kept;
	return DUNNO;
}

static void
log_action(const struct action *a, const char *what)
{
	const struct policy_run *run = a->run;

	log_info(run->s->id, "NOQUEUE: %s: %s from %s[%s]: %.*s; from=<%s> to=<%s> proto=%s helo=<%s>", what,
	    run_stage_name(run), client_name(run->s), run->s->addr, SPAN_FMT(a->text), buf_cstr(&run->sender),
	    buf_cstr(&run->rcpt), session_protocol(run->s), run->s->helo);
}

static enum verdict
act_warn(const struct action *a)
{
	log_action(a, "warn");
	return DUNNO;
}

static enum verdict
act_info(const struct action *a)
{
	log_action(a, "info");
	return DUNNO;
}

/* The whole message, all recipients: taken, and thrown away. */
static enum verdict
act_discard(const struct action *a)
{
	log_action(a, "discard");
	a->run->discard = true;
	return PERMIT;
}

/* A header: one printable line "Name: text". */
static enum verdict
act_prepend(const struct action *a)
{
	struct session *s = a->run->s;
	ssize_t colon = span_find(a->text, ':');

	if (colon <= 0 || !span_printable(a->text) || span_find(span_sub(a->text, 0, (size_t)colon), ' ') >= 0 ||
	    a->text.n > 990 || s->prepend.len + a->run->prepend.len + a->text.n + 2 > PREPEND_MAX) {
		log_warn(s->id, "PREPEND %.*s: not a header of at most 990 printable characters, or too many", SPAN_FMT(a->text));
		return DUNNO;
	}
	buf_addspan(&a->run->prepend, a->text);
	buf_adds(&a->run->prepend, "\r\n");
	return DUNNO;
}

/* The whole message, all recipients: into the queue, and no further. */
static enum verdict
act_hold(const struct action *a)
{
	log_action(a, "hold");
	a->run->hold = true;
	return DUNNO;
}

static enum verdict
misconfigured(struct policy_run *run, enum subject of, const char *what, struct span text)
{
	log_warn(run->s->id, "%s: \"%.*s\"", what, SPAN_FMT(text));
	return run_refuse(run, of, 451, "4.3.5", "Server configuration error");
}

static bool
is_address(struct span text)
{
	struct address a;

	return address_parse(text, ADDRESS_UTF8, &a) == ADDRESS_OK && text.n <= ADDRESS_MAX;
}

static enum verdict
act_redirect(const struct action *a)
{
	if (!is_address(a->text))
		return misconfigured(a->run, a->of, "REDIRECT needs one address user@domain", a->text);
	log_action(a, "redirect");
	free(a->run->redirect);
	a->run->redirect = x_spandup(a->text);
	return DUNNO;
}

static enum verdict
act_bcc(const struct action *a)
{
	if (!is_address(a->text))
		return misconfigured(a->run, a->of, "BCC needs one address user@domain", a->text);
	log_action(a, "bcc");
	msg_list_add(&a->run->bcc, a->text);
	return DUNNO;
}

static enum verdict
act_not_here(const struct action *a)
{
	return misconfigured(a->run, a->of, "FILTER is not done here", a->text);
}

static const struct {
	const char *word;
	enum verdict (*act)(const struct action *a);
} actions[] = {
	{ "OK", act_ok }, { "PERMIT", act_ok }, { "DUNNO", act_dunno }, { "REJECT", act_reject }, { "DEFER", act_defer },
	{ "DEFER_IF_PERMIT", act_defer_if_permit }, { "DEFER_IF_REJECT", act_defer_if_reject },
	{ "WARN", act_warn }, { "INFO", act_info }, { "DISCARD", act_discard }, { "PREPEND", act_prepend },
	{ "HOLD", act_hold }, { "REDIRECT", act_redirect }, { "BCC", act_bcc }, { "FILTER", act_not_here },
};

/* "REJECT" alone is ours; "reject" as in a list of restrictions is the same. */
enum verdict
policy_act(struct policy_run *run, struct span text, enum subject of)
{
	struct action a = { .run = run, .of = of, .text = span_trim(text) };
	struct span word, rest = a.text;
	struct list *l;
	struct buf err;
	uint32_t code;

	if (!span_word(&rest, " \t", &word))
		return misconfigured(run, of, "an empty action", text);
	rest = span_trim(rest.p ? rest : SPAN_NONE);
	if (word.n == 3 && span_u32(word, 400, 599, &code)) {
		a.text = rest;
		return refuse_with(&a, (int)code, code < 500 ? "4.7.1" : "5.7.1");
	}
	if (span_u32(word, 0, UINT32_MAX, &code))	/* as in a table of addresses to numbers */
		return PERMIT;
	for (size_t i = 0; i < NELEMS(actions); i++) {
		if (!span_is_nocase(word, actions[i].word))
			continue;
		a.text = rest;
		return actions[i].act(&a);
	}
	buf_init(&err, 4096);
	l = list_parse("access table", of, a.text, true, &err);
	if (!l)
		(void)misconfigured(run, of, buf_cstr(&err), a.text);
	buf_fini(&err);
	return l ? run_call(run, l, l) : REFUSE;
}

/* ---- look-ups ---- */

struct lookup {
	struct maps *maps;
	struct buf value;
	enum map_answer answer;
};

/* True: that was the last key. */
static bool
try(struct lookup *l, struct span key, bool whole)
{
	buf_reset(&l->value);
	l->answer = key.n == 0 ? MAP_NONE : whole ? maps_find(l->maps, key, &l->value) :
	    maps_find_part(l->maps, key, &l->value);
	return l->answer != MAP_NONE;
}

/* A name and its parents: a table entry for example.com holds for all below it. */
static bool
try_domain(struct lookup *l, struct span name, bool whole)
{
	for (int i = 0; i < PARENTS_MAX; i++) {
		ssize_t dot = span_find(name, '.');

		if (try(l, name, whole))
			return true;
		if (dot < 0)
			return false;
		name = span_skip(name, (size_t)dot + 1);
		whole = false;
	}
	return false;
}

/* 192.0.2.1, 192.0.2, 192.0, 192; 2001:db8:1::5, 2001:db8:1:, ... as Postfix cuts them */
static bool
try_address(struct lookup *l, struct span addr)
{
	char sep = span_find(addr, ':') >= 0 ? ':' : '.';
	bool whole = true;

	while (addr.n > 0) {
		ssize_t at = span_rfind(addr, sep);

		if (try(l, addr, whole))
			return true;
		if (at < 0)
			return false;
		addr = span_sub(addr, 0, (size_t)at);
		while (addr.n > 0 && addr.p[addr.n - 1] == ':')
			addr.n--;
		whole = false;
	}
	return false;
}

static bool
try_user(struct lookup *l, struct span local)
{
	struct buf key;
	bool found;

	buf_init(&key, ADDRESS_MAX + 2);
	buf_addspan(&key, local);
	buf_addc(&key, '@');
	found = try(l, buf_span(&key), false);
	buf_fini(&key);
	return found;
}

static bool
try_mail(struct lookup *l, struct span address)
{
	struct address_parts p;
	struct buf base;
	bool found;

	if (!resolve_split(policy_resolver(), address, &p))
		return try(l, address, true);
	if (try(l, address, true))
		return true;
	buf_init(&base, ADDRESS_MAX + 2);
	buf_addspan(&base, p.base);
	buf_addc(&base, '@');
	buf_addspan(&base, p.domain);
	found = (p.base.n != p.local.n && try(l, buf_span(&base), false)) || try_domain(l, p.domain, false) ||
	    try_user(l, p.local) || (p.base.n != p.local.n && try_user(l, p.base));
	buf_fini(&base);
	return found;
}

/* ---- the words ---- */

static void
ask_host(struct lookup *l, const char *name, const char *addr)
{
	if (!try_domain(l, span_str(name), true))
		(void)try_address(l, span_str(addr));
}

static void
ask_client(struct policy_run *run, struct lookup *l)
{
	ask_host(l, client_name(run->s), run->s->addr);
}

static void
ask_reverse(struct policy_run *run, struct lookup *l)
{
	ask_host(l, client_reverse(run->s), run->s->addr);
}

static void
ask_helo(struct policy_run *run, struct lookup *l)
{
	(void)try_domain(l, span_str(run->s->helo), true);
}

static void
ask_etrn(struct policy_run *run, struct lookup *l)
{
	(void)try_domain(l, span_str(run->etrn), true);
}

static void
ask_sender(struct policy_run *run, struct lookup *l)
{
	if (run->sender.len > 0)
		(void)try_mail(l, buf_span(&run->sender));
	else
		(void)try(l, span_str(par.smtpd_null_access_lookup_key), true);
}

static void
ask_recipient(struct policy_run *run, struct lookup *l)
{
	(void)try_mail(l, buf_span(&run->rcpt));
}

static void
ask_login(struct policy_run *run, struct lookup *l)
{
	(void)try(l, span_str(run->s->login), true);
}

/* Both fingerprints, the certificate's first (Postfix: cert_fingerprint, pubkey_fingerprint). */
static void
ask_certificate(struct policy_run *run, struct lookup *l)
{
	if (!try(l, span_str(run->s->peer_cert->certificate), true))
		(void)try(l, span_str(run->s->peer_cert->key), true);
}

/* What the table said, when it said something. */
static enum verdict
act_on(struct policy_run *run, const struct word *w, enum subject of, const struct lookup *l)
{
	if (l->answer == MAP_FOUND)
		return policy_act(run, buf_span(&l->value), of);
	if (l->answer == MAP_NONE)
		return DUNNO;
	log_warn(run->s->id, "%s: no answer", w->arg);
	return run_refuse(run, of, 451, "4.3.0", "Temporary lookup failure");
}

static enum verdict
check_access(struct policy_run *run, const struct word *w, enum subject of,
    void (*ask)(struct policy_run *run, struct lookup *l))
{
	struct lookup l = { .maps = w->maps, .answer = MAP_NONE };
	enum verdict v;

	buf_init(&l.value, VALUE_MAX);
	ask(run, &l);
	v = act_on(run, w, of, &l);
	buf_fini(&l.value);
	return v;
}

bool
policy_access_host(struct policy_run *run, const struct word *w, enum subject of, const char *name, const char *addr, enum verdict *v)
{
	struct lookup l = { .maps = w->maps, .answer = MAP_NONE };

	buf_init(&l.value, VALUE_MAX);
	(void)(name ? try_domain(&l, span_str(name), true) : try_address(&l, span_str(addr)));
	*v = act_on(run, w, of, &l);
	buf_fini(&l.value);
	return l.answer != MAP_NONE;
}

enum verdict
judge_check_client_access(struct policy_run *run, const struct word *w)
{
	return check_access(run, w, OF_CLIENT, ask_client);
}

enum verdict
judge_check_reverse_client_hostname_access(struct policy_run *run, const struct word *w)
{
	return check_access(run, w, OF_REVERSE, ask_reverse);
}

enum verdict
judge_check_helo_access(struct policy_run *run, const struct word *w)
{
	return run->s->helo[0] ? check_access(run, w, OF_HELO, ask_helo) : DUNNO;
}

enum verdict
judge_check_etrn_access(struct policy_run *run, const struct word *w)
{
	return run->etrn[0] ? check_access(run, w, OF_ETRN, ask_etrn) : DUNNO;
}

enum verdict
judge_check_sender_access(struct policy_run *run, const struct word *w)
{
	return run->stage == STAGE_HELLO ? DUNNO : check_access(run, w, OF_SENDER, ask_sender);
}

enum verdict
judge_check_recipient_access(struct policy_run *run, const struct word *w)
{
	return run->rcpt.len > 0 ? check_access(run, w, OF_RCPT, ask_recipient) : DUNNO;
}

enum verdict
judge_check_sasl_access(struct policy_run *run, const struct word *w)
{
	return run->s->login ? check_access(run, w, run->subject, ask_login) : DUNNO;
}

enum verdict
judge_check_ccert_access(struct policy_run *run, const struct word *w)
{
	return run->s->peer_cert ? check_access(run, w, OF_CLIENT, ask_certificate) : DUNNO;
}
