#!/usr/bin/env python3
"""IMAP beyond the base: what is announced is there, through the running suite."""
import base64, zlib
from rawmail import *

I = None


@test
def searching_a_large_body_takes_little_memory():
    c = Imap(I, timeout=120)
    c.ok('NOOP')                # its session answers, so it is there
    pid = max(sessions(I), key=lambda p: int(open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split()[19]))
    line = 'Grüße aus dem Büro und noch viele weitere Worte\r\n'.encode() * 200
    size = 0
    for encoding in '8bit', 'base64':
        body = line * 1000 + 'das Gesuchte: Äpfel\r\n'.encode() + line * 200
        body = base64.encodebytes(body).replace(b'\n', b'\r\n') if encoding == 'base64' else body
        message = b'Subject: big\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n' % encoding.encode() + body
        c.append('INBOX', message)
        size = max(size, len(message) >> 10)
    c.ok('SELECT INBOX')
    check(c.ok('SEARCH BODY', 'gesuchte: ÄPFEL'.encode()).of('SEARCH') == [b'1 2'], 'not found')
    check(c.ok('SEARCH TEXT nowhere').lines[0] == b'* SEARCH', 'found')
    # the file is mapped: its pages are the kernel's to take back
    check(SANITIZED or rss(pid, peak=True) - size < 16 << 10, f'{rss(pid, peak=True)} KiB for {size} KiB')
    c.ok('LOGOUT')


def announced(c, word):
    check(word.encode() in c.ok('CAPABILITY').of('CAPABILITY')[0].split(), f'{word} is not announced')


@test
def lists_with_options():
    c = Imap(I, 'bob')
    announced(c, 'LIST-EXTENDED'), announced(c, 'LIST-STATUS')
    for name in 'Work.2026', 'Work.2027', 'Travel':
        c.ok(f'CREATE {name}')
    c.ok('SUBSCRIBE Work.2026')
    c.append('Work.2026', b'Subject: x\r\n\r\nx\r\n')
    a = c.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" (W% Trav*) RETURN (CHILDREN STATUS (MESSAGES UNSEEN))').lines
    check(a == [b'* LIST (\\NonExistent \\HasChildren) "." Work ("CHILDINFO" ("SUBSCRIBED"))'], str(a))
    a = c.ok('LIST "" Work.% RETURN (STATUS (MESSAGES UNSEEN) SUBSCRIBED)').lines
    check(a[:2] == [b'* LIST (\\HasNoChildren \\Subscribed) "." Work.2026', b'* STATUS Work.2026 (MESSAGES 1 UNSEEN 1)'], str(a))
    c.ok('LOGOUT')


@test
def names_in_utf8():
    c = Imap(I, 'bob')
    announced(c, 'IMAP4rev2'), announced(c, 'UTF8=ACCEPT')
    c.ok('CREATE "Gr&APw-n"')
    check(c.ok('ENABLE IMAP4rev2 UTF8=ACCEPT').of('ENABLED') == [b'IMAP4rev2 UTF8=ACCEPT'], 'ENABLE')
    a = c.ok('LIST "" Gr*').of('LIST')
    check(a == ['(\\HasNoChildren) "." "Grün"'.encode()], str(a))
    a = c.ok('SELECT "Grün"'.encode())
    check('() "." "Grün"'.encode() in a.of('LIST'), str(a.lines))
    check(c.ok('SEARCH ALL').lines[0].startswith(b'* ESEARCH'), 'SEARCH')
    c.ok('LOGOUT')


@test
def told_without_asking():
    c, d = Imap(I, 'bob'), Imap(I, 'bob')
    announced(c, 'NOTIFY'), announced(c, 'UIDONLY')
    c.ok('SELECT INBOX')
    c.ok('NOTIFY SET (selected (MessageNew (UID) MessageExpunge)) (personal (MessageNew MessageExpunge MailboxName))')
    d.ok('CREATE Noticed')
    d.append('Noticed', b'Subject: x\r\n\r\nx\r\n')
    d.append('INBOX', b'Subject: x\r\n\r\nx\r\n')
    wanted = [b'* LIST ', b'* STATUS Noticed (MESSAGES 1 ', b' EXISTS', b' FETCH (UID ']
    while wanted:
        line = c.response()
        wanted = [w for w in wanted if w not in line]
    c.ok('LOGOUT'), d.ok('LOGOUT')


@test
def searches_with_options():
    c = Imap(I, 'carol')
    for word in 'ESEARCH', 'SEARCHRES', 'WITHIN':
        announced(c, word)
    for n in range(4):
        c.append('INBOX', b'Subject: s%d\r\n\r\nx\r\n' % n, date='01-Jan-2020 00:00:00 +0000' if n == 0 else '')
    c.ok('SELECT INBOX')
    a = c.ok('UID SEARCH RETURN (SAVE MIN MAX ALL COUNT) YOUNGER 864000')
    check(b'UID MIN 2 MAX 4 ALL 2:4 COUNT 3' in a.of('ESEARCH')[0], str(a.lines))
    a = c.ok('FETCH $ (UID)').of('4')
    check(a == [b'FETCH (UID 4)'], str(a))
    c.want('NO [ALREADYEXISTS]', 'CREATE Trash')
    c.ok('MOVE $ Trash')
    check(c.ok('SEARCH RETURN (COUNT) $').lines[0].endswith(b'COUNT 0'), 'what has moved is still there')
    c.ok('LOGOUT')


@test
def status_tells_what_append_takes():
    c = Imap(I, 'carol')
    announced(c, 'APPENDLIMIT')
    limit = int(c.ok('STATUS INBOX (APPENDLIMIT)').of('STATUS INBOX (APPENDLIMIT')[0].strip(b')'))
    check(limit == 50 << 20, str(limit))
    c.want('NO [TOOBIG]', 'APPEND INBOX {%d}' % (limit + 1))
    c.ok('LOGOUT')


# what the session says of itself, by what each word stands for
EXTENSIONS = '''IMAP4rev1 IMAP4rev2 UTF8=ACCEPT LITERAL+ ID ENABLE NAMESPACE CHILDREN SPECIAL-USE CREATE-SPECIAL-USE UIDPLUS MOVE UNSELECT IDLE
STATUS=SIZE LIST-EXTENDED LIST-STATUS ESEARCH ESORT SEARCHRES WITHIN SORT SORT=DISPLAY THREAD=ORDEREDSUBJECT THREAD=REFERENCES APPENDLIMIT MULTIAPPEND
CONDSTORE QRESYNC OBJECTID SAVEDATE QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE BINARY PREVIEW REPLACE COMPRESS=DEFLATE INPROGRESS PARTIAL UIDONLY NOTIFY
MESSAGELIMIT=1000000'''.split()


@test
def every_announced_word_is_there():
    c = Imap(I, None)
    a = c.ok(f'LOGIN bob@{DOMAIN} pw-bob')
    said = a.tagged.split(b'[CAPABILITY ')[1].split(b']')[0].decode().split()
    check(sorted(said) == sorted(EXTENSIONS), f'{set(said) ^ set(EXTENSIONS)}')
    check(c.ok('CAPABILITY').of('CAPABILITY')[0].decode().split() == said, 'CAPABILITY and the login differ')
    c.ok('CREATE Every')
    c.append('Every', b'Subject: one\r\n\r\nx\r\n'), c.append('Every', b'Subject: two\r\n\r\nx\r\n')
    c.ok('SELECT Every')
    for text, want in (
            ('NAMESPACE', '* NAMESPACE (("" ".")) NIL NIL'),
            ('ID NIL', '* ID ("name" "Merpati")'),
            ('STATUS Every (SIZE APPENDLIMIT HIGHESTMODSEQ MAILBOXID)', '* STATUS Every (SIZE 38 HIGHESTMODSEQ '),
            ('LIST (SPECIAL-USE) "" * RETURN (CHILDREN STATUS (MESSAGES))', '\\Sent'),
            ('SEARCH RETURN (COUNT SAVE) YOUNGER 1000', ' COUNT 2'),
            ('FETCH $ (EMAILID THREADID SAVEDATE PREVIEW BINARY.SIZE[1] MODSEQ)', 'EMAILID (M'),
            ('UID SEARCH RETURN (PARTIAL 1:1) ALL', ' PARTIAL (1:1 1)'),
            ('UID SEARCH UIDAFTER 1 UIDBEFORE 3', '* SEARCH 2'),
            ('SORT RETURN (MIN ALL) (REVERSE DISPLAYFROM SUBJECT) UTF-8 ALL', ' ALL 1:2'),
            ('THREAD ORDEREDSUBJECT UTF-8 ALL', '* THREAD (1)(2)'),
            ('THREAD REFERENCES UTF-8 ALL', '* THREAD (1)(2)'),
            ('GETQUOTAROOT INBOX', '* QUOTAROOT INBOX'),
            ('ENABLE CONDSTORE', 'OK'),
            ('UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)', 'MODSEQ ('),
            ('CREATE Every.Sent (USE (\\Sent))', 'OK'),
            ('UID MOVE 1 Trash', '[COPYUID '),
            ('NOTIFY SET (selected (MessageNew MessageExpunge))', 'OK'),
            ('NOTIFY NONE', 'OK'),
            ('UNSELECT', 'OK'),
            ('ENABLE QRESYNC UIDONLY UTF8=ACCEPT IMAP4rev2', '* ENABLED QRESYNC IMAP4rev2 UTF8=ACCEPT UIDONLY')):
        got = c.ok(text).all()
        check(want.encode() in got, f'{text}: {got}')
    c.ok('LOGOUT')


@test
def several_messages_in_one_append():
    c = Imap(I, 'carol')
    announced(c, 'MULTIAPPEND')
    c.ok('CREATE Many')
    text = b'Subject: x\r\n\r\nx\r\n'
    one = b' {%d+}\r\n%s' % (len(text), text)
    a = c.ok(b'APPEND Many' + one * 50)
    check(b' 1:50]' in a.tagged, str(a.tagged))
    c.want('NO [LIMIT]', b'APPEND Many' + one * 51)
    check(c.ok('STATUS Many (MESSAGES)').lines == [b'* STATUS Many (MESSAGES 50)'], 'some of too many were kept')
    c.ok('LOGOUT')


@test
def a_command_stops_when_its_client_has_gone():
    c = Imap(I, 'carol', timeout=60)
    c.ok('CREATE Large')
    text = b'Subject: x\r\n\r\n' + b'nothing of interest here\r\n' * 40000
    for n in range(40):
        c.append('Large', text)
    before = sessions(I)
    c = Imap(I, 'carol', timeout=60)
    c.ok('SELECT Large')
    pid, = set(sessions(I)) - set(before)
    keys = b' '.join(b'BODY absent%d' % n for n in range(300))
    start = cpu(pid)
    c.ok(b'SEARCH 1 ' + keys)
    one = cpu(pid) - start
    start, log, used = cpu(pid), len(I.log()), []
    c.send(b'y SEARCH ' + keys + b'\r\n')
    c.s.shutdown(socket.SHUT_RDWR)
    c.s.close()
    check(wait(lambda: used.append(cpu(pid)) or not os.path.exists(f'/proc/{pid}'), 60), 'it goes on')
    check(max(used) - start < 20 * one, f'of 40 messages, of which one takes {one / 1e6:.0f} ms, it searched {(max(used) - start) / 1e6:.0f} ms')
    check(wait(lambda: 'end=closed by the client' in I.log()[log:]), I.log()[log:])


@test
def a_user_has_so_many_sessions_from_one_address():
    some = [Imap(I, 'emil') for _ in range(5)]
    c = Imap(I, None)
    a = c.want('NO [LIMIT]', f'LOGIN emil@{DOMAIN} pw-emil')
    check(b'Too many sessions of this user' in a.tagged, str(a.tagged))
    check(I.tells('refused, 5 sessions are there (mail_max_userip_connections)'), 'not logged')
    p = Pop(I, None)
    p.want('+OK', f'USER emil@{DOMAIN}')
    p.want('+OK', 'PASS pw-emil')       # sessions of POP3 are counted apart
    Imap(I, 'bob').ok('LOGOUT')
    some.pop().ok('LOGOUT')
    some.pop().close()
    check(wait(lambda: c.cmd(f'LOGIN emil@{DOMAIN} pw-emil').tagged.startswith(b'OK')), 'the place of who has left is not free')
    for s in some:
        s.ok('LOGOUT')


class Squeezed(Imap):
    """after COMPRESS DEFLATE"""
    def squeeze(self):
        self.ok('COMPRESS DEFLATE')
        self.out, self.back = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    def send(self, d):
        super().send(self.out.compress(d) + self.out.flush(zlib.Z_SYNC_FLUSH) if hasattr(self, 'out') else d)

    def fill(self):
        if not hasattr(self, 'back'):
            return super().fill()
        d = self.s.recv(65536)
        self.b += self.back.decompress(d)
        return bool(d)


@test
def compresses_both_ways():
    c = Squeezed(I, 'dora', timeout=60)
    announced(c, 'COMPRESS=DEFLATE')
    c.want('NO', 'COMPRESS LZ4')
    c.want('BAD', 'COMPRESS')
    c.squeeze()
    c.want('NO [COMPRESSIONACTIVE]', 'COMPRESS DEFLATE')
    text = b'Subject: x\r\n\r\n' + os.urandom(100000).hex().encode() + b'the same again and again\r\n' * 100000
    c.append('INBOX', text)
    c.ok('SELECT INBOX')
    check(c.fetch1(1, 'BODY[]') == text, 'another message came back')
    for n in range(200):
        c.ok('NOOP')
    c.ok('LOGOUT')


@test
def row_113_what_a_small_input_becomes_is_limited():
    c = Squeezed(I, 'dora', timeout=60)
    c.squeeze()
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    d = bomb.compress(b'a' * (300 << 20)) + bomb.flush(zlib.Z_SYNC_FLUSH)
    peak = max(rss(p, peak=True) for p in sessions(I, 'imapd'))
    try:
        c.s.sendall(d)
        c.s.shutdown(socket.SHUT_WR)
        c.rest()
    except OSError:
        pass
    now = max(rss(p, peak=True) for p in sessions(I, 'imapd'))
    check(SANITIZED or now - peak < 4096, f'{now - peak} KiB for a bomb')
    c = Squeezed(I, 'dora')
    c.squeeze()
    c.s.sendall(b'\xff' * 1000)
    check(not c.s.recv(1000), 'garbage is taken for commands')
    for part in 0.1, 0.3, 0.6:              # a stream that ends in the middle of a command
        c = Squeezed(I, 'dora')
        c.squeeze()
        d = c.out.compress(b'h NOOP\r\ni CREATE ' + b'half' * 10 + b'\r\n') + c.out.flush(zlib.Z_SYNC_FLUSH)
        c.s.sendall(d[:int(len(d) * part)])
        c.s.shutdown(socket.SHUT_WR)
        c.rest()
    c = Squeezed(I, 'dora')
    c.squeeze()
    check(b'half' not in c.ok('LIST "" "*"').all(), 'half of a command was carried out')
    c.send(b'x APPEND INBOX {%d}\r\n' % (60 << 20))
    check(c.line().startswith(b'x NO [TOOBIG]'), 'the limit of a literal')
    c.send(b'X' * 70000 + b'\r\n')
    check(b'* BYE' in c.rest(), 'the limit of a line')
    honest(I)


if __name__ == '__main__':
    with Instance(users=('alice', 'bob', 'carol', 'dora', 'emil'), main='mail_max_userip_connections = 5\n') as I:
        main()
