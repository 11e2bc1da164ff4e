#!/usr/bin/env python3
"""Hostile messages, delivered and then fetched over IMAP (rows 127 to 142)."""
import imaplib, re, time
import abuse
from abuse import *

imaplib._MAXLINE = 1 << 26
I = abuse.start('message_size_limit = 60M\nqueue_minfree = 1\n')
SCALE = 8 if SANITIZED else 1
ITEMS = '(UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT TO)])'


def deliver(text, name, secs=None):
    """one message through SMTP into the mailbox, and what a mail program asks of it; CPU of all of it is bounded"""
    before = {n: cpu(n) for n in ('intake', 'local', 'smtpd')}
    have = len(I.mails('bob'))
    with Client(timeout=60) as c:
        c.envelope()
        c.send(text)
        r = c.cmd(b'.')
    if not r.startswith(b'250'):
        check(r[:3] in (b'552', b'550', b'554'), f'{name}: {r}')
        return None
    wait(lambda: len(I.mails('bob')) > have, 30)
    check(len(I.mails('bob')) == have + 1, f'{name}: not delivered')
    spent = {n: cpu(n) - before[n] for n in before}
    bound = secs or 1 + len(text) / 50e6
    check(SANITIZED or max(spent.values()) < bound, f'{name}: CPU {spent} for {len(text)} bytes')
    big = {n: rss(n) >> 20 for n in ('intake', 'local')}
    watch = Watch()
    with imaplib.IMAP4('127.0.0.1', I.port('imap'), timeout=60) as m:
        m.login('bob@' + DOMAIN, 'pw-bob')
        n = int(m.select('INBOX')[1][0])
        check(m.fetch(str(n), ITEMS)[0] == 'OK', f'{name}: FETCH')
        ok, data = m.fetch(str(n), 'BODY.PEEK[]')
        check(ok == 'OK' and data[0], f'{name}: the message itself')
        check(m.search(None, 'SUBJECT', 'zzz')[0] == 'OK', f'{name}: SEARCH')
        check(m.fetch(str(n), '(BODY.PEEK[1.1.1.1.1] BODY.PEEK[TEXT]<0.100>)')[0] in ('OK', 'NO'), f'{name}: a part')
        m.store(str(n), '+FLAGS', '\\Deleted')
        m.expunge()
    took = watch.secs()
    check(SANITIZED or took < 2 + len(text) / 10e6, f'{name}: IMAP took {took:.1f} s')
    check(SANITIZED or max(big.values()) < 48, f'{name}: RSS in MiB {big}')
    print(f'# {name}: {len(text) >> 10} KiB, CPU ' + ', '.join(f'{k} {v:.2f}' for k, v in spent.items()) + f' s, IMAP {took:.2f} s')
    return data[0][1]


def lines(*ls):
    return b'\r\n'.join(ls) + b'\r\n'


@row(slow=3)
def row_127_one_header_of_50_mb():
    deliver(b'Subject: x\r\nX-Long: a' + b'\r\n x' * (10_000_000 // SCALE) + b'\r\n\r\nbody\r\n', 'folded header', 4)


@row(slow=3)
def row_128_many_headers():
    for n in (100_000, 500_000):
        deliver(b'To: a@b.example\r\n' * (n // SCALE) + b'\r\nbody\r\n', f'{n} To lines', 2)


@row(slow=3)
def row_129_many_addresses():
    deliver(b'To: ' + b'a@b.example,\r\n ' * (1_000_000 // SCALE) + b'a@b.example\r\n\r\nbody\r\n', 'To with 1M addresses', 4)
    deliver(b'To: ' + b'g:;,\r\n ' * (100_000 // SCALE) + b'a@b\r\n\r\n\r\n', 'groups', 2)


@row(slow=3)
def row_130_nested():
    n = 10_000 // SCALE
    deliver(b'MIME-Version: 1.0\r\n' + b''.join(b'Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n' % (i, i) for i in range(n)) + b'\r\nx\r\n', 'multiparts in each other')
    deliver(b'MIME-Version: 1.0\r\n' + b'Content-Type: message/rfc822\r\n\r\n' * n + b'Subject: x\r\n\r\nx\r\n', 'messages in each other')
    deliver(b'Content-Type: multipart/mixed; boundary=b\r\n\r\n' + b'--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n' * n, 'the same boundary')


@row(slow=3)
def row_131_many_parts():
    deliver(b'Content-Type: multipart/mixed; boundary=b\r\n\r\n' + b'--b\r\n\r\n' * (1_000_000 // SCALE) + b'--b--\r\n', '1M parts', 3)
    deliver(b'Content-Type: multipart/digest; boundary=b\r\n\r\n' + b'--b\r\n\r\nSubject: x\r\n\r\n' * (12_000 // SCALE) + b'--b--\r\n', 'digest')


@row(slow=3)
def row_132_boundaries():
    for b in (b'', b'""', b'"' + b'x' * 70 + b'"', b'"' + b'x' * 2048 + b'"', b'"' + b'x' * 90_000 + b'"', b'"a\0b"', b'"b"; boundary="bb"', b"b; boundary*=utf-8''%00"):
        inner = b.split(b';')[0].strip(b'"')
        deliver(b'Content-Type: multipart/mixed; boundary=' + b + b'\r\n\r\n--' + inner + b'\r\n\r\none\r\n--' + inner + b'b\r\n\r\ntwo\r\n--' + inner + b'--\r\n', f'boundary {b[:8]!r}')


@row(slow=3)
def row_133_comments():
    deliver(b'To: ' + b'(' * (1_000_000 // SCALE) + b'\r\n\r\nx\r\n', 'open comments')
    deliver(b'From: (((\\\r\n\r\n', 'a comment that ends in a backslash')
    deliver(b'Content-Type: text/plain; a="' + b'\\' * 100_000 + b'\r\n\r\nx\r\n', 'backslashes')
    deliver(b'Subject: =?utf-8?q?' + b'=?' * 100_000 + b'\r\n\r\nx\r\n', 'encoded words')


@row
def row_136_odd_headers():
    for text, must in ((b'no colon here\r\nbody\r\n', b'no colon here'), (b'Subject : x\r\n\r\nb1\r\n', b'b1'), (b'From me Mon Jan  1 00:00:00 2024\r\nSubject: x\r\n\r\nb2\r\n', b'b2'),
                       (b'\r\nonly a body\r\n', b'only a body'), (b'Subject: only a header\r\n', b'only a header'), (b': empty name\r\n\r\nb3\r\n', b'b3'),
                       (b' folded first\r\n\r\nb4\r\n', b'b4'), (b'\r\n\r\n\r\n', b''), (b'X' * 2000 + b'\r\n', b'X' * 900), (b'Subject: x\r\n \r\n\t\r\nTo: y\r\n\r\nb5\r\n', b'b5')):
        got = deliver(text, repr(text[:12]))
        check(got is not None and must in got, f'{text!r} became {got!r}')


@row(slow=3)
def row_138_short_lines():
    head = b'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: '
    deliver(head + b'base64\r\n\r\n' + b'Q\r\n' * (10_000_000 // SCALE), 'base64, one a line', 3)
    deliver(head + b'quoted-printable\r\n\r\n' + b'=\r\n' * (10_000_000 // SCALE), 'soft breaks', 3)


def unchanged(text, name, secs=None):
    """nothing looks into it: it is delivered as it came, behind the lines of every message, and nothing is sent for it"""
    got = deliver(text, name, secs)
    check(got is not None and got.endswith(text), f'{name}: not as it came: {got and got[:200]}')
    added = re.findall(rb'(?m)^([\w-]+):', got[:-len(text)])
    check(set(added) <= {b'Return-Path', b'Delivered-To', b'Received'}, f'{name}: {added}')
    check(wait(lambda: not I.queue()), f'{name}: something was sent')


@row
def row_135_split_names():
    """no rule looks at names of files; what a client sees of them is the same text, however it was cut"""
    for n, split in enumerate((b'filename="evil.exe"', b'filename*0="ev"; filename*1="il.exe"', b"filename*0*=utf-8''ev%69; filename*1=l.exe", b'filename*1="il.exe";\r\n filename*0=ev')):
        unchanged(b'Subject: n\r\nContent-Type: application/x\r\nContent-Disposition: attachment; ' + split + b'\r\n\r\nx\r\n', f'name {n}')


@row(slow=3)
def row_139_bombs():
    import base64, bz2, zlib
    bomb = zlib.compress(bytes(80 << 20), 9)
    for kind, data in ('gzip', bomb), ('application/zip', b'PK\x03\x04' + bomb * 20), ('x-bzip2', bz2.compress(bytes(20 << 20))):
        unchanged(b'Subject: bomb\r\nContent-Type: application/' + kind.encode() + b'\r\nContent-Encoding: gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n' +
                  base64.encodebytes(data).replace(b'\n', b'\r\n'), kind)


@row(slow=3)
def row_140_to_142_signatures_and_seals():
    """DKIM, SPF, ARC and DMARC are nobody's business here: whatever these lines say costs no more than others, and no report is sent"""
    names = b'\r\n :'.join([b'from'] * 10_000)
    deliver(b'DKIM-Signature: v=1; h=' + names * 10 + b'\r\n\r\nx\r\n', '100,000 names in h=', 2)       # cut at header_size_limit
    for name, lines in (
            ('1000 signatures', [b'DKIM-Signature: v=1; a=rsa-sha256; d=d%d.example; s=s; l=0; h=from; bh=; b=%s' % (n, b'A' * 340) for n in range(1000)]),
            ('10,000 names in h=', [b'DKIM-Signature: v=1; a=rsa-sha256; d=d.example; s=s; h=' + names + b'; b=A']),
            ('SPF', [b'Received-SPF: pass (%{ir}.%{v}._spf.%{d2}) client-ip=1.2.3.4'] * 1000),
            ('51 seals', [b'ARC-Seal: i=%d; a=rsa-sha256; cv=pass; d=x.example; s=s; b=A' % n for n in range(60, 0, -1)]),
            ('DMARC', [b'Authentication-Results: mail.example.test; dmarc=pass (p=none rua=mailto:x@y.example) header.from=y.example'] * 100)):
        unchanged(b'\r\n'.join([b'From: x@y.example', *lines, b'Subject: s', b'', b'body', b'']), name, 2)


try:
    main()
finally:
    I.close()
