/* check_tls.c: the files of smtpd_tls_chain_files: they parse, each key has its certificate; which one is or will soon be expired. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "check.h"
#include "base/banned.h"

#define PARAMETER "smtpd_tls_chain_files"
#define OBJECTS_MAX 100		/* in one file */
#define WARN_DAYS 14

struct chain {
	struct check *check;
	EVP_PKEY *key;			/* waits for its certificate */
	char key_file[4096];
	unsigned pairs;
};

static void
check_dates(struct chain *ch, const char *file, const X509 *x)
{
	time_t soon = time(NULL) + WARN_DAYS * 86400;

	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		/* the mail of servers that do not check it still comes in: no reason to refuse a start */
		check_warning(ch->check, PARAMETER, "%s: the certificate has expired; clients will refuse it", file);
	else if (X509_cmp_time(X509_get0_notAfter(x), &soon) < 0)
		check_warning(ch->check, PARAMETER, "%s: the certificate expires within %d days", file, WARN_DAYS);
	if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		check_error(ch->check, PARAMETER, "%s: the certificate is not valid yet", file);
}

static void
take_key(struct chain *ch, const char *file, EVP_PKEY *key)
{
	struct stat st;

	if (ch->key)
		check_error(ch->check, PARAMETER, "%s: a key without a certificate after it", ch->key_file);
	EVP_PKEY_free(ch->key);
	ch->key = key;
	snprintf(ch->key_file, sizeof(ch->key_file), "%s", file);
	if (stat(file, &st) == 0 && (st.st_mode & 07))
		check_warning(ch->check, PARAMETER, "%s: everybody can read this key; chmod 600 it", file);
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
			check_error(ch->check, PARAMETER, "%s: the certificate does not belong to the key in %s", file, ch->key_file);
		EVP_PKEY_free(ch->key);
		ch->key = NULL;
	} else if (ch->pairs == 0) {
		check_error(ch->check, PARAMETER, "%s: a certificate without its key before it; name the key first", file);
	}
}

/* One PEM object; false when it is neither key nor certificate. */
static bool
take_object(struct chain *ch, const char *file, const char *name, const unsigned char *der, long n)
{
	bool is_key = strstr(name, "PRIVATE KEY") != NULL;
	const unsigned char *p = der;
	X509 *x;

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
			check_warning(ch->check, PARAMETER, "%s: only root can check it", file);
		return;			/* a missing file has been told */
	}
	for (; objects < OBJECTS_MAX; objects++) {
		unsigned char *der = NULL;
		char *name = NULL, *header = NULL;
		long n = 0;

		if (PEM_read_bio(bio, &name, &header, &der, &n) != 1)
			break;
		if (header[0] || strstr(name, "ENCRYPTED"))
			check_error(ch->check, PARAMETER, "%s: the key has a passphrase; keyd has nobody to ask for it", file);
		else if (!take_object(ch, file, name, der, n))
			check_error(ch->check, PARAMETER, "%s: a damaged or unknown part \"%s\"", file, name);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	if (objects == 0)
		check_error(ch->check, PARAMETER, "%s: holds neither a key nor a certificate in PEM", file);
	ERR_clear_error();
	BIO_free(bio);
}

void
check_tls(struct check *c)
{
	struct chain ch = { .check = c };
	struct span rest = span_str(par.smtpd_tls_chain_files), word;

	while (span_word(&rest, ", \t\r\n", &word)) {
		struct buf file;

		buf_init(&file, 4096);
		buf_addspan(&file, word);
		check_file(&ch, file.p);
		buf_fini(&file);
	}
	if (ch.key)
		check_error(c, PARAMETER, "%s: a key without a certificate after it", ch.key_file);
	EVP_PKEY_free(ch.key);
}
