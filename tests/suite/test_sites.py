#!/usr/bin/env python3
"""Many domains whose mail hosts are the same: one site with one window, one death, one probe, and shared connections."""
import json, re, smtplib, struct, threading
from harness import *
from fakedns import dns_server
from sink import Sink, idle, submit

DOMAINS = 30


class Provider(Sink):
    """counts transactions that are under way, and lets none end before `together` of them have begun"""
    def __init__(self, together):
        self.together, self.open, self.most, self.turn = together, 0, 0, threading.Condition()
        super().__init__(self.count)

    def count(self, verb, arg):
        if verb not in ('MAIL', 'DOT'):
            return None
        with self.turn:
            self.open += 1 if verb == 'MAIL' else -1
            self.most = max(self.most, self.open)
            self.turn.notify_all()
            if verb == 'MAIL' and self.most < self.together:
                self.turn.wait_for(lambda: self.most >= self.together, 20)


def domains(letter):
    return [f'{letter}{n}.test' for n in range(DOMAINS)]


def submit_to_each(i, names):
    with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=60) as s:
        for name in names:
            s.sendmail('alice@example.test', [f'x@{name}'], 'Subject: t\r\n\r\nhello\r\n')


@test
def domains_of_one_provider_are_one_site():
    live, dead = Provider(3), Sink(greeting=b'421 4.3.2 busy\r\n')
    moved = Sink(address=('127.0.0.2', dead.port))
    zone = {}
    port, wire = dns_server(zone)
    mx = lambda pref, host: struct.pack('>H', pref) + wire(host)
    for host in ('a', 'b', 'dead'):
        zone[host + '.mx.test', 1] = [bytes([127, 0, 0, 1])]
    zone['moved.mx.test', 1] = [bytes([127, 0, 0, 2])]
    for n, (l, d) in enumerate(zip(domains('l'), domains('d'))):    # two hosts, the DNS shuffles them, numbers differ, the order does not
        zone[l, 15] = [mx(10 + n % 2, 'a.mx.test'), mx(20 + n, 'b.MX.test')][::1 if n % 3 else -1]
        zone[d, 15] = [mx(10, 'dead.mx.test')]
    with Instance(main=f'dns_servers = 127.0.0.1@{port}\ninet_protocols = ipv4\nsmtp_destination_concurrency_limit = 3\n'
                       f'initial_destination_concurrency = 3\nminimal_backoff_time = 1h\nmaximal_backoff_time = 1h\n') as i:
        with open(i.conf + '/transport', 'w') as f:
            f.write(f'/@(l.*)$/ smtp:$1:{live.port}\n/@(d.*)$/ smtp:$1:{dead.port}\n')
        i.configure(f'transport_maps = pcre:{i.conf}/transport\n')
        i.run('reload')
        submit_to_each(i, domains('l'))
        idle(i)
        check(len(live.mails) == DOMAINS and live.most == 3, f'{len(live.mails)} mails, {live.most} at a time')
        check(live.connections < DOMAINS / 2, f'{live.connections} connections for {DOMAINS} domains')

        submit_to_each(i, domains('d'))
        check(wait(lambda: i.log().count('status=deferred') >= DOMAINS), 'not all deferred')
        check(dead.connections <= 4, f'{dead.connections} connections to a dead provider')      # 3 until it is known, one more that was under way
        check(i.tells('does not answer, not tried again', 1), 'it died more than once')
        check(re.search(r'destination dead\.mx\.test.* does not answer', i.log()), 'its name is not told')
        why = i.run('queue', 'why', 'd7.test').stdout
        check('is dead' in why and 'by mail host dead.mx.test' in why, why)
        listed = lambda *args: i.run('queue', 'list', '--json', *args).stdout.count('"queue_id"')
        check((listed('Dead.mx.test'), listed('d7.test'), listed('a.mx.test')) == (DOMAINS, 1, 0), 'a mail host does not select what goes there')
        why = json.loads(i.run('queue', 'why', '--json', 'd7.test').stdout)
        check(why['mail_host'] == 'dead.mx.test' and why['dead'] > 3000, f'{why}')

        was = dead.connections
        i.stop()
        i.start()
        submit(i, 'alice@example.test', ['y@d1.test'])
        check(wait(lambda: re.search('to=<y@d1.test>.*status=deferred', i.log())), 'it was not remembered')
        check(dead.connections == was, 'a dead provider was tried before its time')
        # one of them moves away, and then the provider comes back
        i.stop()
        zone['d9.test', 15] = [mx(10, 'moved.mx.test')]
        i.configure('minimal_backoff_time = 1s\nmaximal_backoff_time = 2s\n')
        i.start()
        check(wait(lambda: moved.mails, 40), 'what has moved away waits for the provider that it had')
        dead.greeting = b'220 back\r\n'
        idle(i, 40)
        check((len(dead.mails), len(moved.mails)) == (DOMAINS, 1), f'{len(dead.mails)}, {len(moved.mails)}')
        check('.sites is damaged' not in i.log(), 'the file was not understood')


if __name__ == '__main__':
    main()
