/*
 * store.h: what keyd holds: the keys and chains of smtpd_tls_chain_files, the
 * load before (a handshake may still ask for it). Keys of tickets: tickets.h.
 */
#ifndef KEYD_STORE_H
#define KEYD_STORE_H

#include "net/keys/keys.h"

void store_open(void);			/* before the jail, after tickets_open(): the first load; mistakes are logged, nothing dies */
void store_start(void (*on_change)(void));	/* looks at the files every second; on_change: other chains or ticket keys */
void store_configured(void);		/* par has changed */

const struct keys *store_keys(void);	/* NULL: none */
uint32_t store_generation(void);	/* grows with every change */
const struct keypair *store_find(uint32_t id);

#endif
