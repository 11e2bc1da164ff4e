/* keyfiles.c: which files hold private keys: those may be opened for keyd alone. The configuration is root's. */
#include "master.h"

#include <stdlib.h>

#include "base/die.h"
#include "base/map.h"
#include "base/banned.h"

static bool
is_key_file(const struct params *p, const char *path)
{
	const char *const files[] = { p->smtpd_tls_cert_file, p->smtpd_tls_key_file, p->smtpd_tls_eccert_file, p->smtpd_tls_eckey_file };

	for (size_t i = 0; i < NELEMS(files); i++)
		if (strcmp(files[i], path) == 0)
			return true;
	return param_list_has(p->smtpd_tls_chain_files, span_str(path));
}

static bool
add_value(void *ctx, struct span key, struct span value)
{
	struct keyfiles *f = ctx;
	struct span file;

	(void)key;
	while (span_word(&value, ", \t\r\n", &file)) {
		if (f->n == f->room) {
			f->room = f->room ? 2 * f->room : 16;
			f->at = reallocarray(f->at, f->room, sizeof(*f->at));
			if (!f->at)
				die("out of memory (key files)");
		}
		f->at[f->n++] = x_spandup(file);
	}
	return true;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
forget(struct keyfiles *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->at[i]);
	free(f->at);
	*f = (struct keyfiles){ NULL, 0, 0 };
}

/* Does tls_server_sni_maps name it? keyd asks for all of them again and again; the table is read anew when it was replaced. */
static bool
is_key_of_name(struct config *c, const char *path)
{
	struct buf err;
	bool anew = false;

	buf_init(&err, 500);
	if (!c->sni) {
		c->sni = maps_open(span_str(c->par.tls_server_sni_maps), &err);
		anew = true;
	}
	buf_fini(&err);
	if (!c->sni)
		return false;
	if (maps_refresh(c->sni) || anew) {
		forget(&c->sni_files);
		(void)maps_each(c->sni, add_value, &c->sni_files);
		if (c->sni_files.n > 0)
			qsort(c->sni_files.at, c->sni_files.n, sizeof(*c->sni_files.at), compare);
	}
	return c->sni_files.n > 0 && bsearch(&path, c->sni_files.at, c->sni_files.n, sizeof(*c->sni_files.at), compare);
}

bool
keyfiles_have(struct config *c, const char *path)
{
	return is_key_file(&c->par, path) || is_key_of_name(c, path);
}

void
keyfiles_free(struct config *c)
{
	maps_free(c->sni);
	c->sni = NULL;
	forget(&c->sni_files);
}
