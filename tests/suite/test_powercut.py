#!/usr/bin/env python3
"""Power cut, and kill -9, at every system call of the accept path, on ext4 and XFS. (release build only)

The suite runs on a file system of its own in a loop device. strace stops one daemon at the K-th call of a kind while a
message is on its way, by the queue or straight into the mailbox; everything is frozen; the file system is shut down without (or with) a last flush of its journal;
all processes are killed; then the image is mounted again and the suite started: what was acknowledged must be delivered,
whole and once, and what was not may be there whole or not at all. Where the mailbox has a limit, its count is exact after each of them.

MERPATI_CUTS=all plays every point with both kinds of shutdown and with kill -9; the default takes them in turn."""
import fcntl, imaplib, os, re, shutil, signal, smtplib, struct, subprocess, tempfile, threading, time, uuid
from harness import *

SHUTDOWN, NOLOGFLUSH, LOGFLUSH = 0x8004587d, 2, 1
FILE_CALLS = r'openat|write|pwrite64|writev|pwritev|fsync|fdatasync|syncfs|rename|renameat|renameat2|link|linkat|unlink|unlinkat|mkdirat|sendmsg|close|ftruncate|utimensat|copy_file_range|sendfile'
BODY = 'line of the message\r\n' * 200
LARGE = BODY * 75                       # more than intake keeps in memory: written piece by piece
ALL = os.environ.get('MERPATI_CUTS') == 'all'
SEVERAL = 6                             # recipients that local delivers to with one sync for all
# How their files get into new/: from 6.10 on they have had no name before.
INTO_NEW = 'linkat' if tuple(int(n) for n in os.uname().release.split('.')[:2]) >= (6, 10) else 'renameat2'
BETWEEN = [('writev', 1), ('writev', SEVERAL), ('syncfs', 1), (INTO_NEW, 1), (INTO_NEW, SEVERAL), ('syncfs', 2), ('sendmsg', 1), ('sendmsg', SEVERAL - 1)]


def sh(*cmd, ok=True):
    r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ok and r.returncode:
        raise Skip(f'{" ".join(cmd)}: {r.stdout.strip()}')
    return r.stdout.strip()


class Disk:
    """an image, its loop device, its mount point"""
    def __init__(self, kind):
        self.tmp = tempfile.mkdtemp(prefix='merpati-cut-', dir='/tmp')
        os.chmod(self.tmp, 0o755)
        self.kind, self.img, self.mnt, self.loop = kind, self.tmp + '/img', self.tmp + '/mnt', ''
        os.mkdir(self.mnt)
        sh('truncate', '-s', '64M' if kind == 'ext4' else '400M', self.img)
        sh('mkfs.' + kind, '-q', '-F' if kind == 'ext4' else '-f', self.img)
        self.mount()
        os.chmod(self.mnt, 0o755)

    def mount(self):
        self.loop = sh('losetup', '-f', '--show', self.img)
        sh('mount', *(['-o', 'nouuid'] if self.kind == 'xfs' else []), self.loop, self.mnt)

    def umount(self):
        """from now on a copy of what the device holds: a mount namespace that anybody began meanwhile keeps the dead file system and its device alive"""
        new = self.tmp + ('/img' if self.img.endswith('2') else '/img2')
        sh('cp', '--sparse=always', self.img, new)
        self.detach()
        os.unlink(self.img)
        self.img = new

    def detach(self):
        subprocess.run(['umount', '-l', self.mnt], stderr=subprocess.DEVNULL)
        if self.loop:
            subprocess.run(['losetup', '-d', self.loop])
        self.loop = ''

    def cut(self, flag):
        fd = os.open(self.mnt, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack('I', flag))
        finally:
            os.close(fd)

    def close(self):
        self.detach()
        shutil.rmtree(self.tmp, ignore_errors=True)


def send(i, mark, acked, body=BODY):
    to = ['bob@' + DOMAIN] + [f'bob+{n}@{DOMAIN}' for n in range(1, i.copies)]
    try:
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=5) as s:
            s.sendmail('x@y.example', to, f'Subject: {mark}\r\n\r\n{body}end of {mark}\r\n')
            acked.add(mark)
    except (OSError, smtplib.SMTPException):
        pass


def boot(i, again=True):
    """start; after a cut the system has another boot id, by which counts and UIDs know that the disk may have forgotten what they were"""
    path = i.dir + '/boot_id'
    if again:
        with open(path, 'w') as f:
            f.write(f'{uuid.uuid4()}\n')
    r = subprocess.run(['unshare', '-m', 'sh', '-c', f'mount --bind {path} /proc/sys/kernel/random/boot_id && exec "$@"', 'sh', f'{BIN}/merpati', '-c', i.conf, 'start'],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, timeout=120)
    check(r.returncode == 0, r.stdout)


def pids_of(i, daemon):
    return [p for p, n in i.processes().items() if n == daemon]


def record(i, daemon, body):
    """the (call, number) pairs of one message through this daemon"""
    out = i.dir + '/trace'
    st = subprocess.Popen(['strace', '-f', '-qq', '-o', out] + [x for p in pids_of(i, daemon) for x in ('-p', str(p))], stderr=subprocess.DEVNULL)
    time.sleep(0.4)
    send(i, 'record-' + daemon, set(), body)
    time.sleep(0.4)
    st.send_signal(signal.SIGINT)
    st.wait()
    points, n = [], {}
    for l in open(out, errors='replace'):
        m = re.match(r'\d+ +(' + FILE_CALLS + r')\(', l)
        if m:
            n[m[1]] = n.get(m[1], 0) + 1
            points.append((m[1], n[m[1]]))
    return points


def freeze(i):
    pids = list(i.processes())
    for p in pids:
        try:
            send_signal(p, signal.SIGSTOP)
        except ProcessLookupError:
            pass

    def still():
        for p in pids:
            try:
                if open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split()[0] not in 'TtZX':
                    return False
            except OSError:
                pass
        return True
    wait(still, 5, 0.005)
    return pids


def unfinished(i):
    """what waits in the queue; what an intake had begun is removed later, it is no message"""
    def whole_file(p):
        try:
            return open(p, 'rb').read().endswith(b'END\n')
        except FileNotFoundError:
            return False
    return [p for p in i.queue() if '/incoming/' not in p or whole_file(p)]


def arrived(i):
    """the marks of what all recipients have"""
    return {m for m, n in whole(i).items() if n >= i.copies}


def whole(i):
    """{mark: copies} of the whole messages; a broken one is an error"""
    found = {}
    for p in i.mails('bob'):
        text = open(p, 'rb').read().decode('latin-1')
        m = re.search(r'^Subject: (\S+)', text, re.M)
        check(m and text.endswith(f'end of {m[1]}\n'), f'{os.path.basename(p)} is not whole: {len(text)} bytes')
        found[m[1]] = found.get(m[1], 0) + 1
    return found


def counted(i, found):
    """The mailbox has a limit: the count is that of the files. And what local noted of new mail tells of each what it is, or nothing."""
    c = imaplib.IMAP4('127.0.0.1', i.port('imap'))
    c.login('bob@' + DOMAIN, 'pw-bob')
    used = dict(re.findall(r'(STORAGE|MESSAGE) (\d+)', str(c.getquotaroot('INBOX')[1])))
    check(int(used['MESSAGE']) == sum(found.values()), f'{used} counted, {sum(found.values())} messages are there')
    size = sum(os.path.getsize(p) for p in i.mails('bob'))
    check(abs(int(used['STORAGE']) * 1024 - size) < 2048, f'{used} counted, {size} bytes are there')
    c.select('INBOX')
    subjects = re.findall(r'ENVELOPE \(\S+ "([^"]+)"', str(c.fetch('1:*', '(ENVELOPE)')[1]))
    check(sorted(subjects) == sorted(found), f'envelopes: {sorted(set(found) ^ set(subjects))}')
    c.logout()


def play(disk, i, daemon, call, k, how, acked, limit, body):
    """stop `daemon` at its k-th `call` during one message, cut, come back, look"""
    mark = f'{daemon}-{call}-{k}-{how}'
    st = subprocess.Popen(['strace', '-f', '-qq', '-o', i.dir + '/trace', '-e', f'trace={call}', '-e', f'inject={call}:signal=SIGSTOP:when={k}']
                          + [x for p in pids_of(i, daemon) for x in ('-p', str(p))], stderr=subprocess.DEVNULL)
    time.sleep(0.25)
    t = threading.Thread(target=send, args=(i, mark, acked, body))
    t.start()
    wait(lambda: 'SIGSTOP' in open(i.dir + '/trace').read() or mark in acked and mark in arrived(i), 3, 0.01)
    time.sleep(0.02)
    pids = freeze(i)
    before = set(acked)
    if how != 'kill':
        disk.cut(NOLOGFLUSH if how == 'cut' else LOGFLUSH)
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
        disk.umount()
        disk.mount()
    boot(i, how != 'kill')
    wait(lambda: before <= arrived(i) and not [p for p in i.queue() if '/queue/' in p], 10)
    found = whole(i)
    check(before <= arrived(i), f'LOST after 250: {sorted(before - arrived(i))} (cut at {daemon} {call}:{k}, {how})')
    twice = [m for m, n in found.items() if n > i.copies]
    check(not twice, f'delivered twice: {twice} (cut at {daemon} {call}:{k}, {how})')
    if limit:
        counted(i, found)
    left = unfinished(i)
    check(not left, f'left in the queue: {left}')


def enumerate_cuts(kind, direct, limit=False, body=BODY, step=1, copies=1):
    """direct: intake writes into the mailbox; else through the queue. limit: it has one, so each delivery is counted. step: of the points of the small set.
    copies: recipients of one delivery"""
    if os.getuid():
        raise Skip('needs root')
    if not shutil.which('mkfs.' + kind) or not shutil.which('strace'):
        raise Skip(f'mkfs.{kind} or strace is not installed')
    if not os.path.exists('/dev/loop-control'):
        raise Skip('this system has no loop devices')
    disk = Disk(kind)
    i, n, acked = None, 0, set()
    try:
        i = Instance(directory=disk.mnt, users=('bob',), main=f'recipient_delimiter = +\nmessage_size_limit = 1M\ndirect_delivery = {"yes" if direct else "no"}\n')
        i.copies = copies
        i.dir = disk.tmp                # traces lie outside of the file system that is cut
        if limit:
            i.run('quota', 'set', 'bob@' + DOMAIN, '1G', '--messages', '100000')
        boot(i)
        send(i, 'warm', acked)          # the mailbox exists, the agents run
        i.wait_mails('bob', copies)
        sh('sync', '-f', disk.mnt)      # the configuration is not what is tested
        points = []
        for d in ('local',) if copies > 1 else ('intake', 'local') if direct else ('intake', 'qmgr', 'local'):
            points += [(d, c, k) for c, k in record(i, d, body)]
        if copies > 1:                  # all files, one sync, all names, one sync, all answers
            calls = ' '.join(c for _, c, _ in points if c not in ('openat', 'close', 'write'))
            want = ['writev'] * copies + ['syncfs'] + [INTO_NEW] * copies + ['syncfs']
            check(calls.startswith(' '.join(want)) and calls.count('sync') == 2 and calls.endswith(' sendmsg' * copies), f'another order: {calls}')
        check(len([p for p in points if p[1] in ('fsync', 'syncfs')]) >= 2, f'hardly anything recorded: {points}')
        if copies > 1 and not ALL:
            points = [p for p in points if p[1:] in BETWEEN]
        check(i.tells('(direct)' if direct else 'queue active') and direct == ('(direct)' in i.log()), 'the wrong way was taken')
        for p in points if ALL else points[step // 2::step]:
            hows = ('cut', 'flush', 'kill') if ALL else (('cut', 'flush', 'kill')[n % 3],)
            for how in hows:
                # agents are started on demand: have them running before strace attaches
                send(i, f'before-{n}', acked)
                wait(lambda: f'before-{n}' in arrived(i), 5)
                play(disk, i, *p, how, acked, limit, body)
                n += 1
        print(f'# {kind}{", direct" if direct else ""}{", several recipients" if copies > 1 else ""}{", large" if body is LARGE else ""}{", with a limit" if limit else ""}: {n} cuts at {len(points)} points, {len(acked)} acknowledged, 0 lost')
    finally:
        if i:
            i.own = False
            i.close()
        disk.close()


@test
def power_cut_at_every_call_on_ext4(): enumerate_cuts('ext4', False)


@test
def power_cut_at_every_call_on_xfs_with_a_limit(): enumerate_cuts('xfs', False, limit=True)


@test
def power_cut_of_a_delivery_to_several_on_ext4(): enumerate_cuts('ext4', False, copies=SEVERAL)


@test
def power_cut_of_a_delivery_to_several_on_xfs(): enumerate_cuts('xfs', False, step=3, copies=SEVERAL)


@test
def power_cut_at_every_call_of_a_direct_delivery_on_ext4_with_a_limit(): enumerate_cuts('ext4', True, limit=True)


@test
def power_cut_at_every_call_of_a_direct_delivery_on_xfs(): enumerate_cuts('xfs', True)


@test
def power_cut_at_every_call_of_a_large_direct_delivery_on_ext4(): enumerate_cuts('ext4', True, body=LARGE, step=8)


@test
def power_cut_at_every_call_of_a_large_message_by_the_queue_on_xfs():
    if not ALL:
        raise Skip('only with MERPATI_CUTS=all')
    enumerate_cuts('xfs', False, body=LARGE)


@test
def power_cut_at_every_call_of_a_large_direct_delivery_on_xfs():
    if not ALL:
        raise Skip('only with MERPATI_CUTS=all')
    enumerate_cuts('xfs', True, body=LARGE)


@test
def power_cut_at_every_call_of_a_large_message_by_the_queue_on_ext4():
    if not ALL:
        raise Skip('only with MERPATI_CUTS=all')
    enumerate_cuts('ext4', False, body=LARGE)


if __name__ == '__main__':
    main()
