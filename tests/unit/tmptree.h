/* tmptree.h: remove the directory that a test has worked in. */
#ifndef TESTS_TMPTREE_H
#define TESTS_TMPTREE_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

#endif
