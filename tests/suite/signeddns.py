"""signeddns.py: zones of a test, signed or not, served by nsd; what validates them is a trust anchor."""
import glob, os, re, shutil, socket, subprocess, tempfile
from harness import Skip, check, wait

HEAD = '$TTL 60\n@ IN SOA ns hostmaster 1 3600 900 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\n'


class Zones:
    """signed, plain: {zone: lines}; port: of an instance, plus 53; spoil: a function that changes a line of a signed zone after it was signed"""
    def __init__(self, port, signed, plain, spoil=lambda line: line):
        for p in ('nsd', 'ldns-signzone', 'ldns-keygen'):
            if not shutil.which(p, path=os.environ['PATH'] + ':/usr/sbin'):
                raise Skip(f'needs {p}')
        self.dir = tempfile.mkdtemp(prefix='merpati-zones-', dir='/tmp')
        os.chmod(self.dir, 0o755)
        self.anchor = self.dir + '/anchor'
        self.port = port
        conf = f'''server:
 ip-address: 127.0.0.1
 port: {self.port}
 username: ""
 zonesdir: "{self.dir}"
 database: ""
 pidfile: ""
 logfile: "{self.dir}/log"
 xfrdfile: "{self.dir}/xfrd"
 xfrdir: "{self.dir}"
 zonelistfile: "{self.dir}/zonelist"
 server-count: 1
remote-control:
 control-enable: no
'''
        for zone, lines in {**signed, **plain}.items():
            open(f'{self.dir}/{zone}', 'w').write(f'$ORIGIN {zone}.\n' + HEAD + lines)
            conf += f'zone:\n name: "{zone}"\n zonefile: "{zone}{".signed" if zone in signed else ""}"\n'
        for zone in signed:
            self.sign(zone, spoil)
        open(self.dir + '/conf', 'w').write(conf)
        self.process = subprocess.Popen(['/usr/sbin/nsd', '-d', '-c', self.dir + '/conf'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        check(wait(self.answers, 10), f'nsd does not answer: {open(self.dir + "/log").read()[-300:]}')

    def sign(self, zone, spoil):
        run = lambda *a: subprocess.run(a, cwd=self.dir, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        key = run('ldns-keygen', '-a', 'ECDSAP256SHA256', '-k', zone)
        run('ldns-signzone', zone, key)
        lines = open(f'{self.dir}/{zone}.signed').read().splitlines()
        open(f'{self.dir}/{zone}.signed', 'w').write('\n'.join(spoil(l) for l in lines) + '\n')
        open(self.anchor, 'a').write(open(f'{self.dir}/{key}.ds').read())

    def answers(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            try:
                s.sendto(b'\0\1\0\0\0\1\0\0\0\0\0\0\0\0\6\0\1', ('127.0.0.1', self.port))
                return s.recv(600)
            except OSError:
                return b''

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)
