#!/usr/bin/python3
"""IMAP sessions that sleep: the process ends, the client notices nothing. What changes meanwhile is told once, compression
goes on, and who cannot be woken hears it."""
import glob, imaplib, os, re, select, signal, smtplib, socket, sys, time, zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import *

I = Instance(users=('alice', 'bob', 'carol', 'dave', 'eve', 'fred'), main='imap_hibernate_timeout = 1s\n')


class Client:
    """raw lines over TLS, compressed when asked"""

    def __init__(self, user, folder='INBOX', enable=''):
        self.s, self.user, self.data, self.n = I.connect('imaps'), user, b'', 0
        self.s.setblocking(False)
        self.inflate = self.deflate = None
        check(self.line().startswith(b'* OK'), 'no greeting')
        self.ok(f'LOGIN {user}@{DOMAIN} pw-{user}')
        if enable:
            self.ok(f'ENABLE {enable}')
        if folder:
            self.ok(f'SELECT {folder}')

    def more(self, secs):
        if not self.s.pending():
            if not select.select([self.s], [], [], secs)[0]:
                return False
        try:
            got = self.s.recv(65536)
        except ssl.SSLWantReadError:
            return True
        if not got:
            raise EOFError
        self.data += self.inflate.decompress(got) if self.inflate else got
        return True

    def line(self, secs=20):
        end = time.monotonic() + secs
        while b'\n' not in self.data:
            left = end - time.monotonic()
            check(left > 0 and (self.more(left) or True), f'{self.user}: no line; {self.data!r}')
        line, self.data = self.data.split(b'\n', 1)
        return line + b'\n'

    def send(self, data):
        data = data.encode() if isinstance(data, str) else data
        if self.deflate:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.s.setblocking(True)
        self.s.sendall(data)
        self.s.setblocking(False)

    def until(self, start):
        lines = []
        while True:
            lines.append(self.line())
            if lines[-1].startswith(start):
                return lines

    def ok(self, command):
        self.n += 1
        self.send(f't{self.n} {command}\r\n')
        lines = self.until(b't%d ' % self.n)
        check(lines[-1].split()[1] == b'OK', f'{command}: {lines}')
        return lines

    def idle(self):
        self.n += 1
        self.send(f't{self.n} IDLE\r\n')
        return self.until(b'+ ')

    def done(self):
        self.send('DONE\r\n')
        return self.until(b't%d OK' % self.n)

    def compress(self):
        self.ok('COMPRESS DEFLATE')
        check(not self.data, 'bytes behind the answer')
        self.inflate, self.deflate = zlib.decompressobj(-15), zlib.compressobj(6, zlib.DEFLATED, -15)

    def silent(self, secs=0.3):
        while self.more(secs):
            check(not self.data, f'{self.user} hears {self.data!r}')

    def close(self):
        self.s.close()


def children(name):
    """pids of processes of this instance with that name; sessions that sleep have none"""
    return [p for p in I.processes() if (read(f'/proc/{p}/comm') or '').strip() == name]


def read(path):
    try:
        return open(path).read()
    except OSError:
        return None


def keeper():
    return children('imap-keeper')


def sockets(pid):
    n = 0
    for fd in os.listdir(f'/proc/{pid}/fd'):
        try:
            n += os.readlink(f'/proc/{pid}/fd/{fd}').startswith('socket')
        except OSError:
            pass
    return n


def sessions():
    """processes of sessions: the zygote's children but for the keeper"""
    return len(children('imap-session')) - 1


def asleep(n=0):
    """until only n sessions have a process"""
    check(wait(lambda: keeper() and sessions() == n), f'{sessions()} sessions have a process, not {n}')


def deliver(user, subject='hello', n=1):
    with smtplib.SMTP('127.0.0.1', I.port('smtp'), timeout=20) as s:
        for k in range(n):
            s.sendmail('a@b.example', [f'{user}@{DOMAIN}'], f'Subject: {subject} {k}\r\n\r\nhello\r\n')


def fill(user, n):
    """as files"""
    d = I.maildir(user)
    c = Client(user)
    c.close()
    for k in range(n):
        with open(f'{d}/tmp/f{k}', 'w') as f:
            f.write(f'Subject: f{k}\n\nhello\n')
        st = os.stat(d)
        os.chown(f.name, st.st_uid, st.st_gid)
        os.rename(f.name, f'{d}/cur/{1600000000 + k}.f{k}.x:2,{"S" if k % 3 else ""}')


def story(user):
    return [l for l in I.log().splitlines() if f'login=<{user}@{DOMAIN}>, commands=' in l]


@test
def an_idle_session_sleeps_and_goes_on():
    c = Client('alice')
    c.compress()
    c.idle()
    asleep()
    deliver('alice')
    lines = c.until(b'* 1 RECENT')
    check(b'* 1 EXISTS\r\n' in lines, lines)
    asleep()                                            # a glance, and on it sleeps
    c.silent()
    check(len(c.done()) == 1, 'something was told twice')
    check(b'Subject: hello 0' in b''.join(c.ok('FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]')), 'no message')
    c.ok('SEARCH RETURN (SAVE) ALL')
    asleep()                                            # between two commands
    check(b'* 1 FETCH' in b''.join(c.ok('FETCH $ UID')), 'the saved result is lost')
    before = len(story('alice'))
    c.ok('LOGOUT')
    line = wait(lambda: story('alice')[before:] and story('alice')[-1])
    check(re.search(r'commands=7,.* slept=3,.* end=logout', line), line)
    for n, sign in zip(re.findall(r'(?:in|out)=(\d+)', line), 'io'):
        check(int(n) > 50, line)


@test
def what_changes_meanwhile_is_told_once():
    fill('bob', 6)
    a, b = Client('bob'), Client('bob', enable='QRESYNC')
    a.idle(), b.ok('NOOP')
    asleep()
    other = Client('bob')
    other.ok('STORE 2 +FLAGS (\\Flagged $new)')
    other.ok('STORE 4,5 +FLAGS.SILENT (\\Deleted)')
    other.ok('EXPUNGE')
    deliver('bob')
    text = b''.join(a.until(b'* 5 EXISTS') + a.done())
    check(re.findall(rb'\d EXPUNGE', text) in ([b'5 EXPUNGE', b'4 EXPUNGE'], [b'4 EXPUNGE'] * 2), text)
    check(text.count(b'* 5 EXISTS') == 1 and b'$new' in text, text)
    check(re.search(rb'\* 2 FETCH \(UID 2 FLAGS \([^)]*\\Flagged', text), text)
    # the other slept between two commands: message numbers stay as they were until it may hear of the change
    text = b''.join(b.ok('FETCH 6 UID'))
    check(b'* 6 FETCH (UID 6)' in text and b'VANISHED' not in text, text)
    text = b''.join(b.ok('NOOP'))
    check(b'* VANISHED 4:5\r\n' in text and b'EXISTS' not in text, text)
    check(b'(UID 7)' in b''.join(b.ok('FETCH 5 UID')), 'numbers')
    # another program's change
    a.idle()
    other.ok('LOGOUT'), b.ok('LOGOUT')
    asleep()
    one = glob.glob(I.maildir('bob') + '/cur/*f0.x*')[0]
    os.rename(one, one.split(':2,')[0] + ':2,FS')
    check(b'* 1 FETCH' in b''.join(a.until(b'* 1 FETCH')), 'flags')
    os.unlink(glob.glob(I.maildir('bob') + '/cur/*f0.x*')[0])
    check(a.until(b'* 1 EXPUNGE'), 'expunge')
    check(len(a.done()) == 1, 'told twice')
    a.ok('LOGOUT')


@test
def nothing_is_lost_in_the_gap():
    """deliveries while the session is about to sleep, sleeps, is about to wake"""
    c, told, got = Client('carol'), 0, []
    c.idle()
    end = time.monotonic() + 2.5
    for k in range(1000):
        if time.monotonic() > end:
            break
        deliver('carol', f'gap{k}')
        c.send('DONE\r\n') if k % 3 == 0 else None
        while told <= k:
            line = c.line()
            m = re.match(rb'\* (\d+) EXISTS', line)
            told = int(m[1]) if m else told
        if k % 3 == 0:
            c.until(b't%d OK' % c.n)
            c.idle()
        time.sleep(0.9 + (k % 7) * 0.05)
    check(k > 1, f'only {k} rounds')
    c.done()
    check(len(c.ok('FETCH 1:* UID')) == told + 1, 'not all')
    c.ok('LOGOUT')


@test
def a_large_folder():
    """more messages than a state can name: by modseq"""
    fill('dave', 1500)
    c, other = Client('dave'), Client('dave')
    c.idle()
    other.ok('NOOP')
    asleep()
    other.ok('STORE 10,700 +FLAGS (\\Answered)')
    other.ok('UID STORE 100:120,1499 +FLAGS.SILENT (\\Deleted)')
    other.ok('UID EXPUNGE 100:120,1499')
    c.until(b'* 100 EXPUNGE')
    lines = c.done()
    c.ok('NOOP')
    text = b''.join(c.ok('FETCH 1:* UID'))
    check(text.count(b'FETCH') == 1478, text.count(b'FETCH'))
    check(text == b''.join(other.ok('FETCH 1:* UID')).replace(b't%d ' % other.n, b't%d ' % c.n), 'two pictures of one folder')
    c.ok('LOGOUT'), other.ok('LOGOUT')


@test
def who_wants_to_be_told_sleeps():
    """what NOTIFY has asked for is watched and told while there is no process, in IDLE and between commands"""
    a, b, none, other = (Client('bob') for _ in range(4))
    other.ok('CREATE Old'), other.ok('CREATE Old.Part')
    a.ok('NOTIFY SET (selected (MessageNew (UID) MessageExpunge)) (personal (MessageNew MessageExpunge MailboxName))')
    b.ok('NOTIFY SET (selected-delayed (MessageNew MessageExpunge)) (personal (MailboxName SubscriptionChange))')
    none.ok('NOTIFY NONE')
    a.idle(), none.idle(), other.idle()
    asleep()
    deliver('bob')
    for c, last in (a, b'FETCH'), (b, b'RECENT'), (other, b'RECENT'):
        lines = [c.line()]
        while last not in lines[-1]:
            lines.append(c.line())
        check(not any(b'INPROGRESS' in l for l in lines), lines)
    asleep()
    a.silent(), b.silent()
    other.done()
    other.ok('CREATE Told')
    check(b'Told' in a.until(b'* LIST')[-1] and b'Told' in b.until(b'* LIST')[-1], 'a new name')
    asleep_but(other, 1)
    other.ok('RENAME Old New')
    check(b'OLDNAME' in a.until(b'* LIST')[-1], 'a new name of an old folder')
    b.until(b'* LIST')
    asleep_but(other, 1)
    other.ok('DELETE Told')
    check(b'NonExistent' in a.until(b'* LIST')[-1], 'a name that is gone')
    b.until(b'* LIST')
    asleep_but(other, 1)
    other.send('p APPEND New {7+}\r\nA: b\r\n\r\r\n')
    other.until(b'p OK')
    check(b'* STATUS New' in a.until(b'* STATUS')[-1], 'mail elsewhere')
    asleep_but(other, 1)
    other.ok('SUBSCRIBE New')
    b.until(b'* LIST')
    asleep_but(other, 1)
    a.silent(), b.silent()
    check(b''.join(b.ok('FETCH 1 UID')).count(b'*') == 1, 'woken by input: told something else')
    check(len(a.done()) == 1, 'told twice')
    check(len(none.done()) == 1, 'NOTIFY NONE, and yet it is told')
    check(len(none.ok('NOOP')) == 1, 'the same, after IDLE')
    for c in a, b, none, other:
        c.ok('LOGOUT')
    check(wait(lambda: len(story('bob')) >= 4 and all(int(re.search(r'slept=(\d+)', l)[1]) < 15 for l in story('bob')[-3:] if 'slept' in l)),
          story('bob')[-4:])


@test
def who_cannot_be_woken_hears_it():
    c, quiet, awake = Client('eve'), Client('eve'), Client('eve')
    c.idle()
    asleep_but(awake, 1)
    d = I.maildir('eve')
    os.unlink(d + '/merpati-uid')                       # all UIDs mean nothing any more
    c.send('DONE\r\n')
    check(b'* BYE [UNAVAILABLE]' in c.line(), 'no BYE')
    ended(c)
    pid = keeper()[0]
    send_signal(pid, signal.SIGKILL)
    check(b'* BYE [UNAVAILABLE]' in quiet.line(), 'no BYE of the front')
    ended(quiet)
    awake.ok('NOOP')
    new = Client('fred')                                # and a new keeper serves the next ones
    new.ok('NOOP')
    check(wait(lambda: [p for p in keeper() if p != pid] and sockets(keeper()[0]) >= 3), 'no new keeper')
    new.ok('NOOP')
    new.close(), awake.close()


def asleep_but(client, n):
    """the others sleep, while this one has something to do"""
    check(wait(lambda: client.ok('NOOP') and sessions() == n, step=0.2), f'{sessions()} sessions have a process')


def ended(c):
    try:
        while c.more(20):
            pass
    except (EOFError, OSError):
        return
    check(False, 'the connection stays')


@test
def the_zygote_dies():
    c = Client('fred')
    c.idle()
    asleep()
    zygote = [p for p in children('imap-session')]
    send_signal(zygote[0], signal.SIGKILL)
    check(b'* BYE [UNAVAILABLE]' in c.line(), 'no BYE')
    ended(c)
    Client('fred').close()


@test
def a_reload_keeps_those_who_sleep():
    c = Client('fred')
    c.idle()
    asleep()
    old, log = keeper(), I.root + '/log/mail.log'
    os.rename(log, log + '.1')
    I.run('reload')
    check(wait(lambda: os.readlink(f'/proc/{old[0]}/fd/2') == log), 'the keeper writes into the log that was moved away')
    Client('fred').close()
    deliver('fred')
    check(any(b'EXISTS' in l for l in c.until(b'* 1 EXISTS')), 'not told')
    c.done()
    c.ok('LOGOUT')
    check(wait(lambda: not set(old) & set(keeper())), 'the old keeper stays without a session')


@test
def sleepers_are_counted_and_end():
    c = Client('fred')
    c.idle()
    asleep()
    before = len(story('fred'))
    c.close()
    check(wait(lambda: len(story('fred')) > before and 'slept=1' in story('fred')[-1]), 'its end is not in the log')


if __name__ == '__main__':
    with I:
        main()
