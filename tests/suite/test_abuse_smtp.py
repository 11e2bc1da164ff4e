#!/usr/bin/env python3
"""Hostile SMTP: grammar, limits, floods (rows 25 to 70 and 193, 194)."""
import itertools, random, resource, struct, time
import abuse
from abuse import *

LIMIT = 1 << 20
US = DOMAIN.encode()
I = abuse.start(f'message_size_limit = {LIMIT}\nqueue_minfree = 1\n')


def hello(**kw):
    c = Client(**kw)
    c.expect(b'EHLO c.example', '250')
    return c


def each(lines, *codes, first=None):
    """every line in a session of its own that is as far as `first`"""
    for line in lines:
        with hello() as c:
            for l in first or []:
                c.expect(l, '2')
            c.expect(line, *codes)


def feed(c, data, times):
    """how many of the copies were taken before the server closed"""
    for n in range(times):
        if not c.send(data):
            return n
    return times


@row
def row_025_endless_command_line():
    for n in (2049, 20000):
        with hello() as c:
            c.expect(b'NOOP ' + b'x' * n, '500')
            c.expect(b'NOOP', '250')
    with Client() as c:
        check(feed(c, b'x' * 65536, 16) < 16 or c.reply().startswith(b'500'), 'no answer to 1 MiB without a line end')
        check(c.eof(), 'the session goes on')
    cs = [Client() for _ in range(40)]
    before = rss('smtpd')
    for c in cs:
        c.send(b'EHLO ' + b'x' * 60000)
    time.sleep(0.2)
    check(SANITIZED or rss('smtpd') - before < 40 * 65536, f'{(rss("smtpd") - before) // 40} bytes for an unfinished line')
    for c in cs:
        c.s.close()


@row
def row_026_to_028_names_in_ehlo():
    bad = [b'x' * 2000, b'x' * 256, b'${run{id}}', b'%n%n%s', b'\\\\', b'a\rb', b'[IPv6::::]', b'[999.1.1.1]', b'[' * 1000, b'a b', b'<x>', b'a"b']
    for name in bad:
        with Client() as c:
            c.expect(b'EHLO ' + name, '501')
            c.expect(b'HELO ' + name, '501')
    with Client() as c:
        check(c.cmd(b'EHLO ' + b'x' * 65536)[:3] in (b'500', b'501'), '64 KiB')
    for name in (b'[127.0.0.1]', b'[IPv6:::1]', b'a_b', b'x'):
        with Client() as c:
            c.expect(b'EHLO ' + name, '250')


@row
def row_029_sizes():
    each((b'MAIL FROM:<a@x.example> SIZE=99999999999999999999', b'MAIL FROM:<a@x.example> SIZE=18446744073709551616',
          b'MAIL FROM:<a@x.example> SIZE=%d' % (LIMIT + 1)), '552')
    each([b'MAIL FROM:<a@x.example> ' + p for p in (b'SIZE=-1', b'SIZE=0x10', b'SIZE=1 SIZE=1', b'SIZE=', b'SIZE', b'SIZE= 1', b'SIZE=1e3')], '501')


@row
def row_031_032_parameters_of_reports():
    first = [b'MAIL FROM:<a@x.example>']
    each([b'RCPT TO:<bob@' + US + b'> ' + p for p in (b'ORCPT=rfc822;a+0Ab', b'ORCPT=rfc822;a+00', b'ORCPT=' + b'a' * 1500, b'NOTIFY=NEVER,SUCCESS')],
         '501', first=first)
    each([b'MAIL FROM:<a@x.example> ' + p for p in (b'ENVID=' + b'a' * 101, b'ENVID=a+0Ab', b'ENVID=a+2', b'RET=', b'RET=FULL RET=FULL', b'SMTPUTF8=1', b'BODY=BINARY', b'BODY=', b'X' * 1000, b'=', b'=x')],
         '555', '501')
    with hello() as c:
        c.expect(b'RCPT TO:<bob@' + US + b'> ORCPT=' + b'a' * 10240, '500', '501', '503')


@row
def row_033_035_040_041_recipients():
    first = [b'MAIL FROM:<a@x.example>']
    each([b'RCPT TO:<%s@%s>' % (l, US) for l in (b'""', b'"\\""', b'"a b"', b'"x$(curl${IFS}h)"', b'|/bin/sh', b'/etc/passwd', b'"|/bin/sh"')],
         '501', '550', '554', first=first)
    each([b'RCPT TO:<:include:/etc/shadow@%s>' % US, b'RCPT TO:<"a\r\nb"@%s>' % US], '501', '550', first=first)
    each([b'RCPT TO:<%s>' % l for l in (b'u%other.example@' + US, b'other.example!u@' + US, b'u@other.example@' + US, b'"u@other.example"@' + US,
          b'@' + US + b':u@other.example', b'u@[127.0.0.1]', b'u@other.example', b'u%other.example', b'bob')], '501', '554', '550', first=first)


@row
def row_036_037_addresses():
    watch = Watch()
    for verb in (b'MAIL FROM:', b'RCPT TO:', b'VRFY '):
        with hello() as c:
            if verb.startswith(b'RCPT'):
                c.expect(b'MAIL FROM:<>', '250')
            for what in (b'(' * 2000, b'<' * 2000, b'"' * 1999, b'<"' + b'\\' * 1999, b'<' + b'a.' * 900 + b'@x>'):
                c.expect(verb + what, '501', '500')
    each([b'MAIL FROM:<%s>' % a for a in (b'a' * 65 + b'@x.example', b'a' * 1000 + b'@x.example', b'a@' + b'x' * 64 + b'.example', b'a@' + b'x.' * 127 + b'xx',
          b'a@-b', b'a@b..c', b'a@b-', b'a@', b'@b.example', b'a..b@x.example', b'.a@x.example')], '501')
    check(watch.secs() < (20 if SANITIZED else 5), 'slow')


@row
def row_038_039_senders_are_only_data():
    for frm in (b'-oQ/tmp@x.example', b'-froot@x.example', b'`id`@x.example', b'$(id)@x.example', b'a|b@x.example', b'""@x.example', b';sleep 66;'):
        with hello() as c:
            r = c.cmd(b'MAIL FROM:<' + frm + b'>')
            check(r[:3] in (b'250', b'501'), r)
    each([b'RCPT TO:<-oQ/tmp@%s>' % US, b'RCPT TO:<-froot@%s>' % US], '501', '550', first=[b'MAIL FROM:<>'])
    check(set(I.processes().values()) <= {'master', 'keyd', 'auth', 'smtpd', 'intake', 'qmgr', 'imapd', 'pop3d', 'local', 'smtp', 'bounce'}, I.processes())


@row
def row_042_recipients_without_end():
    with hello(src='127.0.2.42') as c:
        c.expect(b'MAIL FROM:<>', '250')
        line, codes = b'RCPT TO:<bob@%s>\r\n' % US, {}
        for _ in range(100):
            c.send(line * 100)
            for _ in range(100):
                r = c.reply()[:3]
                codes[r] = codes.get(r, 0) + 1
            if b'421' in codes or b'' in codes:
                break
        check(codes.get(b'250') == 1000 and codes.get(b'452') == 1000 and codes.get(b'421') == 1, codes)


@row
def row_043_harvest():
    with hello(src='127.0.2.43') as c:
        c.expect(b'MAIL FROM:<>', '250')
        c.send(b''.join(b'RCPT TO:<u%d@%s>\r\n' % (n, US) for n in range(1000)))
        codes = [c.reply()[:3] for _ in range(30)]
        check(codes[:20] == [b'550'] * 20 and codes[20] == b'421' and not codes[21], codes)


@row
def row_045_049_050_not_smtp():
    with hello() as c:
        c.expect(b'NOOP <a@b>', '250', '501')
        c.expect(b'NOOP ' + b'\xff' * 1000, '250', '501')
    for first in (b'GET / HTTP/1.1', b'POST / HTTP/1.1', b'CONNECT x:25 HTTP/1.1', b'SSH-2.0-x', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + bytes(200),
                  random.Random(1).randbytes(65536)):
        watch = Watch()
        with Client() as c:
            c.send(first + b'\r\n' * 4)
            check(c.reply()[:3] in (b'221', b'500', b'554', b'501', b''), first[:20])
            if first[0:4] in (b'GET ', b'POST', b'CONN', b'SSH-', b'\x16\x03\x01\x02'):
                check(c.eof(), f'the session goes on after {first[:20]!r}')
        check(watch.secs() < 1 or SANITIZED, 'slow')


@row
def row_204_commands_that_move_no_mail():
    """each of them as often as smtpd_junk_command_limit and the errors beyond it allow"""
    for word in (b'EHLO c.example', b'HELO c.example', b'RSET', b'NOOP', b'HELP', b'VRFY <bob@%s>' % US, b'ETRN %s' % US):
        with hello(src='127.0.2.204') as c:
            n = 0
            while n < 200 and c.cmd(word)[:3] not in (b'421', b''):
                n += 1
        check(n < 130, f'{word}: {n} times')


@row
def row_205_clients_that_never_read():
    """what they are to be told is bounded, for they are not heard until they have taken it"""
    what = (b'HELP\r\n' * 1000, b'RSET\r\n' * 1000, b'MAIL FROM:<>\r\n' + b'RCPT TO:<bob@%s>\r\n' % US * 900 + b'RSET\r\n',
            b'RCPT TO:<u@%s>\r\n' % US * 1000, b'BDAT 0\r\n' * 1000)
    held, before = [], rss('smtpd')
    for n in range(4 * len(what)):
        c = hello(src=f'127.0.2.{205 + n // 10}', rcvbuf=2048)
        c.s.setblocking(False)
        held.append((c, what[n % len(what)]))
    for _ in range(50):
        for c, data in held:
            try:
                c.s.send(data)
            except OSError:
                pass
    honest()
    check(SANITIZED or rss('smtpd') - before < len(held) * 128 << 10, f'{(rss("smtpd") - before) >> 10} KiB for {len(held)} clients')
    for c, _ in held:
        c.s.close()


@row
def row_046_newlines():
    with Client(src='127.0.2.46') as c:
        c.send(b'\r\n' * 100000)
        codes = []
        while r := c.reply():
            codes.append(r[:3])
        check(len(codes) <= 21 and set(codes) <= {b'500', b'421', b'554'}, codes[:30])


@row
def row_047_talks_first():
    for _ in range(5):
        s = socket.socket()
        s.bind(('127.0.2.47', 0))
        s.settimeout(5)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN_CONNECT, 1) if hasattr(socket, 'TCP_FASTOPEN_CONNECT') else None
        s.connect(('127.0.0.1', I.port('smtp')))
        try:
            s.sendall(b'EHLO early\r\nMAIL FROM:<>\r\nRCPT TO:<bob@%s>\r\nDATA\r\n' % US)
            got = b''
            while d := s.recv(4096):
                got += d
        except OSError:
            pass
        s.close()
        check(b'554' in got and b'354' not in got, got)


@row
def row_048_improper_pipelining():
    for first, then in ((b'EHLO x\r\nMAIL FROM:<>\r\n', b'554'), (b'HELO x\r\nMAIL FROM:<>\r\n', b'554')):
        with Client() as c:
            c.send(first)
            check(c.reply().startswith(then) and c.eof(), first)
    with Client() as c:
        c.envelope(data=False)
        c.send(b'DATA\r\nSubject: x\r\n\r\nx\r\n.\r\n')
        check(c.reply()[:3] in (b'554', b'503') and c.eof(), 'a message behind DATA')


@row
def row_051_056_057_out_of_order():
    each((b'ETRN #\',1); injection', b'XCLIENT ADDR=127.9.9.9', b'XFORWARD NAME=x', b'LHLO x', b'TURN', b'BURL x', b'EXPN x', b'XADR'),
         '500', '501', '502', '550')
    each((b'PROXY TCP4 1.1.1.1 2.2.2.2 1 2',), '221')       # not from a host that may: closed
    each((b'DATA', b'RCPT TO:<bob@' + US + b'>'), '503')
    each((b'MAIL FROM:<>', b'DATA'), '503', first=[b'MAIL FROM:<>'])
    each((b'DATA x', b'RSET x', b'QUIT x', b'STARTTLS x', b'MAIL', b'MAIL TO:<a@b>', b'MAIL FROM', b'RCPT', b'VRFY', b'EHLO', b'AUTH'), '501', '503')


@row(slow=2)
def row_062_idle_connections():
    held = []
    if ALL:
        resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
    for a in range(1, 201 if ALL else 41):
        for n in range(45):
            s = socket.socket()
            s.bind((f'127.0.3.{a}', 0))
            s.connect(('127.0.0.1', I.port('smtp')))
            held.append(s)
    check(honest() < 2, 'an honest client waits')
    base = held[0].recv(4)
    check(base == b'220 ', base)
    more = [Client(src='127.0.3.1') for _ in range(10)]
    refused = [c.greeting[:9] for c in more if not c.greeting.startswith(b'220')]
    check(len(refused) == 5 and set(refused) == {b'421 4.7.0'}, f'{len(refused)} beyond 50 refused')
    for c in more:
        c.s.close()
    for s in held:
        s.close()
    time.sleep(0.5)


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()


STEPS = (b'', b'EHLO x\r\n', b'MAIL FROM:<a@x.example>\r\n', b'RCPT TO:<bob@' + US + b'>\r\n', b'DATA\r\n', b'Subject: cut\r\n\r\n' + b'x' * 100,
         b'x\r\n' * 40000, b'\r\n.')
SHORTER = STEPS[:6] + (b'x\r\n' * 1000,) + STEPS[7:]                # byte by byte


@row
def row_064_066_ends_in_every_state():
    before = len(I.mails('bob'))
    for stop, how, (tls, piece) in itertools.product(range(1, len(STEPS) + 1), ('reset', 'close', 'half'), MODES):
        c = in_mode(tls, piece)
        for n, step in enumerate((SHORTER if piece else STEPS)[:stop]):
            c.send(step)
            if 0 < n < 5:
                c.reply()
        if how == 'reset':
            reset(c.s)
        elif how == 'half':
            c.s.shutdown(socket.SHUT_WR)
            c.reply()
        c.s.close()
    time.sleep(0.3)
    check(len(I.mails('bob')) == before, 'half a message was delivered')


@row
def row_065_gone_behind_the_dot():
    before = len(I.mails('bob'))
    for mode in MODES:
        c = in_mode(*mode).envelope()
        c.send(b'Subject: last words\r\n\r\nx\r\n.\r\n')
        c.s.close()
    for piece in 0, 1:          # one that will say no more still hears that its message is taken
        c = in_mode(False, piece).envelope()
        c.send(b'Subject: last words\r\n\r\nx\r\n.\r\n')
        c.s.shutdown(socket.SHUT_WR)
        check(c.reply().startswith(b'250 2.0.0'), 'half closed behind the message: no answer')
        c.s.close()
    I.wait_mails('bob', before + len(MODES) + 2)


@row
def row_067_the_limit():
    head = b'Subject: x\r\n\r\n'
    lines = b'y' * 62 + b'\r\n'

    def text(n):
        full, rest = divmod(n - len(head), 64)
        return head + lines * full + (b'z' * (rest - 2) + b'\r\n' if rest > 1 else b'')
    check(len(text(LIMIT)) == LIMIT and len(text(LIMIT + 3)) == LIMIT + 3, 'the test itself')
    with Client() as c:
        c.envelope()
        c.send(text(LIMIT))
        c.expect(b'.', '250')
        for n in (LIMIT + 3, 10 * LIMIT):
            c.envelope()
            if not c.send(text(n)):
                break
            check(c.cmd(b'.').startswith(b'552'), n)
            if n > 2 * LIMIT + (4 << 20):
                break


@row
def row_068_data_without_end():
    for tls in (False, True):
        with in_mode(tls, 0).envelope() as c:
            sent = feed(c, b'x' * 65536, 1000)
            check(sent < 1000, 'it is read for ever')
            check(sum(os.path.getsize(p) for p in I.queue()) <= LIMIT + 65536, 'more on disk than the limit')
            check(c.reply()[:3] in (b'552', b''), 'no refusal')


@row
def row_070_hops():
    for n, code in ((49, '250'), (51, '554'), (101, '554')):
        mail(b'Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n' * n + b'Subject: x\r\n\r\nx\r\n', code=code)


@row
def row_193_194_no_backscatter():
    with Client() as c:
        c.expect(b'EHLO x', '250')
        c.expect(b'MAIL FROM:<>', '250')
        c.expect(b'RCPT TO:<nobody@' + US + b'>', '550')
        c.expect(b'RCPT TO:<postmaster@' + US + b'>', '250')
    check('bounce' not in I.processes().values(), 'a report was made')


try:
    main()
finally:
    I.close()
