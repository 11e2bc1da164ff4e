"""fakedns.py: a DNS server of our own for a test, on a port of its own."""
import socket, struct, threading


def dns_server(zone):
    """zone: (name, type) -> list of rdata, or None for SERVFAIL"""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('127.0.0.1', 0))

    def wire(n):
        return b''.join(bytes([len(l)]) + l.encode() for l in n.split('.') if l) + b'\0'

    def run():
        while True:
            p, peer = s.recvfrom(2000)
            at, labels = 12, []
            while p[at]:
                labels.append(p[at + 1:at + 1 + p[at]].decode().lower())
                at += 1 + p[at]
            qtype = struct.unpack('>H', p[at + 1:at + 3])[0]
            name = '.'.join(labels)
            got = zone.get((name, qtype), [])
            known = any(n == name for n, _ in zone)
            rcode = 2 if got is None else 0 if known else 3
            head = p[:2] + struct.pack('>HHHHH', 0x8580 | rcode, 1, len(got or []), 0, 0)
            out = head + p[12:at + 5]
            for rd in got or []:
                out += b'\xc0\x0c' + struct.pack('>HHIH', qtype, 1, 60, len(rd)) + rd
            s.sendto(out, peer)
    threading.Thread(target=run, daemon=True).start()
    return s.getsockname()[1], wire
