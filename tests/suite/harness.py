"""harness.py: a private instance of the real suite for a test: own directory, own ports, ended by pid.

A test file is a script: it uses Instance and @test, and ends with main(). Each test prints one line:
"ok NAME", "not ok NAME: why" or "skip NAME: why"; tests/run counts them.
"""
import contextlib, datetime, fcntl, glob, os, pwd, random, shutil, signal, socket, ssl, subprocess, sys, tempfile, time, traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get('MERPATI_BUILD', TOP + '/build')
BIN = BUILD + '/bin'
PORTS = dict(smtp=25, submission=587, submissions=465, pop3=110, pop3s=995, imap=143, imaps=993)
DOMAIN = 'example.test'
socket.getfqdn = lambda name='': 'client.test'          # smtplib asks the DNS for a name at every connection


class Skip(Exception):
    pass


class Failed(AssertionError):
    pass


def check(cond, text):
    if not cond:
        raise Failed(text)


SHIFTS = {0: 200, 4: 300, 8: 600, 12: 700}      # instances that share a thousand ports without a port in common (some tests use 24, 26 and 53 too): where the spare ones of each begin


def free_base():
    """(base port, lock): ports for one instance, claimed by a lock so that tests may run side by side; enough for the instances of many tests, which keep them"""
    os.makedirs('/tmp/merpati-test-ports', mode=0o777, exist_ok=True)
    for _ in range(240):
        bases = [thousand + shift for thousand in range(12000, 32000, 1000) for shift in SHIFTS]
        for base in random.sample(bases, len(bases)):
            lock = os.open(f'/tmp/merpati-test-ports/{base}', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for off in PORTS.values():
                    with socket.socket() as s:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        s.bind(('127.0.0.1', base + off))
                return base, lock
            except OSError:
                os.close(lock)
        time.sleep(0.5)
    raise Failed('two minutes long all ports were claimed: by other tests, see lslocks')


SPARE = []
RUNNING, LEFT = set(), []       # instances; locks of those that have ended


def free_port():
    """a port for another server of this test: of some that are claimed to its end, and none that a client is given by chance meanwhile"""
    if not SPARE:
        base, _ = free_base()
        first = base - base % 1000 + SHIFTS[base % 1000]
        SPARE.extend(range(first, first + 100))
    return SPARE.pop()


def starved():
    """seconds for which somebody here wanted a processor or a disk and did not get it (pressure stall information, time taken by the host)"""
    secs = 0
    for what in 'cpu', 'io':
        with contextlib.suppress(OSError), open('/proc/pressure/' + what) as f:
            secs += int(f.readline().rsplit('=', 1)[1]) / 1e6
    with open('/proc/stat') as f:
        return secs + int(f.readline().split()[8]) / os.sysconf('SC_CLK_TCK')


class Watch:
    """a clock that stands while the machine is short of something: a bound on it judges the server and not its neighbours"""
    def __init__(self):
        self.began, self.starved = time.monotonic(), starved()

    def secs(self):
        return max(0, time.monotonic() - self.began - (starved() - self.starved))


def wait(f, secs=20, step=0.02):
    """f() until it is true, for so many seconds of a Watch, four times as long at most; its value, or the last one"""
    watch = Watch()
    while True:
        passed = time.monotonic() - watch.began
        late = passed > 4 * secs or passed > secs and watch.secs() > secs
        v = f()
        if v or late:
            return v
        time.sleep(step)


def send_signal(pid, sig):
    """to a process that may have ended since it was looked up: one of before a reload, or that was idle for long"""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sig)


LATE = float(os.environ.get('MERPATI_LATE_LOG', 0))      # so many seconds is every line of a log unseen: who does not wait for it fails


def fresh(line):
    with contextlib.suppress(ValueError):
        at = datetime.datetime.strptime(line.split(' ', 1)[0], '%Y-%m-%dT%H:%M:%S.%fZ').replace(tzinfo=datetime.timezone.utc).timestamp()
        return 0 <= time.time() - at < LATE
    return False


class Instance:
    def __init__(self, domain=DOMAIN, users=('alice', 'bob'), main='', directory=None, env=None):
        self.own = directory is None
        self.dir = directory or tempfile.mkdtemp(prefix='merpati-test-', dir='/tmp')
        os.chmod(self.dir, 0o755)
        self.root = self.dir + '/i'
        self.domain, self.env = domain, dict(os.environ, **(env or {}))
        self.base, self.lock = free_base()
        RUNNING.add(self)
        self.conf = self.root + '/conf'
        try:
            self.furnish(users)
        except BaseException:
            self.close()
            raise
        self.configure('smtpd_error_sleep_time = 0s\nauth_failure_delay = 0s\nauth_failure_delay_max = 0s\n' + main)

    def furnish(self, users):
        self.run('init', self.root, '--domain', self.domain, '--base-port', str(self.base), conf=False)
        with open(self.dir + '/import', 'w') as f:
            for u in users:
                f.write(f'{u}@{self.domain}:pw-{u}\n')
        if users:
            self.run('user', 'import', self.dir + '/import')

    def configure(self, text):
        with open(self.conf + '/main.cf', 'a') as f:
            f.write(text)

    def run(self, *args, conf=True, ok=True, input=None, timeout=120):
        cmd = [BIN + '/merpati'] + (['-c', self.conf] if conf else []) + list(args)
        r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, input=input, env=self.env,
                           stdin=None if input is not None else subprocess.DEVNULL, timeout=timeout)
        if ok and r.returncode:
            raise Failed(f'{" ".join(cmd)}: exit {r.returncode}\n{r.stdout}')
        return r

    def tool(self, name, *args, **kw):
        path = f'{BIN}/{name}'
        if 'user' in kw:                # another user may not be able to walk to the build
            os.makedirs(self.dir + '/bin', 0o755, exist_ok=True)
            path = shutil.copy(path, f'{self.dir}/bin/{name}')
        return subprocess.run([path, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=dict(self.env, MERPATI_CONF=self.conf), timeout=60, **kw)

    def start(self):
        self.run('start')
        return self

    def stop(self):
        if os.path.exists(self.root + '/spool/pid/master.pid'):
            self.run('stop', ok=False)

    def close(self):
        try:
            self.stop()
        finally:
            pid = self.master()
            if pid:
                os.kill(pid, signal.SIGKILL)
            if os.environ.get('MERPATI_KEEP'):
                print(f'# kept {self.root}')
            elif self.own:
                shutil.rmtree(self.dir, ignore_errors=True)
            RUNNING.discard(self)
            self.release()

    def release(self):
        """its ports, when no other instance of this test runs, which might still have mail for them: it would come to whoever has them next"""
        if self.lock >= 0:
            LEFT.append(self.lock)
            self.lock = -1
        while LEFT and not RUNNING:
            os.close(LEFT.pop())

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())      # who does not start must not keep its ports
            raise

    def __exit__(self, *exc):
        if exc[0] and exc[0] is not Skip and getattr(exc[1], 'code', 1):
            sys.stdout.write('# the end of the log:\n' + ''.join('# ' + l + '\n' for l in self.log().splitlines()[-25:]))
        self.close()

    # ---- places
    def port(self, name):
        return self.base + PORTS[name]

    def master(self):
        try:
            pid = int(open(self.root + '/spool/pid/master.pid').read())
            return pid if 'master' in open(f'/proc/{pid}/cmdline').read() else 0
        except (OSError, ValueError):
            return 0

    def log(self):
        try:
            text = open(self.root + '/log/mail.log', errors='replace').read()
        except OSError:
            return ''
        return ''.join(l for l in text.splitlines(True) if not fresh(l)) if LATE else text

    def tells(self, text, times=None):
        """the log has this text, or will soon, for a line may come after what it tells of; times: so often, and no more"""
        n = wait(lambda: self.log().count(text) >= (times or 1) and self.log().count(text), 10)
        return n == times if times else n

    def maildir(self, user):
        return f'{self.root}/mail/{self.domain}/{user}/Maildir'

    def mails(self, user):
        return sorted(glob.glob(self.maildir(user) + '/new/*') + glob.glob(self.maildir(user) + '/cur/*'))

    def wait_mails(self, user, n, secs=20):
        got = wait(lambda: len(self.mails(user)) >= n and self.mails(user), secs)
        check(got, f'{user} has {len(self.mails(user))} messages, not {n}, after {secs} s')
        return got

    def queue(self):
        """files of messages in the queue"""
        return [p for d in ('incoming', 'queue') for p in glob.glob(f'{self.root}/spool/{d}/**', recursive=True) if os.path.isfile(p)]

    def processes(self):
        """{pid: argv[0]} of master and everything below it"""
        kids, out = {}, {}
        for p in os.listdir('/proc'):
            if p.isdigit():
                try:
                    kids.setdefault(int(open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split()[1]), []).append(int(p))
                except OSError:
                    pass
        todo = [self.master()]
        while todo and todo[0]:
            p = todo.pop()
            try:
                out[p] = os.path.basename(open(f'/proc/{p}/cmdline').read().split('\0')[0])
            except OSError:
                continue
            todo += kids.get(p, [])
        return out

    # ---- connections
    def tls(self):
        return ssl.create_default_context(cafile=self.conf + '/tls/cert.pem')

    def connect(self, name, timeout=20):
        s = socket.create_connection(('127.0.0.1', self.port(name)), timeout=timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if name.endswith('s') and name != 'pop3' and name != 'smtp':
            s = self.tls().wrap_socket(s, server_hostname='127.0.0.1')
        return s


def expire_certificate(i):
    """the instance, which does not run, has a certificate of 2020 then"""
    d, tls = tempfile.mkdtemp(dir=i.dir), i.conf + '/tls'
    open(d + '/index', 'w').close()
    open(d + '/conf', 'w').write(f'[ca]\ndefault_ca=d\n[d]\ndatabase={d}/index\nnew_certs_dir={d}\nserial={d}/serial\nrand_serial=yes\n'
                                 'default_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=IP:127.0.0.1\n')
    subprocess.run(['openssl', 'req', '-new', '-key', tls + '/key.pem', '-subj', '/CN=mail.example.test', '-out', d + '/csr'], check=True)
    subprocess.run(['openssl', 'ca', '-batch', '-config', d + '/conf', '-selfsign', '-keyfile', tls + '/key.pem', '-in', d + '/csr',
                    '-startdate', '200101000000Z', '-enddate', '200201000000Z', '-notext', '-out', tls + '/cert.pem'],
                   check=True, stderr=subprocess.DEVNULL)


TESTS = []


def test(f):
    TESTS.append(f)
    return f


@contextlib.contextmanager
def system_user():
    """A user of this machine with a home directory of his own: his passwd entry; he is gone afterwards"""
    if os.getuid():
        raise Skip('needs root')
    name = 'merpati-t%d' % (os.getpid() % 10000)
    home = tempfile.mkdtemp(prefix='merpati-home-', dir='/tmp')
    subprocess.run(['useradd', '--home-dir', home, '--no-create-home', '--shell', '/bin/sh', name], check=True)
    try:
        pw = pwd.getpwnam(name)
        os.chown(home, pw.pw_uid, pw.pw_gid)
        yield pw
    finally:
        subprocess.run(['userdel', name], stderr=subprocess.DEVNULL)
        shutil.rmtree(home, ignore_errors=True)


def main():
    want = sys.argv[1:]
    bad = 0
    for f in TESTS:
        name = f.__name__.replace('_', ' ')
        if want and f.__name__ not in want:
            continue
        begin = time.monotonic()
        try:
            f()
            print(f'ok {name} ({time.monotonic() - begin:.1f} s)', flush=True)
        except Skip as e:
            print(f'skip {name}: {e}', flush=True)
        except Exception as e:
            bad += 1
            if not isinstance(e, Failed):
                traceback.print_exc(file=sys.stdout)
            print(f'not ok {name}: {e}', flush=True)
    sys.exit(1 if bad else 0)


def main_of_one(instance):
    """main(), and a last line: no daemon of the instance that all tests shared has died"""
    try:
        main()
    except SystemExit as e:
        code = e.code
    ends = [l for l in instance.log().splitlines() if 'was ended by signal' in l or 'ended with status' in l]
    print(f'not ok no daemon died: {ends[:3]}' if ends else 'ok no daemon died')
    sys.exit(code or (1 if ends else 0))
