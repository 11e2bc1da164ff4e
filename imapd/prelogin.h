/* prelogin.h: IMAP before login, as the front's table of words and commands. */
#ifndef IMAPD_PRELOGIN_H
#define IMAPD_PRELOGIN_H

#include "service/front/front.h"

extern const struct front_protocol imap_prelogin;

#endif
