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

static bool known_kernel, names_unnamed;
static uint64_t not_before;

void
jointsync_init(void)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return;
	known_kernel = major > 5 || (major == 5 && minor >= 17);
	names_unnamed = major > 6 || (major == 6 && minor >= 10);
}

static bool
is_known(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC);
}

bool
jointsync_unnamed_may(int fd)
{
	return names_unnamed && (fd < 0 || is_known(fd));
}

void
jointsync_unnamed_never(void)
{
	names_unnamed = false;
}

bool
jointsync_may(int fd)
{
	return known_kernel && clock_mono_ms() >= not_before && is_known(fd);
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
