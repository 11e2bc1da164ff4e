/* restrict.c: lists of restrictions, as they stand in main.cf. */
#include "service/restrict.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>

#include "base/map.h"
#include "service/params.h"
#include "base/banned.h"

#define NAMES_MAX 4096
#define CLASS_DEPTH_MAX 8		/* classes in each other */

static const char seps[] = ", \t\r\n";

const struct restrict_row restrict_rows[] = {
#define RESTRICTION(name, arg) { #name, RESTRICT_##arg },
#include "service/restrictions.def"
#undef RESTRICTION
};
const size_t restrict_count = NELEMS(restrict_rows);

static const struct restrict_row *
find_row(struct span name)
{
	for (size_t i = 0; i < restrict_count; i++)
		if (span_is_nocase(name, restrict_rows[i].name))
			return &restrict_rows[i];
	return NULL;
}

/* Words of Postfix that are not here, and what there is instead. */
static const struct { const char *word, *instead; } absent[] = {
	{ "permit_mx_backup", "name the domains in relay_domains" },
	{ "reject_maps_rbl", "use reject_rbl_client" },
};

static void
unknown_word(struct span name, const char *classes, struct buf *err)
{
	struct buf all;
	const char *near;

	for (size_t i = 0; i < NELEMS(absent); i++)
		if (span_is_nocase(name, absent[i].word)) {
			buf_addf(err, "%s is not done here: %s", absent[i].word, absent[i].instead);
			return;
		}

	buf_init(&all, NAMES_MAX);
	for (size_t i = 0; i < restrict_count; i++)
		buf_addf(&all, "%s ", restrict_rows[i].name);
	buf_adds(&all, classes);
	near = param_nearest(name, buf_cstr(&all));
	buf_addf(err, "there is no \"%.*s\"", SPAN_FMT(name));
	if (near)
		buf_addf(err, "; did you mean %.*s?", (int)strcspn(near, " ,"), near);
	else
		buf_adds(err, "; main.cf(5) lists the words");
	buf_fini(&all);
}

static bool
is_number(struct span s, uint32_t least, uint32_t most, uint32_t *out)
{
	return s.n > 0 && span_u32(s, least, most, out);
}

static bool
is_address(struct span host)
{
	unsigned char room[16];
	char text[INET6_ADDRSTRLEN];

	if (span_is_nocase(host, "localhost"))
		return true;
	if (host.n >= sizeof(text))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_pton(AF_INET, text, room) == 1 || inet_pton(AF_INET6, text, room) == 1;
}

bool
restrict_server(struct span arg, struct restrict_server *out, struct buf *err)
{
	ssize_t colon;
	uint32_t port;

	if (span_starts(arg, "unix:")) {
		*out = (struct restrict_server){ .host = span_skip(arg, 5) };
		if (out->host.n > 0 && out->host.n < 64 && span_find(out->host, '/') < 0)
			return true;
		buf_addf(err, "\"%.*s\": smtpd reaches only sockets in run_directory/smtpd: unix:NAME, or inet:host:port",
		    SPAN_FMT(arg));
		return false;
	}
	*out = (struct restrict_server){ .inet = true, .host = span_skip(arg, 5) };
	colon = span_starts(arg, "inet:") ? span_rfind(out->host, ':') : -1;
	if (colon > 0 && is_number(span_skip(out->host, (size_t)colon + 1), 1, 65535, &port)) {
		out->port = (uint16_t)port;
		out->host = span_sub(out->host, 0, (size_t)colon);
		if (out->host.p[0] == '[' && out->host.p[out->host.n - 1] == ']')
			out->host = span_sub(out->host, 1, out->host.n - 1);
		if (is_address(out->host))
			return true;
		buf_addf(err, "\"%.*s\": the host of a policy service is an address or localhost", SPAN_FMT(arg));
		return false;
	}
	buf_addf(err, "\"%.*s\" is neither inet:host:port nor unix:name", SPAN_FMT(arg));
	return false;
}

socklen_t
restrict_address(const struct restrict_server *where, struct sockaddr_storage *sa)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(where->port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(where->port) };
	char *host;
	socklen_t len = sizeof(four);

	if (!where->inet) {	/* relative: the working directory is run_directory/smtpd, inside and outside of the jail */
		memcpy(un.sun_path, where->host.p, where->host.n);
		memcpy(sa, &un, sizeof(un));
		return sizeof(un);
	}
	host = span_is_nocase(where->host, "localhost") ? x_strdup("127.0.0.1") : x_spandup(where->host);
	if (inet_pton(AF_INET, host, &four.sin_addr) == 1) {
		memcpy(sa, &four, sizeof(four));
	} else {
		(void)inet_pton(AF_INET6, host, &six.sin6_addr);
		memcpy(sa, &six, sizeof(six));
		len = sizeof(six);
	}
	free(host);
	return len;
}

static bool
arg_valid(const struct restrict_word *w, struct buf *err)
{
	struct restrict_server server;
	uint32_t number;

	if (w->row->arg == RESTRICT_SERVER)
		return restrict_server(w->arg, &server, err);
	if (w->row->arg == RESTRICT_TABLE)
		return maps_check(w->arg, NULL, NULL, err);
	if (w->row->arg == RESTRICT_NUMBER) {
		if (is_number(w->arg, 0, RESTRICT_NUMBER_MAX, &number))
			return true;
		buf_addf(err, "%s: \"%.*s\" is not a number of seconds from 0 to %d", w->row->name, SPAN_FMT(w->arg), RESTRICT_NUMBER_MAX);
		return false;
	}
	if (span_find(w->arg, '.') > 0 && span_find(w->arg, '/') < 0 && w->arg.n < 200)
		return true;
	buf_addf(err, "%s: \"%.*s\" is not a domain", w->row->name, SPAN_FMT(w->arg));
	return false;
}

int
restrict_next(struct span *list, const char *classes, struct restrict_word *w, struct buf *err)
{
	int r = map_next_item(list, seps, &w->name);

	w->arg = SPAN_NONE;
	if (r < 0)
		buf_adds(err, "braces do not match");
	if (r <= 0)
		return r;
	w->row = find_row(w->name);
	if (!w->row && param_list_has(classes, w->name))
		return 1;
	if (!w->row) {
		unknown_word(w->name, classes, err);
		return -1;
	}
	if (w->row->arg == RESTRICT_NONE)
		return 1;
	if (map_next_item(list, seps, &w->arg) <= 0) {
		buf_addf(err, "%s needs an argument", w->row->name);
		return -1;
	}
	return arg_valid(w, err) ? 1 : -1;
}

/* Behind a word that does not exist: its argument, as far as that looks like one. */
static void
skip_argument(struct span *list)
{
	struct span ahead = *list, item;

	if (map_next_item(&ahead, seps, &item) > 0 && (map_is_table(item) || span_find(item, ':') > 0 || span_find(item, '.') > 0))
		*list = ahead;
}

bool
restrict_check(struct span list, const char *classes, void (*on_file)(void *ctx, const char *path), void *ctx,
    struct buf *err)
{
	struct restrict_word w = { .row = NULL };
	bool good = true;

	for (;;) {
		struct span before = list;
		size_t told = err->len;
		int r;

		if (!good)
			buf_adds(err, "; ");
		r = restrict_next(&list, classes, &w, err);
		if (r > 0 && w.row && w.row->arg == RESTRICT_TABLE && !maps_check(w.arg, on_file, ctx, err))
			r = -1;
		if (r >= 0 && !good)
			buf_truncate(err, told);
		if (r == 0)
			return good;
		good = good && r > 0;
		if (r < 0 && before.n == list.n)
			return false;
		if (r < 0 && !w.row)
			skip_argument(&list);
	}
}

static bool
closes(const struct restrict_row *row)
{
	static const char *const words[] = { "reject", "defer", "reject_unauth_destination", "defer_unauth_destination" };

	for (size_t i = 0; row && i < NELEMS(words); i++)
		if (strcmp(row->name, words[i]) == 0)
			return true;
	return false;
}

static bool
closes_relay(struct span list, const char *classes, char *(*class_text)(void *ctx, struct span name), void *ctx, unsigned depth)
{
	struct restrict_word w;
	bool warn = false, closed = false;
	struct buf err;

	buf_init(&err, NAMES_MAX);
	while (!closed && depth < CLASS_DEPTH_MAX && restrict_next(&list, classes, &w, &err) > 0) {
		char *text = w.row || warn ? NULL : class_text(ctx, w.name);

		if (w.row && strcmp(w.row->name, "permit") == 0)
			break;
		closed = !warn && (closes(w.row) || (text && closes_relay(span_str(text), classes, class_text, ctx, depth + 1)));
		warn = w.row && strcmp(w.row->name, "warn_if_reject") == 0;
		free(text);
	}
	buf_fini(&err);
	return closed;
}

bool
restrict_closes_relay(struct span list, const char *classes, char *(*class_text)(void *ctx, struct span name), void *ctx)
{
	return closes_relay(list, classes, class_text, ctx, 0);
}
