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


main()
