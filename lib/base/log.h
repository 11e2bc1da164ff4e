/*
 * log.h: one event = one line = one write to fd 2, printable ASCII only.
 *
 *   2026-11-21T20:04:40.123Z smtpd[812]: 4c7Q2x9kTz: from=<a@b>, size=2312
 *
 * With log_format = json the same fields come as one JSON object a line.
 * `id` is the session or queue id that the line belongs to (NULL: the process
 * itself). Peer text is escaped here, so no caller has to think of it. Never
 * blocks longer than the write to fd 2; a full disk loses the line, not mail.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/buf.h"

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };
enum log_format { LOG_TEXT, LOG_JSON };

/* name must live as long as the process */
void log_setup(const char *name, enum log_format format, enum log_level least);

void log_new_process(void);	/* in the child of a fork: its pid is another */

void log_debug(const char *id, const char *fmt, ...) PRINTF(2, 3);
void log_info(const char *id, const char *fmt, ...) PRINTF(2, 3);
void log_warn(const char *id, const char *fmt, ...) PRINTF(2, 3);
void log_error(const char *id, const char *fmt, ...) PRINTF(2, 3);

/* A line of named fields, in the order in which they are added. */
struct logline {
	struct buf text;
	enum log_level level;
	bool json;
};

void logline_begin(struct logline *l, enum log_level level, const char *id);
void logline_str(struct logline *l, const char *key, struct span value);
void logline_addr(struct logline *l, const char *key, struct span value);	/* key=<value> */
void logline_num(struct logline *l, const char *key, uint64_t value);
void logline_fmt(struct logline *l, const char *key, const char *fmt, ...) PRINTF(3, 4);
void logline_end(struct logline *l);		/* writes the line and frees it */

#endif
