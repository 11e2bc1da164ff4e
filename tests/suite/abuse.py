"""abuse.py: what the tests of hostile input share: a raw client, an honest one beside it, and the rule that holds for every row.

The numbers in the names of those tests are the rows of the project's table of bad inputs; they are stable names.
"""
import functools, os, re, socket, threading, time
from harness import *

MAIN = 'mynetworks = 127.9.9.9/32\n'      # so that a client on loopback is a stranger
RSS_MAX = 40 << 20                          # what a worker may grow by in one row; without sanitizers
SANITIZED = b'__asan_init' in open(BIN + '/../libexec/merpati/smtpd', 'rb').read()
ALL = bool(os.environ.get('MERPATI_ALL'))       # the numbers of the table, where the usual run has smaller ones
FAILURES = re.compile(r'.*(?:was ended by signal|ended with status|keeps failing|Sanitizer|runtime error|it tried what).*')
I = None


def start(main='', launch=True, **kw):
    global I
    I = Instance(main=MAIN + main, **kw)
    if launch:
        I.start()
    return I


class Client:
    """raw SMTP: bytes out (`piece` of them a write, 0: all), replies in"""
    def __init__(self, port='smtp', src='127.0.0.1', timeout=20, greet=True, rcvbuf=0, piece=0):
        self.s, self.piece = socket.socket(), piece
        if rcvbuf:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.s.settimeout(timeout)
        self.s.bind((src, 0))
        self.s.connect(('127.0.0.1', I.port(port) if isinstance(port, str) else port))
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b''
        self.greeting = self.reply() if greet else b''

    def __enter__(self):
        return self

    def __exit__(self, *e):
        self.s.close()

    def send(self, data):
        """all of it; a peer that has closed is no error: what it said is still read"""
        try:
            for i in range(0, len(data), self.piece or max(1, len(data))):
                self.s.sendall(data[i:i + self.piece] if self.piece else data)
            return True
        except OSError:
            return False

    def line(self):
        while b'\n' not in self.buf:
            try:
                d = self.s.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                d = b''
            if not d:
                rest, self.buf = self.buf, b''
                return rest
            self.buf += d
        l, self.buf = self.buf.split(b'\n', 1)
        return l + b'\n'

    def reply(self):
        out = b''
        while True:
            l = self.line()
            out += l
            if not l or l[3:4] != b'-':
                return out

    def cmd(self, data):
        self.send(data + b'\r\n')
        return self.reply()

    def expect(self, data, *codes):
        r = self.cmd(data)
        check(any(r.startswith(c.encode()) for c in codes), f'{data[:60]!r}: {r[:100]!r}, not {codes}')
        return r

    def eof(self):
        """the server closes, and says no more than one reply"""
        rest = []
        while len(rest) < 3:
            l = self.line()
            if not l:
                return True
            rest.append(l)
        return False

    def envelope(self, to='bob', frm='x@y.example', data=True):
        self.expect(b'EHLO c.example', '250')
        self.expect(b'MAIL FROM:<%s>' % frm.encode(), '250')
        self.expect(b'RCPT TO:<%s@%s>' % (to.encode(), DOMAIN.encode()), '250')
        if data:
            self.expect(b'DATA', '354')
        return self

    def expect_tls(self):
        self.expect(b'EHLO c.example', '250')
        return self.tls()

    def tls(self):
        self.expect(b'STARTTLS', '220')
        self.s = I.tls().wrap_socket(self.s, server_hostname='127.0.0.1')
        self.buf = b''
        return self


MODES = [(tls, piece) for tls in (False, True) for piece in (0, 1)]       # in the clear and inside TLS, whole and byte by byte


def in_mode(tls, piece, port='smtp', **kw):
    """a session that is inside TLS or not"""
    c = Client(port, piece=piece, **kw)
    return c.expect_tls() if tls else c


def mail(body, to='bob', code='250', **kw):
    """one message as it stands, with its end; its text in the mailbox"""
    with Client(**kw) as c:
        c.envelope(to)
        before = set(I.mails(to))
        c.send(body)
        r = c.expect(b'.', code)
    if not r.startswith(b'250'):
        return b''
    wait(lambda: set(I.mails(to)) - before)
    new = set(I.mails(to)) - before
    check(len(new) == 1, f'{len(new)} new messages')
    return open(new.pop(), 'rb').read()


def body_of(text):
    return text.split(b'\n\n', 1)[1]


def rss(name):
    """the largest of the processes NAME, in bytes"""
    out = 0
    for pid, argv0 in I.processes().items():
        if argv0 == name:
            try:
                out = max(out, int(re.search(r'VmRSS:\s+(\d+)', open(f'/proc/{pid}/status').read())[1]) << 10)
            except (OSError, TypeError):
                pass
    return out


def cpu(name):
    """CPU seconds of all processes NAME; to the nanosecond, as a tick of the clock also counts for who ran when it came"""
    return sum(int(open(f'/proc/{pid}/schedstat').read().split()[0]) for pid, argv0 in I.processes().items() if argv0 == name) / 1e9


def honest(src='127.0.2.2'):
    """seconds that a client who behaves waits for a whole dialogue without a message"""
    begin = time.monotonic()
    with Client(src=src) as c:
        check(c.greeting.startswith(b'220'), f'an honest client is greeted by {c.greeting!r}')
        c.envelope('alice', data=False)
        c.expect(b'QUIT', '221')
    return time.monotonic() - begin


class Probe(threading.Thread):
    """an honest client every half second beside what goes on"""
    def __init__(self):
        super().__init__(daemon=True)
        self.worst, self.error, self.over = 0.0, None, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.5):
            try:
                self.worst = max(self.worst, honest())
            except (OSError, Failed) as e:
                self.error = self.error or e

    def end(self):
        self.over.set()
        self.join(30)


def log_is_clean(log):
    bad = FAILURES.findall(log)
    check(not bad, f'in the log: {bad[:3]}')
    ugly = [l for l in log.splitlines() if not l.isprintable() or not l.isascii()]
    check(SANITIZED or not ugly, f'a line of the log is not printable: {ugly[:1]}')


def row(f=None, slow=1.0, grow=RSS_MAX):
    """A test to which the common rule applies."""
    if f is None:
        return functools.partial(row, slow=slow, grow=grow)

    @functools.wraps(f)
    def run():
        at, before, probe = len(I.log()), rss('smtpd'), Probe()
        try:
            f()
        finally:
            probe.end()
        check(not probe.error, f'an honest client meanwhile: {probe.error}')
        check(honest() < slow * 3, 'an honest client waits afterwards')
        check(probe.worst < (slow * 3 if SANITIZED else slow), f'an honest client waited {probe.worst:.2f} s')
        check(SANITIZED or rss('smtpd') - before < grow, f'smtpd grew from {before >> 10} to {rss("smtpd") >> 10} KiB')
        check(wait(lambda: not I.queue(), 20), f'left in the spool: {I.queue()[:3]}')
        log_is_clean(I.log()[at:])
    return test(run)
