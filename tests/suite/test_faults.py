#!/usr/bin/env python3
"""Every file call of the durable paths fails once: no space, an I/O error, a read-only disk, no descriptor, a write cut short, a
sync of two seconds (rows 176 to 183, 192 at every N). (release build only)

One message travels while the N-th call of one daemon goes wrong. The reply is 250, or 452 for want of space and 451 for the
rest; what got 250 arrives whole and once, what did not does not arrive; the next message goes through at once, and nobody restarts anything.

MERPATI_FAULTS=all plays every N of every fault; the default takes them in turn."""
import errno, pwd, re, smtplib
from faults import *
from sink import Sink

ALL = os.environ.get('MERPATI_FAULTS') == 'all'
EVERY = 1 if ALL else 6                 # of the points; each run of the small set begins at another one
SEED = int(os.environ.get('MERPATI_SEED', time.time()))
FAULTS = [
    ('ENOSPC', ERROR, errno.ENOSPC, mask_of('create write fsync rename link mkdir truncate')),
    ('EIO', ERROR, errno.EIO, mask_of('open create opendir read write fsync rename link unlink mkdir truncate utimes')),
    ('EROFS', ERROR, errno.EROFS, mask_of('open create rename link unlink mkdir utimes chmod')),
    ('EMFILE', ERROR, errno.EMFILE, mask_of('open create opendir')),
    ('short', SHORT, 0, mask_of('write')),
    ('slow', SLOW, 0, mask_of('fsync')),
]
BODY = 'a line of the message\r\n' * 60


class World:
    """an instance, and a server that says what the recipient's name asks for"""
    def __init__(self, main, user=None):
        self.user, self.kind = user, {}
        self.sink = Sink(self.reply)
        self.accept_all = False
        self.i = Instance(main=f'recipient_delimiter = +\nrelayhost = [127.0.0.1]:{self.sink.port}\nminimal_backoff_time = 1h\nmaximal_backoff_time = 1h\n{main}')
        self.i.run('quota', 'set', '@' + DOMAIN, '1G')
        self.i.start()

    def reply(self, verb, arg):
        if verb != 'RCPT':
            return None
        name = re.match(r'TO:<([^@]+)', arg)[1]
        refused = {'later': b'450 4.7.1 later\r\n', 'bad': b'550 5.1.1 no\r\n'}.get(name.split('-')[0])
        return None if self.accept_all else refused

    def send(self, mark, to, sender='x@y.example', body=BODY):
        """the code"""
        try:
            with smtplib.SMTP('127.0.0.1', self.i.port('smtp'), timeout=30) as s:
                s.sendmail(sender, to, f'Subject: {mark}\r\n\r\n{body}end of {mark}\r\n')
            return 250
        except smtplib.SMTPDataError as e:
            return e.smtp_code
        except smtplib.SMTPRecipientsRefused as e:
            return list(e.recipients.values())[0][0]

    def texts(self, who):
        return [open(p, errors='replace').read() for p in self.i.mails(who)]

    def local_copies(self, mark):
        texts = [t for t in self.texts('bob') if f'Subject: {mark}\n' in t]
        check(all(t.endswith(f'end of {mark}\n') for t in texts), f'{mark} is not whole')
        return len(texts)

    def told(self, mark, action='failed'):
        return sum(f'Subject: {mark}\n' in t and f'Action: {action}' in t for t in self.texts('alice'))

    def where(self, id_):
        return [d for d in ('incoming', 'queue', 'hold', 'corrupt') for _, _, fs in os.walk(f'{self.i.root}/spool/{d}') if id_ in fs]

    def deferred(self, name, sender='x@y.example'):
        """a message that waits; its id"""
        check(self.send(name, [f'later-{name}@far.test'], sender) == 250, 'not accepted')
        line = lambda: [l for l in self.i.tool('postqueue', '-j').stdout.decode().splitlines() if f'later-{name}@' in l and '"deferred"' in l]
        check(wait(line, 10), f'{name} does not wait')
        return re.search(r'"queue_id": ?"(\w+)', line()[0])[1]

    def order(self, *args):
        return self.i.tool('postsuper', *args).returncode == 0

    def taken(self, name):
        return sum(f'TO:<{name}@' in r for rcpts, _ in self.sink.taken for r in rcpts)

    def in_mbox(self, mark):
        try:
            text = open(pwd.getpwnam(self.user).pw_dir + '/mbox').read()
        except FileNotFoundError:
            return 0
        check(not text or text.startswith('From '), 'the mbox begins with a part of a message')
        parts = re.split(r'(?m)^From ', text)[1:]
        check(all(re.search(r'^end of \S+\n\n', p, re.M) for p in parts), 'a part of a message in the mbox')
        return sum(f'Subject: {mark}\n' in p for p in parts)

    def empty(self):
        """retry what waits; True when nothing does"""
        left = [p for p in self.i.queue() if not p.rsplit('/', 1)[1].startswith('.')]
        if left:
            self.i.tool('postqueue', '-f')
        return not left


class Path:
    """act: one message, its code; copies: how often it is there, none while it waits; prepare: before anything fails; after: when nothing does any more"""
    daemons, most = ('intake', 'qmgr', 'local'), 1
    def prepare(self, w, mark): pass
    def after(self, w, mark): pass
    def ready(self, w, mark): return True       # to be tried again
    def act(self, w, mark): return w.send(mark, ['bob@' + DOMAIN])
    def copies(self, w, mark): return w.local_copies(mark)
    expected, later, but = 1, False, ''        # later: its server takes more at the second attempt; but: calls that are left out
    through = True                             # what fails may be anything up to the end of the message, not of the act alone


class Queue(Path):
    """into a mailbox with a limit"""


class Several(Queue):
    """into six places at once, synced together"""
    daemons, expected, most = ('local',), 6, 6
    def act(self, w, mark): return w.send(mark, [f'bob{x}@{DOMAIN}' for x in ('', '+a', '+b', '+c', '+d', '+e')])


class Direct(Queue):
    daemons = ('intake', 'local')


class LargeDirect(Direct):
    """written while it comes; what goes wrong later than that takes it out of the mailbox again, into the queue"""
    def act(self, w, mark): return w.send('large-' + mark, ['bob@' + DOMAIN], body=BODY * 500)
    def copies(self, w, mark): return w.local_copies('large-' + mark)


class Mark(Path):
    """one of two recipients has its copy, the other one is tried again later: a second copy only where its mark was refused"""
    daemons, expected, most, later = ('qmgr',), 2, 3, True
    def act(self, w, mark): return w.send(mark, [f'later-{mark}@far.test', f'good-{mark}@far.test'])
    def ready(self, w, mark): return w.taken(f'good-{mark}') > 0

    def copies(self, w, mark):
        n = [w.taken(f'{r}-{mark}') for r in ('later', 'good')]
        return sum(n) if all(n) else 0


class Bounce(Path):
    daemons, most = ('qmgr', 'intake', 'bounce'), 2
    def act(self, w, mark): return w.send(mark, ['bad@far.test'], 'alice@' + DOMAIN)
    def copies(self, w, mark): return w.told(mark)


class Mbox(Path):
    """a lock file that cannot be removed holds up this mbox until it is stale, as one of any other program does"""
    but = 'unlink'
    daemons = ('local',)
    def act(self, w, mark): return w.send(mark, [w.user + '@localhost'])
    def copies(self, w, mark): return w.in_mbox(mark)


class Order(Path):
    """an order of the operator to a message that waits: answered, it holds; not answered, it is done or not, and nothing else"""
    daemons, later, through = ('qmgr',), True, False

    def __init__(self): self.id, self.done = {}, {}
    def prepare(self, w, mark): self.id[mark] = w.deferred(mark)
    def act(self, w, mark): self.done[mark] = w.order(self.option, self.id[mark]); return 250
    def copies(self, w, mark): return w.taken('later-' + mark)

    def after(self, w, mark):
        at = w.where(self.id[mark])
        check(at == [self.to] or not self.done[mark] and at in (['queue'], ['hold']), f'answered: {self.done[mark]}, lies in {at}')
        check(at != ['hold'] or w.order('-H', self.id[mark]), 'it cannot be released')


class Hold(Order):
    option, to = '-h', 'hold'


class Release(Order):
    option, to = '-H', 'queue'

    def prepare(self, w, mark):
        super().prepare(w, mark)
        check(w.order('-h', self.id[mark]), 'not held')


class Requeue(Order):
    option, to = '-r', 'queue'


class Delete(Order):
    option = '-d'
    def gone(self, w, mark): return not w.where(self.id[mark])
    def after(self, w, mark): check(self.gone(w, mark) or not self.done[mark], 'deleted, and it is there')
    def copies(self, w, mark): return int(self.gone(w, mark) and not (self.done[mark] and w.taken('later-' + mark)))


class Warn(Order):
    """a warning of a delay, and the message itself later: a second warning where the mark of the first one was refused"""
    daemons, expected, most = ('qmgr', 'intake', 'bounce'), 2, 3

    def prepare(self, w, mark):
        w.deferred(mark, 'alice@' + DOMAIN)
        time.sleep(1.1)

    def act(self, w, mark): w.i.tool('postqueue', '-f'); return 250
    def after(self, w, mark): check(wait(lambda: self.ready(w, mark), 10, 0.1), 'nobody is warned')
    def copies(self, w, mark): return w.told(mark, 'delayed') + w.taken('later-' + mark)

    def ready(self, w, mark):
        if not w.told(mark, 'delayed'):
            w.i.tool('postqueue', '-f')
        return w.told(mark, 'delayed')


class Expire(Bounce):
    """the same report, of a message that is too old"""
    def act(self, w, mark): return w.send(mark, ['later@far.test'], 'alice@' + DOMAIN)


def settled(p, w, mark):
    wait(lambda: p.ready(w, mark), 3, 0.01)
    w.accept_all = p.later
    ok = wait(lambda: w.empty() and p.copies(w, mark) >= p.expected, 20, 0.03)
    w.accept_all = False
    return ok


def undisturbed(p, w, mark):
    p.prepare(w, mark)
    code = p.act(w, mark)
    p.after(w, mark)
    return code


def record(p, w, daemon):
    """(op, ...) of one message, when everything is warm"""
    warm, mark = f'warm-{type(p).__name__}-{daemon}', f'record-{type(p).__name__}-{daemon}'
    check(undisturbed(p, w, warm) == 250 and settled(p, w, warm), 'it does not work')
    p.prepare(w, mark)
    shim.arm(daemon, RECORD, FILE_CALLS)
    check(p.act(w, mark) == 250 and wait(lambda: p.ready(w, mark), 10) and (not p.through or settled(p, w, mark)), 'it does not work')
    ops = shim.noted()
    shim.off()
    p.after(w, mark)
    check(settled(p, w, mark), 'it does not work')
    return ops


def one(p, w, daemon, fault, at):
    """one fault; gives the code, or None when it was not met"""
    name, mode, err, mask = fault
    mark = f'{type(p).__name__}-{daemon}-{name}-{at}-{w.n}'
    p.prepare(w, mark)
    shim.arm(daemon, mode, mask, at, err, 2000)
    code = p.act(w, mark)
    if code == 250:
        wait(lambda: p.ready(w, mark) or shim.o.hit, 3, 0.01)
    if code == 250 and p.through:
        w.accept_all = p.later
        wait(lambda: shim.o.hit or (w.empty() and p.copies(w, mark) >= p.expected), 3, 0.01)
        w.accept_all = False
    hit = shim.o.hit
    op = mark + (': met' if hit else ': not met')
    check(code == 250 or code == (452 if name == 'ENOSPC' else 451), f'{op}: the reply is {code}')
    shim.off()
    p.after(w, mark)
    check(undisturbed(p, w, mark + '-next') == 250, f'{op}: the next message is refused')
    if code == 250:
        check(settled(p, w, mark), f'{op}: LOST or stuck, {p.copies(w, mark)} copies, {len(w.i.queue())} in the queue')
    check(settled(p, w, mark + '-next'), f'{op}: the next message does not arrive, {len(w.i.queue())} left')
    n = p.copies(w, mark)
    check(n <= (p.most if code == 250 else 0), f'{op}: {n} copies, answered {code}')
    check(p.copies(w, mark + '-next') == p.expected, f'{op}: {p.copies(w, mark + "-next")} copies of the next message')
    check(not os.listdir(w.i.root + '/spool/corrupt'), f'{op}: a damaged file')
    w.doubled += n > p.expected
    return code if hit else None


def all_faults(p, w):
    w.n = w.doubled = 0
    met, codes, bad = 0, {}, []
    for daemon in p.daemons:
        ops = record(p, w, daemon)
        check(ops, f'{daemon} makes no file call, or the shim was not loaded')
        faults = [(name, mode, err, mask & ~mask_of(p.but)) for name, mode, err, mask in FAULTS if ALL or name != 'slow']
        points = [(f, at + 1) for f in faults for at in range(sum(1 for o in ops if f[3] >> OPS.index(o) & 1))]
        for f, at in points[SEED % EVERY::EVERY]:
            w.n += 1
            try:
                code = one(p, w, daemon, f, at)
            except Failed as e:
                among = [o for o in ops if f[3] >> OPS.index(o) & 1]
                bad.append(f'{e} ({among[at - 1]})')
                print('# ' + bad[-1], flush=True)
                shim.off()
                wait(w.empty, 10, 0.1)
                continue
            if code:
                met += 1
                codes[code] = codes.get(code, 0) + 1
    check(not bad, f'{len(bad)} of {w.n} faults were not met well: {bad[:3]}')
    print(f'# {type(p).__name__}: {w.n} faults, {met} met at {", ".join(p.daemons)}; answered '
          f'{", ".join(f"{n} x {c}" for c, n in sorted(codes.items()))}; 0 lost, 0 torn, {w.doubled} second copies (seed {SEED})', flush=True)


def play(main, paths, user=None):
    if not shim:
        raise Skip('the shim was not built')
    w = World(main, user)
    try:
        for p in paths:
            all_faults(p(), w)
        log = [l for l in w.i.log().splitlines() if re.search(r'SIGSYS|signal \d|assert|died|ended with', l)]
        check(not log, f'a process died: {log[:3]}')
    finally:
        shim.off()
        w.sink.close()
        w.i.close()


@test
def every_call_of_a_direct_delivery_may_fail():
    play('direct_delivery = yes\n', [Direct, LargeDirect])


@test
def every_call_of_the_queue_may_fail():
    with system_user() as pw:
        play('direct_delivery = no\nhome_mailbox = mbox\n', [Queue, Several, Mark, Bounce, Mbox, Hold, Delete] + ([Release, Requeue] if ALL else []), pw.pw_name)


@test
def every_call_of_a_warning_may_fail():
    if not ALL:
        raise Skip('only with MERPATI_FAULTS=all')
    play('delay_warning_time = 1s\n', [Warn])


@test
def every_call_of_the_report_of_an_old_message_may_fail():
    if not ALL:
        raise Skip('only with MERPATI_FAULTS=all')
    play('maximal_queue_lifetime = 0\n', [Expire])


main()
