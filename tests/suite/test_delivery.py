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


@test
def addresses_are_rewritten():
    main = ('canonical_maps = inline:{{bob.roe@example.test = bob@example.test}}\nsender_canonical_maps = inline:{{s@y.example = known@y.example}}\n'
            'masquerade_domains = y.example\ntransport_maps = inline:{{never.test = error:5.1.2 nobody there},{later.test = error:4.3.2 not now}}\n')
    with Instance(main=main) as i:
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
            s.ehlo()
            s.mail('s@y.example')
            for to, code in ('x@never.test', 550), ('x@later.test', 450), ('x@far.test', 250):
                check(s.rcpt(to)[0] == code, f'{to} is refused when its transport refuses it, not later')
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
            s.sendmail('s@y.example', ['Bob.Roe@' + DOMAIN], 'From: s@y.example\r\nTo: bob.roe@example.test\r\nSubject: 1\r\n\r\nx\r\n')
        got = open(i.wait_mails('bob', 1)[0]).read()
        # a stranger's header stays, the envelope does not
        check('Return-Path: <known@y.example>' in got and 'From: s@y.example\nTo: bob.roe@example.test\n' in got, got)
        r = i.tool('sendmail', '-f', 'u@host.y.example', 'bob.roe@' + DOMAIN,
                   input=b'From: "U, V" <u@host.y.example>\nTo: Bob <bob.roe@example.test>, root\nSubject: 2\n\nFrom: s@y.example\n')
        check(r.returncode == 0, r.stderr)
        got = open([p for p in i.wait_mails('bob', 2) if 'Subject: 2' in open(p).read()][0]).read()
        check('Return-Path: <u@y.example>' in got and 'From: "U, V" <u@y.example>\nTo: Bob <bob@example.test>, root@mail.example.test\n' in got and
              got.endswith('\n\nFrom: s@y.example\n'), got)


@test
def a_mailbox_is_where_virtual_mailbox_maps_say():
    import imaplib, poplib, shutil
    i = Instance(main=f'virtual_mailbox_maps = inline:{{ {{old@{DOMAIN} = {DOMAIN}/old/}}, {{deep@{DOMAIN} = a/b/Maildir/}}, {{list@{DOMAIN} = shared/list/}} }}\n')
    old = f'{i.root}/mail/{DOMAIN}/old'
    for d in 'cur', 'new', 'tmp':
        os.makedirs(f'{old}/{d}')
    open(old + '/cur/1000000001.M1P1.host:2,S', 'w').write('Subject: from before\n\nx\n')
    st = os.stat(i.root + '/mail')
    for path, dirs, files in os.walk(f'{i.root}/mail/{DOMAIN}'):
        for name in [path] + [path + '/' + f for f in files]:
            os.chown(name, st.st_uid, st.st_gid)
    i.run('user', 'import', '-', input=f'old@{DOMAIN}:pw-old\ndeep@{DOMAIN}:pw-deep\n')
    with i:
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
            s.sendmail('x@y.example', [f'{u}@{DOMAIN}' for u in ('old', 'deep', 'list')], 'Subject: now\r\n\r\nx\r\n')
            s.sendmail('x@y.example', [f'old@{DOMAIN}'], 'Subject: direct\r\n\r\nx\r\n')
        for place in old, i.root + '/mail/a/b/Maildir', i.root + '/mail/shared/list':
            check(wait(lambda: glob.glob(place + '/new/*')), f'no mail in {place}')
        check(wait(lambda: len(glob.glob(old + '/new/*')) == 2), 'no direct delivery')
        with imaplib.IMAP4('127.0.0.1', i.port('imap')) as c:
            c.login('old@' + DOMAIN, 'pw-old')
            check(c.select()[1] == [b'3'] and c.create('Sub')[0] == 'OK' and os.path.isdir(old + '/.Sub') and not os.path.exists(old + '/Maildir'), 'another place')
            check(c.copy('1:*', 'Sub')[0] == 'OK' and len(os.listdir(old + '/.Sub/cur')) == 3 and c.rename('Sub', 'Other')[0] == 'OK', 'COPY, RENAME')
        p = poplib.POP3('127.0.0.1', i.port('pop3'))
        check(p.user('old@' + DOMAIN) and p.pass_('pw-old') and p.stat()[0] == 3 and p.quit(), 'POP3')
        check(f'mailbox: {old}\n' in i.run('user', 'show', 'old@' + DOMAIN).stdout and f'{i.root}/mail/a/b/Maildir\n' in i.run('user', 'show', 'deep@' + DOMAIN).stdout, 'user show')
        i.run('index', 'rebuild', 'old@' + DOMAIN)
        i.run('quota', 'set', 'old@' + DOMAIN, '1M')
        check('"messages":6' in i.run('--json', 'quota', 'show', 'old@' + DOMAIN).stdout, 'quota show')
        i.run('user', 'set', 'bob@' + DOMAIN, 'home=here/bob/')
        check(os.path.isdir(i.root + '/mail/here/bob'), 'no home')
        i.configure(f'virtual_mailbox_maps = inline:{{ {{x@{DOMAIN} = OK}}, {{y@{DOMAIN} = OK}} }}\n')
        r = i.run('check', ok=False)
        check(r.returncode == 78 and f'virtual_mailbox_maps: x@{DOMAIN}: "OK" is not a Maildir: write' in r.stdout, r.stdout)


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
                            (67, 'user', 'show', 'dave@second.test'), (65, 'user', 'set', 'carol@second.test', 'uid=0'), (64, 'user', 'set', 'carol@second.test', 'pid=1'),
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


@test
def a_user_gets_another_address():
    import imaplib, json
    with Instance() as i:
        names = lambda: [json.loads(l) for l in i.run('--json', 'user', 'list').stdout.splitlines()]
        mail = lambda to: smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30).sendmail('x@y.example', [f'{to}@{DOMAIN}'], 'Subject: x\r\n\r\nx\r\n')
        mail('bob')
        i.wait_mails('bob', 1)
        i.run('quota', 'set', f'bob@{DOMAIN}', '1M')
        i.run('quota', 'set', f'alice@{DOMAIN}', '2M')
        i.run('alias', 'add', f'rob@{DOMAIN}', f'bob@{DOMAIN}')
        os.makedirs(f'{i.root}/mail/{DOMAIN}/old/Maildir')
        before = open(i.conf + '/users').read(), i.run('quota', 'list').stdout
        for code, *to in (67, f'nobody@{DOMAIN}', f'robert@{DOMAIN}'), (73, f'bob@{DOMAIN}', f'alice@{DOMAIN}'), (73, f'bob@{DOMAIN}', f'rob@{DOMAIN}'), (73, f'bob@{DOMAIN}', f'old@{DOMAIN}'), \
                (78, f'bob@{DOMAIN}', 'bob@elsewhere.test'), (65, f'bob@{DOMAIN}', 'a b'), (73, f'bob@{DOMAIN}', f'bob@{DOMAIN}'):
            r = i.run('user', 'rename', *to, ok=False)
            check(r.returncode == code and (open(i.conf + '/users').read(), i.run('quota', 'list').stdout) == before, f'{to}: {r.returncode}: {r.stdout}')
        held = imaplib.IMAP4('127.0.0.1', i.port('imap'))
        held.login(f'bob@{DOMAIN}', 'pw-bob')
        held.select()
        i.run('user', 'rename', f'bob@{DOMAIN}', f'Robert@{DOMAIN}')
        check(names()[1:] == [{'address': f'robert@{DOMAIN}', 'home': f'{DOMAIN}/bob', 'login': True}], f'{names()}')
        check(i.run('quota', 'list').stdout.splitlines() == [f'alice@{DOMAIN} {2 << 20} 0', f'robert@{DOMAIN} {1 << 20} 0'], i.run('quota', 'list').stdout)
        said = b''
        with contextlib.suppress(OSError):
            said = wait(lambda: held.sock.recv(1000))
        check(b'BYE' in said, f'a session goes on: {said}')
        with imaplib.IMAP4('127.0.0.1', i.port('imap')) as c:
            c.login(f'robert@{DOMAIN}', 'pw-bob')
            check(c.select()[1] == [b'1'], 'where is the mail?')
        check(wait(lambda: refused(i, f'bob@{DOMAIN}'), 5), 'the old address is still there')
        mail('robert')
        i.wait_mails('bob', 2)                      # the directory is the same
        r = i.run('user', 'add', f'bob@{DOMAIN}', input='x\n', ok=False)
        check(r.returncode == 73 and f"the mail in {DOMAIN}/bob is another user's" in r.stdout, r.stdout)
        check(i.run('user', 'import', '-', input=f'bob@{DOMAIN}:x\n', ok=False).returncode == 73, 'import')
        i.run('user', 'add', f'bob@{DOMAIN}', f'home={DOMAIN}/bob2', input='pw-bob2\n')
        with imaplib.IMAP4('127.0.0.1', i.port('imap')) as c:
            c.login(f'bob@{DOMAIN}', 'pw-bob2')
            check(c.select()[1] == [b'0'], 'the mail of another')
        i.run('user', 'del', f'bob@{DOMAIN}')
        i.run('user', 'rename', f'robert@{DOMAIN}', f'bob@{DOMAIN}')
        with imaplib.IMAP4('127.0.0.1', i.port('imap')) as c:
            c.login(f'bob@{DOMAIN}', 'pw-bob')
            check(c.select()[1] == [b'2'], 'where is the mail?')


def mail_of(i, user, n, subject):
    """the one message of a user with this subject, when n have come"""
    i.wait_mails(user, n)
    got = [t for t in (open(p).read() for p in i.mails(user)) if f'Subject: {subject}\n' in t]
    check(len(got) == 1, f'{user} has {len(got)} messages "{subject}"')
    return got[0]


@test
def lists_by_command_and_in_aliases():
    team, owner = 'team@' + DOMAIN, 'owner-team@' + DOMAIN
    i = Instance(users=('alice', 'bob', 'carol'), main='relocated_maps = inline:{{gone@example.test = there@far.example}}\nmynetworks = 10.0.0.0/8\n')
    try:
        with open(i.conf + '/aliases', 'a') as f:
            f.write(f'staff: :include:{i.conf}/lists/staff\ncrew: bob@{DOMAIN}, alice@{DOMAIN}, ghost@{DOMAIN}\nowner-crew: carol@{DOMAIN}\n'
                    f'open: :include:{i.conf}/lists/open\nlink: :include:{i.conf}/lists/link\n')
        os.makedirs(i.conf + '/lists')
        for name, mode in (('staff', 0o644), ('open', 0o646)):
            with open(i.conf + '/lists/' + name, 'w') as f:
                f.write(f'# who works here\nbob@{DOMAIN}, carol@{DOMAIN} (Carol)\n|/bin/sh\n/etc/passwd\n')
            os.chmod(i.conf + '/lists/' + name, mode)
        os.symlink('/etc/passwd', i.conf + '/lists/link')
        i.start()
        with open(i.conf + '/aliases', 'a') as f:
            f.write('shadow: :include:/etc/shadow\n')
        r = i.run('check', ok=False)
        check('shadow: /etc/shadow does not lie below alias_include_directories' in r.stdout, r.stdout)
        check(i.tool('newaliases').returncode == 0, 'newaliases')
        # what a command that was killed has left is no list, holds up nobody, and goes; what another one writes just now stays
        dead = subprocess.Popen(['true'])
        dead.wait()
        left, living = [f'{i.conf}/users.~new{dead.pid}', f'{i.conf}/lists/half@{DOMAIN}.~new{dead.pid}'], f'{i.conf}/lists/other@{DOMAIN}.~new{os.getpid()}'
        for p in left + [living]:
            open(p, 'w').close()
        i.run('list', 'add', team, 'bob@' + DOMAIN, 'Carol@' + DOMAIN, 'nobody@' + DOMAIN)
        check(os.path.exists(living) and not any(map(os.path.exists, left)), 'what a killed command has left')
        check('~new' not in i.run('list', 'list').stdout, 'a file that is written just now is a list')
        os.unlink(living)
        i.run('list', 'set', team, 'owner=alice@' + DOMAIN)
        check(i.run('list', 'show', team).stdout.split()[1:5] == ['3', 'members,', 'owner', 'alice@' + DOMAIN], 'list show')
        for code, *args in ((65, 'add', 'owner-x@' + DOMAIN, 'bob@' + DOMAIN), (65, 'add', '../x@' + DOMAIN, 'bob@' + DOMAIN), (65, 'add', team, '|cat'),
                            (73, 'add', 'bob@' + DOMAIN, 'alice@' + DOMAIN), (67, 'del', 'x@' + DOMAIN), (67, 'del', team, 'x@' + DOMAIN), (64, 'add', team)):
            r = i.run('list', *args, ok=False)
            check(r.returncode == code, f'list {args}: exit {r.returncode}: {r.stdout}')
        check(wait(lambda: not refused(i, team), 3), 'the list is not there after 3 s')
        send(i, 'team')
        got = mail_of(i, 'bob', 1, 'copy')
        check(f'Return-Path: <{owner}>' in got and f'Delivered-To: bob@{DOMAIN}\n' in got and f'Delivered-To: {team}\n' in got and
              f'List-Id: <team.{DOMAIN}>' in got, got)
        i.wait_mails('carol', 1)
        got = open(i.wait_mails('alice', 1)[0]).read()          # the owner hears of the member who is not there
        check(f'nobody@{DOMAIN}' in got and 'Return-Path: <>' in got and 'x@y.example' not in got.split('Return-Path', 2)[1], got)
        check('x@y.example' not in ''.join(l for l in i.log().splitlines() if 'to=<' in l and 'from=' not in l), 'the sender got a report')
        # the log tells where the copy went; a list that is its own member ends
        check(i.tells(f'to=<{team}>, relay=list') and i.tells('status=sent (forwarded as '), 'the log')
        i.run('list', 'add', team, team)
        i.run('list', 'del', team, 'nobody@' + DOMAIN)
        send(i, 'team')
        i.wait_mails('bob', 2)
        got = wait(lambda: [t for t in (open(p).read() for p in i.mails('alice')) if 'mail forwarding loop for ' + team in t])
        check(got, 'the owner does not hear of the loop')
        # aliases: :include: keeps the sender, owner- takes his place
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
            for name in ('staff', 'crew', 'open', 'shadow', 'link'):
                s.sendmail('x@y.example', [name + '@localhost'], f'Subject: {name}\r\n\r\nx\r\n')
        check('Return-Path: <x@y.example>' in mail_of(i, 'carol', 3, 'staff'), 'the sender of an :include: list')
        check('Return-Path: <owner-crew@localhost>' in mail_of(i, 'bob', 4, 'crew'), 'the sender of an alias with owner-')
        check(wait(lambda: [p for p in i.mails('carol') if f'ghost@{DOMAIN}' in open(p).read()]), 'the owner of the alias hears nothing')
        for name in ('open', 'shadow', 'link'):
            check(wait(lambda: [l for l in i.log().splitlines() if f'to=<{name}@localhost>' in l and 'status=deferred' in l]), f'{name} was used')
        check(i.tells('2 of the members of staff@localhost name no address'), 'a program on a list')
        # who has moved
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
            s.ehlo()
            s.mail('x@y.example')
            code, text = s.rcpt('gone@' + DOMAIN)
            check(code == 550 and b'5.1.6' in text and b'there@far.example' in text, text)
            check(s.rcpt('owner-team@' + DOMAIN)[0] == 250, 'the owner has no address')
        # wide: one message, one queue file
        with open(i.dir + '/many', 'w') as f:
            f.write(''.join(f'u{n}@{DOMAIN}\n' for n in range(3000)) + f'bob@{DOMAIN}\n')
        check('3001 members added' in i.run('list', 'import', 'wide@' + DOMAIN, i.dir + '/many').stdout, 'list import')
        check(len(i.run('list', 'export', 'wide@' + DOMAIN).stdout.splitlines()) == 3001, 'list export')
        check(wait(lambda: not refused(i, 'wide@' + DOMAIN), 3), 'the list is not there after 3 s')
        n = len(i.mails('bob'))
        send(i, 'wide')
        i.wait_mails('bob', n + 1)
        i.run('list', 'del', 'wide@' + DOMAIN)
        check(wait(lambda: refused(i, 'wide@' + DOMAIN), 3), 'the list is still there after 3 s')
        check(i.run('list', 'list').stdout == f'{team}: 3 members, owner alice@{DOMAIN}\n', 'list list')
    finally:
        i.close()


main()
