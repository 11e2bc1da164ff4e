/* main.h: what the whole of smtp shares. */
#ifndef SMTP_MAIN_H
#define SMTP_MAIN_H

struct tls_client;
struct tls_client *smtp_tls(void);

#endif
