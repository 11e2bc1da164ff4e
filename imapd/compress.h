/* compress.h: COMPRESS=DEFLATE (RFC 4978) in the front. */
#ifndef IMAP_COMPRESS_H
#define IMAP_COMPRESS_H

#include "service/front/codec.h"

extern const struct front_codec compress_codec;

#endif
