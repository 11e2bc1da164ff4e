"""peers.py: other MTAs of Debian, which conflict as packages: unpacked, not installed, each in a mount namespace with a root of its own."""
from harness import *

CACHE = '/var/tmp/merpati-peers'
USERS = {'Debian-exim': 990, 'opensmtpd': 991, 'opensmtpq': 992, 'smmta': 993, 'smmsp': 994, 'mail': 8, 'ann': 1000}
NAMESPACE = '''set -e
mount --make-rprivate /
mount -t overlay overlay -o lowerdir={pkg}/usr:/usr {root}/usr
mount --rbind /dev {root}/dev
mount -t proc proc {root}/proc
'''


def unpack(package):
    """the directory of its files; kept from run to run"""
    if os.getuid():
        raise Skip('needs root')
    os.makedirs(CACHE, 0o700, exist_ok=True)     # there are programs with set-uid bits in it
    if os.lstat(CACHE).st_uid or os.path.islink(CACHE):
        raise Skip(f'{CACHE} is not ours')
    with open(f'{CACHE}/lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(f'{CACHE}/{package}'):
            d = tempfile.mkdtemp(dir=CACHE)
            os.chmod(d, 0o755)
            r = subprocess.run(['apt-get', 'download', package], cwd=d, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            debs = glob.glob(d + '/*.deb')
            if r.returncode or not debs or subprocess.run(['dpkg', '-x', debs[0], d + '/x']).returncode:
                shutil.rmtree(d)
                raise Skip(f'the package {package} cannot be had: {r.stdout.strip()[-200:]}')
            os.rename(d + '/x', f'{CACHE}/{package}')
            shutil.rmtree(d)
    return f'{CACHE}/{package}'


def needs(path):
    lack = [l.split()[0] for l in subprocess.run(['ldd', path], stdout=subprocess.PIPE, text=True).stdout.splitlines() if 'not found' in l]
    if lack:
        raise Skip(f'{os.path.basename(path)} needs {", ".join(lack)}')


class Peer:
    """A root with /usr of the host and of the package, and an /etc of its own; run() starts a program in it."""
    package = binary = None
    tls = True

    def __init__(self, back):
        self.pkg = unpack(self.package)
        needs(self.pkg + self.binary)
        self.port, self.back = free_port(), back
        self.root = tempfile.mkdtemp(prefix='merpati-peer-', dir='/tmp')
        os.chmod(self.root, 0o755)
        for n in ('usr', 'dev', 'proc', 'etc', 'tmp', 'run', 'var', 'var/mail', 'var/spool', 'var/lib', 'var/log', 'p', 'root'):
            os.mkdir(f'{self.root}/{n}', 0o755)
        os.symlink('/run', self.root + '/var/run')
        for n in ('bin', 'sbin', 'lib', 'lib64'):
            os.symlink('usr/' + n, f'{self.root}/{n}')
        os.chmod(self.root + '/tmp', 0o1777)
        self.put('etc/passwd', 'root:x:0:0::/root:/bin/sh\n' + ''.join(f'{u}:x:{n}:{n}::/:/bin/false\n' for u, n in USERS.items()))
        self.put('etc/group', 'root:x:0:\n' + ''.join(f'{u}:x:{n}:\n' for u, n in USERS.items()))
        self.put('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files\n')
        self.put('etc/hosts', '127.0.0.1 localhost\n127.0.0.1 mx.peer.test\n')
        self.put('etc/resolv.conf', 'nameserver 127.0.0.1\n')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '9', '-subj', '/CN=mx.peer.test',     # RSA: not all can sign with EC
                        '-keyout', self.root + '/p/key.pem', '-out', self.root + '/p/cert.pem'], check=True, stderr=subprocess.DEVNULL)
        os.chmod(self.root + '/p/key.pem', 0o600)
        self.configure()

    def put(self, path, text, owner=None, mode=0o644):
        os.makedirs(os.path.dirname(f'{self.root}/{path}'), exist_ok=True)
        with open(f'{self.root}/{path}', 'w') as f:
            f.write(text)
        os.chmod(f'{self.root}/{path}', mode)
        if owner:
            os.chown(f'{self.root}/{path}', USERS[owner], USERS[owner])

    def dir(self, path, owner=None, mode=0o755, group=None):
        os.makedirs(f'{self.root}/{path}', exist_ok=True)
        os.chmod(f'{self.root}/{path}', mode)
        os.chown(f'{self.root}/{path}', USERS.get(owner, 0), USERS.get(group or owner, 0))

    def run(self, *argv, **kw):
        script = NAMESPACE.format(pkg=self.pkg, root=self.root) + f'exec chroot {self.root} "$@"\n'
        return subprocess.Popen(['unshare', '-m', '-p', '-f', '--kill-child', 'sh', '-c', script, 'sh', *argv], stdin=subprocess.DEVNULL,
                                stdout=open(self.root + '/p/out', 'a'), stderr=subprocess.STDOUT, **kw)

    def up(self):
        try:
            socket.create_connection(('127.0.0.1', self.port), 1).close()
            return True
        except OSError:
            return self.p.poll() is not None

    def __enter__(self):
        self.p = self.start()
        wait(self.up)
        if self.p.poll() is not None:
            said = self.said()
            raise Skip('no mount namespaces here: ' + said) if 'unshare' in said or 'mount:' in said else Failed(f'{self.package}: {said}')
        return self

    def said(self):
        out = ''
        for p in glob.glob(self.root + '/p/out') + glob.glob(self.root + '/p/log/*'):
            out += ''.join(f'# {l}' for l in open(p, errors='replace').readlines()[-15:])
        return out

    def __exit__(self, *exc):
        if exc[0] and exc[0] is not Skip:
            print(self.said())
        with contextlib.suppress(OSError), open(f'/proc/{self.p.pid}/task/{self.p.pid}/children') as f:
            for first in f.read().split():
                os.kill(int(first), signal.SIGKILL)     # with it goes the namespace, and all that is in it
        self.p.kill()
        self.p.wait(10)
        shutil.rmtree(self.root, ignore_errors=True)

    def mails(self):
        """texts that came to ann@peer.test"""
        return [open(p, errors='replace').read() for p in sorted(glob.glob(self.root + '/p/mail/new/*'))]


class Exim(Peer):
    package, binary = 'exim4-daemon-light', '/usr/sbin/exim4'

    def configure(self):
        for n in ('log', 'spool', 'mail'):
            self.dir('p/' + n, 'Debian-exim')
        os.chown(self.root + '/p/key.pem', USERS['Debian-exim'], USERS['Debian-exim'])
        self.put('etc/exim4/exim4.conf', f'''primary_hostname = mx.peer.test
spool_directory = /p/spool
log_file_path = /p/log/%slog
pid_file_path = /p/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
tls_certificate = /p/cert.pem
tls_privatekey = /p/key.pem
tls_advertise_hosts = *
dsn_advertise_hosts = *
acl_smtp_rcpt = check
host_lookup =
rfc1413_query_timeout = 0s
qualify_domain = peer.test
begin acl
check:
  deny domains = peer.test
       local_parts = ! ann
       message = unknown user
  accept
begin routers
back:
  driver = manualroute
  domains = {DOMAIN}
  route_list = * 127.0.0.1 byname
  self = send
  transport = tls
home:
  driver = accept
  domains = peer.test
  transport = box
begin transports
tls:
  driver = smtp
  port = {self.back}
  hosts_require_tls = *
  tls_verify_certificates =
box:
  driver = appendfile
  directory = /p/mail
  maildir_format
  user = Debian-exim
begin retry
* * F,1h,1s
''')

    def start(self):
        return self.run('/usr/sbin/exim4', '-bdf', '-q1s')


class OpenSmtpd(Peer):
    package, binary = 'opensmtpd', '/usr/sbin/smtpd'
    tls = False     # as a server 6.8.0p2 cannot sign with OpenSSL 3 ("missing private key"); as a client it speaks TLS

    def configure(self):
        self.dir('p/mail', 'mail')
        self.dir('var/spool/smtpd', None, 0o711)
        self.dir('var/lib/opensmtpd/empty')
        self.dir('var/empty')
        self.put('etc/mailname', 'mx.peer.test\n')
        self.put('p/users', 'ann: mail\n')
        self.put('p/base', 'mail: 8:8:/p\n')
        self.put('p/smtpd.conf', f'''table users file:/p/users
table base file:/p/base
listen on 127.0.0.1 port {self.port} hostname mx.peer.test
action "home" maildir "/p/mail" virtual <users> userbase <base>
action "back" relay host smtp+tls://127.0.0.1:{self.back} tls no-verify helo mx.peer.test
match from any for domain "peer.test" action "home"
match from any for domain "{DOMAIN}" action "back"
''')

    def start(self):
        return self.run('/usr/sbin/smtpd', '-d', '-f', '/p/smtpd.conf')


MC = """divert(0)dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `mx.peer.test')dnl
define(`QUEUE_DIR', `/p/queue')dnl
define(`confPID_FILE', `/p/pid')dnl
define(`STATUS_FILE', `')dnl
define(`HELP_FILE', `')dnl
undefine(`ALIAS_FILE')dnl
define(`confCW_FILE', `-o /p/none')dnl
define(`confTO_IDENT', `0s')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confSERVICE_SWITCH_FILE', `/p/switch')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confDEF_USER_ID', `8:8')dnl
define(`confCACERT_PATH', `/p')dnl
define(`confCACERT', `/p/cert.pem')dnl
define(`confSERVER_CERT', `/p/cert.pem')dnl
define(`confSERVER_KEY', `/p/key.pem')dnl
define(`confCLIENT_CERT', `/p/cert.pem')dnl
define(`confCLIENT_KEY', `/p/key.pem')dnl
define(`ESMTP_MAILER_ARGS', `TCP $h {back}')dnl
define(`LOCAL_MAILER_PATH', `/p/deliver')dnl
define(`LOCAL_MAILER_ARGS', `deliver $u')dnl
define(`LOCAL_MAILER_FLAGS', `rmn9')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confDELAY_LA', `0')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
RELAY_DOMAIN(`{domain}')dnl
LOCAL_DOMAIN(`peer.test')dnl
DAEMON_OPTIONS(`Port={port}, Addr=127.0.0.1, Name=MTA')dnl
MAILER(`local')dnl
MAILER(`smtp')dnl
LOCAL_RULE_0
R$* < @ {domain} . > $*	$#esmtp $@ [127.0.0.1] $: $1 < @ {domain} . > $2
R$* < @ {domain} > $*	$#esmtp $@ [127.0.0.1] $: $1 < @ {domain} > $2
"""


class Sendmail(Peer):
    package, binary = 'sendmail-bin', '/usr/libexec/sendmail/sendmail'

    def configure(self):
        self.dir('p/mail', 'mail')
        for n in ('new', 'cur', 'tmp'):
            self.dir('p/mail/' + n, 'mail')
        self.dir('p/queue', None, 0o700)
        self.put('p/switch', 'hosts files\naliases files\n')
        self.put('p/deliver', '#!/bin/sh\nf=$(date +%s%N).$$.x; cat > /p/mail/tmp/$f && mv /p/mail/tmp/$f /p/mail/new/$f\n', mode=0o755)
        m4, lib, cf = unpack('m4'), unpack('libsigsegv2'), unpack('sendmail-cf') + '/usr/share/sendmail/cf'
        mc = f'divert(-1)\ninclude(`{cf}/m4/cf.m4\')\n' + MC.format(port=self.port, back=self.back, domain=DOMAIN)
        libs = ':'.join(glob.glob(lib + '/usr/lib/*') + glob.glob(lib + '/lib/*'))
        r = subprocess.run([m4 + '/usr/bin/m4', f'-D_CF_DIR_={cf}/', '-'], input=mc, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           env=dict(os.environ, LD_LIBRARY_PATH=libs))
        check(r.returncode == 0, r.stderr)
        self.put('p/sendmail.cf', r.stdout)

    def start(self):
        return self.run('/usr/libexec/sendmail/sendmail', '-bD', '-q1s', '-C', '/p/sendmail.cf')


class Nullmailer(Peer):
    """A queue that hands all mail to one host: its own sending program, with STARTTLS and a login."""
    package, binary = 'nullmailer', '/usr/lib/nullmailer/smtp'

    def configure(self):
        self.put('etc/mailname', 'client.test\n')
        self.put('etc/nullmailer/me', 'client.test\n')
        for n in ('queue', 'tmp', 'failed'):
            self.dir('var/spool/nullmailer/' + n, 'mail')
        os.mkfifo(self.root + '/var/spool/nullmailer/trigger')
        os.chown(self.root + '/var/spool/nullmailer/trigger', USERS['mail'], USERS['mail'])
        self.put('p/mail', f'From: alice@{DOMAIN}\nTo: bob@{DOMAIN}\nSubject: by nullmailer\n\n.dot\n', mode=0o600)
        self.put('etc/nullmailer/remotes', f'127.0.0.1 smtp --port={self.back} --starttls --insecure --auth-login --user=alice@{DOMAIN} --pass=pw-alice\n')

    def up(self):
        return True

    def start(self):
        return self.run('/bin/sh', '-c', '/usr/bin/nullmailer-inject < /p/mail && exec /usr/sbin/nullmailer-send')
