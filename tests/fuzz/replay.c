/*
 * replay.c: runs a fuzz target over files and directories of inputs, without
 * libFuzzer. After each input its prefixes are tried too: most faults of a
 * parser are at the end of what it was given.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/banned.h"

#define INPUT_MAX (4u << 20)
#define PREFIXES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned ran;

/* From the heap and of the exact size, so that AddressSanitizer sees a read past the end. */
static void
run_input(const char *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	if (n)
		memcpy(copy, p, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	ran++;
}

static bool
replay_file(const char *path)
{
	struct buf b;
	bool ok;

	buf_init(&b, INPUT_MAX);
	ok = read_file(AT_FDCWD, path, &b);
	if (!ok) {
		perror(path);
	} else {
		size_t step = b.len / PREFIXES + 1;

		run_input(b.p, b.len);
		for (size_t n = 0; n < b.len; n += step)
			run_input(b.p, n);
	}
	buf_fini(&b);
	return ok;
}

static bool
replay_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool ok = true;

	while (d && (e = readdir(d))) {
		char file[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		ok &= replay_file(file);
	}
	if (d)
		closedir(d);
	return ok;
}

int
main(int argc, char **argv)
{
	bool ok = true;

	run_input("", 0);
	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) == 0)
			ok &= S_ISDIR(st.st_mode) ? replay_dir(argv[i]) : replay_file(argv[i]);
	}
	printf("%u inputs\n", ran);
	return ok ? 0 : 1;
}
