/* tools.h: the families of commands of merpati(1). Each returns an exit code of sysexits.h. */
#ifndef TOOLS_TOOLS_H
#define TOOLS_TOOLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct command {
	const char *name;
	int (*run)(const char *confdir, int argc, char **argv);	/* argv[0]: the command itself */
	const char *args, *text;
	bool without_conf;		/* confdir is NULL */
};

/* The second word: run() gets what stands behind it, min to max arguments. */
struct subcommand {
	const char *name;
	int (*run)(const char *confdir, int argc, char **argv);
	int min, max;
};
int subcommand_run(const struct subcommand *verbs, size_t n, const char *confdir, int argc, char **argv, const char *usage);

extern bool want_json;			/* --json */

int command_init(const char *confdir, int argc, char **argv);
int command_start(const char *confdir, int argc, char **argv);
int command_stop(const char *confdir, int argc, char **argv);
int command_reload(const char *confdir, int argc, char **argv);
int command_status(const char *confdir, int argc, char **argv);
int command_who(const char *confdir, int argc, char **argv);
int command_kick(const char *confdir, int argc, char **argv);
int command_check(const char *confdir, int argc, char **argv);
int command_user(const char *confdir, int argc, char **argv);
/* Is it in virtual_mailbox_domains, or a table there? */
bool domain_is_ours(struct span domain);
int command_domain(const char *confdir, int argc, char **argv);
int command_alias(const char *confdir, int argc, char **argv);
int command_list(const char *confdir, int argc, char **argv);
int command_quota(const char *confdir, int argc, char **argv);
int command_import(const char *confdir, int argc, char **argv);
int command_import_config(const char *confdir, int argc, char **argv);
int command_index(const char *confdir, int argc, char **argv);
int command_queue(const char *confdir, int argc, char **argv);
int command_explain(const char *confdir, int argc, char **argv);
int command_trace(const char *confdir, int argc, char **argv);

#endif
