#!/usr/bin/env python3
"""Logins: every mechanism, changes of the users table, the end of auth, reload, locked mailboxes."""
import base64, hashlib, hmac, imaplib, json, os, poplib, re, signal, smtplib, socket, ssl, threading, time
from harness import *

A = 'alice@' + DOMAIN
I = None


class Scram:
    """The client's side of RFC 5802, for imaplib's authenticate()."""
    def __init__(self, digest, user, password, gs2='n,,', binding=b''):
        self.digest, self.user, self.password, self.turn = digest, user, password, 0
        self.gs2, self.binding = gs2, gs2.encode() + binding

    def mac(self, key, text):
        return hmac.new(key, text, self.digest).digest()

    def __call__(self, challenge):
        self.turn += 1
        if self.turn == 1:
            self.first = f'n={self.user},r=' + base64.b64encode(os.urandom(12)).decode()
            return (self.gs2 + self.first).encode()
        if self.turn > 2:
            check(challenge == b'v=' + base64.b64encode(self.signature), 'the server does not know the password')
            return b''
        fields = dict(x.split('=', 1) for x in challenge.decode().split(','))
        salted = hashlib.pbkdf2_hmac(self.digest, self.password.encode(), base64.b64decode(fields['s']), int(fields['i']))
        key = self.mac(salted, b'Client Key')
        last = f'c={base64.b64encode(self.binding).decode()},r={fields["r"]}'
        text = f'{self.first},{challenge.decode()},{last}'.encode()
        proof = bytes(x ^ y for x, y in zip(key, self.mac(hashlib.new(self.digest, key).digest(), text)))
        self.signature = self.mac(self.mac(salted, b'Server Key'), text)
        return f'{last},p={base64.b64encode(proof).decode()}'.encode()


def pop(user, password, name='pop3'):
    p = poplib.POP3('127.0.0.1', I.port(name), timeout=20)
    p.user(f'{user}@{DOMAIN}')
    p.pass_(password)
    return p


def refused(user, password):
    try:
        pop(user, password)
    except poplib.error_proto as e:
        check('[AUTH]' in str(e), f'refused in other words: {e}')
        return
    raise Failed(f'{user} is in with {password}')


@test
def every_mechanism_works():
    for mech, answer in (
            ('PLAIN', lambda c: f'\0{A}\0pw-alice'.encode()),
            ('LOGIN', lambda c: A.encode() if b'User' in c else b'pw-alice'),
            ('SCRAM-SHA-256', Scram('sha256', A, 'pw-alice')),
            ('SCRAM-SHA-1', Scram('sha1', A, 'pw-alice'))):
        with imaplib.IMAP4_SSL('127.0.0.1', I.port('imaps'), ssl_context=I.tls()) as m:
            check(m.authenticate(mech, answer)[0] == 'OK', mech)
            check(m.select()[0] == 'OK', mech)


def bound(sock, digest, name, spoil=b''):
    """a SCRAM client that binds its login to the TLS of this socket"""
    if name == 'tls-unique':
        data = sock.get_channel_binding('tls-unique')
    else:
        data = hashlib.sha256(sock.getpeercert(True)).digest()
    return Scram(digest, A, 'pw-alice', f'p={name},,', spoil + data)


def by_imap(mech, make, **kw):
    with imaplib.IMAP4_SSL('127.0.0.1', I.port('imaps'), ssl_context=I.tls()) as m:
        return m.authenticate(mech, make(m.sock))[0] == 'OK'


def by_smtp(mech, make, version=None):
    ctx = I.tls()
    if version:
        ctx.maximum_version = version
    with smtplib.SMTP_SSL('127.0.0.1', I.port('submissions'), context=ctx) as s:
        s.ehlo()
        check('SCRAM-SHA-256-PLUS' in s.esmtp_features['auth'] and 'EXTERNAL' not in s.esmtp_features['auth'], s.esmtp_features['auth'])
        scram = make(s.sock)
        return s.auth(mech, lambda challenge=None: scram(challenge or b'').decode())[0] == 235


def by_pop(mech, make):
    p = poplib.POP3_SSL('127.0.0.1', I.port('pop3s'), context=I.tls())
    check(mech in ' '.join(p.capa()['SASL']), f'{mech} is not announced')
    scram = make(p.sock)
    p._putcmd(f'AUTH {mech}')
    line = p._getline()[0]
    while line.startswith(b'+ '):
        p._putline(base64.b64encode(scram(base64.b64decode(line[2:]))))
        line = p._getline()[0]
    p.close()
    check(line.startswith(b'+OK'), line)
    return True


def fails(f, *args, **kw):
    try:
        f(*args, **kw)
    except (imaplib.IMAP4.error, smtplib.SMTPAuthenticationError, Failed, poplib.error_proto):
        return True
    return False


@test
def scram_is_bound_to_its_connection():
    point = 'tls-server-end-point'
    for mech, digest in (('SCRAM-SHA-256-PLUS', 'sha256'), ('SCRAM-SHA-1-PLUS', 'sha1')):
        for by in (by_imap, by_smtp, by_pop):
            check(by(mech, lambda s: bound(s, digest, point)), f'{mech} {by.__name__}')
    check(by_smtp('SCRAM-SHA-256-PLUS', lambda s: bound(s, 'sha256', 'tls-unique'), version=ssl.TLSVersion.TLSv1_2), 'tls-unique')
    for by in (by_imap, by_smtp, by_pop):
        check(fails(by, 'SCRAM-SHA-256-PLUS', lambda s: bound(s, 'sha256', point, b'x')), f'another binding: {by.__name__}')
        check(fails(by, 'SCRAM-SHA-256', lambda s: Scram('sha256', A, 'pw-alice', 'y,,')), f'a downgrade: {by.__name__}')
        check(fails(by, 'SCRAM-SHA-256-PLUS', lambda s: Scram('sha256', A, 'pw-alice')), f'no binding: {by.__name__}')
        check(by('SCRAM-SHA-256', lambda s: Scram('sha256', A, 'pw-alice')), f'without binding: {by.__name__}')
    m = imaplib.IMAP4('127.0.0.1', I.port('imap'))
    check('AUTH=SCRAM-SHA-256' in m.capabilities and not any('PLUS' in c for c in m.capabilities), str(m.capabilities))
    check(fails(m.authenticate, 'SCRAM-SHA-256-PLUS', Scram('sha256', A, 'pw-alice')), 'PLUS without TLS')
    check(m.authenticate('SCRAM-SHA-256', Scram('sha256', A, 'pw-alice', 'y,,'))[0] == 'OK', 'without TLS there is no downgrade')
    m.logout()


def salt_of(user):
    """what the server says of a name before any proof"""
    m = imaplib.IMAP4('127.0.0.1', I.port('imap'))
    seen = []

    def answer(challenge):
        seen.append(challenge)
        return b'n,,n=%s,r=abcdef' % user.encode() if len(seen) == 1 else None     # None: cancelled
    try:
        m.authenticate('SCRAM-SHA-256', answer)
    except imaplib.IMAP4.error:
        pass
    m.shutdown()
    return [x for x in seen[1].split(b',') if x[:1] in b'si']


@test
def a_start_anew_does_not_tell_who_exists():
    """the salt of an unknown name is as lasting as a true one, over starts of master and changes of the table"""
    names = (A, 'nobody@' + DOMAIN, 'other@' + DOMAIN)
    before = [salt_of(n) for n in names]
    check(len(set(map(str, before))) == 3, f'salts: {before}')
    I.run('user', 'add', 'zack@' + DOMAIN, input='pw\n')
    I.run('user', 'del', 'zack@' + DOMAIN)
    I.stop()
    I.start()
    check([salt_of(n) for n in names] == before, 'salts have changed')


@test
def scram_does_not_tell_who_exists():
    for user in (A, 'nobody@' + DOMAIN):
        m = imaplib.IMAP4('127.0.0.1', I.port('imap'))
        try:
            m.authenticate('SCRAM-SHA-256', Scram('sha256', user, 'wrong'))
        except imaplib.IMAP4.error as e:
            check('AUTHENTICATIONFAILED' in str(e), str(e))
            m.shutdown()
            continue
        raise Failed(user)


@test
def names_are_folded_and_completed():
    p = poplib.POP3('127.0.0.1', I.port('pop3'))
    p.user('ALICE')
    p.pass_('pw-alice')
    p.quit()


@test
def a_new_password_counts_at_once():
    I.run('user', 'add', 'zoe@' + DOMAIN, input='first\n')
    pop('zoe', 'first').quit()
    I.run('user', 'passwd', 'zoe@' + DOMAIN, input='second\n')
    refused('zoe', 'first')
    pop('zoe', 'second').quit()
    I.run('user', 'del', 'zoe@' + DOMAIN)
    refused('zoe', 'second')


@test
def a_locked_mailbox_is_told_at_login():
    p = pop('bob', 'pw-bob')
    try:
        pop('bob', 'pw-bob')
        raise Failed('two sessions of one maildrop')
    except poplib.error_proto as e:
        check('[IN-USE]' in str(e), str(e))
    p.quit()
    pop('bob', 'pw-bob').quit()


@test
def the_end_of_auth_is_a_temporary_failure():
    m = imaplib.IMAP4('127.0.0.1', I.port('imap'))

    def kill_auth(challenge):
        for pid, name in I.processes().items():
            if name == 'auth':
                send_signal(pid, signal.SIGKILL)
        return A.encode()

    try:
        m.authenticate('LOGIN', kill_auth)
        raise Failed('a login without auth')
    except imaplib.IMAP4.error as e:
        check('UNAVAILABLE' in str(e), str(e))
    check(m.login(A, 'pw-alice')[0] == 'OK', 'no login after auth came back')
    m.logout()


@test
def reload_keeps_sessions():
    p = pop('bob', 'pw-bob')
    m = imaplib.IMAP4_SSL('127.0.0.1', I.port('imaps'), ssl_context=I.tls())
    m.login(A, 'pw-alice')
    I.run('reload')
    check(m.select()[0] == 'OK', 'the IMAP session is gone')
    check(p.stat()[0] >= 0, 'the POP3 session is gone')
    pop('alice', 'pw-alice').quit()
    p.quit()
    m.logout()


@test
def reloads_cost_no_client_anything():
    """before, in the middle of and after the login; not one is sent away, or told to come later"""
    def imap():
        with imaplib.IMAP4_SSL('127.0.0.1', I.port('imaps'), ssl_context=I.tls()) as m:
            m.login(A, 'pw-alice')
            check(m.select()[0] == 'OK', 'SELECT')

    def pop3():
        p = poplib.POP3('127.0.0.1', I.port('pop3'), timeout=60)
        p.stls(I.tls())
        p.user(f'bob@{DOMAIN}')
        p.pass_('pw-bob')
        p.quit()

    def submission():
        with smtplib.SMTP('127.0.0.1', I.port('submission'), timeout=60) as s:
            s.starttls(context=I.tls())
            s.login(A, 'pw-alice')

    failures, over = [], threading.Event()

    def again_and_again(f):
        while not over.is_set():
            try:
                f()
            except Exception as e:
                failures.append(f'{f.__name__}: {e!r}')
    idle = socket.create_connection(('127.0.0.1', I.port('imap')), timeout=60)
    check(idle.recv(1000).startswith(b'* OK'), 'greeting')
    threads = [threading.Thread(target=again_and_again, args=(f,)) for f in (imap, imap, pop3, submission)]
    for t in threads:
        t.start()
    for _ in range(8):
        I.run('reload')
        time.sleep(0.2)
    over.set()
    for t in threads:
        t.join()
    check(not failures, f'{len(failures)}: {failures[:3]}')
    idle.sendall(b'a NOOP\r\n')
    check(b'a OK' in idle.recv(1000), 'a client from before the reloads is gone')
    idle.close()


@test
def who_comes_after_a_reload_is_not_sent_away():
    """by the old front, which hears of the reload and of the client at once"""
    old = [p for p, name in I.processes().items() if name == 'imapd']
    check(old, 'no imapd')
    try:
        for p in old:
            send_signal(p, signal.SIGSTOP)
        I.run('reload')
        s = socket.create_connection(('127.0.0.1', I.port('imaps')), timeout=20)
    finally:
        for p in old:
            send_signal(p, signal.SIGCONT)
    s = I.tls().wrap_socket(s, server_hostname='127.0.0.1')
    check(s.makefile('rb').readline().startswith(b'* OK'), 'no greeting')
    s.close()


def merpati(*args, code=0):
    r = I.run(*args, ok=False)
    check(r.returncode == code, f'{args}: {r.returncode}\n{r.stdout}')
    return r.stdout


@test
def the_operator_sees_sessions_and_ends_them():
    m = [imaplib.IMAP4_SSL('127.0.0.1', I.port('imaps'), ssl_context=I.tls()) for _ in range(2)]
    for c in m:
        c.login(A, 'pw-alice')
    p = pop('bob', 'pw-bob')
    s = smtplib.SMTP_SSL('127.0.0.1', I.port('submissions'), context=I.tls())
    s.login(A, 'pw-alice')
    rows = [json.loads(l) for l in merpati('--json', 'who').splitlines()]
    check(sorted(r['user'] for r in rows) == [A] * 3 + [f'bob@{DOMAIN}'], f'{rows}')
    check(sum(r.get('tls', '').startswith('TLSv1.3 ') for r in rows) == 3, f'{rows}')
    check(all(r['client'] == '127.0.0.1' and abs(r['since'] - time.time()) < 60 for r in rows), f'{rows}')
    check(len(merpati('who', 'bob').splitlines()) == 2 and 'nobody' in merpati('who', '192.0.2.1'), 'a filter')
    out = merpati('kick', 'alice', code=64)
    check('3 sessions match' in out and out.count('TLSv1.3') == 3, out)
    check('no session of carl' in merpati('kick', 'carl', code=67), 'nobody')
    merpati('kick', 'bob')
    check(p.sock.recv(1000) == b'-ERR [SYS/TEMP] Disconnected by the operator\r\n' and p.sock.recv(10) == b'', 'POP3')
    m[0].create('Br&APw-der')
    m[0].select('Br&APw-der')
    m[0].send(b'x IDLE\r\n')
    m[0].readline()
    m[1].select()
    folders = lambda: sorted(json.loads(l).get('folder', '') for l in merpati('--json', 'who', A).splitlines())
    check(wait(lambda: folders() == ['', 'Br\u00fcder', 'INBOX']), f'folders {folders()}')
    check('Br\u00fcder' in merpati('who', A), 'the folder')
    m[1].unselect()
    check(wait(lambda: folders() == ['', '', 'Br\u00fcder']), f'folders {folders()}')
    merpati('kick', A, '--all')
    for c in m:
        check(c.readline() == b'* BYE [UNAVAILABLE] Disconnected by the operator\r\n' and c.readline() == b'', 'IMAP')
    check(s.sock.recv(1000).startswith(b'421 4.3.2 '), 'SMTP')
    check('nobody is logged in' in merpati('who'), 'still there')


@test
def front_and_session_count_the_same():
    """without TLS the front does not see the bytes: the kernel tells it"""
    name = f'bob@{DOMAIN}'
    lines = lambda who: re.findall(who + r'\[\d+\]: login=<' + name + r'>,.* in=(\d+), out=(\d+),', I.log())
    had = {who: len(lines(who)) for who in ('pop3d', 'pop3-session', 'imapd', 'imap-session')}
    p = pop('bob', 'pw-bob')
    p.stat()
    p.quit()
    for compress in (False, True):
        m = imaplib.IMAP4('127.0.0.1', I.port('imap'))
        m.login(name, 'pw-bob')
        m.select()
        if compress:
            m.send(b'x COMPRESS DEFLATE\r\n')
            check(m.readline().startswith(b'x OK'), 'COMPRESS')
            m.shutdown()
        else:
            m.logout()
        for who in ('imapd', 'imap-session'):
            check(wait(lambda: len(lines(who)) == had[who] + 1 + compress), f'{who} logs no end')
    check(wait(lambda: len(lines('pop3d')) > had['pop3d']), 'pop3d logs no end')
    check(lines('pop3d')[-1] == lines('pop3-session')[-1], f'{lines("pop3d")[-1]} and {lines("pop3-session")[-1]}')
    check(lines('imapd')[-2:] == lines('imap-session')[-2:], f'{lines("imapd")[-2:]} and {lines("imap-session")[-2:]}')


@test
def a_front_that_hangs_is_named():
    m = imaplib.IMAP4_SSL('127.0.0.1', I.port('imaps'), ssl_context=I.tls())
    m.login(A, 'pw-alice')
    p = pop('bob', 'pw-bob')
    pid = int(json.loads(merpati('--json', 'who', 'bob'))['session'].split('.')[0])
    send_signal(pid, signal.SIGSTOP)
    try:
        out = merpati('who', code=75)
        check(f'pop3d[{pid}] does not answer' in out and A in out, out)
    finally:
        send_signal(pid, signal.SIGCONT)
    p.quit()
    m.logout()


@test
def no_password_is_logged():
    log = I.log()
    check('method=SCRAM-SHA-256' in log and 'result=failed' in log, 'logins are not logged')
    for secret in ('pw-alice', 'pw-bob', 'first', 'second'):
        check(secret not in log, f'{secret} is in the log')


@test
def a_login_has_its_rates():
    i = Instance(users=('carl', 'dora'), main='smtpd_client_message_rate_limit = 2\nsmtpd_client_recipient_rate_limit = 3\n')
    with i:
        def session(user):
            s = smtplib.SMTP_SSL('127.0.0.1', i.port('submissions'), context=i.tls())
            s.login(f'{user}@{DOMAIN}', 'pw-' + user)
            return s
        def say(s, rcpts):
            out = [s.mail(f'dora@{DOMAIN}')[0]] + [s.rcpt(f'dora@{DOMAIN}')[0] for _ in range(rcpts)]
            s.rset()
            return out
        with session('carl') as s:
            check(say(s, 1) == [250, 250], 'the first')
        with session('carl') as s:
            check(say(s, 3) == [250, 250, 250, 450], 'a fourth recipient')
            check(s.mail(f'carl@{DOMAIN}')[0] == 450, 'a third message')
        with session('dora') as s:
            check(say(s, 1) == [250, 250], 'another login from the same address')
        check(i.tells(f'too much mail from carl@{DOMAIN}'), i.log()[-500:])


with Instance(users=('alice', 'bob')) as I:
    main()
