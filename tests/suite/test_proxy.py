#!/usr/bin/env python3
"""PROXY headers in front of SMTP, plain and with TLS from the first byte (row 59 of hostile input), and sessions that are hidden."""
import itertools, smtplib, socketserver, threading
from harness import *

SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
V4 = socket.inet_aton('192.0.2.1') + socket.inet_aton('127.0.0.1') + b'\0\x19\x01\x02'
I, PORT, TLS_PORT, HIDING_PORT = None, 0, 0, 0


def talk(header, port=None, secs=8, piece=0):
    """what comes back for a header, sent `piece` bytes at a time (0: all); empty: it was closed in silence"""
    with socket.create_connection(('127.0.0.1', port or PORT), timeout=secs) as s:
        try:
            for i in range(0, len(header), piece or len(header)):
                s.sendall(header[i:i + (piece or len(header))])
            return s.recv(4096)
        except ConnectionError:
            return b''


def session(header, lines, tls=False, at_once=b''):
    s = socket.create_connection(('127.0.0.1', TLS_PORT if tls else PORT), timeout=10)
    s.sendall(header)
    if tls:     # the handshake is right behind the header, in the same breath
        s = I.tls().wrap_socket(s, server_hostname='127.0.0.1')
    f = s.makefile('rb')
    out = [f.readline()]
    for l in lines:
        s.sendall(l + b'\r\n')
        while True:
            r = f.readline()
            if r[3:4] != b'-':
                break
        out.append(r)
    s.close()
    return out


@test
def the_client_is_who_the_header_says():
    for header in (b'PROXY TCP4 192.0.2.1 127.0.0.1 1000 25\r\n', SIGNATURE + b'\x21\x11\0\x0c' + V4):
        for tls in (False, True):
            n = len(I.mails('bob'))
            out = session(header, [b'EHLO c.example', b'MAIL FROM:<a@c.example>', b'RCPT TO:<x@elsewhere.example>',
                                   b'RCPT TO:<bob@%s>' % DOMAIN.encode(), b'DATA', b'Subject: p\r\n\r\nx\r\n.'], tls)
            check([r[:3] for r in out] == [b'220', b'250', b'250', b'554', b'250', b'354', b'250'], f'{header!r} {tls}: {out}')
            check(any('[192.0.2.1]' in open(m).read() for m in I.wait_mails('bob', n + 1)), 'the address is not in the trace')


ASKED = []


class Policy(socketserver.StreamRequestHandler):
    """a policy service: keeps what it is told, and says no more"""
    def handle(self):
        request = {}
        for line in self.rfile:
            if line != b'\n':
                request.update([line.decode().rstrip('\n').split('=', 1)])
                continue
            ASKED.append(request)
            request = {}
            self.wfile.write(b'action=DUNNO\n\n')


@test
def policy_services_hear_where_the_client_came_to():
    for header, want in ((b'PROXY TCP4 192.0.2.1 192.0.2.9 1000 2525\r\n', ('192.0.2.1', '192.0.2.9', '2525')),
                         (b'PROXY TCP6 2001:db8::1 2001:db8::2 1000 25\r\n', ('2001:db8::1', '2001:db8::2', '25')),
                         (SIGNATURE + b'\x21\x11\0\x0c' + V4, ('192.0.2.1', '127.0.0.1', '258')),
                         (SIGNATURE + b'\x20\0\0\0', ('unknown', '127.0.0.1', str(PORT)))):
        session(header, [b'EHLO c.example', b'MAIL FROM:<a@c.example>', b'RCPT TO:<bob@%s>' % DOMAIN.encode()])
        got = tuple(ASKED[-1].get(k) for k in ('client_address', 'server_address', 'server_port'))
        check(got == want, f'{header!r}: {got}, not {want}')


@test
def row_059_nobody_is_taken_for_the_proxy():
    for header in (b'PROXY TCP4 999.1.1.1 127.0.0.1 1 25\r\n', b'PROXY TCP4 ' + b'1' * 100, b'PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n',
                   SIGNATURE + b'\x21\x11\xff\xff' + V4, SIGNATURE + b'\x21\x11\0\x11' + V4 + b'\x01\0\x09ab', b'EHLO c.example\r\n', b'\x16\x03\x01'):
        for port, piece in itertools.product((PORT, TLS_PORT), (0, 1)):
            check(talk(header, port, piece=piece) == b'', f'{header!r} was answered, with TLS: {port == TLS_PORT}, pieces of {piece}')
    one = b'PROXY TCP4 192.0.2.1 127.0.0.1 1000 25\r\n'
    check(talk(one, piece=1).startswith(b'220'), 'a good header byte by byte')
    check(not talk(one + one).startswith(b'220'), 'two headers')
    check(session(one, [one.strip()])[1][:3] in (b'221', b'500', b''), 'a second header is no command')
    for header in (b'PROXY UNKNOWN\r\n', SIGNATURE + b'\x20\0\0\0'):
        out = session(header, [b'EHLO c.example', b'MAIL FROM:<a@c.example>', b'RCPT TO:<x@elsewhere.example>'])
        check(out[3][:3] == b'554', f'{header!r} is trusted: {out}')
    begin = time.monotonic()
    check(talk(b'PROXY', secs=20) == b'' and time.monotonic() - begin < 10, 'a header that does not end')


@test
def a_stranger_is_no_proxy():
    with socket.socket() as s:
        s.settimeout(8)
        s.bind(('127.0.5.5', 0))
        s.connect(('127.0.0.1', PORT))
        try:
            s.sendall(b'PROXY TCP4 192.0.2.1 127.0.0.1 1000 25\r\n')
            got = s.recv(100)
        except ConnectionError:
            got = b''
        check(got == b'', f'{got} for a stranger')
    check(I.tells('not in smtpd_upstream_proxy_hosts'), 'it is not in the log')


@test
def a_hidden_session_leaves_no_trace():
    with smtplib.SMTP('127.0.0.1', HIDING_PORT) as s:
        s.ehlo('secret.example')
        n = len(I.mails('alice'))
        s.sendmail('bob@' + DOMAIN, 'alice@' + DOMAIN, 'Subject: hidden\r\n\r\nx\r\n')
    text = [t for t in (open(m).read() for m in I.wait_mails('alice', n + 1)) if 'Subject: hidden' in t][0]
    check('127.0.0.1' not in text and 'secret.example' not in text and 'Received: by ' in text, text)


def run_all():
    global I, PORT, TLS_PORT, HIDING_PORT
    socketserver.ThreadingTCPServer.daemon_threads = True
    policy = socketserver.ThreadingTCPServer(('127.0.0.1', 0), Policy)
    threading.Thread(target=policy.serve_forever, daemon=True).start()
    I = Instance(main='smtpd_upstream_proxy_hosts = 127.0.0.1\nsmtpd_upstream_proxy_timeout = 2s\n')
    PORT, TLS_PORT, HIDING_PORT = free_port(), free_port(), free_port()
    with open(I.conf + '/master.cf', 'a') as f:
        f.write(f'127.0.0.1:{PORT} inet n - - - 1-4 smtpd\n  -o smtpd_upstream_proxy_protocol=haproxy\n'
                f'  -o smtpd_client_restrictions=check_policy_service,inet:127.0.0.1:{policy.server_address[1]}\n'
                f'127.0.0.1:{TLS_PORT} inet n - - - 1-4 smtpd\n  -o smtpd_upstream_proxy_protocol=haproxy\n  -o smtpd_tls_wrappermode=yes\n'
                f'127.0.0.1:{HIDING_PORT} inet n - - - 1-4 smtpd\n  -o smtpd_hide_client_session=yes\n')
    with I:
        main()


run_all()
