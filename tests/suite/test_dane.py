#!/usr/bin/env python3
"""What the DNS of a destination demands (RFC 7672), and REQUIRETLS (RFC 8689): a signed zone, validated by ourselves."""
import hashlib, os, re, smtplib, ssl, subprocess
from harness import *
from signeddns import Zones
from sink import Sink, submit

AUTHORITY = '''set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=authority -addext basicConstraints=critical,CA:TRUE
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out req.pem -subj /CN=mx
printf 'subjectAltName=DNS:mx.dane.test,DNS:good.dane.test' >ext
openssl x509 -req -in req.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out leaf.pem
cat leaf.pem ca.pem >chain.pem
chmod 644 *.pem'''


def der(path):
    return ssl.PEM_cert_to_DER_cert(open(path).read().split('-----END CERTIFICATE-----')[0] + '-----END CERTIFICATE-----\n')


def sha256(b):
    return hashlib.sha256(b).hexdigest()


def zones(d, dns, port, plain_port):
    key = subprocess.run(f'openssl x509 -in {d}/leaf.pem -noout -pubkey | openssl pkey -pubin -outform DER', shell=True, check=True, stdout=subprocess.PIPE).stdout
    ee, ta, wrong = f'3 1 1 {sha256(key)}', f'2 0 1 {sha256(der(d + "/ca.pem"))}', '3 1 1 ' + 'ab' * 32
    hosts = {
        'ee': [ee], 'whole': [f'3 0 0 {der(d + "/leaf.pem").hex()}'], 'rollover': [wrong, ee], 'wrong': [wrong], 'bogus': [ee],
        'unusable': ['1 1 1 ' + sha256(key), '255 0 0 00', '3 1 1 abcd', '3 1 9 ' + 'cd' * 32], 'none': [], 'only': [], 'wrongname': [ta],
        'many': ['3 1 1 ' + sha256(b'%d' % n) for n in range(60)],
    }
    lines = 'mx IN A 127.0.0.1\ngood IN MX 10 mx\ntaname IN MX 10 taname-host\ntaname-host IN A 127.0.0.1\n'
    for n, records in hosts.items():
        lines += f'{n} IN MX 10 {n}-mx\n{n}-mx IN A 127.0.0.1\n' + ''.join(f'_{port}._tcp.{n}-mx IN TLSA {r}\n' for r in records)
    lines += f'_{port}._tcp.mx IN TLSA {ta}\n'              # the certificate names mx.dane.test
    lines += f'cname IN MX 10 alias\nalias IN CNAME ee-mx\n'
    lines += f'away IN MX 10 away-mx\naway-mx IN CNAME host.plain.test.\n_{port}._tcp.away-mx IN TLSA {ee}\n'
    lines += f'clear IN MX 10 clear-mx\nclear-mx IN A 127.0.0.1\n_{plain_port}._tcp.clear-mx IN TLSA {ee}\n'
    lines += f'implicit IN A 127.0.0.1\n_{port}._tcp.implicit IN TLSA {ee}\n'
    lines += f'second IN MX 5 bogus-mx\nsecond IN MX 10 ee-mx\n'
    plain = f'host IN A 127.0.0.1\nto IN MX 10 host\n_{port}._tcp.host IN TLSA {wrong}\nmixed IN MX 10 ee-mx.dane.test.\n'
    spoil = lambda l: l[:-4] + 'ffff' if re.match(rf'_{port}\._tcp\.bogus-mx\.\S*\s+60\s+IN\s+TLSA\s', l) else l
    return Zones(dns, {'dane.test': lines}, {'plain.test': plain}, spoil)


class Bed:
    """a server with a certificate of its own authority, a relay that believes nobody but the zone, and the zone"""
    def __init__(self):
        self.b = Instance(domain='two.test')
        d = self.b.dir
        subprocess.run(AUTHORITY, shell=True, check=True, cwd=d, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.sink, self.clear = Sink(), Sink()      # behind the server; a mail host without TLS
        port = self.b.port('smtp')
        self.b.configure(f'smtpd_tls_chain_files = {d}/key.pem, {d}/chain.pem\nrelay_domains = dane.test, plain.test\n'
                         f'relayhost = [127.0.0.1]:{self.sink.port}\n'
                         'minimal_backoff_time = 1h\n')
        self.zones = zones(d, self.b.base + 53, port, self.clear.port)
        self.a = Instance(main=f'dns_servers = 127.0.0.1@{self.zones.port}\ndns_trust_anchor_file = {self.zones.anchor}\n'
                               f'smtp_tls_security_level = dane\nsmtp_tls_policy_maps = inline:{{ {{ only.dane.test:{port} = dane-only }} }}\n'
                               'minimal_backoff_time = 1h\ninet_protocols = ipv4\n')
        domains = re.findall(r'^(\w+) IN (?:MX|A) ', open(self.zones.dir + '/dane.test').read(), re.M)
        table = ''.join(f'{n}.dane.test smtp:{n}.dane.test:{self.clear.port if n == "clear" else port}\n' for n in dict.fromkeys(domains))
        table += ''.join(f'{n}.plain.test smtp:{n}.plain.test:{port}\n' for n in ('to', 'mixed', 'host'))
        open(self.a.dir + '/transport', 'w').write(table)
        os.chmod(self.a.dir + '/transport', 0o644)
        self.a.configure(f'transport_maps = texthash:{self.a.dir}/transport\n')

    def __enter__(self):
        try:
            self.b.start()
            self.a.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        if exc and exc[0] and exc[0] is not Skip:
            print(''.join('# ' + l + '\n' for i in (self.a, self.b) for l in i.log().splitlines()[-12:]))
        for i in (self.a, self.b):
            i.close()
        self.zones.__exit__()
        self.sink.close()
        self.clear.close()

    def said(self, address, what):
        line = wait(lambda: re.search(rf'to=<{address}>.*', self.a.log()), 30)
        check(line and re.search(what, line[0]), f'{address}: not {what}: {line and line[0]}')


def require(i, to, port='smtp'):
    with smtplib.SMTP('127.0.0.1', i.port(port), timeout=20) as s:
        s.ehlo()
        check(not s.has_extn('requiretls'), 'REQUIRETLS without TLS')
        check(s.docmd('MAIL FROM:<alice@example.test> REQUIRETLS')[0] == 555, 'taken without TLS')
        s.starttls()
        s.ehlo()
        check(s.has_extn('requiretls'), 'no REQUIRETLS')
        check(s.docmd('MAIL FROM:<alice@example.test> REQUIRETLS=1')[0] == 501, 'a value was taken')
        s.sendmail('alice@example.test', to, 'TLS-Required: No\r\nSubject: secret\r\n\r\nx\r\n', ['REQUIRETLS'])


def protected(t):
    """a message that needs protection goes nowhere else (RFC 8689)"""
    # signed and compared with the certificate; then what the zone, the certificate or the server lacks
    require(t.a, ['r@ee.dane.test', 'r@clear.dane.test', 'r@to.plain.test', 'r@wrong.dane.test', 'r@only.dane.test', 'bob@example.test'])
    t.said('r@ee.dane.test', 'verified by DANE, dsn=2.0.0')
    t.said('r@clear.dane.test', r'dsn=5\.7\.10, status=bounced .*does not offer STARTTLS')
    t.said('r@to.plain.test', r'dsn=5\.7\.10, status=bounced .*DNS')
    t.said('r@wrong.dane.test', r'dsn=5\.7\.10, status=bounced .*not verified')
    t.said('r@only.dane.test', r'dsn=5\.7\.10, status=bounced .*TLSA')
    t.said('bob@example.test', 'status=sent')
    reports = t.a.wait_mails('alice', 1)
    check(all('5.7.10' in open(m).read() for m in reports), 'no report')
    # on the other side nothing proves itself either: neither the message nor the report about it goes on
    for to in ('r@ee.dane.test', 'alice@example.test'):
        check(wait(lambda: re.search(rf'to=<{to}>.*dsn=5\.7\.10, status=bounced', t.b.log())), f'b has passed on {to}')
    check(not t.clear.mails + t.sink.mails, 'clear text')


@test
def what_the_dns_demands_is_done():
    want = {
        'ee': 'verified by DANE, dsn=2.0.0', 'whole': 'verified by DANE', 'rollover': 'verified by DANE', 'cname': 'verified by DANE',
        'away': 'verified by DANE', 'implicit': 'verified by DANE', 'good': 'verified by DANE', 'second': r'ee-mx.*verified by DANE',
        'wrong': r'dsn=4\.7\.5, status=deferred .*not verified', 'many': r'dsn=4\.7\.5, status=deferred',
        'bogus': r'dsn=4\.7\.5, status=deferred .*TLSA', 'unusable': 'untrusted, dsn=2.0.0', 'none': 'untrusted, dsn=2.0.0', 'only': r'dsn=4\.7\.5, status=deferred .*no TLSA',
        'wrongname': r'dsn=4\.7\.5, status=deferred', 'clear': r'dsn=4\.7\.4, status=deferred',
    }
    with Bed() as t:
        protected(t)
        for n in want:
            submit(t.a, 'alice@example.test', [f'x@{n}.dane.test'])
        submit(t.a, 'alice@example.test', ['x@to.plain.test'])
        submit(t.a, 'alice@example.test', ['x@mixed.plain.test'])
        for n, what in want.items():
            t.said(f'x@{n}.dane.test', what)
        t.said('x@to.plain.test', 'untrusted, dsn=2.0.0')      # nothing there is signed: its TLSA counts for nothing
        t.said('x@mixed.plain.test', 'untrusted, dsn=2.0.0')
        check(not t.clear.mails and not any(v == 'MAIL' for v, _ in t.clear.commands), 'clear text')
        # the sender does without (RFC 8689 5)
        submit(t.a, 'alice@example.test', ['n@wrong.dane.test', 'n@clear.dane.test'], 'TLS-Required: no\r\nSubject: t\r\n\r\nx\r\n')
        t.said('n@wrong.dane.test', 'untrusted, dsn=2.0.0')
        t.said('n@clear.dane.test', 'dsn=2.0.0')


if __name__ == '__main__':
    main()
