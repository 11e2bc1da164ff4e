/*
 * misbehave.h: in builds with MERPATI_MISBEHAVE, a daemon named by the
 * environment variable MERPATI_MISBEHAVE=DAEMON:ACTION tries that action once
 * inside its jail and logs what came of it. ACTION: open, connect, exec, kill.
 * The action "clock" lets its wall clock jump ten years ahead, and back, at each SIGUSR2.
 * In all other builds this is nothing.
 */
#ifndef SERVICE_MISBEHAVE_H
#define SERVICE_MISBEHAVE_H

#ifdef MERPATI_MISBEHAVE
void misbehave(const char *daemon);
#else
static inline void
misbehave(const char *daemon)
{
	(void)daemon;
}
#endif

#endif
