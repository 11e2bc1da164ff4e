/*
 * tool.h: what every operator's command begins with: its name, the place of
 * the configuration, the settings, links to the daemons. Messages go to standard
 * error as "NAME: sentence"; exit codes are those of sysexits.h.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <sysexits.h>

#include "base/buf.h"
#include "service/params.h"

/* First of all: takes the name, opens descriptors 0..2 that the caller had closed, ignores SIGPIPE. */
void tool_begin(int argc, char **argv, const char *name);

void tool_complain(const char *fmt, ...) PRINTF(1, 2);
void tool_fail(int code, const char *fmt, ...) PRINTF(2, 3) NORETURN;

/* Exit EX_IOERR when standard output could not be written. */
int tool_flush(int code);

/*
 * The directory of main.cf, absolute: `given` (-c), else $MERPATI_CONF or $MAIL_CONFIG (not when
 * set-id), else MERPATI_CONFDIR. Exits with EX_CONFIG when it cannot be entered. Lives as long as the process.
 */
const char *tool_confdir(const char *given);

/* DIR/main.cf read; mistakes are appended to err and counted. NULL: no such file, the sentence is in err. */
struct conf *tool_read_conf(const char *confdir, struct buf *err, int *errors);

/* The same for commands that need a few settings only: fills `par` with whatever is right in main.cf. */
struct conf *tool_settings(const char *confdir);

/* A link to run/CLASS/SERVER, however long run_directory is; -1 with errno. */
int tool_connect(const char *cls, const char *server);

/* "name of the user who runs this" or his uid in digits */
const char *tool_user_name(void);

/* Text of a file, up to `max` bytes. False: errno. */
bool tool_read(const char *path, size_t max, struct buf *b) CHECKED;

/* A path below a directory: dies when it is longer than any path. Valid until the fourth call after it. */
const char *tool_path(const char *dir, const char *fmt, ...) PRINTF(2, 3);

#endif
