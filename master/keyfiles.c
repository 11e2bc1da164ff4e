/* keyfiles.c: which files hold private keys: those may be opened for keyd alone. The configuration is root's. */
#include "master.h"

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

struct search {
	const char *path;
	bool found;
};

static bool
compare_value(void *ctx, struct span key, struct span value)
{
	struct search *s = ctx;
	struct span file;

	(void)key;
	while (!s->found && span_word(&value, ", \t\r\n", &file))
		s->found = span_is(file, s->path);
	return !s->found;
}

/* Does tls_server_sni_maps name it? The table is read anew when it was replaced. */
static bool
is_key_of_name(struct config *c, const char *path)
{
	struct search s = { path, false };
	struct buf err;

	buf_init(&err, 500);
	if (!c->sni)
		c->sni = maps_open(span_str(c->par.tls_server_sni_maps), &err);
	if (c->sni) {
		maps_refresh(c->sni);
		(void)maps_each(c->sni, compare_value, &s);
	}
	buf_fini(&err);
	return s.found;
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
}
