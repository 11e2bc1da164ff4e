#!/usr/bin/env python3
"""Hostile messages, Maildirs, queue files, sockets and senders. Numbers are rows of the table of hostile inputs."""
import array, random, smtplib, stat
from rawmail import *
from sink import FAST, Sink, idle, submit

HEAD = b'From: a@x.example\r\nSubject: s\r\nMIME-Version: 1.0\r\n'
I = None


def cpu(pid):
    f = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf('SC_CLK_TCK')


def ask(message, secs, kib=40000, items='ENVELOPE BODYSTRUCTURE BODY RFC822.SIZE BODY.PEEK[HEADER.FIELDS (To Subject)] BODY.PEEK[1.MIME] BODY.PEEK[1.1.1.1]'):
    """append, fetch and search one message; within so much CPU and memory. The answers."""
    c = Imap(I, 'alice', timeout=60)
    folder = 'hard' + os.urandom(4).hex()
    c.ok(f'CREATE {folder}')
    c.append(folder, message)
    c.ok(f'SELECT {folder}')
    pid = newest_session()
    before = cpu(pid)
    a = c.ok(f'FETCH 1 ({items})')
    c.ok('SEARCH SUBJECT nowhere')
    took, peak = cpu(pid) - before, rss(pid, peak=True)
    body = c.fetch1(1, 'BODY.PEEK[]')
    check(body == re.sub(rb'\r?\n', b'\r\n', message).replace(b'\0', b'?'), 'BODY[] is not what was appended')
    c.ok('CLOSE')
    c.ok(f'DELETE {folder}')
    c.ok('LOGOUT')
    check(SANITIZED or took <= secs, f'took {took:.2f} s of CPU')
    check(SANITIZED or peak < kib + 3 * len(message) // 1024, f'{peak} KiB')
    return a


def newest_session():
    return max(sessions(I), key=lambda p: (int(open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split()[19]), p))


@row(lambda: I)
def row_022_nul():
    c = Imap(I, 'carol')
    m = b'Subject: a\0b\r\nTo: x\0y@z\r\nContent-Type: text/plain; name="\0"\r\n\0\r\n\r\n\0body\0\r\n'
    c.append('INBOX', m)
    c.ok('SELECT INBOX')
    got = c.ok('FETCH 1 (ENVELOPE BODYSTRUCTURE BODY.PEEK[] RFC822.SIZE)').all()
    check(b'\0' not in got and b'RFC822.SIZE %d' % len(m) in got, str(got))
    c.ok('SEARCH SUBJECT "b"')


@row(lambda: I)
def row_020_bare_cr_makes_no_header():
    with smtplib.SMTP('127.0.0.1', I.port('smtp'), timeout=20) as s:
        try:
            s.sendmail('x@y.example', ['carol@' + DOMAIN], b'Subject: a\rBcc: v@x.example\r\n\r\nbody\r\n')
        except smtplib.SMTPResponseException:
            return
    I.wait_mails('carol', 1)
    c = Imap(I, 'carol')
    c.ok('SELECT INBOX')
    n = int(c.ok('STATUS INBOX (MESSAGES)').of('STATUS')[0].split()[-1].rstrip(b')'))
    a = c.ok(f'FETCH {n} (ENVELOPE BODY.PEEK[HEADER.FIELDS (BCC)])').all()
    check(b'{2}' in a or b'v@x.example' not in a.split(b'ENVELOPE')[0], str(a))
    check(b'"v"' not in a, f'a bare CR made an address: {a}')


@row(lambda: I)
def row_127_one_huge_header():
    ask(b'Subject: x\r\n' + b' x\r\n' * 2_000_000 + b'\r\nbody\r\n', 1)


@row(lambda: I)
def row_128_many_headers():
    for n, secs in (100_000, 0.3), (500_000, 1):
        ask(b'To: a@b.example\r\n' * n + b'\r\nbody\r\n', secs)


@row(lambda: I)
def row_130_deep_nesting():
    deep = b''.join(b'Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n' % (k, k) for k in range(10000))
    ask(HEAD + deep + b'\r\ninnermost\r\n', 1)
    ask(HEAD + b'Content-Type: message/rfc822\r\n\r\n' * 10000 + b'\r\ninnermost\r\n', 1)
    ask(HEAD + b'Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n' * 5000, 1)
    c = Imap(I)
    c.append('INBOX', SMALL)
    c.ok('SELECT INBOX')
    for sec in '1' + '.1' * 99, '4294967295', '1.' * 50 + 'MIME', '1' * 10:
        c.ok(f'FETCH 1 BODY.PEEK[{sec}]')
    for sec in '1' + '.1' * 1000, '0', '1.0', '1.', '.1', '1..1', '-1', '4294967296', 'MIME', '1.X', 'HEADER.FIELDS', 'HEADER.FIELDS ()', 'HEADER.FIELDS (' + 'x ' * 600 + 'x)', 'TEXT.MIME', '1 ':
        c.want('BAD', f'FETCH 1 BODY.PEEK[{sec}]')
        c.ok('NOOP')
    for part in '<0.0>', '<0>', '<-1.5>', '<9223372036854775808.1>', '<1.9223372036854775808>', '<.5>', '<5.':
        c.want('BAD', f'FETCH 1 BODY.PEEK[]{part}')
    check(c.fetch1(1, 'BODY.PEEK[]<4294967295.4294967295>') == b'', 'a partial far behind the end')


SMALL = HEAD + b'\r\nsmall\r\n'


@row(lambda: I)
def row_131_many_parts():
    ask(HEAD + b'Content-Type: multipart/mixed; boundary=b\r\n\r\n' + b'--b\r\n\r\n' * 1_000_000 + b'--b--\r\n', 1, kib=80000)
    ask(HEAD + b'Content-Type: multipart/mixed; boundary=b\r\n\r\n' + b'--b\r\n\r\nx\r\n' * 9998 + b'--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n--b\r\n\r\n--b--\r\n', 1, kib=80000)


@row(lambda: I)
def row_132_boundaries():
    for b in b'', b'x' * 70, b'x' * 71, b'x' * 2048, b'x' * 100_000, b'a\0b', b'--', b'-', b' ', b'b ', b'=', b'\xff':
        quoted = b'"' + b + b'"'
        ask(HEAD + b'Content-Type: multipart/mixed; boundary=' + quoted + b'\r\n\r\n--' + b + b'\r\n\r\none\r\n--' + b + b'\r\n\r\ntwo\r\n--' + b + b'--\r\n', 0.5)
    a = ask(HEAD + b'Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\nContent-Type: multipart/mixed; boundary=abc\r\n\r\n--abc\r\n\r\none\r\n--abc--\r\n--ab\r\n\r\ntwo\r\n--ab--\r\n', 0.5)
    check(a.all().count(b'"text" "plain"') == 4, f'one boundary is the beginning of another: {a.all()}')


@row(lambda: I)
def row_133_comments():
    for value in b'(' * 1_000_000, b'(' * 500_000 + b')' * 500_000, b'a (\\', b'"' * 999_999, b'\\' * 1_000_000, b'<' * 1_000_000, b'a@b,' * 250_000, b';' * 1_000_000, b'=?' * 500_000, b'=?utf-8?q?' * 100_000, b'=?utf-8?b?' + b'QUFB' * 100_000 + b'?= ' * 1000:
        for field in b'To: ', b'Content-Type: ', b'Content-Type: text/plain; name=', b'Subject: ', b'Content-Disposition: ', b'Date: ':
            if len(value) > 100 and field not in (b'To: ', b'Content-Type: text/plain; name=', b'Subject: '):
                value = value[:100_000]
            ask(field + value + b'\r\n\r\n', 1)
    ask(b'To: (comment\\', 0.5, items='ENVELOPE BODYSTRUCTURE')
    ask(b'Content-Type: text/plain; a="\\', 0.5, items='ENVELOPE BODYSTRUCTURE')


@row(lambda: I)
def row_136_odd_headers():
    for m in b'no header at all\r\nreally\r\n', b'\r\nbody', b'\r\n', b'x', b'\n', b'From someone Thu Jan  1 00:00:00 1970\r\nSubject: mbox\r\n\r\nx\r\n', b'Subject : space\r\n\r\nx\r\n', b': empty\r\n\r\nx', b'Subject: only', \
            b' folded first\r\nSubject: x\r\n\r\nb', b'\r\n\r\n\r\n', b'A' * 5000 + b': long\r\n\r\n', b'Subject:\r\n\r\n', b'Subject: \r\n \r\n\t\r\n\r\nx':
        ask(m, 0.5, items='ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[HEADER.FIELDS (subject)] BODY.PEEK[HEADER.FIELDS.NOT (subject)]')
        with smtplib.SMTP('127.0.0.1', I.port('smtp'), timeout=20) as s:
            s.sendmail('x@y.example', ['dave@' + DOMAIN], m)
    idle(I)
    check(len(I.mails('dave')) == 14, f'{len(I.mails("dave"))} messages of 14')


@row(lambda: I)
def row_138_slow_encodings():
    for body in b'Q\r\n' * 1_000_000, b'=\r\n' * 1_000_000, b'=' * 3_000_000, b'=3' * 1_000_000:
        for enc in b'base64', b'quoted-printable':
            m = HEAD + b'Content-Transfer-Encoding: ' + enc + b'\r\n\r\n' + body
            c = Imap(I, 'alice', timeout=60)
            c.cmd('CREATE Slow')
            c.append('Slow', m)
            c.ok('SELECT Slow')
            pid = newest_session()
            before = cpu(pid)
            c.ok('SEARCH BODY "nowhere to be found"')
            check(SANITIZED or cpu(pid) - before < 1, f'{enc} took {cpu(pid) - before:.2f} s')
            c.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
            c.ok('CLOSE')
            c.ok('LOGOUT')


@row(lambda: I)
def row_143_from_lines():
    submit(I, 'x@y.example', ['erin@' + DOMAIN], 'Subject: f\r\n\r\nFrom here\r\n>From there\r\nfrom x\r\n')
    text = open(I.wait_mails('erin', 1)[0]).read()
    check(text.endswith('\n\nFrom here\n>From there\nfrom x\n'), text)


# ---- Maildirs that somebody has prepared

@row(lambda: I)
def row_167_links_and_pipes_in_a_maildir():
    secret = I.dir + '/secret'
    os.makedirs(secret, exist_ok=True)
    open(secret + '/1.x', 'w').write('Subject: secret\n\nsecret\n')
    os.chmod(secret, 0o777)
    m = I.maildir('fred')
    submit(I, 'x@y.example', ['fred@' + DOMAIN])
    I.wait_mails('fred', 1)
    owner = os.stat(m)
    os.symlink(secret + '/1.x', m + '/new/2.link')
    os.symlink('/etc/passwd', m + '/cur/3.link:2,S')
    os.mkfifo(m + '/new/4.fifo')
    os.mkfifo(m + '/new/5.fifo,S=0,W=0')
    os.mkdir(m + '/new/6.dir')
    open(m + '/new/7.empty', 'w').close()
    open(m + '/new/8.wrong,S=99999999,W=5', 'w').write('Subject: wrong size\n\nx\n')
    open(m + '/new/9.neg,S=-1,W=18446744073709551615', 'w').write('Subject: wrong size\n\nx\n')
    open(m + '/new/10.' + 'x' * 240, 'w').write('Subject: long name\n\nx\n')
    open(m + '/cur/11.flags:2,' + 'SSFTZ' * 20, 'w').write('Subject: flags\n\nx\n')
    open((m + '/new/12.\x1b[31m\n\t\x7f').encode() + b'\xff', 'w').write('Subject: name\n\nx\n')
    open(m + '/new/13.u,U=4294967295', 'w').write('Subject: uid\n\nx\n')
    open(m + '/new/14.u,U=0', 'w').write('Subject: uid\n\nx\n')
    os.symlink(secret, m + '/.linked')
    os.symlink('/etc', m + '/.etc')
    os.makedirs(m + '/.Sub/cur', exist_ok=True)
    os.symlink(secret, m + '/.Sub/new')
    for p in glob.glob(m + '/**/*', recursive=True) + glob.glob(m + '/.*'):
        if not p.endswith(('/.', '/..')):
            os.chown(p, owner.st_uid, owner.st_gid, follow_symlinks=False)
    c = Imap(I, 'fred', timeout=10)
    check(b'linked' not in c.ok('LIST "" "*"').all(), 'a symbolic link is a folder')
    for f in 'linked', 'etc':
        c.want('NO', f'SELECT {f}')
        c.want('NO', f'STATUS {f} (MESSAGES)')
    c.cmd('SELECT Sub')
    check(b'secret' not in c.cmd('FETCH 1:* BODY.PEEK[]').all(), 'read through a link')
    c.ok('SELECT INBOX')
    a = c.cmd('FETCH 1:* (UID RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])').all()
    check(b'Subject: secret' not in a and b'root:' not in a, 'read through a link')
    check(a.count(b'wrong size') >= 2 and b'long name' in a and b'Subject: uid' in a, f'messages are missing: {a[-300:]}')
    uids = [int(x) for x in re.findall(rb'UID (\d+)', a)]
    check(uids == sorted(set(uids)) and uids[0] > 0, f'UIDs {uids}')
    c.cmd('SEARCH TEXT "x"')
    c.cmd('STORE 1:* +FLAGS (\\Seen)')
    c.cmd('COPY 1:* Sub')
    p = Pop(I, 'fred')
    for l in p.many('LIST'):
        k = l.split()[0].decode()
        if p.cmd(f'RETR {k}').startswith(b'+OK'):
            text = []
            while text[-1:] != [b'.']:
                text.append(p.line())
            check(b'Subject: secret' not in text, 'read through a link')
    p.want('+OK', 'QUIT')
    submit(I, 'x@y.example', ['fred@' + DOMAIN])
    idle(I)
    c.cmd('STORE 1:* +FLAGS (\\Deleted)')
    c.cmd('EXPUNGE')
    check(os.listdir(secret) == ['1.x'] and open(secret + '/1.x').read().endswith('secret\n'), 'touched what a link points to')
    c.close()


@row(lambda: I)
def row_167_new_is_a_link_or_gone():
    m, away = I.maildir('gina'), I.dir + '/away'
    submit(I, 'x@y.example', ['gina@' + DOMAIN])
    I.wait_mails('gina', 1)
    os.makedirs(away, exist_ok=True)
    os.chmod(away, 0o777)
    os.rename(m + '/new', m + '/old')
    os.symlink(away, m + '/new')
    submit(I, 'x@y.example', ['gina@' + DOMAIN])
    check(wait(lambda: 'gina@' in I.log() and I.log().count('to=<gina@') == 2, 10), 'not tried')
    check(not os.listdir(away), 'delivered through a link')
    os.unlink(m + '/new')
    os.rename(m + '/old', m + '/new')
    I.tool('postqueue', '-f')
    check(wait(lambda: len(I.mails('gina')) == 2, 15), 'not delivered when all is well again')
    idle(I)


@row(lambda: I)
def a_message_is_cut_while_it_is_read():
    c = Imap(I, 'hugo', timeout=10)
    big = HEAD + b'\r\n' + (b'y' * 78 + b'\r\n') * 100_000
    c.append('INBOX', big)
    c.append('INBOX', SMALL)
    c.ok('SELECT INBOX')
    path = max(I.mails('hugo'), key=os.path.getsize)
    a = c.send('x FETCH 1 BODY.PEEK[]\r\n').s.recv(10)
    os.truncate(path, 1000)
    c.b = a + c.b
    got = c.collect('x')
    if got.tagged:              # else the session saw the end of the file in a system call, and ended
        check(len(literal(got.lines[0])) == len(big), f'{len(literal(got.lines[0]))} bytes')
        check(c.fetch1(2, 'BODY.PEEK[]') == SMALL, 'the next message')
    c.close()
    c = Imap(I, 'hugo', timeout=10)
    c.ok('SELECT INBOX')
    check(len(c.fetch1(1, 'BODY.PEEK[]')) < 1100, 'what is left of it')
    c.close()


# ---- the queue and the sockets

def kinds():
    return re.findall(r'^MSG\((\w+)', open(TOP + '/lib/service/messages.def').read(), re.M)


def packet(kind, *fields):
    """fields: (tag, bytes)"""
    return kinds().index(kind).to_bytes(2, 'little') + b''.join(bytes([t]) + len(v).to_bytes(4, 'little') + v for t, v in fields)


def sockets(i):
    return sorted(p for p in glob.glob(i.root + '/run/*/*') if stat.S_ISSOCK(os.lstat(p).st_mode))


def seqpacket(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(1)
    s.connect(path)
    return s


def throw(s, d, fds=()):
    try:
        s.sendmsg([d], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else [])
        return True
    except OSError:
        return False


@row(lambda: I)
def row_172_garbage_on_every_socket():
    check(len(sockets(I)) >= 8, f'{sockets(I)}')
    rnd = random.Random(172)
    for path in sockets(I):
        for _ in range(15):         # a packet of noise each, most of them with a kind that exists
            s = seqpacket(path)
            d = rnd.randbytes(rnd.choice((0, 1, 2, 3, 7, 100, 5000, 60000)))
            if rnd.random() < 0.8:
                d = rnd.randrange(len(kinds())).to_bytes(2, 'little') + d
            throw(s, d or b'\0')
            s.close()
        for kind in kinds():
            s = seqpacket(path)
            tags = b''.join(bytes([t]) + (4).to_bytes(4, 'little') + b'\xff\xff\xff\xff' for t in range(20))
            throw(s, packet(kind) + tags)
            throw(s, packet(kind) + b'\0\xff\xff\xff\xff')
            throw(s, packet(kind) + b'\0\x05\0\0\0ab')
            s.close()
        with open('/dev/null') as null:
            s = seqpacket(path)
            throw(s, packet('NEW'), [null.fileno()] * 8)
            throw(s, b'\xff\xff', [null.fileno()])
            s.close()
        idle_ones = [seqpacket(path) for _ in range(5)]
        s = seqpacket(path)
        s.setblocking(False)
        for _ in range(10000):
            if not throw(s, packet('RETIRE')):
                break
        s.close()
        for s in idle_ones:
            s.close()
    watch = Watch()
    n = len(I.mails('bob'))
    submit(I, 'x@y.example', ['bob@' + DOMAIN])
    I.wait_mails('bob', n + 1)
    check(watch.secs() < (10 if SANITIZED else 3), 'delivery is slow afterwards')
    fds = {n: len(os.listdir(f'/proc/{p}/fd')) for p, n in I.processes().items() if n in ('qmgr', 'keyd', 'master')}
    check(max(fds.values()) < 100, f'descriptors are left: {fds}')


@row(lambda: I)
def row_170_no_place_that_anybody_may_write():
    """there is no maildrop: what a user of the system submits goes through a socket, so links, pipes and times of files cannot come"""
    found = [(p, m) for d, ds, fs in os.walk(I.root) for p in (f'{d}/{n}' for n in ds + fs) if (m := os.lstat(p).st_mode) & 0o002 and not stat.S_ISLNK(m)]
    check(found and all(stat.S_ISSOCK(m) and '/run/public/' in p for p, m in found), f'open to everybody: {found}')


@row(lambda: I)
def row_172_what_is_no_file_in_incoming():
    """intake may put anything into incoming/; qmgr may not hang on it, nor follow it"""
    d = I.root + '/spool/incoming/'
    me = os.stat(d)
    secret = I.dir + '/no-message'
    open(secret, 'w').write('secret')
    names = [f'8Zzzz{k:04d}abcdefg' for k in range(5)]
    os.mkfifo(d + names[0], 0o660)
    os.symlink(secret, d + names[1])
    os.mkdir(d + names[2])
    open(d + names[3], 'w').write('no footer')
    for n in names[:4]:
        os.chown(d + n, me.st_uid, me.st_gid, follow_symlinks=False)
    s = seqpacket(I.root + '/run/intake/qmgr')
    for n in names:
        throw(s, packet('NEW', (0, n.encode())))
    time.sleep(0.3)
    n = len(I.mails('bob'))
    t = time.monotonic()
    submit(I, 'x@y.example', ['bob@' + DOMAIN])
    check(wait(lambda: len(I.mails('bob')) > n, 5), 'qmgr hangs')
    for bad in '../../etc/passwd', 'x' * 16, '.' * 16, 'a/b/c/d/e/f/g/h/', '\0' * 16, '', 'x' * 8000:
        throw(s, packet('NEW', (0, bad.encode())))
    s.close()
    submit(I, 'x@y.example', ['bob@' + DOMAIN])
    check(wait(lambda: len(I.mails('bob')) > n + 1, 5), 'qmgr is gone')
    check(open(secret).read() == 'secret' and os.stat(secret).st_nlink == 1, 'followed a link')
    log = I.log()
    check(all(log.count(x) < 6 for x in names), 'tried again and again')
    for p in glob.glob(I.root + '/spool/*/8Zzzz*'):
        os.rmdir(p) if stat.S_ISDIR(os.lstat(p).st_mode) else os.unlink(p)
    idle(I, 5)


def of_class(files):
    return [f for f in files if '/queue/' in f]


@test
def row_174_damaged_queue_files():
    with Instance(main='transport_maps = inline:{ { far.test = smtp:[127.0.0.1]:9 } }\nminimal_backoff_time = 1h\n') as i:
        submit(i, 'alice@example.test', ['x@far.test', 'y@far.test'], 'Subject: whole\r\n\r\nto the END\r\n')
        check(wait(lambda: i.log().count('status=deferred') >= 2), 'not deferred')
        i.stop()
        path = of_class(i.queue())[0]
        st, data = os.stat(path), open(path, 'rb').read()
        os.unlink(path)
        body = int.from_bytes(data[-32:-24], 'little')
        cases = {}
        for n in range(len(data)):
            cases[f'cut at {n}'] = data[:n]
        for n in range(body, len(data)):
            for bit in range(8):
                cases[f'bit {bit} of {n}'] = data[:n] + bytes([data[n] ^ 1 << bit]) + data[n + 1:]
        cases['twice'] = data + data
        cases['tail'] = data[body:]
        cases['zeros behind'] = data + b'\0' * 40
        cases['zeros'] = b'\0' * len(data)
        ids = {}
        for k, (what, d) in enumerate(cases.items()):
            x = f'{os.path.basename(path)[:7]}{k:05d}'.ljust(16, 'q')
            ids[x] = what
            p = f'{i.root}/spool/queue/{x[8]}/{x}'
            open(p, 'wb').write(d)
            os.chown(p, st.st_uid, st.st_gid)
            os.chmod(p, stat.S_IMODE(st.st_mode))
            os.utime(p, (st.st_mtime, st.st_mtime))     # as if not yet tried: at once
        # with every recipient at hand: what is taken is delivered whole, at once
        sink = Sink()
        open(i.conf + '/main.cf', 'a').write(f'transport_maps =\nrelayhost = [127.0.0.1]:{sink.port}\n')
        t = time.monotonic()
        i.start()
        check(wait(lambda: not of_class(i.queue()), 40), f'{len(of_class(i.queue()))} are left: {[ids.get(os.path.basename(p)) for p in of_class(i.queue())[:5]]}')
        corrupt = set(os.listdir(i.root + '/spool/corrupt'))
        fine = [ids[x] for x in ids if x not in corrupt]
        check(all(b'Subject: whole\r\n' in m and m.endswith(b'to the END\r\n') for m in sink.mails), 'a part was sent')
        states = [w for w in fine if re.match(r'bit', w)]
        check(len(fine) == len(states) and len(states) <= 16, f'taken for whole: {fine[:20]}')
        print(f'# {len(cases)} files, {len(corrupt)} set aside, {len(sink.mails)} sent ({fine[:3]}...), {time.monotonic() - t:.1f} s')
        check(i.tells('damaged queue file moved', len(corrupt)), 'not all are in the log')
        clean_log(i)


# ---- bounces and loops

@row(lambda: I)
def row_193_null_sender_to_nobody():
    start = len(I.log())
    for sender, n in ('', 1), ('forged@victim.example', 200):
        with smtplib.SMTP('127.0.0.1', I.port('smtp'), timeout=20) as s:
            for k in range(n):
                if k % 15 == 0 and k:
                    s.close()
                    s.connect('127.0.0.1', I.port('smtp'))
                s.ehlo_or_helo_if_needed()
                s.mail(sender)
                check(s.rcpt(f'nobody{k}@{DOMAIN}')[0] == 550, 'an unknown recipient was taken')
                s.rset()
    idle(I, 5)
    log = I.log()[start:]
    check('notification' not in log and 'victim.example>,' not in re.sub(r'from=<[^>]*>', '', log), 'a bounce was made')


@test
def row_195_bounce_of_a_bounce():
    sink = Sink(lambda v, a: b'550 5.1.1 no\r\n' if v == 'RCPT' else None)
    for classes in '', 'notify_classes = 2bounce\n':
        with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{FAST}{classes}', users=('alice',)) as i:
            open(i.conf + '/aliases', 'w').write('postmaster: alice@example.test\n')
            check(i.tool('newaliases').returncode == 0, 'newaliases')
            submit(i, 'nobody@far.test', ['x@far.test'])
            submit(i, '', ['x@far.test'])
            submit(i, 'alice@' + DOMAIN, ['x@far.test'])
            submit(i, 'double-bounce@' + DOMAIN, ['x@far.test'])
            i.wait_mails('alice', 1)
            idle(i, 20)
            time.sleep(0.5)
            idle(i, 5)
            check(i.tells('the sender is null'), 'not in the log')
            log = clean_log(i)
            check(log.count('queue active') < 14, f'{log.count("queue active")} messages came of four')


@test
def row_197_few_reports_for_many():
    sink = Sink(lambda v, a: b'550 5.1.1 ' + b'no ' * 100 + b'\r\n' if v == 'RCPT' else None)
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\nmessage_size_limit = 50M\n') as i:
        submit(i, 'alice@' + DOMAIN, [f'x{k}@far.test' for k in range(500)], 'Subject: big\r\n\r\n' + ('x' * 70 + '\r\n') * 150_000)
        i.wait_mails('alice', 1, 60)
        idle(i)
        got = [open(p, errors='replace').read() for p in i.mails('alice')]
        check(len(got) < 5, f'{len(got)} reports')      # as many as the reasons need packets
        check(sum(g.count('Action: failed') for g in got) == 500, f'{[g.count("Action: failed") for g in got]} recipients')
        check(all(g.count('x' * 70 + '\n') < 750 for g in got), 'the message was not cut')
        c = Imap(i, 'alice')
        c.ok('SELECT INBOX')
        a = c.ok('FETCH 1 BODYSTRUCTURE').all()
        check(b'"report"' in a and b'"delivery-status"' in a, str(a))
        clean_log(i)


@test
def row_198_two_servers_in_a_loop():
    with Instance(domain='one.test') as a:
        with Instance(domain='two.test', main=f'relay_domains = loop.test\ntransport_maps = inline:{{ {{ loop.test = smtp:[127.0.0.1]:{a.port("smtp")} }} }}\nhopcount_limit = 20\n') as b:
            a.configure(f'relay_domains = loop.test\ntransport_maps = inline:{{ {{ loop.test = smtp:[127.0.0.1]:{b.port("smtp")} }}, {{ one.test = virtual: }} }}\nhopcount_limit = 20\n')
            a.run('reload')
            time.sleep(1)
            t = time.monotonic()
            submit(a, 'alice@one.test', ['x@loop.test'])
            got = open(a.wait_mails('alice', 1, 30)[0]).read()
            check('5.4.6' in got, got)
            check(max(a.log().count('queue active'), b.log().count('queue active')) < 25, 'too many rounds')
            idle(a), idle(b)
            clean_log(a), clean_log(b)


if __name__ == '__main__':
    with Instance(users='alice bob carol dave erin fred gina hugo ida jack'.split(), main='recipient_delimiter = +\nmessage_size_limit = 50M\n') as I:
        main()
