#!/usr/bin/env python3
"""Hostile logins over SMTP: the exchange itself, guessing, and exchanges that are never finished (rows 84 to 96)."""
import base64, hashlib, hmac, itertools, re, statistics, time
import abuse
from abuse import *

I = abuse.start('auth_cache_ttl = 0s\n', launch=False)
IN_THE_CLEAR = I.base + 26          # as submission, but a login needs no TLS
with open(I.conf + '/master.cf', 'a') as f:
    f.write(f'{IN_THE_CLEAR} inet n - y - 1-2 smtpd\n  -o smtpd_sasl_auth_enable=yes\n  -o smtpd_tls_auth_only=no\n  -o smtpd_tls_security_level=may\n')
I.start()
A = 'alice@' + DOMAIN
NUMBERS = itertools.count()


def b64(x):
    return base64.b64encode(x if isinstance(x, bytes) else x.encode())


PLAIN = b'AUTH PLAIN ' + b64(f'\0{A}\0pw-alice')


def login(src=None, tls=True, port='submission', piece=0):
    """a connection to submission that may say AUTH; each from another address, for failures of one are answered ever later"""
    n = next(NUMBERS)
    c = Client(port, src=src or f'127.{n // 60000}.{8 + n // 250 % 240}.{1 + n % 250}', piece=piece)
    c.expect(b'EHLO x', '250')
    if tls:
        c.tls().expect(b'EHLO x', '250')
    return c


def login_in(mode):
    tls, piece = mode
    return login(tls=tls, port='submission' if tls else IN_THE_CLEAR, piece=piece)


def logins():
    """in four modes"""
    for mode in MODES:
        with login_in(mode) as c:
            yield c


def honest_login(src='127.0.2.9'):
    begin = time.monotonic()
    with login(src) as c:
        c.expect(PLAIN, '235')
    return time.monotonic() - begin


@row
def row_084_bad_base64():
    bad = [b'x', b'=====', b'AGFs aWNl', b'AGFsaWNl\tAHB3', b'A' * 4097, b'@@@@', b'AA=A', b'\xff' * 8]
    odd = [b'', b'alice', b'\0alice', b'\0a\0b\0c', b'\0' * 1000, b'\0\0', b'\0\0\0', b'\0' + A.encode() + b'\0', b'\0' + b'u' * 2000 + b'\0p']
    for n in range(0, len(bad), 4):
        with login() as c:
            for x in bad[n:n + 4]:
                c.expect(b'AUTH PLAIN ' + x, '501')
                c.expect(b'AUTH PLAIN', '334')
                c.expect(x, '501')
            c.expect(PLAIN, '235')
    for n in range(0, len(odd), 4):
        with login() as c:
            for x in odd[n:n + 4]:
                c.expect(b'AUTH PLAIN ' + (b64(x) or b'='), '501', '535')
            c.expect(PLAIN, '235')
    with login() as c:
        c.expect(b'AUTH PLAIN ' + b'A' * 12200, '501', '535', '500')
        c.expect(b'AUTH PLAIN ' + b'A' * 20000, '500')
        c.expect(b'AUTH PLAIN', '334')
        c.expect(b'A' * 20000, '500', '501')
        c.expect(PLAIN, '235')


@row
def row_085_gone_at_every_step():
    steps = ((b'AUTH PLAIN',), (b'AUTH LOGIN',), (b'AUTH LOGIN', b64(A)), (b'AUTH SCRAM-SHA-256 ' + b64('n,,n=alice,r=abc'),))
    rounds = 100000 // len(steps) if ALL else 40 if SANITIZED else 200
    before = rss('auth')
    for n in range(rounds):         # a handshake and a password's hash take the tester longer than all the rest: now and then
        tls = n % 20 == 0
        for one in steps + ((PLAIN,),) * tls:
            c = login_in((tls, n // 2 % 2))
            for s in one[:-1]:
                c.cmd(s)
            c.send(one[-1] + b'\r\n')
            if n % 2:
                c.reply()
            c.s.close()
    check(honest_login() < 3, 'a login waits')
    check(SANITIZED or rss('auth') - before < 8 << 20, f'auth grew by {rss("auth") - before}')


@row
def row_086_cancel_and_empty():
    for c in logins():
        for mech in (b'PLAIN', b'LOGIN'):
            c.expect(b'AUTH ' + mech, '334')
            c.expect(b'*', '501')
        c.expect(b'AUTH LOGIN', '334')
        c.expect(b'', '334', '501', '535')
        c.expect(b'*', '501', '500')
        c.expect(b'AUTH PLAIN =', '501', '535')
        c.expect(PLAIN, '235')


@row
def row_087_every_mechanism_zero_and_too_long():
    for mech in (b'PLAIN', b'LOGIN', b'SCRAM-SHA-256', b'SCRAM-SHA-1'):
        for data in (b'=', b64('x' * 6000), b64('x' * 8000), b64('\0' * 100), b64('n,,n=,r='), b64('n,,')):
            with login() as c:
                c.expect(b'AUTH ' + mech + b' ' + data, '501', '535', '334')
    for mech in (b'NTLM', b'RPA', b'GSSAPI', b'CRAM-MD5', b'DIGEST-MD5', b'ANONYMOUS', b'EXTERNAL', b'X' * 300, b'PLAIN\xff', b'OAUTHBEARER', b'SCRAM-SHA-512-PLUS', b'-PLUS'):
        with login() as c:
            c.expect(b'AUTH ' + mech, '504')


@row
def row_088_odd_user_names():
    at = len(I.log())
    for user in ('%{pid}%{home}', '../../x', 'a\tb', 'ä', 'a\nb', 'a b', '-x', "'; --", '*', 'u' * 3000, A + '/..', '\x7f'):
        with login() as c:
            c.expect(b'AUTH PLAIN ' + b64(f'\0{user}\0pw'), '535', '501')
            c.expect(b'AUTH PLAIN ' + b64(f'{user}\0{A}\0pw-alice'), '535', '501')
    check('\t' not in I.log()[at:], 'a tab in the log')


@row
def row_090_scram():
    """what a client may get wrong, each after a true first message"""
    for n, last in enumerate((b'c=biws,r={r}x,p=AAAA', b'c=eSws,r={r},p=AAAA', b'r={r},c=biws,p=AAAA', b'c=biws,r={r}', b'c=biws,r={r},p=', b'p=AAAA,c=biws,r={r}',
                              b'c=biws,r={r},p=' + b'A' * 4000, b',' * 1000, b'', b'c=biws,r={r},m=x,p=AAAA', b'c=biws,r={r},p=' + b64(bytes(32)))):
        with login_in(MODES[n % 4]) as c:
            r = c.expect(b'AUTH SCRAM-SHA-256 ' + b64(f'n,,n={A},r=abcdefgh{n}'), '334')
            fields = dict(x.split(b'=', 1) for x in base64.b64decode(r[4:]).split(b','))
            check(int(fields[b'i']) <= 100000, 'iterations')
            before = cpu('auth')
            c.expect(b64(last.replace(b'{r}', fields[b'r'])) or b'=', '535', '501')
            check(SANITIZED or cpu('auth') - before <= 0.1, 'CPU of a failure')
    for n, first in enumerate(('p=tls-unique,,n=a,r=b', 'y,,n=a', 'n,,r=b,n=a', 'n,a=other,n=a,r=b', 'n', '', ',,,,', 'n,,m=x,n=a,r=b', 'n,,n=a=b,r=c', 'n,,n=' + 'x' * 5000 + ',r=1')):
        with login_in(MODES[n % 4]) as c:
            if c.expect(b'AUTH SCRAM-SHA-256 ' + (b64(first) or b'='), '501', '535', '334').startswith(b'334'):
                c.expect(b64('c=biws,r=b,p=AAAA'), '501', '535')


@row
def row_091_replay():
    """the same messages a second time: the server's nonce is another"""
    first = f'n={A},r=samenonce'
    for c in logins():
        challenge = base64.b64decode(c.expect(b'AUTH SCRAM-SHA-256 ' + b64('n,,' + first), '334')[4:]).decode()
        f = dict(x.split('=', 1) for x in challenge.split(','))
        salted = hashlib.pbkdf2_hmac('sha256', b'pw-alice', base64.b64decode(f['s']), int(f['i']))
        key = hmac.new(salted, b'Client Key', 'sha256').digest()
        text = f'{first},{challenge},c=biws,r={f["r"]}'.encode()
        proof = bytes(x ^ y for x, y in zip(key, hmac.new(hashlib.sha256(key).digest(), text, 'sha256').digest()))
        last = b64(f'c=biws,r={f["r"]},p={base64.b64encode(proof).decode()}')
        c.expect(last, '334')
        c.expect(b'', '235')
    for c in logins():
        c.expect(b'AUTH SCRAM-SHA-256 ' + b64('n,,' + first), '334')
        c.expect(last, '535', '501')


def plain(user, password):
    return b'AUTH PLAIN ' + b64(f'\0{user}@{DOMAIN}\0{password}')


@test
def row_092_guessing():
    """guesses from one address and from many: ever later answers, then only what was proved lately; others feel nothing"""
    usual = abuse.I
    with Instance(users=('alice', 'bob', 'carol'), main=abuse.MAIN + 'auth_failure_delay_max = 3s\n') as abuse.I:
        try:
            with login(src='127.0.2.9') as c:
                c.expect(plain('alice', 'pw-alice'), '235')
            cs, begin, waits = [login(src='127.0.5.1') for _ in range(8)], time.monotonic(), []
            watch = Watch()
            for n, c in enumerate(cs):
                c.send(plain(f'user{n}', 'guess') + b'\r\n')
            with login(src='127.0.5.2') as c:
                c.expect(plain('bob', 'pw-bob'), '235')
            check(watch.secs() < 2 or SANITIZED, 'an honest login waits for the guesses')
            for c in cs:
                check(c.reply().startswith(b'535'), 'a guess')
                waits.append(time.monotonic() - begin)
                c.s.close()
            check(2.5 < max(waits) < 6 + starved() - watch.starved, f'the eighth guess of one address is answered after {max(waits):.1f} s')
            cs = [login(src=f'127.0.6.{1 + n}') for n in range(44)]
            for c in cs:                # one account, each guess from another address; nobody waits for the answers
                c.send(plain('alice', 'guess') + b'\r\n')
            check(wait(lambda: len(re.findall('result=(?:failed|unavailable)', abuse.I.log())) >= 52, 20), 'the guesses')
            with login(src='127.0.5.3') as c:
                watch = Watch()
                c.expect(plain('alice', 'pw-alice'), '235')         # proved lately
                check(watch.secs() < 1 or SANITIZED, 'who has proved the password waits')
            begin = cpu('auth')
            with login(src='127.0.5.4') as c:
                c.expect(plain('alice', 'another'), '454')
            refused = cpu('auth') - begin
            begin = cpu('auth')
            with login(src='127.0.5.5') as c:
                c.expect(plain('carol', 'pw-carol'), '235')
            hashed = cpu('auth') - begin
            check(refused < hashed / 3, f'{refused * 1000:.1f} ms of CPU for who guesses too often, a hash takes {hashed * 1000:.1f} ms')
            for c in cs:
                c.s.close()
            log_is_clean(abuse.I.log())
        finally:
            abuse.I = usual


@row(slow=2)
def row_093_timing():
    """known and unknown user: the medians of auth's work are close (a hash costs far more than a look-up)"""
    times = {A: [], 'nobody@' + DOMAIN: []}
    for n in range(8 if SANITIZED else 25):
        for user in times:
            with login(src=f'127.0.6.{n + 1}') as c:
                begin = cpu('auth')
                c.expect(b'AUTH PLAIN ' + b64(f'\0{user}\0wrong'), '535')
                times[user].append(cpu('auth') - begin)
    a, b = (statistics.median(t) for t in times.values())
    check(max(a, b) < 1.6 * min(a, b) + 0.002, f'{a * 1000:.1f} ms and {b * 1000:.1f} ms')


@row
def row_094_not_now():
    with login(tls=False) as c:
        c.expect(PLAIN, '538')
    with login() as c:
        c.expect(PLAIN, '235')
        c.expect(PLAIN, '503')
        c.expect(f'MAIL FROM:<{A}>'.encode(), '250')
        c.expect(PLAIN, '503')
    with Client() as c:
        c.expect(b'EHLO x', '250')
        c.expect(PLAIN, '503')


@row(slow=2)
def row_200_exchanges_that_never_end():
    """more of them than one link to auth holds"""
    held, refused = [], 0
    for n in range(320):
        c = login(src=f'127.0.7.{1 + n // 40}')
        refused += not c.cmd(b'AUTH LOGIN').startswith(b'334')
        held.append(c)
    check(refused == 0, f'{refused} of 320 exchanges were refused')
    check(honest_login() < (8 if SANITIZED else 2), 'an honest login waits')
    print(f'# auth with {len(held)} open exchanges: {rss("auth") >> 10} KiB')
    for c in held:
        c.s.close()


try:
    main()
finally:
    I.close()
