/* delivered.h: what the last hand does to a message on its way into a mailbox, whoever writes the file. */
#ifndef MAIL_DELIVERED_H
#define MAIL_DELIVERED_H

#include <time.h>

#include "base/buf.h"

/*
 * Bytes that LF text has when sent: a CR goes in front of every LF that has none.
 * The W= of a file's name is counted so, and every sender must convert so.
 */
uint64_t mailtext_crlf_size(struct span lf);
/* The same of a text that comes in pieces: *last is the byte before, 0 to begin. */
uint64_t mailtext_crlf_more(struct span lf, char *last);

/* Delivered-To alone, for a copy that goes on. */
void delivered_to(struct span address, struct buf *head);

/* Return-Path and Delivered-To, LF ends. Control characters become '?'. */
void delivered_head(struct span sender, struct span address, struct buf *head);

/* Has this message been delivered to this address before (RFC 5321 6.3)? Looks at 256 KiB of its header. */
bool delivered_before(struct span body, struct span address);
/* The same of a message in a file. False with errno: it cannot be read. */
bool delivered_before_fd(int fd, uint64_t off, uint64_t len, struct span address, bool *before) CHECKED;

/* "From SENDER  DATE": in front of a message in an mbox, or for a program. */
void delivered_from_line(struct span sender, time_t when, struct buf *out);

#endif
