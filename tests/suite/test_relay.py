#!/usr/bin/env python3
"""Mail to other hosts: relay to a second instance, TLS, refusals, deferral, dead destinations, hostile servers, MX."""
import email, glob, hashlib, os, re, shutil, smtplib, socket, ssl, struct, subprocess, tempfile, threading, time
from harness import *
from fakedns import dns_server
from sink import FAST, Sink, idle, submit, tls_context

SANITIZED = b'__asan_init' in open(BUILD + '/libexec/merpati/smtp', 'rb').read()

def to_sink(sink, extra=''):
    return Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{FAST}{extra}')


@test
def a_message_goes_to_a_second_instance_over_tls():
    with Instance(domain='two.test') as b, Instance(main=f'relayhost = [127.0.0.1]:{b.port("smtp")}\n') as a:
        submit(a, 'alice@example.test', ['alice@two.test', 'bob@two.test'], 'Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n', 5)
        m = b.wait_mails('bob', 5)
        b.wait_mails('alice', 5)
        idle(a)
        text = open(m[0], newline='').read()
        check('\n.dot\n..\nend\n' in text, f'the body has changed: {text[-60:]!r}')
        check('starttls=1' in wait(lambda: 'starttls=' in b.log() and b.log()), 'no TLS')
        check(re.search('bdat=[1-5] ', b.log()) and ' data=' not in b.log(), 'not by BDAT')
        # a chunk that follows recipients who are all refused, or some of them
        submit(a, 'alice@example.test', ['nobody@two.test'])
        submit(a, 'alice@example.test', ['nobody@two.test', 'bob@two.test'])
        b.wait_mails('bob', 6)
        check(len(wait(lambda: len(a.mails('alice')) == 2 and a.mails('alice')) or []) == 2, 'no reports')
        check('status=deferred' not in a.log(), 'deferred')


@test
def eight_bits_arrive_where_only_seven_are_taken():
    sink, other = Sink(), Sink(lambda v, a: b'250-sink\r\n250-8BITMIME\r\n250 CHUNKING\r\n' if v == 'EHLO' else None)
    body = ('MIME-Version: 1.0\r\nSubject: t\r\nContent-Type: multipart/mixed; boundary=xx\r\n\r\n--xx\r\n\r\nplain = 1\r\n--xx\r\n'
            'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'.encode() +
            ('.Grüße \r\n' + 'ä' * 200 + '\r\n').encode() * 3000 + b'--xx--\r\n')
    with Instance(main=f'transport_maps = inline:{{ {{ seven.test = smtp:[127.0.0.1]:{sink.port} }}, {{ eight.test = smtp:[127.0.0.1]:{other.port} }} }}\n'
                       'smtp_discard_ehlo_keywords = chunking\n') as i:
        submit(i, 'alice@example.test', ['x@seven.test', 'x@eight.test'], body)
        idle(i)
        got = email.message_from_bytes(re.sub(rb'(?m)^\.', b'', sink.mails[0]))
        check(all(c < 128 for c in sink.mails[0]), 'there are 8-bit bytes')
        check(max(map(len, sink.mails[0].split(b'\r\n'))) <= 100, 'long lines')
        check(got.get_payload(0).get_payload() == 'plain = 1', f'{got.get_payload(0)}')
        check(got.get_payload(1).get_payload(decode=True).decode().replace('\r\n', '\n') == ('.Grüße \n' + 'ä' * 200 + '\n') * 2999 + '.Grüße \n' + 'ä' * 200, 'another text')
        check(any(v == 'MAIL' and 'BODY=8BITMIME' in a for v, a in other.commands) and 'ä'.encode() in other.mails[0], 'not as it is')


@test
def addresses_that_nobody_else_shall_see():
    import json
    sink, lmtp = Sink(), Sink(lambda v, a: b'250-lmtp\r\n250 PIPELINING\r\n' if v == 'LHLO' else None)
    i = Instance(main=f'recipient_delimiter = +\nrelayhost = [127.0.0.1]:{sink.port}\nsmtp_generic_maps = hash:$config_directory/generic\nvirtual_alias_maps = inline:{{{{al@example.test = x@far.test}}}}\n'
                       f'transport_maps = inline:{{{{ store.test = lmtp:inet:127.0.0.1:{lmtp.port} }}}}\n')
    table = i.conf + '/generic'
    open(table, 'w').write('# inside outside\nalice@example.test alice@isp.test\n@lan.test @isp.test\n')
    check(i.tool('postmap', 'hash:' + table).returncode == 0, 'postmap')
    with i:
        text = 'From: Alice <alice@example.test>\r\nTo: u@lan.test,\r\n\tv@other.test\r\nSubject: alice@example.test\r\n\r\nTo: u@lan.test\r\n'
        submit(i, 'Alice@example.test', ['u@lan.test', 'x@store.test', 'bob@example.test'], text)
        idle(i)
        check([a for v, a in sink.commands if v in ('MAIL', 'RCPT')] == ['FROM:<alice@isp.test>', 'TO:<u@isp.test>'], f'{sink.commands}')
        want = text.replace('Alice <alice@example.test>', 'Alice <alice@isp.test>').replace('u@lan.test,', 'u@isp.test,').encode()
        check(sink.mails[0].endswith(want), f'{sink.mails}')
        check(lmtp.mails[0].endswith(text.encode()) and i.tells('to=<u@lan.test>') and 'isp.test' not in i.log(), 'lmtp, or the log')
        check(open(i.wait_mails('bob', 1)[0], newline='').read().endswith(text.replace('\r', '')), 'a mailbox')
        out = i.run('explain', 'u@lan.test', '--sender', 'alice@example.test').stdout
        check('goes out as u@isp.test, its sender as alice@isp.test' in out and f'@lan.test  => @isp.test  ({table}:3)' in out, out)
        # an extension goes on behind an alias's target (propagate_unmatched_extensions)
        out = json.loads(i.run('--json', 'explain', 'al+tag@example.test').stdout)
        check(out['destinations'][0]['address'] == 'x+tag@far.test', str(out))
        open(table, 'w').write('@lan.test @[bad\n')     # what is no address goes nowhere
        check(i.tool('postmap', 'hash:' + table).returncode == 0, 'postmap')
        submit(i, 'alice@example.test', ['u@lan.test'], text)
        check(wait(lambda: 'smtp_generic_maps cannot be read, or says no address' in i.log()) and len(sink.mails) == 1, 'sent nevertheless')


@test
def a_refused_recipient_comes_back_and_the_others_go():
    sink = Sink(lambda v, a: b'550 5.1.1 no \x1b[31m such user\r\n' if v == 'RCPT' and 'bad' in a else None)
    with to_sink(sink) as i:
        submit(i, 'alice@example.test', ['bad@far.test', 'good@far.test'])
        m = open(i.wait_mails('alice', 1)[0]).read()
        idle(i)
        check(len(sink.mails) == 1, 'the good recipient has no copy')
        check('5.1.1' in m and 'bad@far.test' in m and '\x1b' not in m, m)
        check('\x1b' not in i.log(), 'ESC in the log')


@test
def a_deferred_message_is_tried_again_and_not_sent_twice():
    state = {'n': 0}

    def reply(v, a):
        if v == 'RCPT' and 'later' in a:
            state['n'] += 1
            return b'450 4.2.0 later\r\n' if state['n'] < 3 else None
    sink = Sink(reply)
    with to_sink(sink) as i:
        submit(i, 'alice@example.test', ['now@far.test', 'later@far.test'])
        idle(i, 30)
        rcpts = [a for v, a in sink.commands if v == 'RCPT']
        check(sum('now@' in a for a in rcpts) == 1, f'now@ was sent {rcpts}')
        check(state['n'] == 3, f'{state}')


@test
def a_dead_destination_is_not_tried_for_each_message():
    s = socket.socket()
    s.bind(('127.0.0.1', 0))        # bound, not listening: refuses
    with Instance(main=f'relayhost = [127.0.0.1]:{s.getsockname()[1]}\nminimal_backoff_time = 60s\n') as i:
        submit(i, 'alice@example.test', ['x@far.test'], n=200)
        check(wait(lambda: i.log().count('status=deferred') >= 200), 'not all deferred')
        check(i.tells('does not answer, not tried again', 1), 'the destination was not declared dead')
        submit(i, 'alice@example.test', ['bob@example.test'])
        i.wait_mails('bob', 1)
        check(wait(lambda: len(i.queue()) == 200), f'{len(i.queue())} files')


@test
def a_connection_is_used_again():
    sink = Sink()
    with to_sink(sink) as i:
        for n in range(5):
            submit(i, 'alice@example.test', ['x@far.test'])
            check(i.tells('status=sent', n + 1), 'not sent')
        check(len(sink.mails) == 5 and sink.connections == 1, f'{len(sink.mails)} mails, {sink.connections} connections')


@test
def a_server_that_closes_an_idle_connection_costs_no_attempt():
    sink = Sink(lambda v, a: None)
    with to_sink(sink) as i:
        sink.reply = lambda v, a: b'421 4.4.2 tired\r\n' if v == 'MAIL' and len(sink.mails) == 1 and sink.connections == 1 else None
        submit(i, 'alice@example.test', ['x@far.test'])
        check(wait(lambda: sink.mails), 'nothing came')
        time.sleep(0.2)
        submit(i, 'alice@example.test', ['x@far.test'])
        idle(i)
        check(len(sink.mails) == 2 and 'status=deferred' not in i.log(), 'it was deferred')


def at(verb, reply):
    return lambda v, a: reply if v == verb else None


# the numbers are those of the table of abuses
HOSTILE = {
    '153_endless_line': (b'220 ' + b'x' * 100000, None),
    '153_endless_lines': (b'220-x\r\n' * 100000, None),
    '153_endless_ehlo': (b'220 a\r\n', at('EHLO', b'250-x\r\n' * 100000)),
    '154_nul_and_esc': (b'554 \0\x1b[2J\rgo away\r\n', None),
    '154_newlines': (b'220 a\r\n', at('MAIL', b'450 4.0.0 a\r450 4.0.0 b\n\r\nto=<victim>\r\n')),
    '156_early_250': (b'220 a\r\n', at('DATA', b'354 go\r\n250 2.0.0 got it\r\n')),
    '156_too_many': (b'220 a\r\n250 b\r\n250 c\r\n', None),
    '156_too_few': (b'220 a\r\n', at('RCPT', b' ')),
    '157_trickle': (b'220-' + b'y' * 1000, 0.2),
    '157_says_nothing': (b'', None),
    '157_each_reply_just_in_time': (b'220 a\r\n', lambda v, a: time.sleep(1.4)),
    **{f'158_421_at_{v.lower()}': (b'220 a\r\n', at(v, b'421 4.3.2 closing\r\n')) for v in ('EHLO', 'MAIL', 'RCPT', 'DATA', 'DOT')},
    **{f'158_end_at_{v.lower()}': (b'220 a\r\n', at(v, b'close')) for v in ('EHLO', 'MAIL', 'RCPT', 'DATA', 'DOT')},
    **{f'158_reset_at_{v.lower()}': (b'220 a\r\n', at(v, b'reset')) for v in ('EHLO', 'MAIL', 'RCPT', 'DATA', 'DOT')},
    '158_421_at_greeting': (b'421 busy\r\n', None),
    'no_smtp': (b'HTTP/1.1 400 Bad Request\r\n\r\n', None),
    'mixed_codes': (b'220 a\r\n', at('EHLO', b'250-a\r\n550 b\r\n')),
    'refuses_helo': (b'220 a\r\n', lambda v, a: b'502 no\r\n' if v in ('EHLO', 'HELO') else None),
    'starttls_garbage': (b'220 a\r\n', lambda v, a: b'250-a\r\n250 STARTTLS\r\n' if v == 'EHLO' else b'220 go\r\nnot tls at all\r\n' if v == 'STARTTLS' else b'close' if v == 'MAIL' else None),
}


@test
def hostile_servers_only_defer():
    """each by SMTP, by LMTP, and, where it greets like a server, inside TLS"""
    make = lambda g, r, tls=None: Sink(r, g, tls=tls) if callable(r) or not r else Sink(None, g, r)
    tls = tls_context()
    sinks = {n.replace('_', '-'): ('smtp', make(g, r)) for n, (g, r) in HOSTILE.items()}
    by_lmtp = lambda r: (lambda v, a: r('EHLO' if v == 'LHLO' else v, a)) if callable(r) else r
    sinks |= {n.replace('_', '-') + '-lmtp': ('lmtp:inet', make(g, by_lmtp(r))) for n, (g, r) in HOSTILE.items()}
    sinks |= {n.replace('_', '-') + '-tls': ('smtp', make(g, r, tls)) for n, (g, r) in HOSTILE.items() if g == b'220 a\r\n' and n != 'starttls_garbage'}
    maps = ', '.join(f'{{{n}.test = {kind}:[127.0.0.1]:{s.port}}}' for n, (kind, s) in sinks.items())
    with Instance(main=f'transport_maps = inline:{{ {maps} }}\nminimal_backoff_time = 60s\nsmtp_helo_timeout = 2s\n'
                       'smtp_mail_timeout = 2s\nsmtp_delivery_time_limit = 4s\n') as i:
        before = [p for p, n in i.processes().items() if n == 'qmgr']
        for n in sinks:
            submit(i, 'alice@example.test', [f'x@{n}.test'])
        check(wait(lambda: i.log().count('status=deferred') >= len(sinks), 40), f'not deferred: {[n for n in sinks if not re.search(f"to=<x@{n}.test>.*status=deferred", i.log())]}')
        check(not re.search(r'^to=|[^\n -~]', i.log(), re.M), 'a line of the log is forged')
        check(wait(lambda: 'time limit' in i.log() or 'timed out' in i.log(), 10), 'nothing timed out')
        check('status=sent' not in i.log() and 'was ended by signal' not in i.log() and 'agent smtp' not in i.log(), 'see the log')
        check(before == [p for p, n in i.processes().items() if n == 'qmgr'], 'qmgr is another one')
        check(len(i.queue()) == len(sinks), 'messages are gone')
        secure = sinks['158-421-at-mail-tls'][1].commands
        check([v for v, a in secure if v in ('EHLO', 'MAIL', 'STARTTLS')][:4] == ['EHLO', 'STARTTLS', 'EHLO', 'MAIL'], f'{secure}')
        smtp = [p for p, n in i.processes().items() if n == 'smtp']
        for p in smtp:
            rss = int(re.search(r'VmRSS:\s+(\d+)', open(f'/proc/{p}/status').read())[1])
            check(SANITIZED or rss < 60000, f'{rss} KB')


@test
def what_was_taken_is_not_sent_again_159():
    sink = Sink()
    sink.after_dot = 'reset'
    with to_sink(sink) as i:
        submit(i, 'alice@example.test', ['x@far.test'])
        check(wait(lambda: i.log().count('status=sent') == 1), 'not sent')
        submit(i, 'alice@example.test', ['y@far.test'])
        idle(i)
        check(len(sink.mails) == 2 and i.tells('status=sent', 2), f'{len(sink.mails)}')


@test
def a_large_message_streams():
    sink = Sink()
    body = 'Subject: big\r\n\r\n' + ('.' + 'x' * 70 + '\r\n') * 200000
    with to_sink(sink) as i:
        submit(i, 'alice@example.test', ['x@far.test'], body)
        idle(i, 60)
        check(len(sink.mails) == 1 and sink.mails[0].endswith(b'..' + b'x' * 70 + b'\r\n'), 'not as sent')
        check(sink.mails[0].count(b'\r\n..x') == 200000, 'lines are missing')


@test
def mail_hosts_are_looked_up():
    zone = {}
    port, wire = dns_server(zone)
    mx = lambda pref, host: struct.pack('>H', pref) + wire(host)
    zone.update({
        ('null.test', 15): [struct.pack('>H', 0) + b'\0'],
        ('loop.test', 15): [mx(10, 'mail.example.test')],
        ('broken.test', 15): None,
        ('dead.test', 15): [mx(10, 'mx.dead.test')], ('mx.dead.test', 1): [bytes([127, 0, 0, 1])],
        ('implicit.test', 1): [bytes([127, 0, 0, 9])],
    })
    with Instance(main=f'dns_servers = 127.0.0.1@{port}\nmyhostname = mail.example.test\nminimal_backoff_time = 60s\nsmtp_connect_timeout = 3s\n') as i:
        def said(domain, what):
            submit(i, 'alice@example.test', [f'x@{domain}'])
            check(wait(lambda: re.search(rf'to=<x@{domain}>.*{what}', i.log()), 20), f'{domain}: not {what}')
        said('null.test', r'dsn=5\.1\.10, status=bounced')
        said('loop.test', r'dsn=5\.4\.6, status=bounced')
        said('nosuch.test', r'dsn=5\.4\.4, status=bounced')
        said('broken.test', r'dsn=4\.4\.3, status=deferred')
        said('dead.test', r'status=deferred \(connect to mx\.dead\.test\[127\.0\.0\.1\]:25')
        said('implicit.test', r'status=deferred \(connect to implicit\.test\[127\.0\.0\.9\]:25')


def tls_line(a, what):
    """a delivery line of instance a with this"""
    return wait(lambda: re.search(rf'to=<.*{what}', a.log()), 15)


@test
def a_certificate_that_must_prove_something_161():
    """self-signed, of another name, then expired, under each level"""
    with Instance(domain='two.test') as b:
        hop, ca = f'[127.0.0.1]:{b.port("smtp")}', b.conf + '/tls/cert.pem'
        der = ssl.PEM_cert_to_DER_cert(open(ca).read())
        finger = hashlib.sha256(der).hexdigest()
        colons = ':'.join(finger[k:k + 2] for k in range(0, 64, 2)).upper()
        wrong = 'ab' * 32
        for settings, want in [
                ('', r'tls=TLSv1.3 \S+ untrusted, dsn=2.0.0, status=sent'),
                (f'smtp_tls_CAfile = {ca}\n', 'trusted, dsn=2.0.0, status=sent'),
                ('smtp_tls_security_level = encrypt\nsmtp_tls_mandatory_protocols = TLSv1.2\n', r'tls=TLSv1.2 \S+ untrusted, dsn=2.0.0'),
                ('smtp_tls_security_level = verify\n', 'dsn=4.7.5, status=deferred .*self.signed certificate'),
                (f'smtp_tls_security_level = verify\nsmtp_tls_CAfile = {ca}\n', 'verified, dsn=2.0.0, status=sent'),
                (f'smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = .two.test\nsmtp_tls_CAfile = {ca}\n', 'verified, dsn=2.0.0'),
                (f'smtp_tls_policy_maps = inline:{{ {{ {hop} = secure match=mail.one.test }} }}\nsmtp_tls_CAfile = {ca}\n', 'dsn=4.7.5, status=deferred .*no name of mail.one.test'),
                (f'smtp_tls_policy_maps = inline:{{ {{ {hop} = fingerprint match={colons} }} }}\n', 'verified, dsn=2.0.0'),
                (f'smtp_tls_security_level = fingerprint\nsmtp_tls_fingerprint_cert_match = {wrong}, {finger}\n', 'verified, dsn=2.0.0'),
                (f'smtp_tls_security_level = fingerprint\nsmtp_tls_fingerprint_cert_match = {wrong}\n', 'dsn=4.7.5, status=deferred'),
                (f'smtp_tls_policy_maps = inline:{{ {{ {hop} = nonsense }} }}\n', 'dsn=4.7.5, status=deferred .*unknown level')]:
            with Instance(main=f'relayhost = {hop}\nminimal_backoff_time = 1h\n{settings}') as a:
                submit(a, 'alice@example.test', ['bob@two.test'])
                check(tls_line(a, want), f'{settings!r}: not {want}')
        b.stop()
        expire_certificate(b)
        b.start()
        for level, want in ('may', 'untrusted, dsn=2.0.0, status=sent'), ('verify', 'dsn=4.7.5, status=deferred .*expired'):
            with Instance(main=f'relayhost = {hop}\nminimal_backoff_time = 1h\nsmtp_tls_security_level = {level}\nsmtp_tls_CAfile = {ca}\n') as a:
                submit(a, 'alice@example.test', ['bob@two.test'])
                check(tls_line(a, want), f'expired, {level}: not {want}')


@test
def a_server_without_tls_gets_nothing_that_must_be_verified():
    sink = Sink()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\nminimal_backoff_time = 1h\nsmtp_tls_security_level = verify\n') as i:
        submit(i, 'alice@example.test', ['x@far.test'])
        check(tls_line(i, 'dsn=4.7.4, status=deferred'), 'not deferred')
        check(not any(v == 'MAIL' for v, _ in sink.commands), 'the sender was told')


@test
def a_tls_connection_is_used_again():
    with Instance(domain='two.test') as b, Instance(main=f'relayhost = [127.0.0.1]:{b.port("smtp")}\nsmtp_tls_security_level = encrypt\n') as a:
        for _ in range(4):
            submit(a, 'alice@example.test', ['bob@two.test'])
            time.sleep(0.3)
        b.wait_mails('bob', 4)
        check(wait(lambda: 'starttls=1' in b.log(), 5) and b.log().count('starttls=1') == 1, 'more than one connection')


@test
def the_relay_logs_in():
    with Instance(domain='two.test') as b:
        hop = f'[127.0.0.1]:{b.port("submission")}'
        for extra, password, want in [
                ('', 'pw-alice', 'SCRAM-SHA-256'), ('smtp_sasl_mechanism_filter = plain\n', 'pw-alice', 'PLAIN'),
                ('smtp_sasl_mechanism_filter = login\n', 'pw-alice', 'LOGIN'),
                ('', 'wrong', r'dsn=4.7.\d, status=deferred .*AUTH'),
                ('smtp_sasl_mechanism_filter = plain\nsmtp_sasl_tls_security_options = noplaintext\n', 'pw-alice', 'is not possible')]:
            with Instance(main=f'relayhost = {hop}\nminimal_backoff_time = 1h\nsmtp_sasl_auth_enable = yes\n'
                               f'smtp_sasl_password_maps = inline:{{ {{ {hop} = alice@two.test:{password} }} }}\n{extra}') as a:
                n = len(b.mails('bob'))
                submit(a, 'alice@two.test', ['bob@two.test'])
                if password == 'wrong' or 'noplain' in extra:
                    check(tls_line(a, want), f'{extra!r}: not {want}')
                else:
                    b.wait_mails('bob', n + 1)
                    check(wait(lambda: 'sasl_username=alice@two.test' in b.log() and f'sasl_method={want}' in b.log()), f'{want} is not in the log')
                check(password not in a.log() + b.log(), 'the password is in a log')


@test
def the_sender_chooses_the_login():
    with Instance(domain='two.test') as b:
        hop = f'[127.0.0.1]:{b.port("submission")}'
        with Instance(main=f'relayhost = {hop}\nsmtp_sasl_auth_enable = yes\nsmtp_sender_dependent_authentication = yes\n'
                           'smtp_sasl_password_maps = inline:{ { alice@two.test = alice@two.test:pw-alice }, { @two.test = bob@two.test:pw-bob } }\n') as a:
            submit(a, 'alice@two.test', ['bob@two.test'])
            submit(a, 'bob@two.test', ['alice@two.test'])
            b.wait_mails('bob', 1)
            b.wait_mails('alice', 1)
            check(wait(lambda: all(f'sasl_username={n}@two.test' in b.log() for n in ('alice', 'bob'))), 'not both')


@test
def connections_come_from_the_address_that_is_set():
    with Instance(domain='two.test') as b, Instance(main=f'relayhost = [127.0.0.1]:{b.port("smtp")}\nsmtp_bind_address = 127.0.0.7\n') as a:
        submit(a, 'alice@example.test', ['bob@two.test'])
        b.wait_mails('bob', 1)
        check(b.tells('[127.0.0.7]'), 'another address')


@test
def the_fallback_relay_takes_what_cannot_be_reached():
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    sink = Sink()
    port, wire = dns_server({('no.test', 16): []})
    with Instance(main=f'dns_servers = 127.0.0.1@{port}\ntransport_maps = inline:{{ {{ dead.test = smtp:[127.0.0.1]:{s.getsockname()[1]} }} }}\n'
                       f'smtp_fallback_relay = [127.0.0.1]:{s.getsockname()[1]}, [127.0.0.1]:{sink.port}\n') as i:
        submit(i, 'alice@example.test', ['x@dead.test'])
        submit(i, 'alice@example.test', ['x@nowhere.test'])
        idle(i)
        check(len(sink.mails) == 2, f'{len(sink.mails)}')


@test
def a_dead_ipv6_path_costs_less_than_a_second():
    sink = Sink()
    full = socket.socket(socket.AF_INET6)
    try:
        full.bind(('::1', sink.port))
    except OSError as e:
        raise Skip(f'no IPv6 here: {e}')
    full.listen(0)
    fill = []
    for _ in range(4):              # a full backlog: further connections get no answer
        c = socket.socket(socket.AF_INET6)
        c.setblocking(False)
        c.connect_ex(('::1', sink.port))
        fill.append(c)
    time.sleep(0.2)
    zone = {}
    port, wire = dns_server(zone)
    zone.update({('both.test', 15): [struct.pack('>H', 10) + wire('mx.both.test')], ('mx.both.test', 1): [bytes([127, 0, 0, 1])],
                 ('mx.both.test', 28): [bytes(15) + b'\1']})
    with Instance(main=f'dns_servers = 127.0.0.1@{port}\ntransport_maps = inline:{{ {{ both.test = smtp:both.test:{sink.port} }} }}\n') as i:
        submit(i, 'alice@example.test', ['x@both.test'])
        check(wait(lambda: len(sink.mails) == 1), 'not sent')
        delay = float(wait(lambda: re.search(r'to=<x@both.test>.* delay=([\d.]+)', i.log()))[1])
        check(delay < 1, f'{delay} s')
        check(delay > 0.2 or len(fill) < 4, f'{delay} s: the IPv6 address was not tried')


class LmtpSink(Sink):
    """answers the end of a message once for each recipient that it has taken (RFC 2033)"""
    def __init__(self, reply=None, family=socket.AF_INET, path=None):
        self.rcpts, self.path = [], path
        super().__init__(reply)
        if path:
            self.l.close()
            self.l = socket.socket(socket.AF_UNIX)
            self.l.bind(path)
            os.chmod(path, 0o666)
            self.l.listen(5)
            threading.Thread(target=self.run, daemon=True).start()

    def answer(self, verb, arg):
        if verb == 'LHLO':
            return b'250-sink\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n'
        if verb in ('EHLO', 'HELO'):
            return b'500 5.5.1 this is LMTP\r\n'
        if verb == 'MAIL':
            self.rcpts = []
        if verb == 'DOT':
            return b''.join(self.reply('DOT', r) or b'250 2.0.0 kept\r\n' for r in self.rcpts)
        out = super().answer(verb, arg)
        if verb == 'RCPT' and out.startswith(b'250'):
            self.rcpts.append(arg)
        return out


@test
def lmtp_has_an_answer_for_each_recipient():
    def reply(v, a):
        if v == 'RCPT' and 'unknown' in a:
            return b'550 5.1.1 unknown\r\n'
        if v == 'DOT' and 'full' in a:
            return b'452 4.2.2 over quota\r\n'
        if v == 'DOT' and 'never' in a:
            return b'552 5.2.2 much too full\r\n'
    sink = LmtpSink(reply)
    with Instance(main=f'transport_maps = inline:{{ {{ far.test = lmtp:inet:[127.0.0.1]:{sink.port} }} }}\nminimal_backoff_time = 1h\n') as i:
        names = ['good', 'unknown', 'full', 'never', 'better']
        submit(i, 'alice@example.test', [f'{n}@far.test' for n in names])
        for n, dsn in zip(names, ['2.0.0, status=sent', '5.1.1, status=bounced', '4.2.2, status=deferred', '5.2.2, status=bounced', '2.0.0, status=sent']):
            check(wait(lambda: re.search(f'to=<{n}@far.test>.*dsn={dsn}', i.log())), f'{n}: not {dsn}')
        submit(i, 'alice@example.test', ['again@far.test'])
        check(wait(lambda: len(sink.mails) == 2) and sink.connections == 1, 'the connection was not used again')


@test
def lmtp_over_a_socket_in_the_room_of_smtp():
    i = Instance(main='transport_maps = inline:{ { far.test = lmtp:unix:store } }\n')
    try:
        i.start()
        sink = LmtpSink(path=i.root + '/run/smtp/store')
        submit(i, 'alice@example.test', ['x@far.test'])
        idle(i)
        check(len(sink.mails) == 1 and i.tells('relay='), 'not there')
    finally:
        i.close()


@test
def dovecot_takes_mail_by_lmtp():
    if not os.path.exists('/usr/lib/dovecot/lmtp') or os.getuid():
        raise Skip('needs root and dovecot-lmtpd')
    d = tempfile.mkdtemp(prefix='merpati-dovecot-', dir='/tmp')
    os.chmod(d, 0o755)
    port = free_port()
    os.makedirs(d + '/mail')
    shutil.chown(d + '/mail', 'mail', 'mail')
    open(d + '/conf', 'w').write(f"""base_dir = {d}/run
state_dir = {d}/state
log_path = {d}/log
protocols = lmtp
ssl = no
mail_location = maildir:{d}/mail/%n
first_valid_uid = 1
postmaster_address = postmaster@far.test
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={d}/mail/%n allow_all_users=yes
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
""")
    p = subprocess.Popen(['dovecot', '-F', '-c', d + '/conf'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with Instance(main=f'transport_maps = inline:{{ {{ far.test = lmtp:inet:127.0.0.1:{port} }} }}\n{FAST}') as i:
            submit(i, 'alice@example.test', ['carol@far.test', 'dave@far.test'], 'Subject: t\r\n\r\n.dot\r\n')
            idle(i, 30)
            for n in ('carol', 'dave'):
                got = glob.glob(f'{d}/mail/{n}/new/*')
                check(len(got) == 1 and '\n.dot\n' in open(got[0]).read(), f'{n}: {got}')
    finally:
        p.terminate()
        p.wait(10)
        shutil.rmtree(d, ignore_errors=True)


@test
def the_sender_chooses_the_way():
    one, two, three = Sink(), Sink(), Sink()
    with Instance(main=f'relayhost = [127.0.0.1]:{one.port}\n'
                       f'sender_dependent_relayhost_maps = inline:{{ {{ alice@example.test = [127.0.0.1]:{two.port} }}, {{ @other.test = DUNNO }} }}\n'
                       f'sender_dependent_default_transport_maps = inline:{{ {{ bob@example.test = smtp:[127.0.0.1]:{three.port} }} }}\n') as i:
        for frm in ('alice@example.test', 'bob@example.test', 'x@other.test'):
            submit(i, frm, ['x@far.test'])
        idle(i)
        check([len(s.mails) for s in (one, two, three)] == [1, 1, 1], f'{[len(s.mails) for s in (one, two, three)]}')


TEMPLATE = """failure_template = <<EOF
Charset: utf-8
From: Postamt <postamt@$myhostname>
Subject: Nicht zugestellt
Postmaster-Subject: Kopie

Schöne Grüße von $myhostname.
EOF
"""


@test
def reports_are_as_operator_and_sender_want_them_195_197():
    sink = Sink(lambda v, a: b'550 5.1.1 nobody\r\n' if v == 'RCPT' and 'bad' in a else None)
    i = Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\nnotify_classes = bounce, 2bounce\nbounce_notice_recipient = bob\nmyorigin = example.test\n'
                      f'2bounce_notice_recipient = bob@example.test\nbounce_size_limit = 2K\n'
                      'virtual_alias_maps = inline:{ { list@example.test = alice@example.test good@far.test } }\n')
    open(i.conf + '/words', 'w').write(TEMPLATE.replace('$myhostname', '$nosuch'))
    i.configure(f'bounce_template_file = {i.conf}/words\n')
    r = i.run('check', ok=False)
    check(r.returncode and 'words:3: there is no "$nosuch"' in r.stdout, r.stdout)
    open(i.conf + '/words', 'w').write(TEMPLATE)
    with i:
        def report(user, n, *texts):
            m = [open(p, newline='').read() for p in i.wait_mails(user, n)]
            check(any(all(t in x for t in texts) for x in m), f'{user}: no {texts} in {m[-1]}')
            return m
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=20) as s:
            s.ehlo()
            s.sendmail('alice@example.test', ['list@example.test'], 'Subject: t\r\n\r\nx\r\n', rcpt_options=['NOTIFY=SUCCESS'])
        report('alice', 2, 'Action: expanded', 'Final-Recipient: rfc822; list@example.test')
        submit(i, 'alice@example.test', ['bad@far.test'], 'Subject: t\r\n\r\n' + ('y' * 70 + '\r\n') * 20000)
        m = report('alice', 3, 'Schöne Grüße von', 'From: Postamt <postamt@', 'Subject: Nicht zugestellt', '5.1.1')
        check(max(map(len, m)) < 8000, 'not cut')                              # 197
        report('bob', 1, 'Subject: Kopie', 'text/rfc822-headers')
        submit(i, '', ['bad@far.test'])                                         # 195
        report('bob', 2, 'Subject: Kopie', 'message/rfc822')
        idle(i)
        check(len(i.mails('alice')) == 3 and len(i.mails('bob')) == 2, 'there are more reports')


if __name__ == '__main__':
    main()
