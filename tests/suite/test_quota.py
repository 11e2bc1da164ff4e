#!/usr/bin/env python3
"""Limits of mailboxes: by command, at RCPT through aliases, at the end of DATA, in IMAP; exact over everything that changes a mailbox."""
import imaplib, json, os, signal, smtplib, ssl, time
from harness import *


def send(i, *to, size=2000, announce=True, sender='x@y.example'):
    """The reply to the first recipient, or to the message."""
    with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
        s.ehlo('c.example')
        s.mail(sender, ['SIZE=%d' % size] if announce else [])
        codes = [s.rcpt(f'{t}@{DOMAIN}') for t in to]
        if not any(c == 250 for c, _ in codes):
            return codes[0]
        return s.data('Subject: q\r\n\r\n' + ('x' * 70 + '\r\n') * (size // 72))


def show(i, user):
    return json.loads(i.run('quota', 'show', f'{user}@{DOMAIN}', '--json').stdout)


def held(i, user):
    names = [f for d, _, fs in os.walk(i.maildir(user)) if os.path.basename(d) in ('cur', 'new') for f in fs]
    return sum(int(n.split(',S=')[1].split(',')[0]) for n in names), len(names)


def imap(i, user):
    c = imaplib.IMAP4('127.0.0.1', i.port('imap'), timeout=30)
    c.starttls(i.tls())
    c.login(f'{user}@{DOMAIN}', 'pw-' + user)
    return c


def quota_of(c):
    c.untagged_responses.clear()
    check(c._simple_command('GETQUOTAROOT', 'INBOX')[0] == 'OK', 'GETQUOTAROOT')
    root, quota = c.untagged_responses.get('QUOTAROOT'), c.untagged_responses.get('QUOTA')
    return root[0], quota and quota[0]


@test
def limits():
    main = ('virtual_alias_maps = inline:{ {sales@example.test = carol@example.test}, {both@example.test = carol@example.test, bob@example.test} }\n'
            'virtual_mailbox_limit_warnings = 50, 90\n')
    with Instance(users=('alice', 'bob', 'carol', 'dave', 'erin'), main=main) as i:
        # by command, counted from then on
        for bad in ('x', '-5', '2GB'):
            check(i.run('quota', 'set', f'alice@{DOMAIN}', bad, ok=False).returncode == 64, bad)
        check(i.run('quota', 'set', f'nobody@{DOMAIN}', '1G', ok=False).returncode == 67, 'a limit of nobody')
        check(send(i, 'alice')[0] == 250, 'no limit')
        i.run('quota', 'set', f'alice@{DOMAIN}', '20K')
        i.run('quota', 'set', f'Carol@{DOMAIN}', '1G', '--messages', '3')
        i.run('quota', 'set', f'@{DOMAIN}', '1M')
        check([l.split()[0] for l in i.run('quota', 'list').stdout.splitlines()] ==
              [f'alice@{DOMAIN}', f'carol@{DOMAIN}', f'@{DOMAIN}'], 'list')
        check(show(i, 'dave')['default_of'] == '@' + DOMAIN and show(i, 'dave')['bytes_limit'] == 1 << 20, 'default')
        s = show(i, 'alice')
        check((s['bytes'], s['messages']) == held(i, 'alice'), f'counted: {s}')
        time.sleep(1.1)
        check(send(i, 'alice', size=30000)[0] == 452, 'announced size')
        check(send(i, 'alice', size=30000, announce=False)[0] == 452, 'at the end of DATA')
        check(send(i, 'alice', 'bob', size=30000, announce=False)[0] == 250, 'with another recipient: the queue has it')
        i.wait_mails('bob', 1)
        wait(lambda: 'the mailbox is full' in i.run('queue', 'why').stdout + i.log())
        n = 0
        while send(i, 'alice')[0] == 250:
            n += 1
            check(n < 20, 'it never gets full')
        s = show(i, 'alice')
        check((s['bytes'], s['messages']) == held(i, 'alice') and 20480 <= s['bytes'] <= 22528, f'{s}')
        texts = [open(m).read() for m in i.mails('alice')]
        check(sum('Subject: Your mailbox is' in t for t in texts) == 2, 'two warnings')
        check(send(i, 'alice')[0] == 452 and send(i, 'alice', announce=False)[0] == 452, 'full at RCPT')
        # messages, and aliases
        for k in range(5):
            if send(i, 'sales')[0] == 452:
                break
            wait(lambda: i.log().count('orig_to=<sales@') == k + 1)
        check(k >= 2 and show(i, 'carol')['messages'] == 3, f'full through an alias after {k}')
        check(send(i, 'both')[0] == 250, 'the other one of the alias has room')
        # IMAP
        c = imap(i, 'alice')
        check(b'QUOTA=RES-STORAGE' in c.capability()[1][0], 'capability')
        listed = {l.split()[-1]: l for l in c.list()[1]}        # the folders of a new user
        check(set(listed) == {b'INBOX', b'Archive', b'Drafts', b'Junk', b'Sent', b'Trash'} and b'\\Sent' in listed[b'Sent'], f'{listed}')
        check(len(c.lsub()[1]) >= 5 and c.delete('Junk')[0] == 'OK', 'subscribed')
        c.logout()
        c = imap(i, 'alice')
        check(not any(l.endswith(b'Junk') for l in c.list()[1]), 'what was deleted has come back')
        root, quota = quota_of(c)
        check(root == b'INBOX ""' and quota == b'"" (STORAGE %d 20)' % ((s['bytes'] + 1023) // 1024), f'{root} {quota}')
        typ, text = c.append('INBOX', None, None, b'a: b\r\n\r\nx\r\n')
        check(typ == 'NO' and b'OVERQUOTA' in text[0], f'APPEND: {text}')
        c.select()
        typ, text = c.copy('1', 'INBOX')
        check(typ == 'NO' and b'OVERQUOTA' in text[0], f'COPY: {text}')
        c.store('1:*', '+FLAGS', '\\Deleted')
        status = c.status('INBOX', '(DELETED DELETED-STORAGE)')[1][0]
        check(b'DELETED-STORAGE %d' % s['bytes'] in status, f'{status}')
        c.expunge()
        check(quota_of(c)[1] == b'"" (STORAGE 0 20)', 'after EXPUNGE')
        check(send(i, 'alice')[0] == 250, 'room again')
        check(c.append('INBOX', None, None, b'a: b\r\n\r\n' + b'x' * 10000 + b'\r\n')[0] == 'OK', 'APPEND')
        s = show(i, 'alice')
        check((s['bytes'], s['messages']) == held(i, 'alice'), f'{s}')
        check(c._simple_command('SETQUOTA', '""', '(STORAGE 1)')[0] == 'NO' and c._simple_command('GETQUOTA', 'other')[0] == 'NO', 'SETQUOTA')
        c.logout()
        c = imap(i, 'carol')
        check(quota_of(c)[1].endswith(b' MESSAGE 3 3)'), 'messages')
        c.logout()
        # a lifted limit counts within a second; so does another one
        i.run('quota', 'del', f'carol@{DOMAIN}')
        i.run('quota', 'del', f'@{DOMAIN}')
        check(i.run('quota', 'del', f'carol@{DOMAIN}', ok=False).returncode == 67, 'del of nobody')
        check('no limit' in i.run('quota', 'show', f'carol@{DOMAIN}').stdout, 'show of none')
        time.sleep(1.1)
        check(send(i, 'sales')[0] == 250, 'lifted')
        c = imap(i, 'carol')
        check(quota_of(c) == (b'INBOX', None), 'no root without a limit')
        c.logout()
        i.run('quota', 'set', f'carol@{DOMAIN}', '-', '--messages', '6')
        check(show(i, 'carol')['messages'] == held(i, 'carol')[1], 'what came meanwhile is counted')
        # for good
        with open(i.conf + '/main.cf', 'a') as f:
            f.write('virtual_overquota_bounce = yes\nvirtual_mailbox_limit_grace = 0\n')
        i.run('reload')
        wait(lambda: send(i, 'alice', size=30000)[0] == 552)
        check(send(i, 'alice', size=30000, announce=False)[0] == 552, 'for good at the end of DATA')
        # kill -9 of who counts
        i.run('quota', 'set', f'erin@{DOMAIN}', '100M')
        time.sleep(1.1)
        for k in range(20):
            try:
                send(i, 'erin')
            except (smtplib.SMTPException, OSError):
                pass
            for pid, name in i.processes().items():
                if name == 'local' and k % 3 == 0:
                    send_signal(pid, signal.SIGKILL)
        wait(lambda: 'erin' not in i.run('queue', 'list').stdout)
        s = show(i, 'erin')
        check((s['bytes'], s['messages']) == held(i, 'erin') and s['messages'] >= 20, f'{s} {held(i, "erin")}')


@test
def after_a_reload():
    """nobody of before the reload takes a new intake's question along into its end: there is an answer at once"""
    with Instance(users=('alice',), main='virtual_overquota_bounce = yes\nvirtual_mailbox_limit_grace = 0\n') as i:
        i.run('quota', 'set', f'alice@{DOMAIN}', '20K')
        time.sleep(1.1)
        for k in range(15):
            i.run('reload')
            code = send(i, 'alice', size=30000, announce=k % 2 == 0)[0]
            check(code == 552, f'reload {k}: {code}')


main()
