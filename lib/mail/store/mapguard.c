/*
 * mapguard.c: messages do not change, but their owner's other programs may cut
 * one all the same. To touch a mapped page behind the new end is SIGBUS: zeros
 * take its place, so that the answer under way is as long as it was announced.
 */
#include "mail/store/mapguard.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/banned.h"

static struct {
	uintptr_t at;
	size_t len;
} guarded;

static size_t page;

bool
mapguard_mend(void *fault)
{
	uintptr_t at = (uintptr_t)fault & ~(uintptr_t)(page - 1);

	return at >= guarded.at && at - guarded.at < guarded.len &&
	    mmap((void *)at, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

static void
on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!mapguard_mend(info->si_addr))
		sigaction(sig, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);	/* the access is tried again */
}

void
mapguard_init(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	page = (size_t)sysconf(_SC_PAGESIZE);
	sigaction(SIGBUS, &sa, NULL);
}

void
mapguard_set(void *map, size_t len)
{
	guarded.at = (uintptr_t)map;
	guarded.len = map ? len : 0;
}
