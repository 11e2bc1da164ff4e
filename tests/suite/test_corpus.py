#!/usr/bin/env python3
"""Messages of others through the suite: what IMAP says of them is consistent, true, and what POP3 and real clients see."""
import email, email.policy, imaplib, shutil, smtplib, subprocess
from rawmail import *

CORPUS = os.environ.get('MERPATI_CORPUS', TOP + '/../shared/corpus')
ODD = ('/cpython/msg_37.txt',)    # boundaries behind each other: empty parts for us, nothing for python
I = None
MESSAGES = []


def corpus():
    if not os.path.isdir(CORPUS):
        raise Skip('../shared/corpus is not there')
    if not MESSAGES:
        for top, _, files in sorted(os.walk(CORPUS)):
            MESSAGES.extend((os.path.join(top, f), open(os.path.join(top, f), 'rb').read()) for f in sorted(files)
                            if f not in ('COPYING', 'COPYRIGHT', 'MIT-LICENSE') and not f.endswith('.md'))
        MESSAGES[:] = [m for m in MESSAGES if m[1]]
    return MESSAGES


def parse(d, at=0):
    """one IMAP value: list, bytes, None for NIL; and where it ends"""
    if d[at:at + 1] == b'(':
        out, at = [], at + 1
        while d[at:at + 1] != b')':
            v, at = parse(d, at)
            out.append(v)
            if d[at:at + 1] == b' ':
                at += 1
                check(d[at:at + 1] != b')', f'a blank before ): {d[at - 40:at + 10]}')
        return out, at + 1
    if d[at:at + 1] == b'"':
        m = re.compile(rb'"((?:[^"\\\r\n\0]|\\["\\])*)"').match(d, at)
        check(m, f'bad quoted string: {d[at:at + 60]}')
        return re.sub(rb'\\(.)', rb'\1', m[1]), m.end()
    if d[at:at + 1] == b'{':
        m = re.compile(rb'\{(\d+)\}\r\n').match(d, at)
        end = m.end() + int(m[1])
        return d[m.end():end], end
    m = re.compile(rb'[^\s(){"]*\[[^\]]*\](?:<\d+>)?|[^\s(){"]+').match(d, at)
    check(m, f'an atom is missing: {d[at:at + 60]}')
    return None if m[0] == b'NIL' else m[0], m.end()


def fetches(answer):
    """{number: {item: value}}"""
    out = {}
    for l in answer.lines:
        m = re.match(rb'\* (\d+) FETCH ', l)
        if not m:
            continue
        v, end = parse(l, m.end())
        check(end == len(l), f'something follows: {l[end:end + 40]}')
        out.setdefault(int(m[1]), {}).update(zip([k.decode() for k in v[::2]], v[1::2]))
    return out


def leaves(bs, path=()):
    """(path, value) of every part that has no children; a message is walked too"""
    if isinstance(bs[0], list):
        n = 0
        while isinstance(bs[n], list):
            yield from leaves(bs[n], path + (n + 1,))
            n += 1
        check(isinstance(bs[n], bytes), f'no subtype: {bs[n]}')
        return
    yield path or (1,), bs
    if bs[0].lower() == b'message' and bs[1].lower() == b'rfc822' and len(bs) > 8:
        inner = bs[8]
        yield from leaves(inner, (path or (1,)) + (() if isinstance(inner[0], list) else (1,)))


def check_shape(bs, env_of):
    if isinstance(bs[0], list):
        k = next(n for n, v in enumerate(bs) if not isinstance(v, list))
        for child in bs[:k]:
            check_shape(child, env_of)
        check(len(bs) == k + 5, f'a multipart of {len(bs) - k} fields')
        return
    kind = bs[0].lower(), bs[1].lower()
    n = 7 + (3 if kind == (b'message', b'rfc822') and isinstance(bs[8] if len(bs) > 8 else None, list) else 1 if kind[0] == b'text' else 0)
    check(len(bs) == n + 4, f'{kind}: {len(bs)} fields, not {n + 4}: {bs}')
    check(bs[6].isdigit() and (kind[0] != b'text' or bs[7].isdigit()), f'sizes: {bs}')
    check(bs[2] is None or isinstance(bs[2], list) and len(bs[2]) % 2 == 0 and all(isinstance(x, bytes) for x in bs[2]), f'parameters: {bs[2]}')
    if n == 10:
        check(len(bs[7]) == 10, f'envelope: {bs[7]}')
        check_shape(bs[8], env_of)


def wire(d):
    """as APPEND keeps it: every line ends in CRLF; no NUL is sent"""
    return re.sub(rb'\r?\n', b'\r\n', d).replace(b'\r\r\n', b'\r\n').replace(b'\0', b'?')


def shape(m):
    """python's view, comparable with a BODYSTRUCTURE: None where it met a defect"""
    if m.defects or any(p.defects for p in m.walk()):
        return None
    kind = m.get_content_type()
    if m.is_multipart():
        if kind == 'message/rfc822':
            return [kind, shape(m.get_payload(0))]
        if not kind.startswith('multipart/'):
            return None         # message/delivery-status and the like: a leaf for IMAP
        return [kind] + [shape(p) for p in m.get_payload()]
    return kind


def imap_shape(bs):
    if isinstance(bs[0], list):
        k = next(n for n, v in enumerate(bs) if not isinstance(v, list))
        return ['multipart/' + bs[k].decode().lower()] + [imap_shape(b) for b in bs[:k]]
    kind = (bs[0] + b'/' + bs[1]).decode().lower()
    return [kind, imap_shape(bs[8])] if kind == 'message/rfc822' and len(bs) > 11 else kind


def same(ours, theirs):
    if theirs is None:
        return True
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(same(a, b) for a, b in zip(ours, theirs))
    return ours == theirs or theirs.startswith('message/')


@test
def imap_tells_the_truth_of_every_message():
    c = Imap(I)
    c.ok('CREATE corpus')
    for path, d in corpus():
        c.append('corpus', d)
    c.ok('SELECT corpus')
    t = time.monotonic()
    got = fetches(c.ok('FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1])'))
    took = time.monotonic() - t
    check(len(got) == len(MESSAGES), f'{len(got)} answers for {len(MESSAGES)} messages')
    compared = 0
    for k, (path, d) in enumerate(MESSAGES, 1):
        m, name = got[k], path[len(CORPUS):]
        raw = m['BODY[]']
        check(raw == wire(d), f'{name}: BODY[] is not what was appended')
        check(int(m['RFC822.SIZE']) == len(raw), f'{name}: RFC822.SIZE {m["RFC822.SIZE"]}, BODY[] {len(raw)}')
        check(m['BODY[HEADER]'] + m['BODY[TEXT]'] == raw, f'{name}: HEADER and TEXT are not the message')
        check(len(m['ENVELOPE']) == 10, f'{name}: envelope {m["ENVELOPE"]}')
        for field in m['ENVELOPE'][2:8]:
            check(field is None or field and all(len(a) == 4 for a in field), f'{name}: addresses {field}')
        check_shape(m['BODYSTRUCTURE'], name)
        for sec, leaf in leaves(m['BODYSTRUCTURE']):
            item = f'BODY[{".".join(map(str, sec))}]'
            body = m['BODY[1]'] if sec == (1,) else fetches(c.ok(f'FETCH {k} {item.replace("BODY", "BODY.PEEK")}'))[k][item]
            check(body is not None and len(body) == int(leaf[6]), f'{name}: {item} has {len(body or b"")} bytes, the structure says {leaf[6]}')
            if leaf[0].lower() == b'text':
                check(int(leaf[7]) == body.count(b'\n'), f'{name}: {item} has {body.count(bytes([10]))} lines, the structure says {leaf[7]}')
        parsed = email.message_from_bytes(raw, policy=email.policy.compat32)
        theirs = shape(parsed) if name not in ODD else None
        compared += theirs is not None
        check(same(imap_shape(m['BODYSTRUCTURE']), theirs), f'{name}: {imap_shape(m["BODYSTRUCTURE"])}, python says {theirs}')
        again = fetches(c.ok(f'FETCH {k} (ENVELOPE BODYSTRUCTURE)'))[k]
        check(again['ENVELOPE'] == m['ENVELOPE'] and again['BODYSTRUCTURE'] == m['BODYSTRUCTURE'], f'{name}: the cache says something else')
    check(compared > len(MESSAGES) // 2, f'only {compared} compared')
    check(took < (20 if SANITIZED else 5), f'FETCH took {took:.1f} s')
    print(f'# {len(MESSAGES)} messages, {compared} structures compared with python, FETCH of all took {took:.2f} s')
    for key in 'TEXT', 'BODY', 'SUBJECT', 'FROM':
        c.ok(f'SEARCH {key} "the"')
        c.ok(f'SEARCH CHARSET UTF-8 {key}', 'é'.encode())
    clean_log(I)


@test
def imaplib_reads_every_message():
    corpus()
    m = imaplib.IMAP4_SSL('127.0.0.1', I.port('imaps'), ssl_context=I.tls())
    m.login('alice@' + DOMAIN, 'pw-alice')
    n = int(m.select('corpus', readonly=True)[1][0])
    for k in range(1, n + 1):
        typ, data = m.fetch(str(k), '(ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[])')
        body = [x[1] for x in data if isinstance(x, tuple) and b'BODY[]' in x[0]]
        check(typ == 'OK' and len(body) == 1, f'{MESSAGES[k - 1][0]}: {str(data)[:200]}')
    m.logout()


@test
def pop3_gives_the_bytes_of_imap():
    corpus()
    n, sent = len(MESSAGES), []
    with smtplib.SMTP('127.0.0.1', I.port('smtp'), timeout=20) as s:
        s.ehlo()
        for path, d in MESSAGES:
            if b'\0' in d or len([l for l in d.splitlines() if l.lower().startswith(b'received:')]) > 40:
                continue
            try:
                s.sendmail('x@y.example', ['bob@' + DOMAIN], re.sub(rb'\r?\n', b'\r\n', d), ['BODY=8BITMIME'])
                sent.append((path, d))
            except smtplib.SMTPResponseException as e:
                print(f'# {path[len(CORPUS):]}: {e}')
    I.wait_mails('bob', len(sent), 60)
    check(len(sent) > n * 9 // 10, f'only {len(sent)} of {n} were taken')
    p = Pop(I, 'bob')
    sizes = [int(l.split()[1]) for l in p.many('LIST')]
    popped = [b''.join(l + b'\r\n' for l in p.many(f'RETR {k + 1}')) for k in range(len(sizes))]
    p.want('+OK', 'QUIT')
    c = Imap(I, 'bob')
    c.ok('SELECT INBOX')
    got = fetches(c.ok('FETCH 1:* (RFC822.SIZE BODY.PEEK[])'))
    bodies = [got[k]['BODY[]'] for k in sorted(got)]
    for k in got:
        check(int(got[k]['RFC822.SIZE']) == len(got[k]['BODY[]']), f'message {k}: RFC822.SIZE')
    check(sorted(popped) == sorted(bodies), 'POP3 and IMAP differ')
    check(sorted(sizes) == sorted(map(len, popped)), 'sizes of LIST')
    text = b'\0'.join(bodies)
    for path, d in sent:
        want = re.sub(rb'\r?\n', b'\r\n', d)
        if b'\r\r\n' in want or re.search(rb'\r(?!\n)', want):
            continue            # what becomes of a bare CR is smtpd's to say
        head, gap, body = want.partition(b'\r\n\r\n')
        if not all(re.match(rb'[!-9;-~]+[ \t]*:|[ \t]', l) for l in head.splitlines()):
            continue            # a header that is none is repaired
        # the last hop's own fields are dropped, and every line gets its end
        head = re.sub(rb'(?im)^(return-path|bcc|resent-bcc|content-length):.*\r\n([ \t].*\r\n)*', b'', head + b'\r\n')
        want = head + b'\r\n' + body + (b'' if want.endswith(b'\r\n') else b'\r\n') if gap else head
        check(want in text, f'{path[len(CORPUS):]} did not arrive as it was sent')


def tool(*cmd, **kw):
    if not shutil.which(cmd[0]):
        raise Skip(f'{cmd[0]} is not installed')
    r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, stdin=subprocess.DEVNULL, **kw)
    check(r.returncode == 0, f'{cmd[0]}: exit {r.returncode}\n{r.stdout[-2000:]}')
    return r.stdout


@test
def mbsync_pulls_them_all():
    n = len(corpus())
    local = I.dir + '/near'
    os.makedirs(local)
    rc = I.dir + '/rc'
    open(rc, 'w').write(f'IMAPAccount m\nHost 127.0.0.1\nPort {I.port("imaps")}\nUser alice@{DOMAIN}\nPass pw-alice\nSSLType IMAPS\nCertificateFile {I.conf}/tls/cert.pem\n\n'
                        f'IMAPStore far\nAccount m\n\nMaildirStore near\nPath {local}/\nInbox {local}/INBOX\n\nChannel c\nFar :far:corpus\nNear :near:corpus\nCreate Near\nSync Pull\nSyncState *\n')
    out = tool('mbsync', '-c', rc, 'c', env=dict(os.environ, HOME=I.dir))
    near = glob.glob(local + '/corpus/new/*') + glob.glob(local + '/corpus/cur/*')
    near += re.findall(rb'message \d+ from far side has incomplete header; skipping', out)
    check(len(near) == n, f'{len(near)} of {n} arrived: {out[-500:]}')


@test
def mutt_reads_and_saves():
    n = len(corpus())
    box = I.dir + '/saved'
    rc = I.dir + '/muttrc'
    open(rc, 'w').write(f'set folder=imap://127.0.0.1:{I.port("imap")}/\nset imap_user=alice@{DOMAIN}\nset imap_pass=pw-alice\nset ssl_starttls=no\nset ssl_force_tls=no\nset mbox_type=mbox\nset confirmcreate=no\n'
                        f'set confirmappend=no\nset quit=yes\nset delete=no\nset mail_check=1\nset header_cache=\nset message_cachedir=\nset wait_key=no\nset imap_authenticators=login\nset copy=no\n')
    if not shutil.which('mutt') or not shutil.which('script'):
        raise Skip('mutt is not installed')
    cmd = f"mutt -nF {rc} -f imap://127.0.0.1:{I.port('imap')}/corpus -e 'push \"<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>{box}<enter><exit>\"'"
    tool('script', '-qec', cmd, '/dev/null', env=dict(os.environ, HOME=I.dir, TERM='xterm'))
    saved = open(box, 'rb').read() if os.path.exists(box) else b''
    froms = len(re.findall(rb'^From ', saved, re.M))
    check(froms >= n, f'mutt saved {froms} of {n}')


@test
def curl_fetches_one():
    corpus()
    out = tool('curl', '-sS', '--cacert', I.conf + '/tls/cert.pem', '-u', f'alice@{DOMAIN}:pw-alice', f'imaps://127.0.0.1:{I.port("imaps")}/corpus;MAILINDEX=3')
    check(out == wire(MESSAGES[2][1]), 'curl got something else')
    clean_log(I)


if __name__ == '__main__':
    with Instance(users=('alice', 'bob')) as I:
        main()
