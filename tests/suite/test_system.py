#!/usr/bin/env python3
"""Users of the system, installation to a prefix, a log in JSON. (release build only)"""
import json, os, re, shutil, smtplib, subprocess
from harness import *


@test
def a_system_user_gets_mail_as_himself_and_aliases_work():
    with system_user() as pw:
        name, home = pw.pw_name, pw.pw_dir
        i = Instance()
        try:
            with open(i.conf + '/aliases', 'a') as f:
                f.write(f'office: {name}, bob@{DOMAIN}\npostmaster: {name}\n')
            i.start()
            with smtplib.SMTP('127.0.0.1', i.port('smtp')) as s:
                s.sendmail('x@y.example', [name + '@localhost'], 'Subject: direct\r\n\r\nx\r\n')
                s.sendmail('x@y.example', ['office@localhost'], 'Subject: alias\r\n\r\nx\r\n')
                s.ehlo()
                s.mail('x@y.example')
                check(s.rcpt('nosuchuser@localhost')[0] == 550, 'an unknown system user is taken')
                check(s.rcpt('root@localhost')[0] in (250, 550), 'root')
            got = wait(lambda: len(glob.glob(home + '/Maildir/new/*')) == 2 and glob.glob(home + '/Maildir/new/*'), 15)
            check(got, f'{name} has {glob.glob(home + "/Maildir/new/*")}')
            for p in got:
                check(os.stat(p).st_uid == pw.pw_uid, f'{p} belongs to {os.stat(p).st_uid}')
            i.wait_mails('bob', 1)
        except BaseException:
            print(''.join('# ' + l + '\n' for l in i.log().splitlines()[-15:]))
            raise
        finally:
            i.close()


@test
def a_system_user_forwards_and_keeps_an_mbox():
    """rows 143, 162, 163, 168 of hostile input: .forward and mbox, as that user only, never through a link"""
    with system_user() as pw:
        name, home = pw.pw_name, pw.pw_dir

        def put(file, text, mode=0o644, uid=pw.pw_uid):
            path = home + '/' + file
            if os.path.lexists(path):
                os.unlink(path)
            with open(path, 'wb') as f:
                f.write(text if isinstance(text, bytes) else text.encode())
            os.chmod(path, mode)
            os.chown(path, uid, -1)
            return path
        with Instance(main='recipient_delimiter = +\nmynetworks = 10.0.0.0/8\n') as i:
            smtp = smtplib.SMTP('127.0.0.1', i.port('smtp'))
            kept = lambda: len(glob.glob(home + '/Maildir/new/*'))

            def send(subject, ext='', text='x'):
                smtp.sendmail('x@y.example', [f'{name}{ext}@localhost'], f'Subject: {subject}\r\n\r\n{text}\r\n')
            put('.forward', f'# away\n\\{name}, bob@{DOMAIN}\n')
            send('both')
            i.wait_mails('bob', 1)
            got = open(i.mails('bob')[0]).read()
            check('Return-Path: <x@y.example>' in got and f'Delivered-To: {name}@localhost' in got, got)
            check(kept() == 1, 'no copy was kept')
            put('.forward', f'bob@{DOMAIN}\n')
            put('.forward+list', f'alice@{DOMAIN}\n')
            send('away')
            send('list', '+list')
            i.wait_mails('bob', 2)
            i.wait_mails('alice', 1)
            check(kept() == 1, 'a copy was kept')
            put('.forward', f'{name}@localhost\n')          # to himself: ends
            send('loop')
            check(wait(lambda: 'mail forwarding loop for ' + name in i.log()), 'the loop goes on')
            # what may not be used leaves the mail in the mailbox
            put('evil', f'bob@{DOMAIN}\n', uid=0)
            bad = [lambda: put('.forward', '"|sh -c $X"\n'), lambda: put('.forward', '/etc/cron.d/x\n'), lambda: put('.forward', ':include:/etc/passwd\n'),
                   lambda: put('.forward', b'bob@' + DOMAIN.encode() + b'\n\0\xff'), lambda: put('.forward', 'x@y.example\n' * 100000),
                   lambda: put('.forward', f'bob@{DOMAIN}\n', uid=65534), lambda: put('.forward', f'bob@{DOMAIN}\n', 0o664),
                   lambda: os.mkfifo(home + '/.forward'), lambda: os.symlink('evil', home + '/.forward'), lambda: os.link(home + '/evil', home + '/.forward'),
                   lambda: put('.forward', b'\xff\xfe\n'), lambda: put('.forward', '')]
            for n, make in enumerate(bad):
                if os.path.lexists(home + '/.forward'):
                    os.unlink(home + '/.forward')
                make()
                send(f'bad {n}')
                check(wait(lambda: kept() == 2 + n, 5), f'.forward {n}: not in the mailbox')
            check(len(i.mails('bob')) == 2, 'an unsafe .forward was followed')
            check(i.tells('.forward is not used: ', len(bad) - 1), 'the log does not tell')
            os.unlink(home + '/.forward')
            # mbox
            with open(i.conf + '/main.cf', 'a') as f:
                f.write('home_mailbox = mbox\nmailbox_size_limit = 4K\n')
            i.run('reload')
            for n, (subject, text) in enumerate((('mbox', 'From here\r\n>From there\r\nno From\r\n'), ('mbox 2', 'x'))):
                send(subject, text=text)        # one after the other: deliveries side by side have no order
                check(wait(lambda: i.log().count('status=sent (delivered to mailbox)') == n + 1), f'{subject}: not delivered')
            text = open(home + '/mbox').read()
            check(re.match('From x@y[.]example  [A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} 20[0-9]{2}\nReturn-Path: <x@y.example>\n', text) and
                  '\n\n>From here\n>>From there\nno From\n' in text and text.count('\n\nFrom x@y.example  ') == 1 and text.endswith('\nx\n\n'), text)
            st = os.stat(home + '/mbox')
            check((st.st_uid, st.st_mode & 0o777) == (pw.pw_uid, 0o600) and not os.path.exists(home + '/mbox.lock'), st)
            import mailbox
            box = mailbox.mbox(home + '/mbox')
            check([m['Subject'] for m in box] == ['mbox', 'mbox 2'], 'another reader')
            box.close()
            send('too much', text='x' * 900 + '\r\n' + 4 * ('y' * 900 + '\r\n'))
            check(i.tells('dsn=4.2.2, status=deferred (the mailbox is full') and open(home + '/mbox').read() == text, 'beyond the limit')
            for n, make in enumerate((lambda: os.symlink('/etc/passwd', home + '/mbox'), lambda: os.link(home + '/evil', home + '/mbox'),
                                      lambda: os.mkfifo(home + '/mbox'), lambda: os.mkdir(home + '/mbox'), lambda: put('mbox', '', uid=0))):
                if os.path.isdir(home + '/mbox'):
                    os.rmdir(home + '/mbox')
                else:
                    os.unlink(home + '/mbox')
                before = open('/etc/passwd').read(), open(home + '/evil').read()
                make()
                send(f'trick {n}')
                check(wait(lambda: i.log().count('status=deferred (the mailbox cannot be written') == n + 1, 5), f'trick {n}')
                check((open('/etc/passwd').read(), open(home + '/evil').read()) == before, f'trick {n} was written')


@test
def an_installed_copy_runs():
    d = tempfile.mkdtemp(prefix='merpati-prefix-', dir='/tmp')
    os.chmod(d, 0o755)
    global_bin = Instance.__init__.__globals__
    old = global_bin['BIN']
    try:
        subprocess.run(['cmake', '--install', BUILD, '--prefix', d + '/usr'], check=True, stdout=subprocess.DEVNULL)
        for f in ('bin/merpati', 'bin/postconf', 'bin/sendmail', 'libexec/merpati/master', 'share/man/man8/smtpd.8', 'share/man/man5/main.cf.5'):
            check(glob.glob(f'{d}/usr/{f}') or glob.glob(f'{d}/usr/s{f}'), f'{f} is not installed')
        unit = subprocess.run(['find', d, '-name', 'merpati.service'], stdout=subprocess.PIPE, text=True).stdout.strip()
        check(unit and 'Type=notify' in open(unit).read(), 'the systemd unit')
        check(subprocess.run(['find', d, '-path', '*sysusers*', '-name', '*.conf'], stdout=subprocess.PIPE).stdout, 'the sysusers file')
        global_bin['BIN'] = d + '/usr/bin'
        with Instance() as i:
            with smtplib.SMTP('127.0.0.1', i.port('smtp')) as s:
                s.sendmail('x@y.example', ['bob@' + DOMAIN], 'Subject: installed\r\n\r\nx\r\n')
            i.wait_mails('bob', 1)
    finally:
        global_bin['BIN'] = old
        shutil.rmtree(d, ignore_errors=True)


@test
def the_log_in_json_has_one_object_a_line():
    with Instance(main='log_format = json\n') as i:
        with smtplib.SMTP('127.0.0.1', i.port('smtp')) as s:
            s.sendmail('x@y.example', ['bob@' + DOMAIN], 'Subject: "json" \\ \x7f\r\n\r\nx\r\n')
        i.wait_mails('bob', 1)
        rows = [json.loads(l) for l in wait(lambda: '"status"' in i.log() and i.log(), 5).splitlines()]
        check(all({'time', 'level', 'daemon', 'pid'} <= set(r) for r in rows), 'fields')
        check(any(r.get('to') == 'bob@' + DOMAIN and r.get('status') for r in rows), 'the delivery')


@test
def one_story_by_one_id(direct='no', last='removed'):
    with Instance(main=f'direct_delivery = {direct}\n') as i:
        with smtplib.SMTP('127.0.0.1', i.port('smtp')) as s:
            s.ehlo()
            s.mail('x@y.example')
            s.rcpt('bob@' + DOMAIN)
            code, text = s.data('Subject: story\r\n\r\nx\r\n')
        qid = text.decode().split()[-1]
        i.wait_mails('bob', 1)
        log = wait(lambda: f'{qid}: {last}' in i.log() and i.log(), 5)
        for want in ('client=', 'message-id=', 'from=<x@y.example>', f'to=<bob@{DOMAIN}>, relay=virtual, delay=', last):
            check([l for l in log.splitlines() if f'{qid}: {want}' in l], f'no line "{qid}: {want}"')
        check(qid in i.mails('bob')[0] and f'id {qid}' in open(i.mails('bob')[0]).read(), 'the id is not in the mailbox')


@test
def one_story_by_one_id_without_the_queue(): one_story_by_one_id('yes', f'to=<bob@{DOMAIN}>')


@test
def systemd_is_told():
    i = Instance()
    path = i.dir + '/notify'
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path)
            os.chmod(path, 0o777)
            s.settimeout(20)
            p = subprocess.Popen([BIN + '/merpati', '-c', i.conf, 'start', '--foreground'], env=dict(os.environ, NOTIFY_SOCKET=path),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            check(b'READY=1' in s.recv(1000), 'no READY=1')
            p.terminate()
            check(p.wait(15) == 0, 'it did not end well')
    finally:
        i.close()


main()
