/* check_services.c: master.cf: its lines, the options of each service, addresses that are used twice. */
#include <errno.h>
#include <unistd.h>

#include "check.h"
#include "common/tool.h"
#include "places.h"
#include "service/mastercf.h"
#include "base/banned.h"

#define TEXT_MAX (1u << 20)

/* The same address, or one that covers the other (0.0.0.0 and 127.0.0.1). */
static bool
same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct buf x, y;
	ssize_t colon;
	bool same;

	buf_init(&x, 100);
	buf_init(&y, 100);
	address_text(a, &x);
	address_text(b, &y);
	same = span_eq(buf_span(&x), buf_span(&y));
	colon = span_rfind(buf_span(&x), ':');
	if (!same && a->ss_family == b->ss_family && colon >= 0 && colon < (ssize_t)y.len &&
	    span_eq(span_skip(buf_span(&x), (size_t)colon), span_skip(buf_span(&y), (size_t)span_rfind(buf_span(&y), ':'))))
		same = span_starts(buf_span(&x), "0.0.0.0:") || span_starts(buf_span(&y), "0.0.0.0:") ||
		    span_starts(buf_span(&x), "[::]:") || span_starts(buf_span(&y), "[::]:");
	buf_fini(&x);
	buf_fini(&y);
	return same;
}

/* One sentence for two lines, however many addresses they share. */
static void
check_pair(struct check *c, const struct service_row *a, const struct service_row *b)
{
	struct buf where;

	for (size_t i = 0; i < a->addr_count; i++)
		for (size_t k = 0; k < b->addr_count; k++) {
			if (!same_address(&a->addrs[i], &b->addrs[k]))
				continue;
			buf_init(&where, 100);
			address_text(&b->addrs[k], &where);
			check_error(c, NULL, "master.cf:%u: %s is taken by the service in line %u", b->line, where.p, a->line);
			buf_fini(&where);
			return;
		}
}

static void
check_program(struct check *c, const struct service_row *row)
{
	const char *path = tool_path(places_daemon_directory(), "%s", row->kind->binary);

	if (access(path, X_OK) < 0)
		check_error(c, NULL, "master.cf:%u: %s: %s; is daemon_directory right?", row->line, path, strerror(errno));
}

static void
check_addresses(struct check *c, const struct mastercf *m)
{
	for (size_t i = 0; i < m->count; i++)
		for (size_t k = i + 1; k < m->count; k++)
			if (strcmp(m->rows[i].name, m->rows[k].name) != 0)	/* the same name has been told */
				check_pair(c, &m->rows[i], &m->rows[k]);
}

static void
check_pipe(struct check *c, const struct mastercf *m)
{
	if (!*par.allow_mail_to_commands)
		return;
	for (size_t i = 0; i < m->count; i++)
		if (m->rows[i].kind && strcmp(m->rows[i].kind->name, "pipe") == 0)
			return;
	check_error(c, "allow_mail_to_commands", "master.cf has no line that runs programs; add: pipe unix - - - - - pipe");
}

void
check_services(struct check *c)
{
	struct buf text, main_cf;
	struct mastercf m;

	buf_init(&text, TEXT_MAX);
	buf_init(&main_cf, TEXT_MAX);
	if (!tool_read(tool_path(c->confdir, "main.cf"), TEXT_MAX, &main_cf) ||
	    !tool_read(tool_path(c->confdir, "master.cf"), TEXT_MAX, &text)) {
		check_error(c, NULL, "%s/master.cf: %s", c->confdir, strerror(errno));
		c->errors += conf_check_names(c->conf, "", &c->out);
		goto out;
	}
	c->errors += mastercf_parse(&m, buf_span(&text), par.inet_interfaces, par.inet_protocols, &c->out);
	c->errors += conf_check_names(c->conf, m.options_text.p, &c->out);
	for (size_t i = 0; i < m.count; i++)
		if (m.rows[i].kind) {
			c->errors += mastercf_check_params(&m.rows[i], c->confdir, buf_span(&main_cf), &c->out);
			check_program(c, &m.rows[i]);
		}
	check_addresses(c, &m);
	check_pipe(c, &m);
	mastercf_free(&m);
out:
	buf_fini(&text);
	buf_fini(&main_cf);
}
