"""rawmail.py: IMAP and POP3 clients that can be rude, and what every hostile row must leave behind."""
import functools, glob, os, re, socket, time
from harness import *

PRINTABLE = re.compile(r'[ -~]*$')
SANITIZED = b'__asan_init' in open(BUILD + '/libexec/merpati/imap-session', 'rb').read()


class Raw:
    """a connection with a buffer; every read ends: a silent server is an error"""
    def __init__(self, i, port, timeout=20):
        self.s, self.b = i.connect(port, timeout), b''

    def send(self, d):
        try:
            self.s.sendall(d.encode('latin1') if isinstance(d, str) else d)
        except OSError:
            pass
        return self

    def fill(self):
        try:
            d = self.s.recv(1 << 16)
        except socket.timeout:
            raise Failed('the server says nothing')
        except OSError:
            d = b''
        self.b += d
        return bool(d)

    def line(self):
        """one line without its CRLF; None at the end of the stream"""
        while b'\n' not in self.b:
            if not self.fill():
                return None
        line, self.b = self.b.split(b'\n', 1)
        check(line.endswith(b'\r'), f'a line ends in LF alone: {line[-60:]}')
        return line[:-1]

    def exactly(self, n):
        parts, have = [self.b], len(self.b)
        while have < n:
            self.b = b''
            check(self.fill(), 'the stream ends in a literal')
            parts.append(self.b)
            have += len(self.b)
        d = b''.join(parts)
        self.b = d[n:]
        return d[:n]

    def rest(self):
        """everything until the server closes"""
        while self.fill():
            check(len(self.b) < 1 << 24, 'endless output')
        return self.b

    def close(self):
        self.s.close()


class Answer:
    def __init__(self, tagged, lines):
        self.tagged, self.lines = tagged, lines

    def all(self):
        return b'\n'.join(self.lines + [self.tagged or b''])

    def of(self, word):
        """the untagged answers that begin with the word, without it"""
        return [l[len(word) + 3:] for l in self.lines if l.startswith(b'* ' + word.encode() + b' ')]


class Imap(Raw):
    def __init__(self, i, user='alice', port='imap', timeout=20):
        super().__init__(i, port, timeout)
        self.n, self.greeting = 0, self.line()
        if user:
            self.ok(f'LOGIN {user}@{i.domain} pw-{user}')

    def response(self):
        """one response with its literals in place; None at the end of the stream"""
        line = self.line()
        while line is not None:
            m = re.search(rb'\{(\d+)\}$', line)
            if not m:
                break
            n = len(line)
            line += b'\r\n' + self.exactly(int(m[1]))
            more = self.line()
            check(more is not None, f'the stream ends behind a literal: {line[:n]}')
            line += more
        return line

    def collect(self, tag):
        lines = []
        while True:
            r = self.response()
            if r is None or r.startswith(tag.encode() + b' '):
                return Answer(r and r[len(tag) + 1:], lines)
            lines.append(r)
            if r.startswith(b'* BYE') and tag == 'bye':
                return Answer(None, lines)

    def cmd(self, text, *literals):
        """text, each literal (without being asked: LITERAL+), more text in the list"""
        self.n += 1
        tag = f'a{self.n}'
        d = f'{tag} '.encode() + (text.encode('latin1') if isinstance(text, str) else text)
        for l in literals:
            d += b' {%d+}\r\n' % len(l) + l
        self.send(d + b'\r\n')
        return self.collect(tag)

    def ok(self, text, *literals):
        return self.want('OK', text, *literals)

    def want(self, start, text, *literals):
        a = self.cmd(text, *literals)
        starts = start if isinstance(start, tuple) else (start,)
        check(a.tagged is not None and a.tagged.decode('latin1').startswith(starts),
              f'{text[:70]}: got {(a.tagged or b"the end")[:120]}, want {start}')
        return a

    def append(self, folder, message, flags='', date=''):
        return self.ok(f'APPEND {folder}' + (f' ({flags})' if flags else '') + (f' "{date}"' if date else ''), message)

    def fetch1(self, n, item, uid=False):
        """the value of one item of one message: a literal, a string or the raw rest"""
        a = self.ok(f'{"UID " if uid else ""}FETCH {n} ({item})')
        got = [l for l in a.lines if re.match(rb'\* \d+ FETCH \(', l)]
        check(len(got) >= 1, f'FETCH {n} {item}: no answer: {a.all()[:200]}')
        return literal(got[0])


def literal(line):
    """the first literal of a FETCH answer, or its first quoted string; None for NIL"""
    m = re.search(rb'\{(\d+)\}\r\n', line)
    if m:
        return line[m.end():m.end() + int(m[1])]
    m = re.search(rb' "([^"]*)"\)$', line)
    return m[1] if m else None


class Pop(Raw):
    def __init__(self, i, user='alice', port='pop3', timeout=20):
        super().__init__(i, port, timeout)
        self.greeting = self.line()
        if user:
            self.want('+OK', f'USER {user}@{i.domain}')
            self.want('+OK', f'PASS pw-{user}')

    def cmd(self, text):
        self.send(text + '\r\n' if isinstance(text, str) else text + b'\r\n')
        return self.line()

    def want(self, start, text):
        got = self.cmd(text)
        check(got is not None and got.startswith(start.encode()), f'{text[:70]}: got {(got or b"the end")[:120]}, want {start}')
        return got

    def many(self, text):
        """the lines of a multi-line answer, dots undone"""
        self.want('+OK', text)
        lines = []
        while True:
            l = self.line()
            check(l is not None, 'the stream ends in an answer')
            if l == b'.':
                return lines
            lines.append(l[1:] if l.startswith(b'.') else l)


def rss(pid, peak=False):
    """KiB"""
    try:
        return int(re.search(r'VmHWM:\s+(\d+)' if peak else r'VmRSS:\s+(\d+)', open(f'/proc/{pid}/status').read())[1])
    except (OSError, TypeError):
        return 0


def sessions(i, name='imap-session'):
    return [p for p, n in i.processes().items() if n == name]


def steady(i):
    """the processes that must outlive every client"""
    return {(n, p) for p, n in i.processes().items() if n in ('imapd', 'pop3d', 'qmgr', 'keyd', 'smtpd')}


def honest(i, user='bob'):
    """somebody else logs in and reads at once"""
    t = Watch()
    c = Imap(i, user)
    c.ok('SELECT INBOX')
    c.ok('LOGOUT')
    took = t.secs()
    c.close()
    check(took < (5 if SANITIZED else 1), f'an honest client waited {took:.1f} s')


def cpu(pid):
    """nanoseconds of processor time; a loaded machine makes them no more"""
    try:
        return int(open(f'/proc/{pid}/schedstat').read().split()[0])
    except (OSError, IndexError):
        return 0


def linear(i, what, f, n):
    """f(n) and f(2n), each a command of a session that is there: twice as much may cost the sessions no more than about twice"""
    cost = []
    for k in n, 2 * n:
        before = {p: cpu(p) for p in sessions(i)}
        f(k)
        cost.append(sum(max(cpu(p) - t, 0) for p, t in before.items()))        # one of another client may have ended: 0
    check(cost[1] < 4 * cost[0] + 20_000_000, f'{what}: {cost[0] / 1e6:.1f} ms, of twice as much {cost[1] / 1e6:.1f} ms')


def outside(i):
    """files and links of the instance that no client may make: everything but the mailboxes, queue and log"""
    out = set()
    for top, dirs, files in os.walk(i.root):
        rel = os.path.relpath(top, i.root)
        if rel.startswith(('spool', 'log', 'run')) or rel.count('/') > 2 and rel.split('/')[3] == 'Maildir':
            continue
        out.update(os.path.join(rel, f) for f in files + dirs)
    return {p for p in out if not re.match(r'mail/[^/]+(/[a-z]+(/Maildir)?)?$', p)}


def clean_log(i, start=0):
    log = i.log()[start:]
    for word in 'was ended by signal', 'ended with status', 'AddressSanitizer', 'runtime error:', 'LeakSanitizer':
        at = log.find(word)
        check(at < 0, 'the log has: ' + log[max(0, at - 300):at + 500])
    for l in log.splitlines():
        check(PRINTABLE.match(l), f'not printable: {l!r}')
    return log


def row(get):
    """@row(lambda: I): a test whose row may disturb nobody else, with the common rule checked behind it"""
    def wrap(f):
        @functools.wraps(f)
        def run():
            i = get()
            before, files, start = steady(i), outside(i), len(i.log())
            f()
            honest(i)
            check(before <= steady(i), f'gone: {before - steady(i)}')
            clean_log(i, start)
            check(outside(i) == files, f'files that do not belong: {outside(i) ^ files}')
        return test(run)
    return wrap
