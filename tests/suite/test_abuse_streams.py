#!/usr/bin/env python3
"""Hostile streams played four times: in the clear and inside TLS, whole and byte by byte; and the same to Debian's Postfix.

Rows 1 to 57, 67, 70, 84 to 88 and 94 of the table of bad inputs. What counts here: the answer, and how many messages are taken.
"""
import shutil
from concurrent.futures import ThreadPoolExecutor
import abuse
from abuse import *
from postfix import Postfix
from streams import STREAMS

I = abuse.start('message_size_limit = 16K\nsmtpd_recipient_limit = 50\nqueue_minfree = 1\nsmtpd_client_connection_count_limit = 0\nsmtpd_peername_lookup = no\n')
CLOSING = {'221', '421', '554'}        # such a session is closed, with bytes of the client still on their way: the word may be lost
SILENCE = 0.4 if SANITIZED else 0.1


class Played:
    """one stream, played: all that was said, the first answer to the last segment, messages taken"""
    def __init__(self, stream, port, to, context=None, piece=0):
        self.text, self.last, at, self.closed = b'', b'', 0, False
        s = socket.create_connection(('127.0.0.1', port), timeout=15)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.hear(s)
            if context:
                s.sendall(b'EHLO c.example\r\n')
                self.hear(s)
                s.sendall(b'STARTTLS\r\n')
                self.hear(s)
                s = context.wrap_socket(s, server_hostname='127.0.0.1')
            for segment in stream.bytes(to):
                at = len(self.text)
                self.send(s, segment, piece or len(segment))
                self.hear(s)
                self.last = self.text[at:]
            s.settimeout(15 if stream.ends else SILENCE)
            while True:
                self.take(s)
        except OSError as e:
            self.closed = not isinstance(e, TimeoutError)
            if stream.ends or not self.last:                # closed, or nothing more to say
                self.last = self.text[at:]
        finally:
            s.close()
        self.messages = self.text.count(b'queued as')

    def send(self, s, segment, piece):
        """what is said to a server that closes meanwhile is lost, not its last words"""
        try:
            for i in range(0, len(segment), piece):
                s.sendall(segment[i:i + piece])
        except OSError:
            pass

    def take(self, s):
        d = s.recv(65536)
        if not d:
            raise ConnectionError
        self.text += d

    def hear(self, s):
        """one whole reply"""
        at = len(self.text)
        while True:
            self.take(s)
            last = self.text[at:].splitlines()[-1]
            if self.text.endswith(b'\n') and last[3:4] != b'-':
                return


def play(jobs):
    """[(stream, kwargs)] side by side"""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda j: (j[0], j[1], Played(j[0], **j[1])), jobs))


def mode(name, tls, piece):
    def f():
        context = I.tls() if tls else None
        jobs = [(s, dict(port=I.port(s.port), to=f'bob@{DOMAIN}', context=context, piece=piece)) for s in STREAMS]
        wrong = []
        for s, _, p in play(jobs):
            codes = s.codes if tls or not s.plain else s.plain
            answers = [l[:3].decode(errors='replace') for l in p.last.splitlines()] or ['']
            if p.messages > s.messages or (s.codes[0] == '250' and p.messages != s.messages):
                wrong.append(f'{s}: {p.messages} messages, not {s.messages}: {p.text[-200:]!r}')
            elif not any(a in codes for a in answers) and not (piece and (answers == [''] or s.ends and p.closed) and CLOSING & set(codes)):
                wrong.append(f'{s}: answered {answers}, not {codes}')
        check(not wrong, '; '.join(wrong[:6]))
        log_is_clean(I.log())
    f.__name__ = 'rows_1_to_94_' + name
    return test(f)


mode('in_the_clear_whole', False, 0)
mode('in_the_clear_byte_by_byte', False, 1)
mode('inside_tls_whole', True, 0)
mode('inside_tls_byte_by_byte', True, 1)


def never_more_messages_than_the_strict_reading_beside_postfix():
    if os.getuid():
        raise Skip('needs root')
    if not shutil.which('postfix'):
        raise Skip('postfix is not installed')
    streams = [s for s in STREAMS if s.port == 'smtp']
    with Postfix(I.port('smtp'), DOMAIN, I.conf + '/tls') as p:
        theirs = play([(s, dict(port=p.port, to='ann@postfix.test')) for s in streams])
    ours = play([(s, dict(port=I.port('smtp'), to=f'bob@{DOMAIN}')) for s in streams])
    check(sum(t.messages for _, _, t in theirs) > 10, 'postfix has taken nothing')
    for (s, _, o), (_, _, t) in zip(ours, theirs):
        check(o.messages <= s.messages, f'{s}: {o.messages} messages, strictly {s.messages}')
        if o.messages != t.messages:
            print(f'# {s}: {o.messages} messages here, {t.messages} in Postfix, strictly {s.messages}')


if not SANITIZED:               # once is enough: the other build has played the same streams
    test(never_more_messages_than_the_strict_reading_beside_postfix)
try:
    main()
finally:
    I.close()
