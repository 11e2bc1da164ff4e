/* nomilters.h: smtpd where no milter is configured; test_milter has them. */
#ifndef TESTS_NOMILTERS_H
#define TESTS_NOMILTERS_H

#include <unistd.h>

#include "smtpd/milter.h"

unsigned milter_open(uint16_t *ports, size_t max) { (void)ports; (void)max; return 0; }
uint32_t milter_descriptors(void) { return 0; }
bool milter_asks(const struct session *s) { (void)s; return false; }
struct reply milter_command(struct session *s, struct span arg, struct reply r) { (void)s; (void)arg; return r; }
void milter_message(struct session *s, int fd, uint64_t at, uint64_t size) { (void)s; (void)at; (void)size; close(fd); }
void milter_greeted(struct session *s) { (void)s; }
void milter_abort(struct session *s) { (void)s; }
void milter_leave(struct session *s) { (void)s; }

#endif
