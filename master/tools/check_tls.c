/*
 * check_tls.c: the files of keys and certificates (they parse, each key has its
 * certificate, which one is or will soon be expired), those of names
 * (tls_server_sni_maps), and the lists of cipher suites.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/map.h"
#include "check.h"
#include "net/keys/keys.h"
#include "base/banned.h"

#define OBJECTS_MAX 100		/* in one file */
#define WARN_DAYS 14

struct chain {
	struct check *check;
	const char *parameter;
	enum { BOTH, KEYS, CERTIFICATES } part;	/* of the files that are read */
	EVP_PKEY *key;			/* waits for its certificate */
	char key_file[4096];
	unsigned pairs;
	size_t *total;			/* pairs of all parameters and names */
};

static void
check_dates(struct chain *ch, const char *file, const X509 *x)
{
	time_t soon = time(NULL) + WARN_DAYS * 86400;

	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		/* the mail of servers that do not check it still comes in: no reason to refuse a start */
		check_warning(ch->check, ch->parameter, "%s: the certificate has expired; clients will refuse it", file);
	else if (X509_cmp_time(X509_get0_notAfter(x), &soon) < 0)
		check_warning(ch->check, ch->parameter, "%s: the certificate expires within %d days", file, WARN_DAYS);
	if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		check_error(ch->check, ch->parameter, "%s: the certificate is not valid yet", file);
}

static void
take_key(struct chain *ch, const char *file, EVP_PKEY *key)
{
	struct stat st;

	if (ch->key)
		check_error(ch->check, ch->parameter, "%s: a key without a certificate after it", ch->key_file);
	EVP_PKEY_free(ch->key);
	ch->key = key;
	snprintf(ch->key_file, sizeof(ch->key_file), "%s", file);
	if (stat(file, &st) == 0 && (st.st_mode & 07))
		check_warning(ch->check, ch->parameter, "%s: everybody can read this key; chmod 600 it", file);
}

/* The first certificate after a key is its own; the ones after that are the chain. */
static void
take_certificate(struct chain *ch, const char *file, X509 *x)
{
	check_dates(ch, file, x);
	if (ch->key) {
		if (X509_check_private_key(x, ch->key) == 1)
			ch->pairs++;
		else
			check_error(ch->check, ch->parameter, "%s: the certificate does not belong to the key in %s", file, ch->key_file);
		EVP_PKEY_free(ch->key);
		ch->key = NULL;
	} else if (ch->pairs == 0) {
		check_error(ch->check, ch->parameter, "%s: a certificate without its key before it; name the key first", file);
	}
}

/* One PEM object; false when it is neither key nor certificate. */
static bool
take_object(struct chain *ch, const char *file, const char *name, const unsigned char *der, long n)
{
	bool is_key = strstr(name, "PRIVATE KEY") != NULL;
	const unsigned char *p = der;
	X509 *x;

	if (ch->part != BOTH && is_key != (ch->part == KEYS))
		return true;
	if (is_key) {
		EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &p, n);

		if (key)
			take_key(ch, file, key);
		return key != NULL;
	}
	if (strcmp(name, PEM_STRING_X509) != 0)
		return strstr(name, "PARAMETERS") != NULL;
	x = d2i_X509(NULL, &p, n);
	if (x)
		take_certificate(ch, file, x);
	X509_free(x);
	return x != NULL;
}

static void
check_file(struct chain *ch, const char *file)
{
	BIO *bio = BIO_new_file(file, "r");
	unsigned objects = 0;

	if (!bio) {
		if (errno == EACCES)
			check_warning(ch->check, ch->parameter, "%s: only root can check it", file);
		return;			/* a missing file has been told */
	}
	for (; objects < OBJECTS_MAX; objects++) {
		unsigned char *der = NULL;
		char *name = NULL, *header = NULL;
		long n = 0;

		if (PEM_read_bio(bio, &name, &header, &der, &n) != 1)
			break;
		if (header[0] || strstr(name, "ENCRYPTED"))
			check_error(ch->check, ch->parameter, "%s: the key has a passphrase; keyd has nobody to ask for it", file);
		else if (!take_object(ch, file, name, der, n))
			check_error(ch->check, ch->parameter, "%s: a damaged or unknown part \"%s\"", file, name);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	if (objects == 0)
		check_error(ch->check, ch->parameter, "%s: holds neither a key nor a certificate in PEM", file);
	ERR_clear_error();
	BIO_free(bio);
}

static void
check_list(struct chain *ch, struct span list)
{
	struct span word;

	while (span_word(&list, ", \t\r\n", &word)) {
		struct buf file;

		buf_init(&file, 4096);
		buf_addspan(&file, word);
		check_file(ch, buf_cstr(&file));
		buf_fini(&file);
	}
}

static void
chain_end(struct chain *ch)
{
	if (ch->key)
		check_error(ch->check, ch->parameter, "%s: a key without a certificate after it", ch->key_file);
	EVP_PKEY_free(ch->key);
	*ch->total += ch->pairs;
}

static void
check_pair(struct check *c, const char *parameter, const char *certificate, const char *key, size_t *total)
{
	struct chain ch = { .check = c, .parameter = parameter, .part = KEYS, .total = total };

	if (!*certificate)
		return;
	check_file(&ch, key);
	ch.part = CERTIFICATES;
	check_file(&ch, certificate);
	chain_end(&ch);
}

struct names {
	struct check *check;
	size_t *total;
};

static bool
check_name(void *ctx, struct span name, struct span files)
{
	const struct names *n = ctx;
	struct chain ch = { .check = n->check, .parameter = "tls_server_sni_maps", .total = n->total };
	struct span rest = files, word;
	char path[4096];

	while (span_word(&rest, ", \t\r\n", &word)) {
		snprintf(path, sizeof(path), "%.*s", SPAN_FMT(word));
		if (word.p[0] != '/')
			check_error(ch.check, ch.parameter, "%.*s: \"%s\" is not the absolute path of a file", SPAN_FMT(name), path);
		else if (access(path, F_OK) < 0)
			check_error(ch.check, ch.parameter, "%.*s: %s: %s", SPAN_FMT(name), path, strerror(errno));
	}
	check_list(&ch, files);
	chain_end(&ch);
	return true;
}

static bool
count_name(void *ctx, struct span name, struct span files)
{
	(void)name;
	(void)files;
	++*(size_t *)ctx;
	return true;
}

static void
refuse_number(struct check *c, size_t n)
{
	check_error(c, "tls_server_sni_maps",
	    "%zu names and chains of certificates: keyd holds %d chains at most, and would take none of them", n, KEYS_MAX);
}

static void
check_names(struct check *c, size_t *total)
{
	size_t n = 0;
	struct names ctx = { c, total };
	struct maps *names;
	struct buf err;

	buf_init(&err, 500);
	names = maps_open(span_str(par.tls_server_sni_maps), &err);	/* a mistake in it has been told */
	if (names && !maps_empty(names))
		(void)maps_each(names, count_name, &n);
	if (n > KEYS_MAX)		/* too many to be read one by one */
		refuse_number(c, n);
	else if (names && !maps_empty(names) && maps_each(names, check_name, &ctx) != MAP_FOUND)
		check_error(c, "tls_server_sni_maps", "the table is damaged, or of a kind that cannot be listed; use inline, hash, cdb or texthash");
	maps_free(names);
	buf_fini(&err);
}

static void
check_ciphers(struct check *c, const char *parameter, const char *list)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx && SSL_CTX_set_cipher_list(ctx, list) != 1)
		check_error(c, parameter, "%s: \"%s\" names no cipher suite that OpenSSL has; see openssl-ciphers(1)", parameter, list);
	ERR_clear_error();
	SSL_CTX_free(ctx);
}

void
check_tls(struct check *c)
{
	size_t total = 0;
	struct chain ch = { .check = c, .parameter = "smtpd_tls_chain_files", .total = &total };

	if (*par.smtpd_tls_chain_files) {
		check_list(&ch, span_str(par.smtpd_tls_chain_files));
		chain_end(&ch);
	} else {
		check_pair(c, "smtpd_tls_cert_file", par.smtpd_tls_cert_file, par.smtpd_tls_key_file, &total);
		check_pair(c, "smtpd_tls_eccert_file", par.smtpd_tls_eccert_file, par.smtpd_tls_eckey_file, &total);
	}
	check_names(c, &total);
	if (total > KEYS_MAX)
		refuse_number(c, total);
	check_ciphers(c, "tls_medium_cipherlist", par.tls_medium_cipherlist);
	check_ciphers(c, "tls_high_cipherlist", par.tls_high_cipherlist);
}
