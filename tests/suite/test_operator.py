#!/usr/bin/env python3
"""An operator's day: log rotation, root's mail, lines of Postfix, closed directories, old certificates."""
import imaplib, re
from harness import *


def logs_of(i):
    """{name of a process of the instance: the files that its lines go to}"""
    out = {}
    for pid, name in i.processes().items():
        try:
            out.setdefault(name, set()).add(os.readlink(f'/proc/{pid}/fd/2'))
        except OSError:
            pass
    return out


@test
def a_rotated_log_is_left_by_every_daemon():
    with Instance() as i:
        s = i.connect('smtp')       # holds its worker over the reload
        s.recv(1000)
        log = i.root + '/log/mail.log'
        os.rename(log, log + '.1')
        i.run('reload')
        new = wait(lambda: all(f == {log} for f in logs_of(i).values()), 10)
        check(new, f'still in the old log: {logs_of(i)}')
        s.sendall(b'QUIT\r\n')
        check(wait(lambda: 'disconnect from' in i.log(), 5), 'the old session is not in the new log')


@test
def master_keeps_no_descriptor_of_its_caller():
    i = Instance()
    try:
        r, w = os.pipe()
        subprocess.run([f'{BIN}/merpati', '-c', i.conf, 'start'], check=True, pass_fds=(w,), timeout=60)
        os.close(w)
        os.set_blocking(r, False)
        check(os.read(r, 1) == b'', 'master holds the pipe of its caller')
    finally:
        i.close()


@test
def a_new_user_has_a_directory_and_no_link_is_followed():
    i = Instance(users=('carol',))
    try:
        mail, out = i.root + '/mail/', i.dir + '/elsewhere'
        os.mkdir(out)
        os.chmod(out, 0o777)
        os.symlink(out, mail + 'away.test')
        i.run('user', 'add', f'dave@{DOMAIN}', input='pw\n')
        i.run('user', 'set', f'dave@{DOMAIN}', 'home=deep/er/dave')
        for name in f'{DOMAIN}/carol', f'{DOMAIN}/dave', 'deep/er/dave':
            st = os.stat(mail + name)
            check(st.st_mode & 0o7777 == 0o700 and st.st_uid == os.stat(mail + DOMAIN).st_uid, f'{name}: {st}')
        i.run('user', 'add', 'eve@away.test', input='pw\n')
        check(os.listdir(out) == [], f'made behind a link: {os.listdir(out)}')
    finally:
        i.close()


@test
def mail_to_root_says_why_it_waits():
    with Instance() as i:
        check(i.tool('sendmail', '-i', 'root', input=b'Subject: x\n\nx\n').returncode == 0, 'sendmail')
        queue = wait(lambda: (lambda t: t if b'aliases' in t else b'')(i.tool('mailq').stdout), 10)
        check(queue, f'mailq does not name the remedy: {i.tool("mailq").stdout}')
        with open(i.conf + '/aliases', 'a') as f:
            f.write(f'root: alice@{DOMAIN}\n')
        check(i.tool('newaliases').returncode == 0, 'newaliases')
        time.sleep(1.1)             # tables are looked at once a second
        i.tool('postqueue', '-f')
        i.wait_mails('alice', 1)


@test
def an_alias_to_nobody_bounces_with_its_own_code():
    with Instance() as i:
        with open(i.conf + '/aliases', 'a') as f:
            f.write(f'team: nosuch@{DOMAIN}\n')
        i.tool('newaliases')
        i.tool('sendmail', '-f', f'alice@{DOMAIN}', 'team', input=b'Subject: x\n\nx\n')
        i.wait_mails('alice', 1)
        check(i.tells('dsn=5.1.1, status=bounced (unknown user)'), 'see the log')


@test
def lines_of_postfix_are_explained():
    i = Instance()
    rows = {'biff = no': 'remove the line', 'smtpd_tls_eecdh_grade = auto': 'nothing is lost',
            'non_smtpd_milters = inet:127.0.0.1:8891': 'milter', 'local_transport = lmtp:unix:x': 'local', 'smtpd_timout = 3': 'smtpd_timeout'}
    try:
        i.configure(''.join(r + '\n' for r in rows) + 'inet_interfaces = eth0\n')
        with open(i.conf + '/master.cf', 'a') as f:
            f.write('pickup unix n - - 60 1 pickup\nsmtp inet n - - - - smtpd\n')
        out = i.run('check', ok=False).stdout
        for r, word in rows.items():
            name = r.split(' =')[0]
            check(re.search(rf'main\.cf:\d+: unknown parameter {name}; .*{word}', out), f'{name}: {out}')
        check(out.count('"eth0"') == 1, out)
        check('no daemon "pickup"; the daemons are:' in out, out)
        check('the service smtp is already' not in out, out)
    finally:
        i.close()


@test
def aliases_to_programs_and_files_are_mistakes():
    i = Instance()
    try:
        with open(i.conf + '/aliases', 'a') as f:
            f.write('p: "|/bin/true"\nf: alice, /dev/null\nl: :include:/x\n')
        r = i.run('check', ok=False)
        check(r.returncode == 78 and all(w in r.stdout for w in ('p: mail', 'f: mail', 'l: /x does not lie')), r.stdout)
    finally:
        i.close()


@test
def a_directory_that_daemons_cannot_pass_is_named():
    if os.getuid():
        raise Skip('needs root')
    i = Instance()
    try:
        os.chmod(i.dir, 0o700)
        r = i.run('start', ok=False)
        check(r.returncode == 78 and f'cannot pass through {i.dir} ' in r.stdout and 'chmod o+x' in r.stdout, r.stdout)
        os.chmod(i.dir, 0o711)
        i.run('start')
    finally:
        i.close()


@test
def an_expired_certificate_warns_and_serves():
    i = Instance()
    try:
        expire_certificate(i)
        r = i.run('start')
        check('warning' in r.stdout and 'expired' in r.stdout, r.stdout)
        m = imaplib.IMAP4('127.0.0.1', i.port('imap'))
        m.starttls(ssl._create_unverified_context())
        check(m.login('alice@' + DOMAIN, 'pw-alice')[0] == 'OK', 'no login over TLS')
        m.logout()
    finally:
        i.close()


@test
def files_in_place_of_domains_are_mistakes():
    i = Instance()
    try:
        i.configure('myorigin = /etc/mailname\nmydestination = /etc/local-domains\nrelay_domains = hash:/nonexistent/relay\n')
        out = i.run('check', ok=False).stdout
        check(out.count('write the domain itself') == 2 and 'relay_domains: /nonexistent/relay.cdb: No such file' in out, out)
    finally:
        i.close()


@test
def a_queue_file_that_cannot_be_opened_is_listed():
    if os.getuid():
        raise Skip('needs root')
    with Instance(main='relayhost = [127.0.0.1]:9\ndirect_delivery = no\n') as i:
        many = [f'x{n}@far.example' for n in range(200)]       # of few qmgr remembers what a list tells
        i.tool('sendmail', '-f', f'alice@{DOMAIN}', *many, input=b'Subject: x\n\nx\n')
        check(wait(lambda: i.log().count('status=deferred') == len(many), 10), 'not deferred')
        path = [p for p in i.queue() if '/queue/' in p][0]
        os.chown(path, 0, 0)
        check(b'cannot be opened' in i.tool('mailq').stdout, i.tool('mailq').stdout)
        os.chmod(i.root + '/spool/queue', 0)
        os.chown(i.root + '/spool/queue', 0, 0)
        i.tool('sendmail', '-f', f'alice@{DOMAIN}', f'bob@{DOMAIN}', input=b'Subject: x\n\nx\n')
        check(wait(lambda: 'cannot take the message over' in i.log(), 5), 'nothing in the log')
        i.run('stop')
        i.run('start')
        i.wait_mails('bob', 1)


@test
def too_little_room_is_told_before_mail_is_refused():
    with Instance(main='queue_minfree = 1000G\n') as i:
        check('no mail is taken below' in i.run('check').stdout, 'check is silent')
        check('no mail is taken below' in i.run('status').stdout, 'status is silent')
        r = i.tool('sendmail', 'alice@' + DOMAIN, input=b'Subject: x\n\nx\n')
        check(r.returncode == 75 and b'452 4.3.1' in r.stderr, f'sendmail: {r}')


@test
def a_stop_says_good_bye():
    with Instance() as i:
        old = i.connect('imaps')
        new = []
        for c, name in [(old, 'imap')] + [(None, n) for n in ('imaps', 'pop3', 'smtp', 'submissions')]:
            c = c or i.connect(name)
            c.recv(4096)
            if name == 'imap':
                c.sendall(f'a LOGIN alice@{DOMAIN} pw-alice\r\nb SELECT INBOX\r\n'.encode())
                check(wait(lambda: b'b OK' in c.recv(4096)), 'no login')
                i.run('reload')         # it is served by a process that retires
            elif name == 'pop3':
                c.sendall(f'USER bob@{DOMAIN}\r\nPASS pw-bob\r\n'.encode())
                check(wait(lambda: b'Logged in' in c.recv(4096)), 'no login')
            new.append((c, name))
        i.run('stop')
        for c, name in new:
            said = b''
            while piece := c.recv(4096):
                said += piece
            want = {'i': b'* BYE [UNAVAILABLE] Server is', 'p': b'-ERR [SYS/TEMP] Server is', 's': b'421 4.3.2 '}[name[0]]
            check(said.startswith(want) and said.count(b'\n') == 1, f'{name}: {said}')


@test
def a_stop_is_quiet():
    with Instance() as i:
        i.run('stop')
        check('warning' not in i.log() and 'error' not in i.log(), i.log())


if __name__ == '__main__':
    main()
