/* control.h: the operator's questions: mailq, postqueue -f. Anybody on this host may ask. */
#ifndef QMGR_CONTROL_H
#define QMGR_CONTROL_H

void control_accept(int fd);	/* owns fd, non-blocking */

#endif
