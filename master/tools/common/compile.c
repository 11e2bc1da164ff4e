/* compile.c: texts of conf/ to tables. Run as root or as the owner of an instance; the texts are the operator's. */
#include "compile.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/b64.h"
#include "base/map.h"
#include "base/rand.h"
#include "ids.h"
#include "mail/quota.h"
#include "mail/users.h"
#include "tool.h"
#include "base/banned.h"

#define USERS_MAX (256u << 20)
#define SECRET_BYTES 32
#define UID_PEOPLE 1000		/* Debian's first ordinary uid */

bool
compile_is_stale(const char *text, const char *cdb)
{
	struct stat t, c;

	if (stat(text, &t) < 0)
		return false;
	return stat(cdb, &c) < 0 || t.st_mtim.tv_sec > c.st_mtim.tv_sec ||
	    (t.st_mtim.tv_sec == c.st_mtim.tv_sec && t.st_mtim.tv_nsec > c.st_mtim.tv_nsec);
}

static bool
write_table(struct map_maker *m, const char *path, unsigned mode, struct buf *err)
{
	if (map_maker_write(m, path, mode))
		return true;
	buf_addf(err, "%s: %s\n", path, strerror(errno));
	return false;
}

/* ---- users ---- */

struct user_tables {
	struct map_maker *users, *secrets;
};

static bool
add_user(const struct user_tables *t, const struct user_record *u)
{
	struct buf where;
	bool once;

	buf_init(&where, MAP_VALUE_MAX);
	buf_addf(&where, "%.*s:%.*s:%.*s", SPAN_FMT(u->uid), SPAN_FMT(u->gid), SPAN_FMT(u->home));
	once = map_maker_add(t->users, u->address, buf_span(&where)) == MAP_ADDED &&
	    map_maker_add(t->secrets, u->address, u->verifier) == MAP_ADDED;
	buf_fini(&where);
	return once;
}

static int
each_user(const char *file, struct span text, const struct user_tables *t, struct buf *err)
{
	struct span line;
	unsigned at = 0;
	int errors = 0;

	while (span_cut(&text, '\n', &line)) {
		struct user_record u;
		size_t before = err->len;

		at++;
		line = span_trim_right(line);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		buf_addf(err, "%s:%u: ", file, at);
		if (user_parse_line(line, &u, err) && ids_ok(&u.uid, &u.gid, err)) {
			if (add_user(t, &u)) {
				buf_truncate(err, before);
				continue;
			}
			buf_addf(err, "%.*s is there twice", SPAN_FMT(u.address));
		}
		buf_addc(err, '\n');
		errors++;
	}
	return errors;
}

int
compile_check_users(const char *file, struct span text, struct buf *err)
{
	struct user_tables t = { map_maker_new(), map_maker_new() };
	int errors = each_user(file, text, &t, err);

	map_maker_free(t.users);
	map_maker_free(t.secrets);
	return errors;
}

const char *
compile_users_cdb(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s.cdb", par.users_file);
	return path;
}

/* The secret that the table had, or a new one. */
static void
add_secret(const char *confdir, struct map_maker *secrets)
{
	struct buf spec, err, secret;
	struct maps *old;
	unsigned char bytes[SECRET_BYTES];

	buf_init(&spec, 4096);
	buf_init(&err, 1024);
	buf_init(&secret, 1024);
	buf_addf(&spec, "cdb:%s", tool_path(confdir, "secrets"));
	old = maps_open(buf_span(&spec), &err);
	if (!old || maps_find(old, SPAN(USERS_SECRET_KEY), &secret) != MAP_FOUND || secret.over) {
		buf_reset(&secret);
		rand_bytes(bytes, sizeof(bytes));
		b64_encode(&secret, span_of(bytes, sizeof(bytes)));
	}
	map_maker_add(secrets, SPAN(USERS_SECRET_KEY), buf_span(&secret));
	maps_free(old);
	explicit_bzero(secret.p, secret.len);
	buf_fini(&secret);
	buf_fini(&err);
	buf_fini(&spec);
}

bool
compile_users_text(const char *confdir, const char *file, struct span text, struct buf *err)
{
	struct user_tables t = { map_maker_new(), map_maker_new() };
	bool ok = each_user(file, text, &t, err) == 0;

	add_secret(confdir, t.secrets);
	/* secrets first: whoever is found by users.cdb has a verifier */
	ok = ok && write_table(t.secrets, tool_path(confdir, "secrets.cdb"), 0600, err) &&
	    write_table(t.users, compile_users_cdb(), 0644, err);
	map_maker_free(t.users);
	map_maker_free(t.secrets);
	return ok;
}

bool
compile_users(const char *confdir, struct buf *err)
{
	struct buf text;
	bool ok = false;

	buf_init(&text, USERS_MAX);
	if (tool_read(par.users_file, USERS_MAX, &text))
		ok = compile_users_text(confdir, par.users_file, buf_span(&text), err);
	else
		buf_addf(err, "%s: %s\n", par.users_file, strerror(errno));
	buf_fini(&text);
	return ok;
}

/* ---- limits of mailboxes ---- */

struct quota_table {
	struct map_maker *maker;
	const char *file;
	struct buf *err;
	int errors;
};

static bool
add_quota(void *ctx, unsigned line, struct span key, struct span value)
{
	struct quota_table *t = ctx;
	struct mail_quota q;

	if (!quota_parse(value, &q) || span_find(key, '@') < 0) {
		buf_addf(t->err, "%s:%u: a line is ADDRESS or @DOMAIN, bytes (2G; - for any), perhaps messages\n", t->file, line);
		t->errors++;
	} else if (map_maker_add(t->maker, key, value) != MAP_ADDED) {
		buf_addf(t->err, "%s:%u: %.*s is there twice\n", t->file, line, SPAN_FMT(key));
		t->errors++;
	}
	return true;
}

const char *
compile_quota_file(void)
{
	static char path[4096];
	ssize_t slash = span_rfind(span_str(par.users_file), '/');

	snprintf(path, sizeof(path), "%.*s/quota", (int)(slash < 0 ? 0 : slash), par.users_file);
	return path;
}

static const char *
quota_cdb(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%.4000s.cdb", compile_quota_file());
	return path;
}

int
compile_check_quota(const char *file, struct span text, struct buf *err)
{
	struct quota_table t = { map_maker_new(), file, err, 0 };

	(void)map_text_each(text, MAP_TEXT_PLAIN, add_quota, &t);
	map_maker_free(t.maker);
	return t.errors;
}

bool
compile_quota_text(const char *file, struct span text, struct buf *err)
{
	struct quota_table t = { map_maker_new(), file, err, 0 };
	bool ok;

	(void)map_text_each(text, MAP_TEXT_PLAIN, add_quota, &t);
	ok = t.errors == 0 && write_table(t.maker, quota_cdb(), 0644, err);
	map_maker_free(t.maker);
	return ok;
}

bool
compile_quota(struct buf *err)
{
	const char *file = compile_quota_file();
	struct buf text;
	struct stat st;
	bool ok = true;

	if (stat(quota_cdb(), &st) == 0 && !compile_is_stale(file, quota_cdb()))
		return true;
	buf_init(&text, USERS_MAX);
	if (!tool_read(file, USERS_MAX, &text) && errno != ENOENT) {
		buf_addf(err, "%s: %s\n", file, strerror(errno));
		ok = false;
	}
	ok = ok && compile_quota_text(file, buf_span(&text), err);
	buf_fini(&text);
	return ok;
}

bool
compile_system_users(const char *confdir, struct buf *err)
{
	struct map_maker *m = map_maker_new();
	const struct passwd *pw;
	bool ok;

	setpwent();
	while ((pw = getpwent())) {
		char where[4096];
		int n;

		if ((pw->pw_uid != 0 && pw->pw_uid < UID_PEOPLE) || pw->pw_uid == 65534 || pw->pw_dir[0] != '/')
			continue;
		n = snprintf(where, sizeof(where), "%u:%u:%s", (unsigned)pw->pw_uid, (unsigned)pw->pw_gid, pw->pw_dir);
		if (n > 0 && (size_t)n < sizeof(where))
			map_maker_add(m, span_str(pw->pw_name), span_of(where, (size_t)n));
	}
	endpwent();
	ok = write_table(m, tool_path(confdir, "system-users.cdb"), 0644, err);
	map_maker_free(m);
	return ok;
}

bool
compile_plain(const char *text, struct buf *err)
{
	char cdb[4096];
	int n = snprintf(cdb, sizeof(cdb), "%s.cdb", text);

	return n > 0 && (size_t)n < sizeof(cdb) && map_build(text, cdb, MAP_TEXT_PLAIN, 0644, err);
}

/* ---- aliases ---- */

struct alias_files {
	bool stale, ok;
	struct buf *err;
};

static void
compile_alias_file(void *ctx, const char *cdb)
{
	struct alias_files *a = ctx;
	char text[4096];
	size_t n = strlen(cdb);

	if (n < 5 || n >= sizeof(text) || !span_ends_nocase(span_str(cdb), ".cdb"))
		return;			/* a table that is not compiled */
	memcpy(text, cdb, n - 4);	/* without ".cdb" */
	text[n - 4] = '\0';
	if (a->stale && !compile_is_stale(text, cdb))
		return;
	a->ok &= map_build(text, cdb, MAP_TEXT_ALIASES, 0644, a->err);
}

bool
compile_aliases(bool stale, struct buf *err)
{
	struct alias_files a = { stale, true, err };

	if (!par.alias_maps || !maps_check(span_str(par.alias_maps), compile_alias_file, &a, err))
		return false;
	return a.ok;
}
