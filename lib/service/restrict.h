/*
 * restrict.h: the grammar of smtpd_*_restrictions: words, each with at most one
 * argument, and the names of classes. What a word does is smtpd's business.
 */
#ifndef SERVICE_RESTRICT_H
#define SERVICE_RESTRICT_H

#include <sys/socket.h>

#include "base/buf.h"

#define RESTRICT_NUMBER_MAX 300

enum restrict_arg {
	RESTRICT_NONE,
	RESTRICT_TABLE,		/* type:table */
	RESTRICT_DOMAIN,	/* list.example or list.example=127.0.0.[2..11] */
	RESTRICT_SERVER,	/* inet:host:port or unix:name */
	RESTRICT_NUMBER,	/* seconds, up to RESTRICT_NUMBER_MAX */
};

struct restrict_row {
	const char *name;
	enum restrict_arg arg;
};

extern const struct restrict_row restrict_rows[];
extern const size_t restrict_count;

struct restrict_word {
	const struct restrict_row *row;		/* NULL: a class */
	struct span name, arg;
};

/* The next word of a list: 1, 0 at the end, -1 and a sentence in err. classes: their names. */
int restrict_next(struct span *list, const char *classes, struct restrict_word *w, struct buf *err);

/* Is the whole list well formed? All that is wrong is told at once. Each file that a table of it names is reported to on_file (may be NULL). */
bool restrict_check(struct span list, const char *classes, void (*on_file)(void *ctx, const char *path), void *ctx,
    struct buf *err);

/*
 * Has the list a word that keeps strangers from other domains, before "permit" opens it for everybody? class_text:
 * the list of a class, which the caller frees; NULL: none.
 */
bool restrict_closes_relay(struct span list, const char *classes, char *(*class_text)(void *ctx, struct span name), void *ctx);

/* "inet:host:port" (host: an address or localhost; port: a number), "unix:name" (a socket in run_directory/smtpd) */
struct restrict_server {
	bool inet;
	struct span host;
	uint16_t port;
};
bool restrict_server(struct span arg, struct restrict_server *out, struct buf *err) CHECKED;
/* Where it is: of a unix socket the bare name, for who has its directory as the working directory. */
socklen_t restrict_address(const struct restrict_server *where, struct sockaddr_storage *sa);

#endif
