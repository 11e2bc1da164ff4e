/*
 * imapd: IMAP before login, for strangers; afterwards a pump of bytes to the
 * session of who is in. It keeps the TLS socket for life, and has no file, no
 * key and no mailbox.
 */
#include "prelogin.h"

#include "base/banned.h"

int
main(int argc, char **argv)
{
	return front_main(&imap_prelogin, argc, argv);
}
