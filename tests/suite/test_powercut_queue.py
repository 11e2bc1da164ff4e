#!/usr/bin/env python3
"""Power cut, and kill -9, at every system call of what happens in the queue: take-over, deferral, the mark of a recipient, a
report, a warning, an expired message, and the operator's hold, release, delete, requeue. (release build only)

As test_powercut.py, with a server outside of the file system that is cut. What was acknowledged (250, or postsuper's exit 0) must
hold afterwards; nothing is lost, nothing deleted comes back; a second copy only in the documented windows.

MERPATI_CUTS=all plays every point on both file systems; the default a few on ext4."""
import os, re, shutil, signal, smtplib, subprocess, threading, time
from harness import *
import test_powercut as cuts
from test_powercut import ALL, LOGFLUSH, NOLOGFLUSH, Disk, freeze, pids_of
from sink import Sink

TESTS.clear()


class World:
    """an instance on a disk of its own, and a server that says what the recipient's name asks for"""
    def __init__(self, kind, main=''):
        self.accept_all = False
        self.sink = Sink(self.reply)
        self.disk = Disk(kind)
        self.i = Instance(directory=self.disk.mnt, users=('alice',), main=f'relayhost = [127.0.0.1]:{self.sink.port}\n'
                          f'message_size_limit = 1M\ndirect_delivery = no\nminimal_backoff_time = 1h\nwatchdog_timeout = 0\n{main}')
        self.i.dir = self.disk.tmp
        self.i.start()
        subprocess.run(['sync', '-f', self.disk.mnt], check=True)
        self.windows = 0

    def reply(self, verb, arg):
        if verb != 'RCPT' or self.accept_all:
            return None
        return {'later': b'450 4.7.1 later\r\n', 'bad': b'550 5.1.1 no\r\n'}.get(re.match(r'TO:<(\w+)', arg)[1])

    def close(self):
        self.i.own = False
        self.i.close()
        self.disk.close()

    # ---- what is seen
    def copies(self, mark, rcpt):
        return sum(f'Subject: {mark}\r\n'.encode() in m and any(f'TO:<{rcpt}@' in r for r in rcpts) for rcpts, m in self.sink.taken)

    def told(self, mark, action):
        texts = [open(p, errors='replace').read() for p in self.i.mails('alice')]
        return sum(f'Subject: {mark}\n' in t and f'Action: {action}' in t for t in texts)

    def where(self, id_):
        return [d for d in ('incoming', 'queue', 'hold', 'corrupt') for _, _, fs in os.walk(f'{self.i.root}/spool/{d}') if id_ in fs]

    # ---- what is done
    def submit(self, mark, *rcpts):
        """True: acknowledged"""
        try:
            with smtplib.SMTP('127.0.0.1', self.i.port('smtp'), timeout=5) as s:
                s.sendmail('alice@' + DOMAIN, [f'{r}@far.test' for r in rcpts], f'Subject: {mark}\r\n\r\nx\r\n')
            return True
        except (OSError, smtplib.SMTPException):
            return False

    def order(self, *args):
        try:
            return self.i.tool('postsuper', *args).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def deferred(self, mark):
        """a message that waits; its id"""
        check(self.submit(mark, 'later'), 'not accepted')
        check(wait(lambda: self.waits(), 10), 'not deferred')
        return re.search(r'queue_id": ?"(\w+)', self.listed())[1]

    def listed(self):
        """"" when nobody answers: qmgr may have been stopped"""
        try:
            return subprocess.run([BIN + '/postqueue', '-c', self.i.conf, '-j'], stdout=subprocess.PIPE, timeout=2).stdout.decode()
        except subprocess.TimeoutExpired:
            return ''

    def waits(self):
        out = self.listed()
        return '"deferred"' in out and 'delay_reason' in out

    def drain(self):
        self.accept_all = True
        wait(lambda: self.i.tool('postqueue', '-j').returncode == 0, 10)
        self.i.tool('postsuper', '-H', 'ALL')
        left = lambda: cuts.unfinished(self.i) + os.listdir(self.i.root + '/spool/hold')

        def flushed():
            self.i.tool('postqueue', '-f')
            return not left()
        check(wait(flushed, 30, 0.3), f'left in the queue: {left()}')
        check(not os.listdir(self.i.root + '/spool/corrupt'), 'a damaged file')
        self.accept_all = False


# before(world, mark) -> id; act(world, id, mark) -> acknowledged; after(world, id, mark, acknowledged): before the queue is
# drained; at_end the same, when it is. daemons: who is stopped
class Scenario:
    daemons = ('qmgr',)
    main = ''

    def before(self, w, mark): return w.deferred(mark)
    def after(self, w, id_, mark, acked): pass
    def settled(self, w, id_, mark): return True

    def at_end(self, w, id_, mark, acked):
        check(w.copies(mark, 'later') == 1, f'{w.copies(mark, "later")} copies')


class Hold(Scenario):
    def act(self, w, id_, mark): return w.order('-h', id_)

    def after(self, w, id_, mark, acked):
        at = w.where(id_)
        check(at == ['hold'] or not acked and at == ['queue'], f'held (answered: {acked}), lies in {at}')


class Release(Scenario):
    def before(self, w, mark):
        id_ = w.deferred(mark)
        check(w.order('-h', id_), 'not held')
        return id_

    def act(self, w, id_, mark): return w.order('-H', id_)

    def after(self, w, id_, mark, acked):
        at = w.where(id_)
        check(at == ['queue'] or not acked and at == ['hold'], f'released (answered: {acked}), lies in {at}')


class Delete(Scenario):
    def act(self, w, id_, mark): return w.order('-d', id_)

    def after(self, w, id_, mark, acked):
        check(not (acked and w.where(id_)), f'deleted, lies in {w.where(id_)}')

    def at_end(self, w, id_, mark, acked):
        check(w.copies(mark, 'later') <= (0 if acked else 1), 'a deleted message was sent')


class Requeue(Scenario):
    def act(self, w, id_, mark): return w.order('-r', id_)
    def settled(self, w, id_, mark): return w.waits()


class Defer(Scenario):
    def before(self, w, mark): return ''
    def act(self, w, id_, mark): return w.submit(mark, 'later')
    def settled(self, w, id_, mark): return w.waits()

    def at_end(self, w, id_, mark, acked):
        check(w.copies(mark, 'later') >= acked and w.copies(mark, 'later') <= 1, f'{w.copies(mark, "later")} copies')


class Mark(Defer):
    """two recipients, one of them is sent: a second copy of that one only when its mark was not made"""
    def act(self, w, id_, mark): return w.submit(mark, 'later', 'good')

    def at_end(self, w, id_, mark, acked):
        late, good = w.copies(mark, 'later'), w.copies(mark, 'good')
        check(acked <= late <= 1 and acked <= good <= 2, f'{late} and {good} copies')
        w.windows += good > 1


class Bounce(Defer):
    daemons, word = ('qmgr', 'intake'), 'failed'
    def act(self, w, id_, mark): return w.submit(mark, 'bad')
    def settled(self, w, id_, mark): return w.told(mark, 'failed')
    def after(self, w, id_, mark, acked): check(not acked or wait(lambda: w.told(mark, 'failed'), 20), 'no report')

    def at_end(self, w, id_, mark, acked):
        check(w.told(mark, 'failed') <= 2, 'more than two reports')
        w.windows += w.told(mark, 'failed') > 1


class Expire(Bounce):
    daemons, main = ('qmgr',), 'maximal_queue_lifetime = 0\n'
    def act(self, w, id_, mark): return w.submit(mark, 'later')


class Warn(Scenario):
    main = 'delay_warning_time = 1s\n'

    def before(self, w, mark):
        id_ = w.deferred(mark)
        time.sleep(1.1)
        return id_

    def act(self, w, id_, mark): return w.i.tool('postqueue', '-f').returncode == 0
    def settled(self, w, id_, mark): return w.told(mark, 'delayed')

    def at_end(self, w, id_, mark, acked):
        super().at_end(w, id_, mark, acked)
        check(w.told(mark, 'delayed') <= 2, 'warned more than twice')


SCENARIOS = [Hold, Release, Delete, Requeue, Defer, Mark, Bounce, Expire, Warn]


def traced(w, daemon, *options):
    return subprocess.Popen(['strace', '-f', '-qq', '-o', w.i.dir + '/trace', *options] + [x for p in pids_of(w.i, daemon) for x in ('-p', str(p))],
                            stderr=subprocess.DEVNULL)


def record(w, s, daemon):
    id_ = s.before(w, 'record')
    st = traced(w, daemon)
    time.sleep(0.4)
    check(s.act(w, id_, 'record') and wait(lambda: s.settled(w, id_, 'record'), 10), f'{type(s).__name__} does not work')
    time.sleep(0.2)
    st.send_signal(signal.SIGINT)
    st.wait()
    points, n = [], {}
    for l in open(w.i.dir + '/trace', errors='replace'):
        m = re.match(r'\d+ +(' + cuts.FILE_CALLS + r')\(', l)
        if m:
            n[m[1]] = n.get(m[1], 0) + 1
            points.append((daemon, m[1], n[m[1]]))
    w.drain()
    w.sink.taken.clear()
    return points


def play(w, s, daemon, call, k, how):
    mark = f'{type(s).__name__}-{daemon}-{call}-{k}-{how}'
    acked = []
    id_ = s.before(w, mark)
    st = traced(w, daemon, '-e', f'trace={call}', '-e', f'inject={call}:signal=SIGSTOP:when={k}')
    time.sleep(0.25)
    t = threading.Thread(target=lambda: acked.append(s.act(w, id_, mark)))
    t.start()
    wait(lambda: 'SIGSTOP' in open(w.i.dir + '/trace').read() or acked and s.settled(w, id_, mark), 3, 0.02)
    time.sleep(0.02)
    pids = freeze(w.i)
    answered = bool(acked and acked[0])
    if how != 'kill':
        w.disk.cut(NOLOGFLUSH if how == 'cut' else LOGFLUSH)
    for p in pids:
        try:
            send_signal(p, signal.SIGKILL)
        except ProcessLookupError:
            pass
    st.kill()
    st.wait()
    t.join()
    wait(lambda: not any(os.path.exists(f'/proc/{p}') and open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split()[0] not in 'ZX' for p in pids), 5, 0.01)
    if how != 'kill':
        w.disk.umount()
        w.disk.mount()
    w.i.start()
    try:
        s.after(w, id_, mark, answered)
        w.drain()
        s.at_end(w, id_, mark, answered)
    except Failed as e:
        raise Failed(f'{mark}: {e}')
    return answered


def all_points(kind, names, few):
    if os.getuid():
        raise Skip('needs root')
    if not shutil.which('mkfs.' + kind) or not shutil.which('strace'):
        raise Skip(f'mkfs.{kind} or strace is not installed')
    if not os.path.exists('/dev/loop-control'):
        raise Skip('this system has no loop devices')
    n = windows = points = acked = 0
    bad = []
    for main in sorted({s.main for s in names}):
        w = World(kind, main)
        try:
            for s in [c() for c in names if c.main == main]:
                found = [p for d in s.daemons for p in record(w, s, d)]
                points += len(found)
                for p in found[len(found) // 3::len(found)] if few else found:
                    for how in ('cut', 'flush', 'kill') if not few else (('cut', 'flush', 'kill')[n % 3],):
                        n += 1
                        try:
                            acked += play(w, s, *p, how)
                        except Failed as e:
                            bad.append(str(e))
                            print(f'# {e}', flush=True)
                            w.drain()
            windows += w.windows
        finally:
            w.close()
    check(not bad, f'{len(bad)} of {n} cuts went wrong: {bad[:3]}')
    print(f'# {kind}: {n} cuts at {points} points of {", ".join(c.__name__.lower() for c in names)}; {acked} were acknowledged; '
          f'0 lost, 0 undone, 0 came back; {windows} second copies or reports in the documented windows', flush=True)


@test
def power_cut_in_the_queue_on_ext4():
    all_points('ext4', SCENARIOS if ALL else [Hold, Delete, Mark], not ALL)


@test
def power_cut_in_the_queue_on_xfs():
    if not ALL:
        raise Skip('only with MERPATI_CUTS=all')
    all_points('xfs', SCENARIOS, False)


if __name__ == '__main__':
    main()
