#!/usr/bin/env python3
"""Few who hold what many need: slow senders, silent local users, stopped processes (rows 61, 172, 185, 190, 201)."""
import random, re, signal, struct, subprocess, time
import abuse
from abuse import *

I = abuse.start('queue_minfree = 1\nsmtpd_peername_lookup = no\n', launch=False)
NARROW = I.base + 26            # a service with room for few: twice ten
with open(I.conf + '/master.cf', 'a') as f:
    f.write(f'{NARROW} inet n - y - 2-2 smtpd\n  -o smtpd_worker_connections=10\n  -o smtpd_stress_timeout=1s\n')
I.start()
US = DOMAIN.encode()
SLOW = []                       # clients in the middle of a large message


def send_one(src='127.0.2.9', text=b'Subject: honest\r\n\r\nx\r\n'):
    """seconds until an honest message is acknowledged"""
    watch = Watch()
    with Client(src=src, timeout=70) as c:
        c.envelope('alice')
        c.send(text)
        c.expect(b'.', '250')
    return watch.secs()


@row
def row_061_slow_data():
    clients = [in_mode(tls, 0, timeout=40).envelope() for tls in (False, True)]
    begin = time.monotonic()
    while time.monotonic() - begin < 35 and any([c.send(b'x') for c in clients]):
        time.sleep(0.5)
    check(19 < time.monotonic() - begin < 32, f'cut off after {time.monotonic() - begin:.0f} s')
    for c in clients:
        check(c.reply().startswith(b'421'), 'the last word')
        c.s.close()


@row(slow=2)
def row_201_slow_senders_of_large_messages():
    """more than there are links to intake, each with more than smtpd keeps by itself, each above the least rate"""
    held = []
    for n in range(120):
        c = Client(src=f'127.0.9.{1 + n // 40}').envelope()
        c.send(b'Subject: slow\r\n\r\n' + b'x' * 70 * 1024 + b'\r\n')
        held.append(c)
    took = []
    for _ in range(5):
        for c in held:
            c.send(b'y' * 600)
        took.append(send_one())
        time.sleep(0.3)
    check(max(took) < 2, f'an honest message waited {max(took):.1f} s')
    big = send_one(text=b'Subject: big\r\n\r\n' + b'z' * 300000 + b'\r\n')
    print(f'# {len(held)} slow senders: a small message takes {max(took):.2f} s, one of 300 KB {big:.2f} s')
    check(big < 5, f'an honest large message waited {big:.1f} s')
    for c in held[20:]:
        c.s.close()
    SLOW.extend(held[:20])


@test
def row_201_all_intakes_die_meanwhile():
    """what is kept of their messages is whole, and goes to the next intake"""
    before = set(I.mails('bob'))
    pids = [p for p, n in I.processes().items() if n == 'intake']
    for p in pids:
        send_signal(p, signal.SIGKILL)
    check(wait(lambda: all(f'intake[{p}] was ended' in I.log() for p in pids)), 'their end is not told')
    took = 0
    for n, c in enumerate(SLOW):
        c.send(b'%d\r\n.\r\n' % n)
        r = c.reply()
        took += r.startswith(b'250')
        check(r.startswith((b'250', b'451')), r)
        c.s.close()
    check(took > 0, 'none of them was kept')
    wait(lambda: len(set(I.mails('bob')) - before) >= took)
    want = {b'x' * 70 * 1024 + b'\n' + b'y' * 3000 + b'%d\n' % n for n in range(len(SLOW))}
    got = [body_of(open(f, 'rb').read()) for f in set(I.mails('bob')) - before]
    check(len(got) == took and len(set(got)) == took and set(got) <= want, f'{len(got)} messages for {took} answers, or not as they were sent')


def hold(n, src='127.0.9.7'):
    """n clients that say nothing"""
    out = []
    for _ in range(n):
        s = socket.socket()
        s.settimeout(20)
        s.bind((src, 0))
        s.connect(('127.0.0.1', NARROW))
        out.append(s)
    return out


def is_open(s):
    """false: it has been sent away"""
    s.setblocking(False)
    try:
        while d := s.recv(4096):
            if b'421 4.3.2' in d:
                return False
        return False
    except BlockingIOError:
        return True


@row
def row_062_idle_when_there_is_no_room():
    held = hold(17)
    for s in held:
        check(s.recv(4) == b'220 ', 'greeted')
    time.sleep(2.5)
    check(all(is_open(s) for s in held), 'there is room in the other process, but somebody is sent away')
    held += hold(3)
    check(wait(lambda: sum(map(is_open, held)) < 18, 10), 'nobody goes')
    check(any(is_open(s) for s in held), 'all go')
    held += hold(40, '127.0.9.8')
    watch = Watch()
    s = hold(1, '127.0.9.9')[0]
    s.settimeout(20)
    check(s.recv(4) == b'220 ', 'an honest client is greeted')
    check(watch.secs() < 8, f'after {watch.secs():.1f} s')
    for s in held + [s]:
        s.close()


# ---- the sockets that every local user may open

def public(name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(f'{I.root}/run/public/{name}')
    s.settimeout(10)
    return s


def packet(name, data):
    """one packet on a connection of its own; what the server says"""
    s = public(name)
    s.settimeout(0.5)
    try:
        s.send(data)
        return s.recv(65536)
    except (ConnectionError, TimeoutError, BrokenPipeError):
        return b''
    finally:
        s.close()


def field(tag, data):
    return bytes([tag]) + struct.pack('<I', len(data)) + data


KINDS = re.findall(r'^MSG\((\w+)', open(TOP + '/lib/service/messages.def').read(), re.M)
BEGUN = struct.pack('<H', KINDS.index('MAIL')) + field(1, b'a@b.example') + field(11, b'')     # and no end


@row
def row_172_garbage_on_public_sockets():
    rnd = random.Random(172)
    for name in ('submit', 'qmgr'):
        for data in [b'\0', b'\xff' * 100, struct.pack('<IIII', 0xffffffff, 0, 1, 2), b'x' * 100000] + [rnd.randbytes(rnd.randrange(1, 300)) for _ in range(30)]:
            packet(name, data)
        for n in range(100 if SANITIZED else 1000):
            public(name).close()
    held = [public('qmgr') for _ in range(100)]
    check(I.tool('sendmail', 'alice@' + DOMAIN, input=b'Subject: x\n\nx\n').returncode == 0, 'sendmail meanwhile')
    for s in held:
        s.close()


@row
def row_202_a_slow_program_writes_to_sendmail():
    """one whose message is taken; one whose message is refused long before its end, and the link to the queue closed: it is told why"""
    before = len(I.mails('alice'))
    body, loop = ('x' * 70 + '\n') * 3000, 'Received: x\n' * 100
    slow = [subprocess.Popen([BIN + '/sendmail', 'alice@' + DOMAIN], env=dict(os.environ, MERPATI_CONF=I.conf), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    for p, head in zip(slow, ('', loop)):
        p.stdin.write(f'Subject: slow\n{head}\n{body}')
        p.stdin.flush()
    time.sleep(12)
    said = [p.communicate(body, timeout=40)[0] for p in slow]
    check(slow[0].returncode == 0, said[0])
    check('too many hops' in said[1] and slow[1].returncode not in (0, 75), f'{slow[1].returncode} {said[1]}')
    I.wait_mails('alice', before + 1)


@row(slow=2)
def row_203_local_users_hold_every_process_for_them():
    """more links than there are processes for sendmail(1), each with a message that is begun and never goes on"""
    held = []
    for _ in range(40):
        s = public('submit')
        s.send(BEGUN)
        held.append(s)
    time.sleep(1)
    took = send_one()
    check(took < 1, f'a message by SMTP waited {took:.1f} s for {len(held)} silent local users')
    for s in held:
        s.close()


# ---- processes that hang

@row(slow=5)
def row_185_a_stopped_worker():
    for name in ('smtpd', 'intake'):
        time.sleep(7)           # links that are not used have gone back
        stopped = [p for p, n in I.processes().items() if n == name]
        if name == 'smtpd':
            ports = {p: open(f'/proc/{p}/cmdline').read() for p in stopped}
            stopped = [p for p in stopped if 'smtpd_submission' not in ports[p]]
        for p in stopped:
            send_signal(p, signal.SIGSTOP)
        try:
            took = send_one(src='127.0.2.10')
            check(took < 6, f'{took:.1f} s with every {name} stopped')
        finally:
            for p in stopped:
                send_signal(p, signal.SIGCONT)


@row
def row_190_two_masters():
    r = subprocess.run([f'{BIN}/../libexec/merpati/master', '-c', I.conf], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
    check(r.returncode != 0, f'a second master runs: {r.stdout}')
    send_one()


try:
    main()
finally:
    I.close()
