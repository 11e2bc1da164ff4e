#!/usr/bin/env python3
"""Mail to other hosts: relay to a second instance, TLS, refusals, deferral, dead destinations, hostile servers, MX."""
import re, socket, struct, time
from harness import *
from fakedns import dns_server
from sink import FAST, Sink, idle, submit

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
        check(i.log().count('does not answer, not tried again') == 1, 'the destination was not declared dead')
        submit(i, 'alice@example.test', ['bob@example.test'])
        i.wait_mails('bob', 1)
        check(len(i.queue()) == 200, f'{len(i.queue())} files')


@test
def a_connection_is_used_again():
    sink = Sink()
    with to_sink(sink) as i:
        for _ in range(5):
            submit(i, 'alice@example.test', ['x@far.test'])
            time.sleep(0.2)
        idle(i)
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


HOSTILE = {
    'endless_line': (b'220 ' + b'x' * 100000, None),
    'endless_lines': (b'220-x\r\n' * 100000, None),
    'no_smtp': (b'HTTP/1.1 400 Bad Request\r\n\r\n', None),
    'nul_and_esc': (b'554 \0\x1b[2J\rgo away\r\n', None),
    'says_nothing': (b'', None),
    'closes_at_ehlo': (b'220 a\r\n', lambda v, a: b'close'),
    'answers_twice': (b'220 a\r\n250 b\r\n250 c\r\n', None),
    'early_250': (b'220 a\r\n', lambda v, a: b'354 go\r\n250 2.0.0 got it\r\n' if v == 'DATA' else None),
    'rst_after_mail': (b'220 a\r\n', lambda v, a: b'close' if v == 'MAIL' else None),
    '421_at_rcpt': (b'220 a\r\n', lambda v, a: b'421 4.3.2 closing\r\n' if v == 'RCPT' else None),
    'mixed_codes': (b'220 a\r\n', lambda v, a: b'250-a\r\n550 b\r\n' if v == 'EHLO' else None),
    'refuses_helo': (b'220 a\r\n', lambda v, a: b'502 no\r\n' if v in ('EHLO', 'HELO') else None),
    'closes_after_354': (b'220 a\r\n', lambda v, a: b'close' if v == 'DOT' else None),
    'starttls_garbage': (b'220 a\r\n', lambda v, a: b'250-a\r\n250 STARTTLS\r\n' if v == 'EHLO' else b'220 go\r\nnot tls at all\r\n' if v == 'STARTTLS' else b'close' if v == 'MAIL' else None),
}


@test
def hostile_servers_only_defer():
    sinks = {n: Sink(r, g) for n, (g, r) in HOSTILE.items()}
    maps = ', '.join(f'{{{n.replace("_", "-")}.test = smtp:[127.0.0.1]:{s.port}}}' for n, s in sinks.items())
    with Instance(main=f'transport_maps = inline:{{ {maps} }}\nminimal_backoff_time = 60s\nsmtp_helo_timeout = 2s\n') as i:
        before = [p for p, n in i.processes().items() if n == 'qmgr']
        for n in HOSTILE:
            submit(i, 'alice@example.test', [f'x@{n.replace("_", "-")}.test'])
        check(wait(lambda: i.log().count('status=deferred') >= len(HOSTILE), 40),
              f'{i.log().count("status=deferred")} of {len(HOSTILE)} deferred')
        check('status=sent' not in i.log() and 'was ended by signal' not in i.log() and 'agent smtp' not in i.log(), 'see the log')
        check(before == [p for p, n in i.processes().items() if n == 'qmgr'], 'qmgr is another one')
        check(len(i.queue()) == len(HOSTILE), 'messages are gone')
        smtp = [p for p, n in i.processes().items() if n == 'smtp']
        for p in smtp:
            rss = int(re.search(r'VmRSS:\s+(\d+)', open(f'/proc/{p}/status').read())[1])
            check(rss < 60000 or 'SANITIZE' in os.environ.get('MERPATI_FLAVOR', '').upper(), f'{rss} KB')


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


if __name__ == '__main__':
    main()
