#!/usr/bin/env python3
"""What IMAP says of the messages of a corpus, beside what Dovecot says: ENVELOPE, BODY, BODYSTRUCTURE, all sections, SORT, THREAD.

On demand: MERPATI_BUILD=DIR tests/compare/dovecot.py [CORPUS]     as root, with Debian's dovecot-imapd
Prints each difference once and ends with counts; docs/COMPARED.md argues those that are meant.
"""
import difflib, os, re, subprocess, sys, tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../suite'))
import test_corpus
from rawmail import *
from test_corpus import corpus, fetches, parse

CONF = '''base_dir = {d}/run
state_dir = {d}/state
log_path = {d}/log
protocols = imap
ssl = no
mail_location = maildir:{d}/Maildir
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
namespace inbox {{
  inbox = yes
}}
'''


class Dovecot(Imap):
    """Dovecot's imap on a socket pair, logged in from the start"""
    def __init__(self, d):
        os.makedirs(d + '/Maildir'), os.makedirs(d + '/run')
        open(d + '/conf', 'w').write(CONF.format(d=d))
        for p in d, d + '/Maildir', d + '/run':
            os.chmod(p, 0o755)
            os.chown(p, 65534, 65534)
        self.s, other = socket.socketpair()
        self.p = subprocess.Popen(['/usr/lib/dovecot/imap', '-c', d + '/conf'], stdin=other, stdout=other,
                                  stderr=subprocess.DEVNULL, user=65534, group=65534, extra_groups=[],
                                  env={'USER': 'nobody', 'HOME': d, 'PATH': '/usr/bin:/bin'})
        other.close()
        self.s.settimeout(60)
        self.b, self.n = b'', 0
        self.line()


def parts(bs, path=''):
    """section numbers of a BODYSTRUCTURE: (path, is a message)"""
    if isinstance(bs[0], list):
        n = 0
        for b in bs:
            if not isinstance(b, list) or not (isinstance(b[0], (list, bytes))):
                break
            n += 1
            yield from parts(b, f'{path}{n}.')
        return
    me = path[:-1] or '1'
    message = bs[0].lower() == b'message' and (bs[1] or b'').lower() == b'rfc822'
    yield me, message
    if message and len(bs) > 8 and isinstance(bs[8], list):
        inner = bs[8]
        yield from parts(inner, me + '.' if isinstance(inner[0], list) else me + '.1.')


SORTS = 'SUBJECT', 'FROM', 'TO', 'CC', 'DATE', 'SIZE', 'DISPLAYFROM', 'DISPLAYTO', 'REVERSE DATE'
THREADS = 'REFERENCES', 'ORDEREDSUBJECT'


def lower(v, keep=()):
    """types, encodings and names of parameters without regard to case"""
    if isinstance(v, list):
        return [lower(x) for x in v]
    return v.lower() if isinstance(v, bytes) else v


def items(bs):
    sections = ['BODY.PEEK[HEADER]', 'BODY.PEEK[TEXT]', 'BODY.PEEK[]', 'BODY.PEEK[HEADER.FIELDS (Subject From)]',
                'BODY.PEEK[HEADER.FIELDS.NOT (Received)]', 'BODY.PEEK[1]', 'BODY.PEEK[1.MIME]']
    for path, message in parts(bs):
        sections += [f'BODY.PEEK[{path}]', f'BODY.PEEK[{path}.MIME]']
        if message:
            sections += [f'BODY.PEEK[{path}.HEADER]', f'BODY.PEEK[{path}.TEXT]', f'BODY.PEEK[{path}.1]']
    return list(dict.fromkeys(sections))


def compare(name, what, ours, theirs):
    if ours == theirs:
        return True
    print(f'{name}: {what}\n   Merpati {ours!r:.6000}\n   Dovecot {theirs!r:.6000}')
    return False


def answer(c, command):
    return sorted(l for l in c.ok(command).lines if not l.startswith(b'* OK'))


def threads(line):
    """top-level threads of an answer to THREAD, as they stand"""
    out, depth, start = set(), 0, 0
    for k, ch in enumerate(line):
        if ch == ord('('):
            start = k if depth == 0 else start
            depth += 1
        elif ch == ord(')'):
            depth -= 1
            if depth == 0:
                out.add(line[start:k + 1])
    return out


def orders(ours, theirs, agreed):
    """how much of SORT and THREAD is the same among the messages of which both have the same ENVELOPE"""
    which = ','.join(map(str, agreed))
    for key in SORTS:
        a, b = (c.ok(f'SORT ({key}) UTF-8 {which}').of('SORT')[0].split() for c in (ours, theirs))
        same = sum(m.size for m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks())
        print(f'SORT ({key}): {same} of {len(a)} in the same order')
    for how in THREADS:
        a, b = (threads(c.ok(f'THREAD {how} UTF-8 {which}').of('THREAD')[0]) for c in (ours, theirs))
        print(f'THREAD {how}: {len(a & b)} of {len(a)} threads the same')


def main_():
    if len(sys.argv) > 1:
        test_corpus.CORPUS = sys.argv[1]
    same, differ, agreed = {}, {}, []
    with Instance(users=('alice',)) as I, tempfile.TemporaryDirectory(dir='/tmp') as d:
        ours, theirs = Imap(I, timeout=120), Dovecot(d)
        mails = corpus()
        for path, text in mails:
            text = re.sub(rb'\r?\n', b'\r\n', text)
            for c in ours, theirs:
                c.append('INBOX', text.replace(b'\0', b'?'))

        def note(kind, ok):
            (same if ok else differ)[kind] = (same if ok else differ).get(kind, 0) + 1
        for c in ours, theirs:
            c.ok('SELECT INBOX')
        for n, (path, _) in enumerate(mails, 1):
            name = path[len(test_corpus.CORPUS):]
            a, b = (fetches(c.ok(f'FETCH {n} (RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE)'))[n] for c in (ours, theirs))
            agreed += [n] if a['ENVELOPE'] == b['ENVELOPE'] else []
            for kind in 'RFC822.SIZE', 'ENVELOPE', 'BODY', 'BODYSTRUCTURE':
                fold = (lambda v: v) if kind == 'ENVELOPE' else lower
                note(kind, compare(name, kind, fold(a[kind]), fold(b[kind])))
            for section in items(b['BODYSTRUCTURE']):
                x, y = (list(fetches(c.ok(f'FETCH {n} ({section})'))[n].values()) for c in (ours, theirs))
                note('section', compare(name, section, x, y))
        for command in [f'SORT ({k}) UTF-8 ALL' for k in SORTS] + [f'THREAD {k} UTF-8 ALL' for k in THREADS]:
            note(command.split()[0], compare('all', command, answer(ours, command), answer(theirs, command)))
        orders(ours, theirs, agreed)
        theirs.s.close()
        theirs.p.wait(10)
    for kind in sorted(set(same) | set(differ)):
        print(f'{kind}: {same.get(kind, 0)} the same, {differ.get(kind, 0)} differ')


if __name__ == '__main__':
    main_()
