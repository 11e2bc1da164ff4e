#!/usr/bin/env python3
"""Mail comes from elsewhere and keeps what its readers know it by: Dovecot's UIDs, ids of POP3, flags; Courier's; mbox files."""
import imaplib, mailbox, poplib, re
from harness import *
from peers import unpack

DOVECOT = '''base_dir = {d}/run
state_dir = {d}/state
log_path = {d}/log
protocols = imap pop3
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{d}/mail/%n/Maildir
first_valid_uid = 1
pop3_uidl_format = {uidl}
passdb {{
  driver = static
  args = password=pw
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={d}/mail/%n allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = .
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    address = 127.0.0.1
    port = {pop3}
  }}
}}
'''


class Dovecot:
    def __init__(self, uidl='%08Xu%08Xv'):
        if os.getuid() or not all(os.path.exists('/usr/lib/dovecot/' + n) for n in ('imap', 'pop3')):
            raise Skip('needs root, dovecot-imapd and dovecot-pop3d')
        self.d = tempfile.mkdtemp(prefix='merpati-dovecot-', dir='/tmp')
        os.chmod(self.d, 0o755)
        os.mkdir(self.d + '/mail')
        shutil.chown(self.d + '/mail', 'mail', 'mail')
        self.imap, self.pop3 = free_port(), free_port()
        open(self.d + '/conf', 'w').write(DOVECOT.format(d=self.d, uidl=uidl, imap=self.imap, pop3=self.pop3))

    def __enter__(self):
        self.p = subprocess.Popen(['dovecot', '-F', '-c', self.d + '/conf'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def up():
            try:
                socket.create_connection(('127.0.0.1', self.imap), 1).close()
                return True
            except OSError:
                return False
        check(wait(up), 'dovecot does not listen: ' + self.log())
        return self

    def log(self):
        return open(self.d + '/log').read() if os.path.exists(self.d + '/log') else ''

    def __exit__(self, *exc):
        if exc[0]:
            print('# ' + self.log().replace('\n', '\n# '))
        self.p.terminate()
        self.p.wait(10)
        shutil.rmtree(self.d, ignore_errors=True)


def login(port, user, pw):
    c = imaplib.IMAP4('127.0.0.1', port)
    c.login(user, pw)
    return c


def view(c):
    """{folder: (UIDVALIDITY, {uid: (flags, size, date, text)})}, subscriptions"""
    out, names = {}, {}
    for command in 'list', 'lsub':
        names[command] = sorted(l.decode().split(' "." ', 1)[1].strip('"') for l in getattr(c, command)()[1] if l)
    for n in names['list']:
        if b'NO' in c.select(f'"{n}"', readonly=True)[0].encode():
            continue
        validity = int(c.response('UIDVALIDITY')[1][0])
        mails = {}
        for r in c.uid('FETCH', '1:*', '(UID FLAGS RFC822.SIZE INTERNALDATE BODY.PEEK[])')[1]:
            if isinstance(r, tuple):
                head = r[0].decode()
                flags = set(re.search(r'FLAGS \(([^)]*)\)', head).group(1).split()) - {'\\Recent'}
                mails[int(re.search(r'UID (\d+)', head).group(1))] = (frozenset(flags), re.search(r'INTERNALDATE "([^"]*)"', head).group(1).strip().rjust(26, '0'), r[1])
        out[n] = validity, mails
    return out, names['lsub']


def uidls(port, user, pw):
    p = poplib.POP3('127.0.0.1', port)
    p.user(user)
    p.pass_(pw)
    ids = {l.split()[1]: hash(b'\n'.join(p.retr(int(l.split()[0]))[1])) for l in p.uidl()[1]}
    p.quit()
    return ids


def fill(c, below=''):
    def put(folder, n, flags='', date='01-Feb-2020 10:00:00 +0000'):
        check(c.append(folder, flags, f'"{date}"', f'From: a@b.example\r\nSubject: {folder} {n}\r\n\r\nbody {n} \xe4\r\n'.encode())[0] == 'OK', 'append')
    for folder in 'Work', 'Work.Sub', 'Entw&APw-rfe', 'Empty':
        check(c.create(below + folder)[0] == 'OK', folder)
        if folder != 'Empty':
            c.subscribe(below + folder)
    for n in range(12):
        put('INBOX', n, ('\\Seen', '\\Flagged \\Answered', 'work $Label1', '\\Draft', '')[n % 5], f'{n + 1:02}-Mar-2021 10:00:00 +0000')
    for n in range(3):
        put(below + 'Work.Sub', n, 'private work')
        put(below + 'Entw&APw-rfe', n)
    c.select('INBOX')
    c.store('2,5', '+FLAGS', '\\Deleted')
    c.expunge()
    c.select(below + 'Work.Sub')
    c.store('1', '+FLAGS', '\\Deleted')
    c.expunge()


def whole(v):
    return {n: m for n, m in v[0].items() if n not in ('Archive', 'Drafts', 'Junk', 'Sent', 'Trash')}


@test
def dovecots_mail_keeps_uids_flags_and_ids():
    with Dovecot() as d:
        c = login(d.imap, 'ann', 'pw')
        fill(c)
        ids, before = uidls(d.pop3, 'ann', 'pw'), view(c)      # in this order: RETR sets \\Seen there
        check(len(before[0]['INBOX'][1]) == 10 and max(before[0]['INBOX'][1]) == 12 and len(ids) == 10, str(before))
        source = d.d + '/mail/ann/Maildir'
        with Instance(users=('ann', 'bob')) as i:
            us = f'ann@{DOMAIN}'
            out = i.run('import', us, source).stdout
            check('INBOX: 10 imported' in out and 'read back and compared: 15' in out and 'new UIDs' not in out, out)
            s = login(i.port('imap'), us, 'pw-ann')
            after = view(s)
            check(whole(after) == whole(before), f'{whole(before)}\n# now:\n# {whole(after)}')
            check(set(before[1]) <= set(after[1]) and 'Entw&APw-rfe' in after[1], f'{before[1]} {after[1]}')
            check(uidls(i.port('pop3'), us, 'pw-ann') == ids, 'ids of POP3')
            # again: what is there, or was removed, does not come again; what is new does, by its UID
            s.select('INBOX')
            s.uid('STORE', '1', '+FLAGS', '\\Deleted')
            s.expunge()
            c.append('INBOX', '', None, b'Subject: late\r\n\r\nlate\r\n')
            late = view(c)[0]['INBOX'][1][13]
            out = i.run('import', us, source).stdout
            check('INBOX: 1 imported, 9 there already, 1 removed since' in out, out)
            now = view(s)[0]['INBOX'][1]
            check(now[13] == late and 1 not in now and len(now) == 10, str(now.keys()))
            s.append('INBOX', '', None, b'Subject: own\r\n\r\nown\r\n')
            check(max(view(s)[0]['INBOX'][1]) == 14, 'the next UID')
            # a run that was killed half way is finished by the next one
            for at in 3, 9:
                p = subprocess.Popen([BIN + '/merpati', '-c', i.conf, 'import', f'bob@{DOMAIN}', source], stdout=subprocess.DEVNULL)
                time.sleep(at / 1000)
                p.kill()
                p.wait()
            out = i.run('import', f'bob@{DOMAIN}', source).stdout
            bob = whole(view(login(i.port('imap'), f'bob@{DOMAIN}', 'pw-bob')))
            check(bob == whole(view(c)), f'{out}\n# {bob}')
        c.logout()


class Courier:
    """Courier's own programs (its package conflicts with Dovecot's: unpacked), each as its login would start it: on a Maildir, by standard input and output"""
    PACKAGES = 'courier-base', 'courier-imap', 'courier-pop', 'courier-authlib', 'libcourier-unicode4', 'libgamin0', 'libltdl7'

    def __init__(self):
        roots = [unpack(p) for p in self.PACKAGES]
        libs = [f'{r}/usr/lib{sub}' for r in roots for sub in ('', '/courier-authlib', f'/{os.uname().machine}-linux-gnu')]
        self.d = tempfile.mkdtemp(prefix='merpati-courier-', dir='/tmp')
        self.box = self.d + '/Maildir'
        self.env = {'LD_LIBRARY_PATH': ':'.join(libs), 'PATH': os.environ['PATH'], 'HOME': self.d, 'AUTHENTICATED': 'ann', 'AUTHADDR': 'ann', 'MAILDIRPATH': 'Maildir',
                    'TCPREMOTEIP': '127.0.0.1', 'IMAP_CAPABILITY': 'IMAP4rev1 UIDPLUS CHILDREN NAMESPACE', 'IMAP_KEYWORDS': '1', 'IMAP_ACL': '0', 'IMAP_USELOCKS': '0'}
        self.imapd, self.pop3d = roots[1] + '/usr/bin/imapd', roots[2] + '/usr/lib/courier/courier/courierpop3d'
        for program in self.imapd, self.pop3d:
            lack = [l.split()[0] for l in self.run('ldd', program).splitlines() if 'not found' in l]
            if lack:
                raise Skip(f'{os.path.basename(program)} needs {", ".join(lack)}')
        self.run(roots[0] + '/usr/bin/maildirmake.courier', self.box)

    def run(self, *cmd, text=''):
        return subprocess.run(cmd, cwd=self.d, env=self.env, input=text, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=20).stdout

    def login(self):
        env = ' '.join(f"{n}='{v}'" for n, v in self.env.items())
        c = imaplib.IMAP4_stream(f'cd {self.d} && exec env -i {env} {self.imapd} Maildir 2>/dev/null')
        c.state = 'AUTH'                # PREAUTH is its second line; the first says that there is no notification of changes
        check(c.noop()[0] == 'OK', str(c.welcome))
        return c

    def uidls(self):
        return {l.split()[1].encode() for l in self.run(self.pop3d, 'Maildir', text='UIDL\r\nQUIT\r\n').splitlines() if l[:1].isdigit()}


def put(path, text, mode='w'):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, mode) as f:
        f.write(text)


def courier_and_what_is_hostile(i, us):
    box = i.dir + '/courier'
    for n, name in enumerate(('1600000000.M1P1.h,S=11:2,S', '1600000001.M2P2.h:2,', '1600000001.M2P2.h:2,F')):
        put(f'{box}/cur/{name}', f'Subject: {n}\n\n{n}\n')
    put(box + '/new/1600000009.M9.h', 'Subject: new\n\nnew\n')
    put(box + '/tmp/x', '')
    put(box + '/.A.B/cur/1600000005.M5.h:2,', 'Subject: 5\n\n5\n')
    put(box + '/.A.B/new/.x', '')
    put(box + '/courierimapuiddb', '1 1500000000 40\n7 1600000000.M1P1.h,S=11\n33 1600000001.M2P2.h\n')
    put(box + '/courierpop3dsizelist', '/3 9 1400000000\n1600000000.M1P1.h,S=11:2,S 20 4:1400000000:0\n1600000001.M2P2.h 20 5:0:0\n')
    put(box + '/courierimapsubscribed', 'INBOX\nINBOX.A.B\n')
    # no files, no mail: a link to somewhere, a pipe, what is compressed; a folder that cannot be
    os.symlink('/etc/hostname', box + '/cur/1600000020.link:2,')
    os.mkfifo(box + '/cur/1600000021.fifo:2,')
    put(box + '/cur/1600000022.gz:2,', b'\x1f\x8b\x08\0', 'wb')
    put(box + '/..A/cur/1600000030.x:2,', 'x')
    os.symlink('/etc', box + '/.Link')
    put(box + '/..A/new/.x', '')
    r = i.run('import', us, box, ok=False)
    check(r.returncode == 65 and 'compressed' in r.stdout and '4 messages are not in the mailbox' in r.stdout, r.stdout)
    s = login(i.port('imap'), us, 'pw-ann')
    v, subscribed = view(s)
    validity, mails = v['INBOX']
    check(validity == 1500000000 and {7, 33} < set(mails) and len(mails) == 4, str(v))
    check(mails[7][0] == {'\\Seen'} and sorted(m[2][-3:] for m in mails.values()) == [b'0\r\n', b'1\r\n', b'2\r\n', b'w\r\n'], str(mails))
    check('A.B' in subscribed and len(v['A.B'][1]) == 1, str(v))
    ids = uidls(i.port('pop3'), us, 'pw-ann')
    check({b'UID4-1400000000', b'UID5'} < set(ids) and len(ids) == 4, str(ids))
    again = i.run('import', us, box, ok=False).stdout
    check('INBOX: 0 imported, 4 there already, 3 NOT TAKEN' in again, again)
    check(i.run('import', us, '/nowhere', ok=False).returncode == 66, 'no source')
    check(i.run('import', us, box + '/.Link', ok=False).returncode == 66, 'a link')


def mbox_comes_twice_only_when_it_differs(i, us):
    path = i.dir + '/inbox'
    text = b'''From ann@example.org Wed Nov  1 12:00:05 2023
Status: RO
X-Status: A
X-IMAPbase: 1300000000 0000000021 work
X-UID: 5
X-Keywords: work
Subject: one

>From the start
From within

From b@example.org Thu Nov  2 12:00:05 2023
Subject: two

2

From b@example.org Thu Nov  2 12:00:05 2023
Subject: two

2
'''
    put(path, text, 'wb')
    out = i.run('import', us, path).stdout
    check('INBOX: 3 imported' in out, out)
    s = login(i.port('imap'), us, 'pw-bob')
    validity, mails = view(s)[0]['INBOX']
    check(validity == 1300000000 and mails[5][0] == {'\\Seen', '\\Answered', 'work'} and '01-Nov-2023 12:00:05' in mails[5][1] and
          mails[5][2] == b'Subject: one\r\n\r\nFrom the start\r\nFrom within\r\n', str(mails))
    check(min(u for u in mails if u != 5) > 21 and len(mails) == 3, str(mails))
    put(path, text + b'\nFrom c Thu Nov  2 12:00:05 2023\nSubject: three\n\n', 'wb')
    out = i.run('import', us, path).stdout
    check('INBOX: 1 imported, 3 there already' in out, out)
    out = i.run('import', us, path, '--folder', 'Old.Mail').stdout
    check('Old.Mail: 4 imported' in out and len(view(s)[0]['Old.Mail'][1]) == 4, out)
    put(path, 'no mail\n')
    r = i.run('import', us, path, ok=False)
    check(r.returncode and 'not an mbox' in r.stdout, r.stdout)


def ours_moves_on(i, frm, to):
    """a Maildir of Merpati: UIDs in names, and in the list of those that came in great number"""
    s = login(i.port('imap'), f'{frm}@{DOMAIN}', 'pw-' + frm)
    s.select('INBOX')                   # the session has made the mailbox
    for n in range(250):
        put(f'{i.maildir(frm)}/cur/16000{n:05}.M1.h:2,', f'Subject: {n}\n\n{n}\n')
    subprocess.run(['chown', '-R', '--reference', i.maildir(frm), i.maildir(frm) + '/cur'], check=True)
    s.append('INBOX', '\\Flagged', None, b'Subject: own\r\n\r\n')
    before = view(s)[0]['INBOX']
    out = i.run('import', f'{to}@{DOMAIN}', i.maildir(frm)).stdout
    after = view(login(i.port('imap'), f'{to}@{DOMAIN}', 'pw-' + to))[0]['INBOX']
    check(len(before[1]) > 250 and before == after, f'{out}\n# {set(before[1]) ^ set(after[1])}')


def without_prefix(v):
    """a view of Courier: its folders lie below INBOX"""
    return {n.removeprefix('INBOX.'): m for n, m in v[0].items()}, [n.removeprefix('INBOX.') for n in v[1]]


@test
def a_real_couriers_mail_keeps_uids_flags_and_ids():
    k = Courier()
    try:
        c = k.login()
        fill(c, 'INBOX.')
        ids, before = k.uidls(), without_prefix(view(c))
        c.logout()
        names = {n for _, _, files in os.walk(k.box) for n in files}
        check({'courierimapuiddb', 'courierpop3dsizelist', 'courierimapsubscribed'} <= names and len(before[0]['INBOX'][1]) == 10 and len(ids) == 10, f'{names} {before} {ids}')
        with Instance(users=('ann',)) as i:
            us = f'ann@{DOMAIN}'
            out = i.run('import', us, k.box).stdout
            check('INBOX: 10 imported' in out and 'read back and compared: 15' in out and 'new UIDs' not in out, out)
            after = view(login(i.port('imap'), us, 'pw-ann'))
            check(whole(after) == whole(before), f'{whole(before)}\n# now:\n# {whole(after)}')
            check(set(before[1]) - {'INBOX'} <= set(after[1]) and 'Entw&APw-rfe' in after[1], f'{before[1]} {after[1]}')
            check(set(uidls(i.port('pop3'), us, 'pw-ann')) == ids, 'ids of POP3')
            c = k.login()
            c.append('INBOX', '', None, b'Subject: late\r\n\r\nlate\r\n')
            late = view(c)[0]['INBOX'][1][13]
            c.logout()
            out = i.run('import', us, k.box).stdout
            check('INBOX: 1 imported, 10 there already' in out, out)
            check(view(login(i.port('imap'), us, 'pw-ann'))[0]['INBOX'][1][13] == late, 'what came since')
    finally:
        shutil.rmtree(k.d, ignore_errors=True)


@test
def courier_and_mbox():
    with Instance(users=('ann', 'bob', 'carol', 'dave')) as i:
        ours_moves_on(i, 'carol', 'dave')
        courier_and_what_is_hostile(i, f'ann@{DOMAIN}')
        mbox_comes_twice_only_when_it_differs(i, f'bob@{DOMAIN}')


main()
