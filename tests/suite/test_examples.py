#!/usr/bin/env python3
"""The configurations in conf/examples, as they stand: a message from the smarthost's client to the submission host to the MX."""
import imaplib, re, smtplib, struct
from harness import *
from fakedns import dns_server

HERE = TOP + '/conf/examples'
SENDER, RCPT = 'alice@' + DOMAIN, 'bob@' + DOMAIN


def example(name, extra):
    """an instance with this example; `extra` is what a test must have otherwise: other hosts' ports, DNS, certificates"""
    i = Instance()
    with open(i.conf + '/main.cf', 'w') as f:
        f.write(open(f'{HERE}/{name}/main.cf').read().replace('example.com', DOMAIN) + extra)
    master = open(f'{HERE}/{name}/master.cf').read()
    with open(i.conf + '/master.cf', 'w') as f:
        f.write(re.sub(r'(?m)^(\d+)(\s+inet)', lambda m: f'{i.base + int(m[1])}{m[2]}', master))
    return i


def code(f, *args):
    try:
        f(*args)
        return 250
    except smtplib.SMTPResponseException as e:
        return e.smtp_code
    except smtplib.SMTPRecipientsRefused as e:
        return list(e.recipients.values())[0][0]


@test
def the_three_examples_work_together():
    zone = {}
    port, wire = dns_server(zone)
    address = bytes([127, 0, 0, 1])
    zone[('sender.test', 15)] = [struct.pack('>H', 10) + wire('mx.sender.test')]
    zone[('mx.sender.test', 1)] = [address]
    zone[(DOMAIN, 15)] = [struct.pack('>H', 10) + wire('mx.sender.test')]
    zone[('9.0.0.127.zen.spamhaus.org', 1)] = [bytes([127, 0, 0, 2])]
    usual = f'inet_interfaces = loopback-only\nsmtpd_error_sleep_time = 0s\nauth_failure_delay = 0s\ndns_servers = 127.0.0.1@{port}\n'
    mx = example('mx', usual + 'mynetworks = 127.0.0.50\n')
    sub = example('submission', usual + f'relayhost = [127.0.0.1]:{mx.port("smtp")}\n')
    host = example('smarthost', usual + f'relayhost = [127.0.0.1]:{sub.port("submission")}\nsmtp_tls_CAfile = {sub.conf}/tls/cert.pem\n')
    with open(host.conf + '/sasl_passwd', 'w') as f:
        f.write(f'[127.0.0.1]:{sub.port("submission")} {SENDER}:pw-alice\n')
    host.tool('postmap', host.conf + '/sasl_passwd')
    for i in (mx, sub, host):
        i.run('check')
    with mx, sub, host:
        host.tool('sendmail', '-f', SENDER, RCPT, input=b'Subject: from a program\n\nhello\n')
        text = open(mx.wait_mails('bob', 1)[0]).read()
        check('with ESMTPS id' in text and 'Message-ID' in text and 'ESMTPSA' not in text, text)      # the submission host hides its clients
        check(sub.tells(f'sasl_username={SENDER}') and host.tells('status=sent'), 'the way of the message')
        # the MX: mailboxes of ours for anybody, nothing else, nobody of the list
        with smtplib.SMTP('127.0.0.1', mx.port('smtp')) as s:
            check(code(s.sendmail, 'x@sender.test', [RCPT], 'Subject: a stranger\r\n\r\n') == 250, 'a stranger')
            check(code(s.sendmail, 'x@sender.test', ['x@sender.test'], '') == 554, 'the MX relays')
            check(code(s.sendmail, 'x@sender.test', ['nobody@' + DOMAIN], '') == 550, 'an unknown recipient')
            check(code(s.sendmail, 'x@nowhere.test', [RCPT], '') in (450, 550), 'a domain that does not exist')
        with smtplib.SMTP('127.0.0.1', mx.port('smtp'), source_address=('127.0.0.9', 0)) as s:
            check(code(s.sendmail, 'x@sender.test', [RCPT], '') == 554, 'a client of the list')
        with imaplib.IMAP4_SSL('127.0.0.1', mx.port('imaps'), ssl_context=mx.tls()) as m:
            m.login(RCPT, 'pw-bob')
            check(int(m.select()[1][0]) >= 1, 'nothing to read')
        # the submission host: a login, and its own name
        with smtplib.SMTP('127.0.0.1', sub.port('submission')) as s:
            s.ehlo()
            check(s.mail(SENDER)[0] == 530, 'without TLS')
        with smtplib.SMTP_SSL('127.0.0.1', sub.port('submissions'), context=sub.tls()) as s:
            check(code(s.sendmail, SENDER, [RCPT], '') == 554, 'without a login')
            s.login(SENDER, 'pw-alice')
            check(code(s.sendmail, RCPT, [RCPT], '') == 553, "another user's name")
            check(code(s.sendmail, 'info@' + DOMAIN, [RCPT], 'From: info@' + DOMAIN + '\r\n\r\nx\r\n') == 250, 'a name of several')
        mx.wait_mails('bob', 3)


main()
