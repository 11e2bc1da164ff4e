#!/usr/bin/env python3
"""kill -9 of each daemon in turn, many times, while mail of every kind is under way: nothing acknowledged is lost, and copies are
counted: none by a repeated delivery into a Maildir, others only in the documented windows. (release build only)

On demand: tests/crash --kills [ROUNDS] (or MERPATI_KILLS=ROUNDS); prints its figures."""
import collections, os, random, re, time
from harness import *
from load import Load, kill
from sink import FAST, Sink

ROUNDS = int(os.environ.get('MERPATI_KILLS', 0))
DAEMONS = ['smtpd', 'intake', 'qmgr', 'local', 'smtp', 'bounce', 'keyd', 'auth', 'master']
LARGE = 'a line of a large message\r\n' * 12000

# kind: recipients (bob and alice have Maildirs, at far.test is a server: what begins with later is refused the first time, bad for good), body
KINDS = {
    'direct': (['bob'], ''), 'large': (['bob'], LARGE), 'queue': (['bob', 'alice'], ''), 'relay': (['good@far.test'], ''),
    'both': (['bob', 'good@far.test'], ''), 'later': (['later@far.test', 'good@far.test'], ''), 'bad': (['bad@far.test'], ''),
}


class Mixed(Load):
    def job(self, n):
        kind = list(KINDS)[n % len(KINDS)]
        mark, (to, body) = f'{kind}-{n}', KINDS[kind]
        return mark, [r.replace('@', f'-{n}@') if '@' in r else f'{r}@{DOMAIN}' for r in to], body or 'y' * 700


class Refusing:
    """the first delivery to each later-N is put off"""
    def __init__(self):
        self.seen = set()

    def __call__(self, verb, arg):
        if verb != 'RCPT':
            return None
        name = re.match(r'TO:<([^@>]+)', arg)[1]
        if name.startswith('bad'):
            return b'550 5.1.1 no\r\n'
        if name.startswith('later') and name not in self.seen:
            self.seen.add(name)
            return b'450 4.7.1 later\r\n'


def copies(i, sink):
    """({(mark, recipient): messages}, {mark: reports}, deliveries of one queue file that are in a Maildir twice)"""
    found, reports, names = collections.Counter(), collections.Counter(), collections.Counter()
    for user in 'bob', 'alice':
        for p in i.mails(user):
            text = open(p, errors='replace').read()
            mark = re.findall(r'^Subject: (\w+-\d+)$', text, re.M)
            if 'Action: failed' in text:
                reports[mark[-1]] += 1
                continue
            check(mark and text.endswith(f'end of {mark[0]}\n'), f'{p} is not whole')
            found[mark[0], user] += 1
            names[user, re.search(r'\.(Q\w+R\d+)\.', os.path.basename(p))[1]] += 1
    for rcpts, text in sink.taken:
        mark = re.search(rb'^Subject: (\S+)\r', text, re.M)[1].decode()
        check(text.endswith(f'end of {mark}\r\n'.encode()), f'{mark} is not whole at the server')
        for r in rcpts:
            found[mark, re.match(r'TO:<(\w+)-', r)[1]] += 1
    return found, reports, sum(n - 1 for n in names.values())


def missing(load, found, reports):
    lost = []
    for mark in load.acked:
        kind = mark.split('-')[0]
        lost += [f'{mark} to {r}' for r in KINDS[kind][0] if kind != 'bad' and not found[mark, r.split('@')[0]]]
        lost += [f'the report of {mark}'] if kind == 'bad' and not reports[mark] else []
    return lost


@test
def kill_9_of_every_daemon_under_mixed_load():
    if not ROUNDS:
        raise Skip('only with MERPATI_KILLS=ROUNDS')
    sink, killed, worst = Sink(Refusing()), collections.Counter(), 0
    with Instance(main=f'relayhost = [127.0.0.1]:{sink.port}\nmessage_size_limit = 2M\n{FAST}') as i:
        load = Mixed(i, clients=4, pause=0.02)
        for _ in range(ROUNDS):
            for daemon in DAEMONS:
                time.sleep(random.uniform(0.05, 0.4))
                if not wait(lambda: kill(i, daemon), 3):
                    continue            # bounce may have nothing to do
                killed[daemon] += 1
                began, before = time.monotonic(), len(load.acked)
                if daemon == 'master':
                    check(wait(lambda: not i.processes(), 20), 'daemons outlive their master')
                    i.run('start')
                check(wait(lambda: len(load.acked) > before, 10, 0.01), f'no service 10 s after kill -9 of {daemon}')
                worst = max(worst, time.monotonic() - began)
        load.end()
        state = lambda: copies(i, sink)

        def drained():
            i.tool('postqueue', '-f')
            return not i.queue() and not missing(load, *state()[:2])
        wait(drained, 90, 1)
        found, reports, repeated = state()
        lost = missing(load, found, reports)
        check(not lost, f'{len(lost)} lost: {lost[:5]}')
        extra = collections.Counter()
        for (mark, rcpt), n in found.items():
            extra['server' if rcpt in ('good', 'later') else 'mailbox'] += n - 1
        doubled = sum(n - 1 for n in reports.values())
        print(f'# {sum(killed.values())} kills ({", ".join(f"{n} {d}" for d, n in sorted(killed.items()))}), {len(load.acked)} acknowledged, 0 lost; '
              f'twice: {extra["server"]} recipients at the server, {doubled} reports, {extra["mailbox"]} in mailboxes because intake died before its answer, '
              f'{repeated} by a repeated delivery into a Maildir; back after {worst:.2f} s at worst', flush=True)
        check(not repeated, f'{repeated} deliveries are in a Maildir twice')
        check(extra['mailbox'] <= (killed['intake'] + killed['master']) * len(load.ts) * 2, 'more copies in mailboxes than the window allows')
        check(not os.listdir(i.root + '/spool/corrupt'), 'a damaged file')
    sink.close()


if __name__ == '__main__':
    main()
