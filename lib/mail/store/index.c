/* index.c: a folder is read from its file names each time it is opened; computed strings are not kept. */
#include "mail/store/driver.h"

#include "base/banned.h"

bool
index_load_folder(struct mailfolder *f)
{
	(void)f;
	return false;
}

void
index_save_folder(struct mailfolder *f)
{
	(void)f;
}

void
index_close(struct mailstore *ms)
{
	(void)ms;
}

void
index_forget_folder(struct mailstore *ms, const char *dir)
{
	(void)ms, (void)dir;
}

bool
mailstore_cache_get(struct mailstore *ms, const struct mail_id *id, uint8_t kind, struct span *value)
{
	(void)ms, (void)id, (void)kind, (void)value;
	return false;
}

void
mailstore_cache_put(struct mailstore *ms, const struct mail_id *id, uint8_t kind, struct span value)
{
	(void)ms, (void)id, (void)kind, (void)value;
}

enum store_result
mailstore_index_drop(const char *path)
{
	(void)path;
	return STORE_OK;
}

enum store_result
mailstore_index_rebuild(const char *path)
{
	(void)path;
	return STORE_OK;
}
