#!/usr/bin/env python3
"""A disk that fills up, fails or is slow, and too few descriptors, under a running suite (rows 176 to 183, 192)."""
import re, shutil, signal, subprocess, time
import abuse
from abuse import *

TEXT = b'Subject: x\r\n\r\n' + b'0123456789abcdef' * 3 + b'\r\n'


class Disk:
    """a suite with its spool on a small file system of its own"""
    def __init__(self, options, where='spool', main='direct_delivery = no\n'):
        if os.geteuid():
            raise Skip('not root')
        abuse.I = self.i = Instance(main='queue_minfree = 1\n' + MAIN + main)
        self.at = f'{self.i.root}/{where}'
        os.rename(self.at, self.at + '.was')
        os.mkdir(self.at)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'none', self.at], check=True)
        subprocess.run(['cp', '-aT', self.at + '.was', self.at], check=True)
        self.i.start()

    def __enter__(self):
        return self

    def remount(self, options):
        subprocess.run(['mount', '-o', f'remount,{options}', self.at], check=True)

    def inodes(self):
        st = os.statvfs(self.at)
        return st.f_files - st.f_ffree

    def __exit__(self, *e):
        if e[0] and e[0] is not Skip:
            print(''.join('# ' + l + '\n' for l in self.i.log().splitlines()[-15:]))
        try:
            self.i.stop()
        finally:
            wait(lambda: subprocess.run(['umount', self.at], stderr=subprocess.DEVNULL).returncode == 0, 10, 0.2)
            self.i.close()


def send(text=TEXT, to='bob'):
    """the reply to one message"""
    with Client(timeout=60) as c:
        c.envelope(to)
        c.send(text)
        return c.cmd(b'.')


@test
def row_182_a_full_mailbox_disk_falls_back_to_the_queue():
    with Disk('size=512k', where='mail', main='') as d:
        codes = [send(b'Subject: big\r\n\r\n' + b'x' * 70 + b'\r\n' * 2 + (b'y' * 70 + b'\r\n') * 1500)[:9] for _ in range(8)]
        check(set(codes) == {b'250 2.0.0'}, codes)
        check(wait(lambda: d.i.queue(), 10), 'nothing waits in the queue')
        d.remount('size=8m')
        check(d.i.tool('postqueue', '-f').returncode == 0, 'postqueue -f')
        d.i.wait_mails('bob', 8, 30)
        clean(d.i)


def clean(i):
    log_is_clean(i.log())
    check(honest() < 3, 'an honest client waits')


def fills_up(options, big):
    with Disk(options) as d:
        codes = [send(big)[:9] for _ in range(4)]
        check(set(codes) <= {b'452 4.3.1', b'451 4.3.0'} and b'452 4.3.1' in codes, codes)
        check(not d.i.queue(), f'left in the spool: {d.i.queue()}')
        d.remount('size=100m,nr_inodes=10000')
        check(wait(lambda: send().startswith(b'250'), 5), 'it does not recover by itself')
        d.i.wait_mails('bob', 1)
        clean(d.i)


@test
def row_176_no_space():
    fills_up('size=64k', TEXT + b'y' * 200000 + b'\r\n')


@test
def row_177_no_inodes():
    with Disk('size=10m,nr_inodes=1000') as d:
        check(send().startswith(b'250'), 'before')
        d.i.wait_mails('bob', 1)
        wait(lambda: not d.i.queue())
        d.remount(f'nr_inodes={d.inodes()}')
        check(send().startswith(b'452 4.3.1'), 'a file without an inode')
        d.remount('nr_inodes=2000')
        check(send().startswith(b'250'), 'it does not recover by itself')
        clean(d.i)


@test
def row_181_read_only():
    with Disk('size=10m', 'spool/incoming') as d:
        check(send().startswith(b'250'), 'before')
        wait(lambda: not d.i.queue(), 1)
        d.remount('ro')
        for _ in range(3):
            r = send()
            check(r[:3] in (b'451', b'452', b'421'), r)
        d.remount('rw')
        check(send().startswith(b'250'), 'it does not recover by itself')
        clean(d.i)


# ---- system calls that fail

def intakes(i):
    return [p for p, n in i.processes().items() if n == 'intake']


class Inject:
    """strace on the intakes; errors cannot be made this way: the sandbox kills on the number that strace puts in"""
    def __init__(self, i, *what):
        if not shutil.which('strace'):
            raise Skip('no strace')
        pids = wait(lambda: intakes(i), 5)
        args = [a for p in pids for a in ('-p', str(p))] + [a for w in what for a in ('-e', 'inject=' + w)]
        self.p = subprocess.Popen(['strace', '-f', '-qq', '-o', '/dev/null'] + args, stderr=subprocess.PIPE)
        traced = wait(lambda: all('TracerPid:\t0' not in open(f'/proc/{p}/status').read() for p in pids), 5)
        if not traced:
            raise Skip('strace cannot attach')

    def __enter__(self):
        return self

    def __exit__(self, *e):
        self.p.terminate()
        self.p.wait(10)


@test
def row_180_a_dying_disk():
    """a file system on a device that has less room than it says: fsync fails with EIO, later everything with EROFS"""
    with Disk('size=1500k') as d:
        inner, img = d.i.root + '/inner', d.at + '/img'
        os.mkdir(inner)
        d.i.stop()
        subprocess.run(['truncate', '-s', '16M', img], check=True)
        subprocess.run(['mkfs.ext4', '-q', '-F', '-m', '0', '-O', '^has_journal', img], check=True)
        if subprocess.run(['mount', '-o', 'loop', img, inner]).returncode:
            raise Skip('no loop device')
        try:
            subprocess.run(['cp', '-aT', d.at + '/incoming', inner], check=True)
            subprocess.run(['mount', '--bind', inner, d.at + '/incoming'], check=True)
            try:
                dying(d.i)
            finally:
                d.i.stop()
                subprocess.run(['umount', d.at + '/incoming'])
        finally:
            subprocess.run(['umount', inner])


def dying(i):
    i.start()
    codes, big = [], TEXT + b'y' * 100000 + b'\r\n'
    for n in range(40):
        r = send(big)
        codes.append(r[:9])
    bad = [c for c in codes if not c.startswith(b'250')]
    check(bad and set(bad) <= {b'451 4.3.0', b'452 4.3.1'}, f'no error was met, or another: {set(codes)}')
    check(codes[-1] in bad, 'it is taken for healthy again')
    check(honest() < 3, 'an honest client waits')
    failed = wait(lambda: [l for l in i.log().splitlines() if 'the queue file:' in l], 10)
    check(failed, 'nothing is said in the log')
    print(f'# {len(codes) - len(bad)} messages, then {failed[0].split(": ", 2)[2]}')
    log_is_clean(i.log())


@test
def row_183_stopped_and_continued():
    """signals that interrupt every wait"""
    with Instance(main=MAIN) as i:
        abuse.I = i
        over = threading.Event()

        def disturb():
            while not over.wait(0.005):
                for p, n in i.processes().items():
                    if n in ('smtpd', 'intake', 'qmgr', 'local'):
                        try:
                            os.kill(p, signal.SIGSTOP)
                            os.kill(p, signal.SIGCONT)
                        except OSError:
                            pass
        t = threading.Thread(target=disturb, daemon=True)
        t.start()
        for n in range(40):
            check(send(TEXT + b'y' * (n * 5000) + b'\r\n').startswith(b'250'), n)
        over.set()
        t.join()
        i.wait_mails('bob', 40)
        wait(lambda: not i.queue())
        check(len(i.mails('bob')) == 40, f'{len(i.mails("bob"))} for 40')
        log_is_clean(i.log())


@test
def row_192_a_slow_disk():
    with Instance(main=MAIN) as i:
        abuse.I = i
        check(send().startswith(b'250'), 'before')
        with Inject(i, 'fsync:delay_enter=2000000'):
            begin = time.monotonic()
            check(send(to='alice').startswith(b'250'), 'slow')
            check(time.monotonic() - begin > 1.8, 'the delay was not met')
            check(honest() < 1, 'an honest client waits for the disk')
        i.wait_mails('alice', 1)
        time.sleep(0.5)
        check(len(i.mails('alice')) == 1, 'a duplicate')
        log_is_clean(i.log())


@test
def row_178_too_few_descriptors():
    i = abuse.I = Instance(main=MAIN + 'direct_delivery = no\n')
    cf = open(i.conf + '/master.cf').read()
    with open(i.conf + '/master.cf', 'w') as f:
        f.write(re.sub(r'1-4( +smtpd)', r'1  \1', cf))
    try:
        subprocess.run(['prlimit', '--nofile=600:600', BIN + '/merpati', '-c', i.conf, 'start'], check=True, stdout=subprocess.DEVNULL)
        held = []
        for n in range(700):            # one worker, and more in its backlog
            s = socket.socket()
            s.bind((f'127.0.3.{1 + n // 40}', 0))
            s.settimeout(5)
            s.connect(('127.0.0.1', i.port('smtp')))
            held.append(s)
        time.sleep(1)
        before, at = cpu('smtpd'), time.monotonic()
        time.sleep(2)
        spent = cpu('smtpd') - before
        check(spent < 0.4, f'{spent:.1f} s of CPU in {time.monotonic() - at:.0f} s without descriptors')
        lines = i.log().count('Too many open files') + i.log().count('the limit of open files (600)')
        check(0 < lines < 40, f'{lines} lines about it')
        for s in held:
            s.close()
        check(wait(lambda: send().startswith(b'250'), 5), 'afterwards')
        log_is_clean(i.log())
    finally:
        i.close()


main()
