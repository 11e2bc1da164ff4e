#!/usr/bin/env python3
"""The architecture itself: which process may link what."""
import os, subprocess
from harness import *

LIBEXEC = BUILD + '/libexec/merpati'
ALLOWED = {     # library -> the only binaries that may have it
    'libssl': {'smtpd', 'smtp', 'imapd', 'pop3d', 'keyd'},
    'libsasl2': {'auth', 'smtp'},
    'libcrypt.': {'auth', 'merpati'},
    'libunbound': {'smtp', 'smtpd'},
    'libidn2': {'smtp', 'smtpd'},
    'liblmdb': {'local', 'imap-session', 'pop3-session', 'merpati'},
    'libz.': {'imapd'},
    'libpcre2': {'smtpd', 'smtp', 'intake', 'qmgr', 'merpati'},
    'libcrypto': {'smtpd', 'smtp', 'imapd', 'pop3d', 'keyd', 'auth', 'merpati'},
}
DAEMONS = 'master keyd auth smtpd intake qmgr smtp local pipe bounce imapd pop3d imap-session pop3-session'.split()


def needed(path):
    out = subprocess.run(['readelf', '-d', path], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [l.split('[')[1].split(']')[0] for l in out.splitlines() if '(NEEDED)' in l]


@test
def every_daemon_is_built():
    for d in DAEMONS:
        check(os.access(f'{LIBEXEC}/{d}', os.X_OK), f'{d} is missing')


@test
def no_daemon_links_more_than_its_row_allows():
    for d in DAEMONS:
        if not os.path.exists(f'{LIBEXEC}/{d}'):
            continue
        for lib in needed(f'{LIBEXEC}/{d}'):
            for name, who in ALLOWED.items():
                check(not lib.startswith(name) or d in who, f'{d} links {lib}')


@test
def a_static_session_holds_no_more_than_its_row_allows():
    foreign = {'SSL_new', 'EVP_DigestInit_ex', 'sasl_server_new', 'crypt_r', 'ub_resolve_event'}
    for d in 'imap-session', 'pop3-session':
        out = subprocess.run(['nm', f'{LIBEXEC}/{d}'], stdout=subprocess.PIPE, text=True, check=True).stdout
        found = {l.split()[-1].split('@')[0] for l in out.splitlines()} & foreign
        check(not found, f'{d} holds {found}')


@test
def libraries_depend_one_way():
    order = ['base', 'net', 'mail', 'service']
    for i, lower in enumerate(order):
        for higher in order[i + 1:]:
            if (lower, higher) == ('net', 'mail'):
                continue        # neither knows the other
            r = subprocess.run(['grep', '-rln', f'#include "{higher}/', f'{TOP}/lib/{lower}'], stdout=subprocess.PIPE, text=True)
            check(not r.stdout, f'lib/{lower} includes lib/{higher}: {r.stdout}')


main()
