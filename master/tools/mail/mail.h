/* mail.h: commands with Postfix's names, one program. Each returns an exit code of sysexits.h. */
#ifndef TOOLS_MAIL_H
#define TOOLS_MAIL_H

#include "base/attr.h"

void mail_usage(void) NORETURN;		/* of the command that runs; exits EX_USAGE */
int sendmail_main(int argc, char **argv);
int mailq_main(int argc, char **argv);
int newaliases_main(int argc, char **argv);
int postalias_main(int argc, char **argv);
int postcat_main(int argc, char **argv);
int postconf_main(int argc, char **argv);
int postmap_main(int argc, char **argv);
int postqueue_main(int argc, char **argv);
int postsuper_main(int argc, char **argv);
int qshape_main(int argc, char **argv);

#endif
