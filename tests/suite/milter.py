"""milter.py: a milter of a few lines, which says what a test wants it to say, also what no milter may say."""
import contextlib, socket, struct, threading


def packet(letter, data=b''):
    return struct.pack('>I', len(data) + 1) + letter.encode() + data


def text(*strings):
    return b''.join(s.encode() + b'\0' for s in strings)


class Milter:
    """answer(event, data, link) -> what to send (packet()); None: continue, or the options. Events are the letters of the protocol,
    link is a dict of one connection. seen: (letter, data) of all, macros among them as ('D', ...)"""
    def __init__(self, answer=None, version=6, actions=0xff, protocol=0, path=None):
        self.answer, self.hello = answer or (lambda e, d, l: None), (version, actions, protocol)
        self.seen, self.links = [], 0
        if path:
            self.s = socket.socket(socket.AF_UNIX)
            self.s.bind(path)
            self.s.listen(50)
        else:
            self.s = socket.create_server(('127.0.0.1', 0), backlog=300)
        self.port = 0 if path else self.s.getsockname()[1]
        self.where = f'unix:{path.rsplit("/", 1)[1]}' if path else f'inet:127.0.0.1:{self.port}'
        threading.Thread(target=self.run, daemon=True).start()

    def close(self):
        self.s.close()

    def run(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            self.links += 1
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        f, link = c.makefile('rb'), {'c': c}
        with c, contextlib.suppress(OSError):
            while head := f.read(4):
                data = f.read(struct.unpack('>I', head)[0])
                e, data = chr(data[0]), data[1:]
                self.seen.append((e, data))
                if e == 'Q':
                    return
                if e in 'DA':
                    continue
                said = self.answer(e, data, link)
                if said is None:
                    said = packet('O', struct.pack('>III', *self.hello)) if e == 'O' else packet('c')
                c.sendall(said)

    def events(self):
        """the letters in their order, macros and the body's pieces apart"""
        return ''.join(e for e, _ in self.seen if e != 'D')

    def macros(self, letter):
        """{name: value} of the last that came with that command"""
        for e, d in reversed(self.seen):
            if e == 'D' and d[:1] == letter.encode():
                words = d[1:].split(b'\0')[:-1]
                return {words[n].decode(): words[n + 1].decode() for n in range(0, len(words), 2)}
        return {}
