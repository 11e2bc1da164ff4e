#!/usr/bin/env python3
"""A configuration of Postfix, once beside Debian's Postfix and once imported here: the same mail gets the same replies and ends in the
same places. (release build only)"""
import collections, re, smtplib
from harness import *
from postfix import Postfix
from sink import Sink

# what an operator would have written; {base}: where the mailboxes are, {sink}: the port of every other host
MAIN = '''myorigin = local.test
mydestination = local.test, localhost
mynetworks = 127.0.0.9/32
alias_maps = hash:{t}/aliases
virtual_mailbox_domains = hosted.test, second.test
virtual_mailbox_maps = hash:{t}/mailboxes
virtual_mailbox_base = {base}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_alias_domains = alias.test
virtual_alias_maps = hash:{t}/virtual,
    regexp:{t}/virtual.regexp
relay_domains = relay.test
relay_recipient_maps = hash:{t}/relayed
relocated_maps = hash:{t}/relocated
transport_maps = hash:{t}/transport
relayhost = [127.0.0.1]:{sink}
recipient_delimiter = +
recipient_canonical_maps = hash:{t}/canonical
sender_canonical_maps = inline:{{ {{ old@hosted.test = new@hosted.test }} }}
recipient_bcc_maps = inline:{{ {{ watched@hosted.test = ann@hosted.test }} }}
sender_bcc_maps = inline:{{ {{ noisy@far.test = bob@hosted.test }} }}
smtpd_helo_required = yes
smtpd_delay_reject = yes
smtpd_helo_restrictions = reject_invalid_helo_hostname, check_helo_access inline:{{ {{ liar.test = REJECT not you }} }}
smtpd_sender_restrictions = check_sender_access hash:{t}/senders, reject_non_fqdn_sender
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = reject_non_fqdn_recipient, check_recipient_access regexp:{t}/recipients
smtpd_reject_unlisted_recipient = yes
smtpd_tls_security_level = may
smtp_tls_security_level = may
header_checks = regexp:{t}/headers
message_size_limit = 20000
mailbox_size_limit = 0
append_dot_mydomain = no
biff = no
strict_rfc821_envelopes = yes
disable_vrfy_command = yes
compatibility_level = 3.6
'''
TABLES = dict(
    aliases='''staff: ann@hosted.test, bob@hosted.test
chief: staff
list: ann@hosted.test, x@far.test
owner-list: bob@hosted.test
postmaster: ann@hosted.test
''',
    mailboxes='''ann@hosted.test hosted.test/ann/
bob@hosted.test hosted.test/bob/
bob+own@hosted.test hosted.test/bobown/
watched@hosted.test hosted.test/watched/
ann@second.test second.test/ann/
@second.test second.test/all/
''',
    virtual='''info@hosted.test ann@hosted.test, bob@hosted.test
@alias.test ann@hosted.test
one@alias.test bob@hosted.test
away@alias.test away@far.test, staff@local.test
tag@alias.test bob+own@hosted.test
loop@hosted.test loop@hosted.test, ann@hosted.test
''',
    relayed='known@relay.test x\n',
    relocated='gone@hosted.test new@elsewhere.test\n',
    transport='''special.test smtp:[127.0.0.1]:{sink}
no.test error:5.1.2 no mail for this domain
.sub.test error:5.1.2 no mail for subdomains
''',
    canonical='typo@hosted.test ann@hosted.test\n',
    senders='bad@far.test REJECT bad\nfar.bad 554 no\n.net.bad REJECT\n',
    **{'virtual.regexp': '/^sales-(.*)@hosted\\.test$/ ${1}@hosted.test\n', 'recipients': '/^never@/ 550 5.7.1 never\n/^later@/ 450 4.7.1 later\n',
       'headers': '/^Subject: spam/ REJECT no spam\n/^Subject: turn/ REDIRECT bob@hosted.test\n/^Subject: mark/ PREPEND X-Marked: yes\n/^X-Secret:/ IGNORE\n'})
TRUSTED = '127.0.0.9'
# what comes: (recipients, {sender, client, helo, subject}); each is one message
MAILS = [(to.split(), {}) for to in (
    'ann@hosted.test', 'ANN@Hosted.TEST', 'nobody@hosted.test', 'ann+tag@hosted.test', 'bob+own@hosted.test', 'bob+x+y@hosted.test', 'info@hosted.test', 'info+t@hosted.test',
    'loop@hosted.test', 'sales-bob@hosted.test', 'sales-none@hosted.test', 'typo@hosted.test', 'gone@hosted.test', 'watched@hosted.test', 'never@hosted.test', 'later@hosted.test',
    'ann@second.test', 'anybody@second.test', 'any+tag@alias.test', 'one@alias.test', 'away@alias.test', 'tag@alias.test', 'staff@local.test', 'chief@local.test', 'list@local.test',
    'nobody@local.test', 'postmaster', 'postmaster@local.test', 'known@relay.test', 'unknown@relay.test', 'x@far.test', 'x@special.test', 'ann@hosted.test bob@hosted.test nobody@hosted.test',
    'ann%far.test@hosted.test', 'staff@localhost', 'ann', '"ann"@hosted.test', 'x@no.test')] + [
    (['ann@hosted.test'], how) for how in (
        dict(sender='bad@far.test'), dict(sender='x@far.bad'), dict(sender='x@a.net.bad'), dict(sender='noname'), dict(sender=''), dict(sender='noisy@far.test'),
        dict(sender='old@hosted.test'), dict(helo='liar.test'), dict(helo='not valid'), dict(helo=None), dict(subject='spam'), dict(subject='turn'), dict(subject='mark'),
        dict(size=30000))] + [
    (to.split(), dict(client=TRUSTED)) for to in ('x@far.test', 'x@special.test ann@hosted.test', 'x@no.test', 'x@a.sub.test', 'unknown@relay.test', 'gone@hosted.test', 'unqualified')]
# where we mean to do something else: refuse what could only be returned; go on with the other rules for the header of a message that is turned away
OURS = {'sales-none@hosted.test': ('5', None), 'turn': ('22', [('hosted.test/bob', 'Return-Path <out@far.test>', 'X-Marked ', 'X-Secret ')])}


def send(port, n, to, sender='out@far.test', client='127.0.0.1', helo='client.test', subject='', size=0):
    """the first digit of the reply to each recipient, whichever command it met, and of that to the message if somebody was left"""
    with smtplib.SMTP(source_address=(client, 0), timeout=30) as s:
        s.connect('127.0.0.1', port)
        for command in ([f'EHLO {helo}'] if helo else []) + [f'MAIL FROM:<{sender}>']:
            code = s.docmd(command)[0]
            if code != 250:
                return f'{code // 100}' * len(to)
        codes = [s.docmd(f'RCPT TO:<{r}>')[0] for r in to]
        if 250 in codes:
            codes.append(s.data(f'Subject: {subject} n{n}.\r\nX-Secret: s\r\nMessage-ID: <{n}@far.test>\r\n\r\n{"x" * 70}\r\n' + ('y' * 70 + '\r\n') * (size // 72))[0])
        return ''.join(str(c // 100) for c in codes)


def places(base, taken):
    """{number of the message: where its copies are, what a reader sees of their way}"""
    out = collections.defaultdict(list)
    for p in glob.glob(base + '/*/*/new/*'):
        text = open(p, errors='replace').read()
        n = re.search(r'(?m)^Subject: .*n(\d+)\.$', text)
        seen = [f'{f} {" ".join(re.findall(f"(?m)^{f}: (.*)$", text))}' for f in ('Return-Path', 'X-Marked', 'X-Secret')]
        out[int(n[1]) if n else 'report'].append((os.path.relpath(p, base).split('/new/')[0], *seen))
    for rcpts, text in taken:
        n = re.search(r'(?m)^(?:Subject: .*n|Message-ID: <)(\d+)[.@]', text.decode(errors='replace'))
        report = b'report-type=delivery-status' in text
        out[int(n[1]) if n else 'report'] += [('report to' if report else 'sent to', r.split('>')[0].upper()) for r in rcpts]
    return {n: sorted(v) for n, v in out.items()}


@test
def imported_mail_ends_where_postfix_puts_it():
    if os.getuid() or not shutil.which('postfix'):
        raise Skip('needs root and Postfix')
    ours, theirs = Sink(), Sink()
    ours.taken, theirs.taken = [], []
    i = Instance()

    def written(d, sink, base):
        """the operator's files below d; his main.cf"""
        os.makedirs(d)
        for n, text in TABLES.items():
            open(f'{d}/{n}', 'w').write(text.replace('{sink}', str(sink.port)))
        owner = os.stat(base)
        return MAIN.format(t=d, sink=sink.port, base=base, uid=owner.st_uid, gid=owner.st_gid)
    try:
        open(i.dir + '/master.cf', 'w').write('smtp inet n - y - - smtpd\n')
        open(i.dir + '/main.cf', 'w').write(written(i.dir + '/tables', ours, i.root + '/mail'))
        r = subprocess.run([BIN + '/merpati', 'import-config', 'postfix', i.dir], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        check(r.returncode == 0, r.stdout + r.stderr)
        i.configure(r.stdout)
        for n in TABLES:
            if 'hash:{t}/' + n in MAIN:
                check(not i.tool('newaliases' if n == 'aliases' else 'postmap', *([] if n == 'aliases' else [f'{i.dir}/tables/{n}'])).returncode, n)
        i.run('check')
        with Postfix(0, 'unused.test', i.conf + '/tls', lambda p: written(p.d + '/tables', theirs, p.d + '/mail') + 'local_recipient_maps = $alias_maps\n',
                     'local unix - n n - - local\nrelay unix - - n - - smtp\n') as p:
            i.start()
            replies = [(send(i.port('smtp'), n, to, **how), send(p.port, n, to, **how)) for n, (to, how) in enumerate(MAILS)]
            wait(lambda: not i.queue())
            wait(lambda: not [f for d in ('incoming', 'active', 'maildrop') for f in glob.glob(f'{p.d}/spool/{d}/**', recursive=True) if os.path.isfile(f)])

            def differ():
                here, there = places(i.root + '/mail', ours.taken), places(p.d + '/mail', theirs.taken)
                wrong = []
                for n, (to, how) in enumerate(MAILS):
                    we, they = (replies[n][0], here.get(n)), (replies[n][1], there.get(n))
                    if we != OURS.get(how.get('subject') or to[0], they):
                        wrong.append(f'{n} {to} {how}\n#   here {we}\n#   there {they}')
                return wrong
            wait(lambda: not differ(), 10)      # a report may be on its way still
            wrong = differ()
        check(not wrong, '\n# '.join([f'{len(wrong)} of {len(MAILS)} differ'] + wrong))
    finally:
        i.close()


main()
