/*
 * sources.h: which files hold keys and certificates, and for whom: the default
 * ones (smtpd_tls_chain_files, or smtpd_tls_cert_file and its kin), and those
 * of each name of tls_server_sni_maps.
 */
#ifndef KEYD_SOURCES_H
#define KEYD_SOURCES_H

#include "base/buf.h"
#include "net/keys/keys.h"

#define SOURCES_MAX (3 * KEYS_MAX)

enum part { PART_ALL, PART_KEY, PART_CERTS };

struct source {
	char *path;			/* lives until the next sources_list() */
	enum part part;			/* of what it holds */
	unsigned group;			/* files of one group follow each other and are read as one text */
	char *name;			/* a name of SNI; NULL: the default */
};

void sources_open(void);		/* after par has changed; dies on a table that does not open at the start */
bool sources_changed(void);		/* the table was replaced */
/* How many; *out is its own until the next call. A sentence in err: some are left out. */
size_t sources_list(const struct source **out, struct buf *err);

#endif
