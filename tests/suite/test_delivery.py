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


main()
