"""sink.py: a small SMTP server with replies to order, and what tests of the queue share."""
import smtplib, socket, ssl, struct, subprocess, tempfile, threading, time
from harness import check, wait

FAST = 'minimal_backoff_time = 2s\nmaximal_backoff_time = 4s\n'


def submit(i, frm, to, body='Subject: t\r\n\r\nhello\r\n', n=1):
    with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=20) as s:
        for _ in range(n):
            s.sendmail(frm, to, body)


def idle(i, secs=20):
    check(wait(lambda: not i.queue(), secs), f'the queue is not empty after {secs} s: {i.queue()[:3]}')


def tls_context():
    """of a server, with a key of its own that nobody knows"""
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=sink', '-keyout', d + '/key', '-out', d + '/cert'],
                       check=True, capture_output=True)
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(d + '/cert', d + '/key')
    return c


class Sink(threading.Thread):
    """a server whose replies are a function (verb, argument) -> bytes; keeps what it got"""
    trickle, after_dot, taken, tls = 0, None, None, None        # seconds between the bytes of the greeting; 'reset'

    def __init__(self, reply=None, greeting=b'220 sink ESMTP\r\n', trickle=0, address=('127.0.0.1', 0), tls=None):
        super().__init__(daemon=True)
        self.l = socket.socket()
        self.l.bind(address)
        self.l.listen(50)
        self.port, self.reply, self.greeting = self.l.getsockname()[1], reply or (lambda v, a: None), greeting
        self.connections, self.mails, self.commands, self.taken = 0, [], [], []     # taken: (recipients, text)
        self.trickle, self.tls = trickle, tls           # tls: an SSLContext: announces STARTTLS, and is itself inside
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
                if self.tls and not isinstance(c, ssl.SSLSocket):
                    c.sendall(b'220 go\r\n' if verb.upper() == 'STARTTLS' else b'250-sink\r\n250 STARTTLS\r\n')
                    if verb.upper() == 'STARTTLS':
                        c = self.tls.wrap_socket(c, server_side=True)
                        f = c.makefile('rb')
                    continue
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
