/*
 * keeper.h: the process that holds sessions while they sleep: a child of the zygote, with its uid and less than its
 * rights (no files). For each it has the state, sealed identity and the session's end of the byte pair. It wakes one, by
 * asking the zygote, when the client says something or goes, when a directory that it wants watched has changed, or when
 * its time has come. One inotify instance and one watch a directory serve all.
 *
 * It never reads a client's byte, and never a state. What sessions send is not trusted: seals are looked at when a session
 * comes, and by the zygote again when it is woken.
 */
#ifndef SERVICE_KEEPER_H
#define SERVICE_KEEPER_H

#include <stdint.h>

#include "base/attr.h"

/*
 * ask: where sessions come in. zygote: the link to it; when it is shut for writing at the other end, the keeper ends
 * with its last session; when it is closed, at once, with a BYE to all. limit: sessions that it takes.
 * bye: that line.
 */
void keeper_run(int ask, int zygote, uint32_t limit, const char *bye) NORETURN;

#endif
