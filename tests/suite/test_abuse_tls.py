#!/usr/bin/env python3
"""Hostile TLS: what comes before, instead of and inside a handshake (rows 71 to 83)."""
import contextlib, re, ssl, struct, subprocess, time
import abuse
from abuse import *

I = abuse.start(launch=False)
ASKING = I.base + 26            # submissions, with certificates of clients
with open(I.conf + '/master.cf', 'a') as f:
    f.write(f'{ASKING} inet n - y - 1-2 smtpd\n  -o smtpd_tls_wrappermode=yes\n  -o smtpd_tls_ask_ccert=yes\n')
I.start()
STARTTLS = {'smtp': (b'EHLO x\r\n', b'STARTTLS\r\n', b'220'), 'submission': (b'EHLO x\r\n', b'STARTTLS\r\n', b'220'),
            'imap': (b'', b'a STARTTLS\r\n', b'a OK'), 'pop3': (b'', b'STLS\r\n', b'+OK')}


def until(s, sign, stop=b'\n'):
    got = b''
    while sign not in got or not got.endswith(stop):
        d = s.recv(4096)
        if not d:
            break
        got += d
    return got


def at_starttls(port, behind=b''):
    """a plain connection whose STARTTLS has been answered, with `behind` in the same segment as STARTTLS"""
    first, starttls, ok = STARTTLS[port]
    s = socket.create_connection(('127.0.0.1', I.port(port)), timeout=15)
    until(s, b'')
    if first:
        s.sendall(first)
        until(s, b'250 ')
    s.sendall(starttls + behind)
    check(ok in until(s, ok), f'{port}: STARTTLS')
    return s


def secure(s, **kw):
    ctx = I.tls()
    ctx.check_hostname = False
    for k, v in kw.items():
        setattr(ctx, k, v)
    return ctx.wrap_socket(s, server_hostname='127.0.0.1')


def quiet(t, secs=0.3):
    """nothing comes"""
    t.settimeout(secs)
    try:
        d = t.recv(4096)
        check(not d, f'answered inside TLS: {d!r}')
    except (TimeoutError, ssl.SSLError, ConnectionError):
        pass
    t.settimeout(15)


@row
def row_071_to_074_commands_behind_starttls():
    for port, behind in (('smtp', b'RSET\r\n'), ('smtp', b'EHLO x\r\nMAIL FROM:<evil@x.example>\r\n'),
                         ('submission', b'EHLO x\r\nAUTH PLAIN AGFsaWNlAHB3\r\nMAIL FROM:<x@x.example>\r\n'),
                         ('imap', b'b LOGIN alice pw-alice\r\n'), ('pop3', b'USER alice\r\n')):
        s = at_starttls(port, behind)
        try:
            t = secure(s)
            quiet(t)
        except OSError:
            pass                    # closed: as good
        s.close()


@row
def row_076_starttls_again():
    with Client() as c:
        c.expect(b'STARTTLS x', '501', '503')
        c.envelope(data=False)
        c.expect(b'STARTTLS', '503', '554')
        c.expect(b'RSET', '250')
        c.tls()
        c.expect(b'MAIL FROM:<a@x.example> BODY=8BITMIME', '250', '503')
        check(b'STARTTLS' not in c.expect(b'EHLO y', '250'), 'STARTTLS is announced inside TLS')
        c.expect(b'STARTTLS', '554', '503')
        c.expect(b'RCPT TO:<bob@%s>' % DOMAIN.encode(), '503')


@row
def row_077_server_names():
    before = rss('smtpd')
    for name in ('x' * 63 + '.' + 'y' * 60, 'a' * 255, '../../x', 'x\\', 'x..y', ' ', 'example.test', 'X' * 200 + '.test'):
        p = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{I.port("submissions")}', '-servername', name, '-quiet'],
                           input=b'QUIT\r\n', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
        check(b'alert internal' not in p.stdout, p.stdout[-200:])
    for n in range(100000 if ALL else 60 if SANITIZED else 300):
        s = socket.create_connection(('127.0.0.1', I.port('submissions')), timeout=15)
        s.sendall(client_hello(b'n%d\0../.example' % n))
        s.recv(4096)
        s.close()
    check(SANITIZED or rss('smtpd') - before < 8 << 20, f'{rss("smtpd") - before} bytes more')


def client_hello(name):
    """a hello of TLS 1.2 with any bytes as its server name"""
    entry = b'\0' + struct.pack('>H', len(name)) + name
    sni = struct.pack('>H', len(entry)) + entry
    groups = b'\0\x0a\0\x04\0\x02\0\x17' + b'\0\x0d\0\x06\0\x04\x04\x03\x08\x04' + b'\0\x0b\0\x02\x01\0'
    ext = b'\0\0' + struct.pack('>H', len(sni)) + sni + groups
    body = b'\x03\x03' + bytes(32) + b'\0' + b'\0\x04\xc0\x2b\xc0\x2f' + b'\x01\0' + struct.pack('>H', len(ext)) + ext
    shake = b'\x01' + struct.pack('>I', len(body))[1:] + body
    return b'\x16\x03\x01' + struct.pack('>H', len(shake)) + shake


@row
def row_078_slow_handshakes():
    hello = client_hello(b'x.example')
    stalled = []
    for n in range(100):
        s = socket.socket()
        s.bind((f'127.0.4.{1 + n // 40}', 0))
        s.settimeout(15)
        s.connect(('127.0.0.1', I.port('submissions')))
        s.sendall(hello[:n])
        stalled.append(s)
    watch = Watch()
    s = socket.create_connection(('127.0.0.1', I.port('submissions')), timeout=15)
    for b in hello[5:]:
        s.sendall(b'\x16\x03\x01\0\x01' + bytes([b]))
    check(s.recv(4096)[:1] in (b'\x16', b'\x15', b''), 'a hello in records of one byte')
    s.close()
    for s in stalled:
        try:
            while s.recv(4096):
                pass
        except ConnectionError:
            pass
        s.close()
    check(watch.secs() < 13, f'a handshake may take {watch.secs():.0f} s')


@row
def row_080_cut_without_goodbye():
    before = len(I.mails('bob'))
    c = Client()
    c.expect(b'EHLO x', '250')
    c.tls().envelope()
    c.send(b'Subject: cut\r\n\r\nhalf a mes\r\n')
    time.sleep(0.1)
    raw = socket.socket(fileno=c.s.detach())
    raw.shutdown(socket.SHUT_WR)
    time.sleep(0.3)
    raw.close()
    check(len(I.mails('bob')) == before, 'half a message was taken')


@row
def row_081_082_old_and_foreign():
    for args in (['-tls1'], ['-tls1_1'], ['-cipher', 'NULL:EXPORT:aNULL:@SECLEVEL=0', '-tls1_2'], ['-alpn', 'h2'], ['-alpn', 'http/1.1']):
        p = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{I.port("submissions")}', *args], input=b'', stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=20)
        out = p.stdout.decode(errors='replace')
        check('220 ' not in out and ('alert' in out or 'Cipher is (NONE)' in out or 'no cipher match' in out or 'no protocols' in out), f'{args}: {out[-300:]}')
    for hello in (b'\x16\x03\0\0\x2f\x01\0\0\x2b\x03\0' + bytes(32) + b'\0\0\x04\0\x05\0\x0a\x01\0', b'\x80\x2e\x01\0\x02\0\x15\0\0\0\x10' + bytes(60)):
        s = socket.create_connection(('127.0.0.1', I.port('submissions')), timeout=15)
        s.sendall(hello)
        try:
            check(s.recv(4096)[:1] in (b'\x15', b''), 'SSL 2 or 3')
        except ConnectionError:
            pass
        s.close()


def private(name='smtpd'):
    """KiB of memory of their own, of all processes NAME"""
    out = 0
    for pid, argv0 in I.processes().items():
        if argv0 == name:
            out += sum(int(x) for x in re.findall(r'Private_Dirty:\s+(\d+)', open(f'/proc/{pid}/smaps_rollup').read()))
    return out


@row
def row_062_what_an_idle_connection_costs():
    """KiB of memory, after some that warm up what all share"""
    cost = {}
    for kind, port, warm, n, most in ('plain', 'smtp', 50, 600, 2), ('TLS', 'submissions', 100, 400, 20):
        held, before = [], 0
        for i in range(warm + n):
            s = socket.socket()
            s.bind((f'127.0.5.{1 + i % 40}', 0))
            s.settimeout(15)
            s.connect(('127.0.0.1', I.port(port)))
            if kind == 'TLS':
                s = secure(s)
            s.recv(4096)
            s.sendall(b'EHLO x\r\n')
            until(s, b'250 ')
            held.append(s)
            if i == warm - 1:
                before = private()
        cost[kind] = (private() - before) / n
        for s in held:
            s.close()
        check(SANITIZED or cost[kind] <= most, f'{cost[kind]:.1f} KiB for one that is {kind}')
    print('# an idle connection costs ' + ', '.join(f'{v:.2f} KiB ({k})' for k, v in cost.items()))


@row
def row_083_garbage_in_records():
    for first in (b'\x16\x03\x01\xff\xff' + bytes(65535), b'\x17\x03\x03\x40\0' + bytes(16384), b'\x16\x03\x01\0\0' * 2000, b'\x15\x03\x01\0\x02\x02\x28' * 100,
                  client_hello(b'x') * 3, b'\x16\x03\x01\0\x04\x01\xff\xff\xff' + b'\x16\x03\x01\x40\0' + bytes(16384) * 4):
        s = socket.create_connection(('127.0.0.1', I.port('submissions')), timeout=15)
        try:
            s.sendall(first)
            s.settimeout(12)
            while s.recv(65536):
                pass
        except ConnectionError:
            pass
        s.close()
    s = at_starttls('smtp')
    t = secure(s)
    raw = socket.socket(fileno=t.detach())
    raw.sendall(b'\x17\x03\x03\0\x20' + bytes(32))      # does not decrypt
    raw.settimeout(5)
    try:
        while raw.recv(4096):
            pass
    except ConnectionError:
        pass
    raw.close()


# ---- all rows once more for SMTP: TLS by STARTTLS and from the first byte, whole and one byte a write

class Wire:
    """a connection that writes `piece` bytes at a time (0: all), and then perhaps TLS over it"""
    def __init__(self, port, piece):
        self.s, self.piece, self.tls = socket.create_connection(('127.0.0.1', port), timeout=15), piece, None
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def raw(self, data):
        """a server that has closed is seen by the next recv"""
        try:
            for i in range(0, len(data), self.piece or max(1, len(data))):
                self.s.sendall(data[i:i + self.piece] if self.piece else data)
        except OSError:
            pass

    def more(self):
        d = self.s.recv(65536)
        if not d:
            raise ConnectionResetError
        self.inward.write(d)

    def call(self, f, *args):
        while True:
            try:
                return f(*args)
            except ssl.SSLWantReadError:
                self.raw(self.outward.read())
                self.more()
            finally:
                self.raw(self.outward.read())

    def secure(self, context=None):
        context = context or I.tls()
        context.check_hostname = False
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.inward, self.outward, server_hostname='127.0.0.1')
        self.call(self.tls.do_handshake)

    def send(self, data):
        if self.tls:
            for i in range(0, len(data), self.piece or max(1, len(data))):       # a record for each byte
                self.call(self.tls.write, data[i:i + self.piece] if self.piece else data)
        else:
            self.raw(data)

    def hear(self):
        """one reply; empty: it is closed, or an alert has come"""
        got = b''
        try:
            while not got.endswith(b'\n') or got.splitlines()[-1][3:4] == b'-':
                d = self.call(self.tls.read, 65536) if self.tls else self.s.recv(65536)
                if not d:
                    return b''
                got += d
        except (ConnectionError, ssl.SSLError):
            return b''
        return got

    def over(self):
        """what the other side does: closes, or sends an alert of TLS; a handshake that goes on is neither"""
        self.s.settimeout(15)
        try:
            while d := self.s.recv(65536):
                if d[:1] == b'\x15':
                    return 'alert'
                if d[:1] == b'\x16' and b'\x15\x03\x03\0\x02\x02' in d:
                    return 'alert'
        except ConnectionError:
            pass
        except TimeoutError:
            return 'open'
        return 'closed'


def wire(starttls, piece, behind=b''):
    """as far as the handshake"""
    w = Wire(I.port('smtp' if starttls else 'submissions'), piece)
    if starttls:
        w.hear()
        w.send(b'EHLO x\r\n')
        w.hear()
        w.send(b'STARTTLS\r\n' + behind)
        check(w.hear().startswith(b'220'), 'STARTTLS')
    elif behind:
        w.raw(behind)
    return w


def within(w):
    """a session inside TLS"""
    w.secure()
    if w.s.getpeername()[1] == I.port('submissions'):
        w.hear()
    w.send(b'EHLO x\r\n')
    check(w.hear().startswith(b'250'), 'EHLO inside TLS')
    return w


def injected(behind):
    def play(starttls, piece):
        w = wire(starttls, piece, behind)
        return handshake_or_end(w) if starttls else w.over()        # byte by byte a part of it may already stand in the handshake's place
    return play


def handshake_or_end(w):
    try:
        w.secure()
    except (ConnectionError, ssl.SSLError):
        return 'closed'
    w.s.settimeout(0.2)
    try:
        d = w.call(w.tls.read, 100)
        return f'answered {d!r}' if d else 'closed'
    except TimeoutError:
        return 'thrown away'
    except (ConnectionError, ssl.SSLError):
        return 'closed'


def again(starttls, piece):
    w = within(wire(starttls, piece))
    w.send(b'STARTTLS\r\n')
    return w.hear()[:3].decode()


def hello_of(*hellos):
    def play(starttls, piece):
        said = set()
        for h in hellos:
            w = wire(starttls, piece)
            w.raw(h)
            with contextlib.suppress(OSError):
                w.s.shutdown(socket.SHUT_WR)
            said.add(w.over())
            w.s.close()
        return '/'.join(sorted(said))
    return play


def cut(starttls, piece):
    w = within(wire(starttls, piece))
    if not starttls:                        # submission wants a login, so the cut is in a command
        w.send(b'MAIL FROM:<a@x.example>')
    else:
        before = len(I.mails('bob'))
        for line in b'MAIL FROM:<a@x.example>', b'RCPT TO:<bob@%s>' % DOMAIN.encode(), b'DATA':
            w.send(line + b'\r\n')
            check(w.hear()[:1] in (b'2', b'3'), line)
        w.send(b'Subject: cut\r\n\r\nhalf\r\n')
    w.s.shutdown(socket.SHUT_WR)
    end = w.over()
    check(not starttls or len(I.mails('bob')) == before, 'half a message was taken')
    return end


def foreign(starttls, piece):
    context = I.tls()
    context.set_alpn_protocols(['h2', 'http/1.1'])
    w = wire(starttls, piece)
    try:
        w.secure(context)
    except ssl.SSLError as e:
        return 'alert' if 'ALERT' in str(e).upper() else str(e)
    except ConnectionError:
        return 'closed'
    return 'taken'


def chain(port=None):
    def play(starttls, piece):
        """a hundred certificates of 100 KB in one message, whether they were asked for or not"""
        w = Wire(port, piece) if port else wire(starttls, piece)
        w.raw(client_hello(b'x.example'))
        certificates = b'\0\x01\x86' + bytes(0x186)
        w.raw(b'\x16\x03\x03\x40\0' + (b'\x0b\x98\x96\x80\x98\x96\x7d' + certificates * 100)[:0x4000])
        w.piece = 0                 # the rest is only length
        for _ in range(600):
            w.raw(b'\x16\x03\x03\x40\0' + bytes(0x4000))
        return w.over()
    return play


ENDED = ('alert', 'closed', 'alert/closed')
OLD = (b'\x16\x03\0\0\x2f\x01\0\0\x2b\x03\0' + bytes(32) + b'\0\0\x04\0\x05\0\x0a\x01\0',
       b'\x16\x03\x01\0\x2f\x01\0\0\x2b\x03\x01' + bytes(32) + b'\0\0\x04\0\x05\0\x0a\x01\0')
FOUR = (            # row, what, how, how it may end
    (71, 'RSET behind STARTTLS', injected(b'RSET\r\n'), ENDED + ('thrown away',)),
    (72, 'AUTH and MAIL behind STARTTLS', injected(b'EHLO x\r\nAUTH PLAIN AGFsaWNlAHB3\r\nMAIL FROM:<>\r\n'), ENDED + ('thrown away',)),
    (76, 'STARTTLS again', again, ('503', '554')),
    (77, 'names', hello_of(*(client_hello(n) for n in (b'a' * 255, b'x\0y', b'../../x', b'x\\', b''))), ENDED),
    (78, 'half a hello', hello_of(client_hello(b'x')[:40]), ENDED),
    (80, 'cut without good-bye', cut, ENDED),
    (81, 'SSL 3, TLS 1.0', hello_of(*OLD), ENDED),
    (82, 'h2, http/1.1', foreign, ('alert', 'closed')),
    (83, 'garbage in records', hello_of(b'\x16\x03\x01\xff\xff' + bytes(400), b'\x17\x03\x03\x01\0' + bytes(256), b'\x16\x03\x01\0\0' * 100), ENDED),
    (206, 'plain text', hello_of(b'EHLO x\r\nMAIL FROM:<>\r\n', b'GET / HTTP/1.0\r\n\r\n', b'AUTH PLAIN AGFsaWNlAHB3\r\n'), ENDED),
    (207, 'records that say nothing', hello_of(b'\x14\x03\x03\0\1\1' * 60, b'\x16\x03\x01\0\0' * 60, b'\x15\x03\x01\0\2\1\x5a' * 20), ENDED),
    (208, 'a hello of 16 MB', hello_of(b'\x16\x03\x01\0\4\1\xff\xff\xff' + b'\x16\x03\x01\0\1\0' * 60), ENDED),
    (83, 'a chain of 10 MB', chain(), ENDED),
    (83, 'the same, asked for', chain(ASKING), ENDED),
)


@row
def rows_071_to_083_and_206_to_208_in_four_modes():
    modes = [(starttls, piece) for starttls in (True, False) for piece in (0, 1)]
    print(f'# {"":34}' + ''.join(f'{a:>22}' for a in ('STARTTLS', 'the same in bytes', 'from the first byte', 'the same in bytes')))
    wrong = []
    for number, what, play, may in FOUR:
        ends = [play(*m) for m in modes]
        print(f'# {number:03} {what:30}' + ''.join(f'{e:>22}' for e in ends))
        wrong += [f'{number} {what}: {e}' for e in ends if e not in may]
    check(not wrong, '; '.join(wrong))


try:
    main()
finally:
    I.close()
