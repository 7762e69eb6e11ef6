/* hash.h -- a 64-bit hash of bytes (XXH3 of libxxhash). Stable within a process only. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/base.h"

uint64_t hash_bytes(const void *data, size_t len);

#endif
