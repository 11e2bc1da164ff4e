/* tool.c: the common beginning of the operators' commands. May be run by any local user: sendmail(1), postqueue(1). */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/chan.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/banned.h"

#define MAIN_CF_MAX (1u << 20)

static const char *tool_name = "merpati";

void
tool_begin(int argc, char **argv, const char *name)
{
	const char *slash;
	int fd;

	do		/* a caller may have closed some of 0..2: then the next open would land there */
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		_exit(EX_OSERR);
	close(fd);
	signal(SIGPIPE, SIG_IGN);
	if (argc > 0 && argv[0] && !name) {
		slash = strrchr(argv[0], '/');
		name = slash ? slash + 1 : argv[0];
	}
	if (name)
		tool_name = name;
	log_setup(tool_name, LOG_TEXT, LOG_INFO_);
}

static void PRINTF(1, 0)
vcomplain(const char *fmt, va_list ap)
{
	struct buf b;

	buf_init(&b, 64 * 1024);
	buf_addf(&b, "%s: ", tool_name);
	buf_vaddf(&b, fmt, ap);
	b.over = false;
	b.max++;
	buf_addc(&b, '\n');
	fflush(stdout);
	if (!write_all(STDERR_FILENO, b.p, b.len))
		errno = 0;		/* nobody is left to be told */
	buf_fini(&b);
}

void
tool_complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vcomplain(fmt, ap);
	va_end(ap);
}

void
tool_fail(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vcomplain(fmt, ap);
	va_end(ap);
	exit(code);
}

int
tool_flush(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	tool_complain("standard output: %s", strerror(errno));
	return code ? code : EX_IOERR;
}

const char *
tool_confdir(const char *given)
{
	const char *dir = given;
	char *full;

	if (!dir && !getauxval(AT_SECURE)) {
		dir = getenv("MERPATI_CONF");
		if (!dir || !*dir)
			dir = getenv("MAIL_CONFIG");
	}
	if (!dir || !*dir)
		dir = MERPATI_CONFDIR;
	full = realpath(dir, NULL);
	if (!full)
		tool_fail(EX_CONFIG, "no configuration in %s: %s (name its directory with -c)", dir, strerror(errno));
	return full;
}

struct conf *
tool_read_conf(const char *confdir, struct buf *err, int *errors)
{
	const char *path = tool_path(confdir, "main.cf");
	struct conf *c = NULL;
	struct buf text;

	buf_init(&text, MAIN_CF_MAX);
	if (tool_read(path, MAIN_CF_MAX, &text)) {
		c = conf_new(confdir);
		*errors += conf_read_text(c, "main.cf", buf_span(&text), err);
	} else {
		buf_addf(err, "%s: %s\n", path, strerror(errno));
		++*errors;
	}
	buf_fini(&text);
	return c;
}

struct conf *
tool_settings(const char *confdir)
{
	struct buf err;
	struct conf *c;
	int errors = 0;

	buf_init(&err, 1u << 20);
	c = tool_read_conf(confdir, &err, &errors);
	if (!c)
		tool_fail(EX_CONFIG, "%.*s", (int)span_trim(buf_span(&err)).n, err.p);
	conf_apply(c, &par, &err);
	if (!par.run_directory || !par.queue_directory)
		tool_fail(EX_CONFIG, "%.*s", (int)span_trim(buf_span(&err)).n, err.p);
	buf_fini(&err);
	return c;
}

int
tool_connect(const char *cls, const char *server)
{
	char path[64];		/* sun_path is short, run_directory may not be */
	int dir = open(tool_path(par.run_directory, "%s", cls), O_PATH | O_DIRECTORY | O_CLOEXEC), fd, err;

	if (dir < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, server);
	fd = chan_connect(path);
	err = errno;
	close(dir);
	errno = err;
	return fd;
}

const char *
tool_user_name(void)
{
	static char digits[24];
	const struct passwd *pw = getpwuid(getuid());

	if (pw && pw->pw_name[0])
		return pw->pw_name;
	snprintf(digits, sizeof(digits), "%u", (unsigned)getuid());
	return digits;
}

bool
tool_read(const char *path, size_t max, struct buf *b)
{
	b->max = max;
	return read_file(AT_FDCWD, path, b);
}

const char *
tool_path(const char *dir, const char *fmt, ...)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *to = paths[next++ % 4];
	int n = snprintf(to, PATH_MAX, "%s/", dir);
	va_list ap;

	va_start(ap, fmt);
	if (n > 0 && n < PATH_MAX)
		n += vsnprintf(to + n, (size_t)(PATH_MAX - n), fmt, ap);
	va_end(ap);
	if (n < 0 || n >= PATH_MAX)
		tool_fail(EX_CONFIG, "the path is too long: %.200s...", dir);
	return to;
}
