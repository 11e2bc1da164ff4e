#!/usr/bin/env python3
"""Mail to other MTAs of Debian and back, with TLS, and from programs that only submit. (release build only)"""
import re, smtplib
from harness import *
from peers import Exim, Nullmailer, OpenSmtpd, Sendmail

BODY = '.dot\r\n..two\r\nFrom here\r\n' + 'x' * 900 + '\r\n' + ('long text ' * 7 + '\r\n') * 1000


def text_of(mail):
    return mail.split('\n\n', 1)[1]


def both_ways(kind):
    i = Instance()
    try:
        with kind(i.port('smtp')) as p:
            i.configure(f'transport_maps = inline:{{ {{ peer.test = smtp:[127.0.0.1]:{p.port} }} }}\nsmtp_tls_security_level = {"encrypt" if p.tls else "may"}\n'
                        f'minimal_backoff_time = 1s\n')
            i.start()
            with smtplib.SMTP('127.0.0.1', i.port('smtp')) as s:
                for n in range(3):
                    s.sendmail('alice@' + DOMAIN, ['ann@peer.test'], f'Subject: out {n}\r\n\r\n{BODY}')
                s.sendmail('alice@' + DOMAIN, ['nobody@peer.test', 'ann@peer.test'], 'Subject: half\r\n\r\nx\r\n')
            check(wait(lambda: len(p.mails()) == 4, 30), f'{len(p.mails())} of 4 arrived\n{p.said()}\n{i.log()[-2000:]}')
            mail = [m for m in p.mails() if 'Subject: out 1\n' in m][0]
            check(text_of(mail).rstrip('\n').replace('\n>From', '\nFrom') == BODY.replace('\r\n', '\n').rstrip('\n'), 'the text has changed on its way')
            check(not p.tls or i.tells('tls=TLSv1.3'), 'no TLS on the way out')
            report = open(i.wait_mails('alice', 1, 30)[0]).read()
            check('nobody@peer.test' in report and 'Status: 5.' in report, report)
            with smtplib.SMTP('127.0.0.1', p.port) as s:
                s.ehlo()
                if p.tls:
                    s.starttls()
                for n in range(3):
                    s.sendmail('ann@peer.test', ['bob@' + DOMAIN], f'Subject: back {n}\r\n\r\n{BODY}')
                s.sendmail('ann@peer.test', ['nobody@' + DOMAIN], 'Subject: refused\r\n\r\n')
            mail = open(i.wait_mails('bob', 3, 40)[0]).read()
            check(text_of(mail).replace('\n>From', '\nFrom').rstrip('\n') == BODY.replace('\r\n', '\n').rstrip('\n') and 'ESMTPS' in mail, f'the way back: {mail[:2000]}')
            check(wait(lambda: any('nobody@' + DOMAIN in m for m in p.mails()), 30), f'no report for the unknown user came to the peer\n{p.said()}')
            check(wait(lambda: not i.queue(), 10), f'left in the queue: {i.queue()}')
    finally:
        i.close()


@test
def exim():
    both_ways(Exim)


@test
def opensmtpd():
    both_ways(OpenSmtpd)


@test
def sendmail():
    both_ways(Sendmail)


@test
def programs_that_only_submit():
    with Instance() as i:
        env = dict(os.environ, MERPATI_CONF=i.conf, MAILRC=i.dir + '/mailrc', HOME=i.dir)
        open(i.dir + '/mailrc', 'w').write(f'set sendmail={BIN}/sendmail\n')
        lack = []
        if shutil.which('msmtp'):
            r = subprocess.run(['msmtp', '-C', '/dev/null', '--host=127.0.0.1', f'--port={i.port("submission")}', '--tls=on', '--tls-starttls=on', f'--tls-trust-file={i.conf}/tls/cert.pem',
                                '--tls-certcheck=off', '--auth=plain', f'--user=alice@{DOMAIN}', '--passwordeval=echo pw-alice', f'--from=alice@{DOMAIN}', f'bob@{DOMAIN}'],
                               input='Subject: by msmtp\n\n.dot\n', text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
            check(r.returncode == 0, r.stdout)
        else:
            lack.append('msmtp')
        if shutil.which('bsd-mailx'):
            r = subprocess.run(['bsd-mailx', '-s', 'by mail', f'bob@{DOMAIN}'], input='.dot\n..\n', text=True, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
            check(r.returncode == 0, r.stdout)
        else:
            lack.append('bsd-mailx')
        want = {'by ' + n for n, p in (('msmtp', 'msmtp'), ('mail', 'bsd-mailx')) if p not in lack}
        try:
            with Nullmailer(i.port('submission')) as p:
                i.wait_mails('bob', len(want) + 1)
                want |= {'by nullmailer'}
        except Skip as e:
            lack.append(f'nullmailer ({e})')
        i.wait_mails('bob', len(want))
        mails = {re.search('Subject: (.*)', m).group(1): m for m in (open(p).read() for p in i.mails('bob'))}
        check(set(mails) == want and all('\n.dot\n' in m for m in mails.values()), f'{mails}')
        check('by msmtp' not in want or 'ESMTPSA' in mails['by msmtp'], 'msmtp did not log in')
        if lack:
            raise Skip('not there: ' + ', '.join(lack))


main()
