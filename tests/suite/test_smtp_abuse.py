#!/usr/bin/env python3
"""Hostile SMTP clients against the running suite. Numbers are rows of the table of hostile inputs."""
import base64, os, re, struct, threading
from harness import *

LIMIT = 1 << 20
# Strangers come from 127.0.0.1 here: it is not in mynetworks.
MAIN = f'message_size_limit = {LIMIT}\nmynetworks = 10.0.0.0/8\nsmtpd_client_connection_count_limit = 30\n'
I = None


class Client:
    def __init__(self, port='smtp', greet=True):
        self.s, self.b = I.connect(port), b''
        if greet:
            self.reply()

    def reply(self):
        """one reply, its lines joined by |; '' when the server has closed"""
        lines = []
        while True:
            while b'\n' not in self.b:
                try:
                    d = self.s.recv(65536)
                except OSError:
                    d = b''
                if not d:
                    return '|'.join(lines)
                self.b += d
            line, self.b = self.b.split(b'\n', 1)
            lines.append(line.decode('latin1').rstrip('\r'))
            if lines[-1][3:4] != '-':
                return '|'.join(lines)

    def send(self, d, piece=0):
        d = d.encode('latin1') if isinstance(d, str) else d
        try:
            for i in range(0, len(d), piece or len(d)):
                self.s.sendall(d[i:i + (piece or len(d))])
        except OSError:
            pass
        return self

    def cmd(self, line):
        return self.send(line + '\r\n').reply()

    def ehlo(self):
        self.cmd('EHLO client.example')
        return self

    def data(self, rcpt='bob@' + DOMAIN):
        self.ehlo()
        for line in 'MAIL FROM:<x@client.example>', f'RCPT TO:<{rcpt}>':
            want('envelope', self.cmd(line), '250')
        want('DATA', self.cmd('DATA'), '354')
        return self

    def starttls(self):
        want('STARTTLS', self.cmd('STARTTLS'), '220')
        self.s, self.b = I.tls().wrap_socket(self.s, server_hostname='127.0.0.1'), b''
        return self

    def reset(self):
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.s.close()


def want(what, got, *starts):
    check(any(got.startswith(w) if w else got == '' for w in starts), f'{what[:80]}: got {got[:100]!r}, want {starts}')


def login():
    return Client('submission').ehlo().starttls().ehlo()


def b64(x):
    return base64.b64encode(x).decode()


def honest():
    """the server answers somebody else at once"""
    watch = Watch()
    want('honest client', Client().cmd('NOOP'), '250')
    check(watch.secs() < 1, 'an honest client waited longer than a second')


@test
def rows_13_to_16_ends_of_data():
    n = len(I.mails('alice'))
    want('13', Client().data('alice@' + DOMAIN).send('Subject: 13\r\n\r\nx\r\n.\r\n', 1).reply(), '250 2.0.0')
    want('16', Client().data('alice@' + DOMAIN).cmd('.'), '250 2.0.0')
    want('15', Client().data('alice@' + DOMAIN).send('Subject: 15\r\n\r\n...\r\n.. \r\n.\r\n').reply(), '250 2.0.0')
    texts = [open(p).read() for p in I.wait_mails('alice', n + 3)]
    check(sum(t.endswith('Subject: 15\n\n..\n. \n') for t in texts) == 1, 'dots were not kept')


@test
def row_25_long_lines():
    for size in 2049, 20000:
        c = Client()
        want(f'{size}', c.cmd('x' * size), '500 5.5.2')
        want('the session goes on', c.cmd('NOOP'), '250')
    c = Client().send('x' * (1 << 20))
    want('endless', c.reply(), '500 5.5.2')
    want('endless', c.reply(), '')
    want('26', Client().cmd('EHLO ' + 'a' * 65536), '50')
    honest()


@test
def rows_28_to_41_grammar():
    c = Client()
    for name in '[IPv6::::]', '[999.1.1.1]', '[' * 1000, '${run{id}}', '%n%n', '\\\\':
        want('EHLO ' + name, c.cmd('EHLO ' + name), '501')
    c = Client().ehlo()
    for p, code in ('SIZE=99999999999999999999', '552'), ('SIZE=-1', '501'), ('SIZE=0x10', '501'), ('SIZE=1 SIZE=1', '501'):
        want(p, c.cmd('MAIL FROM:<x@client.example> ' + p), code)
    for sender in ';sleep 66;', 'a\0@x.example':
        want(sender, c.cmd(f'MAIL FROM:<{sender}>'), '501')
    want('23', c.cmd('MAIL FROM:<\xff@x.example>'), '553', '501')
    for rcpts in (('u%other@D', 'other!u@D', 'u@other@D', '"u@other"@D', 'x@far.example', '@D:x@far.example', '"x"@far.example'),
                  ('(' * 1900, '<' * 1900, '"' * 1900, 'a' * 65 + '@D', 'a@' + 'b' * 256, 'a@' + 'l' * 64 + '.x', 'a@-b', 'a@b..c'),
                  ('-oQ/tmp@D', '-froot@D', '|/bin/sh@D', '/etc/passwd@D', ':include:/etc/shadow@D', '"x$(curl${IFS}h)"@D')):
        c = Client().ehlo()
        want('MAIL', c.cmd('MAIL FROM:<x@client.example>'), '250')
        for r in rcpts:
            want(r, c.cmd(f'RCPT TO:<{r.replace("D", DOMAIN)}>'), '501', '550', '554 5.7.1')
    check('status=sent' not in ''.join(l for l in I.log().splitlines() if 'far.example' in l), 'relayed for a stranger')


@test
def rows_42_and_43_recipients():
    c, n452, last = Client().ehlo(), 0, 'x'
    c.cmd('MAIL FROM:<x@client.example>')
    for _ in range(40):
        c.send(f'RCPT TO:<bob@{DOMAIN}>\r\n' * 100)
        for _ in range(100):
            last = c.reply()
            n452 += last.startswith('452 4.5.3')
            if not last or last.startswith('421'):
                break
        if not last or last.startswith('421'):
            break
    check(n452 >= 100, f'{n452} times 452')
    want('overshoot', last, '421', '')
    c = Client().ehlo()
    c.cmd('MAIL FROM:<x@client.example>')
    got = [c.cmd(f'RCPT TO:<nobody{i}@{DOMAIN}>')[:3] for i in range(21)]
    check(got == ['550'] * 20 + ['421'], f'harvest: {got}')


@test
def rows_46_to_57_other_protocols_and_order():
    c = Client().send('\n' * 100000)
    last = [r for r in iter(c.reply, '')][-1]
    want('46', last, '421', '554', '221')
    for verb in 'GET / HTTP/1.1', 'POST / HTTP/1.0', 'CONNECT x:25 HTTP/1.1':
        c = Client()
        want(verb, c.cmd(verb), '221')
        want(verb, c.reply(), '')
    for junk in b'\x16\x03\x01\x02\x00\x01' + os.urandom(500), b'SSH-2.0-x\r\n', b'\0' + os.urandom(65535):
        c, watch = Client().send(junk), Watch()
        for _ in iter(c.reply, ''):
            pass
        check(watch.secs() < 1, '50: it was not closed within a second')
    c = Client().ehlo()
    c.cmd('MAIL FROM:<x@client.example>')
    c.cmd(f'RCPT TO:<bob@{DOMAIN}>')
    want('48', c.send('DATA\r\nSubject: ahead\r\n.\r\n').reply(), '554 5.5.0')
    want('48', c.reply(), '')
    c = Client().ehlo()
    for line, code in ('DATA', '503 5.5.1'), (f'RCPT TO:<bob@{DOMAIN}>', '503 5.5.1'), ('XCLIENT NAME=x', '5'), ('LHLO x', '5'), \
            ("ETRN #',1); injection", '50'), ('NOOP ' + '%n\\' * 300, '250'):
        want(line, c.cmd(line), code)
    honest()


@test
def rows_61_and_62_slow_and_many():
    many = [Client(greet=False) for _ in range(40)]
    codes = [c.reply()[:3] for c in many]
    check(codes.count('220') <= 30 and codes.count('421') >= 10, f'{codes.count("220")} of 40 came in')
    for c in many:
        c.s.close()
    wait(lambda: I.log().count('disconnect from') >= I.log().count(' connect from'), 5)
    c = Client().data()
    c.s.settimeout(60)

    def drip():
        while c.s.fileno() >= 0:
            c.send('x')
            time.sleep(1)
    threading.Thread(target=drip, daemon=True).start()
    want('61', c.reply(), '421 4.4.2')
    c.s.close()


@test
def rows_64_to_66_broken_off():
    for close in Client.reset, lambda c: c.s.close():
        for n in range(6):
            c = Client()
            for line in ['EHLO x', 'MAIL FROM:<x@client.example>', f'RCPT TO:<bob@{DOMAIN}>', 'DATA'][:n]:
                c.cmd(line)
            if n == 5:
                c.send('Subject: HALF\r\n\r\n' + 'x\r\n' * 30000)
            close(c)
    n = len(I.mails('alice'))
    for i in range(10):
        c = Client().data('alice@' + DOMAIN).send(f'Subject: after the dot\r\n\r\n{i}\r\n.\r\n')
        c.s.close()
    I.wait_mails('alice', n + 10)
    check(wait(lambda: not I.queue(), 10), f'files are left in the queue: {I.queue()[:3]}')
    check(not any('HALF' in open(p, errors='replace').read() for p in I.mails('bob')), 'half a message was delivered')


@test
def rows_67_to_70_sizes():
    for size, code in (LIMIT - 5000, '250'), (LIMIT * 2, '552'), (LIMIT * 10, '552'):
        body = ('y' * 76 + '\r\n') * (size // 78)
        want(f'{size} bytes', Client().data().send('Subject: big\r\n\r\n' + body + '.\r\n').reply(), code)
    want('68', Client().data().send('z' * LIMIT * 4 + '\r\n.\r\n').reply(), '552', '500')
    want('70', Client().data().send('Received: x\r\n' * 101 + '\r\n.\r\n').reply(), '554 5.4.6')


@test
def rows_71_to_80_tls():
    c = Client().ehlo()
    want('71', c.send('STARTTLS\r\nRSET\r\n').reply(), '220')
    c.s, c.b = I.tls().wrap_socket(c.s, server_hostname='127.0.0.1'), b''
    want('71', c.cmd('EHLO x'), '250-')
    want('76', c.cmd('STARTTLS'), '554')
    c = Client().ehlo()
    want('76', c.cmd('STARTTLS x'), '501')
    c.cmd('MAIL FROM:<>')
    want('76', c.cmd('STARTTLS'), '503', '554')
    c = Client().ehlo().starttls().data().send('Subject: HALF\r\n\r\nx\r\n')
    c.s.shutdown(socket.SHUT_RDWR)		# no close_notify
    check(wait(lambda: not I.queue(), 10), 'a truncated message is in the queue')


@test
def rows_84_to_94_logins():
    want('94 in the clear', Client('submission').ehlo().cmd('AUTH PLAIN ' + b64(b'\0a\0b')), '538', '530')
    c = login()
    for text in '!!!', 'A', 'AAAAA', b64(b'nonul'), b64(b'\0a'), b64(b'\0a\0b\0c'), 'A' * 13000, '=', 'AA AA':
        want('84 ' + text, c.cmd('AUTH PLAIN ' + text), '501', '535', '500')
    c = login()
    want('86', c.cmd('AUTH PLAIN'), '334')
    want('86', c.cmd('*'), '501')
    for mech in 'NTLM', 'CRAM-MD5', 'X' * 1000:
        want('87', c.cmd('AUTH ' + mech), '504')
    for user in b'%{pid}%{home}', b'../../x', b'a\tb', b'\xff\xfe', b'u' * 4000:
        want('88', c.cmd('AUTH PLAIN ' + b64(b'\0' + user + b'\0x')), '535', '501')
    c = login()
    good = 'AUTH PLAIN ' + b64(f'\0alice@{DOMAIN}\0pw-alice'.encode())
    want('the right password', c.cmd(good), '235')
    want('twice', c.cmd(good), '503')
    c.cmd(f'MAIL FROM:<alice@{DOMAIN}>')
    want('in a transaction', c.cmd(good), '503')
    want('relay for users', c.cmd('RCPT TO:<x@far.example>'), '250')
    for i in range(40):
        c = login() if i % 4 == 0 else Client('submission').ehlo()
        c.send('AUTH PLAIN\r\n' if i % 2 else 'AUTH PLAIN AGE').reset()
    want('85', login().cmd(good), '235')


@test
def reload_drops_no_session():
    c, d = Client().ehlo(), Client().data().send('Subject: over a reload\r\n\r\n' + 'x' * 70 + '\r\n')
    d.send(('y' * 70 + '\r\n') * 2000)
    c.cmd('MAIL FROM:<x@client.example>')
    I.run('reload')
    want('a new session', Client().cmd('NOOP'), '250')
    want('the old one', c.cmd(f'RCPT TO:<bob@{DOMAIN}>'), '250')
    want('its message', d.send('.\r\n').reply(), '250 2.0.0')


def run_all():
    global I
    with Instance(main=MAIN) as I:
        try:
            main()
        except SystemExit as e:
            code = e.code
        log = I.log()
        ends = [l for l in log.splitlines() if re.search('was ended by signal|ended with status|runtime error|Sanitizer', l)]
        print(f'not ok no daemon died: {ends[:3]}' if ends else 'ok no daemon died')
        odd = [l for l in log.splitlines() if not re.match(r'\d{4}-\d\d-\d\dT[\d:.]+Z [a-z0-9-]+\[\d+\]: [ -~]*$', l)]
        print(f'not ok every line of the log is printable: {odd[:3]}' if odd else 'ok every line of the log is printable')
        sys.exit(code or (1 if ends or odd else 0))


run_all()
