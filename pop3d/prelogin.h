/* prelogin.h: POP3 before login, as the front's table of words and commands. */
#ifndef POP3D_PRELOGIN_H
#define POP3D_PRELOGIN_H

#include "service/front/front.h"

extern const struct front_protocol pop3_prelogin;

#endif
