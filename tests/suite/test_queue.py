#!/usr/bin/env python3
"""The queue: kill -9 under load with a relay, damaged files, restart, the operator's list, time in the future."""
import json, os, random, re, signal, smtplib, socket, subprocess, threading, time
from harness import *
from load import Load, kill
from sink import FAST, Sink, idle, submit


@test
def killed_daemons_lose_nothing_on_the_way_out():
    sink = Sink()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{FAST}') as i:
        load = Load(i, ['x@far.test', 'bob@example.test'], clients=3, size=500, pause=0.01)
        for name in ['smtp', 'qmgr', 'local', 'smtp', 'qmgr']:
            time.sleep(1)
            check(wait(lambda: kill(i, name), 5), f'no {name} to kill')
        time.sleep(1)
        load.end()
        idle(i, 60)
        out = [re.search(rb'Subject: (mark\d+x)', m)[1].decode() for m in sink.mails]
        here = [re.search(r'Subject: (mark\d+x)', open(m).read())[1] for m in i.mails('bob')]
        lost = load.acked - set(out), load.acked - set(here)
        check(len(load.acked) > 50, f'only {len(load.acked)} messages')
        check(not lost[0] and not lost[1], f'lost: {lost}')
        print(f'# {len(load.acked)} acknowledged, {len(out) - len(set(out))} sent twice, {len(here) - len(set(here))} in the mailbox twice')
        check(len(here) == len(set(here)), 'a mailbox has a message twice')


def stop_smtp(i, sink, n):
    """the only smtp, stopped when it has sent one message, with n more for it"""
    submit(i, 'alice@example.test', ['warm@far.test'])
    check(wait(lambda: len(sink.mails) == 1), 'not sent')
    smtp = [p for p, name in i.processes().items() if name == 'smtp']
    check(len(smtp) == 1, f'{smtp}')
    send_signal(smtp[0], signal.SIGSTOP)
    for k in range(n):
        submit(i, 'alice@example.test', [f'x{k}@far.test'])
    return smtp[0]


@test
def orders_that_a_dead_smtp_has_not_read_are_given_to_another_one():
    sink = Sink()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\nsmtp_process_limit = 1\n') as i:
        smtp = stop_smtp(i, sink, 5)
        check(wait(lambda: i.tool('postqueue', '-j').stdout.count(b'"active"') == 5), 'they are not under way')
        send_signal(smtp, signal.SIGKILL)
        check(wait(lambda: len(sink.mails) == 6), f'{len(sink.mails)} sent')
        idle(i)
        check('status=deferred' not in i.log(), 'they had to wait')
        check(i.tells('before it had read all orders; '), 'the log does not tell')


@test
def reloads_under_load_delay_nothing_for_long():
    sink = Sink()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{FAST}') as i:
        load = Load(i, ['x@far.test', 'bob@example.test'], clients=3, size=500, pause=0.01)
        for _ in range(6):
            time.sleep(0.4)
            i.run('reload')
        load.end()
        idle(i, 30)
        out = [re.search(rb'Subject: (mark\d+x)', m)[1].decode() for m in sink.mails]
        check(len(load.acked) > 50 and load.acked <= set(out), f'lost: {load.acked - set(out)}')
        check(len(i.mails('bob')) >= len(load.acked) and len(out) == len(set(out)), 'not as many as were sent')
        check('status=bounced' not in i.log(), 'a reload made a recipient unknown')


def stopped_with_queue(i, n):
    """n messages in queue/ of an instance that is not running"""
    submit(i, 'alice@example.test', ['x@far.test'], n=n)
    check(wait(lambda: i.log().count('status=deferred') >= n), 'not deferred')
    i.stop()
    return i.queue()


@test
def damaged_files_are_set_aside_and_never_delivered():
    sink = Sink(lambda v, a: b'450 later\r\n' if v == 'RCPT' else None)
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{FAST}') as i:
        files = [f for f in stopped_with_queue(i, 12) if '/queue/' in f]
        check(len(files) == 12, f'{len(files)} files')
        for k, f in enumerate(files[:10]):
            data = bytearray(open(f, 'rb').read())
            if k < 5:
                data = data[:len(data) * k // 5]
            else:
                data[-random.randrange(1, 150)] ^= 1 << random.randrange(8)
            open(f, 'wb').write(data)
        sink.reply = lambda v, a: None
        i.start()
        idle(i, 20)
        corrupt = os.listdir(i.root + '/spool/corrupt')
        check(len(sink.mails) + len(corrupt) == 12 and len(corrupt) >= 5, f'{len(sink.mails)} sent, {len(corrupt)} set aside')
        check(i.tells('damaged queue file moved', len(corrupt)), 'not all in the log')
        check(all(b'hello' in m for m in sink.mails), 'a part was sent')


def flip(path, at):
    with open(path, 'r+b') as f:
        f.seek(at)
        b = f.read(1)
        f.seek(at)
        f.write(bytes([b[0] ^ 4]))


@test
def a_large_message_is_checked_while_it_is_delivered():
    """above 1 MiB qmgr does not look; whoever delivers it does: to another server, into a mailbox, to the members of a list"""
    sink, line = Sink(), 'a line of a large message\r\n'
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\ndirect_delivery = no\n{FAST}'
                  'smtpd_sender_restrictions = check_sender_access inline:{ { hold@example.test = HOLD } }\n') as i:
        i.run('list', 'add', 'all@example.test', 'y@far.test')
        i.run('reload')
        for to in 'x@far.test', 'bob@example.test', 'all@example.test':
            for n in 60000, 60001:
                submit(i, 'hold@example.test', [to], body='Subject: t\r\n\r\n' + line * n)
        hold = i.root + '/spool/hold/'
        check(wait(lambda: len(os.listdir(hold)) == 6), f'{os.listdir(hold)} are held')
        held = [hold + f for f in os.listdir(hold)]
        for f in held:
            if os.path.getsize(f) < min(map(os.path.getsize, held)) + len(line) // 2:
                flip(f, 900000)
        i.tool('postsuper', '-H', 'ALL')
        idle(i, 30)
        check(len(os.listdir(i.root + '/spool/corrupt')) == 3, i.log()[-2000:])
        check(len(sink.mails) == 2 and all(m.count(line.encode()) == 60001 for m in sink.mails), f'{len(sink.mails)} sent')
        check(len(i.mails('bob')) == 1 and open(i.mails('bob')[0]).read().count(line.strip()) == 60001, 'not what bob should have')
        check(i.tells('damaged queue file moved', 3), 'not all in the log')
        check('status=bounced' not in i.log() and not os.listdir(i.root + '/mail/example.test/bob/Maildir/tmp'), 'something is left')


@test
def a_restart_goes_on_and_a_file_from_the_future_waits_not_for_ever():
    sink = Sink(lambda v, a: b'450 later\r\n' if v == 'RCPT' else None)
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{FAST}') as i:
        for f in stopped_with_queue(i, 4):
            if '/queue/' in f:
                os.utime(f, (time.time() + 10 ** 8,) * 2)
        sink.reply = lambda v, a: None
        i.start()
        idle(i, 15)
        check(len(sink.mails) == 4, f'{len(sink.mails)}')


@test
def a_clock_that_jumps_returns_no_mail_and_stops_none():
    if b'the clock jumps' not in open(BUILD + '/libexec/merpati/qmgr', 'rb').read():
        raise Skip('this build has no clock that jumps (sanitizer build only)')
    sink = Sink(lambda v, a: b'450 later\r\n' if v == 'RCPT' else None)
    i = Instance(env={'MERPATI_MISBEHAVE': 'qmgr:clock'}, main=f'relayhost = [127.0.0.1]:{sink.port}\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n')
    with i:
        qmgr = next(p for p, n in i.processes().items() if n == 'qmgr')

        def tried(what):
            n = i.log().count('status=deferred')
            check(wait(lambda: i.log().count('status=deferred') >= n + 3), f'nothing is tried {what}')
            check('status=expired' not in i.log() and 'delayed' not in i.log(), f'returned {what}: {i.log()[-300:]}')
        submit(i, 'alice@example.test', ['x@far.test'], n=2)
        tried('before')
        send_signal(qmgr, signal.SIGUSR2)
        tried('ten years later')
        check(time.strftime('%Y') in i.log() and i.tool('postqueue', '-p').returncode == 0, 'no list')
        submit(i, 'alice@example.test', ['y@far.test'])
        tried('with new mail')
        send_signal(qmgr, signal.SIGUSR2)
        tried('ten years earlier')
        sink.reply = lambda v, a: None
        idle(i)
        check(len(sink.mails) == 3 and not i.mails('alice'), f'{len(sink.mails)} sent, {len(i.mails("alice"))} reports')


@test
def unfinished_files_of_incoming_are_left_then_removed():
    with Instance() as i:
        i.stop()
        young, old = 'A' * 15 + '1', 'A' * 15 + '2'
        for n in (young, old):
            open(f'{i.root}/spool/incoming/{n}', 'w').write('Received: from\n')
        os.utime(f'{i.root}/spool/incoming/{old}', (1, 1))
        i.start()
        check(wait(lambda: not os.path.exists(f'{i.root}/spool/incoming/{old}')), 'the old one is still there')
        check(os.path.exists(f'{i.root}/spool/incoming/{young}'), 'the young one is gone')


@test
def orders_that_come_before_the_queue_is_read_are_for_all_of_it():
    sink, n = Sink(), 3000
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n') as i:
        i.stop()
        subprocess.run([BUILD + '/tests/queuefill', str(n), i.root + '/spool'], check=True)
        i.start()
        send_signal(i.master(), signal.SIGSTOP)     # its listener takes the order, which is there before the next qmgr
        try:
            kill(i, 'qmgr')
            order = subprocess.Popen([BIN + '/postsuper', '-c', i.conf, '-d', 'ALL', 'deferred'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            check(wait(lambda: ') S ' in open(f'/proc/{order.pid}/stat').read()), 'no order')
        finally:
            send_signal(i.master(), signal.SIGCONT)
        out = order.communicate(timeout=60)[0].decode()
        check(not i.queue(), f'{len(i.queue())} of {n} are left: {out}')
        submit(i, 'alice@example.test', ['x@far.test'])
        check(wait(lambda: sink.mails), 'not delivered')


@test
def the_list_and_flush():
    sink = Sink(lambda v, a: b'450 4.7.1 come back later\r\n' if v == 'RCPT' else None)
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\nminimal_backoff_time = 1h\n') as i:
        submit(i, 'alice@example.test', ['x@far.test', 'y@far.test'], n=120)
        check(wait(lambda: i.log().count('status=deferred') >= 240), 'not deferred')
        out = i.run('queue', 'list').stdout
        check('120 Requests' in out and out.count('y@far.test') == 120 and 'come back later' in out, out[-500:])
        sink.reply = lambda v, a: None
        if not os.path.exists(BIN + '/postqueue'):
            raise Skip('no postqueue in this build')
        i.tool('postqueue', '-f')
        idle(i)
        check(len(sink.mails) == 120, f'{len(sink.mails)}')


@test
def too_old_mail_is_returned_and_a_failing_report_is_dropped():
    sink = Sink(lambda v, a: b'450 4.7.1 later\r\n' if v == 'RCPT' else None)
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{FAST}maximal_queue_lifetime = 3s\nbounce_queue_lifetime = 3s\n') as i:
        submit(i, 'alice@example.test', ['x@far.test'])
        submit(i, 'nobody@far.test', ['x@far.test'])
        i.wait_mails('alice', 1)
        idle(i, 30)
        check(i.tells('status=expired, returned to sender') and i.tells('the sender is null'), 'see the log')


@test
def a_delay_is_told_once_and_with_soft_bounce_nothing_is_returned():
    refuse = {'later': b'450 4.7.1 later\r\n', 'bad': b'550 5.1.1 no\r\n'}
    sink = Sink(lambda v, a: refuse.get(re.match(r'TO:<(\w+)', a)[1]) if v == 'RCPT' else None)
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n'
                       'delay_warning_time = 1s\nsoft_bounce = yes\n') as i:
        submit(i, 'alice@example.test', ['later@far.test'])
        submit(i, 'alice@example.test', ['bad@far.test'])
        texts = lambda: [open(p).read() for p in i.mails('alice')]
        tried = lambda to: len([1 for v, a in sink.commands if v == 'RCPT' and to in a])
        check(wait(lambda: len(texts()) == 2), 'nobody is warned')
        n = tried('later'), tried('bad')
        check(wait(lambda: tried('later') > n[0] + 1 and tried('bad') > n[1] + 1), 'not tried again')
        check(len(texts()) == 2 and all('Action: delayed\nStatus: 4.' in t for t in texts()), f'{texts()}')
        check(re.search('to=<bad@.*dsn=5.1.1, status=SOFTBOUNCE', i.log()) and 'status=bounced' not in i.log(), 'the log says that it was returned')
        check(wait(lambda: b'550 5.1.1 no' in i.tool('mailq').stdout), 'the list does not say why it waits')
        refuse.clear()
        idle(i)
        check(len(sink.mails) == 2, f'{len(sink.mails)} sent')
        check(len(texts()) == 2, f'{len(texts())} reports')


@test
def a_small_active_limit_parks_and_delivers_everything():
    sink = Sink()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n{FAST}qmgr_message_active_limit = 20\n') as i:
        ts = [threading.Thread(target=submit, args=(i, 'alice@example.test', to), kwargs={'n': 200})
              for to in (['x@far.test'], ['bob@example.test'], ['y@far.test', 'bob@example.test'])]
        for t in ts:
            t.start()
        for t in ts:
            t.join()
        idle(i, 30)
        check(len(sink.mails) == 400 and len(i.mails('bob')) == 400, f'{len(sink.mails)}, {len(i.mails("bob"))}')


@test
def a_dead_destination_is_one_timer_also_over_a_restart():
    s = socket.socket()
    s.bind(('127.0.0.1', 0))        # bound, not listening: refuses
    port, sink = s.getsockname()[1], Sink()
    with Instance(main=f'transport_maps = inline:{{ {{ far.test = smtp:[127.0.0.1]:{port} }}, {{ near.test = smtp:[127.0.0.1]:{sink.port} }} }}\n'
                       'minimal_backoff_time = 1h\nmaximal_backoff_time = 1h\n') as i:
        submit(i, 'alice@example.test', ['x@far.test'], n=60)
        check(wait(lambda: 'not tried again for 3600 s' in i.log() and i.log().count('status=deferred') >= 60), 'not dead')
        i.stop()
        check(open(i.root + '/spool/queue/.sites').read().count(' 3600 ') == 1, 'not remembered')
        i.start()
        submit(i, 'alice@example.test', ['x@near.test', 'x@far.test'])
        check(wait(lambda: sink.mails), 'a living destination waits')
        check(wait(lambda: i.log().count('Connection refused') >= 61), 'the new message knows why')
        check(i.tells('does not answer, not tried', 1), 'found dead once more, before its time')
        i.stop()
        i.configure('minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n')       # what is left of the hour is not waited for
        l = socket.create_server(('127.0.0.1', port), reuse_port=False) if s.close() is None else None
        back = Sink.__new__(Sink)
        threading.Thread.__init__(back, daemon=True)
        back.l, back.port, back.reply, back.greeting, back.connections, back.mails, back.commands = l, port, lambda v, a: None, b'220 x\r\n', 0, [], []
        back.start()
        i.start()
        idle(i, 30)
        check(len(back.mails) == 61, f'{len(back.mails)}')
        check('.sites is damaged' not in i.log(), 'the file was not understood')


@test
def a_directory_that_cannot_be_read_is_looked_at_again():
    s = socket.socket()
    s.bind(('127.0.0.1', 0))        # bound, not listening: refuses
    with Instance(main=f'relayhost = [127.0.0.1]:{s.getsockname()[1]}\nminimal_backoff_time = 1h\n') as i:
        submit(i, 'alice@example.test', ['x@far.test'])
        check(wait(lambda: 'status=deferred' in i.log()), 'not deferred')
        where = os.path.dirname(i.queue()[0])
        os.rename(where, where + '.away')
        open(where, 'w').close()                    # nobody can read a directory there
        kill(i, 'qmgr')
        name = 'queue/' + os.path.basename(where)
        check(wait(lambda: f'cannot read {name} in the queue directory' in i.log()), 'it is not told')
        check(wait(lambda: i.log().count(' 0 messages in the queue') == 2), 'the start does not end')
        os.unlink(where)
        os.rename(where + '.away', where)
        check(wait(lambda: f'{name} in the queue directory can be read again' in i.log(), 40), 'it is not looked at again')
        check(wait(lambda: '1 Request' in i.tool('postqueue', '-p').stdout.decode()), 'the message is not in the queue')


@test
def a_report_of_success_outlives_a_killed_qmgr():
    """the mark is on the disk, the report is not yet in the queue, qmgr is killed"""
    go = threading.Event()
    sink = Sink(lambda v, a: go.wait(20) and None if v == 'DOT' else None)
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\n') as i:
        with smtplib.SMTP('127.0.0.1', i.port('smtp'), timeout=20) as s:
            s.ehlo()
            s.sendmail('alice@example.test', ['x@far.test'], 'Subject: t\r\n\r\nx\r\n', rcpt_options=['NOTIFY=SUCCESS'])
        check(wait(lambda: len(sink.mails) == 1), 'not sent')
        send_signal(i.master(), signal.SIGSTOP)     # nobody starts a process for the report
        try:
            go.set()
            f = [q for q in i.queue() if '/queue/' in q][0]
            check(wait(lambda: b'R\x0a\x00x@far.test' in open(f, 'rb').read()), 'the mark is missing')
            send_signal(next(p for p, n in i.processes().items() if n == 'qmgr'), signal.SIGKILL)
        finally:
            send_signal(i.master(), signal.SIGCONT)
        text = open(i.wait_mails('alice', 1)[0]).read()
        check('Final-Recipient: rfc822; x@far.test' in text and 'Status: 2.0.0' in text, text)
        idle(i)
        check(len(sink.mails) == 1, f'sent {len(sink.mails)} times')


@test
def a_stopped_qmgr_or_keyd_is_replaced():
    with Instance(main='watchdog_timeout = 3s\ndirect_delivery = no\n') as i:
        old = {n: p for p, n in i.processes().items() if n in ('qmgr', 'keyd')}
        for pid in old.values():
            send_signal(pid, signal.SIGSTOP)
        check(wait(lambda: all(f'{n}[{p}] gave no sign of life for 3 s' in i.log() for n, p in old.items()), 12), 'not noticed')
        check(wait(lambda: sum(n in old and p != old[n] for p, n in i.processes().items()) == 2), 'not replaced')
        submit(i, 'alice@example.test', ['bob@example.test'])
        i.wait_mails('bob', 1)
        check(i.tells('sign of life', 2), 'one that works was killed')


@test
def a_stopped_smtp_holds_up_nothing_for_long():
    sink = Sink()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\nwatchdog_timeout = 3s\n') as i:
        smtp = stop_smtp(i, sink, 3)
        check(wait(lambda: len(sink.mails) == 4), 'what a stopped smtp was given is not sent by another one')
        check(i.tells(f'smtp[{smtp}] gave no sign of life for 3 s'), 'not told')
        idle(i)


@test
def a_mailing_delays_no_small_mail():
    """2,000 recipients at a server that takes its time, then one mail to the same server"""
    def reply(v, a):
        if v == 'DATA':
            time.sleep(0.05)
    sink = Sink(reply)
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\nsmtpd_recipient_limit = 3000\ndefault_destination_recipient_limit = 10\n'
                       'smtp_destination_concurrency_limit = 2\n') as i:
        submit(i, 'alice@example.test', [f'u{k}@far.test' for k in range(2000)], body='Subject: mailing\r\n\r\nx\r\n')
        check(wait(lambda: len(sink.mails) > 4), 'the mailing does not begin')
        submit(i, 'alice@example.test', ['one@far.test'], body='Subject: small\r\n\r\nx\r\n')
        before = len(sink.mails)
        check(wait(lambda: any(b'small' in m for m in sink.mails), step=0.002), 'never came')
        after = next(k for k, m in enumerate(sink.mails) if b'small' in m)
        check(after - before <= 8 and after < 150, f'the small one was number {after}, sent after {before} of 200')
        print(f'# {after - before} deliveries of the mailing went before the small mail')
        i.run('queue', 'delete', '--all')


@test
def a_deferred_transport_waits_until_it_is_asked_for_and_a_rate_is_kept():
    sink = Sink()
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\ndefer_transports = smtp\ndefault_destination_rate_delay = 1s\n'
                       'smtp_destination_recipient_limit = 2\nminimal_backoff_time = 1h\n') as i:
        submit(i, 'alice@example.test', ['a@far.test', 'b@far.test', 'c@far.test', 'bob@example.test'])
        i.wait_mails('bob', 1)
        check(wait(lambda: i.log().count('(deferred transport)') == 3), 'not deferred')
        check(not sink.mails, 'sent all the same')
        done = i.tool('sendmail', '-q')
        check(done.returncode == 0 and wait(lambda: sink.mails), f'sendmail -q: {done}')
        t = time.monotonic()
        check([len([a for v, a in sink.commands if v == 'RCPT'])] == [2], f'{sink.commands}')
        idle(i)
        check(len(sink.mails) == 2 and time.monotonic() - t > 0.4, f'{len(sink.mails)} after {time.monotonic() - t:.2f} s')


@test
def who_was_put_off_is_tried_again_when_asked_for_while_the_rest_is_under_way():
    free, asked = threading.Event(), []
    busy = Sink(lambda v, a: b'450 4.2.1 later\r\n' if v == 'RCPT' and not asked else None)
    slow = Sink(lambda v, a: free.wait(20) and None if v == 'DOT' else None)
    with Instance(main=f'transport_maps = inline:{{ {{ busy.test = smtp:[127.0.0.1]:{busy.port} }}, {{ slow.test = smtp:[127.0.0.1]:{slow.port} }} }}\n'
                       'minimal_backoff_time = 1h\n') as i:
        submit(i, 'alice@example.test', ['a@busy.test', 'b@slow.test'])
        check(wait(lambda: slow.mails and '(host 127.0.0.1' in i.log()), 'not put off')
        asked.append(i.tool('postqueue', '-f').returncode)
        check(not busy.mails, 'sent while the rest is under way')
        free.set()
        check(asked == [0] and wait(lambda: busy.mails), 'not tried again')
        idle(i)
        check(len(slow.mails) == 1, 'a second copy')


if __name__ == '__main__':
    main()
