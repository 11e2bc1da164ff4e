/*
 * codec.h: what a protocol may put between the client's bytes and the session's,
 * when the session asks for it (IMAP's COMPRESS). Nothing blocks; memory is
 * bounded by what the caller gives.
 */
#ifndef SERVICE_FRONT_CODEC_H
#define SERVICE_FRONT_CODEC_H

#include "base/buf.h"

#define CODEC_PIECE (16u << 10)		/* decoded bytes at a time */

struct codec;				/* of one connection */
struct front_codec {
	struct codec *(*begin)(void);
	void (*end)(struct codec *c);
	/*
	 * From the client: appends at most CODEC_PIECE bytes to out; how many of `in` were used. false: malformed, or
	 * at its end. Called again while out grew.
	 */
	bool (*decode)(struct codec *c, struct span in, size_t *used, struct buf *out);
	/* To the client: all of `in`, complete for a reader who has what is in out. */
	void (*encode)(struct codec *c, struct span in, struct buf *out);
};

#endif
