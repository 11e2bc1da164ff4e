#!/usr/bin/env python3
"""Real clients through the running suite."""
import email, imaplib, os, poplib, shutil, smtplib, subprocess, time
from harness import *

A, B = 'alice@' + DOMAIN, 'bob@' + DOMAIN


def tool(*cmd, input=None, ok=True, env=None):
    if not shutil.which(cmd[0]):
        raise Skip(f'{cmd[0]} is not installed')
    r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, input=input, timeout=60, env=env)
    if ok and r.returncode:
        raise Failed(f'{" ".join(cmd)}: exit {r.returncode}\n{r.stdout}')
    return r.stdout


I = None


@test
def smtplib_submits_with_starttls_and_auth():
    n = len(I.mails('bob'))
    with smtplib.SMTP('127.0.0.1', I.port('submission')) as s:
        s.starttls(context=I.tls())
        s.login(A, 'pw-alice')
        s.sendmail(A, [B], 'From: a\r\nSubject: starttls\r\n\r\nhello\r\n')
    with smtplib.SMTP_SSL('127.0.0.1', I.port('submissions'), context=I.tls()) as s:
        s.login(A, 'pw-alice')
        s.sendmail(A, [B], 'From: a\r\nSubject: tls\r\n\r\nhello\r\n')
        try:
            s.sendmail(A, ['nobody@' + DOMAIN], 'x')
            raise Failed('an unknown recipient was taken')
        except smtplib.SMTPRecipientsRefused as e:
            check(list(e.recipients.values())[0][0] == 550, str(e))
    text = open(I.wait_mails('bob', n + 2)[-1], errors='replace').read()
    check('with ESMTPSA' in ''.join(open(p).read() for p in I.mails('bob')), 'Received lacks ESMTPSA')


@test
def a_wrong_password_is_refused():
    with smtplib.SMTP_SSL('127.0.0.1', I.port('submissions'), context=I.tls()) as s:
        try:
            s.login(A, 'wrong')
        except smtplib.SMTPAuthenticationError as e:
            check(e.smtp_code == 535, str(e))
            return
    raise Failed('a wrong password was taken')


@test
def swaks_sends():
    for extra in ([], ['--tls'], ['--protocol', 'SSMTPA', '--auth', 'PLAIN', '--auth-user', A, '--auth-password', 'pw-alice', '-p', str(I.port('submissions'))],
                  ['-tls', '--auth', 'LOGIN', '--auth-user', A, '--auth-password', 'pw-alice', '-p', str(I.port('submission'))],
                  ['--pipeline']):
        n = len(I.mails('bob'))
        tool('swaks', '-s', '127.0.0.1', *(extra if '-p' in extra else ['-p', str(I.port('smtp'))] + extra), '-f', A, '-t', B, '--h-Subject', 'swaks', '--timeout', '20')
        I.wait_mails('bob', n + 1)


@test
def curl_speaks_all_three():
    ca = I.conf + '/tls/cert.pem'
    msg = I.dir + '/msg'
    open(msg, 'w').write('From: a\r\nSubject: curl\r\n\r\ncurl was here\r\n')
    n = len(I.mails('alice'))
    tool('curl', '-sS', '--ssl-reqd', '--cacert', ca, '-u', B + ':pw-bob', f'smtp://127.0.0.1:{I.port("submission")}', '--mail-from', B, '--mail-rcpt', A, '-T', msg)
    I.wait_mails('alice', n + 1)
    for scheme, port in (('imaps', 'imaps'), ('imap', 'imap')):
        out = tool('curl', '-sS', '--cacert', ca, '-u', A + ':pw-alice', f'{scheme}://127.0.0.1:{I.port(port)}/INBOX?SUBJECT%20curl')
        check(out.startswith('* SEARCH ') and len(out.split()) >= 3, out)
        out = tool('curl', '-sS', '--cacert', ca, '-u', A + ':pw-alice', f'{scheme}://127.0.0.1:{I.port(port)}/INBOX;MAILINDEX=1')
        check('curl was here' in out, out)
    for scheme, port in (('pop3s', 'pop3s'), ('pop3', 'pop3')):
        out = tool('curl', '-sS', '--cacert', ca, '-u', A + ':pw-alice', f'{scheme}://127.0.0.1:{I.port(port)}/1')
        check('curl was here' in out, out)
    tool('curl', '-sS', '--ssl-reqd', '--cacert', ca, '-u', A + ':pw-alice', f'pop3://127.0.0.1:{I.port("pop3")}/1')


@test
def poplib_reads_and_deletes():
    n = len(I.mails('carol'))
    with smtplib.SMTP('127.0.0.1', I.port('smtp')) as s:
        for k in range(3):
            s.sendmail('x@y.example', ['carol@' + DOMAIN], f'Subject: pop {k}\r\n\r\n.dot\r\nline\r\n')
    I.wait_mails('carol', n + 3)
    p = poplib.POP3_SSL('127.0.0.1', I.port('pop3s'), context=I.tls())
    p.user('carol@' + DOMAIN)
    p.pass_('pw-carol')
    count, size = p.stat()
    check(count == 3, f'STAT says {count}')
    check(sum(int(l.split()[1]) for l in p.list()[1]) == size, 'LIST and STAT differ')
    uidl = p.uidl()[1]
    body = p.retr(1)[1]
    check(b'.dot' in body and sum(len(l) + 2 for l in body) == int(p.list(1).split()[2]), 'RETR is not as long as LIST says')
    check(p.top(1, 1)[1][-1] == b'.dot', str(p.top(1, 1)))
    p.dele(2)
    p.quit()
    p = poplib.POP3('127.0.0.1', I.port('pop3'))
    p.stls(I.tls())
    p.user('carol@' + DOMAIN)
    p.pass_('pw-carol')
    check(p.stat()[0] == 2, 'DELE is gone')
    check([l.split()[1] for l in p.uidl()[1]] == [uidl[0].split()[1], uidl[2].split()[1]], 'UIDL is not stable')
    q = poplib.POP3('127.0.0.1', I.port('pop3'))
    q.user('carol@' + DOMAIN)
    try:
        q.pass_('pw-carol')
        raise Failed('a second session got the maildrop')
    except poplib.error_proto as e:
        check(b'[IN-USE]' in e.args[0], str(e))
    p.quit()


@test
def imaplib_works_with_folders():
    m = imaplib.IMAP4_SSL('127.0.0.1', I.port('imaps'), ssl_context=I.tls())
    m.login(A, 'pw-alice')
    check(m.create('Work/2026' if m.namespace()[1][0].split()[1][1:2] == b'/' else 'Work.2026')[0] == 'OK', 'CREATE')
    msg = b'From: Ann <ann@x.example>\r\nTo: bob@y.example\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nDate: Sat, 21 Nov 2026 20:00:00 +0100\r\nMIME-Version: 1.0\r\n' \
          b'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nbody text\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\n' \
          b'Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n'
    check(m.append('INBOX', r'(\Flagged)', '"21-Nov-2026 20:00:00 +0100"', msg)[0] == 'OK', 'APPEND')
    m.select()
    n = m.search(None, 'SUBJECT', 'gr')[1][0].split()
    check(n, 'SEARCH SUBJECT finds nothing')
    k = n[-1].decode()
    data = m.fetch(k, '(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)')[1][0]
    check(b'"Ann" NIL "ann" "x.example"' in data and b'"application" "pdf"' in data.lower() and b'\\Flagged' in data, str(data))
    check(f'RFC822.SIZE {len(msg)}'.encode() in data, str(data))
    check(m.fetch(k, '(BODY.PEEK[])')[1][0][1] == msg, 'BODY[] is not what was appended')
    check(m.fetch(k, '(BODY.PEEK[1])')[1][0][1] == b'body text', str(m.fetch(k, '(BODY.PEEK[1])')))
    check(m.fetch(k, '(BODY.PEEK[]<10.5>)')[1][0][1] == msg[10:15], 'partial FETCH')
    check(m.copy(k, 'Work.2026')[0] == 'OK', 'COPY')
    check(m.store(k, '+FLAGS', r'(\Deleted $Label1)')[0] == 'OK', 'STORE')
    m.expunge()
    m.close()
    check(m.select('Work.2026')[1][0] == b'1', 'the copy is not there')
    check(m.search(None, 'BODY', '"body text"')[1][0] == b'1', 'SEARCH BODY')
    check(m.search(None, 'OR', 'SEEN', 'NOT', 'FROM', 'nobody')[1][0] == b'1', 'SEARCH OR NOT')
    uid, validity = m.fetch('1', '(UID)')[1][0], m.response('UIDVALIDITY')[1][0]
    m.logout()
    I.run('index', 'drop', A)
    m = imaplib.IMAP4('127.0.0.1', I.port('imap'))
    m.login(A, 'pw-alice')
    m.select('Work.2026')
    check((m.fetch('1', '(UID)')[1][0], m.response('UIDVALIDITY')[1][0]) == (uid, validity), 'UID changed when the index was dropped')
    m.logout()


@test
def idle_tells_of_new_mail():
    m = imaplib.IMAP4('127.0.0.1', I.port('imap'))
    m.login(B, 'pw-bob')
    n = int(m.select()[1][0])
    m.send(b'x IDLE\r\n')
    check(m.readline().startswith(b'+'), 'IDLE')
    with smtplib.SMTP('127.0.0.1', I.port('smtp')) as s:
        s.sendmail('x@y.example', [B], 'Subject: wake up\r\n\r\n')
    m.sock.settimeout(10)
    line = m.readline()
    while b'EXISTS' not in line:
        check(line, 'closed')
        line = m.readline()
    check(line == b'* %d EXISTS\r\n' % (n + 1), str(line))
    m.send(b'DONE\r\n')
    while not line.startswith(b'x OK'):
        line = m.readline()
    m.logout()


@test
def mbsync_both_ways():
    if not shutil.which('mbsync'):
        raise Skip('mbsync is not installed')
    local = I.dir + '/mbsync'
    os.makedirs(local + '/INBOX/new'), os.makedirs(local + '/INBOX/cur'), os.makedirs(local + '/INBOX/tmp')
    rc = I.dir + '/mbsyncrc'
    open(rc, 'w').write(f'''IMAPAccount m
Host 127.0.0.1
Port {I.port("imaps")}
User dave@{DOMAIN}
Pass pw-dave
SSLType IMAPS
CertificateFile {I.conf}/tls/cert.pem
AuthMechs LOGIN

IMAPStore far
Account m

MaildirStore near
Path {local}/
Inbox {local}/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
''')
    with smtplib.SMTP('127.0.0.1', I.port('smtp')) as s:
        for k in range(20):
            s.sendmail('x@y.example', ['dave@' + DOMAIN], f'Subject: sync {k}\r\n\r\n{"x" * k * 100}\r\n')
    I.wait_mails('dave', 20)
    env = dict(os.environ, HOME=I.dir)
    tool('mbsync', '-c', rc, 'c', env=env)
    near = lambda: glob.glob(local + '/INBOX/cur/*') + glob.glob(local + '/INBOX/new/*')
    check(len(near()) == 20, f'{len(near())} messages arrived')
    one = sorted(near())[0]
    os.rename(one, local + '/INBOX/cur/' + os.path.basename(one).split(':')[0] + ':2,FS')
    os.unlink(sorted(near())[1])
    open(local + '/INBOX/new/1.mine.host', 'w').write('Subject: mine\n\nfrom the other side\n')
    tool('mbsync', '-c', rc, 'c', env=env)
    tool('mbsync', '-c', rc, 'c', env=env)
    m = imaplib.IMAP4('127.0.0.1', I.port('imap'))
    m.login('dave@' + DOMAIN, 'pw-dave')
    check(int(m.select()[1][0]) == 20, f'{m.select()} messages at the server')
    check(len(m.search(None, 'FLAGGED')[1][0].split()) == 1, 'the flag did not arrive')
    check(len(m.search(None, 'SUBJECT', 'mine')[1][0].split()) == 1, 'the upload did not arrive')
    m.logout()


@test
def sendmail_t_submits():
    n = len(I.mails('bob'))
    r = I.tool('sendmail', '-t', '-f', A, input=f'From: {A}\nTo: {B}\nBcc: carol@{DOMAIN}\nSubject: sendmail\n\nhello\n.\nafter the dot\n'.encode())
    check(r.returncode == 0 or b'' == r.stderr, f'exit {r.returncode} {r.stderr}')
    p = I.wait_mails('bob', n + 1)
    text = open(max(p, key=os.path.getmtime)).read()
    check('Bcc' not in text, 'Bcc was not removed')


@test
def mailq_and_postcat_show_a_waiting_message():
    with smtplib.SMTP('127.0.0.1', I.port('smtp')) as s:
        s.sendmail(A, ['x@dead.example'], 'Subject: waits\r\n\r\n')
    out = wait(lambda: (lambda t: 'x@dead.example' in t and 'refused' in t and t)(I.tool('mailq').stdout.decode()), 10)
    check(out and 'alice@' in out, I.tool('mailq').stdout.decode())
    import json
    lines = [json.loads(l) for l in I.tool('postqueue', '-j').stdout.decode().splitlines()]
    check(len(lines) == 1 and lines[0]['recipients'][0]['address'] == 'x@dead.example', str(lines))
    text = I.tool('postcat', '-q', lines[0]['queue_id']).stdout.decode()
    check('Subject: waits' in text and 'x@dead.example' in text, text)
    check(I.tool('postqueue', '-f').returncode == 0, 'postqueue -f')


def run_all():
    global I
    with Instance(users=('alice', 'bob', 'carol', 'dave'), main='transport_maps = inline:{ { dead.example = smtp:[127.0.0.1]:9 } }\n') as I:
        main_of_one(I)


run_all()
