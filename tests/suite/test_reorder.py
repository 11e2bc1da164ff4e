#!/usr/bin/env python3
"""Power cut with a disk that writes in any order: every block write and flush of a working suite is recorded, and images are
made of it as a cut could leave them: all that was flushed, and of what came since then nothing, everything, or any part. (release build only)

The file system lies in blocklog.c's image; the test writes into the same record what it was told (250, the end of an order with 0)
and what the server outside has taken. Each image is mounted, which plays the journal, and looked through: every message that was
acknowledged is in the queue, in a mailbox, reported, or at that server; none is torn; an answered order holds.
What a start makes of such a queue: test_powercut.py and test_powercut_queue.py.

On demand, as root: tests/crash --all, or MERPATI_CUTS=all. Needs the packages fuse3 and libfuse3-dev. MERPATI_SEED repeats a run,
MERPATI_SAMPLES says how many parts of what was not flushed are tried at each point."""
import os, random, re, shutil, smtplib, struct, subprocess, tempfile, time
from harness import *
from sink import Sink

ALL = os.environ.get('MERPATI_CUTS') == 'all'
SEED = int(os.environ.get('MERPATI_SEED', time.time()))
SAMPLES = int(os.environ.get('MERPATI_SAMPLES', 3))
BLOCK = 4096                            # a larger write may arrive in parts
WRITE, FLUSH, MARK = 1, 2, 3
BODY = 'line of the message\r\n' * 40
MANY = ('alice', 'bob', 'carol', 'dora', 'egon', 'fred')    # one delivery with one sync for all
LARGE = BODY * 400


def sh(*cmd):
    r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode:
        raise Skip(f'{" ".join(cmd)}: {r.stdout.strip()}')
    return r.stdout.strip()


class Disk:
    """an image in blocklog's hands, on a loop device, mounted"""
    def __init__(self, kind):
        self.kind, self.tmp = kind, tempfile.mkdtemp(prefix='merpati-reorder-', dir='/tmp')
        os.chmod(self.tmp, 0o755)
        self.loop = self.fuse = ''
        at = lambda name: f'{self.tmp}/{name}'
        self.img, self.base, self.record, self.mnt, self.try_mnt = map(at, ('img', 'base', 'record', 'mnt', 'trymnt'))
        os.mkdir(self.mnt)
        os.mkdir(self.try_mnt)
        os.mkdir(at('f'))
        here = os.path.dirname(os.path.abspath(__file__))
        flags = sh('pkg-config', '--cflags', '--libs', 'fuse3').split()
        sh('cc', '-O1', '-D_GNU_SOURCE', f'{here}/blocklog.c', '-o', at('blocklog'), *flags)
        sh('truncate', '-s', '48M' if kind == 'ext4' else '320M', self.img)
        sh('mkfs.' + kind, '-q', '-F' if kind == 'ext4' else '-f', self.img)

    def begin(self):
        """from now on everything is recorded"""
        sh('cp', '--sparse=always', self.img, self.base)
        self.fuse = self.tmp + '/f'
        sh(self.tmp + '/blocklog', self.img, self.record, self.fuse)
        self.loop = sh('losetup', '-f', '--show', self.fuse + '/disk')
        sh('mount', self.loop, self.mnt)
        os.chmod(self.mnt, 0o755)

    def mark(self, text):
        fd = os.open(self.fuse + '/mark', os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def end(self):
        subprocess.run(['umount', '-l', self.mnt], stderr=subprocess.DEVNULL)
        if self.loop:
            subprocess.run(['losetup', '-d', self.loop])
            wait(lambda: self.loop not in subprocess.run(['losetup', '-a'], stdout=subprocess.PIPE, text=True).stdout, 10)
            self.loop = ''
        if self.fuse:
            subprocess.run(['fusermount3', '-u', '-z', self.fuse], stderr=subprocess.DEVNULL)
            self.fuse = ''

    def close(self):
        self.end()
        subprocess.run(['umount', '-l', self.try_mnt], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.tmp, ignore_errors=True)

    def records(self):
        data, at = open(self.record, 'rb').read(), 0
        while at < len(data):
            op, n, off = struct.unpack_from('<IIQ', data, at)
            yield op, off, data[at + 16:at + 16 + n]
            at += 16 + n


# ---- what is seen of a file system

CRC = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
    CRC.append(n)


def crc32c(data):
    c = 0xffffffff
    for b in data:
        c = CRC[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xffffffff


def queue_file(data, known={}):
    """(text, recipients that are to do) of a whole queue file, else None: docs/ARCHITECTURE.md, "The queue file" """
    if data not in known:
        known[data] = read_queue_file(data)
    return known[data]


def read_queue_file(data):
    if len(data) < 40 or data[-4:] != b'END\n' or data[-40:-36] != b'MRPT':
        return None
    body, trailer = struct.unpack_from('<QQ', data, len(data) - 32)
    records, end = struct.unpack_from('<II', data, len(data) - 12)
    if body + trailer + 40 != len(data) or crc32c(data[-40:-8]) != end:
        return None
    at, todo, sum_ = body, 0, bytearray(data[body:body + trailer])
    while at < body + trailer:
        kind, n = struct.unpack_from('<BI', data, at)
        if kind == ord('R'):
            todo += data[at + 5:at + 6] != b'D'
            sum_[at + 5 - body] = ord('.')
        if kind == ord('B') and len(data) < 100000 and struct.unpack_from('<I', data, at + 5)[0] != crc32c(data[:body]):
            return None
        at += 5 + n
    return (data[:body].decode('latin-1'), todo) if crc32c(sum_) == records else None


def files(root, *dirs):
    for d in dirs:
        for at, _, names in os.walk(f'{root}/{d}'):
            for n in names:
                yield d, n, f'{at}/{n}'


def subject(text):
    m = re.search(r'^Subject: (\S+)$', text, re.M)
    return m[1] if m else ''


def reported(text):
    m = re.search(r'^Action: (failed|delayed)$', text, re.M)
    return m[1] if m else ''


class View:
    """what an image holds: queued {mark: {dir}}, boxes {(mark, mailbox): files}, reports {mark}; torn: what must not be"""
    def __init__(self, root):
        self.queued, self.boxes, self.reports, self.torn, self.ids = {}, {}, set(), [], {}
        for d, name, path in files(root + '/spool', 'incoming', 'queue', 'hold', 'corrupt'):
            if name.startswith('.'):
                continue
            found = queue_file(open(path, 'rb').read())
            if d == 'corrupt' or not found and d != 'incoming':
                self.torn.append(f'{d}/{name}')
            if not found:
                continue
            self.ids.setdefault(name, []).append(d)
            if reported(found[0]):
                self.reports.add(self.of_report(found[0]))
            elif found[1]:
                self.queued.setdefault(subject(found[0]), set()).add(d)
        for d, name, path in files(root, 'mail'):
            if not re.search(r'/(new|cur)/', path):
                continue
            text = open(path, errors='replace').read()
            mark = subject(text)
            if reported(text):
                self.reports.add(self.of_report(text))
                whole = text.rstrip().endswith('--')
            else:
                box = mark, os.path.dirname(os.path.dirname(path))
                self.boxes[box] = self.boxes.get(box, 0) + 1
                whole = text.endswith(f'end of {mark}\n')
            if not whole:
                self.torn.append(f'mailbox {name}')

    @staticmethod
    def of_report(text):
        return re.findall(r'^Subject: (\S+)$', text, re.M)[-1] if re.search(r'^Subject: (\S+)$', text, re.M) else ''


# ---- what was told

class Told:
    """marks, as the test wrote them: "accepted MARK KIND RECIPIENTS", "taken MARK", "begin ORDER ID", "done ORDER ID" """
    def __init__(self):
        self.kind, self.rcpts, self.taken, self.places, self.deleted = {}, {}, set(), {}, {}

    def hear(self, text):
        what, *args = text.split()
        if what == 'accepted':
            self.kind[args[0]], self.rcpts[args[0]] = args[1], int(args[2])
        elif what == 'taken':
            self.taken.add(args[0])
        elif what in ('begin', 'done'):
            order, id_, mark = args
            if order == 'delete':
                self.deleted[mark] = what
            to = {'hold': {'hold'}, 'release': {'queue', 'incoming'}, 'delete': set(), 'requeue': {'queue', 'incoming'}}[order]
            self.places[id_] = to if what == 'done' else self.places.get(id_, {'queue', 'incoming'}) | to | ({None} if order == 'delete' else set())

    def wrong(self, v):
        """sentences about what this view lacks or has too much"""
        bad = [f'torn: {t}' for t in v.torn]
        for mark, kind in self.kind.items():
            safe = mark in v.queued or sum(m == mark for m, _ in v.boxes) >= self.rcpts[mark] or mark in v.reports and kind == 'bad' or mark in self.taken and kind != 'both' or \
                self.deleted.get(mark)
            if not safe:
                bad.append(f'lost: {mark}')
        bad += [f'{n} copies of {m[0]} in a mailbox' for m, n in v.boxes.items() if n > 1]
        for id_, places in self.places.items():
            at = v.ids.get(id_, [])
            if len(at) > 1 or (at and at[0] not in places) or (not at and places and None not in places):
                bad.append(f'{id_} lies in {at}, not in {places}')
        return bad


# ---- the work that is recorded

def work(disk, i, sink):
    """one of each durable path; the marks tell what has been promised"""
    def send(mark, to, kind, body=BODY):
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=20) as s:
            s.sendmail('alice@' + DOMAIN, to, f'Subject: {mark}\r\n\r\n{body}end of {mark}\r\n')
        disk.mark(f'accepted {mark} {kind} {len(to)}')

    def listed(mark):
        """the id of a message that waits"""
        to = mark + '@far.test'
        check(wait(lambda: [l for l in i.tool('postqueue', '-j').stdout.decode().splitlines() if to in l and 'delay_reason' in l], 20), f'{mark} does not wait')
        return [re.search(r'"queue_id": ?"(\w+)', l)[1] for l in i.tool('postqueue', '-j').stdout.decode().splitlines() if to in l][0]

    def order(name, option, id_, mark):
        disk.mark(f'begin {name} {id_} {mark}')
        check(i.tool('postsuper', option, id_).returncode == 0, f'{name} is refused')
        disk.mark(f'done {name} {id_} {mark}')

    later = lambda mark: mark + '@far.test'
    send('direct1', ['bob@' + DOMAIN], 'local')
    send('direct2', ['bob@' + DOMAIN], 'local', LARGE)
    send('queued1', ['bob@' + DOMAIN, 'alice@' + DOMAIN], 'local')
    send('queued2', [f'{u}@{DOMAIN}' for u in MANY], 'local')
    send('later-1', [later('later-1')], 'remote')
    send('later-2', [later('later-2'), later('good-2')], 'both')
    send('later-3', [later('later-3')], 'remote', LARGE)
    send('good-4', [later('good-4')], 'remote')
    send('bad-5', [later('bad-5')], 'bad')
    ids = {n: listed(f'later-{n}') for n in '123'}
    order('hold', '-h', ids['1'], 'later-1')
    order('release', '-H', ids['1'], 'later-1')
    order('requeue', '-r', ids['2'], 'later-2')
    order('hold', '-h', ids['3'], 'later-3')
    order('delete', '-d', ids['3'], 'later-3')
    time.sleep(1.1)
    i.tool('postqueue', '-f')           # the warning of a delay
    check(wait(lambda: any('Action: delayed' in open(p, errors='replace').read() for p in i.mails('alice')), 20), 'nobody is warned')
    check(wait(lambda: any('Action: failed' in open(p, errors='replace').read() for p in i.mails('alice')), 20), 'nothing is returned')
    disk.mark('end')


def reply_of(disk):
    def reply(verb, arg):
        if verb == 'DOT':
            return None
        m = verb == 'RCPT' and re.match(r'TO:<(\w+)(-\d+)', arg)
        if m and m[1] == 'good':
            disk.mark(f'taken {m[1]}{m[2]}')        # before the 250 of its end: from then on it is the server's
        return {'later': b'450 4.7.1 later\r\n', 'bad': b'550 5.1.1 no\r\n'}.get(m[1]) if m else None
    return reply


# ---- the images

def pieces(off, data):
    return [(off + n, data[n:n + BLOCK]) for n in range(0, len(data), BLOCK)]


def put(image, writes):
    with open(image, 'r+b') as f:
        for off, data in writes:
            f.seek(off)
            f.write(data)


class Images:
    def __init__(self, disk):
        self.disk, self.n, self.unmountable, self.bad = disk, 0, 0, []
        self.rnd = random.Random(SEED)

    def look(self, told, writes, tag):
        """one image, which has a name and a device of its own: a mount namespace that anybody began meanwhile may keep the device of the last one"""
        d, self.n = self.disk, self.n + 1
        image = f'{d.tmp}/image{self.n}'
        sh('cp', '--sparse=always', d.base, image)
        put(image, writes)
        loop = sh('losetup', '-f', '--show', image)
        os.unlink(image)
        try:
            if subprocess.run(['mount', *(['-o', 'nouuid'] if d.kind == 'xfs' else []), loop, d.try_mnt], stderr=subprocess.DEVNULL).returncode:
                self.unmountable += 1
                return
            self.bad += [f'{tag}: {w}' for w in told.wrong(View(d.try_mnt + '/i'))]
        finally:
            subprocess.run(['umount', '-q', d.try_mnt])
            subprocess.run(['losetup', '-d', loop])

    def all(self):
        """self.disk.base grows to what has been flushed"""
        open_, told, started = [], Told(), False
        for number, (op, off, data) in enumerate(self.disk.records()):
            if op == FLUSH:
                put(self.disk.base, open_)
                open_ = []
            elif op == MARK and data == b'start':
                started = True
            elif op == MARK and data != b'end':
                told.hear(data.decode())
            elif op == WRITE:
                open_ += pieces(off, data)
            if not started or op == FLUSH:
                continue
            self.look(told, [], f'record {number}, nothing of {len(open_)}')
            if not open_:
                continue
            self.look(told, open_, f'record {number}, all of {len(open_)}')
            for _ in range(SAMPLES):
                self.look(told, [w for w in open_ if self.rnd.random() < 0.5], f'record {number}, some of {len(open_)}')


def reordered(kind):
    if not ALL:
        raise Skip('only with MERPATI_CUTS=all')
    if os.getuid():
        raise Skip('needs root')
    for need in ('mkfs.' + kind, 'fusermount3', 'pkg-config', 'cc'):
        if not shutil.which(need):
            raise Skip(need + ' is not installed')
    disk = Disk(kind)
    sink = Sink(reply_of(disk))
    i = None
    try:
        disk.begin()
        i = Instance(directory=disk.mnt, users=MANY, main=f'relayhost = [127.0.0.1]:{sink.port}\nmessage_size_limit = 2M\nminimal_backoff_time = 1h\n'
                     'delay_warning_time = 1s\nwatchdog_timeout = 0\n')
        i.start()
        sh('sync', '-f', disk.mnt)
        disk.mark('start')
        work(disk, i, sink)
        i.stop()
        disk.end()
        images = Images(disk)
        images.all()
        print(f'# {kind}: {images.n} images, {len(images.bad)} wrong, {images.unmountable} not mountable (seed {SEED})', flush=True)
        check(not images.bad, f'{len(images.bad)} of {images.n} images: {images.bad[:4]}')
        check(not images.unmountable, f'{images.unmountable} of {images.n} cannot be mounted')
    finally:
        if i:
            i.own = False
            i.close()
        sink.close()
        disk.close()


@test
def block_writes_in_any_order_on_ext4(): reordered('ext4')


@test
def block_writes_in_any_order_on_xfs(): reordered('xfs')


if __name__ == '__main__':
    main()
