#!/usr/bin/env python3
"""run.py [FILE...]: play the dialog scripts against the running suite (see README.md)."""
import base64, fnmatch, glob, os, re, select, socket, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'suite'))
from harness import Failed, Instance, check, wait, DOMAIN, BIN
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT = 20


class Peer:
    def __init__(self, sock, name, split):
        self.s, self.name, self.split, self.buf = sock, name, split, b''
        self.s.settimeout(TIMEOUT)

    def send(self, data):
        try:
            if self.split and len(data) < 20000:
                for i in range(len(data)):
                    self.s.sendall(data[i:i + 1])
            else:
                self.s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass                # the next line that is read tells

    def line(self):
        while b'\n' not in self.buf:
            try:
                b = self.s.recv(65536)
            except (ConnectionResetError, socket.timeout) as e:
                raise Failed(f'{self.name}: {e!r} instead of a line; so far {self.buf!r}')
            if not b:
                raise Failed(f'{self.name}: closed instead of a line; so far {self.buf!r}')
            self.buf += b
        line, self.buf = self.buf.split(b'\n', 1)
        return line.rstrip(b'\r').decode('latin-1')

    def closed(self):
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            try:
                b = self.s.recv(65536)
            except socket.timeout:
                break
            except OSError:
                return
            if not b:
                return
            self.buf += b
        raise Failed(f'{self.name}: not closed')


class Play:
    def __init__(self, inst, path, split):
        self.i, self.path, self.split = inst, path, split
        self.peers, self.cur, self.listen, self.newest = {}, None, {}, ''
        self.had = {}

    def text(self, t):
        t = re.sub(r'\$REP\(([^,]*),(\d+)\)', lambda m: m[1] * int(m[2]), t)
        t = re.sub(r'\$PORT_(\w+)', lambda m: str(self.listen[m[1]].getsockname()[1]), t)
        t = t.replace('$DOMAIN', DOMAIN)
        esc = {'r': '\r', 'n': '\n', 't': '\t', '0': '\0', '\\': '\\'}
        t = re.sub(r'\\(x[0-9a-fA-F]{2}|.)', lambda m: chr(int(m[1][1:], 16)) if m[1][0] == 'x' else esc.get(m[1], m[1]), t)
        t = re.sub(r'\$B64\(([^)]*)\)', lambda m: base64.b64encode(m[1].encode('latin-1')).decode(), t)
        return t

    def run(self):
        try:
            for no, raw in enumerate(open(self.path, encoding='latin-1'), 1):
                line = raw.rstrip('\n')
                if not line.strip() or line.startswith('#') or line == 'whole' or line.startswith('map '):
                    continue
                try:
                    self.step(line)
                except Failed as e:
                    raise Failed(f'{os.path.basename(self.path)}:{no}: {e}')
                except OSError as e:
                    raise Failed(f'{os.path.basename(self.path)}:{no}: {e!r}')
        finally:
            for p in self.peers.values():
                p.s.close()

    def step(self, line):
        word, _, rest = line.partition(' ')
        f = {'C:': self.send_line, 'W:': self.send_line, 'C+': self.send_raw, 'W+': self.send_raw, 'S:': self.expect, 'R:': self.expect,
             'S*': self.expect_until, 'R*': self.expect_until}.get(word) or getattr(self, 'do_' + word, None)
        check(f, f'unknown line: {line}')
        f(rest)

    def send_line(self, t):
        self.cur.send(self.text(t).encode('latin-1') + b'\r\n')

    def send_raw(self, t):
        self.cur.send(self.text(t).encode('latin-1'))

    def expect(self, t):
        got, want = self.cur.line(), self.text(t)
        check(fnmatch.fnmatchcase(got, want.replace('[', '[[]')), f'got {got!r}, want {want!r}')

    def expect_until(self, t):
        seen = []
        for _ in range(100000):
            got = self.cur.line()
            seen.append(got)
            if fnmatch.fnmatchcase(got, self.text(t).replace('[', '[[]')):
                return
            check(not re.match(r'^\d{3} ', got), f'got {seen[-5:]!r}, want {t!r}')

    def do_client(self, t):
        name, service = t.split()
        self.cur = self.peers[name] = Peer(self.i.connect(service), name, self.split)

    def do_peer(self, t):
        self.cur = self.peers[t.strip()]

    def do_server(self, t):
        self.listen[t] = self.i.fakes[t]

    def do_accept(self, t):
        self.i.fakes[t].settimeout(TIMEOUT)
        try:
            s, _ = self.i.fakes[t].accept()
        except socket.timeout:
            raise Failed('nobody connects')
        self.cur = self.peers[t] = Peer(s, t, False)

    def do_tls(self, t):
        self.cur.s = self.i.tls().wrap_socket(self.cur.s, server_hostname='127.0.0.1')
        self.cur.buf = b''

    def do_closed(self, t):
        self.cur.closed()

    def do_close(self, t):
        self.cur.s.close()

    def do_mailbox(self, t):
        user, n = t.split()
        old = set(self.had.get(user, self.i.seen.get(user, [])))
        def new(): return [p for p in self.i.mails(user) if os.path.basename(p).split(',')[0] not in old]
        wait(lambda: len(new()) >= int(n), TIMEOUT if int(n) else 0.3)
        got = new()
        check(len(got) == int(n), f'{user} has {len(got)} new messages, not {n}')
        self.newest = open(sorted(got)[-1], 'rb').read().decode('latin-1') if got else ''
        self.i.seen[user] = [os.path.basename(p).split(',')[0] for p in self.i.mails(user)]

    def do_has(self, t):
        check(self.text(t) in self.newest, f'{self.text(t)!r} is not in\n{self.newest}')

    def do_hasnot(self, t):
        check(self.text(t) not in self.newest, f'{self.text(t)!r} is in\n{self.newest}')

    def do_lines(self, t):
        rx, _, n = t.rpartition('=')
        got = len(re.findall(rx, self.newest, re.M))
        check(got == int(n), f'{rx!r} matches {got} lines, not {n}')

    def do_queue(self, t):
        wait(lambda: len(self.i.queue()) == int(t), TIMEOUT)
        check(len(self.i.queue()) == int(t), f'{len(self.i.queue())} files in the queue, not {t}')

    def do_run(self, t):
        tool, *args = self.text(t).split()
        r = self.i.run(*args) if tool == 'merpati' else self.i.tool(tool, *args)
        check(r.returncode == 0, f'{t}: exit {r.returncode}')


def main():
    files = sys.argv[1:] or sorted(glob.glob(HERE + '/*.dlg'))
    texts = {f: open(f, encoding='latin-1').read() for f in files}
    fakes, routes = {}, []
    for t in texts.values():
        for domain, name in re.findall(r'^map (\S+) (\S+)', t, re.M):
            if name not in fakes:
                fakes[name] = socket.create_server(('127.0.0.1', 0))
            routes.append(f'{{ {domain} = smtp:[127.0.0.1]:{fakes[name].getsockname()[1]} }}')
    conf = 'smtpd_client_connection_count_limit = 0\nmessage_size_limit = 1M\nminimal_backoff_time = 1s\nmaximal_backoff_time = 2s\n'
    if routes:
        conf += 'transport_maps = inline:{ ' + ', '.join(routes) + ' }\n'
    extra = HERE + '/main.cf'
    if os.path.exists(extra):
        conf += open(extra).read()
    bad = 0
    with Instance(users=('alice', 'bob', 'carol'), main=conf) as inst:
        inst.fakes, inst.seen = fakes, {}
        for f in files:
            for split in (False, True):
                if split and re.search('^whole', texts[f], re.M):
                    continue
                name = os.path.basename(f)[:-4] + (' (one byte a write)' if split else '')
                try:
                    Play(inst, f, split).run()
                    print(f'ok {name}', flush=True)
                except Failed as e:
                    bad += 1
                    print(f'not ok {name}: {e}', flush=True)
        restarts = [l for l in inst.log().splitlines() if 'was ended by signal' in l or 'ended with status' in l]
        if restarts:
            bad += 1
            print(f'not ok no daemon was restarted: {restarts[:3]}')
        else:
            print('ok no daemon was restarted')
    sys.exit(1 if bad else 0)


main()
