#!/usr/bin/env python3
"""No memory, a wrong clock, a log that cannot be written, no new processes, reloads and new programs under load (rows 179,
187, 188, 191). (release build only)

MERPATI_ALL=1 plays every allocation, and as many reloads as the table says."""
import errno, re, resource, smtplib, subprocess
from faults import *
from abuse import ALL
from load import Load, kill
from sink import Sink

BODY = 'a line of the message\r\n' * 60
RELOADS = 1000 if ALL else 15
POINTS = 0 if ALL else 2                # allocations of each daemon that fail; 0: all
YEAR = 365 * 86400


def need_shim():
    if not shim:
        raise Skip('the shim was not built')
    if os.getuid():
        raise Skip('needs root')


def send(i, mark, to=('bob@' + DOMAIN,), sender='x@y.example'):
    """the code; 0: the connection was lost"""
    try:
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
            s.sendmail(sender, list(to), f'Subject: {mark}\r\n\r\n{BODY}end of {mark}\r\n')
        return 250
    except smtplib.SMTPResponseException as e:
        return e.smtp_code
    except (OSError, smtplib.SMTPException):
        return 0


def copies(i, mark, who='bob'):
    texts = [open(p, errors='replace').read() for p in i.mails(who)]
    texts = [t for t in texts if f'Subject: {mark}\n' in t]
    check(all(t.endswith(f'end of {mark}\n') for t in texts), f'{mark} is torn')
    return len(texts)


def arrives(i, mark, secs=20):
    def there():
        n = copies(i, mark)
        if not n:
            i.tool('postqueue', '-f')
        return n
    return wait(there, secs, 0.1)


def honest(i, mark, why):
    """within some seconds: a process that fails as soon as it has started is started again after 2, 4 ... s"""
    check(wait(lambda: send(i, mark) == 250, 40, 0.3), f'{why}: no mail is taken any more')
    check(arrives(i, mark, 40), f'{why}: no mail arrives any more')


# ---- no memory

def allocations(i, daemon):
    shim.arm(daemon, RECORD, mask_of('malloc'))
    check(send(i, f'count-{daemon}') == 250 and arrives(i, f'count-{daemon}'), 'it does not work')
    shim.off()
    return shim.o.count


@test
def row_179_an_allocation_that_fails():
    need_shim()
    with Instance(main='direct_delivery = no\n') as i:
        honest(i, 'warm', 'at the start')
        for daemon in ('intake', 'qmgr', 'local'):
            n = allocations(i, daemon)
            check(n > 3, f'{daemon}: {n} allocations, or the shim was not loaded')
            for at in range(1, n + 1) if not POINTS else [1 + n * k // POINTS for k in range(POINTS)]:
                mark = f'{daemon}-{at}'
                shim.arm(daemon, ERROR, mask_of('malloc'), at, errno.ENOMEM)
                code = send(i, mark)
                check(code in (0, 250) or 400 <= code < 500, f'{mark}: {code}')
                check(code != 250 or arrives(i, mark, 40), f'{mark}: LOST')
                shim.off()
                honest(i, mark + '-next', mark)
                check(copies(i, mark) <= (2 if daemon == 'intake' else 1), f'{mark}: {copies(i, mark)} copies')
        check('SIGSEGV' not in i.log() and 'signal 11' not in i.log(), 'a process did not see that there was none')


# ---- a wrong clock

@test
def row_187_the_clock_jumps():
    """those who wait for a dead server are neither returned nor tried in a hurry, new mail arrives at once, and back again"""
    need_shim()
    sink = Sink(lambda verb, arg: b'450 4.7.1 later\r\n' if verb == 'RCPT' else None)
    shim.o.shift = 0
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n') as i:
        for n in range(5):
            check(send(i, f'wait{n}', ['far@far.test'], 'alice@' + DOMAIN) == 250, 'not taken')
        check(wait(lambda: i.log().count('status=deferred') == 5, 20), 'they are not deferred')
        for name, shift in (('an hour ahead', 3600), ('an hour back', -3600), ('ten years ahead', 10 * YEAR), ('1970', 3600 - int(time.time()))):
            shim.o.shift = shift
            for way, to in (('direct', ['bob@' + DOMAIN]), ('queue', ['bob@' + DOMAIN, 'alice@' + DOMAIN])):
                mark = f'{name.replace(" ", "-")}-{way}'
                t = time.monotonic()
                check(send(i, mark, to) == 250, f'{mark}: not taken')
                check(wait(lambda: copies(i, mark), 20), f'{mark}: does not arrive')
                check(time.monotonic() - t < 10, f'{mark}: {time.monotonic() - t:.0f} s')
            shim.o.shift = 0
            mark = name.replace(' ', '-') + '-back'
            check(send(i, mark, ['bob@' + DOMAIN, 'alice@' + DOMAIN]) == 250 and wait(lambda: copies(i, mark), 20), f'{mark}: does not arrive')
        check(wait(lambda: len(i.queue()) == 5), f'{len(i.queue())} of 5 wait')       # the last one has arrived, and may be about to leave
        check(i.log().count('status=deferred') < 5 * 6, 'they were tried all the time')
        check('status=bounced' not in i.log() and not any('Action:' in open(p, errors='replace').read() for p in i.mails('alice')), 'mail was returned')
    sink.close()


# ---- a log that cannot be written

@test
def row_188_the_disk_of_the_log_is_full():
    need_shim()
    i = Instance()
    at = i.root + '/log'
    os.makedirs(at, exist_ok=True)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'none', at], check=True)
    try:
        i.start()
        honest(i, 'before', 'at the start')
        fd = os.open(at + '/junk', os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(fd, b'x' * 4096)
        except OSError:
            os.close(fd)
        for n in range(30):
            check(send(i, f'full{n}') == 250, 'refused for want of a log')
        check(wait(lambda: all(copies(i, f'full{n}') for n in range(30)), 20), 'mail does not arrive')
        os.unlink(at + '/junk')
        honest(i, 'after', 'with room again')
        check(wait(lambda: 'to=<bob@' in i.log().splitlines()[-1] or i.log().count('to=<bob@') >= 2, 10), 'nothing is logged any more')
    finally:
        i.stop()
        wait(lambda: subprocess.run(['umount', at], stderr=subprocess.DEVNULL).returncode == 0, 10, 0.2)
        i.close()


# ---- processes

@test
def row_191_no_new_process():
    """master may have no more children: mail is taken and waits, nobody spins; then it goes on by itself"""
    need_shim()
    with Instance(main='direct_delivery = no\n') as i:
        honest(i, 'before', 'at the start')
        was = resource.prlimit(i.master(), resource.RLIMIT_NPROC)
        resource.prlimit(i.master(), resource.RLIMIT_NPROC, (0, was[1]))
        kill(i, 'local')
        starts = i.log().count('\n')
        check(send(i, 'waits') == 250, 'not taken')
        check(wait(lambda: i.log().count('\n') > starts, 5), 'nothing is told')
        time.sleep(2)
        told = i.log().count('\n') - starts
        check(told < 60, f'{told} lines of the log in 2 s')
        check(not copies(i, 'waits'), 'the limit does not bind')
        resource.prlimit(i.master(), resource.RLIMIT_NPROC, was)
        check(arrives(i, 'waits', 60), 'LOST')
        honest(i, 'after', 'with processes again')


def replace_programs():
    """as a package does it: each by a rename"""
    where = f'{shim.build}/libexec/merpati'
    for name in os.listdir(where):
        shutil.copy2(f'{where}/{name}', f'{where}/{name}.new')
        os.rename(f'{where}/{name}.new', f'{where}/{name}')


def running_old(i):
    """daemons whose program has been replaced; keyd and qmgr stay over a reload"""
    old = set()
    for p, name in i.processes().items():
        try:
            if p != i.master() and os.readlink(f'/proc/{p}/exe').endswith('(deleted)'):
                old.add(name)
        except FileNotFoundError:
            pass
    return old


@test
def row_191_reloads_and_new_programs_under_load():
    need_shim()
    with Instance() as i:
        load = Load(i, pause=0.01)
        for n in range(RELOADS):
            if n % 5 == 4:
                replace_programs()
            i.run('reload')
        load.end()
        check(wait(lambda: not i.queue(), 60, 0.2), f'{len(i.queue())} wait')
        found = {}
        for p in i.mails('bob'):
            m = re.search(r'^Subject: (mark\d+x)$', open(p, errors='replace').read(2000), re.M)
            found[m[1]] = found.get(m[1], 0) + 1
        lost = load.acked - set(found)
        check(load.acked and not lost, f'{len(lost)} of {len(load.acked)} acknowledged messages are lost')
        check(all(n == 1 for n in found.values()), f'{sum(n > 1 for n in found.values())} came twice')
        check(wait(lambda: running_old(i) <= {'keyd', 'qmgr'}, 20, 0.2), f'still run what was replaced: {running_old(i)}')
        print(f'# {RELOADS} reloads, {len(load.acked)} acknowledged, 0 lost')


if __name__ == '__main__':
    main()
