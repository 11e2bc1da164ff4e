"""sink.py: a small SMTP server with replies to order, and what tests of the queue share."""
import smtplib, socket, struct, threading, time
from harness import check, wait

FAST = 'minimal_backoff_time = 2s\nmaximal_backoff_time = 4s\n'


def submit(i, frm, to, body='Subject: t\r\n\r\nhello\r\n', n=1):
    with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=20) as s:
        for _ in range(n):
            s.sendmail(frm, to, body)


def idle(i, secs=20):
    check(wait(lambda: not i.queue(), secs), f'the queue is not empty after {secs} s: {i.queue()[:3]}')


class Sink(threading.Thread):
    """a server whose replies are a function (verb, argument) -> bytes; keeps what it got"""
    trickle, after_dot, taken = 0, None, None        # seconds between the bytes of the greeting; 'reset'

    def __init__(self, reply=None, greeting=b'220 sink ESMTP\r\n', trickle=0, address=('127.0.0.1', 0)):
        super().__init__(daemon=True)
        self.l = socket.socket()
        self.l.bind(address)
        self.l.listen(50)
        self.port, self.reply, self.greeting = self.l.getsockname()[1], reply or (lambda v, a: None), greeting
        self.connections, self.mails, self.commands, self.taken = 0, [], [], []     # taken: (recipients, text)
        self.trickle = trickle
        self.start()

    def run(self):
        while True:
            try:
                c, _ = self.l.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def answer(self, verb, arg):
        return self.reply(verb, arg) or {'EHLO': b'250-sink\r\n250 PIPELINING\r\n', 'DATA': b'354 go\r\n', 'QUIT': b'221 bye\r\n'}.get(verb, b'250 2.0.0 ok\r\n')

    @staticmethod
    def hangs_up(c, out):
        """b'close', or b'reset': the connection ends with an RST"""
        if out == b'reset':
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        return out in (b'close', b'reset')

    def serve(self, c):
        try:
            f, rcpts = c.makefile('rb'), []
            for n in range(len(self.greeting) if self.trickle else 0):
                c.sendall(self.greeting[n:n + 1])
                time.sleep(self.trickle)
            c.sendall(self.greeting if not self.trickle else b'')
            while True:
                line = f.readline()
                if not line:
                    return
                verb, _, arg = line.decode('latin1').strip().partition(' ')
                self.commands.append((verb, arg))
                out = self.answer(verb.upper(), arg)
                if self.hangs_up(c, out):
                    return
                c.sendall(out)
                if verb.upper() == 'MAIL':
                    rcpts = []
                elif verb.upper() == 'RCPT' and out.startswith(b'2'):
                    rcpts.append(arg)
                if verb.upper() == 'DATA' and out.startswith(b'354'):
                    body = []
                    while True:
                        l = f.readline()
                        if not l:
                            return
                        if l == b'.\r\n':
                            break
                        body.append(l)
                    self.mails.append(b''.join(body))
                    if self.taken is not None:
                        self.taken.append((rcpts, self.mails[-1]))
                    out = self.answer('DOT', '')
                    if self.hangs_up(c, out):
                        return
                    c.sendall(out)
                    if self.after_dot:
                        time.sleep(0.1)
                        self.hangs_up(c, b'reset')
                        return
        except OSError:
            pass
        finally:
            c.close()

    def close(self):
        try:
            self.l.shutdown(socket.SHUT_RDWR)       # wakes the thread: its accept must not go on with a descriptor of the same number
        except OSError:
            pass
        self.l.close()
