#!/usr/bin/env python3
"""Mail from here to Debian's Postfix and back: another implementation on both sides of the wire. (release build only)"""
import contextlib, os, shutil, smtplib, subprocess
from harness import *
from postfix import Postfix


@contextlib.contextmanager
def beside_postfix(main='', prepare=lambda p, i: None):
    """an instance of ours and a Postfix that has postfix.test, each with the way to the other"""
    if os.getuid():
        raise Skip('needs root')
    if not shutil.which('postfix'):
        raise Skip('postfix is not installed')
    i = Instance()
    try:
        with Postfix(i.port('smtp'), DOMAIN, i.conf + '/tls') as p:
            prepare(p, i)
            i.configure(f'transport_maps = inline:{{ {{ postfix.test = smtp:[127.0.0.1]:{p.port} }} }}\n' + main)
            i.start()
            yield i, p
    finally:
        i.close()


@test
def mail_goes_to_postfix_and_comes_back():
    with beside_postfix() as (i, p):
        body = '.dot\r\n..two\r\n' + 'x' * 900 + '\r\n' + ('long text ' * 7 + '\r\n') * 3000
        with smtplib.SMTP('127.0.0.1', i.port('smtp')) as s:
            for k in range(20):
                s.sendmail('alice@' + DOMAIN, ['ann@postfix.test'], f'Subject: out {k}\r\n\r\n{body}')
            s.sendmail('alice@' + DOMAIN, ['nobody@postfix.test', 'ann@postfix.test'], 'Subject: half\r\n\r\nx\r\n')
        check(wait(lambda: len(p.mails()) == 21, 30), f'{len(p.mails())} of 21 arrived at postfix')
        text = open([m for m in p.mails() if 'Subject: out 7' in open(m).read()][0]).read()
        check(text.endswith(body.replace('\r\n', '\n')), 'the text has changed on its way')
        check('using TLS' in text, 'postfix did not see TLS')
        report = open(i.wait_mails('alice', 1)[0]).read()
        check('nobody@postfix.test' in report and 'Status: 5.1.1' in report, report)
        with smtplib.SMTP('127.0.0.1', p.port) as s:
            s.sendmail('ann@postfix.test', ['bob@' + DOMAIN], f'Subject: back\r\n\r\n{body}')
            s.sendmail('ann@postfix.test', ['nobody@' + DOMAIN], 'Subject: refused\r\n\r\n')
        text = open(i.wait_mails('bob', 1)[0]).read()
        check(text.endswith(body.replace('\r\n', '\n')) and 'ESMTPS' in text, 'the way back')
        check(wait(lambda: len(p.mails()) == 22, 20), 'postfix got no report for the unknown user')
        check(wait(lambda: not i.queue(), 10), f'left in the queue: {i.queue()}')


def send(port, frm, rcpts, text, options):
    """through a raw dialogue: smtplib has no word for NOTIFY of one recipient"""
    with smtplib.SMTP('127.0.0.1', port) as s:
        s.ehlo()
        check(s.mail(frm, options)[0] == 250, f'{frm} {options}')
        for r, notify in rcpts:
            check(s.rcpt(r, notify)[0] == 250, f'{r} {notify}')
        check(s.data(text.encode())[0] == 250, 'DATA')


def reports(paths):
    return [t for t in (open(p, errors='replace').read() for p in paths) if 'Action: ' in t]


@test
def wishes_for_reports_go_both_ways():
    with beside_postfix() as (i, p):
        send(i.port('smtp'), 'alice@' + DOMAIN, [('ann@postfix.test', ['NOTIFY=SUCCESS', 'ORCPT=rfc822;ann+2B@postfix.test'])],
             'Subject: out\r\n\r\nbody text\r\n', ['RET=HDRS', 'ENVID=OUT1'])
        report = open(i.wait_mails('alice', 1)[0]).read()      # from Postfix, which was told
        for text in ('Original-Envelope-Id: OUT1', 'rfc822;ann+@postfix.test', 'Action: delivered', 'Reporting-MTA: dns; mx.postfix.test'):
            check(text in report, f'{text!r} is not in {report}')
        check('body text' not in report, 'RET=HDRS was lost')
        send(p.port, 'ann@postfix.test', [('bob@' + DOMAIN, ['NOTIFY=SUCCESS', 'ORCPT=rfc822;b+2Bb@x.test'])],
             'Subject: back\r\n\r\nbody text\r\n', ['RET=HDRS', 'ENVID=BACK1'])
        i.wait_mails('bob', 1)
        check(wait(lambda: reports(p.mails()), 20), 'no report came to postfix')
        report = reports(p.mails())[0]
        for text in ('Original-Envelope-Id: BACK1', 'Original-Recipient: rfc822;b+b@x.test', 'Action: delivered'):
            check(text in report, f'{text!r} is not in {report}')
        check('body text' not in report, 'RET=HDRS was lost on the way back')
        check(wait(lambda: not i.queue(), 10), f'left in the queue: {i.queue()}')
        check(len(i.mails('alice')) == 1, 'alice has more than one report')


@test
def addresses_in_utf8_go_both_ways():
    def utf8(p, i):
        subprocess.run(['postconf', '-c', p.d + '/etc', 'smtputf8_enable=yes', 'smtputf8_autodetect_classes=all',
                        'virtual_mailbox_maps=inline:{ {änn@postfix.test=ann/} {ann@postfix.test=ann/} }'], check=True)
    with beside_postfix(f'virtual_alias_maps = inline:{{ {{ bøb@{DOMAIN} = bob@{DOMAIN} }} }}\n', utf8) as (i, p):
        send(i.port('smtp'), 'alice@' + DOMAIN, [('änn@postfix.test', []), ('ünknown@postfix.test', [])],
             'Subject: hinüber\r\n\r\nx\r\n', ['SMTPUTF8'])
        check(wait(lambda: p.mails(), 20), 'nothing came to postfix')
        check('Subject: hinüber' in open(p.mails()[0]).read(), 'the subject')
        report = open(i.wait_mails('alice', 1)[0]).read()
        check('utf-8; ünknown@postfix.test' in report and 'message/global-delivery-status' in report, report)
        send(p.port, 'änn@postfix.test', [('bøb@' + DOMAIN, [])], 'Subject: zurück\r\n\r\nx\r\n', ['SMTPUTF8'])
        text = open(i.wait_mails('bob', 1)[0]).read()
        check('Return-Path: <änn@postfix.test>' in text and 'Subject: zurück' in text and 'with UTF8SMTPS' in text, text)
        check(wait(lambda: not i.queue(), 10), f'left in the queue: {i.queue()}')


@test
def postfix_delivers_by_lmtp():
    def lmtp(p, i):
        with open(p.d + '/etc/master.cf', 'a') as f:
            f.write('lmtp unix - - n - - lmtp\n')
        subprocess.run(['postconf', '-c', p.d + '/etc', f'transport_maps=inline:{{ {{ {DOMAIN} = lmtp:inet:127.0.0.1:{i.base + 24} }} }}',
                        'lmtp_tls_security_level=may', 'lmtp_destination_recipient_limit=10'], check=True)
        subprocess.run(['postfix', '-c', p.d + '/etc', 'reload'], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(i.conf + '/master.cf', 'a') as f:
            f.write(f'127.0.0.1:{i.base + 24} inet n - y - 1-2 smtpd\n  -o smtpd_lmtp=yes\n')
        i.run('quota', 'set', f'bob@{DOMAIN}', '5K')
    with beside_postfix('virtual_overquota_bounce = yes\n', lmtp) as (i, p):
        with smtplib.SMTP('127.0.0.1', p.port) as s:
            s.sendmail('ann@postfix.test', [f'{n}@{DOMAIN}' for n in ('alice', 'bob', 'nobody')], 'Subject: lmtp\r\n\r\n..dot\r\n' + 'x' * 70 * 1 + ('\r\n' + 'y' * 70) * 200)
        text = open(i.wait_mails('alice', 1)[0]).read()     # one of three has it, each has its own reply
        check('with LMTPS id' in text or 'with LMTP id' in text, text)
        check('\n..dot\n' in text and text.endswith('\n' + 'y' * 70 + '\n'), 'the text')
        check(wait(lambda: reports(p.mails()), 20), 'no report came to postfix')
        report = ''.join(reports(p.mails()))
        check(f'rfc822; bob@{DOMAIN}' in report and '5.2.2' in report and f'rfc822; nobody@{DOMAIN}' in report and '5.1.1' in report and
              f'rfc822; alice@{DOMAIN}' not in report, report)
        check(len(i.mails('alice')) == 1 and not i.mails('bob'), 'once for alice, not at all for bob')


main()
