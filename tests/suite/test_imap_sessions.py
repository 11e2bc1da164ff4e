"""Several IMAP sessions of one user change the same folders at once: the numbers that each was told must stay right."""
import random, re, socket, sys, time

from harness import *

MESSAGE = b'Subject: x\r\nFrom: a@b.example\r\n\r\nhello\r\n'
SECONDS = 4


class Session:
    """keeps count of the folder as a client does: by EXISTS and EXPUNGE"""

    def __init__(self, inst):
        self.sock = socket.create_connection(('127.0.0.1', inst.port('imap')), timeout=20)
        self.f, self.n, self.count = self.sock.makefile('rb'), 0, 0
        check(self.f.readline().startswith(b'* OK'), 'no greeting')
        self.say(f'LOGIN alice@{DOMAIN} pw-alice'.encode())
        self.say(b'SELECT INBOX')

    def line(self):
        line = self.f.readline()
        check(line, 'the session ended')
        while m := re.search(rb'\{(\d+)\}\r\n$', line):
            line += self.f.read(int(m[1])) + self.f.readline()
        return line

    def say(self, command, numbers_in_use=False):
        self.n += 1
        tag, data = b't%d ' % self.n, []
        self.sock.sendall(tag + command + b'\r\n')
        while not (line := self.line()).startswith(tag):
            data.append(line)
            m = re.match(rb'\* (\d+) (EXISTS|EXPUNGE|FETCH)', line)
            if not m:
                continue
            k = int(m[1])
            if m[2] == b'EXISTS':
                self.count = k
            else:
                check(1 <= k <= self.count, f'{command}: {line} of {self.count} messages')
            if m[2] == b'EXPUNGE':
                check(not numbers_in_use, f'EXPUNGE during {command}')
                self.count -= 1
        check(not line.startswith(tag + b'BAD') or b'No such message' in line, f'{command}: {line}')
        return data

    def close(self):
        self.say(b'LOGOUT')
        self.f.close()
        self.sock.close()


ACTIONS = [
    (3, lambda s, k: s.say(b'APPEND INBOX {%d+}\r\n%s' % (len(MESSAGE), MESSAGE))),
    (1, lambda s, k: s.say(b'STORE %d +FLAGS (\\Deleted)' % k, True)),
    (1, lambda s, k: s.say(b'FETCH 1:* (UID FLAGS)', True)),
    (1, lambda s, k: s.say(b'FETCH %d (BODY[] ENVELOPE BODYSTRUCTURE)' % k, True)),
    (1, lambda s, k: s.say(b'SEARCH NOT DELETED SUBJECT x', True)),
    (1, lambda s, k: s.say(b'UID STORE 1:* -FLAGS.SILENT (\\Seen $k)')),
    (1, lambda s, k: s.say(b'COPY %d:%d Other' % (k, k + 2))),
    (1, lambda s, k: s.say(b'MOVE %d Other' % k)),
    (1, lambda s, k: s.say(b'EXPUNGE')),
    (1, lambda s, k: s.say(b'NOOP')),
]


@test
def sessions_side_by_side_agree():
    seed = random.randrange(1 << 30)
    r = random.Random(seed)
    sessions = [Session(I) for _ in range(3)]
    sessions[0].say(b'CREATE Other')
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            s = r.choice(sessions)
            r.choices([f for _, f in ACTIONS], [w for w, _ in ACTIONS])[0](s, r.randrange(1, max(2, s.count + 1)))
        for _ in range(2):
            for s in sessions:
                s.say(b'NOOP')
        seen = [[re.sub(rb' ?\\Recent', b'', l) for l in s.say(b'FETCH 1:* (UID FLAGS)')] for s in sessions]
    except Failed as e:
        raise Failed(f'seed {seed}: {e}')
    check(seen[0] == seen[1] == seen[2], f'seed {seed}: the sessions see different mail')
    check(len(seen[0]) == sessions[0].count, f'seed {seed}: {len(seen[0])} messages, {sessions[0].count} told')
    for s in sessions:
        s.close()


def run_all():
    global I
    with Instance(users=('alice',)) as I:
        main()


run_all()
