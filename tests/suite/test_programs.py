#!/usr/bin/env python3
"""Programs of aliases and .forward: rows 162, 165, 166 of hostile input. They get arguments and no shell, an environment without
tricks, so much time and no more, and leave nothing behind."""
import contextlib, re, shlex, smtplib
from harness import *

PROBE = '''#!/usr/bin/python3
import os, sys
out = open(sys.argv[1] + '/' + sys.argv[2], 'a')
print('argv', sys.argv[2:], file=out)
print('uid', os.getuid(), os.geteuid(), os.getgid(), os.getgroups(), file=out)
print('fds', sorted(os.listdir('/proc/self/fd'), key=int), file=out)
print('cwd', os.getcwd(), file=out)
for k, v in sorted(os.environ.items()):
    if k != 'LC_CTYPE':
        print('env', k + '=' + v, file=out)
for k in 'NoNewPrivs', 'CapEff', 'Seccomp':
    print([l.strip() for l in open('/proc/self/status') if l.startswith(k)], file=out)
print(sys.stdin.read(), end='', file=out)
'''
SCRIPTS = {
    'exit': '#!/bin/sh\ncat >/dev/null\necho "$2"\nexit $1\n',
    'noinput': '#!/bin/sh\nexec <&-\nsleep 0.1\nexit 0\n',
    'flood': '#!/bin/sh\nhead -c 30000000 /dev/zero | tr "\\0" x\nexit 1\n',
    # leaves a child in its own session with the output open, one in the group, and hangs itself
    'hang': '#!/bin/sh\nsetsid sh -c "setsid sleep 987654 & sleep 987654" &\nsleep 987654 &\ntrap "" TERM\nsleep 987654\n',
    'leave': '#!/bin/sh\nsetsid sh -c "setsid sleep 987653 & sleep 987653" &\nsleep 987653 &\nexit 0\n',
    'killer': '#!/bin/sh\nkill -9 $PPID && exit 1\nkill -TERM $PPID && exit 1\nexit 0\n',
    'signal': '#!/bin/sh\nkill -SEGV $$\n',
    'outside': '#!/bin/sh\nfor f in /usr/bin/merpati-x /etc/merpati-x /run/merpati-x; do echo x >$f && exit 1; done 2>/dev/null\n'
               'echo x >$1/inside && echo y >/tmp/merpati-x-$$ && rm /tmp/merpati-x-$$ && echo z >/dev/null\n',
    'debug': '#!/usr/bin/python3\nimport ctypes, os, sys\nc = ctypes.CDLL(None, use_errno=True)\n'
             'for call in (lambda: c.ptrace(16, os.getppid(), 0, 0), lambda: c.unshare(0x10000000), lambda: c.mount(b"x", b"/tmp", b"tmpfs", 0, 0)):\n'
             '    if call() != -1 or ctypes.get_errno() != 1:\n        sys.exit(1)\n',
}


@contextlib.contextmanager
def place():
    """a directory with the programs that anybody may run, and where they may write"""
    if os.getuid():
        raise Skip('needs root')
    d = tempfile.mkdtemp(prefix='merpati-programs-', dir='/var/tmp')
    os.chmod(d, 0o755)
    os.mkdir(d + '/out')
    os.chmod(d + '/out', 0o777)
    for name, text in dict(SCRIPTS, probe=PROBE).items():
        with open(f'{d}/{name}', 'w') as f:
            f.write(text)
        os.chmod(f'{d}/{name}', 0o755)
    try:
        yield d
    finally:
        shutil.rmtree(d)


def processes_with(word):
    out = []
    for p in os.listdir('/proc'):
        with contextlib.suppress(OSError):
            if p.isdigit() and word in open(f'/proc/{p}/cmdline').read():
                out.append(int(p))
    return out


def send(i, to, sender='x@y.example', text='Subject: x\r\n\r\nbody\r\n', status=None, count=1):
    """the log's lines of this delivery, when it has a result"""
    with smtplib.SMTP('127.0.0.1', i.port('smtp')) as s:
        s.ehlo()
        s.docmd(f'MAIL FROM:<{sender}>')
        check(s.rcpt(to)[0] == 250, f'{to} is refused')
        qid = s.data(text)[1].decode().split()[-1]
    find = lambda: [l for l in i.log().splitlines() if f'{qid}: to=' in l and (not status or f'status={status}' in l)]
    got = wait(lambda: len(find()) >= count and find(), 20)
    check(got, f'{to}: no {status}: ' + str([l for l in i.log().splitlines() if qid in l]))
    return '\n'.join(got)


def aliases(i, rows):
    with open(i.conf + '/aliases', 'a') as f:
        f.writelines(f'{k}: {v}\n' for k, v in rows.items())


@test
def programs_of_aliases():
    with place() as d, contextlib.ExitStack() as stack:
        i = Instance(main='allow_mail_to_commands = alias\nrecipient_delimiter = +\nmynetworks = 10.0.0.0/8\n')
        stack.callback(i.close)
        aliases(i, {'probe': f'"|{d}/probe {d}/out probe \\"two words\\" \'$HOME\'"', 'both': f'bob@{DOMAIN}, |{d}/probe {d}/out both',
                    'bad': f'"|{d}/exit 75 later"', **{f'e{n}': f'"|{d}/exit {n} \'the output\'"' for n in (1, 64, 67, 71, 77, 78)},
                    'own': f'"|{d}/exit 1 \'5.7.9 not for you\'"', 'missing': f'"|{d}/exit 0"',
                    **{n: f'"|{d}/{n}"' for n in SCRIPTS if n not in ('exit', 'outside')}, 'outside': f'"|{d}/outside {d}/out"'})
        i.start()
        # row 165: who sends and what the extension is changes no argument; letters that a shell would take stay out of the environment
        send(i, 'probe+$`id`|{x}@localhost', '"; rm -rf ~"@y.example', 'Subject: x\r\nX: a\r\n b;`id`\r\n\r\n.body\r\n', 'sent')
        got = open(d + '/out/probe').read()
        nobody = pwd.getpwnam('nobody')
        for want in ("argv ['probe', 'two words', '$HOME']", f'uid {nobody.pw_uid} {nobody.pw_uid} {nobody.pw_gid} []', "fds ['0', '1', '2',", 'cwd /\n',
                     'env SENDER=', 'env RECIPIENT=', 'env EXTENSION=__id___x_', 'env DOMAIN=localhost', 'env USER=nobody', "NoNewPrivs:\\t1", "CapEff:\\t0000000000000000",
                     "Seccomp:\\t2", '\nFrom ', '\nReturn-Path: <', '\nDelivered-To: ', '\nX: a\n b;`id`\n\n.body\n'):
            check(want in got, f'no {want!r} in {got}')
        names = set(re.findall('env ([A-Z_]+)=', got))
        check(names == {'PATH', 'SHELL', 'HOME', 'USER', 'LOGNAME', 'SENDER', 'RECIPIENT', 'ORIGINAL_RECIPIENT', 'LOCAL', 'DOMAIN', 'EXTENSION'}, names)
        check(not re.search('env (SENDER|RECIPIENT|EXTENSION|LOCAL|ORIGINAL_RECIPIENT)=.*[;$`() "\'~]', got), got)
        check(len(re.findall(r"'\d+'", re.search('fds (.*)', got)[1])) == 5, got)       # 0, 1, 2, its file, its look at the list
        # an address and a program in one alias
        send(i, 'both@localhost', status='sent', count=2)
        i.wait_mails('bob', 1)
        # row 166: how it ends is what becomes of the mail
        for to, want in {'bad': 'dsn=4.3.0, status=deferred', 'e1': 'dsn=5.3.0, status=bounced', 'e64': 'dsn=5.3.0, status=bounced', 'e67': 'dsn=5.1.1, status=bounced',
                         'e71': 'dsn=4.3.0, status=deferred', 'e77': 'dsn=5.7.0, status=bounced', 'e78': 'dsn=5.3.5, status=bounced',
                         'own': 'dsn=5.7.9, status=bounced', 'signal': 'dsn=4.3.0, status=deferred', 'noinput': 'dsn=2.0.0, status=sent',
                         'killer': 'dsn=2.0.0, status=sent', 'outside': 'dsn=2.0.0, status=sent', 'debug': 'dsn=2.0.0, status=sent'}.items():
            line = send(i, to + '@localhost', text='Subject: x\r\n\r\n' + 'x\r\n' * (200000 if to == 'noinput' else 1))
            check(want in line, f'{to}: {line}')
            check(to not in ('e1', 'e67') or 'Its output: the output' in line, line)
        line = send(i, 'flood@localhost', status='bounced')
        check(len(line) < 1000 and 'xxx' in line, line)
        send(i, 'leave@localhost', status='sent')
        check(not processes_with('98765'), f'left behind: {processes_with("98765")}')
        # a program that comes and goes
        os.rename(d + '/exit', d + '/gone')
        check('dsn=4.3.5, status=deferred' in send(i, 'missing@localhost'), 'a missing program')
        check(os.path.exists(d + '/out/inside') and not os.path.exists('/etc/merpati-x'), 'outside')
        # last, for the others may take their time on a busy machine
        os.rename(d + '/gone', d + '/exit')
        i.configure('command_time_limit = 1s\n')
        i.run('reload')
        check('(command_time_limit)' in send(i, 'hang@localhost', status='deferred'), 'the time limit')
        check(not processes_with('98765'), f'left behind: {processes_with("98765")}')
        check('sandbox forbids' not in i.log(), i.log())


@test
def programs_of_a_forward():
    with place() as d, system_user() as pw, Instance(main='allow_mail_to_commands = forward\nrecipient_delimiter = +\nmynetworks = 10.0.0.0/8\n') as i:
        name, home = pw.pw_name, pw.pw_dir

        def forward(text):
            with open(home + '/.forward', 'w') as f:
                f.write(text)
            os.chown(home + '/.forward', pw.pw_uid, pw.pw_gid)
        to = f'{name}+tag@localhost'
        forward(f'"|{d}/probe {d}/out forward", \\{name}, bob@{DOMAIN}\n')
        send(i, to, status='sent', count=2)
        i.wait_mails('bob', 1)
        got = open(d + '/out/forward').read()
        for want in (f'uid {pw.pw_uid} {pw.pw_uid} {pw.pw_gid} []', f'cwd {home}\n', f'env HOME={home}', f'env USER={name}', 'env EXTENSION=tag', f'env LOCAL={name}+tag'):
            check(want in got, f'no {want!r} in {got}')
        check(len(glob.glob(home + '/Maildir/new/*')) == 1, 'no copy was kept')
        # a program alone; one that refuses, beside an address, which gets its copy still; one that waits holds the copy back
        forward(f'|{d}/noinput\n')
        send(i, to, status='sent')
        forward(f'bob@{DOMAIN}, "|{d}/exit 77 no"\n')
        line = send(i, to, status='bounced', count=2)
        check('dsn=5.7.0' in line, line)
        i.wait_mails('bob', 2)
        forward(f'bob@{DOMAIN}, "|{d}/exit 75 no"\n')
        send(i, to, status='deferred')
        # nothing behind it has another copy at each retry; all of it has one when the program has ended
        def copies():
            return len(glob.glob(home + '/Maildir/new/*')), len(i.mails('bob'))
        was = copies()
        forward(f'\\{name}, bob@{DOMAIN}, "|{d}/exit 75 no"\n')
        def put_off():          # the report of the one before is tried too, and put off
            return sum(f'to=<{to}>' in l and 'status=deferred' in l for l in i.log().splitlines())
        for n in range(3):
            seen = put_off()
            i.tool('postqueue', '-f')
            check(wait(lambda: put_off() > seen, 10), 'it is not tried again')
        check(copies() == was, f'{copies()} copies, {was} before')
        forward(f'\\{name}, bob@{DOMAIN}, "|{d}/exit 0"\n')
        i.tool('postqueue', '-f')
        check(wait(lambda: copies() == (was[0] + 1, was[1] + 1), 20), f'{copies()} copies, {was} before')
        os.unlink(glob.glob(home + '/Maildir/new/*')[0])
        os.unlink(i.mails('bob')[0])
        # what a shell would be needed for makes the file unfit: into the mailbox
        for n, bad in enumerate(('"|exec /usr/bin/procmail"', f'"|{d}/exit 0 $X"', f'"|{d}/exit 0; id"', f'"|{d}/exit 0 > /tmp/x"', '"|"', f'"|{d}/exit `id`"')):
            forward(bad + '\n')
            send(i, to, status='sent')
            check(len(glob.glob(home + '/Maildir/new/*')) == n + 2, bad)
        check(i.tells('.forward is not used: line 1: ', n + 1), 'the log does not tell')
        check(len(i.mails('bob')) == 2, 'a copy went out')
        # aliases are not meant
        aliases(i, {'prog': f'"|{d}/exit 0"'})
        r = i.run('check', ok=False)
        check(r.returncode and re.search(r'aliases:\d+: prog: mail is not delivered to a program', r.stdout), r.stdout)


main()
