#!/usr/bin/env python3
"""Milters: what they are told, what they may change, what becomes of mail when they fail; with real ones and hostile ones."""
import base64, re, shutil, signal, smtplib, struct, subprocess, threading
from harness import *
from milter import *
from postfix import *

MESSAGE = 'From: x@good.test\r\nSubject:  t\r\n\tfold\r\nX-Empty:\r\nTo: a@b.test\r\nMessage-ID: <1@good.test>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nhello\r\n.x\r\n'
MAIN = 'smtpd_peername_lookup = no\n'


def client(i, service='smtp'):
    return smtplib.SMTP('127.0.0.1', i.port(service), local_hostname='client.test', timeout=60)


def send(i, message=MESSAGE, to=('alice@example.test',), sender='x@good.test'):
    """250, or the code of what was refused, and its text"""
    with client(i) as s:
        try:
            s.sendmail(sender, to, message)
            return 250, ''
        except smtplib.SMTPRecipientsRefused as e:
            return list(e.recipients.values())[0]
        except smtplib.SMTPResponseException as e:
            return e.smtp_code, e.smtp_error


def number(n):
    return struct.pack('>I', n)


def at_end(*packets, then='c'):
    return lambda e, d, l: b''.join(packets) + packet(then) if e == 'E' else None


def fields(path):
    """the message below our own Received field"""
    t = open(path, newline='').read()
    return t[re.search(r'\nReceived:.*\n(?:[ \t].*\n)*', t).end():]


def newest(i, user, n):
    return fields(sorted(i.wait_mails(user, n), key=lambda p: re.search(r'\.Q(\w{16})', p).group(1))[-1])


class Changing:
    """a milter whose answer is another one for each message"""
    def __init__(self, **kw):
        self.now = None
        self.m = Milter(lambda e, d, l: self.now(e, d, l) if self.now else None, **kw)


def told(m, host, rcpt):
    """what a milter has heard, without names, ports and ids; ABORT after the end, macros with each field and piece, and names of transports are Postfix's alone"""
    out = []
    for e, d in m.seen:
        if e in 'AOC' or e == 'D' and d[:1] in b'LB':
            continue
        d = re.sub(rb'\{(mail|rcpt)_mailer\}\0\w+\0', b'', d)
        d = re.sub(rb'(\x00v\0|[TNE]i\0)[\w. ]+', rb'\1', d)
        for name, stands in (rcpt, 'R'), (host, 'H'), (rcpt.split('@')[1], 'D'):
            d = d.replace(name.encode(), stands.encode())
        out.append((e, d))
    return out


@test
def changes_are_made_as_postfix_makes_them():
    edits = at_end(packet('h', text('X-Added', 'yes')), packet('i', number(0) + text('X-Ins0', 'a')), packet('i', number(2) + text('X-Ins2', 'two\n\tlines')),
                   packet('i', number(99) + text('X-Ins99', 'a')), packet('m', number(1) + text('Subject', 'changed')), packet('m', number(1) + text('X-Empty', '')),
                   packet('m', number(3) + text('To', 'third@b.test')), packet('b', b'new\r\n'), packet('b', b'body\r\n.\r\n'))
    if os.getuid() or not shutil.which('postfix'):
        raise Skip('no Postfix, or not root')
    ours, theirs = Milter(edits, protocol=0x100000), Milter(edits, protocol=0x100000)
    with Instance(main=f'smtpd_milters = {ours.where}\n' + MAIN) as i:
        with Postfix(i.port('smtp'), i.domain, i.conf + '/tls', main=lambda p: f'smtpd_milters = {theirs.where}\n') as p:
            for port, to in (i.port('smtp'), f'alice@{i.domain}'), (p.port, 'ann@postfix.test'):
                with smtplib.SMTP('127.0.0.1', port, local_hostname='client.test', timeout=60) as s:
                    s.sendmail('x@good.test', [to], MESSAGE)
                    s.sendmail('y@good.test', [to], MESSAGE)
            check(wait(lambda: len(p.mails()) == 2), 'Postfix has delivered nothing')
            i.wait_mails('alice', 2)
            # they do not put anything above Received here, and complete no address
            want = {re.sub(r'(?ms)^Received:.*?\n(?=\S)', '', re.sub(r'\A(?:(?:Return-Path|X-Original-To|Delivered-To):.*\n)+', '', open(f).read())) for f in p.mails()}
            got = {fields(f) for f in i.mails('alice')}
            check(got == want and len(got) == 1, f'{got}, Postfix has {want}')
            check(wait(lambda: ours.events()[-1:] == theirs.events()[-1:] == 'Q'), 'no QUIT')
            a, b = told(ours, 'mail.example.test', 'alice@example.test'), told(theirs, 'mx.postfix.test', 'ann@postfix.test')
            check(a == b, '\n'.join(f'{x}  {y}' for x, y in zip(a, b) if x != y))


def edited(i, c, n, *packets, then='c', to=('alice@example.test',)):
    c.now = at_end(*packets, then=then)
    code, why = send(i, to=to)
    check(code == 250, (code, why))


@test
def envelope_and_content_change_before_the_message_is_taken():
    c = Changing()
    with Instance(users=('alice', 'bob', 'carol'), main=f'smtpd_milters = {c.m.where}\n' + MAIN) as i:
        # byte for byte what it is without milters
        with open(i.conf + '/master.cf', 'a') as f:
            port = free_port()
            f.write(f'127.0.0.1:{port} inet n - - - 1 smtpd\n  -o smtpd_milters=\n')
        i.run('reload')
        odd = MESSAGE + '8bit \xe9\r\n\r\n' + 'y' * 990 + '\r\n'
        with smtplib.SMTP('127.0.0.1', port, timeout=60) as s:
            s.sendmail('x@good.test', ['alice@example.test'], odd.encode('latin1'))
        check(send(i, odd.encode('latin1'))[0] == 250, 'refused')
        a, b = [open(p, 'rb').read() for p in i.wait_mails('alice', 2)]
        cut = lambda t: t[t.index(b'\nFrom:'):]
        check(cut(a) == cut(b), (a, b))
        # sender, recipients
        edited(i, c, 3, packet('e', text('<new@good.test>')), packet('+', text('<bob@example.test>')), packet('-', text('alice@EXAMPLE.test')), to=['alice@example.test', 'carol@example.test'])
        t = open(i.wait_mails('bob', 1)[0]).read()
        check('Return-Path: <new@good.test>' in t, t)
        i.wait_mails('carol', 1)
        check(len(i.mails('alice')) == 2, 'alice has it too')
        # all recipients gone
        edited(i, c, 3, packet('-', text('<alice@example.test>')))
        check(i.tells('taken all recipients away'), 'see the log')
        # hold
        edited(i, c, 3, packet('q', text('suspicious')), packet('h', text('X-Held', 'yes')))
        held = wait(lambda: glob.glob(i.root + '/spool/hold/*'))
        check(held and b'X-Held: yes\n' in open(held[0], 'rb').read(), 'nothing on hold')
        check(i.tells('quarantine: suspicious'), 'see the log')
        # discard, at each step
        for e in 'MRTLNBE':
            c.now = lambda ev, d, l, e=e: packet('d') if ev == e else None
            check(send(i)[0] == 250, e)
            check(i.tells('milter-discard', times='MRTLNBE'.index(e) + 1), e)
        # a large message, header and body changed; the queue and the mailbox
        big = MESSAGE + 'line of some length\r\n' * 40000
        edited2 = at_end(packet('h', text('X-Big', 'yes')), packet('m', number(1) + text('Subject', 'big')))
        c.now = edited2
        for to in ['bob@example.test'], ['bob@example.test', 'carol@example.test']:
            check(send(i, big, to=to)[0] == 250, 'refused')
        for p in i.wait_mails('bob', 3)[1:]:
            t = fields(p)
            check('\nX-Big: yes\n\nhello\n.x\nline of' in t and t.endswith('length\n') and t.count('\n') == 40010 and 'Subject: big\n' in t, t[:500])
        check(len(i.mails('alice')) == 2, 'discarded mail has come')


@test
def refusals_are_the_milters_own():
    c = Changing()
    with Instance(main=f'smtpd_milters = {c.m.where}\n' + MAIN) as i:
        for e in 'CHMRTLNBE':
            for letter, code, words in (('r', 550, b'5.7.1 Command rejected'), ('t', 451, b'4.7.1'), ('f', 451, b'4.7.1'), ('4', 421, b'4.7.0'),
                                        ('y', 554, b'5.7.9 no\n5.7.9 thanks')):
                data = text('554-5.7.9 no\r\n554 5.7.9 thanks') if letter == 'y' else b''
                c.now = lambda ev, d, l: packet('p') * 3 + packet(letter, data) if ev == e else None
                got = send(i)
                check(got[0] == code and words in got[1], f'{e} {letter}: {got}')
        check(not i.mails('alice') and not i.queue(), 'something was taken')
        # one recipient of two; the session goes on
        c.now = lambda e, d, l: packet('r') if e == 'R' and b'bob' in d else None
        with client(i) as s:
            check(s.sendmail('x@good.test', ['bob@example.test', 'alice@example.test'], MESSAGE) == {'bob@example.test': (550, b'5.7.1 Command rejected')}, 'bob')
            c.now = lambda e, d, l: packet('r') if e == 'M' else None
            s.helo('client.test')
            check(s.mail('x@good.test')[0] == 550, 'MAIL')
            c.now = None
            check(s.sendmail('x@good.test', ['alice@example.test'], MESSAGE) == {}, 'the next one')
        i.wait_mails('alice', 2)
        check(i.tells('milter-reject: RCPT from unknown[127.0.0.1]: 550 5.7.1 Command rejected; milter=' + c.m.where), 'see the log')


@test
def a_milter_that_breaks_the_protocol_is_answered_by_default():
    huge = struct.pack('>I', 1 << 30) + b'h'
    hostile = [('E', packet('h', text('X-A', 'a\r\nBcc: all@example.test')), 'no fold'), ('E', packet('h', text('X A', 'a')), 'name'),
               ('E', packet('h', text('X:A', 'a')), 'name'), ('E', packet('h', b'X-A\0no end'), 'malformed'), ('E', packet('m', b'\0\0'), 'malformed'),
               ('E', packet('h', text('X-A', 'b' * 70000)), 'too long'), ('E', packet('h', text('X-A', 'b' * 1000)) * 2000, 'too much'),
               ('E', packet('+', text('<a@b> <c@d>@')), 'address'), ('E', huge, 'too long'), ('E', b'\0\0\0\0', 'no length'), ('E', packet('p') * 100, 'without end'),
               ('E', packet('y', text('250 fine')), 'none of SMTP'), ('E', packet('y', text('550 5.1.1 a\n551 b')), 'none of SMTP'), ('E', packet('!'), 'none that the protocol has'),
               ('M', packet('h', text('X-A', 'a')), 'does not belong here'), ('C', packet('d'), 'does not belong here'), ('H', packet('c') * 3, 'nothing was asked'),
               ('O', packet('O', number(1) + number(0) + number(0)), 'too old'), ('O', packet('O', number(6) + number(1 << 20) + number(0)), 'not offered'),
               ('O', packet('O', number(6) + number(0) + number(0) + b'\0\0'), 'words that are none'), ('O', packet('c'), 'does not belong here'),
               ('L', packet('s'), 'does not belong here'), ('E', packet('b', b'x' * 60000 + b'\r\n') * 6, 'message_size_limit')]
    c = Changing()
    with Instance(main=f'smtpd_milters = {c.m.where}\nmessage_size_limit = 300000\n' + MAIN) as i:
        for n, (e, said, why) in enumerate(hostile):
            c.now = lambda ev, d, l: said if ev == e else None
            got = send(i)
            check(got[0] == 451 and b'4.7.1' in got[1], f'{n} {e} {said[:60]}: {got}')
            check(wait(lambda: why in i.log().split('milter ')[-1] or why in i.log()[-3000:]), f'{n} {e} {said[:60]}: no "{why}" in\n{i.log()[-1000:]}')
        # it ends, or is killed, in the middle of a message
        for e in 'OCHMRTLNBE':
            c.now = lambda ev, d, l: l['c'].shutdown(socket.SHUT_RDWR) if ev == e else None
            check(send(i)[0] == 451, e)
        check(i.tells('milter ' + c.m.where + ': END-OF-MESSAGE: it has closed the connection'), 'see the log')
        # what is not agreed on
        c.m.hello = (6, 0, 0)
        c.now = at_end(packet('h', text('X-A', 'a')))
        check(send(i)[0] == 451, 'not agreed on')
        c.m.hello = (6, 0xff, 0)
        check(not i.mails('alice') and not i.queue(), 'something was taken')
        c.now = None
        check(send(i)[0] == 250, 'the next one')
        i.wait_mails('alice', 1)


@test
def each_milter_has_its_own_default():
    dead = free_port()
    slow = Milter(lambda e, d, l: time.sleep(30) if e == 'H' else None)
    with Instance(main=MAIN) as i:
        rows = [(f'inet:127.0.0.1:{dead}', 'milter_default_action = accept\n', 250), (f'unix:nowhere', 'milter_default_action = reject\n', 550),
                (f'{{ inet:localhost:{dead}, default_action=accept }}, {{ unix:nowhere, default_action=quarantine }}', '', 250),
                (f'{{ inet:[127.0.0.1]:{dead}, default_action=shutdown }}', '', 421), (f'{{ {slow.where}, command_timeout=1s, default_action=tempfail }}', '', 451)]
        ports = [free_port() for _ in rows]
        with open(i.conf + '/master.cf', 'a') as f:
            for port, (spec, more, _) in zip(ports, rows):
                f.write(f'127.0.0.1:{port} inet n - - - 1 smtpd\n  -o {{ smtpd_milters = {spec} }}\n' + (f'  -o {{ {more.strip()} }}\n' if more else ''))
        i.run('reload')
        for port, (spec, more, want) in zip(ports, rows):
            check(wait(lambda: socket.socket().connect_ex(('127.0.0.1', port)) == 0), port)
            with smtplib.SMTP('127.0.0.1', port, local_hostname='client.test', timeout=60) as s:
                try:
                    code = 250 if s.sendmail('x@good.test', ['alice@example.test'], MESSAGE) == {} else 0
                except smtplib.SMTPSenderRefused as e:
                    code = e.smtp_code
            check(code == want, f'{spec}: {code}')
        i.wait_mails('alice', 1)
        check(wait(lambda: len(glob.glob(i.root + '/spool/hold/*')) == 1), 'nothing on hold')
        check(i.tells('no answer in time'), 'see the log')


@test
def sleepers_hold_up_nobody():
    gate = threading.Event()
    m = Milter(lambda e, d, l: gate.wait(60) and None if e == 'E' and l.get('slow') else l.update(slow=b'slow' in d) if e == 'M' else None)
    with Instance(main=f'smtpd_milters = {m.where}\nsmtpd_client_connection_count_limit = 0\n' + MAIN) as i:
        slow = []
        for n in range(200):
            s = client(i)
            s.ehlo()
            s.mail('slow@good.test')
            s.rcpt('bob@example.test')
            s.docmd('DATA')
            s.send(MESSAGE.replace('\r\n.', '\r\n..') + '.\r\n')
            slow.append(s)
        check(wait(lambda: m.events().count('E') == 200), 'not all are there')
        w = Watch()
        for n in range(20):
            check(send(i)[0] == 250, 'refused')
        check(w.secs() < 10, f'{w.secs()} s')
        i.wait_mails('alice', 20)
        check(not i.mails('bob'), 'one was not held up')
        gate.set()
        for s in slow:
            check(s.getreply()[0] == 250, 'a sleeper was refused')
            s.close()
        i.wait_mails('bob', 200)


@test
def several_milters_see_what_the_one_before_has_made():
    first = Milter(at_end(packet('h', text('X-One', '1')), packet('b', b'one\r\n'), packet('+', text('<bob@example.test>'))))
    second = Milter(at_end(packet('m', number(1) + text('X-One', '2')), packet('i', number(1) + text('X-Two', '2'))))
    third = Milter(lambda e, d, l: packet('a') if e == 'C' else None)
    with Instance(main=f'smtpd_milters = {first.where} {second.where} {third.where}\nsmtpd_milter_maps = inline:{{ 127.0.0.2=DISABLE }}\n'
                       f'milter_connect_macros = j {{client_resolve}} x y\nmilter_macro_defaults = x=ex {{y}}=no\nsmtpd_authorized_xclient_hosts = 127.0.0.0/8\n' + MAIN) as i:
        check(send(i)[0] == 250, 'refused')
        for user in 'alice', 'bob':
            t = newest(i, user, 1)
            check(t.startswith('X-Two: 2\nFrom:') and t.endswith('X-One: 2\n\none\n'), t)
        check(('L', b'X-One\x001\x00') in second.seen and ('B', b'one\r\n') in second.seen, second.seen)
        check(wait(lambda: third.events() == 'OCQ'), third.events())
        check(second.macros('C') == {'j': 'mail.example.test', '{client_resolve}': 'FAIL', 'x': 'ex'}, second.macros('C'))
        # whom XCLIENT names is told, and looked up
        seen = first.links
        with client(i) as s:
            s.ehlo()
            s.docmd('XCLIENT', 'ADDR=127.0.0.2 NAME=two.test')
            s.sendmail('x@good.test', ['alice@example.test'], MESSAGE)
            i.wait_mails('alice', 2)
            check(first.links == seen, 'asked although DISABLEd')
            s.docmd('XCLIENT', 'ADDR=192.0.2.9 NAME=nine.test')
            s.ehlo('again.test')
            s.sendmail('x@good.test', ['alice@example.test'], MESSAGE)
            check(first.links == seen + 1 and any(e == 'C' and d.startswith(b'nine.test\x004') and d.endswith(b'192.0.2.9\0') for e, d in first.seen), first.seen)
            check(('H', b'again.test\0') in first.seen, 'no HELO')


def dialog(port, *lines):
    """the last line of the answer to each"""
    with socket.create_connection(('127.0.0.1', port), timeout=60) as s, s.makefile('rb') as f:
        said = []
        for line in (b'', *lines):
            s.sendall(line)
            while (answer := f.readline())[3:4] == b'-':
                continue
            said.append(answer)
        return said[1:]


@test
def intake_makes_the_message_before_milters_see_it_and_is_not_held():
    gate = threading.Event()
    m = Milter(lambda e, d, l: gate.wait(60) and None if e == 'E' and l.get('slow') else l.update(slow=b'slow' in d) if e == 'M' else None)
    i = Instance(main=f'smtpd_milters = {m.where}\nheader_checks = regexp:$config_directory/checks\n' + MAIN)
    with open(i.conf + '/checks', 'w') as f:
        f.write('/^Subject: held/ HOLD\n/^Subject: gone/ DISCARD\n/^Subject: no/ REJECT\n')
    with i:
        lmtp, local = free_port(), free_port()
        other = Milter(at_end(packet('h', text('X-Unix', 'yes'))), path=i.root + '/run/smtpd/filter')
        os.chmod(i.root + '/run/smtpd/filter', 0o666)
        with open(i.conf + '/master.cf', 'a') as f:
            f.write(f'127.0.0.1:{lmtp} inet n - - - 1 smtpd\n  -o smtpd_lmtp=yes\n127.0.0.1:{local} inet n - - - 1 smtpd\n  -o smtpd_milters={other.where}\n')
        i.run('reload')
        begin = b'MAIL FROM:<x@good.test>\r\n', b'RCPT TO:<alice@example.test>\r\n', b'DATA\r\n'
        # raw bytes are lines when a milter sees them
        raw = b'Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\1\n\r\xff'
        said = dialog(i.port('smtp'), b'EHLO c.test\r\n', b'MAIL FROM:<x@good.test> BODY=BINARYMIME\r\n', begin[1], b'BDAT %d LAST\r\n' % len(raw) + raw)
        check(said[-1].startswith(b'250 '), said)
        check(('B', b'AAEKDf8=\r\n') in m.seen and newest(i, 'alice', 1).endswith('base64\n\nAAEKDf8=\n'), m.seen)
        # what the checks order; only what they let pass is shown
        seen = m.events().count('E')
        for subject, code in ('held', b'250'), ('gone', b'250'), ('no', b'550'), ('x', b'250'):
            said = dialog(i.port('smtp'), b'EHLO c.test\r\n', *begin, f'Subject: {subject}\r\n\r\nx\r\n.\r\n'.encode())
            check(said[-1].startswith(code), said)
        check(m.events().count('E') == seen + 2 and len(glob.glob(i.root + '/spool/hold/*')) == 1, m.events())
        # LMTP, a unix socket
        check(wait(lambda: socket.socket().connect_ex(('127.0.0.1', local)) == 0), 'no service')
        said = dialog(lmtp, b'LHLO c.test\r\n', *begin[:2], begin[1].replace(b'alice', b'bob'), begin[2], b'Subject: l\r\n\r\nx\r\n.\r\n', b'')
        check(said[-1] == said[-2] and said[-1].startswith(b'250 '), said)
        check(m.events().count('E') == seen + 3, 'LMTP is shown once')
        check(dialog(local, b'EHLO c.test\r\n', *begin, b'\r\nx\r\n.\r\n')[-1].startswith(b'250'), 'unix')
        check(newest(i, 'alice', 4) == 'X-Unix: yes\n\nx\n', newest(i, 'alice', 4))
        # every intake dies while a milter thinks
        with client(i) as s:
            s.ehlo()
            s.mail('slow@good.test')
            s.rcpt('alice@example.test')
            s.docmd('DATA')
            s.send(b'Subject: slow\r\n\r\nx\r\n.\r\n')
            check(wait(lambda: m.events().count('E') == seen + 4), 'not shown')
            for p, name in i.processes().items():
                if name == 'intake':
                    send_signal(p, signal.SIGKILL)
            gate.set()
            check(s.getreply()[0] == 250, 'intake was needed')
        check(newest(i, 'alice', 5) == 'Subject: slow\n\nx\n', newest(i, 'alice', 5))


@test
def opendkim_signs_and_verifies():
    if not shutil.which('opendkim'):
        raise Skip('no opendkim')
    d = tempfile.mkdtemp(prefix='merpati-dkim-', dir='/tmp')
    procs = []
    try:
        subprocess.run(['openssl', 'genrsa', '-out', d + '/key', '2048'], check=True, stderr=subprocess.DEVNULL)
        public = subprocess.run(['openssl', 'rsa', '-in', d + '/key', '-pubout', '-outform', 'DER'], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        with open(d + '/keys', 'w') as f:
            f.write('s._domainkey.example.test v=DKIM1; k=rsa; p=' + base64.b64encode(public).decode() + '\n')
        os.chmod(d + '/key', 0o600)
        ports = {}
        for mode in 's', 'v':
            ports[mode] = free_port()
            with open(f'{d}/{mode}.conf', 'w') as f:
                f.write(f'Mode {mode}\nDomain example.test\nSelector s\nKeyFile {d}/key\nSocket inet:{ports[mode]}@127.0.0.1\nTestPublicKeys {d}/keys\n'
                        'Background no\nSyslog no\nInternalHosts ' + ('127.0.0.1' if mode == 's' else '192.0.2.1') + '\nCanonicalization relaxed/simple\nRequireSafeKeys no\nAlwaysAddARHeader yes\nAuthservID mx.test\n')
            procs.append(subprocess.Popen(['opendkim', '-x', f'{d}/{mode}.conf', '-f'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            check(wait(lambda: socket.socket().connect_ex(('127.0.0.1', ports[mode])) == 0), 'opendkim does not start')
        # what intake does to a submission has happened when it is signed
        with Instance(main=f'smtpd_milters = inet:127.0.0.1:{ports["s"]}\nmasquerade_domains = example.test\nsmtpd_submission = yes\nsmtpd_header_login_match = no\n' + MAIN) as i:
            port = free_port()
            with open(i.conf + '/master.cf', 'a') as f:
                f.write(f'127.0.0.1:{port} inet n - - - 1 smtpd\n  -o smtpd_milters=inet:127.0.0.1:{ports["v"]} -o smtpd_submission=no\n')
            i.run('reload')
            check(send(i, 'From: A <alice@host.example.test>\r\nSubject: s\r\n\r\nsigned  \r\n.x\r\n', sender='alice@example.test')[0] == 250, 'refused')
            path = i.wait_mails('alice', 1)[0]
            t = fields(path)
            check('DKIM-Signature: v=1;' in t and 'From: A <alice@example.test>' in t and '\nMessage-ID: ' in t and '\nDate: ' in t, t)
            # verified by another smtpd and another opendkim; and a forged one is not
            for body, want in (t, 'dkim=pass'), (t.replace('signed', 'forged'), 'dkim=fail'):
                with smtplib.SMTP('127.0.0.1', port, timeout=60) as s:
                    s.sendmail('alice@example.test', ['bob@example.test'], body)
                got = newest(i, 'bob', 1 if want == 'dkim=pass' else 2)
                check(re.match(r'(?s)Authentication-Results: mx.test;\s+' + want, got), got[:1000])
    finally:
        for p in procs:
            p.kill()
            p.wait()
        shutil.rmtree(d, ignore_errors=True)


PYMILTER = '''import Milter, sys
class M(Milter.Base):
    def __init__(self): self.id = Milter.uniqueID()
    @Milter.noreply
    def connect(self, host, family, addr): self.addr = addr[0]; return Milter.CONTINUE
    def envfrom(self, f, *s): self.f, self.n = f, 0; return Milter.CONTINUE
    def envrcpt(self, to, *s): return Milter.REJECT if 'bad' in to else Milter.CONTINUE
    def header(self, name, value): return Milter.CONTINUE
    def eoh(self): return Milter.CONTINUE
    def body(self, chunk): self.n += len(chunk); return Milter.CONTINUE
    def eom(self):
        self.addheader('X-Py', f'{self.addr} {self.n} {self.f} {self.getsymval("i")} {self.getsymval("{mail_addr}")}')
        self.chgheader('Subject', 1, 'by python')
        self.addrcpt('<bob@example.test>')
        self.chgfrom('<other@good.test>')
        self.replacebody('from python\\r\\n')
        return Milter.ACCEPT
Milter.factory = M
Milter.set_flags(Milter.ADDHDRS | Milter.CHGHDRS | Milter.ADDRCPT | Milter.CHGFROM | Milter.CHGBODY)
Milter.runmilter('m', sys.argv[1], 60)
'''


@test
def libmilter_gets_what_it_wants():
    if subprocess.run(['/usr/bin/python3', '-c', 'import Milter'], stderr=subprocess.DEVNULL).returncode:
        raise Skip('no python3-milter')
    port = free_port()
    with Instance(users=('alice', 'bob', 'bad'), main=f'smtpd_milters = inet:127.0.0.1:{port}\nmilter_default_action = accept\n' + MAIN) as i:
        open(i.dir + '/m.py', 'w').write(PYMILTER)
        p = subprocess.Popen(['/usr/bin/python3', i.dir + '/m.py', f'inet:{port}@127.0.0.1'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            check(wait(lambda: socket.socket().connect_ex(('127.0.0.1', port)) == 0), 'the milter does not start')
            with client(i) as s:
                for n in range(1, 4):
                    refused = s.sendmail('x@good.test', ['alice@example.test', 'bad@example.test'], MESSAGE)
                    check(list(refused) == ['bad@example.test'], refused)
                    t = newest(i, 'alice', n)
                    check(re.search(r'\nX-Py: 127.0.0.1 11 <x@good.test> \w{16} x@good.test\n\nfrom python\n$', t) and 'Subject: by python\n' in t, t)
                    check('Return-Path: <other@good.test>' in open(i.wait_mails('bob', n)[0]).read(), 'the sender')
                    s.rset()
                    s.mail('y@good.test')
                    s.rset()
            # killed in the middle of a session: by default it is accepted
            with client(i) as s:
                s.ehlo()
                s.mail('x@good.test')
                p.kill()
                p.wait()
                s.rcpt('alice@example.test')
                check(s.data(MESSAGE)[0] == 250, 'refused')
            check('Subject:  t' in newest(i, 'alice', 4), 'it was changed')
        finally:
            p.kill()
            p.wait()


@test
def check_tells_of_milters():
    with_socket = Milter()
    i = Instance(main=f'smtpd_milters = {with_socket.where}, inet:mx.example.test:25\n')
    try:
        out = i.run('check', ok=False).stdout
        check(re.search(r'main\.cf:\d+: smtpd_milters: "inet:mx\.example\.test:25": a milter is reached by address', out), out)
        head = open(i.conf + '/main.cf').read().replace(', inet:mx.example.test:25', '').replace('smtpd_milters =', '# milters:')
        def says(spec):
            with open(i.conf + '/main.cf', 'w') as f:
                f.write(head + f'smtpd_milters = {spec}\n')
            return i.run('check', ok=False).stdout
        for bad, why in (('{ inet:127.0.0.1:1, timeout=3 }', 'there is no "timeout"'), ('unix:/run/x', 'run_directory/smtpd'), ('{ inet:127.0.0.1:1, default_action=x }', 'bad value'),
                         ('{ inet:127.0.0.1:1', 'braces do not match'), ('{ }', 'without a milter'), ('x', 'neither inet')):
            out = says(bad)
            check(why in out, f'{bad}: {out}')
        out = says(with_socket.where)
        check('milter' not in out, out)
        out = says(f'inet:127.0.0.1:{free_port()}, unix:gone')
        check(out.count('does not answer') == 2, out)
    finally:
        i.close()


main()
