#!/usr/bin/env python3
"""Hostile line ends and odd bytes: what ends a message, and what is in it afterwards (rows 1 to 23; 60 is here for its short timeout)."""
import smtplib, time
import abuse
from abuse import *
from sink import Sink

SECOND = b'MAIL FROM:<evil@x.example>\r\nRCPT TO:<bob@' + DOMAIN.encode() + b'>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\n'
I = abuse.start('smtpd_timeout = 4s\n')


def smuggle(end):
    """One message in which `end` does not end it; exactly one answer, exactly one message."""
    for tls in (False, True):
        with Client() as c:
            if tls:
                c.expect(b'EHLO c.example', '250')
                c.tls()
            c.envelope()
            before = len(I.mails('bob'))
            c.send(b'Subject: first\r\n\r\none' + end + SECOND.replace(b'\r\n.\r\n', b'\r\n'))
            c.expect(b'.', '250')
            c.expect(b'QUIT', '221')
            I.wait_mails('bob', before + 1)
            time.sleep(0.1)
            check(len(I.mails('bob')) == before + 1, f'{end!r} made {len(I.mails("bob")) - before} messages')


def ends(number, name, end):
    def f():
        smuggle(end)
    f.__name__ = f'row_{number:03}_{name}'
    return row(f)


for number, name, end in (
        (1, 'lf_dot_lf', b'\n.\n'), (2, 'lf_dot_crlf', b'\n.\r\n'), (3, 'crlf_dot_lf', b'\r\n.\n'), (4, 'cr_dot_cr', b'\r.\r'),
        (5, 'cr_dot_crlf', b'\r.\r\n'), (7, 'cr_dot_lf', b'\r.\n'), (9, 'nul_before_the_dot', b'\r\n\0.\r\n'),
        (10, 'nul_behind_the_dot', b'\r\n.\0\r\n'), (6, 'crlf_dot_cr', b'\r\n.\r'), (8, 'dot_with_a_blank', b'\r\n. \r\n')):
    ends(number, name, end)


@row
def row_013_the_end_in_single_bytes():
    with Client() as c:
        c.envelope()
        before = len(I.mails('bob'))
        c.send(b'Subject: slow\r\n\r\nx')
        for b in b'\r\n.\r\n':
            c.send(bytes([b]))
            time.sleep(0.1)
        check(c.reply().startswith(b'250'), 'the true end of data')
        I.wait_mails('bob', before + 1)


@row
def row_014_crlf_across_a_buffer_end():
    for size in (4096, 8192, 16384, 32768, 65536, 131072):
        for shift in (-2, -1, 0, 1):
            head = b'Subject: x\r\n\r\n'
            text = b'a' * (size - len(head) + shift - 1) + b'\r\n' + b'b' * 10 + b'\r\n'
            got = body_of(mail(head + text))
            check(got == text.replace(b'\r\n', b'\n'), f'{size}{shift:+}: {len(got)} bytes for {len(text)}')


@row
def row_015_dots_are_stuffed():
    sent = [b'..', b'...', b'. ', b'.', b'..a', b'.a', b'', b'.', b'..']
    text = b''.join((b'.' if l.startswith(b'.') else b'') + l + b'\r\n' for l in sent)
    check(body_of(mail(b'Subject: x\r\n\r\n' + text)) == b'\n'.join(sent) + b'\n', 'a dot was lost or added')
    got = mail(b'..\r\n')
    check(got.endswith(b'\n.\n'), f'first line of a body: {got[-30:]!r}')


@row
def row_016_an_empty_message():
    got = mail(b'')
    check(b'\nReceived: ' in b'\n' + got, f'no trace header in {got!r}')


def bdat(*chunks):
    """the stored body of a message in these chunks"""
    before = set(abuse.I.mails('bob'))
    with Client() as c:
        c.envelope(data=False)
        chunks = (b'Subject: chunks\r\n\r\n',) + chunks
        for n, chunk in enumerate(chunks):
            c.send(b'BDAT %d%s\r\n' % (len(chunk), b' LAST' if n + 1 == len(chunks) else b'') + chunk)
            check(c.reply()[:3] == b'250', f'chunk {n}')
        c.expect(b'QUIT', '221')
    check(wait(lambda: set(abuse.I.mails('bob')) - before), 'no mail has come')
    return body_of(open((set(abuse.I.mails('bob')) - before).pop(), 'rb').read())


@row
def row_018_no_end_in_chunks():
    check(bdat(b'a\r', b'\n.\r\n', b'b\r\n') == b'a\n.\nb\n', 'cut behind CR')
    check(bdat(b'a\r\n.\r\nMAIL FROM:<x@y.example>\r\n') == b'a\n.\nMAIL FROM:<x@y.example>\n', 'a dot in a chunk')
    check(bdat(b'.', b'\r\n', b'') == b'.\n', 'an empty last chunk')


@row
def row_052_sizes_of_chunks():
    for chunk, codes in ((b'BDAT 18446744073709551615 LAST', ('552',)), (b'BDAT 18446744073709551616', ('501',)), (b'BDAT -1', ('501',)),
                         (b'BDAT 1e9', ('501',)), (b'BDAT', ('501',)), (b'BDAT 5 FIRST', ('501',)), (b'BDAT 0x5', ('501',))):
        with Client() as c:
            c.envelope(data=False).expect(chunk, *codes)
            if chunk != b'BDAT':
                check(c.eof(), f'{chunk} left the session open')
    with Client() as c:
        c.envelope(data=False).expect(b'BDAT  0', '250')
        c.expect(b'BDAT 0 LAST', '250')


@row
def row_054_a_dot_behind_a_chunk():
    with Client() as c:
        c.envelope(data=False).send(b'BDAT 1\r\nx')
        check(c.reply()[:3] == b'250', 'a chunk')
        check(c.cmd(b'.')[:1] in (b'2', b'5'), 'a dot')
        check(c.eof(), 'a line of a dot is a command')


@row
def row_055_chunks_of_one_byte():
    with Client() as c:
        c.envelope(data=False)
        begin, n = time.monotonic(), 0
        while n < 100000 and c.send(b'BDAT 1\r\nx' * 10):
            n += 10
            if not b''.join(c.reply() for _ in range(10)).endswith(b'bytes\r\n'):
                break
        check(n < 1000, f'{n} chunks of one byte')
        check(time.monotonic() - begin < 20, 'slow')


@row
def row_020_a_cr_makes_no_header():
    got = mail(b'Subject: a\rBcc: v@x.example\r\nX-More: b\r\n\r\nbody\r\n')
    head = got.split(b'\n\n')[0]
    check(b'\r' not in head, f'a CR is left: {head!r}')
    check(not any(l.lower().startswith(b'bcc:') for l in head.split(b'\n')), f'a header was born: {head!r}')
    check(b'body\n' in got, 'the body is lost')


@row
def row_021_nul_in_a_command():
    with Client() as c:
        c.expect(b'EHLO c.example', '250')
        for line in (b'MAIL FROM:<a\0@x.example>', b'MAIL FROM:<a@x.example>\0', b'NOOP \0', b'MAIL FROM:<a@x.example> SIZE=1\0'):
            c.expect(line, '501')
        c.expect(b'\0MAIL FROM:<a@x.example>', '221', '500', '501')


@row
def row_022_nul_in_a_message():
    got = mail(b'Subject: a\0b\r\nX: 1\r\n\r\none\0two\r\nthree\r\n')
    check(b'three\n' in got and b'X: 1\n' in got, f'cut at a NUL: {got!r}')


@row
def row_023_eight_bits_in_a_command():
    with Client() as c:
        c.expect(b'EHLO c.example', '250')
        for line in ('MAIL FROM:<ä@x.example>'.encode(), b'MAIL FROM:<a\xff@x.example>', b'MAIL FROM:<a@\xffx.example>'):
            c.expect(line, '501', '553')
        c.expect(b'EHLO \xff\xfd', '501')
    with Client() as c:
        c.expect(b'\xff\xf4\xff\xfdEHLO c.example', '221', '500', '501')


@row
def row_060_a_slow_command():
    clients = [in_mode(tls, 0) for tls in (False, True)]
    begin, watch = time.monotonic(), Watch()
    while time.monotonic() - begin < 8 and any([c.send(b'N') for c in clients]):
        time.sleep(0.5)
    check(watch.secs() < 7, 'a line may come byte by byte for ever')
    for c in clients:
        check(c.reply()[:3] in (b'421', b''), 'the last word')
        c.s.close()


try:
    main()
finally:
    I.close()
