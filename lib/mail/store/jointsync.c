/* jointsync.c: one syncfs for many files, where that is as good as fsync. The file system and its other users are not ours. */
#include "mail/store/jointsync.h"

#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/banned.h"

#define SLOW_MS 2000		/* somebody else's writes were waited for */
#define WITHOUT_MS 60000	/* after that */

static bool known_kernel;
static uint64_t not_before;

void
jointsync_init(void)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	known_kernel = uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	    (major > 5 || (major == 5 && minor >= 17));
}

bool
jointsync_may(int fd)
{
	struct statfs fs;

	if (!known_kernel || clock_mono_ms() < not_before || fstatfs(fd, &fs) < 0)
		return false;
	return fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC;
}

bool
jointsync(int fd)
{
	uint64_t begin = clock_mono_ms(), end;
	bool ok = syncfs(fd) == 0;

	end = clock_mono_ms();
	if (end - begin > SLOW_MS)
		not_before = end + WITHOUT_MS;
	return ok;
}
