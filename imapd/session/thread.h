/*
 * thread.h: messages to trees (RFC 5256 3: REFERENCES, ORDEREDSUBJECT). Pure; n log n
 * in messages and references, whatever the senders wrote; nothing recurses.
 */
#ifndef IMAP_THREAD_H
#define IMAP_THREAD_H

#include "sortkey.h"

#define THREAD_MESSAGES_MAX (1u << 20)
#define THREAD_NODES_MAX (3u << 20)	/* with messages that are only named; more are not linked */

struct threads;
struct threads *threads_new(size_t messages);
void threads_free(struct threads *t);

/* In mailbox order. number: for the answer. */
void threads_add(struct threads *t, uint32_t number, const struct threadkey *k);

/* Once, after all were added. */
void threads_by_references(struct threads *t);
void threads_by_subject(struct threads *t);

/* "(1 2)(3 (4)(5))" */
void threads_print(const struct threads *t, void (*put)(void *ctx, const char *text, size_t n), void *ctx);

#endif
