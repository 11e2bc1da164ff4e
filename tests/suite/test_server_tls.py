#!/usr/bin/env python3
"""TLS of the servers: chains, names, versions, tickets, renewal without a command; and where private keys are."""
import base64, glob, imaplib, os, re, signal, smtplib, socket, ssl, subprocess, time
from harness import *

A = 'alice@' + DOMAIN
SANITIZED = b'__asan_init' in open(BIN + '/../libexec/merpati/keyd', 'rb').read()
I = None


def openssl(*args, **kw):
    r = subprocess.run(['openssl', *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **kw)
    check(r.returncode == 0, f'openssl {args}: {r.stderr.decode()[-300:]}')
    return r.stdout


def make_pair(directory, name, rsa=False, issuer=None, days='30'):
    """NAME.key and NAME.crt for the DNS name and CN name.test, by itself or by a pair made before"""
    key, crt = f'{directory}/{name}.key', f'{directory}/{name}.crt'
    kind = ['-newkey', 'rsa:2048'] if rsa else ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
    by = ['-CA', f'{directory}/{issuer}.crt', '-CAkey', f'{directory}/{issuer}.key'] if issuer else []
    req = ['req', '-new', *kind, '-nodes', '-keyout', key, '-subj', f'/CN={name}.test', '-addext', f'subjectAltName=DNS:{name}.test']
    if issuer:
        openssl(*req, '-out', crt + '.csr')
        openssl('x509', '-req', '-in', crt + '.csr', '-days', days, *by, '-CAcreateserial', '-out', crt)
    else:
        openssl(*req, '-x509', '-days', days, '-out', crt)
    return key, crt


def put(path, *parts):
    """the parts' text as one file, by rename"""
    with open(path + '.new', 'w') as f:
        f.write(''.join(open(p).read() for p in parts))
    os.rename(path + '.new', path)


WORDS = {'smtp': (b'EHLO x\r\n', b'STARTTLS\r\n'), 'submission': (b'EHLO x\r\n', b'STARTTLS\r\n'), 'imap': (b'a STARTTLS\r\n',), 'pop3': (b'STLS\r\n',)}


def client(port, name=None, version=None, ciphers=None, session=None, rsa=False, cert=None):
    """a TLS connection, after STARTTLS where that is needed; nothing is verified"""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    if version:
        ctx.minimum_version = ctx.maximum_version = version
    if ciphers:
        ctx.set_ciphers(ciphers)
    if cert:
        ctx.load_cert_chain(cert[1], cert[0])
    if session:
        ctx = session[1]
    s = socket.create_connection(('127.0.0.1', I.port(port)), timeout=15)
    for word in WORDS.get(port, ()):
        s.recv(4096)
        s.sendall(word)
    if port in WORDS:
        s.recv(4096)
    t = ctx.wrap_socket(s, server_hostname=name, session=session[0] if session else None)
    t.ctx = ctx
    return t


def refused(*args, **kw):
    try:
        client(*args, **kw).close()
    except (ssl.SSLError, ConnectionError):
        return True
    return False


def served(port, name=None, **kw):
    """the CN that is served"""
    t = client(port, name, **kw)
    try:
        text = openssl('x509', '-inform', 'DER', '-noout', '-subject', input=t.getpeercert(True)).decode()
        return text.split('=')[-1].strip()
    finally:
        t.close()


def serves(cn, *args, secs=20, **kw):
    """it does, or will soon: each worker hears of other certificates by itself"""
    def seen():
        try:
            return served(*args, **kw) == cn
        except (ssl.SSLError, ConnectionError):
            return False            # none yet
    return wait(seen, secs, 0.1)


PORTS_ALL = ('smtp', 'submission', 'submissions', 'imap', 'imaps', 'pop3', 'pop3s')


@test
def a_table_of_names_gives_tls_to_workers_that_began_without():
    """nothing is configured but an empty table; then a name comes into it, without a command"""
    for port in ('smtp', 'imap'):
        s = socket.create_connection(('127.0.0.1', I.port(port)), timeout=15)
        s.recv(4096)
        s.sendall(b'EHLO x\r\n' if port == 'smtp' else b'a CAPABILITY\r\n')
        check(b'STARTTLS' not in s.recv(4096), f'{port}: STARTTLS without a certificate')
        s.close()
    check(refused('submissions') and refused('imaps'), 'TLS without a certificate')
    put(I.dir + '/one.pem', *make_pair(I.dir, 'one'))
    put(I.dir + '/many.pem', *make_pair(I.dir, 'many', rsa=True), *make_pair(I.dir, 'many2'))
    with open(I.dir + '/sni.new', 'w') as f:
        f.write(f'mx.one.test {I.dir}/one.pem\n.many.test {I.dir}/many.pem\n')
    os.rename(I.dir + '/sni.new', I.dir + '/sni')
    check(wait(lambda: not refused('submissions')), 'no TLS after the certificate appeared: ' + I.log()[-600:])
    for port in PORTS_ALL:
        check(serves('one.test', port, 'MX.one.test'), port)
        check(serves('many2.test', port, 'a.b.many.test'), port)
    check(serves('many.test', 'imaps', 'x.many.test', ciphers='aRSA', version=ssl.TLSVersion.TLSv1_2), 'the RSA chain of a name')


@test
def the_parameters_of_postfix_name_chains():
    """an RSA certificate with its key behind it in one file, an ECDSA one in two; and the versions and ciphers of each kind"""
    key, crt = make_pair(I.dir, 'rsa', rsa=True)
    put(I.dir + '/rsa.pem', crt, key)
    make_pair(I.dir, 'ec')
    I.configure(f'smtpd_tls_cert_file = {I.dir}/rsa.pem\nsmtpd_tls_eccert_file = {I.dir}/ec.crt\nsmtpd_tls_eckey_file = {I.dir}/ec.key\n'
                'smtpd_tls_mandatory_protocols = >=TLSv1.3\nsmtpd_tls_exclude_ciphers = CHACHA20\n')
    text = open(I.conf + '/main.cf').read()
    with open(I.conf + '/main.cf', 'w') as f:
        f.write(re.sub(r'(?m)^smtpd_tls_chain_files.*\n', '', text))
    I.run('check')
    I.run('reload')
    check(serves('ec.test', 'smtp'), 'not served: ' + I.log()[-600:])
    v12, v13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    check(serves('rsa.test', 'smtp', version=v12, ciphers='aRSA'), 'RSA')
    check(wait(lambda: refused('submissions', version=v12)), 'smtpd_tls_mandatory_protocols: submissions')
    for port in ('imaps', 'imap', 'pop3s'):
        check(wait(lambda: refused(port, version=v12)), f'smtpd_tls_mandatory_protocols: {port}')
        check(serves('ec.test', port, version=v13), port)
    check(wait(lambda: refused('smtp', version=v12, ciphers='CHACHA20')), 'smtpd_tls_exclude_ciphers')
    check(serves('ec.test', 'smtp', version=v12, ciphers='ECDHE+AESGCM'), 'a cipher that stays')


@test
def a_renewed_certificate_is_served_without_a_command():
    make_pair(I.dir, 'next')
    put(I.dir + '/ec.key', I.dir + '/next.key')
    put(I.dir + '/ec.crt', I.dir + '/next.crt')
    for port in PORTS_ALL:
        check(wait(lambda: served(port) == 'next.test', 8), f'{port}: {served(port)}')
    at = len(I.log())
    with open(I.dir + '/ec.crt.new', 'w') as f:
        f.write('-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n')
    os.rename(I.dir + '/ec.crt.new', I.dir + '/ec.crt')
    check(wait(lambda: 'keys not taken' in I.log()[at:], 8), 'a broken certificate is not told')
    check('the old ones stay in use' in I.log()[at:], I.log()[at:])
    for port in ('smtp', 'imaps', 'pop3'):
        check(served(port) == 'next.test', port)
    put(I.dir + '/ec.crt', I.dir + '/next.crt')


def resumed(port, *args):
    r = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{I.port(port)}', '-ign_eof', *args], input=b'QUIT\r\n',
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30).stdout
    return b'\nReused, ' in r


@test
def tickets_hold_over_workers_and_keyd():
    """a session of one worker is resumed by those that come after all have been killed, and keyd before them"""
    def replace(name):
        old = [p for p, n in I.processes().items() if n == name]
        for p in old:
            send_signal(p, signal.SIGKILL)
        check(wait(lambda: len(set(p for p, n in I.processes().items() if n == name) - set(old)) >= len(old)), f'no new {name}')

    for port, name in (('submissions', 'smtpd'), ('pop3s', 'pop3d')):
        session = f'{I.dir}/session.{name}'
        check(not resumed(port, '-sess_out', session), 'a first connection')
        check(resumed(port, '-sess_in', session), f'{port}: not resumed')
        replace('keyd')
        check(resumed(port, '-sess_in', session), f'{port}: not resumed after the end of keyd')
        replace(name)
        check(resumed(port, '-sess_in', session), f'{port}: not resumed by a new worker that has the keys of a new keyd')
    check("no memory of master's" not in I.log(), 'the ring is not there')


# ---- certificates of clients

def fingerprint(crt, hash='sha256'):
    return openssl('x509', '-in', crt, '-noout', '-fingerprint', '-' + hash).decode().split('=')[1].strip()


def smtp(port, cert=None):
    s = smtplib.SMTP()
    s.timeout = 15
    s.sock = client(port, cert=cert)
    s.file = None
    if port == 'submissions':
        code = s.getreply()[0]
        check(code == 220, f'greeted by {code}')
    s.ehlo()
    return s


def external(s, authzid=''):
    return s.docmd('AUTH', 'EXTERNAL ' + (base64.b64encode(authzid.encode()).decode() or '='))[0]


@test
def clients_are_known_by_their_certificate():
    d = I.dir
    make_pair(d, 'ca')
    ours, known, other, stranger = (make_pair(d, 'ours', issuer='ca'), make_pair(d, 'known'), make_pair(d, 'other', issuer='ca'), make_pair(d, 'stranger'))
    key = openssl('pkey', '-pubin', '-outform', 'DER', input=openssl('x509', '-in', other[1], '-noout', '-pubkey'))
    key = openssl('dgst', '-sha256', '-c', input=key).decode().split('= ')[-1].strip()
    I.configure(f'smtpd_tls_ask_ccert = yes\nsmtpd_tls_CAfile = {d}/ca.crt\nrelay_clientcerts = inline:{{ {{{fingerprint(known[1])} = host}} }}\n'
                f'auth_external_maps = inline:{{ {{{fingerprint(ours[1])} = Alice@{DOMAIN}}}, {{{key} = nobody@{DOMAIN}}} }}\n'
                'smtpd_relay_restrictions = permit_tls_clientcerts, permit_sasl_authenticated, reject_unauth_destination\n'
                f'smtpd_client_restrictions = check_ccert_access inline:{{ {{{fingerprint(stranger[1])} = REJECT not you}} }}\n'
                'smtpd_tls_mandatory_protocols = >=TLSv1.2\nsmtpd_relay_restrictions_all = permit_tls_all_clientcerts, reject\nmynetworks = 127.9.9.9/32\n')
    I.run('check', ok=False)
    text = open(I.conf + '/main.cf').read().replace('smtpd_relay_restrictions_all = permit_tls_all_clientcerts, reject\n', '')
    open(I.conf + '/main.cf', 'w').write(text)
    I.run('check')
    I.run('reload')

    def relays(cert):
        with smtp('smtp', cert) as s:
            s.mail('x@y.test')
            return s.rcpt('someone@elsewhere.test')[0]
    check(wait(lambda: relays(known) == 250), f'permit_tls_clientcerts: {relays(known)}, {I.log()[-900:]}')
    check(relays(ours) == 554 and relays(None) == 554, 'a certificate that is not in relay_clientcerts relays')
    check(relays(stranger) == 554 and I.tells('not you'), 'check_ccert_access')
    check(I.tells(f'fingerprint={fingerprint(known[1]).lower()}'), 'the fingerprint is not logged')
    with smtp('smtp', ours) as s:
        s.sendmail('x@y.test', A, 'Subject: cert\r\n\r\nx\r\n')
    check('client-certificate ours.test verified' in open(I.wait_mails('alice', 1)[-1]).read(), 'Received')
    # SASL EXTERNAL
    with smtp('submissions', ours) as s:
        check('EXTERNAL' in s.esmtp_features['auth'], s.esmtp_features['auth'])
        check(external(s) == 235, 'EXTERNAL')
        check(s.mail(A)[0] == 250 and s.rcpt('someone@elsewhere.test')[0] == 250, 'a login by certificate is one')
    with smtp('submissions', ours) as s:
        check(external(s, A) == 235, 'EXTERNAL with the name')
    with smtp('submissions', ours) as s:
        check(external(s, f'bob@{DOMAIN}') == 535, 'EXTERNAL as somebody else')
        check(s.docmd('AUTH', 'EXTERNAL')[0] == 334 and s.docmd('=')[0] in (235, 535), 'EXTERNAL without an initial response')
    for cert in (known, other, stranger):   # row 96: in no table; in it, but there is no such user
        with smtp('submissions', cert) as s:
            check(external(s) == 535, cert[1])
    with smtp('submissions') as s:
        check('EXTERNAL' not in s.esmtp_features['auth'] and external(s) == 504, 'EXTERNAL without a certificate')
    def greeted(cert):
        try:
            with smtp('submissions', cert):
                return True
        except (OSError, smtplib.SMTPException, Failed):
            return False

    # row 83: a chain of 300 certificates, more bytes than anybody's chain has
    put(d + '/long.crt', ours[1], *[d + '/ca.crt'] * 300)
    try:
        with smtp('submissions', (ours[0], d + '/long.crt')) as s:
            raise Failed('a chain of 300 certificates was taken')
    except (OSError, smtplib.SMTPException):
        pass
    check(greeted(ours), 'the chain of 300 was too much')
    # smtpd_tls_req_ccert, where TLS is demanded
    I.configure('smtpd_tls_req_ccert = yes\n')
    I.run('reload')

    check(wait(lambda: not greeted(None)), 'smtpd_tls_req_ccert')
    check(greeted(other) and not greeted(known), 'only what the authority proves')
    check(relays(None) == 554, 'where TLS is an offer nothing is demanded')


# ---- where private keys are

def numbers_of(key):
    """the secret numbers of a private key: what must lie in no other process, as DER has them and as OpenSSL's words of 64 bits"""
    text = openssl('pkey', '-in', key, '-noout', '-text').decode()
    out = []
    for name in ('priv', 'privateExponent', 'prime1', 'prime2', 'exponent1', 'coefficient'):
        m = re.search(rf'(?m)^{name}:\n((?: +[0-9a-f:]+\n)+)', text)
        if m:
            n = bytes.fromhex(re.sub(r'[^0-9a-f]', '', m[1])).lstrip(b'\0')
            out += [n, n[::-1]]
    der = openssl('pkey', '-in', key, '-outform', 'DER')
    pem = base64.b64encode(der)
    return out + [pem[60:120]]


def memory(pid):
    out = []
    with open(f'/proc/{pid}/maps') as maps, open(f'/proc/{pid}/mem', 'rb', 0) as mem:
        for line in maps:
            m = re.match(r'([0-9a-f]+)-([0-9a-f]+) r', line)
            size = m and int(m[2], 16) - int(m[1], 16)
            if not m or '[v' in line or size > 1 << 30:
                continue
            try:
                mem.seek(int(m[1], 16))
                out.append(mem.read(size))
            except OSError:
                pass
    return b''.join(out)


@test
def private_keys_are_in_no_process_but_keyd():
    if os.getuid() != 0:
        raise Skip('needs root to read memory')
    if SANITIZED:
        return                      # its shadow memory is too large; the other build holds the same
    secrets = [n[:24] for k in ('next.key', 'rsa.key', 'one.key') for n in numbers_of(f'{I.dir}/{k}')]
    check(len(secrets) > 12 and all(len(s) >= 16 for s in secrets), 'the numbers of the keys')
    for port in PORTS_ALL:              # each worker has made handshakes with each kind of key
        served(port)
    served('smtp', version=ssl.TLSVersion.TLSv1_2, ciphers='aRSA')
    m = imaplib.IMAP4_SSL('127.0.0.1', I.port('imaps'), ssl_context=ssl._create_unverified_context())
    m.login(A, 'pw-alice')
    seen, holders = set(), set()
    for pid, name in I.processes().items():
        try:
            text = memory(pid)
        except (OSError, ProcessLookupError):
            continue
        seen.add(name)
        if any(s in text for s in secrets):
            holders.add(name)
    m.logout()
    check(seen >= {'master', 'keyd', 'auth', 'smtpd', 'intake', 'qmgr', 'imapd', 'pop3d', 'imap-session'}, f'not all were read: {seen}')
    check(holders == {'keyd'}, f'private keys are in {sorted(holders)}')


@test
def names_by_the_hundred():
    """more files than one look takes, more certificates than a link takes at once; each is found by its name"""
    number = 4000 if os.environ.get('MERPATI_ALL') else 90      # of three files each
    for name in 'first', 'last':
        put(f'{I.dir}/{name}.pem', *make_pair(I.dir, name))
    make_pair(I.dir, 'one')
    with open(I.dir + '/sni.new', 'w') as f:
        f.write(f'first.hundred.test {I.dir}/first.pem\n')
        f.writelines(f'n{n}.hundred.test {I.dir}/one.key, {I.dir}/one.crt, {I.dir}/first.crt\n' for n in range(number))
        f.write(f'last.hundred.test {I.dir}/last.pem\n')
    os.rename(I.dir + '/sni.new', I.dir + '/sni')
    for port in 'submissions', 'imaps':
        check(serves('last.test', port, 'LAST.hundred.test', secs=30 + number / 10), f'{port}: the last name is not served: {I.log()[-600:]}')
        check(serves('one.test', port, f'n{number - 1}.hundred.test'), f'{port}: not by its name')
        check(served(port, 'x.hundred.test') not in ('one.test', 'last.test'), f'{port}: a name that nobody has')
    check(wait(lambda: any(int(n) >= number + 2 for n in re.findall(r'(\d+) certificates loaded', I.log()))), 'the number is not in the log')


@test
def mistakes_are_told_with_their_line():
    i = Instance()
    rows = {'smtpd_tls_protocols = >=TLSv1.4': 'no version of TLS', 'smtpd_tls_mandatory_protocols = !TLSv1.2, !TLSv1.3': 'leaves no version',
            'smtpd_tls_ciphers = export': 'medium high', 'tls_high_cipherlist = no such': 'names no cipher', 'smtpd_tls_cert_file = /nonexistent': 'No such file',
            'tls_server_sni_maps = inline:{ {a.test = /nonexistent/pem} }': 'a.test: /nonexistent/pem'}
    try:
        i.configure(''.join(r + '\n' for r in rows))
        out = i.run('check', ok=False).stdout
        for r, words in rows.items():
            check(re.search(rf'main\.cf:\d+: .*{re.escape(words)}', out), f'{r}: {out}')
        openssl('ecparam', '-name', 'prime256v1', '-out', i.dir + '/parameters')      # as `openssl ecparam -genkey` puts them before a key
        put(i.dir + '/ec.pem', i.dir + '/parameters', *make_pair(i.dir, 'ec'))
        i.configure(f'smtpd_tls_chain_files = {i.dir}/ec.pem\n')
        check(i.dir + '/ec.pem: a damaged' not in i.run('check', ok=False).stdout, 'parameters of a curve are taken for damage')
        with open(i.dir + '/sni', 'w') as f:
            f.writelines(f'n{n}.many.test {i.dir}/ec.pem\n' for n in range(4097))
        i.configure(f'tls_server_sni_maps = texthash:{i.dir}/sni\n')
        check('keyd holds 4096 chains at most' in i.run('check', ok=False).stdout, 'more than keyd can hold')
    finally:
        i.close()


I = Instance(users=('alice', 'bob'))
I.configure(f'smtpd_tls_chain_files =\ntls_server_sni_maps = texthash:{I.dir}/sni\n')
open(I.dir + '/sni', 'w').close()
with I:
    main()
