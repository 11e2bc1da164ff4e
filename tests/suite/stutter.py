#!/usr/bin/env python3
"""stutter.py TEST [NAME]...: plays a test file while the daemons of this build stop for random moments, as they do on a machine that has no processor for them

A test that fails so, and passes alone, does not wait for what it looks at. MERPATI_LATE_LOG=0.7 beside it finds
the tests that look into the log too early. A test that stops a process itself may be woken by this: look twice.
"""
import os, random, signal, subprocess, sys, threading, time

BUILD = os.path.realpath(os.environ.get('MERPATI_BUILD', os.path.dirname(__file__) + '/../../build'))
over = threading.Event()


def daemons():
    out = []
    for p in filter(str.isdigit, os.listdir('/proc')):
        try:
            if os.readlink(f'/proc/{p}/exe').startswith(BUILD) and open(f'/proc/{p}/stat').read().rsplit(')', 1)[1][1] != 'T':
                out.append(int(p))
        except OSError:
            pass
    return out


def stutter():
    while not over.wait(0.01):
        for p in random.sample(some := daemons(), min(len(some), 1)):
            try:
                os.kill(p, signal.SIGSTOP)
                time.sleep(random.choice((0.005, 0.02, 0.1, 0.3)))
            except ProcessLookupError:
                continue
            finally:
                try:
                    os.kill(p, signal.SIGCONT)
                except ProcessLookupError:
                    pass


threads = [threading.Thread(target=stutter) for _ in range(4)]
for t in threads:
    t.start()
try:
    code = subprocess.run([sys.executable, *sys.argv[1:]]).returncode
finally:
    over.set()
    for t in threads:
        t.join()
sys.exit(code)
