/* IMAP dialogues through a socket pair over a Maildir of their own. links: imapd/session/ */
#include "tests/unit/imapbed.h"
#include "base/banned.h"

static void
first_session(void **state UNUSED)
{
	struct client c;

	start(&c, 10000);
	say(&c, "a CAPABILITY\r\n", "a OK", "* CAPABILITY IMAP4rev1 ", NULL);
	say(&c, "b LIST \"\" *\r\n", "b OK", "* LIST (\\HasNoChildren) \".\" INBOX\r\n", NULL);
	say(&c, "c FETCH 1 FLAGS\r\n", "c BAD", "No mailbox is selected", NULL);
	say(&c, "d APPEND INBOX (\\Seen) {42}\r\n", "+ ", NULL, NULL);
	say(&c, MESSAGE "\r\n", "d OK [APPENDUID ", NULL, NULL);
	say(&c, "e APPEND nowhere {42}\r\n", "e NO [TRYCREATE]", NULL, "+ ");
	say(&c, "e2 APPEND nowhere {42+}\r\n" MESSAGE "\r\n", "e2 NO [TRYCREATE]", NULL, NULL);
	say(&c, "e3 APPEND INBOX {100001}\r\n", "e3 NO [TOOBIG]", NULL, "+ ");
	say(&c, "f SELECT inbox\r\n", "f OK [READ-WRITE]", "* 1 EXISTS\r\n", NULL);
	say(&c, "g FETCH 1:* (UID FLAGS RFC822.SIZE)\r\n", "g OK", "* 1 FETCH (UID 1 FLAGS (\\Seen", NULL);
	say(&c, "h FETCH 1 BODY[]\r\n", "h OK", "BODY[] {42}\r\n" MESSAGE ")\r\n", NULL);
	say(&c, "i FETCH 1 BODY.PEEK[HEADER.FIELDS (subject)]<2.5>\r\n", "i OK", "[HEADER.FIELDS (subject)]<2> {5}\r\nbject)", NULL);
	say(&c, "j UID FETCH 1 (BODY[1] BODY[2] BODY[TEXT])\r\n", "j OK",
	    "* 1 FETCH (UID 1 BODY[1] {6}\r\nbody\r\n BODY[2] NIL BODY[TEXT] {6}\r\nbody\r\n)\r\n", NULL);
	say(&c, "k LOGOUT\r\n", "k OK", "* BYE", NULL);
	stop(&c);
}

static void
changes(void **state UNUSED)
{
	struct client c;

	start(&c, 10000);
	for (int i = 0; i < 5; i++)
		say(&c, "a APPEND INBOX {42+}\r\n" MESSAGE "\r\n", "a OK", NULL, NULL);
	say(&c, "b SELECT INBOX\r\n", "b OK", "[UNSEEN 1]", NULL);
	say(&c, "c FETCH 2 BODY[TEXT]\r\n", "c OK", "FLAGS (\\Seen", NULL);
	say(&c, "d STORE 1,3 +FLAGS (\\Deleted $Junk)\r\n", "d OK", "* 3 FETCH (FLAGS (\\Deleted", NULL);
	say(&c, "e STORE 5 FLAGS.SILENT \\Flagged\r\n", "e OK", NULL, "FETCH");
	say(&c, "f SEARCH OR KEYWORD $junk FLAGGED\r\n", "f OK", "* SEARCH 1 3 5\r\n", NULL);
	say(&c, "g UID EXPUNGE 3:9\r\n", "g OK", "* 3 EXPUNGE\r\n", "* 1 EXPUNGE");
	say(&c, "h CREATE Trash\r\n", "h OK", NULL, NULL);
	say(&c, "i COPY 1:2 Trash\r\n", "i OK [COPYUID ", " 1:2 1:2] ", NULL);
	say(&c, "j UID MOVE 4,5 Trash\r\n", "j OK", " 4:5 3:4] Moved\r\n* 4 EXPUNGE\r\n* 3 EXPUNGE\r\n", NULL);
	say(&c, "k EXPUNGE\r\n", "k OK", "* 1 EXPUNGE\r\n", "* 2 EXPUNGE");
	say(&c, "l STATUS Trash (MESSAGES UIDNEXT UNSEEN SIZE)\r\n", "l OK", "(MESSAGES 4 UIDNEXT 5 UNSEEN 3 SIZE 168)", NULL);
	say(&c, "m EXAMINE Trash\r\n", "m OK [READ-ONLY]", "* 4 EXISTS", NULL);
	say(&c, "n STORE 1 +FLAGS (\\Seen)\r\n", "n NO", NULL, NULL);
	say(&c, "n2 FETCH 2 BODY[]\r\n", "n2 OK", NULL, "FLAGS");
	say(&c, "o COPY 1 nowhere\r\n", "o NO [TRYCREATE]", NULL, NULL);
	say(&c, "p CLOSE\r\n", "p OK", NULL, "EXPUNGE");
	say(&c, "q FETCH 1 UID\r\n", "q BAD", NULL, NULL);
	stop(&c);
}

/* \Recent goes to one session, new keywords are told before they are used, a folder made again is another one. */
static void
news(void **state UNUSED)
{
	unsigned long first, second;
	struct client c, d;

	start(&c, 10000), start(&d, 10000);
	say(&c, "a APPEND INBOX {42+}\r\n" MESSAGE "\r\n", "a OK", NULL, NULL);
	say(&c, "b STATUS INBOX (RECENT)\r\n", "b OK", "(RECENT 1)", NULL);
	say(&c, "c EXAMINE INBOX\r\n", "c OK", "* 1 RECENT\r\n", NULL);
	say(&c, "d SELECT INBOX\r\n", "d OK", "* 1 RECENT\r\n", NULL);
	say(&d, "a SELECT INBOX\r\n", "a OK", "* 0 RECENT\r\n", NULL);
	say(&c, "e COPY 1 INBOX\r\n", "e OK", "* 2 EXISTS\r\n* 2 RECENT\r\n", NULL);
	say(&d, "b NOOP\r\n", "b OK", "* 2 EXISTS\r\n* 0 RECENT\r\n", NULL);
	say(&d, "c STORE 2 +FLAGS (new1 NIL)\r\n", "c OK", " new1 NIL)\r\n* OK [PERMANENTFLAGS (", NULL);
	say(&d, "d STORE 2 +FLAGS (new1)\r\n", "d OK", "FLAGS (new1 NIL)", "PERMANENT");
	say(&c, "f NOOP\r\n", "f OK", " new1 NIL \\*)] Limited\r\n* 2 FETCH", NULL);
	say(&c, "g CREATE Again\r\n", "g OK", NULL, NULL);
	say(&c, "h STATUS Again (UIDVALIDITY)\r\n", "h OK", NULL, NULL);
	first = strtoul(strstr(buf_cstr(&c.in), "VALIDITY ") + 9, NULL, 10);
	say(&c, "i DELETE Again\r\n", "i OK", NULL, NULL);
	say(&c, "j CREATE Again\r\n", "j OK", NULL, NULL);
	say(&c, "k STATUS Again (UIDVALIDITY)\r\n", "k OK", NULL, NULL);
	second = strtoul(strstr(buf_cstr(&c.in), "VALIDITY ") + 9, NULL, 10);
	assert_true(second > first);
	stop(&c), stop(&d);
}

/* $Forwarded is one thing, whoever wrote it: a flag of ours, or a letter that another program gave it. */
static void
forwarded(void **state UNUSED)
{
	struct client c;

	start(&c, 10000);
	say(&c, "a APPEND INBOX ($Forwarded) {42+}\r\n" MESSAGE "\r\n", "a OK", NULL, NULL);
	say(&c, "b SELECT INBOX\r\n", "b OK", "\\Draft $Forwarded)\r\n", NULL);
	say(&c, "c UNSELECT\r\n", "c OK", NULL, NULL);
	assert_true(replace_file(AT_FDCWD, "Maildir/dovecot-keywords", SPAN("0 $Forwarded\n1 Other\n"), 0600));
	assert_true(replace_file(AT_FDCWD, "Maildir/cur/1.other.x:2,abP", SPAN("Subject: x\n\n"), 0600));
	assert_true(replace_file(AT_FDCWD, "Maildir/cur/2.other.x:2,a", SPAN("Subject: x\n\n"), 0600));
	assert_true(replace_file(AT_FDCWD, "Maildir/cur/3.other.x:2,b", SPAN("Subject: x\n\n"), 0600));
	say(&c, "d SELECT INBOX\r\n", "d OK", "\\Draft $Forwarded Other)\r\n", NULL);
	say(&c, "e SEARCH KEYWORD $forwarded\r\n", "e OK", "* SEARCH 1 2 3\r\n", NULL);
	say(&c, "f SEARCH UNKEYWORD $Forwarded\r\n", "f OK", "* SEARCH 4\r\n", NULL);
	say(&c, "g FETCH 1:3 FLAGS\r\n", "g OK", "$Forwarded", "$Forwarded $Forwarded");
	say(&c, "h STORE 1:* -FLAGS ($Forwarded)\r\n", "h OK", NULL, "$Forwarded");
	say(&c, "i SEARCH KEYWORD $Forwarded\r\n", "i OK", "* SEARCH\r\n", NULL);
	say(&c, "j STORE 3 FLAGS ($Forwarded Other)\r\n", "j OK", "* 3 FETCH (FLAGS (", "$Forwarded Other $Forwarded");
	say(&c, "k CREATE To\r\n", "k OK", NULL, NULL);
	say(&c, "l COPY 3 To\r\n", "l OK", NULL, NULL);
	say(&c, "m SELECT To\r\n", "m OK", "\\Draft $Forwarded Other)\r\n", NULL);
	say(&c, "n SEARCH KEYWORD $Forwarded KEYWORD Other\r\n", "n OK", "* SEARCH 1\r\n", NULL);
	stop(&c);
}

static void
identities(void **state UNUSED)
{
	char box[64], mail[64], wanted[128];
	struct client c;

	start(&c, 10000);
	say(&c, "a CREATE One\r\n", "a OK [MAILBOXID (F", NULL, NULL);
	assert_int_equal(sscanf(strstr(buf_cstr(&c.in), "MAILBOXID ("), "MAILBOXID (%60[^)])", box), 1);
	say(&c, "b RENAME One Two\r\n", "b OK", NULL, NULL);
	snprintf(wanted, sizeof(wanted), "MAILBOXID (%s)", box);
	say(&c, "c STATUS Two (MAILBOXID MESSAGES)\r\n", "c OK", wanted, NULL);
	say(&c, "d CREATE One\r\n", "d OK [MAILBOXID (F", NULL, box);
	say(&c, "e APPEND Two \"01-Jan-2001 00:00:00 +0000\" {42+}\r\n" MESSAGE "\r\n", "e OK", NULL, NULL);
	say(&c, "f SELECT Two\r\n", "f OK", wanted, NULL);
	say(&c, "g FETCH 1 (EMAILID THREADID)\r\n", "g OK", " THREADID NIL)", NULL);
	assert_int_equal(sscanf(strstr(buf_cstr(&c.in), "EMAILID ("), "EMAILID (%60[^)])", mail), 1);
	say(&c, "h COPY 1 One\r\n", "h OK", NULL, NULL);
	say(&c, "i MOVE 1 One\r\n", "i OK", NULL, NULL);
	say(&c, "j SELECT One\r\n", "j OK", NULL, NULL);
	snprintf(wanted, sizeof(wanted), "* 2 FETCH (EMAILID (%s)", mail);
	say(&c, "k FETCH 1:2 (EMAILID SAVEDATE)\r\n", "k OK", wanted, "-2001 ");
	say(&c, "l COPY 1 One\r\n", "l OK", NULL, NULL);		/* a copy of a copy */
	snprintf(wanted, sizeof(wanted), "m SEARCH EMAILID %s\r\n", mail);
	say(&c, wanted, "m OK", "* SEARCH 1 2 3\r\n", NULL);
	say(&c, "n STORE 3 +FLAGS (\\Seen)\r\n", "n OK", NULL, NULL);	/* a rename keeps the fields */
	say(&c, wanted, "m OK", "* SEARCH 1 2 3\r\n", NULL);
	say(&c, "o SEARCH EMAILID Mx\r\n", "o OK", "* SEARCH\r\n", NULL);
	say(&c, "p SEARCH NOT THREADID Tx SAVEDATESUPPORTED SAVEDSINCE 1-Jan-2020 NOT SAVEDBEFORE 1-Jan-2020\r\n", "p OK", "* SEARCH 1 2 3\r\n", NULL);
	say(&c, "q SEARCH SAVEDON 1-Jan-2001\r\n", "q OK", "* SEARCH\r\n", NULL);
	say(&c, "r APPEND One \"01-Jan-2001 00:00:00 +0000\" {42+}\r\n" MESSAGE "\r\n", "r OK", NULL, NULL);
	say(&c, "s FETCH 4 (SAVEDATE INTERNALDATE EMAILID)\r\n", "s OK", "INTERNALDATE \" 1-Jan-2001", mail);
	stop(&c);
}

static void
folders(void **state UNUSED)
{
	struct client c;

	start(&c, 10000);
	say(&c, "a CREATE Work.2026.\r\n", "a OK", NULL, NULL);
	say(&c, "b CREATE \"Entw&APw-rfe\"\r\n", "b OK", NULL, NULL);
	say(&c, "c CREATE Sent\r\n", "c OK", NULL, NULL);
	say(&c, "d CREATE Sent\r\n", "d NO [ALREADYEXISTS]", NULL, NULL);
	say(&c, "e LIST \"\" *\r\n", "e OK", "* LIST (\\Noselect \\HasChildren) \".\" Work\r\n* LIST (\\HasNoChildren) \".\" Work.2026\r\n", NULL);
	say(&c, "f LIST \"\" %\r\n", "f OK", "* LIST (\\HasNoChildren \\Sent) \".\" Sent\r\n", "Work.2026");
	say(&c, "g LIST Work. %\r\n", "g OK", "\".\" Work.2026\r\n", "INBOX");
	say(&c, "h LIST \"\" \"Entw&APw-*\"\r\n", "h OK", "\".\" Entw&APw-rfe\r\n", NULL);
	say(&c, "i LIST \"\" \"\"\r\n", "i OK", "* LIST (\\Noselect) \".\" \"\"\r\n", NULL);
	say(&c, "j SUBSCRIBE Work.2026\r\n", "j OK", NULL, NULL);
	say(&c, "k LSUB \"\" *\r\n", "k OK", "* LSUB () \".\" Work.2026\r\n", "Noselect");
	say(&c, "l LSUB \"\" %\r\n", "l OK", "* LSUB (\\Noselect) \".\" Work\r\n", NULL);
	say(&c, "m RENAME Work.2026 Work.2027\r\n", "m OK", NULL, NULL);
	say(&c, "n SELECT Work.2026\r\n", "n NO", NULL, NULL);
	say(&c, "o DELETE Work.2027\r\n", "o OK", NULL, NULL);
	say(&c, "p DELETE INBOX\r\n", "p NO", NULL, NULL);
	say(&c, "q NAMESPACE\r\n", "q OK", "* NAMESPACE ((\"\" \".\")) NIL NIL\r\n", NULL);
	stop(&c);
}

/* LIST with options, as in the examples of RFC 5258 5, and STATUS with it (RFC 5819) */
static void
extended_lists(void **state UNUSED)
{
	struct client c;

	start(&c, 10000);
	say(&c, "a CREATE Fruit.Apple\r\n", "a OK", NULL, NULL);
	say(&c, "a CREATE Fruit.Pear\r\n", "a OK", NULL, NULL);
	say(&c, "a CREATE Sent\r\n", "a OK", NULL, NULL);
	say(&c, "a SUBSCRIBE Fruit.Apple\r\n", "a OK", NULL, NULL);
	say(&c, "a SUBSCRIBE Gone.Far\r\n", "a OK", NULL, NULL);
	say(&c, "a SUBSCRIBE INBOX\r\n", "a OK", NULL, NULL);
	say(&c, "b LIST (SUBSCRIBED) \"\" *\r\n", "b OK", "* LIST (\\HasNoChildren \\Subscribed) \".\" INBOX\r\n"
	    "* LIST (\\HasNoChildren \\Subscribed) \".\" Fruit.Apple\r\n* LIST (\\NonExistent \\HasNoChildren \\Subscribed) \".\" Gone.Far\r\n",
	    "Pear");
	say(&c, "c LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %\r\n", "c OK",
	    "\".\" Fruit (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n* LIST (\\NonExistent \\HasNoChildren) \".\" Gone (\"CHILDINFO\"", "Apple");
	/* the child is told itself: its parent need not be (RFC 5258 4) */
	say(&c, "d LIST (RECURSIVEMATCH SUBSCRIBED) \"\" *\r\n", "d OK", "Apple", "CHILDINFO");
	say(&c, "e LIST () \"\" (Fruit.% Sent) RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)\r\n", "e OK",
	    "* LIST (\\HasNoChildren \\Subscribed) \".\" Fruit.Apple\r\n* LIST (\\HasNoChildren) \".\" Fruit.Pear\r\n"
	    "* LIST (\\HasNoChildren \\Sent) \".\" Sent\r\n", "INBOX");
	say(&c, "f LIST (SPECIAL-USE REMOTE) \"\" *\r\n", "f OK", "\\Sent", "Fruit");
	say(&c, "g LIST \"\" * RETURN (SUBSCRIBED)\r\n", "g OK", "* LIST (\\NonExistent \\HasChildren) \".\" Fruit\r\n", "Gone");
	say(&c, "h LIST \"\" (INBOX Fruit) RETURN (STATUS (MESSAGES UNSEEN))\r\n", "h OK", "* STATUS INBOX (MESSAGES 0 UNSEEN 0)\r\n",
	    "STATUS Fruit");
	say(&c, "h2 STATUS INBOX (APPENDLIMIT MESSAGES)\r\n", "h2 OK", "* STATUS INBOX (MESSAGES 0 APPENDLIMIT 100000)\r\n", NULL);
	say(&c, "i LIST \"\" (\"\")\r\n", "i OK", NULL, "* LIST");
	say(&c, "j LIST (RECURSIVEMATCH REMOTE) \"\" *\r\n", "j BAD", NULL, NULL);
	say(&c, "k LIST (FOO) \"\" *\r\n", "k BAD", NULL, NULL);
	say(&c, "l LIST \"\" * RETURN (FOO)\r\n", "l BAD", NULL, NULL);
	say(&c, "m LIST \"\" ()\r\n", "m BAD", NULL, NULL);
	say(&c, "n LIST \"\" * RETURN (STATUS (FOO))\r\n", "n BAD", NULL, NULL);
	say(&c, "o LIST (SUBSCRIBED\r\n", "o BAD", NULL, NULL);
	say(&c, "p LSUB (SUBSCRIBED) \"\" *\r\n", "p BAD", NULL, NULL);
	say(&c, "q LSUB \"\" *\r\n", "q OK", "* LSUB () \".\" Gone.Far\r\n", NULL);
	stop(&c);
}

static void
special_uses(void **state UNUSED)
{
	struct client c;

	start(&c, 10000);
	say(&c, "a CREATE Sent\r\n", "a OK", NULL, NULL);
	say(&c, "b CREATE Gesendet (USE (\\Sent \\archive))\r\n", "b OK", NULL, NULL);
	say(&c, "c LIST \"\" *\r\n", "c OK", "* LIST (\\HasNoChildren \\Archive \\Sent) \".\" Gesendet\r\n"
	    "* LIST (\\HasNoChildren) \".\" Sent\r\n", NULL);
	say(&c, "d RENAME Gesendet Post.Raus\r\n", "d OK", NULL, NULL);
	say(&c, "d RENAME Post Brief\r\n", "d NO", NULL, NULL);
	say(&c, "e CREATE Post\r\n", "e OK", NULL, NULL);
	say(&c, "e RENAME Post Brief\r\n", "e OK", NULL, NULL);
	say(&c, "f LIST (SPECIAL-USE) \"\" *\r\n", "f OK", "* LIST (\\HasNoChildren \\Archive \\Sent) \".\" Brief.Raus\r\n", "Post");
	say(&c, "g DELETE Brief.Raus\r\n", "g OK", NULL, NULL);
	say(&c, "g CREATE Brief.Raus\r\n", "g OK", NULL, NULL);
	say(&c, "h LIST \"\" *\r\n", "h OK", "\\HasNoChildren \\Sent) \".\" Sent", "Archive");
	say(&c, "i CREATE All (USE (\\All))\r\n", "i NO [USEATTR]", NULL, NULL);
	say(&c, "i LIST \"\" All\r\n", "i OK", NULL, "* LIST");
	say(&c, "j CREATE X (USE (Sent))\r\n", "j BAD", NULL, NULL);
	say(&c, "k CREATE X (USE (\\Sent)\r\n", "k BAD", NULL, NULL);
	say(&c, "l CREATE X (FOO (\\Sent))\r\n", "l BAD", NULL, NULL);
	say(&c, "m CREATE ../x (USE (\\Sent))\r\n", "m NO", NULL, NULL);
	stop(&c);
}

/* names that lead out of the mailbox, or into its own files: refused, and nothing is there afterwards */
static void
hostile_names(void **state UNUSED)
{
	static const char *const names[] = {
		"../../etc/passwd", "a/../b", "/etc", "INBOX/../x", ".", "..", "a..b", "\"&AAA-\"", "\"&AC4-\"", "\"a\x01\"", "~root/x",
		"\"&ACY\"", "a.", ".a",
	};
	struct client c;
	char line[512];

	start(&c, 10000);
	for (size_t i = 0; i < NELEMS(names); i++) {
		snprintf(line, sizeof(line), "a SELECT %s\r\n", names[i]);
		say(&c, line, "a NO", NULL, NULL);
	}
	memset(line, 'x', 400);
	memcpy(line, "b CREATE ", 9);
	memcpy(line + 400, "\r\n", 3);
	say(&c, line, "b NO", NULL, NULL);
	stop(&c);
}

static void
bad_commands(void **state UNUSED)
{
	static const char *const lines[] = {
		"a FOO\r\n", "a\r\n", "a \r\n", "a UID\r\n", "a UID NOOP\r\n", "a NOOP x\r\n", "a LOGIN x y\r\n", "a SELECT\r\n",
		"a SELECT \"INBOX\r\n", "a STATUS INBOX (FOO)\r\n", "a STATUS INBOX ()\r\n", "a LIST\r\n", "a APPEND INBOX foo\r\n",
		"a APPEND INBOX (\\Seen \"x\" {3+}\r\nabc\r\n", "a SELECT {70000+}\r\n", "a ID (\"a\")\r\n", "a ENABLE\r\n",
	};
	struct client c;
	struct buf big;

	start(&c, 10000);
	for (size_t i = 0; i < NELEMS(lines); i++) {
		/* (the oversized literal has to come) */
		if (strstr(lines[i], "70000")) {
			buf_init(&big, 100000);
			buf_adds(&big, lines[i]);
			for (int k = 0; k < 70000; k++)
				buf_addc(&big, 'x');
			buf_adds(&big, "\r\n");
			say(&c, buf_cstr(&big), "a BAD [TOOBIG]", NULL, NULL);
			buf_fini(&big);
		} else {
			say(&c, lines[i], "a BAD", NULL, NULL);
		}
		if (i % 10 == 9)
			say(&c, "z NOOP\r\n", "z OK", NULL, NULL);
	}
	say(&c, "b SELECT {5}\r\n", "+ ", NULL, NULL);
	say(&c, "INBOX\r\n", "b OK", NULL, NULL);
	say(&c, "c SELECT {70000}\r\n", "c BAD [TOOBIG]", NULL, "+ ");
	say(&c, "* NOOP\r\n", "* BAD", NULL, NULL);
	stop(&c);
	start(&c, 10000);
	for (int i = 0; i < 19; i++)
		say(&c, "a FOO\r\n", "a BAD", NULL, NULL);
	say(&c, "a FOO\r\n", "* BYE Too many", NULL, NULL);
	stop(&c);
	start(&c, 10000);
	say(&c, "a APPEND INBOX {99999999999}\r\n", "a BAD [TOOBIG]", NULL, NULL);
	say(&c, "a NOOP {99999999999+}\r\n", "* BYE", NULL, NULL);
	stop(&c);
}

/* a line past its bound ends the session; a stream that ends in the middle of anything leaves nothing */
static void
ends(void **state UNUSED)
{
	static const char *const cuts[] = { "", "a", "a NOOP", "a APPEND INBOX {42+}\r\nFrom", "a SELECT {10+}\r\nIN", ("a APPEND INBOX {42+}\r\n" MESSAGE) };
	struct client c;
	struct buf line;

	buf_init(&line, 100000);
	for (int i = 0; i < 9000; i++)
		buf_addc(&line, 'a');
	start(&c, 10000);
	say(&c, buf_cstr(&line), "* BYE Command is too long", NULL, NULL);
	stop(&c);
	buf_fini(&line);
	for (size_t i = 0; i < NELEMS(cuts); i++) {
		start(&c, 10000);
		assert_true(write_all(c.fd, cuts[i], strlen(cuts[i])));
		stop(&c);
	}
	start(&c, 10000);
	say(&c, "a STATUS INBOX (MESSAGES)\r\n", "a OK", "(MESSAGES 0)", NULL);
	stop(&c);
	start(&c, 100);
	assert_true(read_until(&c, "* BYE Autologout"));
	stop(&c);
}

static void
two_sessions(void **state UNUSED)
{
	struct client a, b;

	start(&a, 10000);
	start(&b, 10000);
	say(&a, "a SELECT INBOX\r\n", "a OK", NULL, NULL);
	say(&b, "b SELECT INBOX\r\n", "b OK", NULL, NULL);
	say(&a, "c APPEND INBOX {42+}\r\n" MESSAGE "\r\n", "c OK", "* 1 EXISTS", NULL);
	say(&a, "c APPEND INBOX {42+}\r\n" MESSAGE "\r\n", "c OK", "* 2 EXISTS", NULL);
	say(&b, "d NOOP\r\n", "d OK", "* 2 EXISTS", NULL);
	say(&a, "e STORE 1 +FLAGS (\\Deleted)\r\n", "e OK", NULL, NULL);
	say(&b, "f NOOP\r\n", "f OK", "* 1 FETCH (UID 1 FLAGS (\\Deleted", NULL);
	say(&b, "g IDLE\r\n", "+ ", NULL, NULL);
	say(&a, "h EXPUNGE\r\n", "h OK", "* 1 EXPUNGE", NULL);
	assert_true(read_until(&b, "* 1 EXPUNGE"));
	say(&b, "DONE\r\n", "g OK", NULL, NULL);
	say(&a, "i STORE 1 +FLAGS (\\Deleted)\r\n", "i OK", NULL, NULL);
	say(&a, "i EXPUNGE\r\n", "i OK", "* 1 EXPUNGE", NULL);
	/* numbers are in use: the other one learns of it only afterwards (RFC 9051 7.5.1) */
	say(&b, "j FETCH 1 FLAGS\r\n", "j OK", NULL, "EXPUNGE");
	say(&b, "j2 FETCH 1 (FLAGS BODY[])\r\n", "j2 OK [EXPUNGEISSUED]", NULL, "EXPUNGE\r");
	say(&b, "j3 STORE 1:* +FLAGS (\\Seen)\r\n", "j3 OK [EXPUNGEISSUED]", NULL, "FETCH");
	say(&b, "j4 UID FETCH 1:* FLAGS\r\n", "j4 OK Fetch", "* 1 EXPUNGE", NULL);
	say(&b, "k NOOP\r\n", "k OK", NULL, "EXPUNGE");
	say(&b, "l IDLE\r\n", "+ ", NULL, NULL);
	say(&b, "garbage\r\n", "l BAD", NULL, NULL);
	stop(&a);
	stop(&b);
}

/* the folder that is selected here is deleted there */
static void
lost_folder(void **state UNUSED)
{
	struct client a, b;

	start(&a, 10000);
	start(&b, 10000);
	say(&a, "a CREATE X\r\n", "a OK", NULL, NULL);
	say(&a, "b SELECT X\r\n", "b OK", NULL, NULL);
	say(&a, "c IDLE\r\n", "+ ", NULL, NULL);
	say(&b, "d DELETE X\r\n", "d OK", NULL, NULL);
	assert_true(read_until(&a, "* BYE [UNAVAILABLE]"));
	say(&b, "e CREATE X\r\n", "e OK", NULL, NULL);
	say(&b, "f SELECT X\r\n", "f OK", NULL, NULL);
	say(&b, "g DELETE X\r\n", "g OK", NULL, NULL);
	say(&b, "h FETCH 1 UID\r\n", "h BAD", NULL, NULL);
	stop(&a);
	stop(&b);
}

static void
searches(void **state UNUSED)
{
	static const char mail[] = "Date: Fri, 21 Nov 2025 23:30:00 -0300\r\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@x.example>\r\nSubject: =?iso-8859-1?q?Gr=FC=DFe?=\r\n"
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C4rger im B=FCro\r\n--b\r\nContent-Type: text/plain\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nc2VjcmV0IHdvcmQ=\r\n--b--\r\n";
	struct client c;
	char line[2048];

	start(&c, 10000);
	snprintf(line, sizeof(line), "a APPEND INBOX \"01-Feb-2020 00:00:00 +0000\" {%zu+}\r\n%s\r\n", sizeof(mail) - 1, mail);
	say(&c, line, "a OK", NULL, NULL);
	say(&c, "a APPEND INBOX {42+}\r\n" MESSAGE "\r\n", "a OK", NULL, NULL);
	say(&c, "b SELECT INBOX\r\n", "b OK", NULL, NULL);
	say(&c, "c SEARCH CHARSET UTF-8 FROM {7+}\r\nJ\xc3\xbcRGEN\r\n", "c OK", "* SEARCH 1\r\n", NULL);
	say(&c, "c SEARCH SUBJECT \"gr\xc3\x9c\"\r\n", "c OK", "* SEARCH 1\r\n", NULL);
	say(&c, "d SEARCH BODY \"\xc3\xa4rger\"\r\n", "d OK", "* SEARCH 1\r\n", NULL);
	say(&c, "d SEARCH BODY {11+}\r\nsecret word\r\n", "d OK", "* SEARCH 1\r\n", NULL);
	say(&c, "e SEARCH SENTON 21-Nov-2025\r\n", "e OK", "* SEARCH 1\r\n", NULL);
	say(&c, "f SEARCH BEFORE 2-Feb-2020 SMALLER 5000\r\n", "f OK", "* SEARCH 1\r\n", NULL);
	say(&c, "g UID SEARCH NOT TEXT secret\r\n", "g OK", "* SEARCH 2\r\n", NULL);
	say(&c, "h SEARCH 5\r\n", "h OK", "* SEARCH\r\n", NULL);
	say(&c, "h2 SEARCH CHARSET ISO-8859-1 FROM {6+}\r\nJ\xfcRGEN\r\n", "h2 OK", "* SEARCH 1\r\n", NULL);
	say(&c, "i SEARCH CHARSET X-NONE ALL\r\n", "i NO [BADCHARSET", NULL, NULL);
	say(&c, "j SEARCH HEADER subject \"\"\r\n", "j OK", "* SEARCH 1 2\r\n", NULL);
	stop(&c);
}

/* SEARCH RETURN (RFC 4731), "$" (RFC 5182), OLDER and YOUNGER (RFC 5032) */
static void
extended_searches(void **state UNUSED)
{
	struct client c;

	start(&c, 10000);
	say(&c, "a APPEND INBOX \"01-Feb-2020 00:00:00 +0000\" {42+}\r\n" MESSAGE "\r\n", "a OK", NULL, NULL);
	for (int i = 0; i < 5; i++)
		say(&c, "a APPEND INBOX {42+}\r\n" MESSAGE "\r\n", "a OK", NULL, NULL);
	say(&c, "b SELECT INBOX\r\n", "b OK", NULL, NULL);
	say(&c, "c SEARCH OLDER 1000000\r\n", "c OK", "* SEARCH 1\r\n", NULL);
	say(&c, "c SEARCH YOUNGER 1000000 2:3\r\n", "c OK", "* SEARCH 2 3\r\n", NULL);
	say(&c, "c SEARCH OLDER 0\r\n", "c BAD", NULL, NULL);
	say(&c, "d STORE 1,4 +FLAGS.SILENT \\Deleted\r\n", "d OK", NULL, NULL);
	say(&c, "d EXPUNGE\r\n", "d OK", "* 4 EXPUNGE\r\n* 1 EXPUNGE", NULL);		/* UIDs 2 3 5 6 */
	say(&c, "e UID SEARCH RETURN (MIN MAX COUNT ALL) ALL\r\n", "e OK", "* ESEARCH (TAG \"e\") UID MIN 2 MAX 6 ALL 2:3,5:6 COUNT 4\r\n", "* SEARCH");
	say(&c, "f SEARCH RETURN () 2:3\r\n", "f OK", "* ESEARCH (TAG \"f\") ALL 2:3\r\n", NULL);
	say(&c, "g SEARCH RETURN (MIN) UNSEEN\r\n", "g OK", "* ESEARCH (TAG \"g\") MIN 1\r\n", NULL);
	say(&c, "h SEARCH RETURN (MIN ALL COUNT) SEEN\r\n", "h OK", "* ESEARCH (TAG \"h\") COUNT 0\r\n", NULL);
	say(&c, "i SEARCH RETURN (FOO) ALL\r\n", "i BAD", NULL, NULL);
	say(&c, "i SEARCH RETURN (MIN ALL\r\n", "i BAD", NULL, NULL);
	say(&c, "j FETCH $ UID\r\n", "j OK", NULL, "FETCH");
	say(&c, "k SEARCH RETURN (SAVE) 2:4\r\n", "k OK", NULL, "SEARCH (");
	say(&c, "l UID FETCH $ FLAGS\r\n", "l OK", "* 2 FETCH (UID 3 ", "* 1 FETCH");
	say(&c, "m STORE $ +FLAGS (\\Flagged)\r\n", "m OK", "* 4 FETCH (FLAGS (\\Flagged", "* 1 FETCH");
	say(&c, "n SEARCH RETURN (SAVE COUNT) $ NOT UID 6\r\n", "n OK", "* ESEARCH (TAG \"n\") COUNT 2\r\n", NULL);
	say(&c, "o SEARCH UID $\r\n", "o OK", "* SEARCH 2 3\r\n", NULL);
	say(&c, "p SEARCH OR $ 1\r\n", "p OK", "* SEARCH 1 2 3\r\n", NULL);
	/* BAD leaves it alone, what is expunged leaves it, numbers move, NO empties it (RFC 5182 2.1) */
	say(&c, "q SEARCH RETURN (SAVE) FOO\r\n", "q BAD", NULL, NULL);
	say(&c, "r STORE 2 +FLAGS.SILENT \\Deleted\r\n", "r OK", NULL, NULL);
	say(&c, "r EXPUNGE\r\n", "r OK", "* 2 EXPUNGE", NULL);
	say(&c, "s FETCH $ UID\r\n", "s OK", "* 2 FETCH (UID 5)\r\n", "* 1 FETCH");
	say(&c, "t SEARCH RETURN (SAVE MAX) ALL\r\n", "t OK", "MAX 3\r\n", NULL);
	say(&c, "u SEARCH RETURN (ALL) $\r\n", "u OK", "ALL 3\r\n", NULL);
	say(&c, "v SEARCH RETURN (SAVE) CHARSET X-NONE ALL\r\n", "v NO [BADCHARSET", NULL, NULL);
	say(&c, "w COPY $ INBOX\r\n", "w OK", NULL, "EXISTS");
	say(&c, "x SEARCH RETURN (SAVE) ALL\r\n", "x OK", NULL, NULL);
	say(&c, "y SELECT INBOX\r\n", "y OK", NULL, NULL);
	say(&c, "z SEARCH $\r\n", "z OK", "* SEARCH\r\n", NULL);
	say(&c, "z FETCH $,1 UID\r\n", "z BAD", NULL, NULL);
	stop(&c);
}

/* several messages in one command (RFC 3502): all or none, and the stream stays in step */
static void
many_appends(void **state UNUSED)
{
	struct client c;

	start(&c, 10000);
	say(&c, "a APPEND INBOX (\\Seen) {42+}\r\n" MESSAGE " (\\Flagged $x) \"01-Feb-2020 00:00:00 +0000\" {42+}\r\n" MESSAGE " {42+}\r\n" MESSAGE
	    "\r\n", "a OK [APPENDUID ", " 1:3] ", NULL);
	say(&c, "b APPEND INBOX {42}\r\n", "+ ", NULL, NULL);
	say(&c, MESSAGE " {42}\r\n", "+ ", NULL, NULL);
	say(&c, MESSAGE "\r\n", "b OK [APPENDUID ", " 4:5] ", NULL);
	say(&c, "c APPEND INBOX {42+}\r\n" MESSAGE " {100001}\r\n", "c NO [TOOBIG]", NULL, NULL);
	say(&c, "d APPEND INBOX {42+}\r\n" MESSAGE " (\\Foo) {42+}\r\n" MESSAGE " {42+}\r\n" MESSAGE "\r\n", "d BAD", NULL, NULL);
	say(&c, "e APPEND INBOX {42+}\r\n" MESSAGE "x\r\n", "e BAD", NULL, NULL);
	say(&c, "f APPEND INBOX {42+}\r\n" MESSAGE " {0+}\r\n\r\n", "f NO [CANNOT]", NULL, NULL);
	say(&c, "g APPEND nowhere {42+}\r\n" MESSAGE " {42+}\r\n" MESSAGE "\r\n", "g NO [TRYCREATE]", NULL, NULL);
	say(&c, "h APPEND INBOX {42+}\r\n" MESSAGE " (\\Seen)\r\n", "h BAD", NULL, NULL);
	say(&c, "i SELECT INBOX\r\n", "i OK", "* 5 EXISTS", NULL);
	say(&c, "j SEARCH FLAGGED KEYWORD $x BEFORE 2-Feb-2020\r\n", "j OK", "* SEARCH 2\r\n", NULL);
	stop(&c);
}

static void
sorted(void **state UNUSED)
{
	static const char *const mails[] = {
		"Date: Wed, 1 Jan 2020 10:00:00 +0000\r\nFrom: \"zoe\" <a@x>\r\nSubject: one\r\nMessage-ID: <1@x>\r\n\r\n",
		"Date: Wed, 1 Jan 2020 09:00:00 +0000\r\nFrom: =?utf-8?q?=C3=84nne?= <c@x>\r\nSubject: Re: [l] two\r\nMessage-ID: <2@x>\r\n\r\nlonger\r\n",
		"Date: Wed, 1 Jan 2020 12:30:00 +0200\r\nFrom: Bert <B@x>\r\nSubject: re: One\r\nReferences: <1@x>\r\n\r\nx\r\n",
		"From: bert <B@x>\r\nSubject: two\r\nIn-Reply-To: what you said in <2@x>\r\n\r\n",
	};
	struct client c;
	char line[2048];

	start(&c, 10000);
	for (size_t i = 0; i < NELEMS(mails); i++) {
		snprintf(line, sizeof(line), "a APPEND INBOX \"0%zu-Feb-2020 00:00:00 +0000\" {%zu+}\r\n%s\r\n", 9 - i, strlen(mails[i]), mails[i]);
		say(&c, line, "a OK", NULL, NULL);
	}
	say(&c, "b SORT (DATE) UTF-8 ALL\r\n", "b BAD", NULL, NULL);
	say(&c, "b SELECT INBOX\r\n", "b OK", NULL, NULL);
	say(&c, "b STORE 1 +FLAGS.SILENT \\Deleted\r\n", "b OK", NULL, NULL);
	say(&c, "c SORT (ARRIVAL) UTF-8 ALL\r\n", "c OK", "* SORT 4 3 2 1\r\n", NULL);
	say(&c, "d SORT (DATE) us-ascii ALL\r\n", "d OK", "* SORT 2 1 3 4\r\n", NULL);
	say(&c, "e UID SORT (SUBJECT REVERSE DATE) UTF-8 ALL\r\n", "e OK", "* SORT 3 1 4 2\r\n", NULL);
	say(&c, "f SORT (FROM) UTF-8 ALL\r\n", "f OK", "* SORT 1 3 4 2\r\n", NULL);
	say(&c, "g SORT (REVERSE DISPLAYFROM REVERSE SIZE) UTF-8 NOT DELETED\r\n", "g OK", "* SORT 3 4 2\r\n", NULL);
	say(&c, "h SORT (SIZE CC TO DISPLAYTO SIZE SIZE) UTF-8 UID 1:2\r\n", "h OK", "* SORT 1 2\r\n", NULL);
	say(&c, "i SORT RETURN (MIN MAX COUNT ALL) (DATE) UTF-8 ALL\r\n", "i OK", "* ESEARCH (TAG \"i\") MIN 2 MAX 4 ALL 2,1,3:4 COUNT 4\r\n",
	    NULL);
	say(&c, "j UID SORT RETURN (PARTIAL -1:-2 SAVE) (DATE) UTF-8 ALL\r\n", "j OK", "* ESEARCH (TAG \"j\") UID PARTIAL (-1:-2 3:4)\r\n", NULL);
	say(&c, "k SEARCH $\r\n", "k OK", "* SEARCH 3 4\r\n", NULL);
	say(&c, "l SORT (DATE) UTF-8 FLAGGED\r\n", "l OK", "* SORT\r\n", NULL);
	say(&c, "m SORT (DATE) X-NONE ALL\r\n", "m NO [BADCHARSET", NULL, NULL);
	say(&c, "n SEARCH RETURN (PARTIAL 2:3 COUNT MIN SAVE) ALL\r\n", "n OK", "MIN 1 PARTIAL (2:3 2:3) COUNT 4\r\n", NULL);
	say(&c, "n SEARCH $\r\n", "n OK", "* SEARCH 1 2 3 4\r\n", NULL);
	say(&c, "o SEARCH RETURN (PARTIAL 9:5) ALL\r\n", "o OK", "PARTIAL (5:9 NIL)\r\n", NULL);
	say(&c, "o SEARCH RETURN (PARTIAL 4294967295:3) ALL\r\n", "o OK", "PARTIAL (3:4294967295 3:4)\r\n", NULL);
	say(&c, "o2 UID FETCH 1:* (FLAGS) (PARTIAL -1:-2)\r\n", "o2 OK", "* 3 FETCH (UID 3 FLAGS (", "* 2");
	say(&c, "o2 UID FETCH 1:* (FLAGS) (PARTIAL 9:10)\r\n", "o2 OK", NULL, "FETCH (");
	say(&c, "o3 FETCH 1:* (FLAGS) (PARTIAL 1:2)\r\n", "o3 BAD", NULL, NULL);
	say(&c, "o4 UID FETCH 1:* (FLAGS) (PARTIAL 0:2)\r\n", "o4 BAD", NULL, NULL);
	say(&c, "p THREAD REFERENCES UTF-8 ALL\r\n", "p OK", "* THREAD (2 4)(1 3)\r\n", NULL);
	say(&c, "q UID THREAD orderedsubject UTF-8 NOT DELETED\r\n", "q OK", "* THREAD (2 4)(3)\r\n", NULL);
	say(&c, "r THREAD REFERENCES UTF-8 FLAGGED\r\n", "r OK", "* THREAD\r\n", NULL);
	static const char *const bad[] = {
		"SORT () UTF-8 ALL", "SORT (REVERSE) UTF-8 ALL", "SORT (FOO) UTF-8 ALL", "SORT (DATE) ALL", "SORT (DATE UTF-8 ALL", "SORT (DATE) UTF-8",
		"SORT RETURN (FOO) (DATE) UTF-8 ALL", "SEARCH RETURN (PARTIAL 0:1) ALL", "SEARCH RETURN (PARTIAL 1:2 ALL) ALL",
		"SEARCH RETURN (PARTIAL -1:2) ALL", "SEARCH RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL", "THREAD FOO UTF-8 ALL", "THREAD REFERENCES ALL",
		"THREAD REFERENCES UTF-8", "THREAD",
	};
	for (size_t i = 0; i < NELEMS(bad); i++) {
		snprintf(line, sizeof(line), "z %s\r\n", bad[i]);
		say(&c, line, "z BAD", NULL, NULL);
	}
	stop(&c);
}

static void
binary_parts(void **state UNUSED)
{
	static const char mail[] = "From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	    "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "Gr=FC=DFe,\r\n> quoted\r\nzwei=\r\n Zeilen\r\n"
	    "--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECDQoD\r\n"
	    "--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: x-odd\r\n\r\n?\r\n--b--\r\n";
	static const char page[] = "Content-Type: text/html\r\n\r\n<html><head><title>No</title><style>p{}</style></head><!-- <p>no -->\r\n"
	    "<p>Hello&nbsp;&amp; &#228;&auml;<br>there<script>no</script></p>\r\n";
	struct client c;
	char line[2048];

	start(&c, 10000);
	snprintf(line, sizeof(line), "a APPEND INBOX ~{%zu+}\r\n%s\r\n", sizeof(mail) - 1, mail);
	say(&c, line, "a OK", NULL, NULL);
	snprintf(line, sizeof(line), "a APPEND INBOX ~{%zu+}\r\n%s\r\n", sizeof(page) - 1, page);
	say(&c, line, "a OK", NULL, NULL);
	say(&c, "a APPEND INBOX {8+}\r\nA: b\r\n\r\n\r\n", "a OK", NULL, NULL);
	say(&c, "a APPEND INBOX ~{10+}\r\nA: b\r\n\r\nx\n\r\n", "a NO [UNKNOWN-CTE]", NULL, NULL);
	say(&c, "b SELECT INBOX\r\n", "b OK", "* 3 EXISTS", NULL);
	say(&c, "c FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1] FLAGS)\r\n", "c OK",
	    "BINARY[1] {29}\r\nGr\xfc\xdf" "e,\r\n> quoted\r\nzwei Zeilen BINARY.SIZE[1] 29 FLAGS (\\Recent)", NULL);
	buf_reset(&c.in);
	assert_true(write_all(c.fd, "d FETCH 1 BINARY[2]\r\n", 21));
	assert_true(read_until(&c, "d OK"));
	assert_non_null(memmem(c.in.p, c.in.len, "BINARY[2] ~{6}\r\n\0\1\2\r\n\3 FLAGS (\\Seen", 35));
	say(&c, "e FETCH 1 (BINARY[2]<3.2>)\r\n", "e OK", "BINARY[2]<3> ~{2}\r\n\r\n)", NULL);
	say(&c, "e FETCH 1 (BINARY[2]<99.2> BINARY[4] BINARY.SIZE[7])\r\n", "e OK", "<99> ~{0}\r\n BINARY[4] NIL BINARY.SIZE[7] 0)", NULL);
	say(&c, "f FETCH 1 BINARY.SIZE[3]\r\n", "f NO [UNKNOWN-CTE]", NULL, NULL);
	say(&c, "g FETCH 1 BINARY.PEEK[]<0.8>\r\n", "g OK", "BINARY[]<0> {8}\r\nFrom: a@)", NULL);
	say(&c, "h FETCH 1 BINARY[1.MIME]\r\n", "h BAD", NULL, NULL);
	say(&c, "i FETCH 1 BINARY.SIZE[1]<1.2>\r\n", "i BAD", NULL, NULL);
	say(&c, "j FETCH 1 PREVIEW\r\n", "j OK", "PREVIEW {20}\r\nGr\xc3\xbc\xc3\x9f" "e, zwei Zeilen)", NULL);
	say(&c, "k FETCH 2:3 (PREVIEW (LAZY) UID)\r\n", "k OK", "PREVIEW {18}\r\nHello & \xc3\xa4\xc3\xa4 there UID 2)\r\n* 3 FETCH (PREVIEW \"\"",
	    NULL);
	say(&c, "l FETCH 1 (PREVIEW (FOO))\r\n", "l BAD", NULL, NULL);
	stop(&c);
}

static void
replaces(void **state UNUSED)
{
	struct client c;

	start(&c, 10000);
	say(&c, "a APPEND INBOX {42+}\r\n" MESSAGE " {42+}\r\n" MESSAGE "\r\n", "a OK", NULL, NULL);
	say(&c, "b CREATE Drafts\r\n", "b OK", NULL, NULL);
	say(&c, "b REPLACE 1 INBOX {42+}\r\n" MESSAGE "\r\n", "b BAD", NULL, NULL);
	say(&c, "c SELECT INBOX\r\n", "c OK", NULL, NULL);
	say(&c, "d REPLACE 1 INBOX (\\Draft) {42}\r\n", "+ ", NULL, NULL);
	say(&c, MESSAGE "\r\n", "d OK", "] Replacement is here\r\n* 1 EXPUNGE\r\n* 2 EXISTS\r\n", NULL);
	say(&c, "e UID REPLACE 2 Drafts {42+}\r\n" MESSAGE "\r\n", "e OK", "* 1 EXPUNGE\r\n", NULL);
	say(&c, "f FETCH 1:* UID\r\n", "f OK", "* 1 FETCH (UID 3", "* 2");
	say(&c, "g REPLACE 1 nowhere {42+}\r\n" MESSAGE "\r\n", "g NO [TRYCREATE]", NULL, "EXPUNGE");
	say(&c, "h REPLACE 2 INBOX {42+}\r\n" MESSAGE "\r\n", "h BAD", NULL, NULL);
	say(&c, "i UID REPLACE 9 INBOX {42+}\r\n" MESSAGE "\r\n", "i NO", NULL, NULL);
	say(&c, "j REPLACE 1 INBOX {42+}\r\n" MESSAGE " {42+}\r\n" MESSAGE "\r\n", "j NO [LIMIT]", NULL, "EXPUNGE");
	say(&c, "k REPLACE 1 {5+}\r\nINBOX {42+}\r\n" MESSAGE "\r\n", "k OK", "EXPUNGE", NULL);
	say(&c, "l REPLACE 1 INBOX\r\n", "l BAD", NULL, NULL);
	say(&c, "m EXAMINE INBOX\r\n", "m OK", "* 1 EXISTS", NULL);
	say(&c, "n REPLACE 1 INBOX {42+}\r\n" MESSAGE "\r\n", "n NO [NOPERM]", NULL, NULL);
	stop(&c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_session), TEST(changes), TEST(news), TEST(forwarded), TEST(identities), TEST(folders), TEST(extended_lists), TEST(special_uses), TEST(hostile_names), TEST(bad_commands), TEST(ends),
		TEST(two_sessions), TEST(lost_folder), TEST(searches), TEST(extended_searches), TEST(sorted), TEST(binary_parts), TEST(replaces), TEST(many_appends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
