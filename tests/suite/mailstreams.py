"""mailstreams.py: hostile byte streams for an IMAP and a POP3 server, by row of the project's table of bad inputs.

A stream is everything that a client says, from its login to its good-bye; a server that is sound reads on to the end and closes.
`want`: how a line of its answers begins. {login} stands for what logs this stream's user in. No stream leaves anything behind.
"""


class Stream:
    def __init__(self, row, name, text, want, pop=False, leaves=False):
        self.row, self.name, self.text, self.want, self.pop = row, name, text, want, pop
        self.leaves = leaves            # without a word

    def __str__(self):
        return f'row {self.row} {self.name[:60]}'


def said(text):
    return text.encode('latin1') if isinstance(text, str) else text


def imap(row, texts, *want, before=b'{login}s SELECT INBOX\r\n'):
    """one stream for each of these commands, which have the tag x"""
    return [Stream(row, repr(t), before + b'x ' + said(t) + b'\r\nz LOGOUT\r\n', [w.encode() for w in want]) for t in texts]


def stranger(row, texts, *want):
    return imap(row, texts, *want, before=b'')


def pop(row, texts, *want, before=b'{login}'):
    return [Stream(row, repr(t), before + said(t) + b'\r\nQUIT\r\n', [w.encode() for w in want], True) for t in texts]


SIZES = '{4294967295}', '{4294967296}', '{18446744073709551616}', '{-1}', '{1', '{01}', '{}', '{+}', '{1+1}', '{0x5}'
MESSAGE = 'Subject: x\r\n\r\nx CREATE hacked\r\n'
NAMES = '../../etc/passwd', 'a/../b', '/etc', '~root', 'INBOX/../x', 'cur', 'new', '.', '..', '&AAA-', '&', 'x' * 256, '.x' * 500

STREAMS = [
    *stranger(97, ['LOGIN ' + s for s in SIZES], 'x BAD', 'x NO', '* BYE', '* BAD'),
    *imap(97, [f'{v} {s}' for v in ('CREATE', 'SEARCH SUBJECT', 'APPEND INBOX') for s in SIZES], 'x BAD', 'x NO', '* BYE'),
    *stranger(99, ['LOGIN {5000+}\r\n' + 'y' * 5000 + ' pw'], '* BYE', 'x BAD'),
    *stranger(100, ['LOGIN "a\0b" pw', 'LOGIN "abc', 'LOGIN "a\\', 'LOGIN "a\\y" pw', 'LOGIN "a"b "c"', 'LOGIN "' + 'y' * 8300 + '" pw'], 'x BAD', '* BYE'),
    *imap(100, ['CREATE "a\0b"', 'CREATE "abc', 'CREATE "a\\y"', 'CREATE "a"b', 'CREATE "' + 'y' * 8300 + '"'], 'x BAD', 'x NO'),
    *stranger(101, ['(' * 9000], 'x BAD', '* BYE'),
    *imap(101, [v + ' ' + '(' * 3000 for v in ('SEARCH', 'FETCH 1', 'STORE 1 FLAGS', 'ID', 'LIST (', 'FETCH 1 BODY[HEADER.FIELDS')], 'x BAD'),
    *imap(102, ['\r\n' + t + ' NOOP\r\nx NOSUCH' for t in ('+', '*', '', 'a+b', 'a(b', '"a"', '{3}', '\x80', 'a\x7f')], '* BAD', '+ BAD', 'x BAD'),
    *stranger(103, ['LOGIN ' + 'y' * 9000], '* BYE'),
    *imap(103, ['NOOP ' + 'y' * 70000], '* BYE'),
    *imap(104, ['ID (' + ' '.join(f'"k{n}" "v"' for n in range(100)) + ')', 'ID ("name" "' + 'y' * 5000 + '")', 'ID ("a")', 'ID ("a" "b"', 'ID (a b)'], 'x BAD'),
    *imap(105, ['SEARCH ' + k for k in ('NOT ' * 2000 + 'ALL', 'OR ' * 2000 + 'ALL ALL', '(' * 2000 + 'ALL' + ')' * 2000, 'OR', 'NOT', '()')], 'x BAD'),
    *imap(106, ['FETCH ' + s + ' FLAGS' for s in ('0', '4294967296', '*:*:*', '1:', ':1', '1,,2', ',1', '1;2', '01', '-1', '$,1')], 'x BAD'),
    *imap(106, ['FETCH ' + ','.join(['1:*'] * 1500) + ' UID'], 'x OK'),
    *imap(108, [v + ' "' + n + '"' for v in ('CREATE', 'RENAME INBOX', 'COPY 1', 'SUBSCRIBE') for n in NAMES], 'x NO', 'x BAD'),
    *imap(109, ['RENAME zz yy', 'CREATE inbox', 'DELETE INBOX', 'RENAME Sent Trash', 'RENAME Sent INBOX'], 'x NO'),
    *imap(111, ['APPEND ' + a + ' {%d+}\r\n' % len(MESSAGE) + MESSAGE for a in ('INBOX (\\Foo)', 'INBOX "32-Nov-2026 00:00:00 +0000"', 'INBOX "y"', 'INBOX ()()', 'INBOX CATENATE')], 'x BAD'),
    *imap(111, ['APPEND nothere {%d+}\r\n' % len(MESSAGE) + MESSAGE, 'APPEND INBOX {10737418240}'], 'x NO [TRYCREATE]', 'x BAD [TOOBIG]'),
    *imap(111, ['APPEND INBOX {%d+}\r\n' % len(MESSAGE) + MESSAGE + ' (\\Bad) {%d+}\r\n' % len(MESSAGE) + MESSAGE], 'x BAD'),
    *imap(112, ['IDLE\r\n' + t for t in ('DONE IT', 'garbage', 'y NOOP', '')], 'x BAD'),
    *imap(114, [v + ' "' + n + '"' for v in ('EXAMINE', 'DELETE') for n in ('Other Users.bob', 'user.bob', '~bob', '../bob/Maildir', 'user/bob')], 'x NO'),
    *imap(116, ['STORE 1 +FLAGS (' + f + ')' for f in ('k' * 5000, 'a\x80b', 'a]b', '"a"', '\\', '\\Seen\\', '{1}', 'a(b')], 'x NO [LIMIT]', 'x BAD'),
    *imap(118, ['FETCH 1 ENVELOPE'], '* 1 FETCH (ENVELOPE (NIL NIL ((NIL NIL "Group" NIL)(NIL NIL "a" "x.example")'),
    *stranger(119, ['AUTHENTICATE ' + t for t in ('{4}\r\nabcd', 'PLAIN {4+}\r\nabcd', '{4+}\r\nabcd', 'PLAIN ==== y', 'PLAIN "="')], 'x BAD', 'x NO', '* BAD', '* BYE'),
    *imap(121, ['NOOP\r\n' + 'p CAPABILITY\r\n' * 300 + 'x NOSUCH'], 'x BAD'),
    *pop(122, [f'{v} {a}' for v in ('RETR', 'DELE', 'LIST', 'UIDL', 'TOP') for a in ('4294967297', '-1', '0', '99', '01x', '1 1 1', '18446744073709551617', '1\0', '9' * 400)], '-ERR'),
    *pop(122, ['TOP 1 99999999999', 'TOP 1 -1', 'TOP 1', 'DELE 1\r\nDELE 1\r\nRSET', 'DELE 1\r\nRETR 1\r\nRSET'], '-ERR'),
    Stream(123, 'gone without QUIT', b'{login}DELE 1\r\n', [b'+OK marked'], True, True),
    *pop(125, ['STAT'], '+OK'),
    *pop(126, ['USER ' + 'y' * 9000, 'USER', 'PASS y', 'APOP a b', 'USER a\0b', 'AUTH X', 'AUTH PLAIN AAAA BBBB', 'AUTH PLAIN ' + 'A' * 9000, '\0', 'RETR 1', 'STAT', 'GET / HTTP/1.1', '\r\r\r'], '-ERR', before=b''),
    *pop(126, ['BOGUS\r\n' * 60], '-ERR too many'),
    *pop(126, ['RETR ' + '1' * 9000], '-ERR'),
]
