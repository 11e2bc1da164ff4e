"""faults.py: make the N-th file call of a daemon fail, be cut short, or take two seconds, in a running, jailed suite.

The shim (faultshim.c) is loaded by a copy of the programs in which these daemons ask for it as their first library, before
libc: the suite clears the environment, so LD_PRELOAD would not reach them. Import this before harness. Static programs
(sessions) cannot load it."""
import atexit, ctypes, mmap, os, shutil, struct, tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ORIGINAL = os.environ.get('MERPATI_BUILD', TOP + '/build')
DAEMONS = ['intake', 'qmgr', 'local', 'bounce', 'smtpd', 'smtp']
OPS = ['open', 'create', 'opendir', 'read', 'write', 'fsync', 'rename', 'link', 'unlink', 'mkdir', 'truncate', 'utimes', 'chmod', 'flock', 'malloc']
FILE_CALLS = (1 << OPS.index('malloc')) - 1
OFF, RECORD, ERROR, SHORT, SLOW = range(5)
NOTED = 4096
UNUSED = b'_ITM_deregisterTMCloneTable'         # a weak name in every program of gcc, bound to nothing: room for a path
DT_NULL, DT_NEEDED, DT_STRTAB, DT_DEBUG = 0, 1, 5, 21


class Orders(ctypes.Structure):
    """struct orders of faultshim.c"""
    _fields_ = [('who', ctypes.c_char * 32)] + [(n, ctypes.c_uint32) for n in ('mode', 'mask', 'at', 'err', 'ms', 'count', 'hit')] + \
               [('ops', ctypes.c_uint8 * NOTED), ('shift', ctypes.c_int64)]


def mask_of(names):
    return sum(1 << OPS.index(n) for n in names.split())


def need_first(program, library):
    """the ELF file asks for this library before all others: its first DT_NEEDED moves to the place of DT_DEBUG"""
    data = bytearray(open(program, 'rb').read())
    at = struct.unpack_from('<Q', data, 32)[0]
    heads = [struct.unpack_from('<IIQQQQ', data, at + 56 * n) for n in range(struct.unpack_from('<H', data, 56)[0])]
    dynamic = next(h for h in heads if h[0] == 2)
    entries = {}
    for pos in range(dynamic[2], dynamic[2] + dynamic[5], 16):
        tag, value = struct.unpack_from('<QQ', data, pos)
        entries.setdefault(tag, (pos, value))
        if tag == DT_NULL:
            break
    strings = next(h[2] + entries[DT_STRTAB][1] - h[3] for h in heads if h[0] == 1 and h[3] <= entries[DT_STRTAB][1] < h[3] + h[5])
    name = data.index(b'\0' + UNUSED + b'\0', strings) + 1
    path = library.encode()
    assert len(path) <= len(UNUSED)
    data[name:name + len(UNUSED)] = path.ljust(len(UNUSED), b'\0')
    first = entries[DT_NEEDED]
    struct.pack_into('<QQ', data, entries[DT_DEBUG][0], DT_NEEDED, first[1])
    struct.pack_into('<QQ', data, first[0], DT_NEEDED, name - strings)
    with open(program, 'wb') as f:
        f.write(data)


class Shim:
    """a copy of the programs (its path: .build) and the orders that its daemons obey"""
    def __init__(self):
        self.build = tempfile.mkdtemp(prefix='mf-', dir='/tmp')
        atexit.register(shutil.rmtree, self.build, True)
        os.chmod(self.build, 0o755)
        for d in ('bin', 'libexec'):
            shutil.copytree(f'{ORIGINAL}/{d}', f'{self.build}/{d}', symlinks=True)
        so = shutil.copy(ORIGINAL + '/tests/faultshim.so', self.build + '/shim.so')
        with open(so + '.orders', 'wb') as f:
            f.truncate(ctypes.sizeof(Orders))
        os.chmod(so + '.orders', 0o666)
        for d in DAEMONS:
            need_first(f'{self.build}/libexec/merpati/{d}', so)
        self.file = open(so + '.orders', 'r+b')
        self.o = Orders.from_buffer(mmap.mmap(self.file.fileno(), ctypes.sizeof(Orders)))

    def arm(self, who, mode, mask, at=0, err=0, ms=0):
        o = self.o
        o.mode = OFF
        o.who, o.mask, o.at, o.err, o.ms, o.count, o.hit = who.encode(), mask, at, err, ms, 0, 0
        o.mode = mode

    def off(self):
        self.o.mode = OFF

    def noted(self):
        """what was recorded: names of OPS, in order"""
        return [OPS[n] for n in self.o.ops[:min(self.o.count, NOTED)]]


shim = Shim() if os.path.exists(ORIGINAL + '/tests/faultshim.so') else None
if shim:
    os.environ['MERPATI_BUILD'] = shim.build
from harness import *
