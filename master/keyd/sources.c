/* sources.c: the parameters and the table that name key files, as one list. All are the operator's. */
#include "sources.h"

#include <stdlib.h>

#include "base/die.h"
#include "base/log.h"
#include "base/map.h"
#include "service/params.h"
#include "base/banned.h"

#define SEPARATORS ", \t\r\n"

static struct maps *names;

void
sources_open(void)
{
	struct maps *fresh;
	struct buf err;

	buf_init(&err, 500);
	fresh = maps_open(span_str(par.tls_server_sni_maps), &err);
	if (!fresh && !names)
		die_config("tls_server_sni_maps: %s", buf_cstr(&err));
	if (!fresh)
		log_error(NULL, "tls_server_sni_maps: %s; the old table stays in use", buf_cstr(&err));
	else
		maps_free(names);
	if (fresh)
		names = fresh;
	buf_fini(&err);
}

bool
sources_changed(void)
{
	return maps_refresh(names);
}

struct listing {
	struct source *out;
	size_t n, room;
	unsigned group;
	struct buf *err;
};

static void
add(struct listing *l, struct span path, enum part part, struct span name)
{
	if (l->n == SOURCES_MAX) {
		buf_reset(l->err);
		buf_addf(l->err, "more than %d files of keys and certificates: the rest is left out", SOURCES_MAX);
		return;
	}
	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 16;
		l->out = reallocarray(l->out, l->room, sizeof(*l->out));
		if (!l->out)
			die("out of memory (key files)");
	}
	l->out[l->n++] = (struct source){ .path = x_spandup(path), .part = part, .group = l->group,
		.name = name.n > 0 ? x_spandup(name) : NULL };
}

static void
add_files(struct listing *l, struct span files, struct span name)
{
	struct span one;

	l->group++;
	while (span_word(&files, SEPARATORS, &one))
		add(l, one, PART_ALL, name);
}

/* In such a pair of parameters the key's file may be the certificate's, whichever comes first in it. */
static void
add_pair(struct listing *l, const char *key, const char *certificate)
{
	if (!*certificate)
		return;
	add(l, span_str(key), PART_KEY, SPAN_NONE);
	add(l, span_str(certificate), PART_CERTS, SPAN_NONE);
}

static bool
add_name(void *ctx, struct span key, struct span value)
{
	add_files(ctx, value, key);
	return true;
}

/* Names first: a name that the table gives counts before the same name in a certificate. */
size_t
sources_list(const struct source **out, struct buf *err)
{
	static struct listing l;

	for (size_t i = 0; i < l.n; i++) {
		free(l.out[i].path);
		free(l.out[i].name);
	}
	l.n = l.group = 0;
	l.err = err;
	if (!maps_empty(names) && maps_each(names, add_name, &l) != MAP_FOUND)
		buf_adds(err, "tls_server_sni_maps: a table that is damaged, or of a kind that cannot be listed");
	l.group++;
	if (*par.smtpd_tls_chain_files) {
		add_files(&l, span_str(par.smtpd_tls_chain_files), SPAN_NONE);
	} else {
		add_pair(&l, par.smtpd_tls_key_file, par.smtpd_tls_cert_file);
		add_pair(&l, par.smtpd_tls_eckey_file, par.smtpd_tls_eccert_file);
	}
	*out = l.out;
	return l.n;
}
