/* tmptree.h: the directory that a test works in: its files, and its end. */
#ifndef TESTS_TMPTREE_H
#define TESTS_TMPTREE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static inline void
remove_tree(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char entry[4096];

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (snprintf(entry, sizeof(entry), "%s/%s", path, e->d_name) >= (int)sizeof(entry))
			continue;
		if (unlink(entry) < 0)
			remove_tree(entry);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

/* For a teardown. */
static inline int
leave_tree(const char *path)
{
	if (chdir("/") < 0)
		return -1;
	remove_tree(path);
	return 0;
}

/* A file of this text, in the place of an older one. */
static inline void
put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t n = strlen(text);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), n);
	close(fd);
}

#endif
