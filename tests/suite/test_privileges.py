#!/usr/bin/env python3
"""What the kernel says of each process: uid, root, capabilities, no_new_privs, seccomp; and what a captured one can do."""
import concurrent.futures, imaplib, os, poplib, smtplib
from harness import *

CAPS_OF_MASTER = {6, 7, 10, 18, 5}      # SETGID SETUID NET_BIND_SERVICE SYS_CHROOT KILL
USERS = {'keyd': 'keyd', 'auth': 'auth', 'smtpd': 'smtpd', 'intake': 'intake', 'qmgr': 'qmgr', 'smtp': 'smtp', 'local': 'vmail',
         'bounce': 'bounce', 'imapd': 'imapd', 'pop3d': 'pop3d', 'imap-session': 'vmail', 'pop3-session': 'vmail'}
ROOTS = {'keyd': 'run/keyd', 'auth': 'run/auth', 'smtpd': 'run/smtpd', 'intake': 'spool/incoming', 'qmgr': 'spool', 'smtp': 'run/smtp',
         'local': 'mail', 'bounce': 'run/bounce', 'imapd': 'run/imapd', 'pop3d': 'run/pop3d', 'imap-session': 'mail', 'pop3-session': 'mail'}


def status(pid):
    return dict(l.split(':\t', 1) for l in open(f'/proc/{pid}/status').read().splitlines() if ':\t' in l)


def caps(text):
    return {i for i in range(64) if int(text, 16) >> i & 1}


def use_all(i):
    """something for every daemon to do; returns open sessions"""
    with smtplib.SMTP('127.0.0.1', i.port('smtp')) as s:
        s.sendmail('alice@' + DOMAIN, ['bob@' + DOMAIN], 'Subject: x\r\n\r\nx\r\n')
        s.sendmail('alice@' + DOMAIN, ['x@bounce.example'], 'Subject: x\r\n\r\nx\r\n')
    i.wait_mails('bob', 1)
    m = imaplib.IMAP4('127.0.0.1', i.port('imap'))
    m.login('bob@' + DOMAIN, 'pw-bob')
    m.select()
    p = poplib.POP3('127.0.0.1', i.port('pop3'))
    p.user('alice@' + DOMAIN)
    p.pass_('pw-alice')
    return m, p


@test
def every_process_is_in_its_room():
    if os.getuid():
        raise Skip('needs root')
    import pwd
    with Instance(main='transport_maps = inline:{ { bounce.example = smtp:[127.0.0.1]:9 } }\n') as i:
        held = use_all(i)
        seen = set()
        for pid, name in i.processes().items():
            st = status(pid)
            check(st['NoNewPrivs'] == '1' or name == 'master', f'{name}: no_new_privs is not set')
            uids = set(st['Uid'].split())
            if name == 'master':
                check(caps(st['CapEff']) <= CAPS_OF_MASTER and caps(st['CapBnd']) <= CAPS_OF_MASTER, f'master: CapEff {st["CapEff"]} CapBnd {st["CapBnd"]}')
                continue
            seen.add(name)
            check(uids == {str(pwd.getpwnam('merpati-' + USERS[name]).pw_uid)}, f'{name} runs as {uids}')
            check(st['Groups'].strip() == '', f'{name}: groups {st["Groups"]}')
            for k in ('CapEff', 'CapPrm', 'CapInh', 'CapAmb'):
                check(caps(st[k]) == set(), f'{name}: {k} {st[k]}')
            check(st['Seccomp'] == '2', f'{name}: Seccomp {st["Seccomp"]}')
            check(os.readlink(f'/proc/{pid}/root') == f'{i.root}/{ROOTS[name]}', f'{name}: root is {os.readlink(f"/proc/{pid}/root")}')
        check(set(USERS) - seen <= {'bounce', 'smtp'}, f'not seen: {set(USERS) - seen}')
        del held


@test
def the_map_of_trust_is_the_directory():
    if os.getuid():
        raise Skip('needs root')
    import grp, stat
    with Instance() as i:
        for c in ('smtpd', 'imapd', 'pop3d', 'bounce', 'intake'):
            st = os.stat(f'{i.root}/run/{c}')
            check((st.st_uid, grp.getgrgid(st.st_gid).gr_name, stat.S_IMODE(st.st_mode)) == (0, 'merpati-' + c, 0o710), f'run/{c}: {st}')
            for s in os.listdir(f'{i.root}/run/{c}'):
                st = os.stat(f'{i.root}/run/{c}/{s}')
                check((st.st_uid, grp.getgrgid(st.st_gid).gr_name, stat.S_IMODE(st.st_mode)) == (0, 'merpati-' + c, 0o660), f'run/{c}/{s}: {st}')
        check(sorted(os.listdir(i.root + '/run/smtpd')) == ['auth', 'intake', 'keyd'], 'run/smtpd')
        check(sorted(os.listdir(i.root + '/run/intake')) == ['qmgr', 'virtual'], 'run/intake')
        check(stat.S_IMODE(os.stat(i.conf + '/secrets.cdb').st_mode) == 0o600, 'secrets.cdb')
        check(stat.S_IMODE(os.stat(i.conf + '/tls/key.pem').st_mode) == 0o600, 'key.pem')


def misbehaving(action):
    """each daemon tries it once, inside its jail: refused or killed, never done"""
    if os.getuid():
        raise Skip('needs root')
    if b'misbehaving on request' not in open(BUILD + '/libexec/merpati/smtpd', 'rb').read():
        raise Skip('this build has no debug action (sanitizer build only)')
    daemons = [d for d in USERS if (d, action) != ('smtp', 'connect')]      # which is what smtp is for
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for f in [pool.submit(misbehaving_daemon, d, action) for d in daemons]:
            f.result()


def misbehaving_daemon(d, action):
    i = Instance(env={'MERPATI_MISBEHAVE': f'{d}:{action}'}, main='transport_maps = inline:{ { bounce.example = smtp:[127.0.0.1]:9 } }\n')
    held = None
    try:
        try:
            i.run('start', ok=False)        # fails when the kernel kills the daemon
            held = use_all(i)
        except Exception:
            pass            # the service may well be dead
        log = wait(lambda: 'misbehaving on request' in i.log() and i.log(), 5) or i.log()
        if d in ('bounce', 'smtp') and 'misbehaving on request' not in log:
            return          # was not started by this little mail
        check('misbehaving on request' in log, f'{d} did not run')
        check('SUCCEEDED' not in log, f'{d}: {action} was not stopped')
        check(wait(lambda: 'was refused' in i.log() or 'signal 31' in i.log(), 5), f'{d}: {action}: neither refused nor killed')
    finally:
        del held
        i.close()


@test
def a_captured_daemon_opens_no_file(): misbehaving('open')


@test
def a_captured_daemon_connects_nowhere(): misbehaving('connect')


@test
def a_captured_daemon_runs_no_program(): misbehaving('exec')


@test
def a_captured_daemon_signals_nobody(): misbehaving('kill')


main()
