#!/usr/bin/env python3
"""Twenty kinds of mistake in the configuration: all told in one run, with file, line and what to do."""
import re
from harness import *

MAIN = [        # (line of main.cf, words that the complaint must have)
    ('smtpd_timout = 5m', ['smtpd_timout', 'smtpd_timeout']),
    ('smtpd_helo_required = maybe', ['smtpd_helo_required', 'yes', 'no']),
    ('smtpd_recipient_limit = many', ['smtpd_recipient_limit', 'number']),
    ('smtpd_hard_error_limit = 0', ['smtpd_hard_error_limit', 'between']),
    ('minimal_backoff_time = 5x', ['minimal_backoff_time', 'time']),
    ('bounce_size_limit = huge', ['bounce_size_limit', 'size']),
    ('log_format = xml', ['log_format', 'text', 'json']),
    ('mydomain = $nosuchname', ['nosuchname']),
    ('mail_name = ${mail_name}', ['mail_name', 'circle']),
    ('this line has no sign', ['=']),
    ('relay_recipient_maps = hash:$config_directory/nosuchmap', ['nosuchmap', 'postmap']),
    ('transport_maps = foo:/bar', ['foo', 'transport_maps']),
    ('virtual_alias_maps = inline:{ broken', ['virtual_alias_maps']),
    ('smtpd_relay_restrictions = permit_mynetwork, reject', ['permit_mynetwork', 'permit_mynetworks']),
    ('mynetworks = 127.0.0.0/99', ['mynetworks', '127.0.0.0/99']),
    ('Bad-Name = x', ['Bad-Name']),
]
MASTER = [
    ('99999 inet n - - - - smtpd', ['99999']),
    ('smtps2 inet n - - - - smtpd', ['smtps2']),
    ('2525 inet n - - - - smtpdd', ['smtpdd']),
    ('2526 inet n - - - 5-2 smtpd', ['5-2']),
    ('2527 inet n - - - - smtpd -o smtpd_tls_wrapermode=yes', ['smtpd_tls_wrapermode', 'smtpd_tls_wrappermode']),
    ('2528 inet n - n - - smtpd', ['chroot']),
    ('2529 inet n - -', ['columns']),
    ('2530 fifo n - - - - smtpd', ['fifo']),
]


def line_of(path, text):
    for n, l in enumerate(open(path), 1):
        if l.rstrip('\n') == text:
            return n


@test
def every_mistake_is_told_in_one_run():
    i = Instance()
    try:
        i.configure(''.join(l + '\n' for l, _ in MAIN))
        with open(i.conf + '/master.cf', 'a') as f:
            f.write(''.join(l + '\n' for l, _ in MASTER))
        r = i.run('check', ok=False)
        check(r.returncode == 78, f'exit {r.returncode}, not EX_CONFIG')
        out = r.stdout.splitlines()
        for file, rows in (('main.cf', MAIN), ('master.cf', MASTER)):
            for text, words in rows:
                n = line_of(f'{i.conf}/{file}', text)
                mine = ' '.join(l for l in out if re.search(rf'{file}:{n}\b', l))
                check(mine, f'nothing is said of {file}:{n}: {text}\n' + r.stdout)
                for w in words:
                    check(w in mine, f'{file}:{n}: {text}: {w!r} is not in {mine!r}')
        r = i.run('start', ok=False)
        check(r.returncode == 78 and 'smtpd_timeout' in r.stdout, f'start with mistakes: exit {r.returncode} {r.stdout}')
    finally:
        i.close()


@test
def a_right_configuration_is_silent():
    i = Instance()
    try:
        r = i.run('check')
        check('error' not in r.stdout and 'warning' not in r.stdout, r.stdout)
    finally:
        i.close()


@test
def certificate_and_key_must_fit():
    i = Instance()
    try:
        key = i.conf + '/tls/key.pem'
        subprocess.run(['openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key], check=True, stderr=subprocess.DEVNULL)
        r = i.run('check', ok=False)
        check(r.returncode == 78 and 'key.pem' in r.stdout, r.stdout)
    finally:
        i.close()


@test
def reload_refuses_a_bad_configuration_and_keeps_the_sessions():
    with Instance() as i:
        s = i.connect('smtp')
        f = s.makefile('rwb', 0)
        f.readline()
        good = open(i.conf + '/main.cf').read()
        i.configure('message_size_limit = lots\n')
        r = i.run('reload', ok=False)
        check(r.returncode == 78 and 'message_size_limit' in r.stdout, f'exit {r.returncode} {r.stdout}')
        f.write(b'NOOP\r\n')
        check(f.readline().startswith(b'250'), 'the session is gone after a refused reload')
        open(i.conf + '/main.cf', 'w').write(good + 'smtpd_banner = $myhostname ESMTP reloaded\n')
        i.run('reload')
        f.write(b'NOOP\r\n')
        check(f.readline().startswith(b'250'), 'the session is gone after a reload')

        def banner():
            with i.connect('smtp') as n:
                return b'reloaded' in n.recv(1000)
        check(wait(banner, 5), 'the new banner is not shown')
        f.write(b'QUIT\r\n')
        check(f.readline().startswith(b'221'), 'the old session cannot end')


@test
def a_second_master_is_refused():
    with Instance() as i:
        r = i.run('start', ok=False)
        check(r.returncode != 0 and 'already' in r.stdout, f'exit {r.returncode} {r.stdout}')
        r = subprocess.run([f'{BUILD}/libexec/merpati/master', '-c', i.conf], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
        check(r.returncode == 78 and 'already serves' in r.stdout, f'exit {r.returncode} {r.stdout}')


@test
def a_port_in_use_is_told():
    import socket
    i = Instance()
    try:
        with socket.create_server(('127.0.0.1', i.port('imap'))):
            r = i.run('start', ok=False)
            check(r.returncode and str(i.port('imap')) in r.stdout and 'master.cf:' in r.stdout, f'exit {r.returncode} {r.stdout}')
    finally:
        i.close()


@test
def users_come_and_go_without_reload():
    import smtplib
    with Instance() as i:
        def rcpt(a):
            with smtplib.SMTP('127.0.0.1', i.port('smtp')) as s:
                s.ehlo()
                s.mail('x@y.example')
                return s.rcpt(a)[0]
        new = 'zoe@' + DOMAIN
        check(rcpt(new) == 550, 'an unknown user is taken')
        long = smtplib.SMTP('127.0.0.1', i.port('smtp'))        # one session, from before the change
        long.ehlo()

        def again():
            long.rset()
            long.mail('x@y.example')
            return long.rcpt(new)[0]
        check(again() == 550, 'an unknown user is taken')
        i.run('user', 'add', new, input='secret-zoe\n')
        check(wait(lambda: rcpt(new) == 250, 3), 'the new user is refused')
        check(again() == 250, 'the new user is refused in a session that was there before')
        long.close()
        check(new in i.run('user', 'list').stdout, 'user list')

        def login(pw):
            with smtplib.SMTP_SSL('127.0.0.1', i.port('submissions'), context=i.tls()) as s:
                try:
                    return s.login(new, pw)[0] == 235
                except smtplib.SMTPAuthenticationError:
                    return False
        check(login('secret-zoe'), 'the new user cannot log in')
        i.run('user', 'passwd', new, input='other\n')
        check(not login('secret-zoe') and login('other'), 'the old password still works, or the new one does not')
        i.run('user', 'del', new)
        check(not login('other'), 'a deleted user can log in')
        check(wait(lambda: rcpt(new) == 550, 3), 'a deleted user gets mail')


@test
def a_daemon_that_keeps_dying_is_started_ever_more_slowly():
    i = Instance()
    own = i.dir + '/libexec'
    os.mkdir(own)
    for n in os.listdir(BUILD + '/libexec/merpati'):
        os.symlink(f'{BUILD}/libexec/merpati/{n}', f'{own}/{n}')
    i.configure(f'daemon_directory = {own}\n')
    try:
        i.start()
        os.unlink(own + '/pop3d')
        os.symlink('/bin/false', own + '/pop3d')
        for p in [p for p, n in i.processes().items() if n == 'pop3d']:
            os.kill(p, signal.SIGKILL)
        time.sleep(4)
        n = i.log().count('pop3d[') and sum('ended with status 1' in l for l in i.log().splitlines())
        check(2 <= n <= 12, f'{n} starts in 4 s')
        check('keeps failing' in i.log(), 'the log does not say so')
        with i.connect('imap') as s:
            check(s.recv(100).startswith(b'* OK'), 'the others go on')
    finally:
        i.close()


main()
