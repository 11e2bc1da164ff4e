/*
 * trace.c: the header fields that intake adds. Names and HELO come from
 * strangers: everything but plain characters is replaced.
 */
#include "intake.h"

#include <time.h>

#include "base/clock.h"
#include "mail/address.h"
#include "service/params.h"
#include "base/banned.h"

/* A name into a header: no blanks, parentheses, quotes, controls (abuse of comments and folding). */
static void
add_name(struct buf *out, struct span s)
{
	s = span_sub(s, 0, INTAKE_TEXT_MAX);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		buf_addc(out, c > 0x20 && c < 0x7f && !strchr("()<>\\\";,", c) ? c : '?');
	}
}

/* The same, with blanks: "TLSv1.3 TLS_AES_256_GCM_SHA384" */
static void
add_words(struct buf *out, struct span s)
{
	struct span word;
	bool first = true;

	for (; span_word(&s, " ", &word); first = false) {
		if (!first)
			buf_addc(out, ' ');
		add_name(out, word);
	}
}

static void
add_from(const struct intake *in, struct buf *out)
{
	if (!in->client_addr.n)
		return;
	buf_adds(out, "from ");
	add_name(out, in->helo.n ? in->helo : in->client_name.n ? in->client_name : SPAN("unknown"));
	buf_adds(out, " (");
	add_name(out, in->client_name.n ? in->client_name : SPAN("unknown"));
	buf_adds(out, " [");
	if (span_find(in->client_addr, ':') >= 0 && !span_starts_nocase(in->client_addr, "IPv6:"))
		buf_adds(out, "IPv6:");
	add_name(out, in->client_addr);
	buf_adds(out, "])\n\t");
	if (in->tls.n) {
		buf_adds(out, "(using ");
		add_words(out, in->tls);
		buf_adds(out, ")\n\t");
	}
}

void
trace_received(const struct intake *in, struct buf *out)
{
	char date[CLOCK_DATE_MAX];

	buf_adds(out, "Received: ");
	add_from(in, out);
	buf_addf(out, "by %s (%s", par.myhostname, par.mail_name);
	if (in->role == R_PUBLIC)
		buf_addf(out, ", from userid %u", (unsigned)in->uid);
	buf_adds(out, ")");
	if (in->protocol.n) {
		buf_adds(out, " with ");
		add_name(out, in->protocol);
	}
	buf_addf(out, " id %s", in->id);
	if (in->trailer.rcpts == 1) {	/* with more it would tell of blind copies (RFC 5321 7.2) */
		buf_adds(out, "\n\tfor <");
		buf_addspan(out, buf_span(&in->first_rcpt));
		buf_adds(out, ">");
	}
	buf_addf(out, "%s%s\n", in->trailer.rcpts == 1 ? "; " : ";\n\t",
	    clock_rfc5322((time_t)(in->env.arrival_us / 1000000), date));
}

void
trace_missing(const struct intake *in, struct buf *out)
{
	char date[CLOCK_DATE_MAX];

	if (!(in->law.has & LINELAW_HAS_DATE))
		buf_addf(out, "Date: %s\n", clock_rfc5322((time_t)(in->env.arrival_us / 1000000), date));
	if (!(in->law.has & LINELAW_HAS_MESSAGE_ID))
		buf_addf(out, "Message-ID: <%s@%s>\n", in->id, par.myhostname);
	if (!(in->law.has & LINELAW_HAS_FROM)) {
		buf_adds(out, "From: ");
		if (in->env.sender.n)
			buf_addspan(out, in->env.sender);
		else
			buf_addf(out, "MAILER-DAEMON@%s", par.myhostname);
		buf_addc(out, '\n');
	}
}
