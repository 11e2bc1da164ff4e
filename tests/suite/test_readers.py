#!/usr/bin/env python3
"""Mail readers and fetchers of Debian, each against its own mailbox of the running suite."""
import imaplib, json, poplib, pty, re, select, shutil, subprocess, time
from harness import *

USERS = ('fetch', 'mpop', 'getp', 'geti', 'offline', 'mutt', 'neo', 'filter', 'perl', 'box', 'curl', 'flow')
N = 3
I = None


def need(name):
    if not shutil.which(name):
        raise Skip(f'{name} is not installed')


def tool(*cmd, input=None, ok=(0,), env=None, cwd=None):
    need(cmd[0])
    r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, input=input, timeout=60,
                       env=dict(os.environ, HOME=I.dir, LC_ALL='C', **(env or {})), cwd=cwd or I.dir)
    if r.returncode not in ok:
        raise Failed(f'{" ".join(cmd)}: exit {r.returncode}\n{r.stdout[-3000:]}')
    return r.stdout


def config(name, text):
    path = f'{I.dir}/{name}'
    with open(path, 'w') as f:
        f.write(text)
    os.chmod(path, 0o600)
    return path


def deliver():
    """the mail of everybody, one with a line that is a dot and one with a part in base64"""
    bodies = ['plain\n', '.\n..\nFrom here\n', 'MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n'
              'Content-Transfer-Encoding: base64\n\ngrPDvMOf\n']
    for u in USERS:
        for k, body in enumerate(bodies):
            head = f'From: Ann <ann@{DOMAIN}>\nTo: {u}@{DOMAIN}\nSubject: letter {k}\nMessage-ID: <{u}{k}@x>\n'
            head += '' if body.startswith('MIME') else '\n'
            r = I.tool('sendmail', '-i', '-f', f'ann@{DOMAIN}', f'{u}@{DOMAIN}', input=(head + body).encode())
            check(r.returncode == 0, f'{r}')
    for u in USERS:
        I.wait_mails(u, N)


def imap(user):
    m = imaplib.IMAP4_SSL('127.0.0.1', I.port('imaps'), ssl_context=I.tls())
    m.login(f'{user}@{DOMAIN}', 'pw-' + user)
    m.select()
    return m


def dotted(text):
    return re.search(r'^\.\r?\n\.\.\r?\n>?From here', text, re.M)


@test
def fetchmail_takes_all_by_pop3():
    need('fetchmail')
    rc = config('fetchmailrc', f'''set no bouncemail
poll localhost protocol pop3 service {I.port("pop3s")} uidl
  user "fetch@{DOMAIN}" password "pw-fetch" ssl sslproto "TLS1.2+" sslcertck sslcertfile "{I.conf}/tls/cert.pem"
  mda "cat >>{I.dir}/fetched"
''')
    idle = tool('fetchmail', '-f', rc, '-i', I.dir + '/uids', '--check', '--pidfile', I.dir + '/pid', '-v', ok=(0, 1))
    check('3 messages' in idle, idle)
    tool('fetchmail', '-f', rc, '-i', I.dir + '/uids', '--keep', '--pidfile', I.dir + '/pid')
    text = open(I.dir + '/fetched').read()
    check(text.count('Subject: letter') == N and dotted(text), text)
    tool('fetchmail', '-f', rc, '-i', I.dir + '/uids', '--keep', '--pidfile', I.dir + '/pid', ok=(1,))      # all are known by UIDL
    tool('fetchmail', '-f', rc, '-i', I.dir + '/uids', '--fetchall', '--nokeep', '--pidfile', I.dir + '/pid')
    check(wait(lambda: not I.mails('fetch')), 'not removed')


@test
def fetchmail_speaks_imap_too():
    need('fetchmail')
    rc = config('fetchmailrc2', f'''poll localhost protocol imap service {I.port("imap")}
  user "box@{DOMAIN}" password "pw-box" sslproto "TLS1.2+" sslcertck sslcertfile "{I.conf}/tls/cert.pem" keep
  mda "cat >>{I.dir}/fetched2"
''')
    tool('fetchmail', '-f', rc, '--pidfile', I.dir + '/pid')
    check(open(I.dir + '/fetched2').read().count('Subject: letter') == N, 'not all')


@test
def mpop_pipelines_and_keeps_uidls():
    need('mpop')
    rc = config('mpoprc', f'''account m
host 127.0.0.1
port {I.port("pop3")}
tls on
tls_starttls on
tls_trust_file {I.conf}/tls/cert.pem
user mpop@{DOMAIN}
password pw-mpop
auth scram-sha-256
keep on
uidls_file {I.dir}/mpop-uidls
delivery mbox {I.dir}/mpop-mbox
received_header off
''')
    about = tool('mpop', '-C', rc, '--serverinfo', 'm')
    for word in ('PIPELINING', 'UIDL', 'TOP', 'RESP-CODES', 'AUTH-RESP-CODE', 'STARTTLS', 'SCRAM-SHA-256', 'PLAIN', 'EXPIRE', 'Merpati'):
        check(word in about or (word == 'STARTTLS' and 'STLS' in about) or (word == 'EXPIRE' and 'never' in about.lower()), f'{word}: {about}')
    tool('mpop', '-C', rc, 'm')
    tool('mpop', '-C', rc, 'm')
    text = open(I.dir + '/mpop-mbox').read()
    check(text.count('Subject: letter') == N and dotted(text), text)
    tool('mpop', '-C', rc, '--keep=off', 'm')
    check(wait(lambda: not I.mails('mpop')), 'not removed')


def getmail(user, kind, port, extra):
    """into another mailbox by LMTP: where it forks to deliver, it may miss the end of its child and wait a minute (6.18)"""
    need('getmail')
    to = 'to' + user
    os.makedirs(f'{I.dir}/getmail-{user}', exist_ok=True)
    config(f'getmail-{user}/rc', f'''[retriever]
type = {kind}
server = 127.0.0.1
port = {I.port(port)}
username = {user}@{DOMAIN}
password = pw-{user}
ca_certs = {I.conf}/tls/cert.pem
{extra}
[destination]
type = MDA_lmtp
host = {I.root}/run/public/lmtp
override = {to}@{DOMAIN}
[options]
read_all = false
delete = false
''')
    for _ in range(2):          # the second time all are known
        tool('getmail', '--getmaildir', f'{I.dir}/getmail-{user}', '--rcfile', 'rc')
    text = '\n'.join(open(m, newline='').read() for m in I.mails(to))
    check(text.count('Subject: letter') == N and dotted(text), text)


@test
def getmail_by_pop3():
    getmail('getp', 'SimplePOP3SSLRetriever', 'pop3s', '')


@test
def getmail_by_imap():
    getmail('geti', 'SimpleIMAPSSLRetriever', 'imaps', 'mailboxes = ("INBOX",)')


@test
def offlineimap_both_ways():
    need('offlineimap')
    rc = config('offlineimaprc', f'''[general]
accounts = a
metadata = {I.dir}/offline-meta
ui = quiet
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {I.dir}/offline
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {I.port("imaps")}
ssl = yes
sslcacertfile = {I.conf}/tls/cert.pem
remoteuser = offline@{DOMAIN}
remotepass = pw-offline
''')
    tool('offlineimap', '-c', rc, '-o')
    near = lambda: [f'{d}/{f}' for d in (I.dir + '/offline/INBOX/cur', I.dir + '/offline/INBOX/new') for f in os.listdir(d)]
    check(len(near()) == N and os.path.isdir(I.dir + '/offline/Drafts'), f'{near()} {os.listdir(I.dir + "/offline")}')
    one = sorted(near())[0]
    os.rename(one, I.dir + '/offline/INBOX/cur/' + os.path.basename(one).split(':')[0] + ':2,FRS')
    with open(I.dir + '/offline/Drafts/new/1.mine.host', 'w') as f:
        f.write('Subject: mine\n\nfrom the other side\n')
    tool('offlineimap', '-c', rc, '-o')
    with imap('offline') as m:
        check(len(m.search(None, 'FLAGGED', 'ANSWERED', 'SEEN')[1][0].split()) == 1, 'the flags did not arrive')
        check(int(m.select('Drafts')[1][0]) == 1, 'the draft did not arrive')


def muttlike(name, user):
    need(name)
    home = f'{I.dir}/{name}'
    os.makedirs(home, exist_ok=True)
    rc = config(f'{name}/rc', f'''set folder="imaps://127.0.0.1:{I.port("imaps")}/" spoolfile="+INBOX" record="+Sent"
set imap_user="{user}@{DOMAIN}" imap_pass="pw-{user}" certificate_file="{I.conf}/tls/cert.pem" ssl_verify_host=no
set from="{user}@{DOMAIN}" quit=yes confirmappend=no delete=yes wait_key=no header_cache="" sleep_time=0 mail_check=60
set message_cachedir=""
folder-hook . 'push "<tag-pattern>~s letter<enter><tag-prefix><copy-message>=Archive<enter><tag-pattern>~A<enter>'''
                f'''<first-entry><flag-message><next-entry><delete-message><sync-mailbox><exit>"'
''')
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(HOME=home, TERM='xterm', LC_ALL='C')
        os.execlp(name, name, '-n', '-F', rc)
    said, end = b'', time.monotonic() + 40
    while time.monotonic() < end:
        ready = select.select([fd], [], [], 0.5)[0]
        try:
            piece = os.read(fd, 65536) if ready else b'-'
        except OSError:
            piece = b''
        if not piece:
            break
        said += piece if ready else b''
    else:
        os.kill(pid, 9)
    os.close(fd)
    os.waitpid(pid, 0)
    with imap(user) as m:
        check(len(m.search(None, 'ALL')[1][0].split()) == N - 1, f'{name} has not removed one: {said[-1500:]}')
        check(len(m.search(None, 'FLAGGED')[1][0].split()) == 1, f'{name} has not set the flag: {said[-1500:]}')
        check(int(m.select('Archive')[1][0]) == N, f'{name} has not copied all: {said[-1500:]}')


@test
def mutt_copies_flags_and_deletes():
    muttlike('mutt', 'mutt')


@test
def neomutt_copies_flags_and_deletes():
    muttlike('neomutt', 'neo')


@test
def imapfilter_searches_and_moves():
    need('imapfilter')
    rc = config('imapfilter.lua', f'''options.timeout = 30
a = IMAP {{ server = 'localhost', port = {I.port("imaps")}, username = 'filter@{DOMAIN}', password = 'pw-filter', ssl = 'auto' }}
n = a.INBOX:check_status()
r = a.INBOX:contain_subject('letter 1')
print('found ' .. #r .. ' of ' .. n)
r:mark_flagged()
r:move_messages(a['Archive'])
a:create_mailbox('new box')
print('boxes ' .. table.concat(a:list_all(), '|'))
''')
    out = tool('imapfilter', '-t', I.conf + '/tls/cert.pem', '-c', rc)
    check('found 1 of 3' in out and 'new box' in out, out)
    with imap('filter') as m:
        check(len(m.search(None, 'ALL')[1][0].split()) == 2, 'not moved')
        check(int(m.select('Archive')[1][0]) == 1 and len(m.search(None, 'FLAGGED')[1][0].split()) == 1, 'not there')


@test
def perl_mail_imapclient():
    if subprocess.run(['perl', '-MMail::IMAPClient', '-e', '1'], stderr=subprocess.DEVNULL).returncode:
        raise Skip('Mail::IMAPClient is not installed')
    out = tool('perl', '-MMail::IMAPClient', '-e', '''
my $c = Mail::IMAPClient->new(Server => '127.0.0.1', Port => $ARGV[0], User => $ARGV[1], Password => 'pw-perl', Uid => 1,
    Ssl => [ SSL_verify_mode => 0 ]) or die "login: $@";
$c->select('INBOX') or die $c->LastError;
my @m = $c->search('SUBJECT', \\'"letter 2"') or die $c->LastError;
print "found ", scalar @m, "\\n", $c->bodypart_string($m[0], 1), "\\n";
my $s = $c->get_bodystructure($m[0]); print "type ", $s->bodytype, "/", $s->bodysubtype, "\\n";
my $uid = $c->append_string('Sent', "Subject: own\\r\\n\\r\\nx\\r\\n", '\\\\Seen') or die $c->LastError; print "uid $uid\\n";
$c->set_flag('Flagged', @m) or die $c->LastError;
$c->move('Trash', \\@m) or die $c->LastError; $c->expunge;
print "left ", $c->message_count, "\\n";
$c->logout;
''', str(I.port('imaps')), f'perl@{DOMAIN}', ok=(0, 2))
    if 'IO::Socket::SSL' in out and 'found' not in out:
        raise Skip('IO::Socket::SSL is not installed')
    check('found 1' in out and 'grPDvMOf' in out and 'type TEXT/plain' in out.replace('PLAIN', 'plain') and 'left 2' in out, out)


@test
def curl_reads_parts_and_pop3():
    need('curl')
    ca, user = f'{I.conf}/tls/cert.pem', f'curl@{DOMAIN}:pw-curl'
    base = ('curl', '-sS', '--cacert', ca, '-u', user)
    out = tool(*base, f'imaps://127.0.0.1:{I.port("imaps")}/INBOX?SUBJECT%20%22letter%201%22')
    check(re.match(r'\* SEARCH 2\r?\n', out), out)
    check(dotted(tool(*base, f'imaps://127.0.0.1:{I.port("imaps")}/INBOX;MAILINDEX=2;SECTION=TEXT') or '') , 'IMAP text')
    check(tool(*base, f'pop3s://127.0.0.1:{I.port("pop3s")}/').split() == ['1', *tool(*base, f'pop3s://127.0.0.1:{I.port("pop3s")}/').split()[1:]], 'LIST')
    check(dotted(tool(*base, f'pop3s://127.0.0.1:{I.port("pop3s")}/2')), 'RETR')
    out = tool(*base, '-X', 'UIDL', f'pop3s://127.0.0.1:{I.port("pop3s")}/')
    check(len(set(out.split()[1::2])) == N, out)


def imapflow():
    """the folder that imapflow of npm was put into"""
    need('node')
    where = os.environ.get('MERPATI_IMAPFLOW', '/var/tmp/merpati-imapflow')
    if not os.path.isdir(where + '/node_modules/imapflow'):
        raise Skip(f'imapflow is not there (npm install --prefix {where} imapflow@1)')
    return where


@test
def imapflow_does_what_a_webmail_does():
    out = tool('node', HERE + '/imapflow.mjs', imapflow(), str(I.port('imaps')), f'flow@{DOMAIN}', 'pw-flow')
    r = json.loads(out.splitlines()[-1])
    boxes = {path: (use, n) for path, use, n in r['boxes']}
    check(boxes['INBOX'][1] == N and boxes['Sent'][0] == '\\Sent' and boxes['Archive'][0] == '\\Archive', out)
    check((r['count'], r['subject'], r['type'], r['left']) == (N, 'letter 2', 'text/plain', N - 1), out)
    check('ß' in r['body'], out)
    check(r['mailboxId'] and r['id'] and r['modseq'] and 'flow2@x' in r['header'] and 'CONDSTORE' in r['enabled'], out)
    check(r['flagged'] and r['appended'] == N + 1 and r['copied'] == 2 and r['moved'] == 1 and r['deleted'] and r['woken'], out)
    check(r['created'] and r['renamed'] == 'Work.Bureau', out)
    with imap('flow') as m:
        check(int(m.select('Trash')[1][0]) == 1 and m.search(None, 'FLAGGED', 'KEYWORD', '$Label1')[1][0] == b'1', 'Trash')


def run_all():
    global I
    with Instance(users=USERS + ('togetp', 'togeti')) as I:
        with open(I.conf + '/master.cf', 'a') as f:
            f.write('lmtp unix n - y - 1-2 smtpd\n  -o smtpd_lmtp=yes\n')
        I.run('reload')
        deliver()
        main_of_one(I)


run_all()
