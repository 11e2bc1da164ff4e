/* mastercf.c: master.cf to a table; root-owned text, every mistake told with its line. */
#include "service/mastercf.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/map.h"
#include "service/roles.h"
#include "base/banned.h"

#define LINE_LONGEST 16384
#define PROCESSES_MAX 1000
#define OPTION_MAX 4096
#define SOCKET_NAME_MAX 64

const struct daemon_kind daemon_kinds[] = {
	/* name     binary          user      role            how          stays  counters min max spare */
	{ "keyd",   "keyd",         "keyd",   R_KEYD,         HOW_SERVER,  true,  false, 1, 1, false },
	{ "qmgr",   "qmgr",         "qmgr",   R_QMGR,         HOW_SERVER,  true,  false, 1, 1, false },
	{ "auth",   "auth",         "auth",   R_AUTH,         HOW_SERVER,  false, true,  1, 32, false },
	{ "intake", "intake",       "intake", R_INTAKE,       HOW_SERVER,  false, false, 1, 100, false },
	{ "submit", "intake",       "intake", R_INTAKE,       HOW_SERVER,  false, false, 0, 20, false },
	{ "virtual", "local",       "vmail",  R_LOCAL,        HOW_SERVER,  false, false, 1, 150, false },
	{ "smtpd",  "smtpd",        "smtpd",  R_SMTPD,        HOW_INET,    false, true,  1, 4, false },
	{ "imapd",  "imapd",        "imapd",  R_IMAPD,        HOW_INET,    false, true,  1, 4, false },
	{ "pop3d",  "pop3d",        "pop3d",  R_POP3D,        HOW_INET,    false, true,  1, 4, false },
	{ "smtp",   "smtp",         "smtp",   R_SMTP,         HOW_AGENT,   false, false, 0, 100, false },
	{ "local",  "local",        "vmail",  R_LOCAL,        HOW_AGENT,   false, false, 0, 200, false },
	{ "pipe",   "pipe",         "",       R_PIPE,         HOW_AGENT,   false, false, 0, 50, true },
	{ "bounce", "bounce",       "bounce", R_BOUNCE,       HOW_AGENT,   false, false, 0, 20, false },
	{ "imap",   "imap-session", "vmail",  R_IMAP_SESSION, HOW_SESSION, false, false, 0, 1000, false },
	{ "pop3",   "pop3-session", "vmail",  R_POP3_SESSION, HOW_SESSION, false, false, 0, 1000, false },
};
const size_t daemon_kind_count = NELEMS(daemon_kinds);

static const struct {
	const char *name;
	uint16_t port;
} well_known[] = { { "smtp", 25 }, { "submission", 587 }, { "submissions", 465 }, { "smtps", 465 }, { "pop3", 110 },
	{ "pop3s", 995 }, { "imap", 143 }, { "imaps", 993 } };

const struct daemon_kind *
daemon_find(struct span name)
{
	for (size_t i = 0; i < daemon_kind_count; i++)
		if (span_is(name, daemon_kinds[i].name))
			return &daemon_kinds[i];
	return NULL;
}

void
address_text(const struct sockaddr_storage *sa, struct buf *out)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (sa->ss_family == AF_UNIX) {
		buf_addf(out, "unix:public/%s", ((const struct sockaddr_un *)(const void *)sa)->sun_path);
	} else if (sa->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
		buf_addf(out, "[%s]:%u", ip, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in4 = (const void *)sa;

		inet_ntop(AF_INET, &in4->sin_addr, ip, sizeof(ip));
		buf_addf(out, "%s:%u", ip, ntohs(in4->sin_port));
	}
}

/* ---- addresses ---- */

struct parse {
	struct service_row *row;
	const char *interfaces, *protocols;
	unsigned line;
	struct buf *err;
	int errors;
};

static void
complain(struct parse *p, const char *fmt, ...) PRINTF(2, 3);

static void
complain(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	buf_addf(p->err, "master.cf:%u: ", p->line);
	va_start(ap, fmt);
	buf_vaddf(p->err, fmt, ap);
	va_end(ap);
	buf_addc(p->err, '\n');
	p->errors++;
}

static bool
parse_port(struct span s, uint16_t *port)
{
	uint32_t n;

	for (size_t i = 0; i < NELEMS(well_known); i++)
		if (span_is(s, well_known[i].name)) {
			*port = well_known[i].port;
			return true;
		}
	if (!span_u32(s, 1, 65535, &n))
		return false;
	*port = (uint16_t)n;
	return true;
}

static bool
add_address(struct parse *p, struct span host, uint16_t port, bool optional)
{
	struct service_row *row = p->row;
	struct sockaddr_storage *sa;
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in *in4;
	struct sockaddr_in6 *in6;

	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = span_sub(host, 1, host.n - 1);
	if (span_is(host, "localhost"))
		host = SPAN("127.0.0.1");
	if (host.n >= sizeof(text) || row->addr_count == SERVICE_ADDRS_MAX)
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	sa = &row->addrs[row->addr_count];
	in4 = (void *)sa;
	in6 = (void *)sa;
	memset(sa, 0, sizeof(*sa));
	if (inet_pton(AF_INET, text, &in4->sin_addr) == 1) {
		sa->ss_family = AF_INET;
		in4->sin_port = htons(port);
		if (strcmp(p->protocols, "ipv6") == 0)
			return true;
	} else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		sa->ss_family = AF_INET6;
		in6->sin6_port = htons(port);
		if (strcmp(p->protocols, "ipv4") == 0)
			return true;
	} else {
		return false;
	}
	row->optional[row->addr_count++] = optional;
	return true;
}

/* Said of the first line that uses it; it is one mistake, however many services there are. */
static void
complain_of_interface(struct parse *p, struct span word)
{
	struct buf text;

	buf_init(&text, LINE_LONGEST);
	buf_addf(&text, "inet_interfaces: \"%.*s\" is not an address, all, or loopback-only", SPAN_FMT(word));
	if (!memmem(p->err->p, p->err->len, text.p, text.len))
		complain(p, "%s", text.p);
	buf_fini(&text);
}

static void
add_interfaces(struct parse *p, uint16_t port)
{
	struct span rest = span_str(p->interfaces), word;

	while (span_word(&rest, ", \t", &word)) {
		if (span_is(word, "loopback-only")) {
			add_address(p, SPAN("127.0.0.1"), port, false);
			add_address(p, SPAN("::1"), port, true);
		} else if (span_is(word, "all")) {
			add_address(p, SPAN("0.0.0.0"), port, false);
			add_address(p, SPAN("::"), port, true);
		} else if (!add_address(p, word, port, false)) {
			complain_of_interface(p, word);
		}
	}
}

static void
parse_inet(struct parse *p, struct span name)
{
	ssize_t colon = span_rfind(name, ':');
	struct span port_text = colon < 0 ? name : span_skip(name, (size_t)colon + 1);
	uint16_t port;

	if (!parse_port(port_text, &port)) {
		complain(p, "\"%.*s\" is not a port; write 25, smtp, 127.0.0.1:25 or [::1]:25", SPAN_FMT(name));
		return;
	}
	if (colon < 0)
		add_interfaces(p, port);
	else if (!add_address(p, span_sub(name, 0, (size_t)colon), port, false))
		complain(p, "\"%.*s\" is not an address; write 127.0.0.1:%u or [::1]:%u", SPAN_FMT(name), port, port);
}

/* ---- a line ---- */

enum { COL_SERVICE, COL_TYPE, COL_PRIVATE, COL_UNPRIV, COL_CHROOT, COL_WAKEUP, COL_MAXPROC, COL_COMMAND, COLUMNS };

static void
parse_processes(struct parse *p, struct span s)
{
	ssize_t dash = span_find(s, '-');
	uint32_t min = p->row->kind->min, max;

	if (span_is(s, "-"))
		return;
	if (dash >= 0 && !span_u32(span_sub(s, 0, (size_t)dash), 0, PROCESSES_MAX, &min))
		goto bad;
	if (!span_u32(span_skip(s, (size_t)(dash + 1)), 1, PROCESSES_MAX, &max) || (dash >= 0 && min > max))
		goto bad;
	if (p->row->kind->stays && max != 1) {
		complain(p, "there is exactly one %s: maxproc must be 1", p->row->kind->name);
		return;
	}
	p->row->min = min > max ? max : min;
	p->row->max = max;
	return;
bad:
	complain(p, "maxproc \"%.*s\" is not MAX, MIN-MAX or - (at most %u)", SPAN_FMT(s), PROCESSES_MAX);
}

static void
complain_of_daemon(struct parse *p, struct span name)
{
	struct buf names;

	buf_init(&names, LINE_LONGEST);
	for (size_t i = 0; i < daemon_kind_count; i++)
		buf_addf(&names, " %s", daemon_kinds[i].name);
	complain(p, "there is no daemon \"%.*s\"; the daemons are:%s", SPAN_FMT(name), names.p);
	buf_fini(&names);
}

/* A socket run/public/NAME that every program of this host may connect to. */
static void
parse_unix(struct parse *p, struct span name)
{
	struct sockaddr_un *un = (void *)&p->row->addrs[0];
	bool ok = name.n > 0 && name.n < SOCKET_NAME_MAX && name.p[0] != '.' && span_find(name, '/') < 0;

	for (size_t i = 0; i < daemon_kind_count; i++)
		ok = ok && !span_is(name, daemon_kinds[i].name);
	if (!ok) {
		complain(p, "\"%.*s\" cannot be the name of a socket in run/public; write lmtp", SPAN_FMT(name));
		return;
	}
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, name.p, name.n);
	p->row->addr_count = 1;
}

static void
parse_columns(struct parse *p, const struct span col[COLUMNS])
{
	static const char *const yes_no[] = { "-", "y", "n" };
	bool inet = span_is(col[COL_TYPE], "inet");
	uint16_t port;

	if (!inet && !span_is(col[COL_TYPE], "unix"))
		complain(p, "type \"%.*s\" is neither inet nor unix", SPAN_FMT(col[COL_TYPE]));
	for (size_t c = COL_PRIVATE; c <= COL_CHROOT; c++) {
		bool ok = false;

		for (size_t i = 0; i < NELEMS(yes_no); i++)
			ok = ok || span_is(col[c], yes_no[i]);
		if (!ok)
			complain(p, "column %zu: \"%.*s\" is not -, y or n", c + 1, SPAN_FMT(col[c]));
	}
	if (span_is(col[COL_CHROOT], "n"))
		complain(p, "chroot n: the walls of a daemon are compiled in and cannot be taken down; write -");
	p->row->kind = daemon_find(col[COL_COMMAND]);
	if (!p->row->kind) {
		complain_of_daemon(p, col[COL_COMMAND]);
		return;
	}
	p->row->min = p->row->kind->min;
	p->row->max = p->row->kind->max;
	if (!inet && p->row->kind->role == R_SMTPD && !parse_port(col[COL_SERVICE], &port))	/* a port is a slip of the type */
		parse_unix(p, col[COL_SERVICE]);
	else if (inet != (p->row->kind->how == HOW_INET))
		complain(p, "%s is a service of type %s", p->row->kind->name, inet ? "unix" : "inet");
	else if (inet)
		parse_inet(p, col[COL_SERVICE]);
	parse_processes(p, col[COL_MAXPROC]);
}

/* "name=value", or "{ name = value }" for a value with blanks: without what stands around it. False: there is no name. */
static bool
plain_option(struct span word, struct buf *out)
{
	struct span value = word, name;

	if (word.n > 1 && word.p[0] == '{' && word.p[word.n - 1] == '}')
		value = span_trim(span_sub(word, 1, word.n - 1));
	if (!span_cut(&value, '=', &name) || !value.p || span_trim(name).n == 0)
		return false;
	buf_addf(out, "%.*s=%.*s", SPAN_FMT(span_trim(name)), SPAN_FMT(span_trim(value)));
	return !out->over;
}

static void
take_option(struct parse *p, struct mastercf *m, struct span word)
{
	struct buf option;

	buf_init(&option, OPTION_MAX);
	if (!plain_option(word, &option))
		complain(p, "-o wants name=value or { name = value }, not \"%.*s\"", SPAN_FMT(word));
	else if (p->row->option_count == SERVICE_OPTIONS_MAX)
		complain(p, "more than %d options", SERVICE_OPTIONS_MAX);
	else
		p->row->options[p->row->option_count++] = x_spandup(buf_span(&option));
	buf_addspan(&m->options_text, buf_span(&option));
	buf_addc(&m->options_text, '\n');
	buf_fini(&option);
}

static void
parse_options(struct parse *p, struct mastercf *m, struct span rest)
{
	struct span word;
	int more;

	while ((more = map_next_item(&rest, " \t", &word)) > 0) {
		if (span_is(word, "-o") && map_next_item(&rest, " \t", &word) > 0) {
			/* the option is the word after -o */
		} else if (span_starts(word, "-o") && word.n > 2) {
			word = span_skip(word, 2);
		} else {
			complain(p, "\"%.*s\": only -o name=value may follow the daemon", SPAN_FMT(word));
			continue;
		}
		take_option(p, m, word);
	}
	if (more < 0)
		complain(p, "a { has no }");
}

static void
check_repeated(struct parse *p, const struct mastercf *m, struct span name)
{
	for (size_t i = 0; i + 1 < m->count; i++) {
		const struct service_row *r = &m->rows[i];

		if (!r->kind || !p->row->kind)
			continue;
		if (p->row->kind->how != HOW_INET && r->kind == p->row->kind)
			complain(p, "%s is already in line %u", p->row->kind->name, r->line);
		if (p->row->kind->how == HOW_INET && r->kind->how == HOW_INET && span_is(name, r->name))
			complain(p, "the service %s is already in line %u", r->name, r->line);
	}
}

static int
parse_line(struct mastercf *m, struct span text, unsigned line, const char *interfaces, const char *protocols, struct buf *err)
{
	struct parse p = { .line = line, .interfaces = interfaces, .protocols = protocols, .err = err };
	struct span col[COLUMNS], rest = text;
	size_t n = 0;

	while (n < COLUMNS && span_word(&rest, " \t", &col[n]))
		n++;
	m->rows = x_realloc(m->rows, (m->count + 1) * sizeof(*m->rows));
	p.row = &m->rows[m->count++];
	*p.row = (struct service_row){ .line = line, .name = x_spandup(n ? col[0] : SPAN_NONE) };
	if (n < COLUMNS) {
		complain(&p, "%zu columns instead of 8: service type private unpriv chroot wakeup maxproc command", n);
		return p.errors;
	}
	parse_columns(&p, col);
	if (p.row->kind) {
		parse_options(&p, m, rest);
		check_repeated(&p, m, col[COL_SERVICE]);
	}
	return p.errors;
}

/* Services that must be there for anything to work. */
static int
check_complete(const struct mastercf *m, struct buf *err)
{
	int errors = 0;

	for (size_t k = 0; k < daemon_kind_count; k++) {
		bool found = daemon_kinds[k].how == HOW_INET || daemon_kinds[k].spare;

		for (size_t i = 0; i < m->count && !found; i++)
			found = m->rows[i].kind == &daemon_kinds[k];
		if (found)
			continue;
		errors++;
		buf_addf(err, "master.cf: the line of %s is missing; add: %s unix - - - - - %s\n", daemon_kinds[k].name,
		    daemon_kinds[k].name, daemon_kinds[k].name);
	}
	return errors;
}

int
mastercf_parse(struct mastercf *m, struct span text, const char *interfaces, const char *protocols, struct buf *err)
{
	struct buf logical;
	struct span line;
	unsigned at = 0, begin = 0;
	int errors = 0;

	*m = (struct mastercf){ 0 };
	buf_init(&m->options_text, 1 << 20);
	buf_init(&logical, LINE_LONGEST);
	while (span_cut(&text, '\n', &line)) {
		struct span t = span_trim(line);

		at++;
		if (t.n == 0 || t.p[0] == '#')
			continue;
		if (line.p[0] != ' ' && line.p[0] != '\t') {
			if (begin)
				errors += parse_line(m, buf_span(&logical), begin, interfaces, protocols, err);
			buf_reset(&logical);
			begin = at;
		}
		buf_addspan(&logical, t);
		buf_addc(&logical, ' ');
	}
	if (begin)
		errors += parse_line(m, buf_span(&logical), begin, interfaces, protocols, err);
	buf_fini(&logical);
	return errors + check_complete(m, err);
}

void
mastercf_free(struct mastercf *m)
{
	for (size_t i = 0; i < m->count; i++) {
		for (size_t o = 0; o < m->rows[i].option_count; o++)
			free(m->rows[i].options[o]);
		free(m->rows[i].name);
	}
	x_free(&m->rows);
	m->count = 0;
	buf_fini(&m->options_text);
}

/* Copy the lines that name this service's line; the mistakes of main.cf itself are told once, by the caller. */
static int
keep_own_lines(struct span all, const char *where, struct buf *err)
{
	struct span line;
	int n = 0;

	while (span_cut(&all, '\n', &line)) {
		if (!span_starts(line, where))
			continue;
		buf_addf(err, "%.*s\n", SPAN_FMT(line));
		n++;
	}
	return n;
}

static int
check_option(struct conf *c, const char *option, const char *where, struct buf *err)
{
	struct span rest = span_str(option), name = SPAN_NONE;

	if (conf_option(c, where, rest, err))
		return 1;
	if (!span_cut(&rest, '=', &name) || param_find(name))
		return 0;
	buf_addf(err, "%s: unknown parameter %.*s", where, SPAN_FMT(name));
	if (param_suggest(name))
		buf_addf(err, "; did you mean %s?", param_suggest(name));
	buf_addc(err, '\n');
	return 1;
}

int
mastercf_check_params(const struct service_row *row, const char *confdir, struct span main_cf, struct buf *err)
{
	struct conf *c = conf_new(confdir);
	struct params values;
	struct buf where, found;
	int errors = 0;

	buf_init(&where, 256);
	buf_init(&found, 1 << 20);
	buf_addf(&where, "master.cf:%u:", row->line);
	conf_read_text(c, "main.cf", main_cf, &found);
	buf_truncate(&where, where.len - 1);
	for (size_t o = 0; o < row->option_count; o++)
		errors += check_option(c, row->options[o], where.p, err);
	conf_apply(c, &values, &found);
	buf_addc(&where, ':');
	errors += keep_own_lines(buf_span(&found), where.p, err);
	buf_fini(&found);
	buf_fini(&where);
	conf_free(c);
	return errors;
}
