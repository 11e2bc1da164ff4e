#!/usr/bin/env python3
"""Hostile IMAP clients. Numbers are rows of the table of hostile inputs; each row ends with the common rule (rawmail.row)."""
import imaplib, select
from rawmail import *

SIMPLE = b'From: Ann <ann@x.example>\r\nTo: bob@y.example\r\nSubject: simple\r\nDate: Sat, 21 Nov 2026 20:00:00 +0100\r\n\r\nhello world\r\n'
I = None


@row(lambda: I)
def row_097_literal_sizes():
    sizes = '{4294967295}', '{4294967296}', '{18446744073709551615}', '{18446744073709551616}', '{-1}', '{1', '{01}', '{}', '{+}', '{1+1}', '{1 }', '{99999+}', '{0x5}'
    for size in sizes:
        c = Imap(I, None).send(f'a LOGIN {size}\r\n')
        got = c.line()
        check(got and got.split()[:2][-1] in (b'BAD', b'BYE'), f'before login, {size}: {got}')
        c.close()
    # neither "go ahead" nor memory
    for verb in 'CREATE', 'STATUS', 'LIST ""', 'SEARCH SUBJECT', 'APPEND INBOX':
        for size in sizes:
            if (verb, size) == ('APPEND INBOX', '{99999+}'):
                continue        # a message
            c = Imap(I)
            c.send(f'a {verb} {size}\r\n' + ('x' * 99999 + '\r\n' if size == '{99999+}' else ''))
            got = c.line()
            check(got is not None and got.startswith((b'a BAD', b'* BYE', b'a NO', b'* BAD')), f'{verb} {size}: {got}')
            check(all(rss(p) < 40000 or SANITIZED for p in sessions(I)), 'memory was taken for the promise of a literal')
            c.close()


@row(lambda: I)
def row_099_large_literals_before_login():
    c = Imap(I, None).send(b'a LOGIN {5000+}\r\n' + b'x' * 5000 + b' pw\r\n')
    check(b'BYE' in c.rest() or b'BAD' in c.b, str(c.b[:100]))
    c = Imap(I, None).send(b'a LOGIN {4096+}\r\n' + b'x' * 4096 + b' pw\r\n')
    got = c.line()
    check(got.startswith((b'a NO', b'a BAD')), str(got))


@row(lambda: I)
def row_100_quotes():
    for text in b'"a\0b"', b'"abc', b'"' + b'x' * 8300 + b'"', b'"a\\', b'"a\\x"', b'"a\\"', b'"\r"', b'"a" "', b'"a"b "c"':
        c = Imap(I, None).send(b'a LOGIN ' + text + b' pw\r\n')
        got = c.line()
        check(got and (got.startswith((b'a BAD', b'a NO')) or b'BYE' in got), f'{text[:20]}: {got}')
        c.close()
        c = Imap(I)
        a = c.cmd(b'CREATE ' + text)
        check(a.tagged and a.tagged.startswith((b'BAD', b'NO')), f'CREATE {text[:20]}: {a.tagged}')
        c.ok('NOOP')
        c.close()


@row(lambda: I)
def row_101_parentheses():
    c = Imap(I, None)
    n = sum(rss(p) for p in sessions(I, 'imapd'))
    c.send(b'(' * 10_000_000)
    check(b'BYE' in c.rest() or b'BAD' in c.b or c.b == b'', str(c.b[:100]))
    check(SANITIZED or sum(rss(p) for p in sessions(I, 'imapd')) < n + 2000, 'imapd has grown')
    c = Imap(I)
    c.ok('SELECT INBOX')
    deep = '(' * 50000
    for verb in 'SEARCH', 'FETCH 1', 'STORE 1 FLAGS', 'STATUS INBOX', 'ID', 'APPEND INBOX', 'SEARCH ' + 'NOT ' * 10 + '(', 'LIST', 'LIST (', 'FETCH 1 BODY[HEADER.FIELDS', 'ENABLE':
        a = c.cmd(f'{verb} {deep}')
        check(a.tagged and a.tagged.startswith(b'BAD'), f'{verb}: {a.tagged}')
        a = c.cmd(f'{verb} {deep}{")" * 10000}')
        check(a.tagged and a.tagged.startswith(b'BAD'), f'{verb}: {a.tagged}')
        c.ok('NOOP')


@row(lambda: I)
def row_102_tags():
    for tag in 'x' * 1_000_000, '+', '*', '', 'a+b', 'a(b', '"a"', '{3}', 'a%', '\x80\x81', 'a\x7f', '\x1b[2J':
        for user in None, 'alice':
            c = Imap(I, user).send(f'{tag} NOOP\r\n')
            got = c.line() or b'BYE'
            check(b'BAD' in got or b'BYE' in got, f'{tag[:20]}: {got}')
            check(all(32 <= b < 127 for b in got), f'{tag[:20]} came back: {got}')
            c.close()


@row(lambda: I)
def row_103_long_line_before_login():
    c = Imap(I, None).send(b'a LOGIN ' + b'x' * 65536 + b'\r\n')
    check(b'BYE' in c.rest(), str(c.b[:100]))
    for n in 60000, 70000, 1 << 20:
        c = Imap(I)
        c.send(b'a NOOP ' + b'x' * n + b'\r\n')
        got = c.line() or b''
        check((b'BAD' if n < 65000 else b'BYE') in got, f'{n} bytes: {got[:100]}')
        c.close()


@row(lambda: I)
def row_104_id():
    for user in None, 'alice':
        for args in ('(' + ' '.join(f'"k{n}" "v"' for n in range(1000)) + ')', '("name" "' + 'x' * 5000 + '")', '("a")', '(a b)', '("a" "b"', '("a" NIL) x',
                     '("' + 'k' * 100 + '" "v")', 'NILL', '"a" "b"'):
            c = Imap(I, user)
            a = c.cmd('ID ' + args)
            check(a.tagged is None or a.tagged.startswith(b'BAD'), f'{args[:20]}: {a.tagged}')
            c.close()
        c = Imap(I, user)
        c.want('BAD' if user else ('BAD', ''), 'ID ("name" {2000000})') if user else None
        c = Imap(I, user)
        check(c.ok('ID ("name" "\x1b[31mred" "version" NIL "os" "\\"x\\\\")').of('ID'), 'no ID')
        c.ok('ID NIL')
        c.close()


@row(lambda: I)
def row_105_search_depth():
    c = Imap(I)
    c.ok('SELECT INBOX')
    for key in 'NOT ' * 12000 + 'ALL', 'OR ' * 10000 + 'ALL ALL', 'OR ALL ' * 8000 + 'ALL', '(' * 30000 + 'ALL' + ')' * 30000, 'OR', 'NOT', '()', '( ALL)', 'ALL )', 'OR ALL':
        c.want('BAD', 'SEARCH ' + key)
    c.want('BAD', 'SEARCH ' + 'ALL ' * 15000 + 'ALL')
    linear(I, 'SEARCH of many keys', lambda n: c.ok('SEARCH ' + 'ALL ' * n + 'ALL'), 1200)
    c.ok('SEARCH OR NOT (NOT SEEN ALL) OR OR ALL ALL NOT (OR DELETED (ALL))')


@row(lambda: I)
def row_106_sequence_sets():
    c = Imap(I)
    c.append('INBOX', SIMPLE)
    n = int(c.ok('SELECT INBOX').of('OK [UIDNEXT')[0].split(b']')[0]) and len(c.ok('SEARCH ALL').of('SEARCH')[0].split())
    for s in '0', '4294967296', '*:*:*', '1:', ':1', '1,,2', ',1', '1,', '1:2:3', '-1', '1;2', '01', '99999999999999999999', '1:0', '*1', '1*', '$,1', '1,$', '$:2':
        c.want('BAD', f'FETCH {s} FLAGS')
        c.want('BAD', f'UID FETCH {s} FLAGS')
        c.want('BAD', f'SEARCH {s}')
        c.want('BAD', f'STORE {s} +FLAGS (\\Seen)')
        c.want('BAD', f'COPY {s} INBOX')
        c.ok('NOOP')
    for s in ','.join(['1:*'] * 15000), ','.join(str(k % 999 + 1) + ':*' for k in range(9000)), '*:1', '*', '4294967295:*', '1,1,1,1:*':
        a = c.ok(f'FETCH {s} UID')
        check(len(a.of(str(1) + ' FETCH')) <= 1, 'a message came twice')
        want = 1 if s in ('*', '4294967295:*') else n
        check(len([l for l in a.lines if b' FETCH (' in l]) == want, f'{s[:20]}: {len(a.lines)} answers, not {want}')
        a = c.ok(f'UID FETCH {s} FLAGS')
        check(len([l for l in a.lines if b' FETCH (' in l]) == want, f'UID {s[:20]}: {len(a.lines)} answers, not {want}')
    for part in '1:*', '*:1', '1':
        linear(I, f'a set of many {part}', lambda k: c.ok('FETCH ' + ','.join([part] * k) + ' UID'), 5000)
    linear(I, 'a set that goes down', lambda k: c.ok('UID FETCH ' + ','.join(str(u) for u in range(k, 0, -1)) + ' UID'), 5000)
    c.want('BAD', f'FETCH {n + 1} UID')
    c.ok(f'UID FETCH 4000000000 FLAGS')
    c.ok('UID FETCH 4000000000:4294967295 FLAGS')
    a = c.ok('UID SEARCH UID 4000000000:*')
    check(len(a.of('SEARCH')[0].split()) == 1, str(a.all()))


BAD_NAMES = ['../../etc/passwd', 'a/../b', '/etc', '~root', '~', 'INBOX/../x', 'cur', 'new', 'tmp', '.', '..', '...', '.x', 'x.', 'a..b', 'x..', ' x', 'x ', '&AAA-', '&', '&-&', '&AGE-',
             '&Jjo', '&2AA-', '\x01', 'a\x7f', 'x' * 256, '.'.join('abcdefghijklmnopqrstuvwxyz') + '.x' * 40, '.' * 2000, 'a/b', 'a\\/b/', '&AC8-', '&ADs-&ADs-']


def tree(i, user='alice'):
    top = i.maildir(user)
    return {os.path.relpath(os.path.join(t, d), top) for t, ds, _ in os.walk(top) for d in ds}


@row(lambda: I)
def row_108_mailbox_names():
    c = Imap(I)
    c.append('INBOX', SIMPLE)
    c.ok('SELECT INBOX')
    before = tree(I)
    for name in BAD_NAMES:
        q = '"' + name.replace('\\', '\\\\') + '"'
        if name != 'x.':
            c.want('NO [CANNOT]', f'CREATE {q}')
        c.want(('NO', 'BAD'), f'RENAME INBOX {q}' if name != 'x.' else 'CREATE "."')
        for verb in 'DELETE', 'EXAMINE', 'COPY 1', 'MOVE 1':
            c.want('NO', f'{verb} {q}')
            if verb == 'EXAMINE':
                c.ok('SELECT INBOX')
        if name != 'x.':
            c.want('NO', f'SUBSCRIBE {q}')
        c.want('NO', f'STATUS {q} (MESSAGES)')
        c.want('NO', f'RENAME {q} zzz')
        c.want('NO', f'APPEND {q}', SIMPLE)
        c.ok(f'LIST "" {q}')
        c.ok(f'LIST {q} "*"')
    for raw in b'a\0b', b'a\rb', b'a\nb', b'\xff\xfe', b'\xc0\xaf', b'\xc2\x9b31m', b'\xed\xa0\x80', b'', b'a\r\nb':
        c.want(('NO', 'BAD'), 'CREATE', raw)
        c.want(('NO', 'BAD'), 'DELETE', raw)
    made = tree(I) - before
    check(not made, f'made: {sorted(made)[:5]}')


@row(lambda: I)
def row_109_create_rename_delete():
    c = Imap(I, 'dora')
    for k in range(300):
        c.send(f't{k} CREATE many.m{k}\r\n')
    for k in range(300):
        check(c.collect(f't{k}').tagged.startswith(b'OK'), 'CREATE')
    check(len(c.ok('LIST "" "many.*"').of('LIST')) == 300, 'LIST "many.*"')
    check(len([p for p in tree(I, 'dora') if p.startswith('.many.') and '/' not in p]) == 300, 'folders')
    a = c.ok('LIST "" "many"').of('LIST')
    check(len(a) == 1 and b'\\HasChildren' in a[0] and (b'\\Noselect' in a[0] or b'\\NonExistent' in a[0]), str(a))
    for k in range(300):
        c.send(f't{k} DELETE many.m{k}\r\n')
    for k in range(300):
        check(c.collect(f't{k}').tagged.startswith(b'OK'), 'DELETE')
    check([p for p in tree(I, 'dora') if p.startswith('.many')] == [], f'left: {tree(I, "dora")}')
    c.ok('CREATE a')
    c.append('a', SIMPLE)
    c.ok('RENAME a a.b')
    check({l.split()[-1] for l in c.ok('LIST "" "a*"').of('LIST')} == {b'a', b'a.b'}, 'RENAME a a.b')
    c.want('NO', 'SELECT a')
    check(b'* 1 EXISTS' in c.ok('SELECT a.b').lines, 'the message is not in a.b')
    c.ok('CREATE a')
    c.want('NO [ALREADYEXISTS]', 'CREATE a')
    c.want('NO [ALREADYEXISTS]', 'CREATE inbox')
    c.want('NO [ALREADYEXISTS]', 'RENAME a a.b')
    c.want('NO [ALREADYEXISTS]', 'RENAME a INBOX')
    c.want('NO [NONEXISTENT]', 'RENAME zz yy')
    c.ok('DELETE a')
    check(b'* 1 EXISTS' in c.ok('SELECT a.b').lines, 'DELETE of the parent took the child')
    c.want('NO', 'DELETE INBOX')
    c.want('NO', 'DELETE a')
    c.append('INBOX', SIMPLE)
    c.append('INBOX', SIMPLE)
    c.ok('CREATE INBOX.sub')
    c.ok('RENAME INBOX old-mail')
    check(b'* 2 EXISTS' in c.ok('SELECT old-mail').lines, 'RENAME INBOX moves the mail')
    check(b'* 0 EXISTS' in c.ok('SELECT INBOX').lines, 'INBOX stays, empty')
    check(b'INBOX.sub' in c.ok('LIST "" "*"').all(), 'the child of INBOX stays')


@row(lambda: I)
def row_111_append():
    c = Imap(I, 'erin')
    c.want('NO [TRYCREATE]', 'APPEND nothere', SIMPLE)
    for args in 'INBOX ("', 'INBOX (\\Foo)', 'INBOX (\\Recent)', 'INBOX "32-Nov-2026 00:00:00 +0000"', 'INBOX "x"', 'INBOX "21-Nov-2026 20:00:00"', 'INBOX "21-Nov-2026 20:00:00 +9999999"', 'INBOX ()()', '', 'INBOX CATENATE':
        c.want('BAD', f'APPEND {args}'.rstrip(), SIMPLE)
        c.ok('NOOP')
    c.send('x APPEND INBOX {10737418240}\r\n')
    got = c.line()
    check(got.startswith((b'x NO [TOOBIG]', b'x NO [LIMIT]', b'x BAD')), str(got))
    c.ok('NOOP')
    c.send(f'x APPEND INBOX {{{60 << 20}}}\r\n')
    got = c.line()
    check(got.startswith(b'x NO [TOOBIG]'), str(got))
    c.want('NO', 'APPEND INBOX', b'')
    c.send('x APPEND INBOX {100}\r\n')
    check(c.line().startswith(b'+'), 'no go-ahead')
    c.send(b'half of it')
    c.close()
    check(wait(lambda: not glob.glob(I.maildir('erin') + '/tmp/*')), 'left in tmp/')
    c = Imap(I, 'erin')
    check(b'* 0 EXISTS' in c.ok('SELECT INBOX').lines and not I.mails('erin'), 'a partial message was kept')
    # MULTIAPPEND: the second message is refused, and so is the first; its text is never run as a command
    c.send(b'x APPEND INBOX {%d+}\r\n' % len(SIMPLE) + SIMPLE + b' (\\Bad) {16+}\r\nc CREATE hacked\n\r\n')
    check(c.collect('x').tagged.startswith(b'BAD'), 'MULTIAPPEND')
    c.ok('NOOP')
    check(b'hacked' not in c.ok('LIST "" "*"').all(), 'the text of a message was run as a command')
    check(b'* 0 EXISTS' in c.ok('SELECT INBOX').lines, 'half of a MULTIAPPEND was kept')
    more = b' {%d+}\r\n' % len(SIMPLE) + SIMPLE
    c.send(b'x APPEND INBOX' + more * 50 + b'\r\n')
    check(c.collect('x').tagged.startswith(b'OK'), '50 messages in one command')
    c.send(b'x APPEND INBOX' + more * 10000 + b'\r\nz NOOP\r\n')
    got = c.collect('x').tagged
    check(got.startswith(b'NO [LIMIT]') and b'50' in got, f'10,000 messages in one command: {got}')
    check(c.collect('z').tagged.startswith(b'OK'), 'the text of a message was run as a command')
    check(len(I.mails('erin')) == 50, 'a part of a MULTIAPPEND was kept')
    c.ok('STORE 1:* +FLAGS.SILENT (\\Deleted)')
    c.ok('EXPUNGE')
    c.append('INBOX', SIMPLE, '\\Seen \\Flagged $Work', '01-Jan-1971 10:20:30 +0130')
    a = c.ok('FETCH 1 (FLAGS INTERNALDATE)').all()
    check(b'" 1-Jan-1971 08:50:30 +0000"' in a and b'$Work' in a, str(a))
    for date in '31-Dec-9999 23:59:59 +0000', ' 1-Feb-2001 00:00:00 -1200', '01-Jan-1960 00:00:00 +0000':
        a = c.cmd(f'APPEND INBOX "{date}"', SIMPLE)
        check(a.tagged.startswith((b'OK', b'BAD')), f'{date}: {a.tagged}')
    n = len(I.mails('erin'))
    c.send(b'x APPEND INBOX {%d+}\r\n' % len(SIMPLE) + SIMPLE * 2 + b'\r\n')
    check(c.collect('x').tagged.startswith(b'BAD'), 'bytes behind the literal')
    check(len(I.mails('erin')) == n, 'a message with bytes behind it was kept')


@row(lambda: I)
def row_112_idle():
    c = Imap(I)
    c.ok('SELECT INBOX')
    for text in 'DONE IT', 'garbage', 'a1 NOOP', '', '\x1b', 'x' * 70000:
        c.send('i IDLE\r\n')
        got = c.line()
        check(got.startswith(b'+'), str(got))
        c.send(text + '\r\n')
        got = c.line()
        check(got.startswith((b'i BAD', b'* BYE')), f'{text[:10]}: {got}')
        if got.startswith(b'* BYE'):
            c = Imap(I)
            c.ok('SELECT INBOX')
        c.ok('NOOP')
    many = [Imap(I) for _ in range(40)]
    for m in many:
        m.send('s SELECT INBOX\r\ni IDLE\r\n')
    for m in many:
        m.collect('s')
        while not m.line().startswith(b'+'):
            pass
    Imap(I, 'alice').append('INBOX', SIMPLE)
    for m in many:
        while not m.line().endswith(b'EXISTS'):
            pass
        m.send('DoNe\r\n')
        check(m.collect('i').tagged.startswith(b'OK'), 'IDLE')
        m.close()


@row(lambda: I)
def row_114_mailboxes_of_others():
    for name in 'Other Users.bob', 'user.bob', '#users.bob.INBOX', '~bob.INBOX', 'bob@' + DOMAIN, '../bob/Maildir', 'user/bob', '~bob@' + DOMAIN:
        c = Imap(I)
        c.append('INBOX', SIMPLE)
        c.ok('SELECT INBOX')
        for verb in 'EXAMINE', 'DELETE', 'COPY 1':
            got = [c.want('NO', f'{verb} "{n}"').tagged for n in (name, name.replace('bob', 'zob'))]
            check(got[0] == got[1], f'{verb} {name}: the answer tells who exists: {got}')
            if verb == 'EXAMINE':
                c.ok('SELECT INBOX')
        check(c.ok(f'LIST "" "{name}"').of('LIST') == [], 'LIST shows it')
        c.close()


@row(lambda: I)
def row_116_keywords():
    c = Imap(I, 'fred')
    c.append('INBOX', SIMPLE)
    c.ok('SELECT INBOX')
    c.want(('NO [LIMIT]', 'BAD'), 'STORE 1 +FLAGS (' + 'k' * 10240 + ')')
    full = [k for k in range(60) if c.cmd(f'STORE 1 +FLAGS (key{k})').tagged.startswith(b'NO [LIMIT]')]
    check(len(full) == 60 - 26, f'{60 - len(full)} keywords were taken')
    c.want(('NO', 'BAD'), 'STORE 1 +FLAGS (' + ' '.join(f'w{k}' for k in range(1000)) + ')')
    c.want(('NO', 'BAD'), 'APPEND INBOX (' + ' '.join(f'w{k}' for k in range(90)) + ')', SIMPLE)
    for bad in 'a\x80b', 'a]b', '"a"', '\\', '\\\\Seen', '\\Seen\\', '{1}', 'a(b', '\x01':
        c.want('BAD', f'STORE 1 +FLAGS ({bad})')
        c.ok('NOOP')
    check(b'key0' in c.ok('FETCH 1 FLAGS').all() and b'key25' in c.ok('FETCH 1 FLAGS').all(), 'keywords are lost')
    c.ok('STORE 1 -FLAGS (nosuch)')
    check(b'nosuch' not in c.ok('SELECT INBOX').all(), 'a keyword came from a removal')
    name = os.path.basename(I.mails('fred')[0])
    check(len(name) < 255, name)


@row(lambda: I)
def row_118_addresses():
    c = Imap(I, 'gina')
    cases = [
        (b'To: Group: a@x.example, "B, b" <b@y.example>;, c@z.example', b'((NIL NIL "Group" NIL)(NIL NIL "a" "x.example")("B, b" NIL "b" "y.example")(NIL NIL NIL NIL)(NIL NIL "c" "z.example"))'),
        (b'To: undisclosed-recipients:;', b'((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))'),
        (b'To: <@route.example:a@x.example>', b'"a" "x.example"'),
        (b'To: a (comment (nested)) @ x.example', b'"a" "x.example"'),
        (b'To: "quo\\"ted\\\\" <a@x.example>', b'"quo\\"ted\\\\"'),
        (b'To:', b'NIL'), (b'To: ,,,,', b'NIL'), (b'To: <>', b''), (b'To: :;:;', b''), (b'To: "unterminated', b''), (b'To: a@', b''), (b'To: @b', b''), (b'To: (((((', b''),
        (b'To: =?utf-8?q?x?= <a@b.example>', b'"=?utf-8?q?x?=" NIL "a" "b.example"'), (b'To: \xe9\xff <a@b.example>', b''), (b'To: a@[127.0.0.1]', b'"[127.0.0.1]"'),
    ]
    for head, want in cases:
        c.append('INBOX', head + b'\r\nSubject: x\r\n\r\n')
    c.ok('SELECT INBOX')
    for k, (head, want) in enumerate(cases):
        got = c.ok(f'FETCH {k + 1} ENVELOPE').of(f'{k + 1} FETCH')[0]
        check(want in got, f'{head}: {got}')
        check(balanced(got), f'{head}: {got}')
    for n in 100_000, 200_000:
        c.append('INBOX', b'To: ' + b'a@b,' * n + b'\r\n\r\n')
    c.ok('SELECT INBOX')
    many = {100_000: len(cases) + 1, 200_000: len(cases) + 2}
    linear(I, 'ENVELOPE of many addresses', lambda n: check(balanced(c.ok(f'FETCH {many[n]} ENVELOPE').lines[0]), 'unbalanced'), 100_000)


def balanced(line):
    """parentheses, strings and literals of one answer"""
    depth, k = 0, 0
    while k < len(line):
        ch = line[k:k + 1]
        if ch == b'"':
            m = re.compile(rb'"(?:[^"\\\r\n]|\\["\\])*"').match(line, k)
            if not m:
                return False
            k = m.end()
            continue
        m = re.compile(rb'\{(\d+)\}\r\n').match(line, k)
        if m:
            k = m.end() + int(m[1])
            continue
        depth += ch == b'('
        depth -= ch == b')'
        if depth < 0:
            return False
        k += 1
    return depth == 0


@row(lambda: I)
def row_119_authenticate_with_a_literal():
    for text in 'AUTHENTICATE {4}\r\n', 'AUTHENTICATE PLAIN {4}\r\nabcd\r\n', 'AUTHENTICATE PLAIN {4+}\r\nabcd\r\n', 'AUTHENTICATE {4+}\r\nabcd\r\n', 'AUTHENTICATE PLAIN ==== x\r\n', 'AUTHENTICATE PLAIN "="\r\n':
        c = Imap(I, None).send('a ' + text)
        got = c.line()
        if got.startswith(b'+'):
            got = c.send('abcd\r\n').line()
        check(got.startswith((b'a BAD', b'a NO', b'* BYE', b'* BAD')), f'{text!r}: {got}')
        c.close()
    c = Imap(I, None).send('a AUTHENTICATE PLAIN\r\n')
    check(c.line().startswith(b'+'), 'no go-ahead')
    check(c.send('*\r\n').line().startswith(b'a BAD'), 'cancel')
    check(c.cmd('NOOP').tagged.startswith(b'OK'), 'the session goes on')


@row(lambda: I)
def row_121_pipelined_without_reading():
    c = Imap(I)
    c.s.setblocking(False)
    base = {p: rss(p) for p in list(sessions(I)) + sessions(I, 'imapd')}
    sent, end = 0, time.monotonic() + 3
    block = b''.join(b'p CAPABILITY\r\n' for _ in range(1000))
    while time.monotonic() < end and sent < len(block) * 200:
        try:
            sent += c.s.send(block)
        except BlockingIOError:
            time.sleep(0.05)
            if not select.select([], [c.s], [], 0.5)[1]:
                break
    grown = {p: rss(p) - k for p, k in base.items()}
    check(SANITIZED or max(grown.values()) < 2048, f'grown by {grown} KiB')
    c.close()


@row(lambda: I)
def row_108_patterns_of_list():
    """as many wildcards as a line takes, where each could stand for anything"""
    c = Imap(I, 'lena')
    c.ok('CREATE ' + 'a' * 200)
    c.ok('CREATE ' + '.'.join(['bb'] * 20))
    for part in '%*', '*a', '%a', '*.', '*%b':
        linear(I, f'LIST of many {part}', lambda n: c.ok(f'LIST "" "{part * n}c"'), 100)
        c.ok(f'LSUB "" "{part * 200}"')
    check(len(c.ok('LIST "" ' + '*' * 5000).of('LIST')) == len(c.ok('LIST "" *').of('LIST')) or c.ok('LIST "" ' + '*' * 5000).tagged == b'OK Nothing can match', '*')


@row(lambda: I)
def row_111_append_cut_at_every_byte():
    text = b'a APPEND INBOX (\\Seen) "01-Jan-2020 00:00:00 +0000" {%d+}\r\n%s {%d+}\r\n%s\r\n' % ((len(SIMPLE), SIMPLE) * 2)
    start, cuts = len(I.log()), range(0, len(text), 3)
    for k in cuts:
        Imap(I, 'lena').send(text[:k]).close()
    check(wait(lambda: len(re.findall('imap-session.*login=<lena@.*end=', I.log()[start:])) >= len(cuts), 60), 'sessions stay')
    check(not I.mails('lena') and not os.listdir(I.maildir('lena') + '/tmp'), 'something was kept')


# of other programs: flags and sizes that are none, UIDs twice and too large, bytes that are no text, what is no file
FOREIGN = [b'a:2,S', b'a:2,', b'a:', b'b:1,x', b'c:2,' + b'S' * 200, b'x' * 250, b',S=99999999999999999999999:2,', b',U=0:2,', b'd,U=4294967295:2,',
           b'e,U=4294967296,S=-1,W=1:2,', b'\xff\xfe\xfd:2,S', b'a\nb:2,', b'a\tb\x1b[2J:2,', b' ', b':2,', b'9' * 100 + b'.x:2,', b'1.x,U=5:2,', b'1.y,U=5:2,', b'-5.x:2,',
           b'1e9.x,W=3:2,zzz\x7f']


@row(lambda: I)
def names_of_files_that_are_no_names():
    c = Imap(I, 'mona')
    c.ok('SELECT INBOX')
    cur = I.maildir('mona') + '/cur/'
    for n in FOREIGN:
        with open(cur.encode() + n, 'wb') as f:
            f.write(SIMPLE.replace(b'\r', b''))
    os.mkdir(cur + 'dir:2,'), os.symlink('/etc/passwd', cur + 'link:2,'), os.mkfifo(cur + 'fifo:2,'), open(cur + 'empty:2,', 'w').close()
    owner = os.stat(cur)
    for n in os.listdir(cur):
        os.chown(cur + n, owner.st_uid, owner.st_gid, follow_symlinks=False)
    c = Imap(I, 'mona')
    c.ok('SELECT INBOX')
    a = c.ok('UID FETCH 1:* (FLAGS RFC822.SIZE ENVELOPE INTERNALDATE BODY.PEEK[])')
    uids = [int(u) for u in re.findall(rb'FETCH \(UID (\d+)', a.all())]
    check(uids == sorted(set(uids)) and max(uids) < 1000, f'UIDs {uids}')
    check(a.all().count(b'hello world') >= 10 and b'root:' not in a.all(), f'{len(a.lines)} messages')
    c.ok('STORE 1:* +FLAGS (\\Seen word)')
    check(c.ok('SEARCH UNSEEN').lines[0] == b'* SEARCH', 'flags do not hold')
    c.ok('COPY 1:* Trash')
    c.ok('UID MOVE 1:* Archive')
    check(b'* %d EXISTS' % len(uids) in c.ok('SELECT Archive').lines, 'messages are lost')
    p = Pop(I, 'mona')
    check(p.many('LIST') == [], 'POP3 sees others')
    p.want('+OK', 'QUIT')


@row(lambda: I)
def removed_while_they_are_fetched():
    c, d = Imap(I, 'nina', timeout=60), Imap(I, 'nina', timeout=60)
    for k in range(60):
        c.append('INBOX', SIMPLE)
    c.ok('SELECT INBOX'), d.ok('SELECT INBOX')
    for k in range(12):
        for f in I.mails('nina')[k::9]:
            os.unlink(f)                    # by another program
        d.send(f'x STORE 1:3 +FLAGS.SILENT (\\Deleted)\r\ny EXPUNGE\r\nz APPEND INBOX {{{len(SIMPLE)}+}}\r\n'.encode() + SIMPLE + b'\r\n')
        a = c.want(('OK', 'NO [EXPUNGEISSUED]'), 'FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[] PREVIEW INTERNALDATE)')
        check(not [l for l in a.lines if l.endswith(b'EXPUNGE')], 'EXPUNGE during FETCH')
        c.want('OK', 'SORT (SUBJECT) UTF-8 BODY hello')
        check(d.collect('z').tagged.startswith(b'OK'), 'APPEND')
        c.ok('NOOP'), d.ok('NOOP')
    for s in c, d:
        s.ok('NOOP')
    a, b = (s.ok('UID FETCH 1:* FLAGS').lines for s in (c, d))
    check([re.sub(rb' ?\\Recent ?', b'', l) for l in a] == [re.sub(rb' ?\\Recent ?', b'', l) for l in b], f'{a} {b}')


# ---- what clients do every day

@row(lambda: I)
def two_sessions_see_each_other():
    a, b = Imap(I, 'hugo'), Imap(I, 'hugo')
    for k in range(10):
        a.append('INBOX', SIMPLE, date=f'{k + 10}-Nov-2020 00:00:00 +0000')
    a.ok('SELECT INBOX')
    b.ok('SELECT INBOX')
    a.ok('STORE 2:3 +FLAGS (\\Deleted)')
    a.ok('STORE 5 +FLAGS.SILENT (\\Flagged work)')
    got = b'\n'.join(l for l in b.ok('NOOP').lines if b' FETCH ' in l)
    check(got.count(b'\\Deleted') == 2 and b'* 5 FETCH' in got and b'work' in got, f'flags of the other session: {got}')
    got = a.ok('EXPUNGE').lines
    check([l for l in got if l.endswith(b'EXPUNGE')] == [b'* 3 EXPUNGE', b'* 2 EXPUNGE'] or [l for l in got if l.endswith(b'EXPUNGE')] == [b'* 2 EXPUNGE', b'* 2 EXPUNGE'], str(got))
    x = b.ok('FETCH 1:* UID')
    check(not [l for l in x.lines if b'EXPUNGE' in l], 'EXPUNGE during FETCH')
    check(x.of('10 FETCH'), 'message 10 changed its number before an EXPUNGE')
    b.want(('OK', 'NO [EXPUNGEISSUED]'), 'FETCH 2 BODY.PEEK[]')
    x = b.ok('SEARCH ALL')
    check(not [l for l in x.lines if b'EXPUNGE' in l], 'EXPUNGE during SEARCH')
    check(x.of('SEARCH')[0].split() == [b'1', b'4', b'5', b'6', b'7', b'8', b'9', b'10'], str(x.lines))
    b.want(('OK', 'NO'), 'STORE 2 +FLAGS (\\Seen)')
    x = b.ok('NOOP').lines
    check(len([l for l in x if l.endswith(b'EXPUNGE')]) == 2, f'NOOP with pending expunges: {x}')
    check(len([l for l in b.ok('FETCH 1:* FLAGS').lines if b' FETCH (' in l]) == 8, 'FETCH 1:*')
    a.append('INBOX', SIMPLE)
    x = b.ok('CHECK').lines
    check(b'* 9 EXISTS' in x, str(x))
    b.ok('UID STORE 1:* -FLAGS (work)')
    x = [l for l in a.ok('UID FETCH 1:* FLAGS').lines if b'UID 5 ' in l][-1]
    check(b'work' not in x and b'\\Flagged' in x, str(x))
    for s in a, b:
        check(s.ok('STATUS INBOX (MESSAGES UNSEEN UIDNEXT UIDVALIDITY RECENT)').of('STATUS')[0].startswith(b'INBOX (MESSAGES 9 '), 'STATUS of the selected mailbox')
    a.ok('CLOSE')
    a.want('BAD', 'FETCH 1 UID')
    a.ok('EXAMINE INBOX')
    a.want('NO', 'STORE 1 +FLAGS (\\Seen)')
    a.want('NO', 'EXPUNGE')
    a.ok('FETCH 1 BODY[]')
    check(b'\\Seen' not in a.ok('FETCH 1 FLAGS').all(), 'EXAMINE set \\Seen')
    a.ok('UNSELECT')
    a.want('BAD', 'UNSELECT')


@row(lambda: I)
def idle_tells_several_changes():
    a, b = Imap(I, 'ida'), Imap(I, 'ida')
    for _ in range(4):
        a.append('INBOX', SIMPLE)
    a.ok('SELECT INBOX')
    b.ok('SELECT INBOX')
    b.send('i IDLE\r\n')
    check(b.line().startswith(b'+'), 'no go-ahead')
    a.ok('STORE 1 +FLAGS (\\Deleted)')
    a.ok('STORE 3 +FLAGS (\\Flagged)')
    a.ok('EXPUNGE')
    a.append('INBOX', SIMPLE)
    a.append('INBOX', SIMPLE)
    got = []
    while not (b'* 1 EXPUNGE' in got and b'* 5 EXISTS' in got and any(b'\\Flagged' in l for l in got)):
        got.append(b.line())
    b.send('DONE\r\n')
    check(b.collect('i').tagged.startswith(b'OK'), 'DONE')
    check(len(b.ok('FETCH 1:* UID').lines) == 5, 'FETCH')


@row(lambda: I)
def commands_of_common_clients():
    c = Imap(I, None, 'imaps')
    check(b'[CAPABILITY IMAP4rev1' in c.greeting and b'STARTTLS' not in c.greeting, str(c.greeting))
    c = Imap(I, None)
    check(b'STARTTLS' in c.ok('CAPABILITY').all(), 'no STARTTLS')
    c.ok('STARTTLS')
    c.s, c.b = I.tls().wrap_socket(c.s, server_hostname='127.0.0.1'), b''
    got = c.ok('CAPABILITY').all()
    check(b'STARTTLS' not in got and b'AUTH=PLAIN' in got, str(got))
    c.want('BAD', 'STARTTLS')
    a = c.ok(f'LOGIN jack@{DOMAIN} pw-jack')
    check(b'[CAPABILITY ' in a.tagged and b'AUTH=' not in a.tagged, str(a.tagged))
    c.ok('ID ("name" "Thunderbird" "version" "128.0")')
    check(c.ok('NAMESPACE').of('NAMESPACE') == [b'(("" ".")) NIL NIL'], 'NAMESPACE')
    check(c.ok('LIST "" ""').of('LIST') == [b'(\\Noselect) "." ""'], 'LIST "" ""')
    for name in 'Sent', 'Drafts', 'Trash', 'Junk', 'Archive':
        c.want('NO [ALREADYEXISTS]', f'CREATE {name}')
        c.ok(f'SUBSCRIBE {name}')
    got = c.ok('LIST "" "*"').all()
    for name in b'Sent', b'Drafts', b'Trash', b'Junk', b'Archive':
        check(b'\\' + name + b') "." ' + name in got, f'special use: {got}')
    check(len(c.ok('LIST "" "%"').of('LIST')) == 6, 'LIST %')
    check(len(c.ok('LIST "" INBOX').of('LIST')) == 1 and len(c.ok('LIST "" inbox').of('LIST')) == 1, 'LIST INBOX')
    check(len(c.ok('LSUB "" "*"').of('LSUB')) == 5, 'LSUB')
    c.ok('CREATE Work.2026.')
    c.ok('SUBSCRIBE Work.2026')
    a = c.ok('LSUB "" "%"').of('LSUB')
    check(any(l == b'(\\Noselect) "." Work' for l in a), f'LSUB % of an unsubscribed parent: {a}')
    c.ok('SUBSCRIBE Gone')
    check(b'Gone' in c.ok('LSUB "" "*"').all(), 'a subscription to a missing mailbox')
    c.ok('UNSUBSCRIBE Gone')
    c.ok('SELECT INBOX')
    c.want('NO [TRYCREATE]', 'UID COPY 1:* Missing')
    c.append('INBOX', SIMPLE)
    c.want('NO [TRYCREATE]', 'UID COPY 1:* Missing')
    c.want('NO [TRYCREATE]', 'UID MOVE 1:* Missing')
    a = c.ok('UID COPY 1:* Trash')
    check(b'[COPYUID ' in a.tagged, str(a.tagged))
    a = c.ok('UID FETCH 1:* (FLAGS)')
    check(b'UID' in a.all(), 'UID FETCH tells no UID')
    a = c.ok('uid fetch 1 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])')
    check(b'Subject: simple\r\n' in a.all() and a.all().count(b'hello') == 0, str(a.all()))
    c.ok('UID STORE 1 +Flags (\\Seen)')
    c.ok('UID STORE 1 +FLAGS (NonJunk $MDNSent)')
    c.ok('UID SEARCH RETURN (ALL) ALL')
    c.ok('UID SEARCH 1:* NOT DELETED')
    c.ok('UID SEARCH UNDELETED SINCE 1-Jan-2020 LARGER 1')
    c.ok('UID SEARCH CHARSET UTF-8 TEXT', 'grüße'.encode())
    c.want('NO [BADCHARSET', 'SEARCH CHARSET X-NONE ALL')
    c.ok('UID FETCH 1 (BODYSTRUCTURE BODY.PEEK[1]<0.4>)')
    check(c.fetch1(1, 'BODY.PEEK[1]<0.4>') == b'hell', 'partial')
    check(c.fetch1(1, 'BODY.PEEK[TEXT]<100.4>') == b'', 'partial behind the end')
    a = c.ok('UID MOVE 1 Trash')
    check(any(b'COPYUID' in l for l in a.lines) and b'* 1 EXPUNGE' in a.lines, str(a.lines))
    a = c.ok('ENABLE CONDSTORE X-UNKNOWN')
    check(a.of('ENABLED') == [b'CONDSTORE'], str(a.lines))
    c.ok('EXAMINE Trash')
    a = c.ok('STATUS Trash (MESSAGES UNSEEN SIZE)')
    check(a.of('STATUS') == [b'Trash (MESSAGES 2 UNSEEN 1 SIZE %d)' % (2 * len(SIMPLE))], str(a.lines))
    c.want('BAD', 'STATUS Trash ()')
    c.want('BAD', 'STATUS Trash (NOSUCH)')
    c.want('NO', 'STATUS Missing (MESSAGES)')
    c.want('NO [NONEXISTENT]', 'SELECT Missing')
    c.want('BAD', 'FETCH 1 UID')
    a = c.cmd('LOGOUT')
    check(a.of('BYE') and a.tagged.startswith(b'OK'), 'LOGOUT')
    check(c.line() is None, 'the server stays')


@row(lambda: I)
def bytes_one_by_one():
    c = Imap(I, None, 'imaps')
    for b in f'a LOGIN {{{len("kate@" + DOMAIN)}}}\r\n':
        c.send(b)
    check(c.line().startswith(b'+'), 'no go-ahead')
    for b in f'kate@{DOMAIN} "pw-kate"\r\nb SELECT INBOX\r\nc APPEND INBOX {{{len(SIMPLE)}+}}\r\n'.encode() + SIMPLE + b'\r\nd FETCH 1 BODY[]\r\n':
        c.send(bytes([b]))
    for tag in 'abc':
        check(c.collect(tag).tagged.startswith(b'OK'), tag)
    check(literal([l for l in c.collect('d').lines if b'BODY' in l][0]) == SIMPLE, 'FETCH')


if __name__ == '__main__':
    with Instance(users='alice bob dora erin fred gina hugo ida jack kate lena mona nina'.split()) as I:
        main()
