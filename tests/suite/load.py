"""load.py: clients that send numbered messages to an instance all the time, and remember which ones were acknowledged."""
import os, signal, smtplib, threading, time
from harness import DOMAIN


def kill(i, name):
    """kill -9 to all processes of a daemon; how many there were"""
    pids = [p for p, n in i.processes().items() if n == name]
    for p in pids:
        try:
            os.kill(p, signal.SIGKILL)
        except OSError:
            pass
    return len(pids)


class Load:
    def __init__(self, i, to=('bob@' + DOMAIN,), clients=4, size=3000, pause=0):
        self.i, self.to, self.size, self.pause = i, list(to), size, pause
        self.acked, self.stop, self.n, self.lock = set(), False, 0, threading.Lock()
        self.ts = [threading.Thread(target=self.work, daemon=True) for _ in range(clients)]
        for t in self.ts:
            t.start()

    def job(self, n):
        """the mark of the n-th message, its recipients, its body"""
        return f'mark{n}x', self.to, 'y' * self.size

    def work(self):
        s = None
        while not self.stop:
            with self.lock:
                self.n += 1
                mark, to, body = self.job(self.n)
            try:
                s = s or smtplib.SMTP('127.0.0.1', self.i.port('smtp'), timeout=10)
                s.sendmail('alice@' + DOMAIN, to, f'Subject: {mark}\r\n\r\n{body}\r\nend of {mark}\r\n')
                self.acked.add(mark)
                time.sleep(self.pause)
            except (OSError, smtplib.SMTPException):
                s = None
                time.sleep(0.01)

    def end(self):
        self.stop = True
        for t in self.ts:
            t.join(20)
