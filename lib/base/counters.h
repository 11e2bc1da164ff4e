/*
 * counters.h: atomic counters per client network in memory that all workers of
 * a service share (a sealed memfd made by master). Fixed size, no lock: a
 * slot is found by hash, and the least used of a few is taken over when full.
 */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

#define COUNTERS_SIZE (1u << 20)	/* bytes of the memfd */

enum counter { COUNT_CONNECTIONS, COUNT_CONNECTION_RATE, COUNT_MESSAGE_RATE, COUNT_RCPT_RATE, COUNT_AUTH_RATE, COUNT_TLS_RATE, COUNT_KINDS };

struct counters;
/*
 * Before the jail, once a process. NULL with errno; fd < 0: private memory (one worker). Connections that a
 * worker had counted when it was killed are forgotten here, by the next one.
 */
struct counters *counters_map(int fd);
void counters_unmap(struct counters *c);	/* takes out what this worker has counted as connections */

/* key: the client's network (IPv4 /32, IPv6 /64 bytes). Returns the value after the change. */
uint32_t counters_add(struct counters *c, struct span key, enum counter kind, int32_t by);
/* All connections, of clients with and without a count of their own; by is added for this worker. The value after it. */
uint32_t counters_total(struct counters *c, int32_t by);
/* Rates: events in the current and the last window of `window_s` seconds, weighted. */
uint32_t counters_rate(struct counters *c, struct span key, enum counter kind, uint32_t window_s, bool count_one);

#endif
