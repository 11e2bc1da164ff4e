#!/usr/bin/env python3
"""Virtual users with uids of their own: whose their processes and files are, what one of them can do to the others, what tables may say."""
import imaplib, json, poplib, re, smtplib
from harness import *
from rawmail import Imap

UID, GID = 61000, 62000                 # nobody has these
PEOPLE = {'ann': 1, 'bob': 2, 'cid': 3}


def send(i, *to, subject='x', port='smtp'):
    with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
        s.sendmail('x@y.example', [f'{u}@{DOMAIN}' for u in to], f'Subject: {subject}\r\n\r\nx\r\n')


def owners(path):
    """(uid, gid) of all below path, and of itself"""
    return {(st.st_uid, st.st_gid) for p in [path] + glob.glob(path + '/**', recursive=True, include_hidden=True) for st in [os.lstat(p)]}


def status_of(pid):
    with contextlib.suppress(OSError):
        return {l.split(':')[0]: l.split()[1:] for l in open(f'/proc/{pid}/status')}
    return {}


def processes_as(i, uid):
    """their names; none has a trace of somebody else, once it is in its jail"""
    def is_pure(pid):
        s = status_of(pid)
        return not s or s['Uid'] == [str(uid)] * 4 and s['Gid'] == [str(uid - UID + GID)] * 4 and s['Groups'] == [] and int(s['CapEff'][0], 16) == 0
    found = {pid: name for pid, name in i.processes().items() if status_of(pid).get('Uid', [''])[0] == str(uid)}
    for pid, name in found.items():
        check(wait(lambda: is_pure(pid)), f'{name}: {status_of(pid)}')
    return sorted(found.values())


def errors_as(uid, gid, *tries):
    """what becomes of each of these, a function each, when a process of that user tries it"""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        out = []
        for f in tries:
            try:
                f()
                out.append('done')
            except OSError as e:
                out.append(type(e).__name__)
        os.write(w, json.dumps(out).encode())
        os._exit(0)
    os.close(w)
    out = json.loads(os.read(r, 65536))
    os.close(r)
    os.waitpid(pid, 0)
    return out


def furnished(**kw):
    if os.getuid():
        raise Skip('needs root')
    i = Instance(users=('plain',), **kw)
    for u, n in PEOPLE.items():
        i.run('user', 'add', f'{u}@{DOMAIN}', f'uid={UID + n}', f'gid={GID + n}', input=f'pw-{u}\n')
    return i


@test
def users_have_processes_and_files_of_their_own():
    i = furnished()
    with open(i.conf + '/master.cf', 'a') as f:
        f.write(f'127.0.0.1:{i.base + 24} inet n - y - 1-2 smtpd\n  -o smtpd_lmtp=yes\n')
    room = lambda u: f'{i.root}/mail/{DOMAIN}/{u}'
    with i:
        send(i, 'ann', subject='alone')
        send(i, *PEOPLE, 'plain', subject='all')
        with smtplib.LMTP('127.0.0.1', i.base + 24) as s:
            s.sendmail('x@y.example', [f'bob@{DOMAIN}'], 'Subject: lmtp\r\n\r\nx\r\n')
        for u, n in ('ann', 2), ('bob', 2), ('cid', 1), ('plain', 1):
            i.wait_mails(u, n)
        check(wait(lambda: i.log().count('relay=virtual') >= 6 and 'local' in processes_as(i, UID + 1)), 'no process of ann')
        with imaplib.IMAP4('127.0.0.1', i.port('imap')) as c:
            c.login(f'ann@{DOMAIN}', 'pw-ann')
            check(c.select()[1] == [b'2'] and c.create('Kept')[0] == 'OK' and c.copy('1:*', 'Kept')[0] == 'OK' and c.store('1', '+FLAGS', '\\Seen')[0] == 'OK', 'IMAP')
            check('imap-session' in processes_as(i, UID + 1), 'whose session is it?')
        p = poplib.POP3('127.0.0.1', i.port('pop3'))
        check(p.user(f'bob@{DOMAIN}') and p.pass_('pw-bob') and p.stat()[0] == 2, 'POP3')
        check('pop3-session' in processes_as(i, UID + 2), 'whose session is it?')
        p.dele(1)
        p.quit()
        check(len(i.mails('bob')) == 1, 'DELE')
        c = Imap(i, 'cid')
        c.ok('SELECT INBOX')
        c.send('i IDLE\r\n')
        check((c.line() or b'').startswith(b'+'), 'IDLE')
        send(i, 'cid', subject='wake')
        check(wait(lambda: b'EXISTS' in (c.line() or b'')), 'IDLE tells nothing')
        c.send('DONE\r\n')
        i.run('index', 'rebuild', f'ann@{DOMAIN}')
        for u, n in PEOPLE.items():
            check(owners(room(u)) == {(UID + n, GID + n)}, f'{u}: {owners(room(u))}')
        check(f'owner: uid {UID + 1}, gid {GID + 1}\n' in i.run('user', 'show', f'ann@{DOMAIN}').stdout, 'user show')
        listed = [json.loads(l) for l in i.run('--json', 'user', 'list').stdout.splitlines()]
        check([u.get('uid', 0) for u in listed] == [0, UID + 1, UID + 2, UID + 3], f'{listed}')
        check('2 users' not in i.run('user', 'import', '-', input=i.run('user', 'export').stdout).stdout and
              [json.loads(l) for l in i.run('--json', 'user', 'list').stdout.splitlines()] == listed, 'export and import')
        # one of them, captured
        mail = i.mails('bob')[0]
        path = os.path.dirname(room('bob'))
        got = errors_as(UID + 1, GID + 1, lambda: open(mail).read(), lambda: os.listdir(room('bob')), lambda: os.listdir(path), lambda: os.listdir(i.root + '/mail'),
                        lambda: os.mkdir(path + '/eve'), lambda: os.rename(room('bob'), path + '/eve'), lambda: os.rmdir(room('bob')), lambda: os.chmod(path, 0o777),
                        lambda: os.listdir(room('plain')), lambda: open(i.conf + '/secrets.cdb').read(), lambda: os.listdir(i.root + '/run/qmgr'), lambda: os.listdir(room('ann')))
        check(got == ['PermissionError'] * 11 + ['done'], f'{got}')
        vmail = os.stat(i.root + '/mail')
        got = errors_as(vmail.st_uid, vmail.st_gid, lambda: open(mail).read(), lambda: os.listdir(room('bob')))
        check(got == ['PermissionError'] * 2 and oct(os.stat(path).st_mode)[-4:] == '0711', f'{got}, {oct(os.stat(path).st_mode)}')
        # limits, for which there is no question at RCPT
        i.run('quota', 'set', f'ann@{DOMAIN}', '1K')
        with imaplib.IMAP4('127.0.0.1', i.port('imap')) as c:
            c.login(f'ann@{DOMAIN}', 'pw-ann')
            check(b'STORAGE' in c.getquotaroot('INBOX')[1][1][0], 'the session knows no limit')
            check('OVERQUOTA' in str(c.append('INBOX', None, None, b'x' * 2000)), 'APPEND')

        def is_full():
            """qmgr looks once a second whether tables were replaced"""
            said = i.log().count('relay=virtual')
            with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
                s.sendmail('x@y.example', [f'ann@{DOMAIN}'], 'Subject: large\r\n\r\n' + ('x' * 900 + '\r\n') * 2)
            wait(lambda: i.log().count('relay=virtual') > said)
            return 'dsn=4.2.2, status=deferred (the mailbox is full)' in i.log()
        check(wait(is_full, 10), 'delivered beyond the limit')
        check('"address":"ann' in i.run('--json', 'quota', 'show', f'ann@{DOMAIN}').stdout, 'quota show')
        check(owners(room('ann')) == {(UID + 1, GID + 1)}, f'{owners(room("ann"))}')


def tables(i):
    """virtual_uid_maps and virtual_gid_maps for users without numbers; a function that replaces them"""
    i.configure(f'virtual_uid_maps = hash:{i.conf}/uids\nvirtual_gid_maps = hash:{i.conf}/gids\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n')

    def put(**uids):
        for name, base in ('uids', 0), ('gids', GID - UID):
            open(f'{i.conf}/{name}', 'w').write(''.join(f'{u}@{DOMAIN} {n + base if isinstance(n, int) and n > UID else n}\n' for u, n in uids.items()))
            check(i.tool('postmap', f'{i.conf}/{name}').returncode == 0, 'postmap')
    return put


@test
def tables_say_whose_mail_it_is_and_a_change_counts_at_once():
    i = furnished()
    put = tables(i)
    put(plain=UID + 4, bob=UID + 9)
    i.run('user', 'import', '-', input=''.join(f'{u}@{DOMAIN}:pw\n' for u in ('none', 'low', 'ours', 'word', 'late')))
    room = lambda u: f'{i.root}/mail/{DOMAIN}/{u}'
    with i:
        send(i, 'plain', 'bob', 'none')
        for u, n in ('plain', 4), ('bob', 2):       # the users table comes first
            i.wait_mails(u, 1)
            check(owners(room(u)) == {(UID + n, GID + n)}, f'{u}: {owners(room(u))}')
        check(i.tells('status=deferred (virtual_uid_maps has no entry for it)'), 'no reason')
        with imaplib.IMAP4('127.0.0.1', i.port('imap')) as c:
            check(c.login(f'plain@{DOMAIN}', 'pw-plain')[0] == 'OK' and c.select()[1] == [b'1'], 'login by table')
        try:
            with imaplib.IMAP4('127.0.0.1', i.port('imap')) as c:
                c.login(f'none@{DOMAIN}', 'pw')
            check(False, 'a session without a uid')
        except imaplib.IMAP4.error as e:
            check('UNAVAILABLE' in str(e) or 'later' in str(e).lower(), f'{e}')
        ours = pwd.getpwnam('merpati-qmgr').pw_uid
        put(plain=UID + 4, none=UID + 5, low=99, ours=ours, word='mail')
        i.wait_mails('none', 1)
        check(owners(room('none')) == {(UID + 5, GID + 5)}, f'{owners(room("none"))}')
        send(i, 'low', 'ours', 'word')
        for u, why in ('low', 'status=deferred (uid 99 is below virtual_minimum_uid (100))'), ('word', 'status=deferred (uid "mail" is not a number above 0)'), \
                ('ours', f'asked for a process of local: ours@{DOMAIN}: its uid or gid is that of a user of the mail system'):
            check(i.tells(why), f'{u}: no reason')
            check(not glob.glob(room(u) + '/*'), f'{u} has mail')
        r = i.run('check', ok=False)
        check(r.returncode == 78 and all(t in r.stdout for t in ('uid 99 is below', 'uid "mail" is not')), r.stdout)
        # a table that others could have written
        os.chmod(i.conf + '/uids', 0o666)
        put(plain=UID + 6)
        with imaplib.IMAP4('127.0.0.1', i.port('imap')) as c:
            check(c.login(f'plain@{DOMAIN}', 'pw-plain')[0] == 'OK' and 'imap-session' in [n for n, s in ((n, status_of(p)) for p, n in i.processes().items())
                  if s.get('Uid', [''])[0] == str(UID + 4)], 'another uid')
        check(i.tells('so no uid in it is believed'), 'a table that everybody may write was believed')
        check('so master believes no uid in it' in i.run('check', ok=False).stdout, 'check')
        os.chmod(i.conf + '/uids', 0o644)
        put(plain=UID + 4, late=UID + 7)
        send(i, 'late')
        i.wait_mails('late', 1)


@test
def a_room_is_nobody_elses():
    i = furnished()
    room = lambda u: f'{i.root}/mail/{DOMAIN}/{u}'
    vmail = os.stat(i.root + '/mail')
    elsewhere = i.dir + '/elsewhere'
    os.mkdir(elsewhere)
    os.chmod(elsewhere, 0o777)
    with i:
        # whoever owns the directories above may put what he likes there
        os.rmdir(room('bob'))
        os.symlink(elsewhere, room('bob'))
        os.lchown(room('bob'), UID + 2, GID + 2)
        os.rmdir(room('cid'))
        os.mkdir(room('cid'))
        os.mkdir(room('cid') + '/theirs')
        os.chown(room('cid'), UID + 1, GID + 1)
        send(i, 'bob', 'cid', 'ann')
        i.wait_mails('ann', 1)
        check(i.tells(f'belongs to uid {UID + 1} and not to uid {UID + 3}, as the tables say; if that is right: chown -Rh {UID + 3}:{GID + 3} {room("cid")}\n'), 'cid')
        check(i.tells(f'{room("bob")}: '), 'bob')
        check(wait(lambda: i.log().count('status=deferred') >= 2) and os.listdir(elsewhere) == [] and os.listdir(room('cid')) == ['theirs'], f'{os.listdir(elsewhere)}')
        shutil.rmtree(room('cid'))
        os.unlink(room('bob'))
        i.tool('postqueue', '-f')
        for u, n in ('bob', 2), ('cid', 3):
            i.wait_mails(u, 1)
            check(owners(room(u)) == {(UID + n, GID + n)}, f'{u}: {owners(room(u))}')
        check(oct(os.stat(os.path.dirname(room('bob'))).st_mode)[-4:] == '0711', 'the domain is left open')
        # another uid for a user who has mail
        r = i.run('user', 'set', f'ann@{DOMAIN}', f'uid={UID + 8}', f'gid={GID + 8}', ok=False)
        command = f'chown -Rh {UID + 8}:{GID + 8} {room("ann")}'
        check(r.returncode == 65 and 'nothing was changed' in r.stdout and r.stdout.endswith(command + '\n'), r.stdout)
        subprocess.run(command.split(), check=True)
        i.run('user', 'set', f'ann@{DOMAIN}', f'uid={UID + 8}', f'gid={GID + 8}')
        wait(lambda: (send(i, 'ann'), len(i.mails('ann')) > 1)[1])     # who was quick found the process of the old uid, and waits
        i.tool('postqueue', '-f')
        i.wait_mails('ann', 2)
        check(owners(room('ann')) == {(UID + 8, GID + 8)}, f'{owners(room("ann"))}')
        # and none of his own
        check(i.run('user', 'set', f'cid@{DOMAIN}', 'uid=', 'gid=', ok=False).returncode == 65, 'his mail stays where nobody reads it')
        for bad in ('uid=0', 'gid=1'), (f'uid={UID}', 'gid='), (f'uid={UID}', 'gid=0'), ('uid=99', f'gid={GID}'), ('uid=x', 'gid=y'), \
                (f'uid={pwd.getpwnam("merpati-auth").pw_uid}', f'gid={GID}'):
            r = i.run('user', 'add', f'new@{DOMAIN}', *bad, input='x\n', ok=False)
            check(r.returncode == 65 and 'nothing was changed' in r.stdout, f'{bad}: {r.stdout}')
        # what a crash between two steps would leave
        os.chmod(os.path.dirname(room('ann')), 0o1731)
        send(i, 'bob')
        i.run('user', 'add', f'new@{DOMAIN}', f'uid={UID}', f'gid={vmail.st_gid}', input='x\n')
        st = os.stat(room('new'))
        check((st.st_uid, st.st_gid, oct(st.st_mode)[-4:]) == (UID, vmail.st_gid, '0700'), f'{st}')
        check(oct(os.stat(os.path.dirname(room('bob'))).st_mode)[-4:] == '0711', 'the domain is left open')


main()
