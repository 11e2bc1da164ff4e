/* user_import.c: many users at once. Hashing takes long on purpose, so it is done by several threads. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/map.h"
#include "common/tool.h"
#include "home.h"
#include "mail/password/password.h"
#include "user.h"
#include "base/banned.h"

#define IMPORT_MAX (64u << 20)
#define THREADS_MAX 8
#define VERIFIER_MAX 2048

struct job {
	struct span address;		/* into the arena of `names` */
	struct span password;
	unsigned line;
	char *verifier;			/* NULL: the password will not do */
};

struct import {
	const char *file;
	struct job *jobs;
	size_t n, cap;
	_Atomic size_t next, done;
	int errors;
};

static void
add_job(struct import *im, struct span line, unsigned at)
{
	struct buf address, err;
	ssize_t colon = span_find(line, ':');

	buf_init(&address, 1000);
	buf_init(&err, 1000);
	if (colon < 0)
		buf_adds(&err, "not address:password");
	if (err.len == 0 && user_address(span_trim(span_sub(line, 0, (size_t)colon)), &address, &err)) {
		if (im->n == im->cap) {
			im->cap = im->cap ? 2 * im->cap : 256;
			im->jobs = x_realloc(im->jobs, im->cap * sizeof(*im->jobs));
		}
		im->jobs[im->n++] = (struct job){ .address = span_of(x_spandup(buf_span(&address)), address.len),
			.password = span_skip(line, (size_t)colon + 1), .line = at };
	} else {
		tool_complain("%s:%u: %s", im->file, at, err.p);
		im->errors++;
	}
	buf_fini(&address);
	buf_fini(&err);
}

static void
parse_file(struct import *im, struct span text)
{
	struct span line;
	unsigned at = 0;

	while (span_cut(&text, '\n', &line)) {
		at++;
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n && line.p[0] != '#')
			add_job(im, line, at);
	}
}

static void *
hash_some(void *ctx)
{
	struct import *im = ctx;
	size_t i;

	while ((i = atomic_fetch_add(&im->next, 1)) < im->n) {
		struct buf v;

		buf_init(&v, VERIFIER_MAX);
		if (password_verifier(im->jobs[i].password, &v))
			im->jobs[i].verifier = x_spandup(buf_span(&v));
		buf_fini(&v);
		atomic_fetch_add(&im->done, 1);
	}
	return NULL;
}

/* Shown on a terminal only; a log wants one line, not hundreds. */
static void
show_progress(struct import *im)
{
	bool tty = isatty(STDOUT_FILENO);
	size_t done;

	while ((done = atomic_load(&im->done)) < im->n) {
		if (tty) {
			printf("\rhashing passwords: %zu of %zu", done, im->n);
			fflush(stdout);
		}
		usleep(100000);
	}
	if (tty)
		printf("\rhashing passwords: %zu of %zu\n", im->n, im->n);
}

static void
hash_all(struct import *im)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t want = cpus < 2 ? 2 : cpus > THREADS_MAX ? THREADS_MAX : (size_t)cpus, started = 0;
	pthread_t threads[THREADS_MAX];

	password_schemes(par.password_scheme);
	while (started < want && pthread_create(&threads[started], NULL, hash_some, im) == 0)
		started++;
	if (started == 0)
		hash_some(im);
	show_progress(im);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

/* What export wrote: whole lines of the table, nothing to hash. */
static int
import_lines(struct user_table *t, const char *file, struct span text)
{
	struct map_maker *seen = map_maker_new();
	struct span line;
	size_t added = 0, changed = 0;
	struct homes homes;
	unsigned at = 0;
	struct buf err;
	int errors = 0;

	buf_init(&err, 4096);
	homes_init(&homes);
	while (span_cut(&text, '\n', &line)) {
		struct user_record rec;
		struct user_line *l;

		at++;
		if (line.n == 0 || line.p[0] == '#')
			continue;
		buf_reset(&err);
		if (!user_parse_line(line, &rec, &err) ||
		    (map_maker_add(seen, rec.address, SPAN("x")) != MAP_ADDED)) {
			if (err.len == 0)
				buf_adds(&err, "is there twice");
			tool_complain("%s:%u: %s", file, at, err.p);
			errors++;
			continue;
		}
		l = user_table_find(t, rec.address);
		added += !l;
		changed += l != NULL;
		if (l)
			user_table_put(t, l, &rec);
		else
			user_table_add(t, &rec);
		homes_add(&homes, &rec);
	}
	if (errors)
		tool_fail(EX_DATAERR, "%d line%s of %s cannot be used; nothing was changed", errors, errors == 1 ? "" : "s", file);
	user_table_save(t);
	homes_make(&homes);
	homes_fini(&homes);
	printf("%zu user%s added, %zu replaced\n", added, added == 1 ? "" : "s", changed);
	map_maker_free(seen);
	buf_fini(&err);
	return 0;
}

int
user_import(struct user_table *t, const char *file)
{
	struct import im = { .file = file };
	struct buf text;
	struct homes homes;
	size_t added = 0, changed = 0;

	buf_init(&text, IMPORT_MAX);
	if (!tool_read(strcmp(file, "-") == 0 ? "/dev/stdin" : file, IMPORT_MAX, &text))
		tool_fail(EX_NOINPUT, "%s: %s", file, strerror(errno));
	if (span_starts(buf_span(&text), USER_EXPORT_HEAD)) {
		int code = import_lines(t, file, buf_span(&text));

		explicit_bzero(text.p, text.len);
		buf_fini(&text);
		return code;
	}
	parse_file(&im, buf_span(&text));
	if (im.errors)
		tool_fail(EX_DATAERR, "%d line%s of %s cannot be used; nothing was changed", im.errors, im.errors == 1 ? "" : "s", file);
	hash_all(&im);
	homes_init(&homes);
	for (size_t i = 0; i < im.n; i++) {
		struct job *j = &im.jobs[i];
		struct user_line *l;

		if (!j->verifier)
			tool_fail(EX_DATAERR, "%s:%u: this password cannot be used (1 to %d bytes); nothing was changed",
			    file, j->line, PASSWORD_MAX);
		l = user_table_find(t, j->address);
		changed += l != NULL;
		added += !l;
		homes_add(&homes, user_table_set(t, j->address, span_str(j->verifier)));
	}
	user_table_save(t);
	homes_make(&homes);
	homes_fini(&homes);
	printf("%zu user%s added, %zu given a new password\n", added, added == 1 ? "" : "s", changed);
	for (size_t i = 0; i < im.n; i++) {
		free((char *)(uintptr_t)im.jobs[i].address.p);
		free(im.jobs[i].verifier);
	}
	free(im.jobs);
	explicit_bzero(text.p, text.len);
	buf_fini(&text);
	return 0;
}
