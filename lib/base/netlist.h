/*
 * netlist.h: a list of networks ("127.0.0.0/8, [::1]/128, !10.1.9.0/24, 10.1.0.0/16"), and
 * whether an address lies in one of them: the first that has it counts, "!" in front means no. An IPv4 address mapped into IPv6
 * counts as IPv4.
 */
#ifndef BASE_NETLIST_H
#define BASE_NETLIST_H

#include <sys/socket.h>

#include "base/buf.h"

struct netlist;

/* On a mistake: NULL and a sentence in err. Host bits behind the prefix are a mistake. An empty spec matches nothing. */
struct netlist *netlist_new(struct span spec, struct buf *err);
void netlist_free(struct netlist *l);
bool netlist_has(const struct netlist *l, const struct sockaddr_storage *sa);

/* The address as text without port, "unknown" when it is none; and its network as key for counters (/32, /64). */
#define NETLIST_TEXT_MAX 46
const char *netlist_text(const struct sockaddr_storage *sa, char out[NETLIST_TEXT_MAX]);
struct span netlist_key(const struct sockaddr_storage *sa, unsigned char out[16]);

#endif
