/* misbehave.c: proof that the walls hold: does what a captured daemon would try first. */
#include "service/misbehave.h"

#ifdef MERPATI_MISBEHAVE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/banned.h"

static int
try_open(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int
try_connect(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	return errno == ECONNREFUSED ? 0 : -1;		/* nobody listens there; but no wall was in the way */
}

static int
try_exec(void)
{
	char *argv[] = { (char[]){ "/bin/true" }, NULL };

	return execve(argv[0], argv, argv + 1);
}

static int
try_kill(void)
{
	return kill(getppid() > 1 ? getppid() : 1, SIGCONT);
}

/* ---- a clock that jumps: ten years ahead, and back, at each SIGUSR2 ---- */

#define TEN_YEARS (10 * 365 * 86400)

static void
jump(int sig)
{
	(void)sig;
	clock_step = clock_step ? 0 : TEN_YEARS;
}

static void
let_clock_jump(void)
{
	struct sigaction sa = { .sa_handler = jump, .sa_flags = SA_RESTART };

	sigaction(SIGUSR2, &sa, NULL);
	log_warn(NULL, "misbehaving on request: the clock jumps");
}

static const struct {
	const char *name;
	int (*f)(void);
} actions[] = { { "open", try_open }, { "connect", try_connect }, { "exec", try_exec }, { "kill", try_kill } };

void
misbehave(const char *daemon)
{
	const char *want = getenv("MERPATI_MISBEHAVE");
	size_t n = strlen(daemon);

	if (!want || strncmp(want, daemon, n) != 0 || want[n] != ':')
		return;
	if (strcmp(want + n + 1, "clock") == 0)
		let_clock_jump();
	for (size_t i = 0; i < NELEMS(actions); i++) {
		if (strcmp(want + n + 1, actions[i].name) != 0)
			continue;
		log_warn(NULL, "misbehaving on request: %s", actions[i].name);
		if (actions[i].f() < 0)
			log_warn(NULL, "misbehaving: %s was refused: %s", actions[i].name, strerror(errno));
		else
			log_error(NULL, "misbehaving: %s SUCCEEDED", actions[i].name);
	}
}

#endif
