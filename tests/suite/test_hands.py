#!/usr/bin/env python3
"""The operator's hands: hold, release, delete, requeue (also over kill -9), postsuper, qshape, sendmail -q, merpati queue, trace, explain."""
import glob, json, os, re, shutil, signal, smtplib, subprocess, threading, time
from harness import *
from sink import FAST, Sink, idle, submit

SLOW = 'minimal_backoff_time = 1h\n'


def deferring():
    return Sink(lambda v, a: b'450 4.7.1 come back later\r\n' if v == 'RCPT' else None)


def held(i):
    return sorted(os.listdir(i.root + '/spool/hold'))


def queued(i):
    return sorted(os.path.basename(f) for f in i.queue())


def listed(i):
    return {e['queue_id']: e for e in map(json.loads, i.tool('postqueue', '-j').stdout.splitlines())}


def deferred(i, n=4, to=('x@far.test',), frm='alice@example.test'):
    """n deferred messages; their ids"""
    before = i.log().count('status=deferred')
    submit(i, frm, list(to), n=n)
    check(wait(lambda: i.log().count('status=deferred') >= before + n * len(to)), 'not deferred')
    check(wait(lambda: all(e['queue_name'] == 'deferred' for e in listed(i).values() if e['queue_name'] != 'hold')), f'{listed(i)}')
    return queued(i)


def super_(i, *args, **kw):
    r = i.tool('postsuper', *args, **kw)
    check(r.returncode == 0, f'postsuper {args}: {r.returncode} {r.stderr}')
    return r.stderr.decode()


@test
def hold_release_delete_and_requeue():
    sink = deferring()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{SLOW}') as i:
        a, b, c, d = deferred(i)
        check(super_(i, '-h', a, '-h', b).count('Placed on hold: 1 message') == 2, 'hold')
        check(held(i) == [a, b] and queued(i) == [c, d], f'{held(i)} {queued(i)}')
        check(listed(i)[a]['queue_name'] == 'hold' and f'{a}!' in i.tool('mailq').stdout.decode(), f'{listed(i)}')
        check(super_(i, '-h', a) == '', 'held twice')
        check('Deleted: 1 message\n' in super_(i, '-d', '-', input=f'{c}\n'.encode()), 'delete')
        check(queued(i) == [d], f'{queued(i)}')
        check(b'*** ENVELOPE' in i.tool('postcat', '-q', a).stdout, 'postcat of a held message')
        os.mkdir(f'{i.root}/spool/hold/{d}')           # in the way of the rename: nobody is told that it is done
        r = i.tool('postsuper', '-h', d)
        os.rmdir(f'{i.root}/spool/hold/{d}')
        check(r.returncode == 74 and b'1 message could not be changed' in r.stderr, f'{r.returncode} {r.stderr}')
        n = i.log().count('status=deferred')
        i.tool('postqueue', '-f')
        check(wait(lambda: i.log().count('status=deferred') == n + 1), 'only the one that is not on hold is tried')
        check(wait(lambda: listed(i)[d]['queue_name'] == 'deferred'), 'still active')
        sink.reply = lambda v, a: None
        check('Released from hold: 1 message\n' in super_(i, '-H', b), 'release')
        check(wait(lambda: len(sink.mails) == 1), 'the released one was not sent')
        check('Requeued: 1 message\n' in super_(i, '-r', d), 'requeue')
        check(wait(lambda: len(sink.mails) == 2), 'the requeued one was not sent')
        time.sleep(0.3)
        check(held(i) == [a] and not queued(i) and len(sink.mails) == 2, f'{held(i)} {queued(i)}')
        check('Requeued: 1 message\n' in super_(i, '-r', 'ALL'), 'requeue of a held one')
        idle(i)
        check(len(sink.mails) == 3 and not held(i), f'{len(sink.mails)}')


@test
def all_messages_of_one_queue():
    sink = deferring()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{SLOW}') as i:
        ids = deferred(i, 200)
        super_(i, '-h', '-', input=('\n'.join(ids[:50]) + '\n').encode())
        check('Deleted: 50 messages' in super_(i, '-d', 'ALL', 'hold'), 'by queue')
        check(len(queued(i)) == 150 and not held(i), f'{len(queued(i))}')
        check('Placed on hold: 150 messages' in super_(i, '-h', 'ALL'), 'all')
        check('Released from hold: 150 messages' in super_(i, '-H', 'ALL'), 'all')
        check('Deleted: 150 messages' in super_(i, '-d', 'ALL'), 'all')
        idle(i)
        check(i.tool('postsuper', '-d', 'nonsense').returncode == 65 and i.tool('postsuper', '-d', 'ALL', 'nowhere').returncode == 64, 'exit codes')


# of other people's scripts for Postfix: what the shell prints, given the ids
SCRIPTS = [
    ('''mailq | tail -n +2 | grep -v '^ *(' | awk 'BEGIN { RS = "" } { if ($8 == "a@one.test" && $9 == "") print $1 }' | tr -d '*!' ''', lambda ids: ids[:2]),
    ('''mailq | awk '$7 == "MAILER-DAEMON" { print $1 }' ''', lambda ids: ids[3:]),
    ('''mailq | awk '/^[0-9A-Za-z]/ && $2 > 100 && $6 ~ /:..:/ { n++ } END { print n }' ''', lambda ids: ['4']),
    ('''mailq | tail -1 | awk '{ print $5 }' ''', lambda ids: ['4']),
    ('''postqueue -p | grep -c '^[0-9A-Za-z]' ''', lambda ids: ['4']),
    ('''postqueue -j | jq -r 'select(.recipients[0].address == "a@one.test") | select(.recipients[1].address == null) | .queue_id' ''', lambda ids: ids[:2]),
    ('''postqueue -j | jq -r 'select(.sender == "MAILER-DAEMON" and (.forced_expire | not)) | .queue_id' ''', lambda ids: ids[3:]),
    ('''postqueue -j | grep -c '"queue_name": "deferred", "queue_id": "' ''', lambda ids: ['4']),
    ('''qshape deferred | awk '$1 == "TOTAL" { print $2 }' ''', lambda ids: ['5']),
    ('''postqueue -j | jq -r 'select(.recipients[].address | endswith("@two.test")) | .queue_id' | postsuper -h - 2>&1''', lambda ids: ['postsuper: Placed on hold: 1 message']),
    ('''mailq | awk '/!/ { print $1 }' ''', lambda ids: [ids[2] + '!']),
    ('''mailq | awk 'NR > 1 && NF { print $1 }' | grep -v '[@(]' | postsuper -d - hold 2>&1''', lambda ids: ['postsuper: "--" is not a queue id', 'postsuper: Deleted: 1 message']),
    ('''printf %s "$FIRST" | postsuper -d - 2>&1; mailq | tail -1''', lambda ids: ['postsuper: Deleted: 1 message', '-- 1 Kbytes in 2 Requests.']),
]


@test
def scripts_for_postfix_work():
    sink = deferring()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{SLOW}') as i:
        deferred(i, 2, ['a@one.test'])
        deferred(i, 1, ['a@one.test', 'b@two.test'])
        submit(i, '', ['c@three.test'])
        check(wait(lambda: i.log().count('status=deferred') == 5 and all(e['queue_name'] == 'deferred' for e in listed(i).values())), 'not deferred')
        ids = queued(i)
        env = dict(os.environ, MAIL_CONFIG=i.conf, PATH=f'{BIN}:{os.environ["PATH"]}', FIRST=ids[0])
        for script, said in SCRIPTS:
            if 'jq' in script and not shutil.which('jq'):
                continue
            out = subprocess.run(script, shell=True, env=env, capture_output=True, text=True, timeout=30).stdout
            check(out.split('\n')[:-1] == said(ids), f'{script}\n{out}')
        check(i.tool('postsuper', '-d', ids[1], 'hold').stderr == b'' and ids[1] in queued(i), 'deleted, though not in that queue')


@test
def a_held_message_survives_a_restart_and_is_not_sent():
    sink = deferring()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{FAST}') as i:
        a, b = deferred(i, 2)
        super_(i, '-h', a)
        i.stop()
        sink.reply = lambda v, a: None
        i.start()
        idle(i)
        check(len(sink.mails) == 1 and held(i) == [a], f'{len(sink.mails)} {held(i)}')
        check(listed(i)[a]['queue_name'] == 'hold', f'{listed(i)}')
        super_(i, '-H', 'ALL')
        check(wait(lambda: len(sink.mails) == 2), 'not sent after its release')
        idle(i)


@test
def a_message_that_is_being_delivered_is_held_or_deleted_after_it():
    go = threading.Event()

    def reply(v, a):
        if v == 'RCPT' and 'slow' in a:
            go.wait(20)
            return b'450 4.7.1 later\r\n'
    sink = Sink(reply)
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{FAST}') as i:
        submit(i, 'alice@example.test', ['slow@far.test'], n=2)
        check(wait(lambda: sum(v == 'RCPT' for v, _ in sink.commands) == 2), 'not tried')
        a, b = queued(i)
        super_(i, '-h', a, '-d', b)
        check(held(i) == [a] and not queued(i), f'{held(i)} {queued(i)}')
        go.set()
        check(wait(lambda: i.log().count('status=deferred') == 2), 'no outcome')
        time.sleep(5)
        check(sum(v == 'RCPT' for v, _ in sink.commands) == 2, 'tried again')
        check(list(listed(i)) == [a], f'{listed(i)}')
        sink.reply = lambda v, a: None
        super_(i, '-H', a)
        check(wait(lambda: len(sink.mails) == 1), 'not sent')


@test
def ready_mail_of_a_busy_destination_is_called_back():
    go = threading.Event()
    sink = Sink(lambda v, a: go.wait(30) and None if v == 'RCPT' else None)
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{SLOW}qmgr_message_active_limit = 20\n'
                       'default_destination_concurrency_limit = 1\ninitial_destination_concurrency = 1\n') as i:
        submit(i, 'alice@example.test', ['x@far.test'], n=40)
        check(wait(lambda: any(v == 'RCPT' for v, _ in sink.commands) and len(listed(i)) == 40), 'not tried, or not all are known')
        check('Placed on hold: 40' in super_(i, '-h', 'ALL'), 'hold')
        check('Deleted: 20' in super_(i, '-d', '-', input='\n'.join(held(i)[20:]).encode() + b'\n'), 'delete')
        go.set()
        check(wait(lambda: len(sink.mails) == 1 and len(held(i)) == 19), f'{len(sink.mails)} {len(held(i))}')
        time.sleep(0.5)
        check(len(sink.mails) == 1, 'more were sent')
        super_(i, '-H', 'ALL')
        check(wait(lambda: len(sink.mails) == 20), f'{len(sink.mails)}')
        idle(i)


@test
def kill_9_around_the_orders_loses_and_resurrects_nothing():
    sink = deferring()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{SLOW}') as i:
        fate = {}
        for k in range(6):
            new = [x for x in deferred(i, 30) if x not in fate]
            fate.update((x, 'queue') for x in new)

            def killer():
                time.sleep(0.004 * k)
                for p, n in i.processes().items():
                    if n == 'qmgr':
                        send_signal(p, signal.SIGKILL)
            orders = [('-h', 'hold'), ('-d', 'gone'), ('-H', 'queue')]
            t = threading.Thread(target=killer)
            t.start()
            for opt, to in orders:
                want = [x for x in fate if fate[x] == ('hold' if opt == '-H' else 'queue')][:10]
                r = i.tool('postsuper', opt, '-', input='\n'.join(want).encode() + b'\n')
                for x in want:
                    fate[x] = to if r.returncode == 0 else 'any of ' + fate[x] + ' ' + to
            t.join()
            wait(lambda: i.tool('postqueue', '-j').returncode == 0)
            check(wait(lambda: len(listed(i)) == len(held(i)) + len(queued(i))), 'the list differs from the disk')
            h, q = set(held(i)), set(queued(i))
            check(not h & q, f'twice: {h & q}')
            for x in fate:
                now = 'hold' if x in h else 'queue' if x in q else 'gone'
                check(now in fate[x], f'{x} should be {fate[x]}, is {now}')
                fate[x] = now
        print('# ' + ', '.join(f'{sum(v == w for v in fate.values())} {w}' for w in ('queue', 'hold', 'gone')))
        i.stop()
        i.start()
        check(wait(lambda: len(listed(i)) == sum(v != 'gone' for v in fate.values())), 'after a restart')
        sink.reply = lambda v, a: None
        super_(i, '-H', 'ALL')
        # what was just being tried when the server changed its mind waits again: ask until all is gone
        check(wait(lambda: i.tool('sendmail', '-q') and not i.queue(), 60, 1), f'{len(i.queue())} are left')
        check(len(sink.mails) == sum(v != 'gone' for v in fate.values()), f'{len(sink.mails)}')


@test
def only_root_may_change_the_queue():
    if os.getuid():
        raise Skip('needs root')
    sink = deferring()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{SLOW}') as i:
        a, = deferred(i, 1)
        r = i.tool('postsuper', '-d', 'ALL', user=65534, group=65534, extra_groups=[])
        check(r.returncode == 69 and b'only root' in r.stderr, f'{r}')
        check(queued(i) == [a], 'it is gone')
        st = os.stat(i.root + '/run/operator')
        check((st.st_uid, st.st_mode & 0o777) == (0, 0o700), f'{st}')


@test
def one_message_or_site_is_tried_even_where_all_is_dead():
    s = socket.socket()
    s.bind(('127.0.0.1', 0))        # bound, not listening: refuses
    port = s.getsockname()[1]
    with Instance(main=f'transport_maps = inline:{{ {{ far.test = smtp:[127.0.0.1]:{port} }} }}\n{SLOW}') as i:
        submit(i, 'alice@example.test', ['x@far.test'], n=20)
        check(wait(lambda: 'does not answer, not tried again' in i.log() and i.log().count('status=deferred') >= 20), 'not dead')
        check(wait(lambda: all(e['queue_name'] == 'deferred' for e in listed(i).values())), 'still active')
        first = re.search(r'(\S+): to=<x@far.test>.*status=deferred', i.log())[1]
        for n in 1, 2:                  # finds it dead anew; that is told once
            before = i.log().count('status=deferred')
            check(i.tool('postqueue', '-i', first).returncode == 0 and wait(lambda: i.log().count('status=deferred') > before), 'postqueue -i')
            check(wait(lambda: listed(i)[first]['queue_name'] == 'deferred'), 'still active')
        check(i.tells('does not answer, not tried again', 1), 'it is told again and again')
        sink = Sink()
        sink.l.close()
        s.close()
        sink2 = Sink.__new__(Sink)
        threading.Thread.__init__(sink2, daemon=True)
        sink2.l = socket.create_server(('127.0.0.1', port))
        sink2.port, sink2.reply, sink2.greeting, sink2.connections, sink2.mails, sink2.commands = port, lambda v, a: None, b'220 x\r\n', 0, [], []
        sink2.start()
        check(all(e['queue_name'] == 'deferred' and 'refused' in e['recipients'][0]['delay_reason'] for e in listed(i).values()), f'{listed(i)}')
        check(i.tool('postqueue', '-i', queued(i)[0]).returncode == 0, 'postqueue -i')
        # the one was sent: the site lives, what waited for that follows; not the few that had been tried themselves
        check(wait(lambda: len(queued(i)) <= 6), f'{len(queued(i))} are left')
        i.tool('sendmail', '-q')
        idle(i)
        check(len(sink2.mails) == 20, f'{len(sink2.mails)}')
        r = i.tool('postqueue', '-i', '0' * 16)
        check(r.returncode == 65 and b'0000' in r.stderr, f'{r}')


@test
def each_recipient_has_its_own_reason():
    sink = Sink(lambda v, a: f'450 4.7.1 not yet, {a[4:7]}\r\n'.encode() if v == 'RCPT' else None)
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{SLOW}') as i:
        deferred(i, 1, ['one@far.test', 'two@far.test'])
        e, = listed(i).values()
        said = {r['address']: r['delay_reason'] for r in e['recipients']}
        check(sorted(said) == ['one@far.test', 'two@far.test'] and 'not yet, one' in said['one@far.test'] and 'not yet, two' in said['two@far.test'], f'{said}')
        check(sorted(e) == ['arrival_time', 'forced_expire', 'message_size', 'queue_id', 'queue_name', 'recipients', 'sender'], f'{e}')
        out = i.tool('mailq').stdout.decode()
        check(out.count('(host ') == 2, out)
        i.configure('default_destination_rate_delay = 1000s\n')
        i.run('reload')
        check(wait(lambda: re.search(r' qmgr\[\d+\]: parameters have been read again', i.log())), 'no reload')
        deferred(i, 1, ['six@far.test'])
        check('limit in force: rate delay: a delivery every 1000 s' in i.run('queue', 'why').stdout, i.run('queue', 'why').stdout)


@test
def one_message_or_site_is_asked_for():
    sink = deferring()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{SLOW}') as i:
        a, b, c, d = deferred(i)
        super_(i, '-h', d)
        sink.reply = lambda v, a: None
        check(i.tool('postqueue', '-i', a).returncode == 0 and wait(lambda: a not in queued(i)), 'postqueue -i')
        check(i.tool('postqueue', '-i', d).returncode == 65, 'one on hold')
        i.tool('postqueue', '-s', 'elsewhere.test')
        i.tool('postqueue', '-s', '127.0.0')
        i.tool('sendmail', '-qI' + b)
        check(wait(lambda: b not in queued(i)), 'sendmail -qI')
        check(len(sink.mails) == 2 and queued(i) == [c], f'another one was sent: {queued(i)}')
        i.tool('sendmail', '-qS[127.0.0.1]')
        check(wait(lambda: not queued(i)) and held(i) == [d], 'sendmail -qS')


@test
def a_client_asks_for_its_mail_by_etrn():
    sink = deferring()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\nfast_flush_domains = far.test\n'
                       f'smtpd_etrn_restrictions = check_client_access inline:{{127.0.0.9=REJECT}}\n{SLOW}') as i:
        ids = deferred(i)
        sink.reply = lambda v, a: None
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), source_address=('127.0.0.9', 0)) as s:
            s.ehlo('x')
            check(s.docmd('ETRN', 'far.test')[0] == 554, 'a client that may not')
        with smtplib.SMTP('127.0.0.1', i.port('smtp')) as s:
            s.ehlo('x')
            check(s.docmd('ETRN', 'example.test')[0] == 459, 'a domain that is not served so')
            check(len(queued(i)) == len(ids), 'something was tried')
            check(s.docmd('ETRN', '@Far.test')[0] == 250, 'ETRN')
            check(wait(lambda: not queued(i)), f'still waits: {queued(i)}')
            check(wait(lambda: f'ETRN: {len(ids)} messages for Far.test' in i.log()), 'the log')
            check([s.docmd('ETRN', 'far.test')[0] for _ in range(20)] == [250] * 20, 'again and again')
        check(i.tells('ETRN: ', 1), 'the queue was looked through again')


@test
def qshape_counts_by_domain_and_age():
    sink = deferring()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{SLOW}') as i:
        deferred(i, 3, ['a@one.test', 'b@two.test', 'c@two.test'])
        out = i.tool('qshape', 'deferred').stdout.decode().split('\n')
        check(out[0].split() == ['T', '5', '10', '20', '40', '80', '160', '320', '640', '1280', '1280+'], out[0])
        rows = [l.split()[:3] for l in out[1:4]]
        check(rows == [['TOTAL', '9', '9'], ['two.test', '6', '6'], ['one.test', '3', '3']], f'{rows}')
        check('TOTAL     0' in i.tool('qshape').stdout.decode(), 'active')
        check('example.test     3' in i.tool('qshape', '-s', '-b', '3', 'deferred').stdout.decode(), '-s')
        deferred(i, 1, [f'x@{n}.mail.two.test' for n in 'pqr'])
        rows = [l.split()[:2] for l in i.tool('qshape', '-p', '-m', '3', '-w', '100', 'deferred').stdout.decode().split('\n')[1:4]]
        check(rows == [['TOTAL', '12'], ['two.test', '6'], ['.mail.two.test', '3']], f'{rows}')
        check(i.tool('qshape', 'nowhere').returncode == 64, 'a queue that does not exist')


@test
def merpati_queue_selects_and_acts():
    sink = deferring()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{SLOW}') as i:
        deferred(i, 3, ['a@one.test'])
        deferred(i, 2, ['b@two.test', 'c@three.test'])
        site = f'[127.0.0.1]:{sink.port}'
        rows = [json.loads(l) for l in i.run('queue', 'list', '--json', '--where', 'to=*@TWO.test and age<1h and reason~"450"').stdout.splitlines()]
        check(len(rows) == 2 and rows[0]['recipients'][0]['nexthop'] == site, f'{rows}')
        check('3 Requests' in i.run('queue', 'list', 'one.test').stdout, 'by domain')
        for name in site, '[127.0.0.1]', '127.0.0.1':
            check('5 Requests' in i.run('queue', 'list', name).stdout, f'by next hop {name}')
        check('is empty' in i.run('queue', 'list', '127.0.0').stdout, 'by a part of the next hop')
        check('Mail queue is empty' in i.run('queue', 'list', '--where', 'age>1h').stdout, 'age')
        why = i.run('queue', 'why', site).stdout
        check('7 recipients, since' in why and 'come back later' in why and 'limit in force: none' in why, why)
        why = json.loads(i.run('queue', 'why', '--json', 'two.test').stdout.splitlines()[0])
        check(why['recipients'] == 2 and why['next'] > time.time() + 3000 and why['site'] == site, f'{why}')
        check('2 of 2 messages on hold' in i.run('queue', 'hold', '--where', 'to=*@three.test').stdout, 'hold')
        check(len(held(i)) == 2, f'{held(i)}')
        check('3 of 3 messages deleted' in i.run('queue', 'delete', 'one.test', '--where', 'not state=hold').stdout, 'delete')
        for bad in (['delete'], ['hold', '--where', 'to='], ['nonsense'], []):
            check(i.run('queue', *bad, ok=False).returncode == 64, f'{bad}')
        sink.reply = lambda v, a: None
        check('0 of 2 messages tried' in i.run('queue', 'retry', '--all').stdout, 'retry leaves what is on hold')
        check('1 of 1 messages released' in i.run('queue', 'release', '--where', f'id={held(i)[0]}').stdout, 'release')
        check(wait(lambda: len(sink.mails) == 1), 'not sent')
        check(json.loads(i.run('queue', 'reroute', '--all', '--json').stdout) == {'matched': 1, 'changed': 1}, 'reroute')
        idle(i)


@test
def reroute_follows_a_changed_table():
    slow, new = deferring(), Sink()
    with Instance() as i:
        t = i.conf + '/transport'

        def route(port):
            open(t, 'w').write(f'far.test smtp:[127.0.0.1]:{port}\n')
            check(i.tool('postmap', t).returncode == 0, 'postmap')
        route(slow.port)
        i.configure(f'transport_maps = hash:{t}\n{SLOW}')
        i.run('reload')
        deferred(i, 5)
        route(new.port)
        check('5 of 5 messages on their way anew' in i.run('queue', 'reroute', '--all').stdout, 'reroute')
        idle(i)
        check(len(new.mails) == 5, f'{len(new.mails)}')


@test
def trace_tells_the_story():
    for fmt in ('text', 'json'):
        sink = Sink(lambda v, a: b'550 5.1.1 nobody\r\n' if v == 'RCPT' and 'bad' in a else None)
        with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\nlog_format = {fmt}\n') as i:
            submit(i, 'alice@example.test', ['bad@far.test'])
            i.wait_mails('alice', 1)
            submit(i, 'bob@example.test', ['good@far.test'])
            idle(i)
            check(i.tells('good@'), 'not told')
            out = wait(lambda: 'removed' in i.run('trace', 'bad@far.test').stdout and i.run('trace', 'bad@far.test').stdout)
            for word in ('nobody', 'alice@example.test', 'smtpd', 'intake', 'bounce', 'status', 'disconnect'):
                check(word in out, f'{fmt}: {word} is missing:\n{out}')
            check('good@far.test' not in out, f'too much:\n{out}')
            check('good@far.test' in i.run('trace', re.findall(r'[0-9A-Za-z]{16}', [l for l in i.log().splitlines() if 'good@' in l][-1])[0]).stdout, 'by id')
            check(i.run('trace', 'nobody@nowhere.test', ok=False).returncode == 65, 'unknown')


if __name__ == '__main__':
    main()
