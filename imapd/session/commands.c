/* commands.c: the table of commands. */
#include "session.h"

#include "base/banned.h"

#define ANY (IN_AUTH | IN_SELECTED)

static const struct command_row rows[] = {
/*	name		handler		states		then		UID */
	{ "APPEND",	cmd_append,	ANY,		SYNC_FULL,	false },
	{ "AUTHENTICATE", cmd_refuse_login, ANY,	SYNC_NONE,	false },
	{ "CAPABILITY",	cmd_capability,	ANY,		SYNC_FULL,	false },
	{ "CHECK",	cmd_noop,	IN_SELECTED,	SYNC_FULL,	false },
	{ "CLOSE",	cmd_close,	IN_SELECTED,	SYNC_NONE,	false },
	{ "COMPRESS",	cmd_compress,	ANY,		SYNC_NONE,	false },
	{ "COPY",	cmd_copy,	IN_SELECTED,	SYNC_FULL,	true },
	{ "CREATE",	cmd_create,	ANY,		SYNC_FULL,	false },
	{ "DELETE",	cmd_delete,	ANY,		SYNC_FULL,	false },
	{ "ENABLE",	cmd_enable,	ANY,		SYNC_NONE,	false },
	{ "EXAMINE",	cmd_select,	ANY,		SYNC_NONE,	false },
	{ "EXPUNGE",	cmd_expunge,	IN_SELECTED,	SYNC_EXPUNGE,	true },
	{ "FETCH",	cmd_fetch,	IN_SELECTED,	SYNC_KEEP,	true },
	{ "GETQUOTA",	cmd_getquota,	ANY,		SYNC_FULL,	false },
	{ "GETQUOTAROOT", cmd_getquotaroot, ANY,	SYNC_FULL,	false },
	{ "ID",		cmd_id,		ANY,		SYNC_NONE,	false },
	{ "IDLE",	cmd_idle,	ANY,		SYNC_FULL,	false },
	{ "LIST",	cmd_list,	ANY,		SYNC_FULL,	false },
	{ "LOGIN",	cmd_refuse_login, ANY,		SYNC_NONE,	false },
	{ "LOGOUT",	cmd_logout,	ANY,		SYNC_NONE,	false },
	{ "LSUB",	cmd_lsub,	ANY,		SYNC_FULL,	false },
	{ "MOVE",	cmd_copy,	IN_SELECTED,	SYNC_EXPUNGE,	true },
	{ "NAMESPACE",	cmd_namespace,	ANY,		SYNC_NONE,	false },
	{ "NOOP",	cmd_noop,	ANY,		SYNC_FULL,	false },
	{ "NOTIFY",	cmd_notify,	ANY,		SYNC_FULL,	false },
	{ "RENAME",	cmd_rename,	ANY,		SYNC_FULL,	false },
	{ "REPLACE",	cmd_replace,	IN_SELECTED,	SYNC_FULL,	true },
	{ "SEARCH",	cmd_search,	IN_SELECTED,	SYNC_KEEP,	true },
	{ "SELECT",	cmd_select,	ANY,		SYNC_NONE,	false },
	{ "SETQUOTA",	cmd_setquota,	ANY,		SYNC_FULL,	false },
	{ "SORT",	cmd_sort,	IN_SELECTED,	SYNC_KEEP,	true },
	{ "STARTTLS",	cmd_refuse_login, ANY,		SYNC_NONE,	false },
	{ "STATUS",	cmd_status,	ANY,		SYNC_FULL,	false },
	{ "STORE",	cmd_store,	IN_SELECTED,	SYNC_KEEP,	true },
	{ "SUBSCRIBE",	cmd_subscribe,	ANY,		SYNC_FULL,	false },
	{ "THREAD",	cmd_thread,	IN_SELECTED,	SYNC_KEEP,	true },
	{ "UNSELECT",	cmd_close,	IN_SELECTED,	SYNC_NONE,	false },
	{ "UNSUBSCRIBE", cmd_subscribe,	ANY,		SYNC_FULL,	false },
};

const struct command_row *
command_find(struct span name)
{
	for (size_t i = 0; i < NELEMS(rows); i++)
		if (span_is_nocase(name, rows[i].name))
			return &rows[i];
	return NULL;
}
