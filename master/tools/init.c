/* init.c: merpati init: a new instance in one directory. Overwrites nothing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "common/compile.h"
#include "common/sample.h"
#include "common/tool.h"
#include "init_cert.h"
#include "mail/address.h"
#include "places.h"
#include "tools.h"
#include "base/banned.h"

#define TEXT_MAX (256u << 10)
#define PORT_MAX (65535 - 995)

struct init {
	const char *dir;
	char *domain;			/* in lower case, as users and mailboxes are */
	uint32_t base_port;
	char conf[PATH_MAX];
};

static void
parse_args(struct init *in, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		bool domain = strcmp(argv[i], "--domain") == 0, port = strcmp(argv[i], "--base-port") == 0;

		if (!domain && !port && argv[i][0] != '-' && !in->dir) {
			in->dir = argv[i];
			continue;
		}
		if ((domain || port) && i + 1 == argc)
			tool_fail(EX_USAGE, "init: %s wants a value", argv[i]);
		if (!domain && !port)
			tool_fail(EX_USAGE, "init: \"%s\" is not understood; merpati init DIR --domain D [--base-port N]", argv[i]);
		i++;
		if (domain)
			in->domain = argv[i];
		else if (!span_u32(span_str(argv[i]), 0, PORT_MAX, &in->base_port))
			tool_fail(EX_USAGE, "init: --base-port is a number from 0 to %d", PORT_MAX);
	}
	if (!in->dir || !in->domain)
		tool_fail(EX_USAGE, "init: needs a directory and a domain: merpati init DIR --domain D [--base-port N]");
	for (char *c = in->domain; *c; c++)
		*c = ascii_lower(*c);
	if (!address_domain_valid(span_str(in->domain), 0) || strlen(in->domain) > 200)
		tool_fail(EX_USAGE, "init: \"%s\" is not a domain name", in->domain);
}

/* A file that is there stays as it is: an init that was interrupted can be run again. */
static void
write_new(const struct init *in, const char *name, const struct buf *text, mode_t mode)
{
	const char *path = tool_path(in->conf, "%s", name);

	if (access(path, F_OK) == 0)
		return;
	if (text->over || !replace_file(AT_FDCWD, path, buf_span(text), mode))
		tool_fail(EX_CANTCREAT, "%s: %s", path, strerror(errno));
}

static void
write_sample(const struct init *in, const char *name, void (*sample)(struct buf *), mode_t mode)
{
	struct buf text;

	buf_init(&text, TEXT_MAX);
	sample(&text);
	write_new(in, name, &text, mode);
	buf_fini(&text);
}

static void
write_certificate(const struct init *in)
{
	struct buf key, cert;
	char hostname[300];

	if (access(tool_path(in->conf, "tls/cert.pem"), F_OK) == 0)
		return;
	if (!make_dirs(AT_FDCWD, tool_path(in->conf, "tls"), 0755))
		tool_fail(EX_CANTCREAT, "%s/tls: %s", in->conf, strerror(errno));
	snprintf(hostname, sizeof(hostname), "mail.%s", in->domain);
	buf_init(&key, TEXT_MAX);
	buf_init(&cert, TEXT_MAX);
	if (!init_cert_make(hostname, &key, &cert))
		tool_fail(EX_SOFTWARE, "libcrypto could not make a certificate");
	unlink(tool_path(in->conf, "tls/key.pem"));	/* of an interrupted init: no certificate goes with it */
	write_new(in, "tls/key.pem", &key, 0600);
	write_new(in, "tls/cert.pem", &cert, 0644);
	explicit_bzero(key.p, key.len);
	buf_fini(&key);
	buf_fini(&cert);
}

static void
write_master_cf(const struct init *in)
{
	struct buf text;

	buf_init(&text, TEXT_MAX);
	sample_master_cf(&text, in->base_port);
	write_new(in, "master.cf", &text, 0644);
	buf_fini(&text);
}

/* Last: an instance is one that has its main.cf. */
static void
write_main_cf(const struct init *in)
{
	struct buf text;

	buf_init(&text, TEXT_MAX);
	sample_instance_main_cf(&text, in->domain);
	write_new(in, "main.cf", &text, 0644);
	buf_fini(&text);
}

static void
make_conf_dir(struct init *in)
{
	char *full;

	if (!make_dirs(AT_FDCWD, in->dir, 0755))
		tool_fail(EX_CANTCREAT, "%s: %s", in->dir, strerror(errno));
	full = realpath(in->dir, NULL);
	if (!full || strlen(full) > sizeof(in->conf) - 100)
		tool_fail(EX_CANTCREAT, "%s: %s", in->dir, strerror(full ? ENAMETOOLONG : errno));
	snprintf(in->conf, sizeof(in->conf), "%.*s/conf", PATH_MAX - 10, full);
	if (access(tool_path(in->conf, "main.cf"), F_OK) == 0)
		tool_fail(EX_CANTCREAT, "%s already holds an instance (%s/main.cf); nothing was changed", full, in->conf);
	free(full);
	if (!make_dirs(AT_FDCWD, in->conf, 0755))
		tool_fail(EX_CANTCREAT, "%s: %s", in->conf, strerror(errno));
}

static void
compile_all(const struct init *in)
{
	struct buf err;

	buf_init(&err, TEXT_MAX);
	if (!compile_users(in->conf, &err) || !compile_system_users(in->conf, &err) || !compile_aliases(true, &err) ||
	    !compile_lists(in->conf, &err) ||
	    !compile_plain(tool_path(in->conf, "domains"), &err) || !compile_plain(tool_path(in->conf, "virtual"), &err) ||
	    !compile_quota(&err))
		tool_fail(EX_CANTCREAT, "%s", err.p);
	buf_fini(&err);
}

int
command_init(const char *confdir, int argc, char **argv)
{
	struct init in = { 0 };
	struct conf *c;

	(void)confdir;
	parse_args(&in, argc, argv);
	umask(022);
	make_conf_dir(&in);
	write_certificate(&in);
	write_sample(&in, "users", sample_users, 0600);
	write_sample(&in, "aliases", sample_aliases, 0644);
	write_sample(&in, "domains", sample_domains, 0644);
	write_sample(&in, "virtual", sample_virtual, 0644);
	write_master_cf(&in);
	write_main_cf(&in);
	c = tool_settings(in.conf);
	places_make_users();
	places_prepare(in.conf);
	places_make_domain(in.domain);
	compile_all(&in);
	conf_free(c);
	printf("%s is ready: mail for %s, ports %u (SMTP) to %u (POP3 with TLS) on the loopback addresses.\n",
	    in.dir, in.domain, (unsigned)in.base_port + 25, (unsigned)in.base_port + 995);
	printf("Next:  merpati -c %s user add NAME@%s\n       merpati -c %s start\n", in.conf, in.domain, in.conf);
	printf("Who reads mail to root and postmaster: name them in %s/aliases, then: newaliases -c %s\n", in.conf, in.conf);
	if (geteuid() != 0)
		printf("Not run as root: all daemons will run as %s, one user for all.\n", tool_user_name());
	return 0;
}
