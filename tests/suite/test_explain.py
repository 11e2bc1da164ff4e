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
