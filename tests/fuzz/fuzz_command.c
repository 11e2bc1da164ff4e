/* fuzz_command.c: a command that is taken has a full path, arguments inside its text, and nothing that a control character could do. */
#include "mail/command.h"
#include "mail/targets.h"

#include "fuzz.h"
#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span list = span_of(data, n), target;
	struct command c;
	struct buf why;

	buf_init(&why, 200);
	while (n <= 65536 && targets_next(&list, &target)) {
		buf_reset(&why);
		if (!command_parse(target, &c, &why)) {
			check(why.len > 0 && !why.over);
			continue;
		}
		check(command_is(target) && c.argc > 0 && c.argc <= COMMAND_ARGS_MAX && !c.argv[c.argc] && c.argv[0][0] == '/');
		for (size_t i = 0; i < c.argc; i++) {
			size_t room = (size_t)(c.text + COMMAND_TEXT_MAX - c.argv[i]);

			check(c.argv[i] >= c.text && c.argv[i] < c.text + COMMAND_TEXT_MAX && memchr(c.argv[i], '\0', room));
			for (const char *p = c.argv[i]; *p; p++)
				check((unsigned char)*p >= ' ' || *p == '\t');
		}
	}
	buf_fini(&why);
	return 0;
}
