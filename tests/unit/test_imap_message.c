/* ENVELOPE and BODYSTRUCTURE of messages, LF to CRLF. links: imapd/session/wire.c imapd/session/print.c imapd/session/utf7.c */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "message.h"
#include "base/banned.h"

/* RFC 9051 8, with its message of 92 lines and 3028 bytes */
#define TERRY "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\n" \
	"From: Terry Gray <gray@cac.washington.edu>\n" \
	"Subject: IMAP4rev2 WG mtg summary and minutes\n" \
	"To: imap@cac.washington.edu\n" \
	"cc: minutes@CNRI.Reston.VA.US, \n   John Klensin <KLENSIN@MIT.EDU>\n" \
	"Message-Id: <B27397-0100000@cac.washington.edu>\n" \
	"MIME-Version: 1.0\n" \
	"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\n"

static void
envelopes(void **state UNUSED)
{
	static const char *const cases[][2] = {
		{ TERRY, "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" "
		    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) "
		    "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
		    "\"<B27397-0100000@cac.washington.edu>\")" },
		{ "\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)" },
		{ "To: undisclosed-recipients:;\n\n",
		    "(NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)" },
		{ "To: g: a@b, \"C \\\"D\\\"\" <c@d>;\n\n",
		    "(NIL NIL NIL NIL NIL ((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(\"C \\\"D\\\"\" NIL \"c\" \"d\")(NIL NIL NIL NIL)) "
		    "NIL NIL NIL NIL)" },
		{ "From: a@b\nSender: \nReply-To: c@d\nFrom: second@x\n\n",
		    "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) NIL NIL NIL NIL NIL)" },
		{ "To: a@b\nCc: x@y\nTo: c@d\nCc:\nCc: g:;\n\n", "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) "
		    "((NIL NIL \"x\" \"y\")(NIL NIL \"g\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL)" },
		{ "Subject: a\n  \"folded\"\n\tsubject\n\n", "(NIL \"a  \\\"folded\\\" subject\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
		{ "Subject:\nIn-Reply-To: <x@y>\n\n", "(NIL \"\" NIL NIL NIL NIL NIL NIL \"<x@y>\" NIL)" },
		{ "Subject: gr\xc3\xbc\xc3\x9f" "e\n\n", "(NIL {7}\r\ngr\xc3\xbc\xc3\x9f" "e NIL NIL NIL NIL NIL NIL NIL NIL)" },
	};
	struct buf out;

	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		buf_reset(&out);
		envelope_print(&out, span_str(cases[i][0]));
		assert_string_equal(buf_cstr(&out), cases[i][1]);
	}
	buf_fini(&out);
}

/* `lines` lines of the message's own text, `size` bytes on the wire */
static void
add_text(struct buf *msg, unsigned lines, unsigned size)
{
	unsigned left = size - 2 * lines;

	for (unsigned i = 0; i < lines; i++) {
		unsigned n = left / (lines - i);

		for (unsigned k = 0; k < n; k++)
			buf_addc(msg, 'x');
		buf_addc(msg, '\n');
		left -= n;
	}
}

static void
print_structure(struct span msg, bool extended, struct buf *out)
{
	struct arena a;
	struct mime mime;

	arena_init(&a, MIME_ARENA_MAX);
	assert_true(mime_parse(&mime, &a, msg));
	buf_reset(out);
	structure_print(out, &mime, extended);
	arena_fini(&a);
}

static void
rfc_structures(void **state UNUSED)
{
	struct buf msg, out;

	buf_init(&msg, 1 << 20);
	buf_init(&out, 1 << 20);
	buf_adds(&msg, TERRY);
	add_text(&msg, 92, 3028);
	print_structure(buf_span(&msg), false, &out);
	assert_string_equal(buf_cstr(&out), "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7bit\" 3028 92)");

	/* RFC 9051 7.5.2, BODYSTRUCTURE */
	buf_reset(&msg);
	buf_adds(&msg, "Content-Type: MULTIPART/MIXED; boundary=b\n\n--b\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\n");
	add_text(&msg, 23, 1152);
	buf_adds(&msg, "\n--b\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=\"cc.diff\"\n"
	    "Content-ID: <960723163407.20117h@cac.washington.edu>\nContent-Description: Compiler diff\n"
	    "Content-Transfer-Encoding: BASE64\n\n");
	add_text(&msg, 73, 4554);
	buf_adds(&msg, "\n--b--\n");
	print_structure(buf_span(&msg), false, &out);
	assert_string_equal(buf_cstr(&out), "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7bit\" 1152 23)"
	    "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\" \"NAME\" \"cc.diff\") \"<960723163407.20117h@cac.washington.edu>\" "
	    "\"Compiler diff\" \"BASE64\" 4554 73) \"MIXED\")");
	buf_fini(&msg);
	buf_fini(&out);
}

static void
structures(void **state UNUSED)
{
	static const char *const cases[][2] = {
		{ "Content-Type: text/plain; a*1=y; title*0*=utf-8''x%20; TITLE*1=\"z w\"; a*0=x; b*2=q; c*=d\n\n",
		  "(\"text\" \"plain\" (\"a\" \"xy\" \"title*\" \"utf-8''x%20z w\" \"b*2\" \"q\" \"c*\" \"d\" \"charset\" \"us-ascii\") "
		  "NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)" },
		{ "A: b\n\nhello\n", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1 NIL NIL NIL NIL)" },
		{ "Content-Type: image/png; name=a.png\nContent-Disposition: attachment; filename=\"a b.png\"\nContent-Language: de, en\n"
		  "Content-Transfer-Encoding: base64 (really)\nContent-MD5: x==\nContent-Location: http://x\n\nAA",
		  "(\"image\" \"png\" (\"name\" \"a.png\") NIL NIL \"base64\" 2 \"x==\" (\"attachment\" (\"filename\" \"a b.png\")) "
		  "(\"de\" \"en\") \"http://x\")" },
		{ "Content-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b\nContent-Type: text/html\n\n<p>\n--b--\n",
		  "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0 NIL NIL NIL NIL)"
		  "(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0 NIL NIL NIL NIL) \"alternative\" (\"boundary\" \"b\") NIL NIL NIL)" },
		{ "Content-Type: message/rfc822\n\nSubject: in\n\nhi\n",
		  "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 19 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
		  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)" },
	};
	struct buf out;

	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		print_structure(span_str(cases[i][0]), true, &out);
		assert_string_equal(buf_cstr(&out), cases[i][1]);
	}
	buf_fini(&out);
}

static bool
balanced(struct span s)
{
	long depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < s.n && depth >= 0; i++) {
		if (quoted && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
		else if (!quoted)
			depth += s.p[i] == '(' ? 1 : s.p[i] == ')' ? -1 : 0;
	}
	return depth == 0 && !quoted;
}

/* deeper than the parser goes: whatever it is taken for, the answer is well-formed */
static void
deep_structure(void **state UNUSED)
{
	struct buf msg, out;

	buf_init(&msg, 4 << 20);
	buf_init(&out, 4 << 20);
	for (int i = 0; i < 1000; i++)
		buf_addf(&msg, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
	print_structure(buf_span(&msg), true, &out);
	assert_true(!out.over && balanced(buf_span(&out)));
	buf_reset(&msg);
	for (int i = 0; i < 1000; i++)
		buf_adds(&msg, "Content-Type: message/rfc822\n\n");
	print_structure(buf_span(&msg), true, &out);
	assert_true(!out.over && balanced(buf_span(&out)));
	buf_fini(&msg);
	buf_fini(&out);
}

static void
wire(void **state UNUSED)
{
	static const char text[] = "a\nb\r\n\n\0c";
	static const char sent[] = "a\r\nb\r\n\r\n?c";
	struct span s = span_of(text, sizeof(text) - 1);
	char got[64];
	int fd[2];

	assert_int_equal(wire_size(s), sizeof(sent) - 1);
	for (size_t from = 0; from <= sizeof(sent); from++)
		for (size_t count = 1; count <= sizeof(sent); count++) {
			size_t want = from < sizeof(sent) - 1 ? sizeof(sent) - 1 - from : 0;
			struct stream io;

			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
			stream_init(&io, fd[0], 1000);
			wire_put(&io, s, from, count);
			stream_puts(&io, ".");
			assert_true(stream_flush(&io));
			want = want > count ? count : want;
			assert_int_equal(read(fd[1], got, sizeof(got)), want + 1);
			assert_memory_equal(got, sent + (want ? from : 0), want);
			stream_fini(&io);
			close(fd[0]);
			close(fd[1]);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelopes),
		cmocka_unit_test(rfc_structures),
		cmocka_unit_test(structures),
		cmocka_unit_test(deep_structure),
		cmocka_unit_test(wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
