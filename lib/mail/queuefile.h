/*
 * queuefile.h: the one reader and writer of queue files.
 *
 *   offset 0      the message, exactly as it will be delivered: LF line ends,
 *                 Received header first
 *   body_len      records: u8 type, u32 length, value (little endian)
 *   end - 40      footer: "MRPT" u8 version(1) u8[3] 0, u64 body_len,
 *                 u64 trailer_len, u32 recipients, u32 crc32c of the records
 *                 with every state byte as '.', u32 crc32c of the 32 bytes before,
 *                 "END\n"
 *
 * Records: 'S' sender, 'T' arrival (u64 microseconds), 'F' flags (u32),
 *   'E' envid, 'C' client ("name [addr]"), 'L' login, 'I' session id,
 *   'R' recipient: u8 state, u16 address length, address, u16 ORCPT length,
 *       ORCPT, u8 NOTIFY length, NOTIFY
 *   'H' header line added after the body was written
 *   'B' u32 crc32c of the message
 * State of a recipient: '.' to do, 'R' delivered, the report of that is owed to
 * the sender, 'D' done (delivered, or its failure has been reported). One byte,
 * written in place: it can not be torn.
 *
 * A file without a valid footer is not a message.
 */
#ifndef MAIL_QUEUEFILE_H
#define MAIL_QUEUEFILE_H

#include <sys/types.h>

#include "base/buf.h"

#define QUEUE_ID_LEN 16			/* characters; sorts by time */
#define QUEUE_FOOTER_LEN 40
#define QUEUE_RECORDS_MAX (64u << 20)

/*
 * Queue ids: base 62 in ASCII order: 9 characters microseconds since 1970,
 * 3 instance (random, kept per spool), 4 process id. Unique over restarts and
 * hosts: a process never uses one microsecond twice, whatever the wall clock does.
 */
void queue_id_make(char out[QUEUE_ID_LEN + 1], uint32_t instance);
bool queue_id_valid(struct span id);
/* Was it made here (any process of this instance) in the last hour? */
#define QUEUE_ID_FRESH_S 3600
bool queue_id_fresh(struct span id, uint32_t instance);
char queue_id_hash(struct span id);	/* the directory below queue/: one of 62 characters */
#define QUEUE_HASHES "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

struct queue_envelope {
	struct span sender, envid, client, login, session;
	uint64_t arrival_us;
	uint32_t flags;
};

/* ---- writing: append the trailer (records and footer) that follows `body_len` bytes of message ---- */
struct queue_trailer {
	struct buf b;
	uint32_t rcpts;
};
#define QUEUE_RCPT_TEXT 6		/* in an 'R' record: where the u16 length of the address is */
void queue_trailer_init(struct queue_trailer *t);
void queue_trailer_envelope(struct queue_trailer *t, const struct queue_envelope *e);
void queue_trailer_body(struct queue_trailer *t, uint32_t crc);	/* CRC-32C of all bytes of the message */
void queue_trailer_rcpt(struct queue_trailer *t, struct span addr, struct span orcpt, struct span notify);
void queue_trailer_header(struct queue_trailer *t, struct span line);
bool queue_trailer_end(struct queue_trailer *t, uint64_t body_len) CHECKED;	/* false: too large. Then write t->b at body_len */
void queue_trailer_fini(struct queue_trailer *t);

/* ---- reading: every length is checked; the file is taken to be hostile ---- */
struct queue_rcpt {
	struct span addr, orcpt, notify;
	char state;
	off_t state_at;			/* file offset of the state byte */
};
struct queue_file {
	struct buf records;
	uint64_t body_len;
	uint32_t rcpts;
	struct queue_envelope env;	/* spans into records */
	bool has_crc;			/* of the message; files of older versions have none */
	uint32_t crc;
};
enum queue_read { QUEUE_READ_OK, QUEUE_READ_NOT_A_MESSAGE, QUEUE_READ_ERROR };
/*
 * One pread of a small file, else three calls. On anything but OK: a sentence in err, q is empty. check: verify the checksums too: of the records,
 * and of a message up to QUEUE_BODY_CHECK_MAX (read as well when the file is above 8 KiB); a larger one is not read.
 */
#define QUEUE_BODY_CHECK_MAX (1u << 20)
enum queue_read queue_file_read(int fd, struct queue_file *q, bool check, struct buf *err);
void queue_file_fini(struct queue_file *q);
/* *at = 0 to begin; false at the end. number counts from 0. */
bool queue_file_rcpt(const struct queue_file *q, size_t *at, struct queue_rcpt *r);
bool queue_file_header(const struct queue_file *q, size_t *at, struct span *line);
uint64_t queue_file_sum(const struct queue_file *q);	/* of a message that was not read, for bodyfile.h; else 0 */
bool queue_file_mark(int fd, struct queue_file *q, const struct queue_rcpt *r, char state) CHECKED;	/* pwrite of one byte, no sync; and in q */

/* What a list tells of a message, to be kept in memory: the records of sender and recipients. */
void queue_file_brief(const struct queue_file *q, struct buf *records);
/* And back: sender and recipients as they were, nothing else of the envelope. False: these are no such records; q is empty. */
bool queue_file_from_brief(struct span records, uint64_t body_len, uint32_t rcpts, struct queue_file *q) CHECKED;

#endif
