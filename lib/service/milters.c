/* milters.c: lists of milters, as they stand in main.cf. */
#include "service/milters.h"

#include "base/map.h"
#include "service/params.h"
#include "base/banned.h"

static const char seps[] = ", \t\r\n";

int
milter_action_of(struct span word)
{
	static const char *const words[MILTER_ACTIONS] = {
		[MILTER_ACCEPT] = "accept", [MILTER_REJECT] = "reject", [MILTER_TEMPFAIL] = "tempfail",
		[MILTER_QUARANTINE] = "quarantine", [MILTER_SHUTDOWN] = "shutdown",
	};

	for (int i = 0; i < MILTER_ACTIONS; i++)
		if (span_is_nocase(word, words[i]))
			return i;
	return -1;
}

static bool
set_action(struct milter_spec *m, uint32_t *to, struct span value)
{
	(void)to;
	m->action = milter_action_of(value);
	return m->action >= 0;
}

static bool
set_time(struct milter_spec *m, uint32_t *to, struct span value)
{
	(void)m;
	return param_time(value, to) && *to > 0 && *to <= 3600;
}

static bool
set_protocol(struct milter_spec *m, uint32_t *to, struct span value)
{
	(void)m;
	return span_u32(value, 2, 6, to);
}

static const struct {
	const char *name;
	bool (*set)(struct milter_spec *m, uint32_t *to, struct span value);
	size_t offset;
} options[] = {
	{ "connect_timeout", set_time, offsetof(struct milter_spec, connect_timeout) },
	{ "command_timeout", set_time, offsetof(struct milter_spec, command_timeout) },
	{ "content_timeout", set_time, offsetof(struct milter_spec, content_timeout) },
	{ "protocol", set_protocol, offsetof(struct milter_spec, protocol) },
	{ "default_action", set_action, offsetof(struct milter_spec, protocol) },
};

/* "name=value" in braces */
static bool
set_option(struct milter_spec *m, struct span word, struct buf *err)
{
	struct span value = word, name;

	(void)span_cut(&value, '=', &name);
	for (size_t i = 0; i < NELEMS(options); i++) {
		if (!span_is(span_trim(name), options[i].name))
			continue;
		if (value.p && options[i].set(m, (uint32_t *)(void *)((char *)m + options[i].offset), span_trim(value)))
			return true;
		buf_addf(err, "%.*s: bad value for %s", SPAN_FMT(m->name), options[i].name);
		return false;
	}
	buf_addf(err, "%.*s: there is no \"%.*s\"; what may stand in the braces is", SPAN_FMT(m->name), SPAN_FMT(name));
	for (size_t i = 0; i < NELEMS(options); i++)
		buf_addf(err, "%s %s", i ? "," : "", options[i].name);
	return false;
}

static bool
set_server(struct milter_spec *m, struct span word, struct buf *err)
{
	struct buf why;
	bool ok;

	m->name = word;
	buf_init(&why, 1024);
	ok = restrict_server(word, &m->where, &why);
	if (!ok && span_starts(word, "inet:") && span_rfind(word, ':') > 5)
		buf_addf(err, "\"%.*s\": a milter is reached by address (or localhost) and a number of a port", SPAN_FMT(word));
	else if (!ok)
		buf_addspan(err, buf_span(&why));
	buf_fini(&why);
	return ok;
}

static bool
in_braces(struct milter_spec *m, struct span item, struct buf *err)
{
	struct span rest = span_sub(item, 1, item.n - 1), word;

	if (!span_word(&rest, seps, &word)) {
		buf_adds(err, "a pair of braces without a milter");
		return false;
	}
	if (!set_server(m, word, err))
		return false;
	while (span_word(&rest, seps, &word))
		if (!set_option(m, word, err))
			return false;
	return true;
}

int
milters_next(struct span *list, struct milter_spec *m, struct buf *err)
{
	struct span item;
	int r = map_next_item(list, seps, &item);

	if (r < 0)
		buf_adds(err, "braces do not match");
	if (r <= 0)
		return r;
	*m = (struct milter_spec){ .action = -1 };
	if (item.p[0] == '{')
		return in_braces(m, item, err) ? 1 : -1;
	return set_server(m, item, err) ? 1 : -1;
}

bool
milters_check(struct span list, struct buf *err)
{
	struct milter_spec m;
	unsigned n = 0;
	int r;

	while ((r = milters_next(&list, &m, err)) > 0)
		if (++n > MILTERS_MAX) {
			buf_addf(err, "more than %d milters", MILTERS_MAX);
			return false;
		}
	return r == 0;
}
