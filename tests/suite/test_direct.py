#!/usr/bin/env python3
"""A message straight into its mailbox: the same bytes and name as by the queue; what is not simple, or fails, goes by the queue."""
import os, re, signal, smtplib, time
from harness import *

TEXT = 'From: x@y.example\r\nSubject: twice\r\nDate: Sat, 21 Nov 2026 20:00:00 +0000\r\nMessage-ID: <1@y.example>\r\n\r\nnaïve\r\n.dot\r\n'.encode()

LARGE = b'From: x@y.example\r\nSubject: large\r\n\r\n' + b''.join(b'line %d of a large message\r\n' % n for n in range(60000))


def send(i, *to, text=TEXT, **kw):
    with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=30) as s:
        s.sendmail('x@y.example', [t + '@' + DOMAIN for t in to], text, **kw)


def directs(i):
    return i.log().count('nrcpt=1 (direct)')


@test
def the_bytes_and_the_name_are_those_of_the_queue():
    seen = []
    for way in ('yes', 'no'):
        with Instance(main=f'direct_delivery = {way}\n') as i:
            send(i, 'alice', text=LARGE)
            large = i.wait_mails('alice', 1)[0]
            check(i.tells('status=sent', 1) and directs(i) == (way == 'yes'), 'the wrong way was taken by a large one')
            size = os.path.getsize(large)
            check(f',S={size},W={size + LARGE.count(10) + 5}' in large, f'{large}, {size} bytes')      # five lines are ours
            check(open(large, 'rb').read().endswith(LARGE.replace(b'\r\n', b'\n')), 'not what was sent')
            send(i, 'bob')
            p = i.wait_mails('bob', 1)[0]
            st = os.stat(p)
            text = open(p, 'rb').read()
            name = os.path.basename(p)
            qid = re.search(rb' id (\S+)\n', text)[1].decode()
            m = re.fullmatch(r'\d+\.Q' + qid + r'R0\.([^,]+),S=(\d+),W=(\d+)', name)
            check(m, f'the name {name}')
            check(int(m[2]) == len(text) and int(m[3]) == len(text) + text.count(b'\n'), f'sizes: {name}, {len(text)} bytes')
            check(i.tells('status=sent', 2) and directs(i) == 2 * (way == 'yes'), 'the wrong way was taken')
            check(wait(lambda: not i.queue(), 5), f'left: {i.queue()}')
            check(not os.listdir(i.maildir('bob') + '/tmp'), 'something is left in tmp/')
            text = text.replace(qid.encode(), b'ID')
            seen.append((re.sub(rb'; \w{3}, [^\n]*', b'; DATE', text), st.st_uid, st.st_gid, oct(st.st_mode)))
    check(seen[0][0].split(b'\n')[0] == b'Return-Path: <x@y.example>' and seen[0][0].split(b'\n')[1] == b'Delivered-To: bob@example.test', repr(seen[0][0]))
    check(seen[0] == seen[1], f'direct {seen[0]}\nqueue {seen[1]}')


@test
def the_first_fetch_opens_no_message():
    import imaplib
    items = '(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY BODY.PEEK[HEADER.FIELDS (From To Subject Date References)])'
    mime = (b'From: x@y.example\r\nSubject: parts\r\nDate: Sat, 21 Nov 2026 20:00:00 +0000\r\nMIME-Version: 1.0\r\n'
            b'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n' + TEXT + b'\r\n--b--\r\n')

    def fetch(i, user, what=items):
        c = imaplib.IMAP4('127.0.0.1', i.port('imap'), timeout=30)
        c.starttls(i.tls())
        c.login(f'{user}@{DOMAIN}', 'pw-' + user)
        c.select(readonly=True)
        answer = c.fetch('1:*', what)
        c.logout()
        return answer

    with Instance() as i:
        for text in (TEXT, mime):
            send(i, 'alice', text=text)             # directly
            send(i, 'alice', 'bob', text=text)      # by the queue
        check(wait(lambda: directs(i) == 2 and len(i.mails('bob')) == 2 and len(i.mails('alice')) == 4, 10), 'not delivered')
        for user, n in (('alice', 4), ('bob', 2)):
            for m in i.mails(user):
                os.chmod(m, 0)                      # who opens one fails
            typ, kept = fetch(i, user)
            check(typ == 'OK' and repr(kept).count('ENVELOPE ("Sat, 21 Nov') == n, f'{user}: {kept}')
            check(fetch(i, user, '(BODY.PEEK[])')[0] == 'NO', 'the message can be opened')
            for m in i.mails(user):
                os.chmod(m, 0o600)
            os.unlink(i.maildir(user) + '/merpati.arrivals')
            check(fetch(i, user) == (typ, kept), f'{user}: {fetch(i, user)}\nwas {kept}')


@test
def what_is_not_simple_goes_by_the_queue():
    main = 'recipient_delimiter = +\nvirtual_alias_maps = inline:{ {both@example.test = bob@example.test alice@example.test}, {one@example.test = bob@example.test} }\n'
    with Instance(main=main) as i:
        for n, to in enumerate([('bob', 'alice'), ('both',), ('one',), ('bob+tag',)]):
            send(i, *to)
            i.wait_mails('bob', n + 1)
        check(i.tells('to=<bob', 4) and directs(i) == 0, 'went directly')
        send(i, 'bob')
        check(wait(lambda: directs(i) == 1, 5), 'a simple one did not')
        i.run('user', 'add', 'new@' + DOMAIN, input='secret\nsecret\n')
        time.sleep(1.1)
        send(i, 'new')
        i.wait_mails('new', 1)
        check(wait(lambda: directs(i) == 2, 5), 'a new user is not known to intake')


@test
def an_extension_names_a_folder():
    import imaplib
    with Instance(main='recipient_delimiter = +\n') as i:
        m = imaplib.IMAP4('127.0.0.1', i.port('imap'))
        m.login('bob@' + DOMAIN, 'pw-bob')
        check(m.create('lists')[0] == 'OK', 'CREATE')
        i.run('user', 'add', 'bob+own@' + DOMAIN, input='secret\nsecret\n')
        time.sleep(1.1)
        for to in ('bob+lists', 'bob+none', 'bob', 'bob+own'):
            send(i, to)
        i.wait_mails('bob', 2)
        i.wait_mails('bob+own', 1)
        check(wait(lambda: m.select('lists')[1] == [b'1'], 5), 'not in the folder')
        check(m.select('INBOX')[1] == [b'2'], 'not in INBOX')
        m.logout()


@test
def a_mailbox_that_fails_and_a_dead_local_cost_no_mail():
    with Instance() as i:
        send(i, 'bob')
        i.wait_mails('bob', 1)
        os.rename(i.maildir('bob') + '/tmp', i.maildir('bob') + '/tmp-')
        open(i.maildir('bob') + '/tmp', 'w').close()
        send(i, 'bob')
        check(wait(lambda: 'a direct delivery has failed' in i.log() and 'status=deferred' in i.log(), 10), 'not deferred')
        os.unlink(i.maildir('bob') + '/tmp')
        os.rename(i.maildir('bob') + '/tmp-', i.maildir('bob') + '/tmp')
        i.tool('postqueue', '-c', i.conf, '-f')
        i.wait_mails('bob', 2)
        for pid in [p for p, n in i.processes().items() if n == 'local']:
            send_signal(pid, signal.SIGKILL)
        n = directs(i)
        for k in range(5):
            send(i, 'bob')
        i.wait_mails('bob', 7)
        check(i.tells('to=<bob', 8) and directs(i) == n, 'delivered by a dead process')
        check(wait(lambda: not i.queue(), 10), 'left in the queue')
        check(len(i.mails('bob')) == 7, 'duplicates')


@test
def a_local_that_hangs_costs_seconds_once():
    with Instance() as i:
        send(i, 'bob')
        i.wait_mails('bob', 1)
        pids = [p for p, n in i.processes().items() if n == 'local']
        for p in pids:
            send_signal(p, signal.SIGSTOP)
        t, watch = time.monotonic(), Watch()
        send(i, 'bob')
        check(3 < time.monotonic() - t and watch.secs() < 12, f'{time.monotonic() - t:.1f} s')
        watch = Watch()
        send(i, 'bob')
        check(watch.secs() < 3, 'the second message waited as well')
        for p in pids:
            send_signal(p, signal.SIGCONT)
        i.wait_mails('bob', 3)
        time.sleep(1)
        check(len(i.mails('bob')) == 3, 'a duplicate')


main()
