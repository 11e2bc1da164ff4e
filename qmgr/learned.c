/*
 * learned.c: queue/.sites: a line a site, "DEAD-UNTIL DEAD-FOR WINDOW NAME<TAB>REASON", and one for each next hop whose
 * mail hosts are known, "hop SET NEXT-HOP". The name of a set of mail hosts is "@SET:HOST". Names come from recipients.
 */
#include "learned.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "mail/crc32c.h"
#include "hop.h"
#include "reason.h"
#include "schedule.h"
#include "service/message.h"
#include "base/banned.h"

#define FILE_NAME "queue/.sites"
#define NEW_NAME "queue/.sites.new"
#define FILE_MAX (16u << 20)
#define SAVE_EVERY 30			/* seconds */

static struct buf *lines;		/* where put_site and put_hop write */
static uint32_t last_save, last_crc;

static bool
can_be_told(struct span name)
{
	return span_printable(name) && span_find(name, ' ') < 0;
}

static void
put_name(const struct site *s)
{
	if (s->set)
		buf_addf(lines, "@%llu:", (unsigned long long)s->set);
	buf_adds(lines, s->name);
}

static void
put_hop(struct span name, struct site *s)
{
	if (!can_be_told(name) || !can_be_told(span_str(s->name)))
		return;
	buf_adds(lines, "hop ");
	put_name(s);
	buf_addf(lines, " %.*s\n", SPAN_FMT(name));
}

static void
put_site(struct site *s)
{
	uint64_t now = clock_mono_ms();
	bool dead = site_dead(s, now);

	if (s->pool != POOL_SMTP || !can_be_told(span_str(s->name)) ||
	    (!dead && !s->dead_for && s->window <= schedule_limits.first_window))
		return;
	buf_addf(lines, "%lld %u %u ",
	    dead ? (long long)((clock_wall_us() / 1000 + s->dead_until - now + 999) / 1000) : 0,	/* never too early */
	    s->dead_for, (unsigned)s->window);
	put_name(s);
	buf_addf(lines, "\t%.*s\n", SPAN_FMT(reason_text(s->reason)));
}

static bool
write_lines(void)
{
	int fd = open(NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0 && write_all(fd, lines->p, lines->len);

	if (fd >= 0)
		close(fd);
	return ok && rename(NEW_NAME, FILE_NAME) == 0;
}

void
learned_save(void)
{
	struct buf b;
	uint32_t crc;

	buf_init(&b, FILE_MAX);
	lines = &b;
	site_each(put_site);
	hop_each(put_hop);
	crc = crc32c(0, buf_span(&b));
	if (!b.over && crc != last_crc) {
		if (!write_lines())
			log_warn(NULL, "cannot write %s: %s", FILE_NAME, strerror(errno));
		last_crc = crc;
	}
	lines = NULL;
	buf_fini(&b);
}

void
learned_tick(uint32_t now)
{
	if (now - last_save < SAVE_EVERY)
		return;
	last_save = now;
	learned_save();
}

/* "@SET:HOST" */
static bool
take_set(struct span name, uint64_t *set, struct span *host)
{
	struct span number;

	*host = span_skip(name, 1);
	return name.p[0] == '@' && span_cut(host, ':', &number) && host->n && span_u64(number, 1, SITE_ANY - 1, set);
}

static bool
take_hop(struct span rest)
{
	struct span name, host;
	uint64_t set;

	if (!span_cut(&rest, ' ', &name) || !name.n || !rest.n || !take_set(name, &set, &host))
		return false;
	(void)hop_learn(rest, set, host, clock_mono_ms());
	return true;
}

static bool
take_line(struct span line)
{
	struct span rest = line, until, dead_for, window, name, reason;
	uint64_t wall = (uint64_t)clock_wall(), then;
	uint32_t seconds, n;
	struct span host;
	struct site *s;
	uint64_t set;

	if (span_starts(line, "hop "))
		return take_hop(span_skip(line, 4));
	if (!span_cut(&rest, ' ', &until) || !span_cut(&rest, ' ', &dead_for) || !span_cut(&rest, ' ', &window) ||
	    !span_cut(&rest, '\t', &name) || !span_u64(until, 0, INT64_MAX, &then) || name.n == 0 ||
	    !span_u32(dead_for, 0, UINT32_MAX, &seconds) || !span_u32(window, 1, UINT32_MAX, &n))
		return false;
	reason = rest;
	s = take_set(name, &set, &host) ? site_get_set(set, host) : site_get(POOL_SMTP, name);
	s->window = n < schedule_limits.window[s->kind] ? n : schedule_limits.window[s->kind];
	s->dead_for = seconds < schedule_limits.dead_max ? seconds : schedule_limits.dead_max;
	s->keep_until = clock_mono_ms() + ((uint64_t)s->dead_for + 60) * 1000;
	if (then > wall) {		/* a clock that was set does not make it longer */
		s->dead_until = clock_mono_ms() + (then - wall < s->dead_for ? then - wall : s->dead_for) * 1000;
		s->keep_until += s->dead_until - clock_mono_ms();
		s->reason = reason_keep(reason);
	}
	return true;
}

void
learned_load(void)
{
	struct span rest, line;
	struct buf b;

	buf_init(&b, FILE_MAX);
	if (!read_file(AT_FDCWD, FILE_NAME, &b) && errno != ENOENT)
		log_warn(NULL, "cannot read %s: %s", FILE_NAME, strerror(errno));
	rest = buf_span(&b);
	while (rest.n && span_cut(&rest, '\n', &line))
		if (!take_line(line)) {
			log_warn(NULL, "%s is damaged: what it said of destinations is learned anew", FILE_NAME);
			break;
		}
	buf_fini(&b);
}
