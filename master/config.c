/* config.c: one reading of the configuration, whole or not at all; and who the users of the system are. */
#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "service/roles.h"
#include "base/banned.h"

#define CONF_TEXT_MAX (1 << 20)

static bool
read_conf_file(const char *confdir, const char *name, struct buf *text, struct buf *err)
{
	struct buf path;
	bool ok;

	buf_init(&path, 4096);
	buf_addf(&path, "%s/%s", confdir, name);
	ok = read_file(AT_FDCWD, path.p, text);
	if (!ok)
		buf_addf(err, "%s: %s\n", path.p, strerror(errno));
	buf_fini(&path);
	return ok;
}

/* Children read the same bytes, whatever happens to the file meanwhile. */
static int
sealed_copy(struct span text)
{
	int fd = memfd_create("main.cf", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && write_all(fd, text.p, text.n) &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return fd;
	close_fd(&fd);
	return -1;
}

static int
read_all(struct config *c, const char *confdir, struct buf *err)
{
	struct buf table;
	int errors = 0;

	buf_init(&table, CONF_TEXT_MAX);
	if (!read_conf_file(confdir, "main.cf", &c->text, err) || !read_conf_file(confdir, "master.cf", &table, err)) {
		buf_fini(&table);
		return 1;
	}
	c->conf = conf_new(confdir);
	errors += conf_read_text(c->conf, "main.cf", buf_span(&c->text), err);
	errors += conf_apply(c->conf, &c->par, err);
	if (!c->par.inet_interfaces)
		c->par.inet_interfaces = "loopback-only";
	if (!c->par.inet_protocols)
		c->par.inet_protocols = "all";
	errors += mastercf_parse(&c->services, buf_span(&table), c->par.inet_interfaces, c->par.inet_protocols, err);
	errors += conf_check_names(c->conf, buf_cstr(&c->services.options_text), err);
	for (size_t i = 0; i < c->services.count; i++)
		if (c->services.rows[i].kind)
			errors += mastercf_check_params(&c->services.rows[i], confdir, buf_span(&c->text), err);
	buf_fini(&table);
	return errors;
}

struct config *
config_load(const char *confdir, struct buf *err)
{
	struct config *c = x_new(struct config);

	buf_init(&c->text, CONF_TEXT_MAX);
	buf_init(&c->services.options_text, 1);
	c->memfd = -1;
	if (read_all(c, confdir, err) == 0) {
		c->memfd = sealed_copy(buf_span(&c->text));
		if (c->memfd >= 0)
			return c;
		buf_addf(err, "memfd: %s\n", strerror(errno));
	}
	config_free(c);
	return NULL;
}

void
config_free(struct config *c)
{
	if (!c)
		return;
	conf_free(c->conf);
	keyfiles_free(c);
	virtual_free(c);
	mastercf_free(&c->services);
	buf_fini(&c->text);
	close_fd(&c->memfd);
	free(c);
}

/* ---- files that a daemon may have opened ---- */

struct search {
	const char *path;
	bool found;
};

static void
is_it(void *ctx, const char *path)
{
	struct search *s = ctx;

	s->found = s->found || strcmp(path, s->path) == 0;
}

/* Is path = directory of `beside` + name? */
static bool
is_beside(const char *path, const char *beside, const char *name)
{
	const char *slash = strrchr(beside, '/');
	size_t n = slash ? (size_t)(slash - beside) + 1 : 0;

	return strncmp(path, beside, n) == 0 && strcmp(path + n, name) == 0;
}

bool
config_is_list(const struct config *c, const char *path)
{
	return param_path_below(c->par.alias_include_directories, path);
}

bool
config_names_file(struct config *c, const char *path, unsigned role)
{
	struct search s = { path, false };
	size_t n = strlen(master.confdir);

	if (is_beside(path, c->par.users_file, "secrets.cdb"))
		return role == R_AUTH;
	if (strcmp(path, c->par.users_file) == 0)
		return false;
	if (keyfiles_have(c, path))
		return role == R_KEYD;
	if (is_beside(path, c->par.users_file, "users.cdb") || is_beside(path, c->par.users_file, "quota.cdb"))
		return true;
	if (strncmp(path, master.confdir, n) == 0 && strcmp(path + n, "/system-users.cdb") == 0)
		return true;
	if (strncmp(path, master.confdir, n) == 0 && strcmp(path + n, "/lists.cdb") == 0)
		return true;
	if (role == R_BOUNCE && config_is_list(c, path))
		return true;
	conf_each_file(c->conf, is_it, &s);
	return s.found;
}

/* ---- users ---- */

/* Our own table is /etc/passwd itself, read without NSS: no library code of strangers in a root process. */
static bool
passwd_find(const char *name, struct owner *o)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd pw, *found = NULL;
	char room[4096];

	while (f && fgetpwent_r(f, &pw, room, sizeof(room), &found) == 0) {
		if (strcmp(pw.pw_name, name) == 0)
			break;
		found = NULL;
	}
	if (f)
		fclose(f);
	if (!found || strlen(found->pw_dir) >= sizeof(o->home))
		return false;
	*o = (struct owner){ .uid = found->pw_uid, .gid = found->pw_gid };
	memcpy(o->home, found->pw_dir, strlen(found->pw_dir) + 1);
	return true;
}

bool
owner_of_daemon(const struct config *c, const struct daemon_kind *kind, struct owner *o)
{
	struct buf name;
	bool ok;

	if (master.rootless) {
		*o = (struct owner){ .uid = getuid(), .gid = getgid() };
		return true;
	}
	buf_init(&name, 256);
	if (strcmp(kind->user, "vmail") == 0)
		buf_adds(&name, c->par.virtual_mail_user);
	else if (!*kind->user)
		buf_adds(&name, c->par.default_privs);
	else
		buf_addf(&name, "%s%s", c->par.mail_owner_prefix, kind->user);
	ok = passwd_find(name.p, o) && o->uid != 0;
	*o->home = '\0';		/* its root is another */
	buf_fini(&name);
	return ok;
}

bool
owner_of_user(const char *name, struct owner *o)
{
	return passwd_find(name, o) && o->uid != 0 && (!master.rootless || o->uid == getuid());
}

/* What such a process may reach is not for programs that somebody has written into an alias or his .forward. */
bool
owner_is_ours(const struct config *c, const struct owner *o)
{
	struct owner ours;

	for (size_t i = 0; i < daemon_kind_count && !master.rootless; i++)
		if (*daemon_kinds[i].user && owner_of_daemon(c, &daemon_kinds[i], &ours) && ours.uid == o->uid)
			return true;
	return false;
}
