/*
 * check_owners.c: virtual_uid_maps and virtual_gid_maps: can master believe the tables? Their values are looked at where those of
 * all tables are (conf_check_files), the users of conf/users with that file.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "check.h"
#include "base/banned.h"

struct owner_table {
	struct check *check;
	const char *name;
};

/* As master/virtual.c */
static void
check_trust(void *ctx, const char *path)
{
	struct owner_table *t = ctx;
	struct stat st;

	if (stat(path, &st) == 0 && ((st.st_uid != 0 && st.st_uid != geteuid()) || st.st_mode & 022))
		check_error(t->check, t->name, "%s: %s: others than root can write it (uid %u, mode %04o), so master believes no uid in it: "
		    "chown root %s; chmod go-w %s", t->name, path, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777, path, path);
}

static void
check_tables(struct check *c, const char *name, const char *spec)
{
	struct owner_table t = { c, name };
	struct span rest = span_str(spec), item;
	struct buf err;

	buf_init(&err, 4096);
	(void)maps_check(span_str(spec), check_trust, &t, &err);
	while (map_next_item(&rest, ", \t\r\n", &item) > 0)
		if (span_starts(item, "regexp:") || span_starts(item, "pcre:"))
			check_error(c, name, "%s: no uid comes from an expression; write hash:, texthash:, inline: or static:", name);
	buf_fini(&err);
}

void
check_owners(struct check *c)
{
	bool uids = *par.virtual_uid_maps != '\0', gids = *par.virtual_gid_maps != '\0';

	if (uids != gids)
		check_error(c, uids ? "virtual_uid_maps" : "virtual_gid_maps", "virtual_uid_maps and virtual_gid_maps go together: %s is empty",
		    uids ? "virtual_gid_maps" : "virtual_uid_maps");
	check_tables(c, "virtual_uid_maps", par.virtual_uid_maps);
	check_tables(c, "virtual_gid_maps", par.virtual_gid_maps);
}
