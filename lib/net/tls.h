/*
 * tls.h: TLS contexts. lib/net/tls.c and conn.c are the only users of
 * openssl/ssl.h. A server never holds a private key: certificates come from
 * keyd and every signature is asked of keyd (lib/net/tlskey.c, an OpenSSL 3
 * provider).
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/buf.h"

struct tls_server;
struct tls_client;

/*
 * How a signature is made: blocking, at most 2 s. key: handle from keyd. false
 * makes the handshake fail. The function is given by the daemon (it owns the
 * link to keyd).
 */
typedef bool tls_signer(void *ctx, uint32_t key, const char *scheme, const char *digest,
    struct span tbs, struct buf *signature);

/* What a server's handshakes may be. Strings are borrowed for the call. */
struct tls_policy {
	bool v12, v13;
	const char *ciphers;		/* of TLS 1.2, openssl-ciphers(1) */
	bool client_order;		/* of cipher suites; else ours counts */
	bool ask;			/* for a client certificate; the handshake goes on without one */
	const char *ca_file;		/* authorities that sign those; "": none, all are unverified */
};

void tls_init(void);			/* before the jail: loads providers and error strings */

struct tls_server *tls_server_new(tls_signer *sign, void *ctx);
/* Before any certificate, before the jail (ca_file is read). False and a sentence in err. */
bool tls_server_policy(struct tls_server *t, const struct tls_policy *p, struct buf *err) CHECKED;
/*
 * Replace all certificates at once: begin, add each, commit. A default chain that cannot be used is refused (false, err).
 * Those of names are read when a client first asks for them: what cannot be used is told then, and the default serves.
 */
void tls_server_begin(struct tls_server *t);
bool tls_server_add(struct tls_server *t, uint32_t key, struct span names, struct span pem_chain, struct buf *err) CHECKED;
void tls_server_commit(struct tls_server *t, struct span ticket_keys);
bool tls_server_ready(const struct tls_server *t);	/* has at least one certificate */
/* ALPN names accepted ("smtp", "imap", "pop3"); a client that offers only others gets no_application_protocol */
void tls_server_alpn(struct tls_server *t, const char *name);

/* The handshake accepts any certificate; what it proves is asked afterwards: conn_tls_proves. */
struct tls_client *tls_client_new(void);
/* Certificates of authorities, before the jail. False and a sentence: none can be read. */
bool tls_client_trust(struct tls_client *t, const char *ca_file, struct buf *err) CHECKED;

/* The certificate that a client has shown; it has the key of it. */
struct tls_peer {
	char certificate[200], key[200];	/* fingerprints of certificate and public key: "aa:bb:..." */
	char name[128];				/* its common name, printable and without blanks; "": none */
	bool trusted;				/* tls_policy.ca_file proves it */
};

/* What a server must prove. */
struct tls_demand {
	bool fingerprints;	/* match: SHA-256 of certificate or public key, in hex; no authority is asked */
	bool dane;		/* one of the records of conn_tls_dane; match is not looked at */
	struct span match;	/* blank separated; else names, ".name" for everything below it */
};

/* A TLSA record (RFC 6698 2.1); data is a stranger's. */
struct tls_record {
	uint8_t usage, selector, matching;
	struct span data;
};
/* RFC 7672 3.1: DANE-TA(2) or DANE-EE(3), and a digest or object that can be compared. */
bool tls_record_usable(const struct tls_record *r);

#endif
