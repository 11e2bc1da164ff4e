/* test_misbehave.c: the action that proves the walls is done by the daemon that is named, once, and by no other. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "service/misbehave.h"
#include "base/banned.h"

/* What misbehave("qmgr") says on descriptor 2, with this in the environment. */
static void
say(const char *wish, char *out, size_t cap)
{
	int fd = memfd_create("log", MFD_CLOEXEC), saved = dup(STDERR_FILENO);
	ssize_t n;

	if (wish)
		setenv("MERPATI_MISBEHAVE", wish, 1);
	else
		unsetenv("MERPATI_MISBEHAVE");
	dup2(fd, STDERR_FILENO);
	misbehave("qmgr");
	dup2(saved, STDERR_FILENO);
	n = pread(fd, out, cap - 1, 0);
	out[n > 0 ? n : 0] = '\0';
	close(fd);
	close(saved);
}

static void
wishes(void **state)
{
#ifdef MERPATI_MISBEHAVE
	const char *open_done = "open SUCCEEDED";	/* no wall is around this test */
#else
	const char *open_done = "";
#endif
	const struct {
		const char *wish, *said;	/* "": nothing is said */
	} cases[] = {
		{ NULL, "" }, { "", "" }, { "qmgr", "" }, { "qmgr:", "" }, { "qmgr:dance", "" }, { "smtpd:open", "" },
		{ "qmgrx:open", "" }, { "qmg:open", "" }, { "qmgr:open", open_done },
	};
	char out[4096];

	(void)state;
	log_setup("qmgr", LOG_TEXT, LOG_INFO_);
	for (size_t i = 0; i < NELEMS(cases); i++) {
		say(cases[i].wish, out, sizeof(out));
		if (*cases[i].said)
			assert_non_null(strstr(out, cases[i].said));
		else
			assert_string_equal(out, "");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(wishes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
