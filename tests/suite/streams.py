"""streams.py: hostile byte streams for an SMTP server, by row of the project's table of bad inputs.

A stream is a list of segments; a client that behaves waits for an answer after each. `messages`: how many are
accepted when RFC 5321 and RFC 3030 are read strictly; more is a hole. `codes`: what we answer to the last segment.
{to} stands for a recipient that exists, {us} for his domain, {login} for a message of PLAIN that proves who alice is.
"""
import base64

EHLO, MAIL, RCPT, DATA = b'EHLO c.example\r\n', b'MAIL FROM:<x@c.example>\r\n', b'RCPT TO:<{to}>\r\n', b'DATA\r\n'
SECOND = b'MAIL FROM:<evil@c.example>\r\nRCPT TO:<{to}>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\n'
HEAD = b'Subject: first\r\n\r\n'


class Stream:
    def __init__(self, row, name, segments, messages=0, codes=(), port='smtp', plain=(), ends=False):
        self.row, self.name, self.segments, self.messages = row, name, segments, messages
        self.ends = ends        # the server closes; any of its answers to the last segment may be the one that counts
        self.codes, self.port, self.plain = codes, port, plain          # plain: the codes where TLS is off, when they differ

    def __str__(self):
        return f'row {self.row} {self.name}'

    def bytes(self, to):
        us = to.split('@')[1].encode()
        login = base64.b64encode(b'\0alice@' + us + b'\0pw-alice')
        return [s.replace(b'{to}', to.encode()).replace(b'{us}', us).replace(b'{login}', login) for s in self.segments]


def data(row, name, text, messages=1, codes=('250',)):
    return Stream(row, name, [EHLO, MAIL, RCPT, DATA, text], messages, codes)


def smuggled(row, name, end):
    """the second message is content of the first"""
    return data(row, name, HEAD + b'one' + end + SECOND)


def lines(row, name, first, tries, *codes):
    """one stream for each of these commands"""
    return [Stream(row, f'{name} {n}', [EHLO] + [f + b'\r\n' for f in first] + [t + b'\r\n'], 0, codes) for n, t in enumerate(tries)]


FROM = b'MAIL FROM:<x@c.example>'
TO = b'RCPT TO:<{to}>'

STREAMS = [
    smuggled(1, 'LF . LF', b'\n.\n'), smuggled(2, 'LF . CRLF', b'\n.\r\n'), smuggled(3, 'CRLF . LF', b'\r\n.\n'),
    smuggled(4, 'CR . CR', b'\r.\r'), smuggled(5, 'CR . CRLF', b'\r.\r\n'), smuggled(6, 'CRLF . CR', b'\r\n.\r'),
    smuggled(7, 'CR . LF', b'\r.\n'), smuggled(8, 'dot and blank', b'\r\n. \r\n'), smuggled(9, 'NUL before the dot', b'\r\n\0.\r\n'),
    smuggled(10, 'NUL behind the dot', b'\r\n.\0\r\n'),
    data(13, 'the true end', HEAD + b'x\r\n.\r\n'), data(14, 'CR at the end of a buffer', HEAD + b'a' * 4077 + b'\r\n.\r\n'),
    data(15, 'stuffed dots', HEAD + b'..\r\n...\r\n. \r\n..\r\n.\r\n'), data(16, 'an empty message', b'.\r\n'),
    Stream(18, 'CR ends a chunk', [EHLO, MAIL, RCPT, b'BDAT 19\r\n' + HEAD + b'\r', b'BDAT 8 LAST\r\n\n.\r\nab\r\n'], 1, ('250',)),
    Stream(19, 'a dot in a chunk', [EHLO, MAIL, RCPT, b'BDAT 37 LAST\r\n' + HEAD + b'a\r\n.\r\nMAIL FROM:<>\r'], 1, ('250',)),
    data(20, 'CR in a header', b'Subject: a\rBcc: v@c.example\r\n\r\nx\r\n.\r\n'), data(22, 'NUL in a message', b'Subject: a\0b\r\n\r\none\0two\r\n.\r\n'),
    *lines(21, 'NUL in a command', (), (b'MAIL FROM:<a\0@c.example>', b'MAIL FROM:<x@c.example>\0', b'NOOP \0'), '501'),
    *lines(23, 'eight bits', (), ('MAIL FROM:<ä@c.example>'.encode(), b'MAIL FROM:<a\xff@c.example>', b'EHLO \xff\xfd'), '501', '553'),
    *lines(25, 'a long line', (), (b'x' * 2049, b'NOOP ' + b'x' * 5000), '500'),
    Stream(26, 'a long name', [b'EHLO ' + b'a' * 5000 + b'\r\n'], 0, ('500', '501')),
    *lines(27, 'words of other programs', (), (b'EHLO ${run{id}}', b'EHLO %n%n', b'EHLO \\\\'), '501'),
    *lines(28, 'names that are no addresses', (), (b'EHLO [IPv6::::]', b'EHLO [999.1.1.1]', b'EHLO ' + b'[' * 1000), '501'),
    *lines(29, 'SIZE', (), tuple(FROM + b' ' + p for p in (b'SIZE=99999999999999999999', b'SIZE=-1', b'SIZE=0x10', b'SIZE=1 SIZE=1')), '501', '552'),
    *lines(31, 'ORCPT', (FROM,), tuple(TO + b' ORCPT=rfc822;' + p for p in (b'a+0Ab', b'a+00b', b'a+', b'x' * 1500)), '501'),
    *lines(32, 'ENVID and NOTIFY', (), (FROM + b' ENVID=' + b'x' * 101, FROM + b' ENVID=a+0', FROM + b' RET=ALL RET=ALL'), '501'),
    *lines(32, 'NOTIFY', (FROM,), (TO + b' NOTIFY=NEVER,SUCCESS', TO + b' NOTIFY=', TO + b' NOTIFY=x'), '501'),
    *lines(33, 'quoted recipients', (FROM,), (b'RCPT TO:<""@{us}>', b'RCPT TO:<"\\""@{us}>', b'RCPT TO:<"a b"@{us}>'), '501', '550'),
    *lines(35, 'hidden routes', (FROM,), (b'RCPT TO:<u%far.example@{us}>', b'RCPT TO:<far!u@{us}>', b'RCPT TO:<u@far.example@{us}>', b'RCPT TO:<"u@far.example"@{us}>',
                                         b'RCPT TO:<u@far.example>'), '501', '550', '554', '553'),
    *lines(36, 'open brackets', (FROM,), (b'RCPT TO:<' + b'(' * 1900, b'RCPT TO:' + b'<' * 1900, b'RCPT TO:<' + b'"' * 1900 + b'@{us}>'), '501', '550'),
    *lines(37, 'long parts', (FROM,), (b'RCPT TO:<' + b'a' * 65 + b'@{us}>', b'RCPT TO:<a@' + b'b' * 256 + b'>', b'RCPT TO:<a@-b>', b'RCPT TO:<a@b..c>'), '501', '550', '554', '553'),
    *lines(38, 'options', (FROM,), (b'RCPT TO:<-oQ/tmp@{us}>', b'RCPT TO:<-froot@{us}>'), '501', '550', '553'),
    *lines(39, 'shell words', (), (b'MAIL FROM:<;sleep 66;>',), '501'),
    *lines(41, 'programs and files', (FROM,), (b'RCPT TO:<"x$(curl${IFS}h)"@{us}>', b'RCPT TO:<|/bin/sh@{us}>', b'RCPT TO:</etc/passwd@{us}>', b'RCPT TO:<:include:/x@{us}>'), '501', '550'),
    *lines(45, 'NOOP', (), (b'NOOP ' + b'%n\\' * 300,), '250', '501'),
    Stream(42, 'recipients', [EHLO, MAIL, RCPT * 60 + b'QUIT\r\n'], 0, ('452',), ends=True), Stream(43, 'a harvest', [EHLO, MAIL, b''.join(b'RCPT TO:<u%d@{us}>\r\n' % n for n in range(25))], 0, ('421',), ends=True),
    Stream(46, 'newlines', [b'\r\n' * 60], 0, ('500', '502', '421', '554', '221')),
    Stream(48, 'a message ahead', [EHLO, MAIL, RCPT, DATA + HEAD + b'x\r\n.\r\n'], 1, ('554', '503', '354')),
    *lines(49, 'browsers', (), (b'GET / HTTP/1.1', b'POST / HTTP/1.0', b'CONNECT x:25 HTTP/1.1'), '221'),
    *lines(50, 'what is no SMTP', (), (b'\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03' + bytes(200), b'SSH-2.0-x', bytes(range(128, 256)) * 20), '221', '500', '501', '554'),
    *lines(51, 'ETRN', (), (b"ETRN #',1); injection",), '500', '501', '502'),
    *lines(52, 'sizes of chunks', (FROM, TO), (b'BDAT 18446744073709551616', b'BDAT -1', b'BDAT 1e9', b'BDAT', b'BDAT 5 FIRST', b'BDAT 0x5'), '501', '552'),
    Stream(54, 'a dot behind a chunk', [EHLO, MAIL, RCPT, b'BDAT 1\r\nx', b'.\r\n'], 0, ('500', '502', '503', '221', '421', '554')),
    Stream(55, 'chunks of one byte', [EHLO, MAIL, RCPT, b'BDAT 1\r\nx' * 400 + b'QUIT\r\n'], 0, ('421',), ends=True),
    *lines(56, 'out of order', (), (b'DATA', TO, b'BDAT 0 LAST'), '503'),
    *lines(56, 'MAIL twice', (FROM,), (FROM, b'DATA'), '503', '554'),
    *lines(57, 'words for friends', (), (b'XCLIENT ADDR=127.9.9.9', b'XFORWARD NAME=x', b'LHLO x'), '500', '502', '550', '501'),
    *lines(67, 'too large', (), (FROM + b' SIZE=999999999999',), '552'),
    data(67, 'twice the limit', HEAD + (b'y' * 70 + b'\r\n') * 500 + b'.\r\n', 0, ('552',)),
    data(70, 'hops', b'Received: x\r\n' * 101 + b'\r\n.\r\n', 1, ('554',)),
]


LOGIN = b'AUTH PLAIN {login}'


def auth(row, name, tries, *codes):
    return [Stream(row, f'{name} {n}', [EHLO] + [t + b'\r\n' for t in (one if isinstance(one, tuple) else (one,))], 0, codes, 'submission', ('538', '500', '503', '504', '501', '502', '221'))
            for n, one in enumerate(tries)]


STREAMS += [
    *auth(84, 'AUTH PLAIN', (b'AUTH PLAIN x', b'AUTH PLAIN =====', b'AUTH PLAIN AGFs aWNl', b'AUTH PLAIN ' + b'A' * 4097, b'AUTH PLAIN ' + b'A' * 13000, b'AUTH PLAIN =',
                             b'AUTH PLAIN AGE=', b'AUTH PLAIN AGEAYgBj', b'AUTH PLAIN AAA='), '501', '535', '500'),
    *auth(86, 'cancelled', ((b'AUTH PLAIN', b'*'), (b'AUTH LOGIN', b'*'), (b'AUTH LOGIN', b'Og==', b'*')), '501'),
    *auth(87, 'mechanisms', (b'AUTH NTLM', b'AUTH CRAM-MD5', b'AUTH ' + b'X' * 300, b'AUTH EXTERNAL =', b'AUTH ANONYMOUS'), '504'),
    *auth(87, 'odd first messages', (b'AUTH SCRAM-SHA-256 =', b'AUTH SCRAM-SHA-1 bixhPW90aGVyLG49YSxyPWI=', b'AUTH SCRAM-SHA-256-PLUS biwsbj1hLHI9Yg=='), '501', '535', '334'),
    *auth(88, 'names', (b'AUTH PLAIN ACV7cGlkfQBw', b'AUTH PLAIN AC4uLy4uL3gAcA==', b'AUTH PLAIN AGEJYgBw', b'AUTH PLAIN AP/+AHA='), '535', '501'),
    *auth(94, 'a second time', ((LOGIN, LOGIN), (LOGIN, b'MAIL FROM:<alice@{us}>', LOGIN)), '503'),
]
