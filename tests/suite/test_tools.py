#!/usr/bin/env python3
"""The operators' commands and sendmail(1), against the running suite."""
import json, re
from harness import *

EX_OK, EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_CANTCREAT, EX_TEMPFAIL, EX_CONFIG = 0, 64, 65, 67, 69, 73, 75, 78
ALICE, BOB = f'alice@{DOMAIN}', f'bob@{DOMAIN}'


def sendmail(i, *args, text='', code=EX_OK, **kw):
    r = i.tool('sendmail', *args, input=text.encode() if isinstance(text, str) else text, **kw)
    check(r.returncode == code, f'sendmail {args}: exit {r.returncode}, not {code}: {r.stderr.decode()}')
    return r


def only_mail(i, user, n=1):
    return open(i.wait_mails(user, n)[-1], 'rb').read()


@test
def sendmail_takes_recipients_from_the_header_and_hides_bcc():
    """row 144 of hostile input"""
    with Instance() as i:
        sendmail(i, '-t', text=f'From: x@y.example\nTo: Bob <{BOB}>\nBcc: {ALICE}\nSubject: t\n\nbody\n')
        for user in ('alice', 'bob'):
            got = only_mail(i, user)
            check(b'Bcc' not in got and b'Subject: t\n' in got and b'Message-ID:' in got and b'Date:' in got, got)
        check(b'userid 0' in got, got)


@test
def a_resent_message_goes_to_whom_it_is_resent():
    with Instance() as i:
        sendmail(i, '-t', text=f'Resent-To: {BOB}\nResent-Bcc: nobody@nowhere.example, {BOB}\nTo: {ALICE}\n\nbody\n')
        got = only_mail(i, 'bob')
        check(b'Resent-Bcc' not in got and f'To: {ALICE}'.encode() in got, got)
        time.sleep(0.3)
        check(not i.mails('alice'), 'the recipient of the original got it again')


@test
def dots_and_line_ends():
    with Instance() as i:
        sendmail(i, BOB, text='Subject: 1\n\none\n.\ntwo\n')
        check(only_mail(i, 'bob').endswith(b'\none\n'), 'a single dot did not end the message')
        sendmail(i, '-i', BOB, text='Subject: 2\r\n\r\none\r\n.\r\n..two')
        i.wait_mails('bob', 2)
        got = [open(f, 'rb').read() for f in i.mails('bob')]
        check(any(g.endswith(b'\none\n.\n..two\n') for g in got), got)


@test
def strange_messages():
    with Instance() as i:
        sendmail(i, BOB, text='')
        sendmail(i, BOB, text='no header at all\nbut a body\n')
        sendmail(i, BOB, text=b'Subject: long\n\n' + b'x' * 300000 + b'\n\0\xff\n')
        sendmail(i, BOB, text='From bob Sat Nov 21 20:04:40 2026\nSubject: mbox\n\nbody\n')
        i.wait_mails('bob', 4)
        got = [open(f, 'rb').read() for f in i.mails('bob')]
        check(any(b'\n\nno header at all\nbut a body\n' in g for g in got), got)
        check(any(b'x' * 300000 + b'\n\0\xff\n' in g for g in got), 'the long line was changed')
        check(not any(b'From bob' in g for g in got), 'the mbox line was kept')
        sendmail(i, BOB, text='X: ' + 'y' * 2000000 + '\n\nbody\n', code=EX_DATAERR)


@test
def refused_command_lines():
    with Instance() as i:
        for args in ((), ('-f', 'a\nb@c', BOB), ('--', '-oQ/tmp'), ('-Z', BOB), ('-N', 'sometimes', BOB), ('-bd',), ('-bv', BOB), ('-R', 'x', BOB),
                     ('-f', 'a b', BOB), ('not an address@@',)):
            sendmail(i, *args, text='Subject: x\n\nx\n', code=EX_USAGE)
        sendmail(i, '-C', '/nonexistent', BOB, text='x', code=EX_CONFIG)
        sendmail(i, '-t', text='Subject: nobody\n\nx\n', code=EX_DATAERR)
        sendmail(i, '-t', text=f'To: {BOB}\nCc: -oQ/tmp\n\nx\n', code=EX_DATAERR)
        time.sleep(0.3)
        check(not i.mails('bob') and len(i.queue()) <= 1, 'something was sent all the same')


@test
def every_command_tells_what_it_takes():
    top = subprocess.run([f'{BIN}/merpati', '--help'], stdout=subprocess.PIPE, text=True)
    names = re.findall(r'^  ([a-z-]+) ', top.stdout, re.M)
    check(top.returncode == 0 and len(names) >= 18, top.stdout)
    for name in names:
        r = subprocess.run([f'{BIN}/merpati', name, '--help'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           env=dict(os.environ, MERPATI_CONF='/nonexistent'))
        check(r.returncode == 0 and r.stdout.startswith('usage: merpati ') and f' {name} ' in r.stdout, f'{name}: {r.stdout}')


@test
def quickstart_tells_taken_ports_before_it_builds():
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../quickstart')
    with Instance() as i:
        def refused(code, *args):
            r = subprocess.run([script, '--no-install', '--dir', i.dir + '/other', *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            check(r.returncode == code and not r.stdout and not os.path.exists(i.dir + '/other'), f'{args}: {r}')
            return r.stderr
        check(f" {i.port('smtp')} " in refused(1, '--base-port', str(i.port('smtp') - 25)), 'the port is not named')
        for args in (('--base-port', 'x'), ('--base-port',), ('--what',)):
            refused(64, *args)


@test
def sendmail_in_bad_surroundings():
    with Instance() as i:
        before = set(i.queue())
        sh = f'exec {BIN}/sendmail -i {BOB}'
        for what, pre in (('closed descriptors', 'exec 0<&- 1>&- 2>&-;'), ('tiny files', 'ulimit -f 0;'), ('few descriptors', 'ulimit -n 3;'),
                          ('IFS and LD_*', 'export IFS=/ LD_LIBRARY_PATH=/tmp;')):
            subprocess.run(['bash', '-c', pre + sh], input=b'Subject: x\n\nx\n', env=dict(i.env, MERPATI_CONF=i.conf), timeout=20,
                           stderr=subprocess.DEVNULL)
        r = subprocess.run(['bash', '-c', f'{sh} </tmp'], env=dict(i.env, MERPATI_CONF=i.conf), timeout=20, stderr=subprocess.PIPE)
        check(r.returncode == 74, f'a directory as input: exit {r.returncode}')
        check(wait(lambda: set(i.queue()) == before, 5), 'a partial queue file was left')


@test
def an_ordinary_user_may_send_and_list():
    if os.getuid():
        raise Skip('not root')
    with Instance() as i:
        sendmail(i, '-f', '<>', '-F', 'A Name', BOB, text='Subject: u\n\nx\n', user=65534, group=65534, extra_groups=[])
        got = only_mail(i, 'bob')
        check(b'Return-Path: <>' in got and b'userid 65534' in got, got)
        sendmail(i, '-F', 'A Name', BOB, text='Subject: u2\n\nx\n', user=65534, group=65534, extra_groups=[])
        i.wait_mails('bob', 2)
        check(any(b'From: "A Name" <nobody' in open(f, 'rb').read() for f in i.mails('bob')), 'no From with the full name')
        r = i.tool('mailq', user=65534, group=65534, extra_groups=[])
        check(r.returncode == 0, r.stderr)


@test
def smtp_on_standard_input():
    with Instance() as i:
        r = sendmail(i, '-bs', text=f'EHLO x\r\nRCPT TO:<{BOB}>\r\nMAIL FROM:<a@b.example> SIZE=100\r\nRCPT TO:<{BOB}>\r\nRCPT TO:<-x>\r\n'
                     'DATA\r\nSubject: bs\r\n\r\n..dot\r\n.\r\nNONSENSE\r\nQUIT\r\n')
        codes = [l[:3] for l in r.stdout.decode().splitlines() if l[3:4] == ' ']
        check(codes == ['220', '250', '503', '250', '250', '501', '354', '250', '502', '221'], r.stdout.decode())
        check(only_mail(i, 'bob').endswith(b'\n\n.dot\n'), 'the dot was not taken away')
        sendmail(i, '-bs', text=f'EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\nDATA\r\nSubject: half\r\n')
        time.sleep(0.3)
        check(len(i.mails('bob')) == 1, 'half a message was sent')


@test
def the_queue_is_shown_and_flushed():
    main = 'transport_maps = inline:{ {dead.example = smtp:[127.0.0.1]:1} }\nrelay_domains = dead.example\n'
    with Instance(main=main) as i:
        check(b'Mail queue is empty' in i.tool('mailq').stdout, 'an empty queue')
        sendmail(i, '-f', 'me@x.example', 'you@dead.example', text='Subject: q\n\nsecret words\n')
        entry = wait(lambda: [e for e in map(json.loads, i.tool('postqueue', '-j').stdout.decode().splitlines())
                              if e['queue_name'] == 'deferred'])
        check(entry and entry[0]['sender'] == 'me@x.example', entry)
        check(entry[0]['recipients'][0]['address'] == 'you@dead.example' and entry[0]['recipients'][0]['delay_reason'], entry)
        qid = entry[0]['queue_id']
        text = i.tool('postqueue', '-p').stdout.decode()
        check(qid in text and 'you@dead.example' in text and 'in 1 Request' in text, text)
        check(i.run('queue', 'list').stdout == text, 'merpati queue list')
        status = json.loads(i.run('--json', 'status').stdout)
        check(status['queue']['messages'] == 1, status)
        cat = i.tool('postcat', '-q', qid).stdout.decode()
        check('sender: me@x.example' in cat and 'recipient: you@dead.example' in cat and 'secret words' in cat, cat)
        path = i.root + f'/spool/queue/{qid[8]}/{qid}'
        check(i.tool('postcat', input=open(path, 'rb').read()).stdout.decode().split('\n', 1)[1] == cat.split('\n', 1)[1], 'postcat of standard input')
        check('secret words' not in i.tool('postcat', '-h', '-q', qid).stdout.decode(), 'postcat -h shows the body')
        tries = i.log().count('status=deferred')
        for args in (('-f',), ('-i', qid), ('-s', 'dead.example')):
            r = i.tool('postqueue', *args)
            check(r.returncode == 0, r.stderr)
            check(wait(lambda: i.log().count('status=deferred') > tries, 10), f'postqueue {args} tried nothing')
            tries = i.log().count('status=deferred')
        check(i.tool('postqueue', '-i', '../../etc/passwd').returncode == EX_DATAERR, 'a bad id')


@test
def a_stopped_system():
    i = Instance()
    try:
        sendmail(i, BOB, text='x', code=EX_TEMPFAIL)
        check(i.run('status', ok=False).returncode == EX_UNAVAILABLE, 'status')
        check(i.run('reload', ok=False).returncode == EX_UNAVAILABLE, 'reload')
        check(i.run('stop').returncode == EX_OK, 'stop')
        check(i.tool('mailq').returncode == EX_UNAVAILABLE, 'mailq')
        check(i.run('init', i.root, '--domain', 'other.example', conf=False, ok=False).returncode == EX_CANTCREAT, 'init over an instance')
        check(DOMAIN in open(i.conf + '/main.cf').read(), 'init changed an instance')
        for args in (('init', '/tmp/x', '--domain', 'no domain'), ('init', '/tmp/x'), ('init', '/tmp/x', '--domain', 'x', '--base-port', '70000'),
                     ('frobnicate',), ('start', '--now')):
            check(i.run(*args, ok=False).returncode == EX_USAGE, args)
    finally:
        i.close()


@test
def users():
    i = Instance()
    try:
        check(i.run('user', 'list').stdout.split() == [ALICE, BOB], 'list')
        rows = [json.loads(l) for l in i.run('user', 'list', '--json').stdout.splitlines()]
        check(rows == [{'address': a, 'login': True} for a in (ALICE, BOB)], f'list --json: {rows}')
        check(i.run('user', 'add', BOB, input='x\n', ok=False).returncode == EX_CANTCREAT, 'add twice')
        for bad in ('bob', '@x', 'a b@x', '../x@y', 'a:b@x', '"q q"@x', '.x@y', 'x@' + 'y' * 300):
            check(i.run('user', 'add', bad, input='x\n', ok=False).returncode == EX_DATAERR, f'add {bad}')
        for bad in ('', '\n', 'x' * 300 + '\n'):
            check(i.run('user', 'add', f'new@{DOMAIN}', input=bad, ok=False).returncode == EX_DATAERR, f'password {bad!r}')
        i.run('user', 'add', f'New@{DOMAIN.upper()}', input='with:colon and blank \n')
        check(f'new@{DOMAIN}' in i.run('user', 'list').stdout, 'folded')
        check(i.run('user', 'del', f'nobody@{DOMAIN}', ok=False).returncode == EX_NOUSER, 'del')
        check(i.run('user', 'passwd', f'nobody@{DOMAIN}', input='x\n', ok=False).returncode == EX_NOUSER, 'passwd')
        i.run('user', 'del', f'new@{DOMAIN}')
        before = open(i.conf + '/users').read()
        with open(i.dir + '/bad', 'w') as f:
            f.write(f'a@{DOMAIN}:x\nnonsense\n')
        r = i.run('user', 'import', i.dir + '/bad', ok=False)
        check(r.returncode == EX_DATAERR and 'bad:2:' in r.stdout and open(i.conf + '/users').read() == before, r.stdout)
        head, *lines = i.run('user', 'export').stdout.splitlines()
        bob = next(l for l in lines if l.startswith(BOB))
        with open(i.dir + '/many', 'w') as f:
            f.write(head + '\n')
            f.writelines(bob.replace(BOB, f'u{n}@{DOMAIN}') + '\n' for n in range(1500))
        i.run('user', 'import', i.dir + '/many')        # whoever comes with mail to put there finds a place for each
        check(len([n for n in os.listdir(f'{i.root}/mail/{DOMAIN}') if re.fullmatch(r'u\d+', n)]) == 1500, 'directories of users who were imported are missing')
        with open(i.conf + '/users', 'w') as f:
            f.write(before)
        for name, mode in (('users', 0o600), ('secrets.cdb', 0o600), ('users.cdb', 0o644), ('tls/key.pem', 0o600)):
            check(os.stat(f'{i.conf}/{name}').st_mode & 0o777 == mode, name)
        with open(i.conf + '/users', 'a') as f:
            f.write('broken line\n')
        r = i.run('check', ok=False)
        check(r.returncode == EX_CONFIG and 'users:7:' in r.stdout, r.stdout)
        check(i.run('user', 'add', f'new@{DOMAIN}', input='x\n', ok=False).returncode == EX_CONFIG, 'a damaged table was rewritten')
    finally:
        i.close()


@test
def tables():
    i = Instance()
    try:
        path = i.dir + '/table'
        open(path, 'w').write('Key one,\n  two\nother x\n')
        check(i.tool('postmap', path).returncode == 0, 'postmap')
        r = i.tool('postmap', '-q', 'KEY', 'hash:' + path)
        check(r.returncode == 0 and r.stdout == b'one, two\n', r)
        check(i.tool('postmap', '-q', 'none', path).returncode == 1, 'an unknown key')
        check(i.tool('postmap', '-q', 'a', 'inline:{a=b}').stdout == b'b\n', 'inline')
        check(i.tool('postmap', '-q', '-', 'hash:' + path, input=b'other\nnone\n').stdout == b'other\tx\n', 'keys from standard input')
        check(i.tool('postmap', '-s', 'btree:' + path).stdout == i.tool('postmap', '-s', 'texthash:' + path).stdout != b'', 'entries')
        with open(i.dir + '/patterns', 'w') as f:
            f.write('/^(.*)@old/ $1@new\n')
        check(i.tool('postmap', '-q', 'Bob@old', f'pcre:{i.dir}/patterns').stdout == b'Bob@new\n', 'pcre')
        check(i.tool('postmap', '-q', 'Bob@old', f'pipemap:{{regexp:{i.dir}/patterns, inline:{{bob@new=x}}}}').stdout == b'x\n', 'pipemap')
        check(i.tool('postmap', '-s', f'pcre:{i.dir}/patterns').returncode == 64, 'patterns were listed')
        with open(i.dir + '/patterns', 'a') as f:
            f.write('/(/ x\n')
        i.configure(f'virtual_alias_maps = regexp:{i.dir}/patterns\n')
        r = i.run('check', ok=False)
        check(r.returncode == EX_CONFIG and f'{i.dir}/patterns:2: ' in r.stdout, r.stdout)
        i.configure('virtual_alias_maps =\n')
        open(path, 'w').write('ok x\nnovalue\n')
        r = i.tool('postmap', path)
        check(r.returncode == EX_DATAERR and b'table:2:' in r.stderr, r)
        check(i.tool('postmap', '-q', 'key', path).returncode == 0, 'a bad text replaced a good table')
        with open(i.conf + '/aliases', 'a') as f:
            f.write('ring: rang\nrang: rung, someone\nrung: ring\nself: self, other\n')
        r = i.run('check', ok=False)
        check(r.returncode == EX_CONFIG and 'loop' in r.stdout and 'self' not in r.stdout.replace('itself', ''), r.stdout)
        check(i.tool('newaliases').returncode == 0, 'newaliases')
        check(i.tool('postalias', '-q', 'ring', i.conf + '/aliases').stdout == b'rang\n', 'postalias -q')
    finally:
        i.close()


@test
def parameters():
    i = Instance()
    try:
        check(i.tool('postconf', '-h', 'mydomain').stdout.decode() == DOMAIN + '\n', 'postconf -h')
        check(i.tool('postconf', '-d', 'mydomain').stdout == b'mydomain = localdomain\n', 'postconf -d')
        check(i.tool('postconf', '-x', 'smtpd_banner').stdout.decode() == f'smtpd_banner = mail.{DOMAIN} ESMTP Merpati\n', 'postconf -x')
        check(b'relayhost' not in i.tool('postconf', '-n').stdout, 'postconf -n')
        r = i.tool('postconf', 'relayhst')
        check(r.returncode == 0 and b'warning' in r.stderr and b'relayhost' in r.stderr, r)
        i.tool('postconf', '-e', 'relayhost = [a.example]', 'mydomain=x.example')
        check(b'relayhost = [a.example]\n' in i.tool('postconf', '-n').stdout, 'postconf -e')
        check(open(i.conf + '/main.cf').read().count('\nmydomain = ') == 1, 'postconf -e added instead of replaced')
        i.run('check')
    finally:
        i.close()


MASTER = """# all
smtp      inet  n       -       -       -       -       smtpd
submission inet n       -       -       -       -       smtpd
  -o syslog_name=postfix/submission
#  -o commented=yes
  -o { smtpd_x = a b }
cleanup   unix  n       -       -       -       0       cleanup
"""
SHOWN = 'submission inet  n       -       -       -       -       smtpd -o syslog_name=postfix/submission -o {smtpd_x = a b}\n'
MASTER_CF = [       # arguments, exit status, output, what stands in master.cf afterwards
    (['-M', 'submission/inet'], 0, SHOWN, MASTER),
    (['-M', 'submission'], 0, SHOWN, None),
    (['-Mf', 'submission/inet'], 0, 'submission inet  n       -       -       -       -       smtpd\n    -o syslog_name=postfix/submission\n    -o {smtpd_x = a b}\n', None),
    (['-M', 'nosuch/inet'], 0, '', None),
    (['-P', 'submission/inet'], 0, 'submission/inet/syslog_name = postfix/submission\nsubmission/inet/smtpd_x = a b\n', None),
    (['-P', '*/inet/syslog_name'], 0, 'submission/inet/syslog_name = postfix/submission\n', None),
    (['-F', 'smtp/inet/command'], 0, 'smtp/inet/command = smtpd\n', None),
    (['-F', 'cleanup/unix/process_limit'], 0, 'cleanup/unix/process_limit = 0\n', MASTER),
    (['-P', 'submission/inet/smtpd_tls_security_level=encrypt'], 0, '', '    -o {smtpd_x = a b}\n    -o smtpd_tls_security_level=encrypt\n'),
    (['-Pe', 'smtp/inet/a=1', 'smtp/inet/a=2'], 0, '', 'smtp       inet  n       -       -       -       -       smtpd\n    -o a=2\n'),
    (['-PX', 'smtp/inet/a'], 0, '', 'smtpd\nsubmission'),
    (['-Fe', 'smtp/inet/maxproc=10'], 0, '', 'smtp       inet  n       -       -       -       10      smtpd\n'),
    (['-F', 'smtp/inet/command=smtpd -o x=y'], 0, '', '10      smtpd\n    -o x=y\n'),
    (['-Me', 'submissions/inet=submissions inet n - - - - smtpd -o smtpd_tls_wrappermode=yes'], 0, '',
     '0       cleanup\nsubmissions inet  n       -       -       -       -       smtpd\n    -o smtpd_tls_wrappermode=yes\n'),
    (['-M#', 'submissions/inet'], 0, '', '#submissions inet'),
    (['-MX', 'cleanup/unix'], 0, '', lambda t: 'cleanup' not in t and t.startswith('# all\n')),
    (['-MX', 'cleanup/unix'], EX_DATAERR, '', None),
    (['-Me', 'smtp/inet=smtp inet n'], EX_USAGE, '', None),
    (['-Me', 'smtp/inet=other inet n - - - - smtpd'], EX_USAGE, '', None),
    (['-Fe', 'smtp/inet/nosuch=1'], EX_USAGE, '', None),
    (['-P', 'smtp/inet=1'], EX_USAGE, '', None),
]


@test
def master_cf_and_main_cf_as_scripts_change_them():
    i = Instance(users=())
    try:
        path = i.conf + '/master.cf'
        open(path, 'w').write(MASTER)
        for args, status, out, text in MASTER_CF:
            before = open(path).read()
            r = i.tool('postconf', *args)
            check(r.returncode == status and r.stdout.decode() == out, f'{args}: {r}')
            now = open(path).read()
            check(now == before if text is None or status else text(now) if callable(text) else text in now, f'{args}: {now}')
        main = open(i.conf + '/main.cf').read()
        i.tool('postconf', 'relayhost=[a.example]', 'smtp_tls_security_level = encrypt')
        check(i.tool('postconf', '-h', 'relayhost').stdout == b'[a.example]\n', 'name=value without -e')
        i.tool('postconf', '-#', 'relayhost')
        check('\n#relayhost = [a.example]\n' in open(i.conf + '/main.cf').read(), '-#')
        i.tool('postconf', '-X', 'smtp_tls_security_level')
        check(open(i.conf + '/main.cf').read() == main + '#relayhost = [a.example]\n', '-X')
        check(i.tool('postconf', '-o', 'relayhost=x', '-h', 'relayhost').stdout == b'x\n', '-o')
        check(b'pcre\n' in i.tool('postconf', '-m').stdout, '-m')
        i.configure('my_nets = 10.0.0.0/8\nmynetworks = $my_nets\n')
        open(i.conf + '/words', 'w').write('failure_template = <<EOF\nSubject: From $myhostname\n\nNo, says $mail_name.\nEOF\n')
        open(i.conf + '/wrong', 'w').write('failure_template = <<EOF\nSubject: x\n\n')
        for args, status, out in [
                (('-h', 'mail_version'), 0, re.search(r"VERSION (\S+) LANG", open(TOP + "/CMakeLists.txt").read())[1] + '\n'), (('-nC', 'user'), 0, 'my_nets = 10.0.0.0/8\n'), (('-HC', 'user'), 0, 'my_nets\n'), (('-C', 'service'), 0, ''),
                (('-xh', 'mynetworks'), 0, '10.0.0.0/8\n'), (('-H', 'mynetworks'), 0, 'mynetworks\n'), (('-C', 'odd'), EX_USAGE, ''),
                (('-a',), 0, 'cyrus\n'), (('-A',), 0, 'cyrus\n'), (('-l',), 0, 'dotlock\nfcntl\n'),
                (('-b', i.conf + '/words'), 0, None), (('-b', i.conf + '/wrong'), 78, ''), (('-b',), 78, '')]:
            r = i.tool('postconf', *args)
            check(r.returncode == status and out in (None, r.stdout.decode()), f'postconf {args}: {r}')
            check(out is not None or b'\nSubject: From mail.example.test\nPostmaster-Subject: From mail.example.test\n\nNo, says Merpati.\n' in r.stdout, f'postconf {args}: {r}')
        check(i.tool('postconf', '-H').stdout.decode().split()[-1] == 'my_nets', 'what main.cf sets for itself')
        check(i.tool('postconf', '-e', 'no value').returncode == EX_USAGE, '-e without =')
    finally:
        i.close()


@test
def an_index_is_dropped_by_its_owner():
    with Instance() as i:
        sendmail(i, BOB, text='Subject: x\n\nx\n')
        i.wait_mails('bob', 1)
        i.run('index', 'rebuild', BOB)
        i.run('index', 'drop', BOB)
        check(i.run('index', 'drop', f'nobody@{DOMAIN}', ok=False).returncode == EX_NOUSER, 'an unknown user')
        owners = {os.stat(p).st_uid for p in glob.glob(i.maildir('bob') + '/**', recursive=True)}
        check(len(owners) == 1, f'files of several owners: {owners}')
        check(len(i.mails('bob')) == 1, 'the mail is gone')


main()
