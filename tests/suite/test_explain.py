#!/usr/bin/env python3
"""merpati explain: each table with its line, the verdict, the mail hosts and what they must prove. No daemon runs."""
import json, struct
from harness import *
from fakedns import dns_server


def instance():
    zone = {}
    port, wire = dns_server(zone)
    mx = lambda pref, host: struct.pack('>H', pref) + wire(host)
    zone.update({('far.test', 15): [mx(20, 'b.far.test'), mx(10, 'a.far.test')], ('a.far.test', 1): [bytes([127, 0, 0, 1])],
                 ('b.far.test', 1): [bytes([127, 0, 0, 2])], ('null.test', 15): [struct.pack('>H', 0) + b'\0'], ('dead.test', 15): None})
    i = Instance(main=f'dns_servers = 127.0.0.1@{port}\nrecipient_delimiter = +\nmydestination = sys.test\ninet_protocols = ipv4\n'
                      'mynetworks = 127.0.0.0/8\nsmtp_tls_policy_maps = inline:{ { far.test = secure } }\n')
    open(i.conf + '/virtual', 'w').write('# who is behind it\n\nlist@example.test  bob@example.test,\n  alice+x@example.test, far@far.test\n')
    open(i.conf + '/rules', 'w').write('if /@/\n/^never@/ error:5.1.2 not there\n/@rules\\.test$/ smtp:[127.0.0.9]:2525\nendif\n')
    open(i.conf + '/bcc', 'w').write('# of all of a domain\n@far.test archive@example.test\n')
    open(i.conf + '/moved', 'w').write('\ngone@example.test new@far.test\n')
    open(i.conf + '/people', 'w').write('# in order\n/^sales-(.*)@example\\.test$/\n  bob@example.test\n')
    open(i.conf + '/canonical', 'w').write('# once\nold@example.test bob+old@example.test\nold@far.test x@null.test\n')
    i.configure(f'recipient_bcc_maps = hash:{i.conf}/bcc\nrelocated_maps = texthash:{i.conf}/moved\n'
                f'sender_dependent_default_transport_maps = inline:{{ {{ carol@example.test = smtp:[127.0.0.6] }} }}\n'
                f'virtual_alias_maps = hash:{i.conf}/virtual, regexp:{i.conf}/people\ncanonical_maps = hash:{i.conf}/canonical\n'
                'sender_canonical_maps = inline:{ { alice@example.test = boss@example.test } }\n'
                'sender_dependent_relayhost_maps = inline:{ { boss@example.test = [127.0.0.7] } }\n'
                f'transport_maps = pcre:{i.conf}/rules, inline:{{ {{ lm.test = lmtp:inet:[127.0.0.1]:24 }} }}\n')
    i.tool('postmap', i.conf + '/virtual')
    i.tool('postmap', i.conf + '/canonical')
    i.tool('postmap', i.conf + '/bcc')
    return i


CASES = [       # arguments, exit status, what the text must have, what the JSON must say
    (['list@example.test'], 0, ['conf/virtual:3)', 'conf/users:6)', 'RCPT: 250'], lambda j: len(j['destinations']) == 3 and
     [h['host'] for h in j['destinations'][2]['hosts']] == ['a.far.test', 'b.far.test'] and 'secure' in j['destinations'][2]['hosts'][0]['tls']),
    (['bob+tag@example.test', '--client', '10.0.0.1'], 0, ['virtual, mailbox example.test/bob, extension tag'], lambda j: j['class'] == 'virtual'),
    (['nobody@example.test'], 67, ['550 5.1.1', 'unknown user'], lambda j: not j['destinations'] and j['trouble'] == 'unknown user'),
    (['x@far.test', '--client', '10.0.0.1'], 67, ['554 5.7.1'], lambda j: j['class'] == 'remote'),
    (['x@far.test', '--client', '127.0.0.9'], 0, ['RCPT: 250', 'host a.far.test (MX 10) 127.0.0.1'], lambda j: j['client'] == '127.0.0.9'),
    (['x@null.test'], 0, ['null MX'], lambda j: '5.1.10' in j['destinations'][0]['trouble']),
    (['x@dead.test'], 0, ['it waits'], lambda j: j['destinations'][0]['hosts'] == []),
    (['root@sys.test'], 0, ['/etc/passwd:1)', 'by local'], lambda j: j['class_place'].startswith('mydestination, main.cf:')),
    (['x@rules.test'], 0, ['conf/rules:3)', 'next hop [127.0.0.9]:2525'], lambda j: j['destinations'][0]['nexthop'] == '[127.0.0.9]:2525'),
    (['never@rules.test'], 0, ['conf/rules:2)', 'by error: 5.1.2 not there'], lambda j: j['destinations'][0]['transport'] == 'error'),
    (['x@lm.test'], 0, ['by lmtp', 'TLS: may'], lambda j: j['destinations'][0]['hosts'][0]['port'] == 24),
    (['old@example.test'], 0, ['conf/canonical:2)', 'Becomes: <bob+old@example.test>', 'mailbox example.test/bob, extension old'],
     lambda j: j['becomes'] == 'bob+old@example.test' and j['destinations'][0]['mailbox'] == 'example.test/bob'),
    (['old@far.test'], 0, ['conf/canonical:3)', 'RCPT: 250', 'null MX'], lambda j: j['class'] == 'remote' and '5.1.10' in j['destinations'][0]['trouble']),
    (['x@far.test', '--sender', 'alice@example.test'], 0, ['sender_canonical_maps: alice@example.test', 'Its sender becomes: <boss@example.test>', 'next hop [127.0.0.7]'],
     lambda j: j['sender_becomes'] == 'boss@example.test' and j['sender'] == 'alice@example.test'),
    (['x@far.test', '--sender', 'carol@example.test'], 0, ['sender_dependent_default_transport_maps: carol@example.test  => smtp:[127.0.0.6]  (main.cf:', 'next hop [127.0.0.6]'],
     lambda j: j['destinations'][0]['nexthop'] == '[127.0.0.6]'),
    (['x@far.test'], 0, ['recipient_bcc_maps: @far.test  => archive@example.test', 'conf/bcc:2)', 'A copy goes to: <archive@example.test>'], lambda j: j['copies'] == ['archive@example.test']),
    (['gone@example.test'], 67, ['conf/moved:2)', '550 5.1.6', '5.1.6 User has moved to new@far.test'], lambda j: j['copies'] == [] and j['destinations'][0]['transport'] == 'error'),
    (['sales-x@example.test'], 0, ['conf/people:2)', 'mailbox example.test/bob'], None),
    (['not an address'], 65, ['not an address'], None),
    ([], 64, ['usage'], None), (['x@far.test', '--client', 'nonsense'], 64, ['not an IP address'], None),
]


LISTS = '''smtpd_restriction_classes = guarded
guarded = check_recipient_access inline:{{ alice@example.test = REJECT not_for_you }}, permit
smtpd_client_restrictions = check_client_access cidr:{0}/nets
smtpd_helo_restrictions = reject_invalid_helo_hostname
smtpd_sender_restrictions = warn_if_reject reject_unknown_sender_domain, reject_unlisted_sender
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated,
  reject_unauth_destination
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:9, reject_rbl_client bl.test, guarded
smtpd_peername_lookup = no
'''

JUDGED = [      # arguments, exit status, what the text must have, in this order
    (['bob@example.test', '--client', '10.1.2.3'], 67, ['Service SMTP answers 10.1.2.3:', 'MAIL FROM:<> => 250', 'smtpd_client_restrictions (main.cf:', 'check_client_access cidr:',
     ': refuse: 554 5.7.1 <unknown[10.1.2.3]>: Client host rejected: no_printers', '10.1.2.3  => REJECT no_printers  (', 'conf/nets:3)', 'RCPT: 554 5.7.1 <unknown[10.1.2.3]>']),
    (['bob@example.test', '--client', '192.0.2.7', '--sender', 'x@null.test', '--helo', 'good.test'], 67, ['reject_invalid_helo_hostname: dunno', 'reject_unknown_sender_domain: warn: 550 5.7.27',
     'reject_unauth_destination: dunno', 'check_policy_service inet:127.0.0.1:9: not asked', 'reject_rbl_client bl.test: refuse: 554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked']),
    (['bob@example.test', '--client', '192.0.2.7', '--sender', 'x@null.test', '--no-dns'], 0, ['reject_unknown_sender_domain: not asked', 'reject_rbl_client bl.test: not asked',
     'guarded: list', 'guarded (main.cf:', 'check_recipient_access inline:{ alice@example.test = REJECT not_for_you }: dunno', 'bob@example.test  not there  (main.cf:', 'permit: permit', 'RCPT: 250']),
    (['alice@example.test', '--client', '192.0.2.8'], 67, ['check_recipient_access', 'Recipient address rejected: not_for_you', 'alice@example.test  => REJECT not_for_you  (main.cf:', 'RCPT: 554']),
    (['x@far.test', '--client', '192.0.2.8'], 67, ['reject_unauth_destination: refuse: 554 5.7.1 <x@far.test>: Relay access denied']),
    (['x@far.test', '--client', '2001:db8::1', '--sasl', 'bob@example.test'], 0, ['permit_sasl_authenticated: permit', 'RCPT: 250']),
    (['x@far.test', '--client', '192.0.2.8', '--sasl', 'bob@example.test', '--service', 'SUBMISSION'], 67, ['smtpd_relay_restrictions (master.cf:', 'reject: refuse: 554 5.7.1']),
    (['x@far.test', '--client', '192.0.2.8', '--service', 'SUBMISSION'], 67, ['MAIL FROM:<> => 530 5.7.0 Must issue a STARTTLS command first']),
    (['x@far.test', '--client', '192.0.2.8', '--helo', 'a..b'], 67, ['reject_invalid_helo_hostname: refuse: 501', 'RCPT: 501']),
    (['nobody@example.test', '--client', '127.0.0.1'], 67, ['permit_mynetworks: permit', 'users: nobody@example.test  not there', 'RCPT: 550 5.1.1']),
    (['bob@example.test', '--client', '127.0.0.1', '--service', 'pop3'], 64, ['no service pop3 of smtpd']),
    (['bob@example.test', '--helo', 'x.test'], 64, ['usage']),
]


@test
def restrictions_are_explained():
    """The words of the lists, played by smtpd itself; no daemon runs, nothing but the DNS is asked"""
    zone = {}
    port, wire = dns_server(zone)
    zone.update({('null.test', 15): [struct.pack('>H', 0) + b'\0'], ('7.2.0.192.bl.test', 1): [bytes([127, 0, 0, 2])]})
    i = Instance(main=f'dns_servers = 127.0.0.1@{port}\nmynetworks = 127.0.0.0/8\n')
    try:
        open(i.conf + '/nets', 'w').write('# who may not\n192.0.2.0/24 DUNNO\n10.0.0.0/8 REJECT no_printers\n')
        i.configure(LISTS.format(i.conf))
        text = open(i.conf + '/master.cf').read()
        open(i.conf + '/master.cf', 'w').write(text.replace('  -o smtpd_submission=yes\n', '  -o smtpd_submission=yes\n  -o smtpd_relay_restrictions=permit_mynetworks,reject\n', 1))
        for args, status, texts in JUDGED:
            args = [str(i.port('submission')) if a == 'SUBMISSION' else a for a in args]
            texts = [t.replace('SMTP', str(i.port('smtp'))) if t.startswith('Service') else t for t in texts]
            r = i.run('explain', *args, ok=False)
            check(r.returncode == status, f'{args}: exit {r.returncode}: {r.stdout}')
            at = 0
            for t in texts:
                check(t in r.stdout[at:], f'{args}: no {t!r} in {r.stdout[at:]}')
                at = r.stdout.index(t, at) + len(t)
        j = json.loads(i.run('explain', '--json', 'bob@example.test', '--client', '10.1.2.3', ok=False).stdout)
        words = [s for s in j['smtpd'] if 'word' in s]
        check([w['word'] for w in words] == ['check_client_access'] and words[0]['verdict'] == 'refuse' and words[0]['lookups'][-1]['place'].endswith('conf/nets:3'), words)
        check(j['smtpd'][-1]['command'] == 'RCPT TO:<bob@example.test>' and j['rcpt'] == j['smtpd'][-1]['reply'], j['smtpd'])
    finally:
        i.close()


@test
def addresses_are_explained():
    i = instance()
    try:
        for args, status, texts, says in CASES:
            r = i.run('explain', *args, ok=False)
            check(r.returncode == status, f'{args}: exit {r.returncode}: {r.stdout}')
            for t in texts:
                check(t in r.stdout, f'{args}: no {t!r} in {r.stdout}')
            if says:
                check(says(json.loads(i.run('explain', '--json', *args, ok=False).stdout)), f'{args}: JSON')
        r = i.run('explain', 'x@far.test', '--sender', 'alice@example.test')
        check('RCPT: 250' in r.stdout, r.stdout)
    finally:
        i.close()


if __name__ == '__main__':
    main()
