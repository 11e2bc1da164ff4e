/* sample.h: the texts that `merpati init` writes and that lie in conf/ as samples: one source for both. */
#ifndef TOOLS_SAMPLE_H
#define TOOLS_SAMPLE_H

#include "base/buf.h"

void sample_main_cf(struct buf *out);		/* every parameter with its sentence and default, commented out */
void sample_instance_main_cf(struct buf *out, const char *domain);
void sample_master_cf(struct buf *out, unsigned base_port);
void sample_users(struct buf *out);
void sample_aliases(struct buf *out);
void sample_domains(struct buf *out);
void sample_virtual(struct buf *out);
void sample_man(struct buf *out);		/* main.cf(5), mdoc */

#endif
