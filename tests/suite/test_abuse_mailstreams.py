#!/usr/bin/env python3
"""Hostile streams for IMAP and POP3, played four times: in the clear and inside TLS, whole and byte by byte.

Rows 97 to 126 of the table of bad inputs; what each leaves behind is checked once for all (rawmail.row).
"""
from concurrent.futures import ThreadPoolExecutor
from mailstreams import STREAMS
from rawmail import *

I = None
ALONE = 9000        # bytes of a stream that go one by one; the rest of a long line in pieces


def play(stream, user, tls, piece):
    """all that the server says, to its end"""
    login = f'USER {user}@{DOMAIN}\r\nPASS pw-{user}\r\n' if stream.pop else f'l LOGIN {user}@{DOMAIN} pw-{user}\r\n'
    text, c = stream.text.replace(b'{login}', login.encode()), Raw(I, ('pop3' if stream.pop else 'imap') + ('s' if tls else ''))
    alone = text[:ALONE] if piece else b''
    for k in range(len(alone)):
        c.send(alone[k:k + 1])
    c.send(text[len(alone):])
    if stream.leaves:
        out = b'\n'.join(c.line() or b'' for _ in range(4))
        c.close()
        check(wait(lambda: free(user)), 'the maildrop stays locked')
        return out
    try:
        return c.rest()
    except Failed:
        return b'and then nothing: ' + c.b.replace(b'\n', b' ')
    finally:
        c.close()


def free(user):
    p = Pop(I, None)
    p.cmd(f'USER {user}@{DOMAIN}')
    got = p.cmd(f'PASS pw-{user}')
    p.send('QUIT\r\n').rest()
    return got.startswith(b'+OK')


def left():
    """names of folders and messages, without flags and UIDs"""
    return {user: sorted(re.split('[,:]', p)[0] for t, ds, fs in os.walk(I.maildir(user)) for p in ds + [f for f in fs if '.A' in f]) for user in ('alice', 'bob')}


def wrong(stream, said):
    return None if any(l.startswith(w) for l in said.splitlines() for w in stream.want) else f'{stream}: {said[-160:]!r}'


def mode(name, tls, piece):
    def f():
        before = left()
        with ThreadPoolExecutor(8) as pool:
            bad = list(pool.map(lambda s: wrong(s, play(s, 'alice', tls, piece)), [s for s in STREAMS if not s.pop]))
        bad += [wrong(s, play(s, 'bob', tls, piece)) for s in STREAMS if s.pop]         # one session has the maildrop
        bad = [b for b in bad if b]
        check(not bad, '; '.join(bad[:6]))
        check(left() == before, f'left behind: {left()}, before: {before}')
    f.__name__ = 'rows_97_to_126_' + name
    row(lambda: I)(f)


mode('in_the_clear_whole', False, False)
mode('in_the_clear_byte_by_byte', False, True)
mode('inside_tls_whole', True, False)
mode('inside_tls_byte_by_byte', True, True)


if __name__ == '__main__':
    with Instance(users=('alice', 'bob'), main='auth_failure_limit = 0\n') as I:
        Imap(I).append('INBOX', b'To: x\r\nFrom: Group: a@x.example, "B, b" <b@y.example>;\r\n\r\n')
        Imap(I, 'bob').append('INBOX', b'Subject: one\r\n\r\nx\r\n')
        free('bob')             # files of it have their sizes and UIDs from here on
        main()
