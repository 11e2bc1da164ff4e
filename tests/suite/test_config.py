#!/usr/bin/env python3
"""Twenty kinds of mistake in the configuration: all told in one run, with file, line and what to do."""
import json, re
from harness import *

MAIN = [        # (line of main.cf, words that the complaint must have)
    ('smtpd_timout = 5m', ['smtpd_timout', 'smtpd_timeout']),
    ('relayhost = [mx.far.test]:99999', ['relayhost', '1 to 65535']),
    ('smtp_fallback_relay = [mx.far.test', ['smtp_fallback_relay', '[host]']),
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
def who_runs_programs_of_mail_is_told_before_it_bites():
    if os.getuid():
        raise Skip('one user runs all')
    i = Instance(users=(), main='allow_mail_to_commands = alias\n')
    try:
        check(i.run('check').returncode == 0, 'nobody may')
        with open(i.conf + '/master.cf', 'r+') as f:
            lines = f.readlines()
            f.seek(0)
            f.writelines(l for l in lines if not l.startswith('pipe '))
            f.truncate()
        r = i.run('check', ok=False)
        check(r.returncode == 78 and 'add: pipe unix - - - - - pipe' in r.stdout, r.stdout)
        with open(i.conf + '/master.cf', 'w') as f:
            f.writelines(lines)
        for user, word in ('nosuchuser', 'no system user'), ('root', 'no program'), ('merpati-smtpd', 'no program'):
            line = f'default_privs = {user}'
            i.configure(line + '\n')
            r = i.run('check', ok=False)
            check(r.returncode == 78 and f'main.cf:{line_of(i.conf + "/main.cf", line)}' in r.stdout and word in r.stdout, f'{user}: {r.stdout}')
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
            send_signal(p, signal.SIGKILL)
        at = time.monotonic()
        check(i.tells('keeps failing'), 'the log does not say so')
        check(wait(lambda: i.log().count('ended with status 1') >= 4), 'it is not started again')
        n, secs = i.log().count('ended with status 1'), time.monotonic() - at
        check(n < 4 + 3 * secs, f'{n} starts in {secs:.1f} s')
        with i.connect('imap') as s:
            check(s.recv(100).startswith(b'* OK'), 'the others go on')
    finally:
        i.close()


# what the most common Postfix configurations set
CENSUS = '''
myhostname myorigin mydestination mynetworks inet_interfaces inet_protocols smtpd_banner compatibility_level
readme_directory syslog_name message_size_limit mailbox_size_limit delay_warning_time alias_maps alias_database
virtual_alias_maps virtual_mailbox_domains virtual_mailbox_maps virtual_transport local_recipient_maps relay_domains
relayhost transport_maps recipient_delimiter append_dot_mydomain biff smtpd_relay_restrictions
smtpd_recipient_restrictions smtpd_sender_restrictions smtpd_client_restrictions smtpd_helo_restrictions
smtpd_data_restrictions smtpd_delay_reject smtpd_helo_required disable_vrfy_command smtpd_sender_login_maps
smtpd_reject_unlisted_recipient smtpd_milters non_smtpd_milters milter_default_action milter_protocol
milter_mail_macros milter_macro_daemon_name header_checks smtp_header_checks cleanup_service_name
smtpd_tls_security_level smtpd_tls_cert_file smtpd_tls_key_file smtpd_tls_auth_only smtpd_tls_wrappermode
smtpd_tls_protocols smtpd_tls_mandatory_protocols smtpd_tls_mandatory_ciphers smtpd_tls_exclude_ciphers
tls_preempt_cipherlist smtpd_tls_dh1024_param_file smtpd_tls_loglevel smtpd_tls_received_header smtpd_use_tls
smtp_tls_note_starttls_offer smtp_tls_security_level smtp_dns_support_level smtp_tls_protocols
smtp_tls_mandatory_protocols smtp_tls_loglevel smtp_tls_session_cache_database smtpd_sasl_auth_enable smtpd_sasl_type
smtpd_sasl_path smtpd_sasl_security_options broken_sasl_auth_clients smtp_sasl_auth_enable smtp_sasl_password_maps
smtp_sasl_security_options
'''.split()
POSTFIX_MAIN = '''# a comment
myhostname = mx.example.org
smtpd_use_tls = yes
virtual_alias_maps = proxy:lmdb:/etc/postfix/virtual,
# in between
    hash:/etc/postfix/more
virtual_mailbox_domains = mysql:/etc/postfix/domains.cf
smtpd_milters = inet:localhost:11332
biff = no
message_size_limit = 0
office = 10.0.0.0/8
mynetworks = 127.0.0.0/8 $office
mynetworks_too = x
maximal_queue_lifetime = soon
smtpd_helo_restrictions = permit_mynetworks, reject_nonsense
inet_interfaces = all
inet_interfaces = 127.0.0.1
transport_maps = inline:{ {a.test = slow:}, {b.test = maildrop:x} }
'''
POSTFIX_MASTER = '''smtp inet n - y - - smtpd
submission inet n - y - - smtpd
  -o syslog_name=postfix/submission
  -o { smtpd_relay_restrictions = permit_sasl_authenticated, reject }
  -o smtpd_milters=inet:localhost:1
pickup unix n - y 60 1 pickup
slow unix - - y - 2 smtp
maildrop unix - n n - - pipe
  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}
'''


@test
def a_postfix_configuration_is_taken_over_line_by_line():
    d = tempfile.mkdtemp(prefix='merpati-pf-', dir='/tmp')

    def run(main, master, *args):
        for name, text in (('main.cf', main), ('master.cf', master)):
            with open(f'{d}/{name}', 'w') as f:
                f.write(text)
        return subprocess.run([BIN + '/merpati', *args, 'import-config', 'postfix', d], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        r = run(POSTFIX_MAIN, POSTFIX_MASTER)
        check(r.returncode == 65 and '6 not honoured' in r.stderr, r.stderr)
        for want in ('main.cf:2: honoured: myhostname\nmyhostname = mx.example.org\n', 'main.cf:3: translated: smtpd_use_tls', '\nsmtpd_tls_security_level = may\n',
                     'main.cf:4: translated: virtual_alias_maps\nvirtual_alias_maps = hash:/etc/postfix/virtual, hash:/etc/postfix/more\n',
                     'main.cf:7: NOT honoured: virtual_mailbox_domains: "mysql:', 'main.cf:8: honoured: smtpd_milters', 'main.cf:9: ignored: biff',
                     'main.cf:10: translated: message_size_limit', 'main.cf:11: honoured: office: a name of your own\noffice = 10.0.0.0/8\n',
                     'main.cf:13: NOT honoured: mynetworks_too', 'main.cf:14: NOT honoured: maximal_queue_lifetime: "soon" is not a time',
                     'main.cf:15: NOT honoured: smtpd_helo_restrictions', 'main.cf:16: ignored: inet_interfaces: a later line', 'main.cf:17: honoured: inet_interfaces',
                     'master.cf:1: honoured: smtp/inet', '(-o smtpd_relay_restrictions=permit_sasl_authenticated, reject)', '(-o smtpd_milters=inet:localhost:1)',
                     'master.cf:6: ignored: pickup/unix', 'master.cf:7: NOT honoured: slow/unix', 'master.cf:8: NOT honoured: maildrop/unix: no program'):
            check(want in r.stdout, f'no "{want}" in\n{r.stdout}')
        # what comes out is a main.cf that has no mistake
        i = Instance()
        try:
            r = run('myhostname = mx.example.org\nmaximal_queue_lifetime = 3d\nsmtpd_use_tls = yes\nbiff = no\n', 'smtp inet n - y - - smtpd\n')
            check(r.returncode == 0, r.stdout + r.stderr)
            with open(i.conf + '/main.cf', 'a') as f:
                f.write(r.stdout)
            i.run('check')
        finally:
            i.close()
        # what a plain Debian has, and what Postfix's own samples do: nothing is lost
        open(d + '/ca-certificates.crt', 'w').close()
        r = run(f'compatibility_level = 3.6\nsmtp_tls_CApath={d}\nsmtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination\n'
                'mynetworks = !10.1.9.0/24 10.1.0.0/16\nmailbox_size_limit = 51200000\nvirtual_mailbox_limit = 51200000\nmailbox_command =\ncontent_filter =\nmynetworks_style = host\ndisable_dns_lookups = yes\n'
                'mydestination =\nlocal_recipient_maps =\nlocal_transport = error:5.1.1 nobody\naddress_verify_map = btree:/x\nrelay_transport = relay\n'
                'unknown_local_recipient_reject_code = 550\nsmtpd_timeout = ${stress?{10}:{300}}s\nmua_client_restrictions = permit_sasl_authenticated, reject\n'
                'mua_unused = reject\n',
                'verify unix - - y - 1 verify\nuucp unix - n n - - pipe\n  flags=Fqhu user=uucp argv=uux\nsubmission inet n - y - - smtpd\n'
                '  -o smtpd_client_restrictions=$mua_client_restrictions\n')
        check(r.returncode == 65 and '1 not honoured' in r.stderr and 'NOT honoured: mua_unused' in r.stdout, r.stdout + r.stderr)
        for want in f'smtp_tls_CAfile = {d}/ca-certificates.crt', 'smtp_dns_lookups = no', 'mua_client_restrictions = permit', 'mynetworks = !10.1.9.0/24 10.1.0.0/16':
            check('\n' + want in r.stdout, f'no "{want}" in\n{r.stdout}')
        # mailboxes that another server has
        for value, out in (('lmtp:unix:private/dovecot-lmtp', 'lmtp:unix:dovecot-lmtp'), ('lmtp:unix:/run/x/lmtp', 'lmtp:unix:lmtp'), ('lmtp:inet:127.0.0.1:24', 'lmtp:inet:127.0.0.1:24'),
                           ('lmtp:127.0.0.1:24', 'lmtp:[127.0.0.1]:24'), ('lmtp:[10.0.0.1]:24', 'lmtp:[10.0.0.1]:24'), ('virtual', 'virtual'), ('error:5.1.1 no', 'error:5.1.1 no')):
            r = run(f'virtual_transport = {value}\nmailbox_transport = {value}\n', '')
            check(r.returncode == 0 and f'\nvirtual_transport = {out}\n' in r.stdout and f'\nmailbox_transport = {out}\n' in r.stdout, r.stdout + r.stderr)
        r = run('virtual_transport = dovecot\n', 'dovecot unix - n n - - pipe\n  flags=DRhu user=vmail argv=/usr/lib/dovecot/deliver\n')
        check(r.returncode == 65 and 'main.cf:1: NOT honoured: virtual_transport: no program of master.cf is a transport' in r.stdout, r.stdout)
        # mailboxes, and whose they are
        open(d + '/boxes', 'w').write('ann@x.test x.test/ann/\n')
        r = run(f'virtual_mailbox_maps = proxy:hash:{d}/boxes\nvirtual_uid_maps = static:{os.getuid() or 1}\nvirtual_gid_maps = static:1\n', '')
        check(r.returncode == 0 and f'\nvirtual_mailbox_maps = hash:{d}/boxes\n' in r.stdout and '\nvirtual_mail_user = ' in r.stdout, r.stdout)
        one = os.getuid() or 1
        for text, gone, lost in ((f'ann@x.test {one}\n@x.test {one}\n', True, 0), ('ann@x.test 5001\nbob@x.test 5002\ncid@x.test 5002\n', False, 0), ('ann@x.test 4111111\n', False, 0),
                                 ('ann@x.test mail\n', False, 2), ('ann@x.test 0\n', False, 2), ('ann@x.test 1\nbob@x.test 2\ncid@x.test x\n', False, 2)):
            open(d + '/owners', 'w').write(text)
            r = run(f'virtual_uid_maps = proxy:hash:{d}/owners\nvirtual_gid_maps = hash:{d}/owners\nvirtual_minimum_uid = 500\n', '')
            check(('\nvirtual_mail_user = ' in r.stdout) == gone and r.stdout.count('NOT honoured: virtual_') == lost and '\nvirtual_minimum_uid = 500\n' in r.stdout and
                  (f'\nvirtual_uid_maps = hash:{d}/owners\n' in r.stdout) == (f'\nvirtual_gid_maps = hash:{d}/owners\n' in r.stdout) == (not gone and not lost), f'{text}: {r.stdout}')
        r = run('virtual_uid_maps = static:4111111\nvirtual_gid_maps = static:8\n', '')
        check(r.returncode == 0 and '\nvirtual_uid_maps = static:4111111\n' in r.stdout and '\nvirtual_gid_maps = static:8\n' in r.stdout, r.stdout)
        r = run(f'virtual_gid_maps = hash:{d}/owners\nvirtual_uid_maps = regexp:{d}/owners\n', '')
        check(r.stdout.count('NOT honoured: virtual_') == 2, r.stdout)
        open(d + '/boxes', 'a').write('bob@x.test OK\n')
        r = run(f'virtual_mailbox_maps = hash:{d}/boxes\nvirtual_uid_maps = hash:/x\n', '')
        check(f'1 of 2 values are no Maildir (DIR/) below virtual_mailbox_base ({d}/boxes:2: bob@x.test has "OK")' in r.stdout and
              '\nvirtual_mailbox_maps =' not in r.stdout and '\nvirtual_uid_maps = hash:/x\n' in r.stdout, r.stdout)
        rows = [json.loads(l) for l in run(''.join(f'{n} = x\n' for n in CENSUS), '', '--json').stdout.splitlines()]
        check([r['name'] for r in rows] == CENSUS, 'a line without a verdict')
        unknown = [r['name'] for r in rows if 'there is no such parameter here' in r.get('why', '')]
        check(not unknown, f'not known: {unknown}')
        for main, master in ((None, ''), ('', None)):
            for name in ('main.cf', 'master.cf'):
                if os.path.exists(f'{d}/{name}'):
                    os.unlink(f'{d}/{name}')
            check(subprocess.run([BIN + '/merpati', 'import-config', 'postfix', d], stderr=subprocess.DEVNULL).returncode == 66, 'no file')
    finally:
        shutil.rmtree(d)


main()
