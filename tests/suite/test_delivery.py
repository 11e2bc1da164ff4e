#!/usr/bin/env python3
"""Who gets a message beside its recipients; changed tables count without a reload."""
import os, smtplib, time
from harness import *


def send(i, *to, sender='x@y.example'):
    with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
        s.sendmail(sender, [t + '@' + DOMAIN for t in to], 'Subject: copy\r\n\r\nx\r\n')


@test
def copies_for_the_operator():
    i = Instance(users=('alice', 'bob', 'arch', 'boss'), main='always_bcc = arch@example.test\nrecipient_bcc_maps = hash:$config_directory/bcc\n')
    try:
        with open(i.conf + '/bcc', 'w') as f:
            f.write('alice@example.test boss@example.test\n')
        check(i.tool('postmap', i.conf + '/bcc').returncode == 0, 'postmap')
        i.start()
        send(i, 'bob')
        i.wait_mails('bob', 1)
        i.wait_mails('arch', 1)
        send(i, 'bob', 'alice')
        for user, n in (('bob', 2), ('alice', 1), ('arch', 2), ('boss', 1)):
            i.wait_mails(user, n)
        text = open(i.mails('bob')[0]).read()
        check('arch' not in text, 'the recipient sees the copy')
        with open(i.conf + '/bcc', 'w') as f:
            f.write('bob@example.test boss@example.test\n')
        check(i.tool('postmap', i.conf + '/bcc').returncode == 0, 'postmap')
        time.sleep(1.1)
        send(i, 'bob')
        i.wait_mails('boss', 2)
        send(i, 'alice')
        i.wait_mails('alice', 2)
        i.wait_mails('arch', 4)
        check(len(i.mails('boss')) == 2, 'the old table counts')
    finally:
        i.close()


@test
def aliases_by_command():
    from concurrent.futures import ThreadPoolExecutor
    i = Instance(main='virtual_alias_maps = hash:$config_directory/virtual\n')
    try:
        i.run('alias', 'add', 'Sales@' + DOMAIN, 'bob@' + DOMAIN, 'alice@' + DOMAIN)
        i.start()
        send(i, 'sales')
        i.wait_mails('bob', 1)
        i.wait_mails('alice', 1)
        check(i.run('alias', 'add', 'sales@' + DOMAIN, 'bob@' + DOMAIN, ok=False).returncode == 73, 'add twice')
        for bad in ('sales', 'a b@' + DOMAIN, '|x@' + DOMAIN + ' y', '@', '"q q"@' + DOMAIN):
            check(i.run('alias', 'add', bad, 'bob@' + DOMAIN, ok=False).returncode == 65, f'address {bad}')
        for bad in ('bob', '|/bin/sh', '/etc/passwd', ':include:/x', '@' + DOMAIN, 'a@b, c@d'):
            check(i.run('alias', 'add', 'new@' + DOMAIN, bad, ok=False).returncode == 65, f'target {bad}')
        before = open(i.conf + '/virtual').read()
        with open(i.conf + '/virtual', 'a') as f:
            f.write('# a comment\nlong@example.test bob@example.test\n  alice@example.test\nend@example.test bob@example.test\n')
        i.run('alias', 'del', 'long@' + DOMAIN)
        check(open(i.conf + '/virtual').read() == before + '# a comment\nend@example.test bob@example.test\n', 'del')
        check(i.run('alias', 'del', 'long@' + DOMAIN, ok=False).returncode == 67, 'del of nobody')
        with ThreadPoolExecutor(8) as pool:     # at once: none is lost
            list(pool.map(lambda k: i.run('alias', 'add', f'a{k}@{DOMAIN}', f'bob@{DOMAIN}'), range(16)))
        listed = i.run('alias', 'list').stdout.splitlines()
        check(len(listed) == 18 and f'sales@{DOMAIN}: bob@{DOMAIN}, alice@{DOMAIN}' in listed, str(listed))
        time.sleep(1.1)
        send(i, 'a7')
        i.wait_mails('bob', 2)
        i.run('alias', 'del', 'a7@' + DOMAIN)
        time.sleep(1.1)
        try:
            send(i, 'a7')
            check(False, 'the alias is still there')
        except smtplib.SMTPRecipientsRefused:
            pass
    finally:
        i.close()


def refused(i, address):
    with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
        s.ehlo()
        s.mail('x@y.example')
        return s.rcpt(address)[0] // 100 == 5


@test
def domains_users_and_aliases_by_command():
    from concurrent.futures import ThreadPoolExecutor
    import json
    with Instance(main='mynetworks = 10.0.0.0/8\n') as i:
        json_of = lambda *a: [json.loads(l) for l in i.run('--json', *a).stdout.splitlines()]
        check(refused(i, 'carol@second.test'), 'a domain that is not there')
        i.run('domain', 'add', 'Second.Test')
        i.run('user', 'add', 'carol@second.test', input='secret\n')
        i.run('alias', 'add', 'c@second.test', 'carol@second.test')
        check(wait(lambda: not refused(i, 'c@second.test'), 3), 'the new domain is not served after 3 s')
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
            s.sendmail('x@y.example', ['c@second.test'], 'Subject: new\r\n\r\nx\r\n')
        check(wait(lambda: glob.glob(i.root + '/mail/second.test/carol/Maildir/new/*')), 'no mail for the new domain')
        check(json_of('domain', 'list') == [{'domain': DOMAIN, 'from': 'main.cf'}, {'domain': 'second.test', 'from': 'table'}], 'domain list')
        check(json_of('domain', 'show', 'second.test')[0] == {'domain': 'second.test', 'from': 'table', 'users': 1, 'aliases': 1}, 'domain show')
        for code, *args in ((65, 'domain', 'add', 'a b'), (65, 'domain', 'add', '../x.y'), (73, 'domain', 'add', DOMAIN),
                            (73, 'domain', 'add', 'second.test'), (73, 'domain', 'add', 'localhost.' + DOMAIN), (73, 'domain', 'del', 'second.test'),
                            (78, 'domain', 'del', DOMAIN), (67, 'domain', 'del', 'third.test'), (67, 'domain', 'show', 'third.test'),
                            (67, 'user', 'show', 'dave@second.test'), (64, 'user', 'set', 'carol@second.test', 'uid=0'),
                            (65, 'user', 'set', 'carol@second.test', 'home=../../etc'), (67, 'alias', 'set', 'd@second.test', 'carol@second.test')):
            r = i.run(*args, ok=False)
            check(r.returncode == code, f'{args}: exit {r.returncode}: {r.stdout}')
        with ThreadPoolExecutor(8) as pool:     # at once: none is lost
            list(pool.map(lambda k: i.run('domain', 'add', f'd{k}.test'), range(12)))
        check(len(json_of('domain', 'list')) == 14, 'a change was lost')
        i.run('alias', 'set', 'c@second.test', f'bob@{DOMAIN}')
        check(json_of('alias', 'show', 'c@second.test') == [{'address': 'c@second.test', 'targets': [f'bob@{DOMAIN}']}], 'alias show')
        exported = i.run('alias', 'export').stdout
        i.run('alias', 'import', '-', input=exported + f'e@second.test bob@{DOMAIN}\n')
        check(i.run('alias', 'export').stdout.splitlines() == exported.splitlines() + [f'e@second.test bob@{DOMAIN}'], 'alias import')
        check(i.run('alias', 'import', '-', input='x@second.test |cat\n', ok=False).returncode == 65, 'import of a program')
        # users: export and import carry the passwords, not in clear
        exported = i.run('user', 'export').stdout
        check('secret' not in exported and len(exported.splitlines()) == 4, exported)
        i.run('user', 'set', 'carol@second.test', 'login=no', 'home=second.test/karla')
        check(json_of('user', 'show', 'carol@second.test') == [{'address': 'carol@second.test', 'home': 'second.test/karla', 'login': False}], 'user set')
        i.run('user', 'set', 'carol@second.test', 'login=yes', 'home=')
        i.run('user', 'del', 'carol@second.test')
        check(i.run('user', 'import', '-', input=exported).stdout == '1 user added, 2 replaced\n', 'import of an export')
        check(i.run('user', 'export').stdout == exported, 'import of an export')
        before = open(i.conf + '/users').read()
        for bad in (exported + exported.splitlines()[-1] + '\n', exported + 'x\n', f'a@{DOMAIN}:x\na@{DOMAIN}:y\n'):
            check(i.run('user', 'import', '-', input=bad, ok=False).returncode == 65 and open(i.conf + '/users').read() == before, 'a bad import')
        import imaplib
        with imaplib.IMAP4('127.0.0.1', i.port('imap')) as m:
            check(m.login('carol@second.test', 'secret')[0] == 'OK', 'login')


main()
