#!/usr/bin/env python3
"""Restriction lists of a running smtpd: tables, DNS, policy services, classes; mistakes told by check."""
import re, shutil, signal, smtplib, socket, struct, subprocess, threading
from harness import *
from fakedns import dns_server
from sink import Sink

EX_CONFIG = 78


def rcpt(i, sender='x@good.test', to='alice@example.test', helo='client.good.test'):
    """(code, text) of the last reply to a transaction up to RCPT"""
    s = smtplib.SMTP('127.0.0.1', i.port('smtp'), local_hostname=helo, timeout=20)
    try:
        s.ehlo()
        code, text = s.mail(sender)
        if code == 250:
            code, text = s.rcpt(to)
        return code, text.decode()
    finally:
        s.close()


def send(i, sender='x@good.test', to='alice@example.test', helo='client.good.test'):
    with smtplib.SMTP('127.0.0.1', i.port('smtp'), local_hostname=helo, timeout=20) as s:
        return s.sendmail(sender, [to], f'From: {sender}\r\nSubject: t\r\n\r\nx\r\n')


def said(got, code, text=''):
    check(got[0] == code and text in got[1], f'{got}, not {code} {text}')


class Service:
    """a policy service; answer(dict) -> action, or None to close"""
    def __init__(self, answer):
        self.answer, self.asked = answer, []
        self.s = socket.create_server(('127.0.0.1', 0))
        self.port = self.s.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        f = c.makefile('rwb')
        q = {}
        for line in f:
            line = line.decode().rstrip('\n')
            if line:
                k, v = line.split('=', 1)
                q[k] = v
                continue
            self.asked.append(q)
            a = self.answer(q)
            if a is None:
                break
            f.write(f'action={a}\n\n'.encode())
            f.flush()
            q = {}
        f.close()
        c.close()


@test
def access_tables_of_every_type():
    i = Instance()
    try:
        with open(i.dir + '/clients', 'w') as f:
            f.write('192.0.2.0/24 REJECT\n127.0.0.0/8 PREPEND X-From: loopback\n')
        with open(i.dir + '/senders', 'w') as f:
            f.write('/^(bad)@(.*)$/ REJECT 5.7.8 no $1 of $2\n')
        with open(i.dir + '/domains', 'w') as f:
            f.write('spam.test 550 5.7.9 no spam\nlater.test DEFER\nsub.good.test OK\n')
        check(i.tool('postmap', 'hash:' + i.dir + '/domains').returncode == 0, 'postmap')
        i.configure(f'''smtpd_client_restrictions = check_client_access cidr:{i.dir}/clients
smtpd_sender_restrictions = check_sender_access pcre:{i.dir}/senders, check_sender_access hash:{i.dir}/domains
''')
        i.start()
        said(rcpt(i), 250)
        said(rcpt(i, 'bad@x.test'), 554, '5.7.8 <bad@x.test>: Sender address rejected: no bad of x.test')
        said(rcpt(i, 'x@a.spam.test'), 550, '5.7.9 <x@a.spam.test>: Sender address rejected: no spam')
        said(rcpt(i, 'x@later.test'), 450, '4.7.1 ')
        send(i)
        text = open(i.wait_mails('alice', 1)[0]).read()
        check('\nX-From: loopback\n' in text, text)
        # a replaced table counts at once, also when the old file has another link; one with a mistake does not
        os.link(i.dir + '/senders', i.dir + '/senders.old')
        os.link(i.dir + '/domains.cdb', i.dir + '/domains.old')
        with open(i.dir + '/new', 'w') as f:
            f.write('/^worse@/ REJECT\n')
        os.rename(i.dir + '/new', i.dir + '/senders')
        with open(i.dir + '/domains', 'w') as f:
            f.write('spam.test OK\n')
        check(i.tool('postmap', 'hash:' + i.dir + '/domains').returncode == 0, 'postmap')
        time.sleep(1.1)
        rcpt(i)
        said(rcpt(i, 'worse@x.test'), 554)
        said(rcpt(i, 'bad@x.test'), 250)
        said(rcpt(i, 'x@a.spam.test'), 250)
        with open(i.dir + '/new', 'w') as f:
            f.write('/^(/ REJECT\n')
        os.rename(i.dir + '/new', i.dir + '/senders')
        time.sleep(1.1)
        rcpt(i)
        said(rcpt(i, 'worse@x.test'), 554)
        check(i.tells('the old table stays in use'), 'the mistake is not in the log')
    finally:
        i.close()


@test
def dns_lists_and_domains():
    zone = {}
    port, wire = dns_server(zone)
    zone.update({
        ('good.test', 15): [struct.pack('>H', 10) + wire('mx.good.test')], ('client.good.test', 1): [bytes([127, 0, 0, 1])],
        ('broken.test', 15): None, ('null.test', 15): [struct.pack('>H', 0) + b'\0'],
        ('1.0.0.127.bl.test', 1): [bytes([127, 0, 0, 4])], ('1.0.0.127.bl.test', 16): [b'\x0bsee our web'],
        ('bad.test.dom.test', 1): [bytes([127, 0, 0, 2])], ('bad.test', 1): [bytes([127, 0, 0, 2])],
        ('1.0.0.127.down.test', 1): None,
        ('mx.good.test', 1): [bytes([192, 0, 2, 66])], ('mx.good.test', 28): [socket.inet_pton(socket.AF_INET6, '2001:db8::66')],
        ('bad.test', 15): [struct.pack('>H', 10) + wire('nodns.bad.test')], ('1.0.0.127.wl.test', 1): [bytes([127, 0, 0, 2])],
        ('ours.test', 2): [wire('ns.evil.test')], ('ns.evil.test', 1): [bytes([192, 0, 2, 53])],
    })
    main = f'''dns_servers = 127.0.0.1@{port}
smtpd_sender_restrictions = reject_unknown_sender_domain
smtpd_helo_restrictions = reject_unknown_helo_hostname
smtpd_recipient_restrictions = reject_rbl_client down.test, reject_rbl_client bl.test=127.0.0.[8..9], reject_rhsbl_sender dom.test
'''
    with Instance(main=main) as i:
        said(rcpt(i), 250)
        said(rcpt(i, 'x@none.test'), 450, '4.1.8 <x@none.test>: Sender address rejected: Domain not found')
        said(rcpt(i, 'x@broken.test'), 450, '4.1.8 ')
        said(rcpt(i, 'x@null.test'), 550, '5.7.27 ')
        said(rcpt(i, ''), 250)
        said(rcpt(i, 'x@bad.test'), 554, '5.7.1 Service unavailable; Sender address [x@bad.test] blocked using dom.test')
        said(rcpt(i, helo='none.test'), 450, '4.7.1 <none.test>: Helo command rejected: Host not found')
        check(i.tells('NOQUEUE: reject: RCPT from '), 'no line in the log')
        # pipelined commands keep their order while DNS is asked
        with i.connect('smtp') as c:
            f = c.makefile('rwb')
            f.readline()
            f.write(b'EHLO client.good.test\r\n')
            f.flush()
            while f.readline()[3:4] == b'-':
                pass
            f.write(b'MAIL FROM:<x@good.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<no@example.test>\r\n'
                    b'RCPT TO:<bob@example.test>\r\nDATA\r\n')
            f.flush()
            codes = [f.readline()[:3] for _ in range(5)]
            check(codes == [b'250', b'250', b'550', b'250', b'354'], codes)
    # the hosts behind a name; and no list in the DNS opens the relay
    main = f'''dns_servers = 127.0.0.1@{port}
smtpd_sender_restrictions = check_sender_mx_access inline:{{2001:db8=REJECT 5.7.9 that host}}, check_sender_ns_access inline:{{192.0.2.53=REJECT 5.7.8 that name server}}
smtpd_helo_restrictions = check_helo_a_access inline:{{192.0.2.66=450 4.7.9 wait}}
smtpd_recipient_restrictions = permit_dnswl_client wl.test, permit_inet_interfaces, sleep 1, reject
'''
    with Instance(main=main) as i:
        said(rcpt(i, 'x@bad.test'), 250)
        said(rcpt(i, 'x@good.test'), 554, '5.7.9 <x@good.test>: Sender address rejected: that host')
        said(rcpt(i, 'x@a.b.ours.test'), 554, '5.7.8 <x@a.b.ours.test>: Sender address rejected: that name server')
        said(rcpt(i, 'x@bad.test', helo='mx.good.test'), 450, '4.7.9 <mx.good.test>: Helo command rejected: wait')
        i.configure(f'smtpd_recipient_restrictions = permit_dnswl_client wl.test, sleep 1, reject\n')
        i.run('reload')
        said(rcpt(i, 'x@bad.test'), 250)
        said(rcpt(i, 'x@bad.test', 'x@far.test'), 554, '5.7.1 <x@far.test>: Recipient address rejected')
    main = f'dns_servers = 127.0.0.1@{port}\nsmtpd_delay_reject = no\nsmtpd_client_restrictions = reject_rbl_client bl.test\n'
    with Instance(main=main) as i:
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=20) as s:
            code, text = s.ehlo('client.good.test')
            check(code == 554 and b'blocked using bl.test; see our web' in text, text)


@test
def addresses_elsewhere_are_verified():
    gate = threading.Event()

    def reply(verb, arg):
        if verb == 'RCPT' and 'slow' in arg:
            gate.wait(20)
        if verb == 'RCPT':
            return b'550 5.1.1 no \x1b such user\r\n' if 'bad' in arg else b'451 4.2.1 busy\r\n' if 'busy' in arg else None
    sink = Sink(reply)
    with socket.socket() as dead, Instance(domain='two.test') as b:
        dead.bind(('127.0.0.1', 0))     # nobody listens there
        to = {'far.test': sink.port, 'dead.test': dead.getsockname()[1], 'two.test': b.port('smtp')}
        i = Instance(main='virtual_alias_maps = inline:{ {both@example.test = alice@example.test bad@far.test}, {one@example.test = bad@far.test} }\n'
                          'transport_maps = inline:{ ' + ', '.join(f'{{{d} = smtp:[127.0.0.1]:{p}}}' for d, p in to.items()) + ' }\n'
                          'unverified_recipient_reject_code = 550\naddress_verify_sender = probe@two.test\n'
                          'smtpd_recipient_restrictions = reject_unverified_sender, reject_unverified_recipient\n')

        def probes(who):
            return sum(v == 'RCPT' and who in a for v, a in sink.commands)
        with i:
            for _ in range(2):          # what is known is not asked for again
                said(rcpt(i, 'good@far.test', 'fine@far.test'), 250)
                said(rcpt(i, 'bad@far.test'), 450, '4.1.7 <bad@far.test>: Sender address rejected: undeliverable address: host 127.0.0.1[')
                said(rcpt(i, '', 'bad@far.test'), 550, '5.1.1 <bad@far.test>: Recipient address rejected: undeliverable address: ')
                said(rcpt(i, '', 'busy@far.test'), 450, '4.1.1 <busy@far.test>: Recipient address rejected: unverified address: ')
            check([probes(w) for w in ('good', 'fine', 'bad', 'busy')] == [1, 1, 1, 1], sink.commands)
            check(('MAIL', 'FROM:<probe@two.test>') in sink.commands and not sink.mails, sink.commands)
            check(wait(lambda: sum(v == 'QUIT' for v, _ in sink.commands) == sink.connections), 'no QUIT')
            check(not {v for v, _ in sink.commands} & {'DATA', 'BDAT'}, sink.commands)
            # another server, with TLS; what is here the tables tell; nobody is there; no refusal for good without an answer
            said(rcpt(i, 'bob@two.test', 'alice@two.test'), 250)
            said(rcpt(i, 'nobody@two.test'), 450, 'undeliverable address: host 127.0.0.1[127.0.0.1]:')
            said(rcpt(i, 'alice@example.test', 'both@example.test'), 250)
            said(rcpt(i, 'alice@example.test', 'one@example.test'), 550, 'undeliverable address: ')
            said(rcpt(i, 'who@example.test'), 450, '4.1.7 <who@example.test>: Sender address rejected: undeliverable address: ')
            said(rcpt(i, 'x@dead.test'), 450, 'unverified address: connect to 127.0.0.1[127.0.0.1]:')
            check(i.tells('probe: to=<good@far.test>') and i.tells('status=deliverable ('), 'the log says nothing')
            # one client waits, others are served; an smtp that ends meanwhile is no answer
            got = []
            waits = threading.Thread(target=lambda: got.append(rcpt(i, 'slow@far.test')))
            waits.start()
            check(wait(lambda: probes('slow') == 1), 'no probe')
            said(rcpt(i, 'good@far.test', 'fine@far.test'), 250)
            send_signal([p for p, name in i.processes().items() if name == 'smtp'][0], signal.SIGKILL)
            check(wait(lambda: probes('slow') == 2) and not got, f'{probes("slow")} probes, {got}')
            gate.set()
            waits.join(20)
            said(got[0], 250)
            check(not i.queue(), 'there is something in the queue')


@test
def clients_have_names():
    zone = {}
    port, wire = dns_server(zone)
    zone.update({
        ('2.0.0.127.in-addr.arpa', 12): [wire('mail.good.test')], ('mail.good.test', 1): [bytes([127, 0, 0, 2])],
        ('3.0.0.127.in-addr.arpa', 12): [wire('mail.good.test')],
        ('4.0.0.127.in-addr.arpa', 12): None,
        ('6.0.0.127.in-addr.arpa', 12): [wire('127.0.0.1')],
    })
    asked = []
    srv = Service(lambda q: asked.append((q['client_address'], q['client_name'], q['reverse_client_name'])) or 'DUNNO')

    def rcpt_from(i, addr, to='alice@example.test'):
        s = smtplib.SMTP('127.0.0.1', i.port('smtp'), local_hostname='h.test', timeout=20, source_address=(addr, 0))
        try:
            s.ehlo()
            s.mail('x@good.test')
            code, text = s.rcpt(to)
            if code == 250 and to.startswith('alice'):
                check(s.data('Subject: t\r\n\r\nx\r\n')[0] == 250, 'data')
            return code, text.decode()
        finally:
            s.close()
    main = f'''dns_servers = 127.0.0.1@{port}
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{srv.port}
    check_recipient_access inline:{{bob@example.test=reject_unknown_client_hostname,postmaster@example.test=byname}}
smtpd_restriction_classes = byname
byname = check_client_access inline:{{good.test=REJECT}}, check_reverse_client_hostname_access inline:{{good.test=REJECT 5.7.9 says so}}
'''
    with Instance(main=main) as i:
        for addr, name, reverse in [('127.0.0.2', 'mail.good.test', 'mail.good.test'), ('127.0.0.3', 'unknown', 'mail.good.test'),
                                    ('127.0.0.5', 'unknown', 'unknown'), ('127.0.0.1', 'localhost', 'localhost'),
                                    ('127.0.0.6', 'unknown', 'unknown')]:
            said(rcpt_from(i, addr), 250)
            check(asked[-1] == (addr, name, reverse), asked)
            check(wait(lambda: f' disconnect from {name}[{addr}]' in i.log()) and f' connect from {name}[{addr}]' in i.log(), i.log())
            check(i.tells(f'client={name}[{addr}]'), 'the client of the message')
        texts = ''.join(open(p).read() for p in i.wait_mails('alice', 5))
        check('from h.test (mail.good.test [127.0.0.2])' in texts and '(unknown [127.0.0.3])' in texts, texts)
        said(rcpt_from(i, '127.0.0.2', 'bob@example.test'), 250)
        said(rcpt_from(i, '127.0.0.3', 'bob@example.test'), 450, '4.7.1 Client host rejected: cannot find your hostname, [127.0.0.3]')
        said(rcpt_from(i, '127.0.0.4', 'bob@example.test'), 450, '4.7.1 Client host rejected: cannot find your hostname')
        said(rcpt_from(i, '127.0.0.2', 'postmaster@example.test'), 554, '<mail.good.test[127.0.0.2]>: Client host rejected')
        said(rcpt_from(i, '127.0.0.3', 'postmaster@example.test'), 554, '5.7.9 <mail.good.test>: Unverified Client host')
        srv.s.close()


@test
def a_policy_service_decides():
    srv = Service(lambda q: 'REJECT 5.7.3 not you' if q['sender'] == 'no@good.test' else
                  'PREPEND X-Seen: ' + q['protocol_state'] if q['protocol_state'] == 'RCPT' else
                  None if q['sender'] == 'die@good.test' else 'DUNNO')
    main = f'''smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{srv.port}
smtpd_data_restrictions = check_policy_service inet:127.0.0.1:{srv.port}
smtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:{srv.port}
'''
    with Instance(main=main) as i:
        send(i)
        text = open(i.wait_mails('alice', 1)[0]).read()
        check('\nX-Seen: RCPT\n' in text, text)
        check([q['protocol_state'] for q in srv.asked] == ['RCPT', 'DATA', 'END-OF-MESSAGE'], srv.asked)
        check(len({q['instance'] for q in srv.asked}) == 1 and srv.asked[2]['recipient_count'] == '1', srv.asked)
        check((srv.asked[0]['server_address'], srv.asked[0]['server_port']) == ('127.0.0.1', str(i.port('smtp'))), srv.asked[0])
        said(rcpt(i, 'no@good.test'), 554, '5.7.3 <alice@example.test>: Recipient address rejected: not you')
        try:
            send(i, 'die@good.test')
            check(False, 'taken without an answer')
        except smtplib.SMTPDataError as e:
            check(e.smtp_code == 451 and b'4.3.5' in e.smtp_error, e)
        srv.s.shutdown(socket.SHUT_RDWR)
        srv.s.close()
        time.sleep(0.2)
    with Instance(main=f'smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{srv.port}\n') as i:
        said(rcpt(i), 451, '4.3.5 ')
        check(i.tells('policy service inet:'), 'nothing in the log')


@test
def policyd_spf_judges_clients():
    """the policy daemon of Debian that speaks on its standard input, as inetd or spawn(8) would start it; one process a connection"""
    if not os.path.exists('/usr/bin/policyd-spf'):
        raise Skip('no postfix-policyd-spf-python')
    zone = {}
    port, wire = dns_server(zone)
    zone[('good.test', 16)] = [bytes([len(x)]) + x for x in [b'v=spf1 ip4:192.0.2.1 -all']]
    zone[('bad.test', 16)] = [bytes([len(x)]) + x for x in [b'v=spf1 ip4:192.0.2.77 -all']]
    d = tempfile.mkdtemp(prefix='merpati-spf-', dir='/tmp')
    with open(d + '/conf', 'w') as f:
        f.write('debugLevel = 0\nTestOnly = 1\nHELO_reject = False\nMail_From_reject = Fail\nPermError_reject = False\nTempError_Defer = False\n')
    with open(d + '/run', 'w') as f:        # its resolver is that of the test, whatever the system's is
        f.write(f"import runpy, sys\nimport dns.resolver\nr = dns.resolver.Resolver(configure=False)\nr.nameservers, r.port = ['127.0.0.1'], {port}\n"
                f"dns.resolver.default_resolver = dns.resolver.get_default_resolver = None\n"
                "dns.resolver.default_resolver = r\ndns.resolver.get_default_resolver = lambda: r\n"
                "sys.argv = ['policyd-spf', sys.argv[1]]\nrunpy.run_path('/usr/bin/policyd-spf', run_name='__main__')\n")
    l = socket.create_server(('127.0.0.1', 0))
    daemons = []

    def spawn():
        while True:
            try:
                s = l.accept()[0]
            except OSError:
                return
            daemons.append(subprocess.Popen(['/usr/bin/python3', d + '/run', d + '/conf'], stdin=s, stdout=s, stderr=subprocess.DEVNULL))
            s.close()
    threading.Thread(target=spawn, daemon=True).start()
    try:
        with Instance(main=f'smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{l.getsockname()[1]}\n'
                      'smtpd_authorized_xclient_hosts = 127.0.0.1\n') as i, smtplib.SMTP('127.0.0.1', i.port('smtp')) as s:
            s.ehlo('client.good.test')
            check(s.docmd('XCLIENT', 'ADDR=192.0.2.1 NAME=client.good.test')[0] == 220, 'XCLIENT: to the daemon, loopback is always right')
            s.sendmail('a@good.test', ['alice@example.test'], 'Subject: spf\r\n\r\nx\r\n')
            text = open(i.wait_mails('alice', 1)[0]).read()
            check(re.search(r'(?m)^Received-SPF: Pass ', text), text)
            s.mail('a@bad.test')
            code, why = s.rcpt('alice@example.test')
            check(code // 100 == 5 and b'SPF' in why, f'{code} {why}')
    finally:
        l.shutdown(socket.SHUT_RDWR)
        l.close()
        for p in daemons:
            p.kill()
            p.wait()
        shutil.rmtree(d, ignore_errors=True)


@test
def postgrey_greylists():
    if not shutil.which('postgrey'):
        raise Skip('no postgrey')
    d = tempfile.mkdtemp(prefix='merpati-postgrey-', dir='/tmp')
    os.chmod(d, 0o777)
    port = free_port()
    p = subprocess.Popen(['postgrey', f'--inet=127.0.0.1:{port}', '--delay=1', f'--dbdir={d}', '--user=nobody', '--group=nogroup',
                          '--whitelist-clients=/dev/null', '--whitelist-recipients=/dev/null'],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        def up():
            try:
                socket.create_connection(('127.0.0.1', port)).close()
                return True
            except OSError:
                return p.poll() is not None
        wait(up)
        if p.poll() is not None:
            raise Skip('postgrey does not start: ' + p.stderr.read().decode()[-200:])
        with Instance(main=f'smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{port}\n') as i:
            said(rcpt(i), 450, 'Greylisted')
            time.sleep(2.2)
            send(i)
            text = open(i.wait_mails('alice', 1)[0]).read()
            check('\nX-Greylist: delayed' in text, text)
    finally:
        p.kill()
        p.wait()
        shutil.rmtree(d, ignore_errors=True)


@test
def discarded_mail_is_taken_and_gone():
    with Instance(main='smtpd_recipient_restrictions = check_sender_access inline:{x@drop.test=DISCARD}\n') as i:
        send(i, 'x@drop.test')
        send(i, 'x@keep.test')
        i.wait_mails('alice', 1)
        check(wait(lambda: not i.queue()) or not i.queue(), 'queue')
        check(len(i.mails('alice')) == 1 and i.tells('NOQUEUE: discard: '), 'it was delivered')


@test
def aliases_that_lead_nowhere_are_refused():
    main = '''virtual_alias_domains = alias.test
virtual_alias_maps = inline:{{nowhere@alias.test=ghost@example.test},{l1@alias.test=l2@alias.test},{l2@alias.test=l1@alias.test},
    {some@alias.test=ghost@example.test bob@example.test},{deep@alias.test=nowhere@alias.test},{out@alias.test=x@far.test},
    {self@alias.test=self@alias.test},{two@alias.test=deep@alias.test l1@alias.test}}
'''
    with Instance(main=main) as i:
        for to, code in [('nowhere', 550), ('l1', 550), ('l2', 550), ('some', 250), ('deep', 550), ('out', 250), ('self', 550), ('two', 550)]:
            said(rcpt(i, to=to + '@alias.test'), code, '' if code == 250 else f'<{to}@alias.test>: Recipient address rejected: ')
        said(rcpt(i, to='nowhere@alias.test'), 550, '5.1.1 ')


@test
def tables_hold_redirect_and_copy():
    main = '''smtpd_sender_restrictions = check_sender_access
    inline:{{h@x.test=HOLD wait},{r@x.test=REDIRECT bob@example.test},{c@x.test=BCC bob@example.test}}
smtpd_end_of_data_restrictions = check_sender_access inline:{late@x.test=HOLD}
'''
    with Instance(main=main) as i:
        send(i, 'r@x.test')
        i.wait_mails('bob', 1)
        check(not i.mails('alice'), 'a redirected message came')
        send(i, 'c@x.test')
        i.wait_mails('alice', 1)
        i.wait_mails('bob', 2)
        send(i, 'h@x.test')
        send(i, 'late@x.test')

        def held():
            return os.listdir(i.root + '/spool/hold')
        check(wait(lambda: len(held()) == 2), held())
        check(len(i.mails('alice')) == 1 and i.tells('placed on hold as it came in'), i.log())
        # what is told of nobody: the flag in the file counts
        i.stop()
        os.rename(f'{i.root}/spool/hold/{held()[0]}', f'{i.root}/spool/incoming/{held()[0]}')
        i.start()
        check(wait(lambda: len(held()) == 2), 'delivered although it is to be held')
        check(i.tool('postsuper', '-H', 'ALL').returncode == 0, 'postsuper')
        i.wait_mails('alice', 3)
        check(all(i.tells(f'NOQUEUE: {what}: ') for what in ('hold', 'redirect', 'bcc')), i.log())


@test
def header_checks_look_at_each_field():
    i = Instance()
    try:
        with open(i.dir + '/checks', 'w') as f:
            f.write('/^Subject: .*viagra/ REJECT 5.7.9 no pills\n/^Subject: gone/ DISCARD\n/^X-Secret:/ IGNORE\n'
                    '/^X-Old: (.*)/ REPLACE X-New: $1\n/^X-Mark:/ PREPEND X-Marked: yes\n/^X-Hold:/ HOLD why\n'
                    '/^X-To:/ REDIRECT bob@example.test\n/^X-Copy:/ BCC bob@example.test\n')
        with open(i.dir + '/mime', 'w') as f:
            f.write('/name="?[^"]*\\.exe"?/ REJECT 5.7.9 no programs\n')
        with open(i.dir + '/body', 'w') as f:
            f.write('/^buy now/ REJECT\n/^secret$/ REPLACE *****\n/^line/ PREPEND in front\n/^drop/ IGNORE\n')
        i.configure(f'header_checks = pcre:{i.dir}/checks\nmime_header_checks = pcre:{i.dir}/mime\nnested_header_checks =\n'
                    f'body_checks = pcre:{i.dir}/body\n')
        i.start()

        def mail(header):
            with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=20) as s:
                s.sendmail('x@good.test', ['alice@example.test'], f'From: x@good.test\r\n{header}\r\n\r\nSubject: viagra\r\nend\r\n')
        part = 'Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: application/x;\r\n name=a.exe\r\n\r\nx\r\n--x--'
        for header, code, text in [('Subject: cheap\r\n viagra', 550, '5.7.9 no pills'), (part, 550, '5.7.9 no programs'),
                                   ('X: y\r\n\r\nbuy now', 550, '5.7.1 message content rejected')]:
            try:
                mail(header)
                check(False, f'{header}: taken')
            except smtplib.SMTPDataError as e:
                check(e.smtp_code == code and text in e.smtp_error.decode(), e)
        mail('Subject: gone')
        mail('X-Secret: a\r\n b\r\nX-Old: old\r\nX-Mark: m\r\nSubject: last')
        text = open(i.wait_mails('alice', 1)[0]).read()
        check('\nX-New: old\nX-Marked: yes\nX-Mark: m\nSubject: last\n\nSubject: viagra\nend\n' in text, text)
        check('Secret' not in text and '\n b\n' not in text and 'X-Old' not in text, text)
        check(len(i.mails('alice')) == 1 and not i.queue(), 'a discarded message was delivered')
        mail('X-To: x')
        mail('X-Copy: x\r\n\r\nsecret\r\nline\r\ndrop')
        i.wait_mails('bob', 2)
        text = open(i.wait_mails('alice', 2)[1]).read()
        check('\n\n*****\nin front\nline\n\nSubject: viagra\nend\n' in text, text)
        mail('X-Hold: x')
        check(wait(lambda: os.listdir(i.root + '/spool/hold')) and i.tells(': hold: header X-Hold: x: why'), 'not held')
        # what cannot be done is told before a message meets it
        with open(i.dir + '/checks', 'a') as f:
            f.write('/^X-Filter/ FILTER smtp:x\n/^X-A:/ NONSENSE\n/^X-B:/ REDIRECT nobody\n')
        with open(i.dir + '/body', 'a') as f:
            f.write('\n/x/ REPLACE\n')
        i.configure('smtpd_client_restrictions = check_client_access inline:{x.test=FILTER x}, check_helo_access inline:{y=REJCT}\n')
        r = i.run('check', ok=False)
        for want in [f'header_checks: {i.dir}/checks:9: FILTER is not done by Merpati', f'{i.dir}/checks:10: there is no action "NONSENSE" here',
                     f'{i.dir}/checks:11: REDIRECT needs one address', f'body_checks: {i.dir}/body:6: REPLACE needs a text',
                     'smtpd_client_restrictions: x.test: FILTER is not done', 'y: there is no "REJCT"']:
            check(want in r.stdout, f'{want}: {r.stdout}')
        check(r.returncode == EX_CONFIG, r.returncode)
    finally:
        i.close()


@test
def mistakes_are_told():
    rows = [
        ('smtpd_sender_restrictions = reject_unknown_sender_domian\n', 'did you mean reject_unknown_sender_domain?'),
        ('smtpd_sender_restrictions = reject_foo, check_bar hash:/x, permit, reject_baz\n', '"reject_foo"; main.cf(5) lists the words; '
         'there is no "check_bar"; main.cf(5) lists the words; there is no "reject_baz"; main.cf(5) lists the words'),
        ('smtpd_recipient_restrictions = permit_mynetworks, permit_mx_backup\n', 'name the domains in relay_domains'),
        ('smtpd_sender_restrictions = check_sender_access\n', 'check_sender_access needs an argument'),
        ('smtpd_sender_restrictions = check_sender_access hash:/nonexistent/x\n', '/nonexistent/x.cdb'),
        ('smtpd_sender_restrictions = check_sender_access mysql:/x\n', 'is not TYPE:TABLE'),
        ('smtpd_sender_restrictions = reject_rbl_client nodots\n', 'is not a domain'),
        ('smtpd_sender_restrictions = check_sender_mx_access hash:/nonexistent/mx\n', '/nonexistent/mx.cdb'),
        ('smtpd_sender_restrictions = sleep 301\n', 'is not a number of seconds from 0 to 300'),
        ('smtpd_sender_restrictions = check_policy_service unix:/var/spool/x\n', 'smtpd reaches only sockets in'),
        ('smtpd_restriction_classes = strict\n', 'there is no line "strict = ..."'),
        ('smtpd_restriction_classes = strict\nstrict = reject_nonsense\n', 'strict: there is no "reject_nonsense"'),
        ('smtpd_restriction_classes = strict\nstrict = reject_non_fqdn_sender\nsmtpd_sender_restrictions = strict\n', None),
    ]
    i = Instance()
    try:
        text = open(i.conf + '/main.cf').read()
        for more, want in rows:
            with open(i.conf + '/main.cf', 'w') as f:
                f.write(text + more)
            r = i.run('check', ok=False)
            check(r.returncode == (EX_CONFIG if want else 0) and (want or '') in r.stdout, f'{more}: {r.stdout}')
            check(not want or re.search(r'main\.cf:\d+: ', r.stdout), f'{more}: no line is named: {r.stdout}')
    finally:
        i.close()


@test
def no_list_makes_an_open_relay():
    i = Instance()
    try:
        text = open(i.conf + '/main.cf').read()
        rows = [('', '', 1), ('permit', 'permit', 1), ('permit_mynetworks', 'warn_if_reject reject_unauth_destination', 1),
                ('permit_mynetworks', 'permit, reject', 1), ('check_recipient_access static:OK', '', 1), ('c', '', 1), ('d', '', 0),
                ('permit_mynetworks', 'reject_unauth_destination', 0)]
        for relay, rcpts, bad in rows:
            with open(i.conf + '/main.cf', 'w') as f:
                f.write(f'{text}smtpd_restriction_classes = c d\nc = permit_mynetworks, permit, d\nd = reject_unauth_destination\n'
                        f'smtpd_relay_restrictions = {relay}\nsmtpd_recipient_restrictions = {rcpts}\n')
            r = i.run('check', ok=False)
            check(r.returncode == (EX_CONFIG if bad else 0), f'{relay}; {rcpts}: {r.stdout}')
            check(not bad or re.search(r'main.cf:\d+: smtpd_relay_restrictions would make an open relay', r.stdout), r.stdout)
            if relay == '':
                check(i.run('start', ok=False).returncode == EX_CONFIG, 'started')
        with open(i.conf + '/main.cf', 'w') as f:
            f.write(text)
        master = open(i.conf + '/master.cf').read()
        with open(i.conf + '/master.cf', 'w') as f:
            f.write(re.sub(r'(?m)^(\S+ +inet .*\bsmtpd)$', r'\1 -o smtpd_relay_restrictions=permit_mynetworks', master, count=1))
        r = i.run('check', ok=False)
        check(re.search(r'master.cf:\d+: smtpd_relay_restrictions would make an open relay', r.stdout), r.stdout)
    finally:
        i.close()


@test
def an_authorised_host_says_who_the_client_is():
    main = '''smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_authorized_xforward_hosts = 127.0.0.1
smtpd_recipient_restrictions = check_client_access inline:{{192.0.2.66=REJECT},{bad.test=REJECT}}
'''
    def talk(i, *lines, source='127.0.0.1'):
        """the last reply"""
        s = socket.create_connection(('127.0.0.1', i.port('smtp')), timeout=20, source_address=(source, 0))
        with s, s.makefile('rwb') as f:
            f.readline()
            for l in lines:
                f.write(l.encode() + b'\r\n')
                f.flush()
                while True:
                    last = f.readline().decode()
                    if last[3:4] != '-':
                        break
        return last
    mail = ['EHLO c.test', 'MAIL FROM:<x@good.test>', 'RCPT TO:<alice@example.test>']
    data = ['DATA', 'Subject: s\r\n\r\nx\r\n.']
    with Instance(main=main) as i:
        got = talk(i, 'EHLO p.test', 'XCLIENT ADDR=192.0.2.9', source='127.0.0.2')
        check(got.startswith('550 5.7.0'), got)
        got = talk(i, 'EHLO p.test', 'XCLIENT ADDR=192.0.2.66 NAME=ok.test', *mail)
        check(got.startswith('554') and '<ok.test[192.0.2.66]>' in got, got)
        # the client is nobody of mynetworks any more
        got = talk(i, 'EHLO p.test', 'XCLIENT ADDR=192.0.2.9 NAME=ok.test', 'EHLO c.test', 'MAIL FROM:<x@good.test>', 'RCPT TO:<x@far.test>')
        check('Relay access denied' in got, got)
        got = talk(i, 'EHLO p.test', 'XCLIENT ADDR=192.0.2.9 NAME=ok.test', *mail, *data)
        check(got.startswith('250'), got)
        text = open(i.wait_mails('alice', 1)[0]).read()
        check('from c.test (ok.test [192.0.2.9])' in text, text)
        got = talk(i, 'EHLO p.test', 'XFORWARD NAME=orig.test ADDR=192.0.2.8 IDENT=4abcXYZ', *mail[1:], *data)
        check(got.startswith('250'), got)
        i.wait_mails('alice', 2)
        for line in 'client=ok.test[192.0.2.9]', 'orig_queue_id=4abcXYZ, orig_client=orig.test[192.0.2.8]', 'client=localhost[127.0.0.1]':
            check(i.tells(line), i.log())


if __name__ == '__main__':
    main()
