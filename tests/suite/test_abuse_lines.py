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


@row
def row_018_bdat_is_not_there():
    for chunk in (b'BDAT 5', b'BDAT 0 LAST', b'BDAT 18446744073709551615 LAST', b'BDAT -1', b'BDAT 1e9', b'BDAT  0'):
        with Client() as c:
            check(b'CHUNKING' not in c.envelope(data=False).cmd(b'EHLO c.example'), 'CHUNKING is announced')
            c.expect(chunk, '500', '502')


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
    with Client() as c:
        begin = time.monotonic()
        while time.monotonic() - begin < 8 and c.send(b'N'):
            time.sleep(0.5)
        check(time.monotonic() - begin < 7, 'a line may come byte by byte for ever')
        check(c.reply()[:3] in (b'421', b''), 'the last word')


try:
    main()
finally:
    I.close()
