#!/usr/bin/env python3
"""LMTP (RFC 2033): LHLO, one reply a recipient, by the net and by a socket of the host; with real clients."""
import shutil, smtplib, socket, subprocess, time
from harness import *


class Client:
    def __init__(self, i, unix=None):
        if unix:
            self.s = socket.socket(socket.AF_UNIX)
            self.s.settimeout(30)
            self.s.connect(unix)
        else:
            self.s = socket.create_connection(('127.0.0.1', i.base + 24), 30)
        self.f = self.s.makefile('rb')
        check(self.reply()[0].startswith('220'), 'greeting')

    def reply(self):
        lines = [self.f.readline().decode().rstrip()]
        while lines[-1][3:4] == '-':
            lines.append(self.f.readline().decode().rstrip())
        return lines

    def say(self, line):
        self.s.sendall(line.encode() + b'\r\n')
        return self.reply()

    def message(self, body, *to):
        """The replies at the end of the message; only of who was accepted at RCPT."""
        self.say('MAIL FROM:<x@y.example>')
        n = sum(self.say(f'RCPT TO:<{t}@{DOMAIN}>')[0].startswith('250') for t in to)
        check(self.say('DATA')[0].startswith('354'), 'DATA')
        self.s.sendall(body + b'.\r\n')
        return [self.reply()[0] for _ in range(n)]


TEXT = b'Subject: lmtp\r\n\r\nx\r\n'


@test
def one_reply_a_recipient():
    with Instance(users=('alice', 'bob', 'carol')) as i:
        i.stop()
        with open(i.conf + '/master.cf', 'a') as f:
            f.write(f'127.0.0.1:{i.base + 24} inet n - y - 1-2 smtpd\n  -o smtpd_lmtp=yes\nlmtp unix n - y - 1-2 smtpd\n  -o smtpd_lmtp=yes\n')
        i.run('quota', 'set', f'bob@{DOMAIN}', '10K')
        i.start()
        c = Client(i)
        for verb in ('EHLO x', 'HELO x', 'BDAT 1'):
            check(c.say(verb)[0].startswith('500'), verb)
        hello = c.say('LHLO c.example')
        check(hello[0].startswith('250') and any('PIPELINING' in l for l in hello) and any('ENHANCEDSTATUSCODES' in l for l in hello) and
              not any('CHUNKING' in l for l in hello), str(hello))
        r = c.message(TEXT, 'alice', 'nobody', 'bob', 'alice')
        check(len(r) == 3 and all(l.startswith('250 2.0.0') for l in r), str(r))
        check(len({l.split()[-1] for l in r}) == 3, 'one message for all')
        i.wait_mails('alice', 2)
        check('with LMTP id' in open(i.mails('alice')[0]).read(), 'Received')
        # full for one: at once in the mailbox of the others, in the order of RCPT
        r = c.message(b'Subject: q\r\n\r\n' + b'y' * 70 * 1 + b'\r\n' + b'0123456789\r\n' * 2000, 'alice', 'bob', 'carol')
        check([l[:9] for l in r] == ['250 2.0.0', '452 4.2.2', '250 2.0.0'], str(r))
        check(len(i.mails('carol')) == 1 and len(i.mails('alice')) == 3 and len(i.mails('bob')) == 1, 'not there at the reply')
        # what streams through has one answer for all, told to each
        big = b'Subject: big\r\n\r\n' + b'0123456789abcde\r\n' * 30000
        r = c.message(big, 'alice', 'carol')
        check(len(r) == 2 and all(l.startswith('250') for l in r), str(r))
        i.wait_mails('carol', 2)
        # refused as a whole
        with open(i.conf + '/main.cf', 'a') as f:
            f.write('message_size_limit = 10000\n')
        i.run('reload')
        wait(lambda: any('SIZE 10000' in l for l in Client(i).say('LHLO x')))
        c = Client(i)
        c.say('LHLO c.example')
        r = c.message(big, 'alice', 'carol')
        check(len(r) == 2 and all(l.startswith('552') for l in r), str(r))
        # nobody: no message
        c.say('MAIL FROM:<>')
        c.say(f'RCPT TO:<nobody@{DOMAIN}>')
        check(c.say('DATA')[0].startswith('503'), 'DATA without a recipient')
        c.say('RSET')
        # pipelined
        c.s.sendall(f'MAIL FROM:<>\r\nRCPT TO:<alice@{DOMAIN}>\r\nRCPT TO:<carol@{DOMAIN}>\r\nDATA\r\n'.encode())
        check([c.reply()[0][:3] for _ in range(4)] == ['250', '250', '250', '354'], 'pipelined')
        c.s.sendall(TEXT + b'.\r\nQUIT\r\n')
        check([c.reply()[0][:3] for _ in range(3)] == ['250', '250', '221'], 'replies, then QUIT')
        # the socket
        u = Client(i, i.root + '/run/public/lmtp')
        u.say('LHLO here')
        check(u.message(TEXT, 'alice', 'carol') and u.say('QUIT')[0].startswith('221'), 'by the socket')
        # real clients
        s = smtplib.LMTP('127.0.0.1', i.base + 24)
        check(s.sendmail('x@y.example', [f'alice@{DOMAIN}', f'carol@{DOMAIN}'], TEXT) == {}, 'smtplib')
        s.quit()
        n = len(i.mails('alice'))
        if shutil.which('swaks'):
            p = subprocess.run(['swaks', '--protocol', 'LMTP', '--server', '127.0.0.1', '--port', str(i.base + 24), '--to',
                                f'alice@{DOMAIN},carol@{DOMAIN}', '--from', 'x@y.example', '--helo', 'c.example'], capture_output=True, text=True)
            check(p.returncode == 0, p.stdout)
            i.wait_mails('alice', n + 1)


@test
def mailboxes_that_another_server_has():
    """virtual_transport, mailbox_transport: known users only, behind aliases"""
    with Instance(main='recipient_delimiter = +\n') as there:
        there.stop()
        with open(there.conf + '/master.cf', 'a') as f:
            f.write(f'127.0.0.1:{there.base + 24} inet n - y - 1-2 smtpd\n  -o smtpd_lmtp=yes\n')
        there.start()
        hop = f'lmtp:[127.0.0.1]:{there.base + 24}'
        main = f'virtual_transport = {hop}\nmailbox_transport = {hop}\nrecipient_delimiter = +\n' \
               f'virtual_alias_maps = inline:{{ {{both@{DOMAIN} = alice@{DOMAIN} bob+x@{DOMAIN}}} }}\n'
        with Instance(users=('alice', 'bob', 'gone'), main=main) as i:
            with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=20) as s:
                refused = s.sendmail('x@y.example', [f'{u}@{DOMAIN}' for u in ('both', 'alice', 'nobody')], TEXT)
                check({a: c for a, (c, _) in refused.items()} == {f'nobody@{DOMAIN}': 550}, str(refused))
                check(s.sendmail('alice@' + DOMAIN, [f'gone@{DOMAIN}'], TEXT) == {}, 'gone')
            there.wait_mails('bob', 1)
            check(wait(lambda: i.log().count('status=sent') >= 3 and 'status=bounced' in i.log(), 20), i.log()[-2000:])
            there.wait_mails('alice', 1)
            check(not i.mails('alice') and not i.mails('bob'), 'a mailbox here got mail')
            check(any(f'to=<gone@{DOMAIN}>' in l and '550' in l for l in i.log().splitlines()), 'what the other server refuses is returned')


main()
