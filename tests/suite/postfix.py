"""postfix.py: a private instance of Debian's Postfix: own directory, own port; needs root."""
import os, pwd, re, shutil, subprocess
from harness import *

MAIN = '''compatibility_level = 3.6
queue_directory = {d}/spool
data_directory = {d}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.postfix.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = {d}/log/maillog
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = postfix.test
virtual_mailbox_maps = inline:{{ ann@postfix.test=ann/ }}
virtual_mailbox_base = {d}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
transport_maps = inline:{{ {{ {domain} = smtp:[127.0.0.1]:{back} }} }}
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtp_tls_security_level = encrypt
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_error_sleep_time = 0
'''
MASTER = '''127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
'''


class Postfix:
    def __init__(self, back, domain, tls, main=lambda p: '', master=''):
        """main: what main.cf has besides, or instead, of this Postfix"""
        self.d = tempfile.mkdtemp(prefix='merpati-postfix-', dir='/var/tmp')
        os.chmod(self.d, 0o755)
        for n in ('etc', 'spool', 'data', 'log', 'mail'):
            os.mkdir(f'{self.d}/{n}', 0o755)
        pw = pwd.getpwnam('postfix')
        os.chown(self.d + '/data', pw.pw_uid, pw.pw_gid)
        os.chown(self.d + '/mail', pw.pw_uid, pw.pw_gid)
        self.port = free_port()
        text = MAIN.format(d=self.d, uid=pw.pw_uid, gid=pw.pw_gid, domain=domain, back=back, cert=tls + '/cert.pem', key=tls + '/key.pem')
        own = main(self)
        names = re.findall(r'(?m)^(\w+) *=', own)
        text = ''.join(l for l in text.splitlines(True) if l.split(' =')[0] not in names)
        open(self.d + '/etc/main.cf', 'w').write(text + own)
        open(self.d + '/etc/master.cf', 'w').write(MASTER.format(port=self.port) + master)

    def __enter__(self):
        for path, kind in re.findall(r'hash:(\S+/(?:(aliases)|\w+))\b', open(self.d + '/etc/main.cf').read()):
            subprocess.run(['postalias' if kind else 'postmap', '-c', self.d + '/etc', 'hash:' + path], check=True)
        subprocess.run(['postfix', '-c', self.d + '/etc', 'start'], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *exc):
        if exc[0]:
            print(''.join('# ' + l for l in open(self.d + '/log/maillog').readlines()[-15:]))
        subprocess.run(['postfix', '-c', self.d + '/etc', 'abort'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.d, ignore_errors=True)

    def mails(self):
        return sorted(glob.glob(self.d + '/mail/ann/new/*'))
