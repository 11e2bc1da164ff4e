/*
 * flow.h: the stream of messages through qmgr: fresh ones and due ones take
 * turns to become active, as many as the limits allow, in small steps.
 */
#ifndef QMGR_FLOW_H
#define QMGR_FLOW_H

#include "message.h"

void flow_open(void);		/* before the jail */
/* Inside: reads the queue directories in steps, between which mail flows; then calls known(). */
void flow_start(void (*known)(void));
void flow_limits(void);		/* parameters have changed */
uint32_t flow_open_files_max(void);
uint32_t flow_room(void);	/* messages that may become active still */

void flow_arrived(struct span id, bool hold);	/* intake says: incoming/ID is durable */
void flow_scan_incoming(void);
void flow_hurry_incoming(void);		/* the same, when something could not be taken over before */
void flow_due(struct message *m);	/* in no list: its next attempt is now */
void flow_hurry(struct message *m);	/* waiting, parked or released: try it now */
void flow_rest(struct message *m);	/* in no list, and held: waits for the operator */
void flow_forget(struct message *m);	/* in no list: it is gone */
void flow_tick(void);			/* something waits: let the clock run */
void flow_pump(void);			/* go on: activate, start deliveries */

#endif
