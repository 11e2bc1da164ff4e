#!/usr/bin/env python3
"""Hostile POP3 clients. Numbers are rows of the table of hostile inputs; each row ends with the common rule (rawmail.row)."""
import struct
from rawmail import *

I = None


def fill(user, n, body=b'x\r\n'):
    c = Imap(I, user)
    c.ok('SELECT INBOX')
    if I.mails(user):
        c.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
        c.ok('EXPUNGE')
    for k in range(n):
        c.append('INBOX', b'Subject: m%d\r\n\r\n' % k + body)
    c.ok('LOGOUT')


def leave(p):
    p.want('+OK', 'QUIT')
    p.close()


@row(lambda: I)
def row_122_numbers():
    fill('alice', 3)
    for arg in '4294967297', '4294967295', '-1', '0', '4', '01x', 'x', '1 1 1', '18446744073709551617', '+1', ' ', '1\0', '%s', '9' * 400:
        for verb in 'RETR', 'DELE', 'LIST', 'UIDL', 'TOP':
            p = Pop(I)
            if arg == ' ' and verb in ('LIST', 'UIDL'):
                p.many(verb)
                leave(p)
                continue
            p.want('-ERR', f'{verb} {arg}')
            p.want('+OK', 'NOOP')
            leave(p)
    p = Pop(I)
    for args in '1 99999999999', '1 -1', '1', '1 x', '1 1 1', '0 0', '4 1', '', '1 4294967296':
        p.want('-ERR', f'TOP {args}'.strip())
    check(p.many('TOP 1 0')[-1] == b'', 'TOP 1 0 ends with the empty line')
    check(len(p.many('TOP 1 4294967295')) == 3, 'TOP of more lines than there are')
    p.want('+OK', 'DELE 1')
    p.want('-ERR', 'DELE 1')
    p.want('-ERR', 'RETR 1')
    p.want('-ERR', 'LIST 1')
    check([l.split()[0] for l in p.many('LIST')] == [b'2', b'3'] and p.want('+OK 2 ', 'STAT'), 'LIST after DELE')
    p.want('+OK', 'RSET')
    p.want('+OK 3 ', 'STAT')
    p.want('+OK', 'DELE 2')
    p.want('+OK', 'QUIT')
    check(p.line() is None and len(I.mails('alice')) == 2, 'DELE and QUIT')


@row(lambda: I)
def row_123_gone_without_quit():
    fill('bob', 2)
    for end in 'fin', 'rst', 'bad', 'logout by noise':
        p = Pop(I, 'bob')
        p.want('+OK', 'DELE 1')
        p.want('+OK', 'DELE 2')
        if end == 'bad':
            for _ in range(500):
                p.send('NOSUCH\r\n')
            p.rest()
        elif end == 'rst':
            p.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        elif end == 'logout by noise':
            p.send(b'QUIT' * 100 + b'\r\nQUI')
            p.line()
        p.close()
        check(wait(lambda: opens('bob'), 5), 'the lock stays')
        check(len(I.mails('bob')) == 2, f'{end}: deleted without QUIT')


def opens(user):
    p = Pop(I, None)
    p.want('+OK', f'USER {user}@{DOMAIN}')
    got = p.cmd(f'PASS pw-{user}')
    if got.startswith(b'+OK'):
        p.want('+OK', 'QUIT')           # so that the maildrop is free for whoever comes next
    p.close()
    return got.startswith(b'+OK')


@row(lambda: I)
def row_125_two_sessions():
    fill('carol', 3)
    p = Pop(I, 'carol')
    q = Pop(I, None)
    q.want('+OK', f'USER carol@{DOMAIN}')
    q.want('-ERR [IN-USE]', 'PASS pw-carol')
    c = Imap(I, 'carol')
    c.ok('SELECT INBOX')
    c.ok('STORE 2 +FLAGS (\\Deleted)')
    c.ok('EXPUNGE')
    c.append('INBOX', b'Subject: late\r\n\r\n')
    p.want('+OK 3 ', 'STAT')
    check(b'Subject: m0' in p.many('RETR 1'), 'RETR 1')
    p.want('-ERR', 'RETR 2')
    p.want('+OK', 'NOOP')
    check(b'Subject: m2' in p.many('RETR 3'), 'RETR 3')
    c.ok('STORE 1 +FLAGS (\\Flagged)')
    check(b'Subject: m0' in p.many('RETR 1'), 'RETR after a rename by IMAP')
    p.want('+OK', 'DELE 3')
    p.want('+OK', 'QUIT')
    check(b'* 2 EXPUNGE' in c.ok('NOOP').lines, 'IMAP does not hear of it')
    check(len(I.mails('carol')) == 2, 'what is left')


@row(lambda: I)
def row_126_words_before_login():
    for text in (b'USER ' + b'x' * (1 << 20), b'USER \xff\xfe', b'USER', b'USER  ', b'PASS x', b'APOP', b'APOP a b', b'USER a\0b', b'AUTH X', b'AUTH PLAIN =', b'AUTH PLAIN ' + b'A' * 9000,
             b'AUTH PLAIN AAAA BBBB', b'\0', b' ', b'', b'USER %s%n', b'CAPA x', b'RETR 1', b'STAT', b'\x16\x03\x01\x02\x00\x01' + b'\xfc' * 200, b'GET / HTTP/1.1', b'\r\r\r'):
        p = Pop(I, None)
        got = p.cmd(text)
        if got and got.startswith(b'+'):
            check(text.startswith((b'USER', b'AUTH PLAIN', b'AUTH X')), f'{text[:20]}: {got}')
            got = p.cmd('PASS x' if text.startswith(b'USER') else '*')
        check(got is None or got.startswith(b'-ERR'), f'{text[:20]}: {got}')
        p.close()
    p = Pop(I, None)
    for _ in range(500):
        p.send('BOGUS\r\n')
    check(p.rest().count(b'-ERR') < 50, 'no end of bad commands')
    p = Pop(I)
    for _ in range(500):
        p.send('BOGUS \x1b[31m\r\n')
    check(p.rest().count(b'-ERR') < 50, 'no end of bad commands after login')
    p = Pop(I, 'bob')
    p.send(b'RETR ' + b'1' * (1 << 20) + b'\r\n').rest()


@row(lambda: I)
def a_client_may_come_back_at_once():
    for _ in range(50):
        leave(Pop(I))


@row(lambda: I)
def commands_in_one_piece_and_byte_by_byte():
    fill('dave', 2, b'.\r\n..\r\n.x\r\n\r\nend')
    for piece in 1, 7, 100000:
        p = Pop(I, None, 'pop3s')
        text = f'CAPA\r\nUSER dave@{DOMAIN}\r\nPASS pw-dave\r\nSTAT\nRETR 1\r\nRETR 2\r\nTOP 1 2\r\nquit\r\n'.encode()
        for k in range(0, len(text), piece):
            p.send(text[k:k + piece])
        got = p.rest()
        check(got.count(b'\r\n..\r\n...\r\n..x\r\n\r\nend\r\n.\r\n') == 2, f'{piece}: {got}')
        check(got.endswith(b'+OK bye\r\n') and got.count(b'+OK') == 8, f'{piece}: {got}')


@row(lambda: I)
def stls_forgets_what_came_before():
    p = Pop(I, None)
    p.send(f'STLS\r\nUSER alice@{DOMAIN}\r\nPASS pw-alice\r\n')
    check(p.line().startswith(b'+OK'), 'STLS')
    try:
        p.s, p.b = I.tls().wrap_socket(p.s, server_hostname='127.0.0.1'), b''
        p.s.settimeout(0.5)
        try:
            got = p.s.recv(100)
        except socket.timeout:
            got = b''
        check(got == b'', f'answered inside TLS: {got}')
    except (OSError, ssl.SSLError):
        pass
    p = Pop(I, None)
    p.want('+OK', f'USER alice@{DOMAIN}')
    p.want('+OK', 'STLS')
    p.s, p.b = I.tls().wrap_socket(p.s, server_hostname='127.0.0.1'), b''
    p.want('-ERR', 'PASS pw-alice')


if __name__ == '__main__':
    with Instance(users='alice bob carol dave'.split()) as I:
        main()
