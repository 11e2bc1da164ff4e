/* links.h: the workers that ask keyd. Who they are is known from the listener; what they send is not trusted. */
#ifndef KEYD_LINKS_H
#define KEYD_LINKS_H

#define LINKS_MAX 512

void links_accept(int fd, unsigned role);	/* owns fd */
void links_push(void);				/* sends all certificates to everybody who has asked for them */

#endif
