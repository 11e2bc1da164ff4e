"""Several IMAP sessions of one user, deliveries, POP3 and another program change the same folder at once: the numbers that
each was told must stay right. MERPATI_SECONDS=600 does it for longer."""
import glob, os, random, re, smtplib, socket, sys, time

from harness import *

MESSAGE = b'Subject: x\r\nFrom: a@b.example\r\n\r\nhello\r\n'
SECONDS = int(os.environ.get('MERPATI_SECONDS', 5))


class Session:
    """keeps count of the folder as a client does: by EXISTS and EXPUNGE"""

    def __init__(self, inst, folder=b'INBOX'):
        self.sock = socket.create_connection(('127.0.0.1', inst.port('imap')), timeout=20)
        self.f, self.n, self.count = self.sock.makefile('rb'), 0, 0
        check(self.f.readline().startswith(b'* OK'), 'no greeting')
        self.say(f'LOGIN alice@{DOMAIN} pw-alice'.encode())
        if folder:
            self.say(b'SELECT ' + folder)

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


class Away:
    """a client that comes back now and then, and believes what QRESYNC tells it"""

    def __init__(self):
        self.have, self.modseq, self.validity = {}, 0, 0

    def flags(self, lines):
        for l in lines:
            m = re.match(rb'\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)', l)
            if m:
                self.have[int(m[1])] = set(m[2].split()) - {b'\\Recent'}

    def back(self):
        s = Session(I, None)
        s.say(b'ENABLE QRESYNC')
        known = b' (QRESYNC (%d %d))' % (self.validity, self.modseq) if self.modseq else b''
        data = s.say(b'SELECT INBOX' + known)
        text = b''.join(data)
        modseq = int(re.search(rb'HIGHESTMODSEQ (\d+)', text)[1])
        check(modseq >= self.modseq, f'HIGHESTMODSEQ {modseq} after {self.modseq}')
        for lo, hi in re.findall(rb'[ ,](\d+)(?::(\d+))?', b' '.join(re.findall(rb'VANISHED \(EARLIER\)([ 0-9:,]*)', text))):
            for uid in range(int(lo), int(hi or lo) + 1):
                self.have.pop(uid, None)
        self.flags(data)
        self.modseq, self.validity = modseq, int(re.search(rb'UIDVALIDITY (\d+)', text)[1])
        if not known:
            self.flags(s.say(b'UID FETCH 1:* (FLAGS)'))
        told, self.have = self.have, {}
        self.flags(s.say(b'UID FETCH 1:* (FLAGS)'))
        check(told == self.have, f'resynchronised to {told}, there is {self.have}')
        s.close()


class World:
    """what is not IMAP"""

    def __init__(self, r):
        self.r, self.n, self.dir = r, 0, I.maildir('alice')
        self.smtp = smtplib.SMTP('127.0.0.1', I.port('smtp'), timeout=20)
        self.away = Away()

    def deliver(self):
        self.n += 1
        self.smtp.sendmail('a@b.example', [f'alice@{DOMAIN}'], f'Subject: d{self.n}\r\n\r\nhello\r\n')

    def add(self):
        self.n += 1
        with open(f'{self.dir}/tmp/f{self.n}', 'w') as f:
            f.write(f'Subject: f{self.n}\n\nhello\n')
        os.rename(f.name, f'{self.dir}/{self.r.choice(["new/f%d", "cur/f%d:2,F"]) % self.n}')

    def one(self):
        return self.r.choice(glob.glob(self.dir + '/cur/*') or [None])

    def flag(self):
        name = self.one()
        if name:
            os.rename(name, name.rsplit(':', 1)[0] + ':2,' + self.r.choice(['', 'S', 'FS', 'RS', 'T']))

    def remove(self):
        name = self.one()
        if name:
            os.unlink(name)

    def pop(self):
        f = socket.create_connection(('127.0.0.1', I.port('pop3')), timeout=20).makefile('rwb')
        said = [f.readline()]
        for c in f'USER alice@{DOMAIN}', 'PASS pw-alice', 'DELE 1', 'QUIT':
            f.write(c.encode() + b'\r\n')
            f.flush()
            said.append(f.readline())
        check(said[2].startswith(b'+OK') and said[4].startswith(b'+OK'), str(said))
        f.close()

    def act(self):
        self.r.choices([self.deliver, self.add, self.flag, self.remove, self.pop, self.away.back], [2, 3, 6, 2, 1, 3])[0]()


def subjects(s, names):
    """a UID means the same message, whoever asks, and at any time"""
    for l in s.say(b'UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])'):
        m = re.match(rb'\* \d+ FETCH \(UID (\d+) BODY.*?\r\n(.*?)\r\n', l, re.S)
        if m:
            check(names.setdefault(m[1], m[2]) == m[2], f'UID {m[1]} was {names[m[1]]}, is {m[2]}')


@test
def sessions_deliveries_and_other_programs_agree():
    seed = random.randrange(1 << 30)
    r = random.Random(seed)
    sessions, names = [Session(I) for _ in range(3)], {}
    sessions[0].say(b'CREATE Other')
    world = World(r)
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            s = r.choice(sessions)
            r.choices([f for _, f in ACTIONS], [w for w, _ in ACTIONS])[0](s, r.randrange(1, max(2, s.count + 1)))
            if r.random() < 0.3:
                world.act()
            if r.random() < 0.1:
                subjects(s, names)
        wait(lambda: not I.queue())
        for _ in range(2):
            for s in sessions:
                s.say(b'NOOP')
        world.away.back()
        seen = [[re.sub(rb' ?\\Recent ?', b'', l) for l in s.say(b'FETCH 1:* (UID FLAGS)')] for s in sessions]
        for s in sessions:
            subjects(s, names)
    except Failed as e:
        raise Failed(f'seed {seed}: {e}')
    check(seen[0] == seen[1] == seen[2], f'seed {seed}: the sessions see different mail')
    check(len(seen[0]) == sessions[0].count == len(world.away.have), f'seed {seed}: {len(seen[0])} messages, {sessions[0].count} told')
    files = [f for d in ('cur', 'new') for f in os.listdir(f'{world.dir}/{d}')]
    check(len(files) == len(seen[0]), f'seed {seed}: {len(files)} files, {len(seen[0])} messages')
    for s in sessions:
        s.close()


def run_all():
    global I
    with Instance(users=('alice',)) as I:
        main()


run_all()
