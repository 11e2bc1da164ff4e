/* crc32c.h: CRC-32C (Castagnoli). Start with 0 and feed on: crc32c(crc32c(0, a), b). */
#ifndef MAIL_CRC32C_H
#define MAIL_CRC32C_H

#include "base/span.h"

uint32_t crc32c(uint32_t crc, struct span s);
uint32_t crc32c_by_table(uint32_t crc, struct span s);	/* the same on any processor */

#endif
