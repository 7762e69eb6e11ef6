/* hash.h -- hashes of bytes (XXH3 of libxxhash). Stable within a process only. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/base.h"

uint64_t hash_bytes(const void *data, size_t len);

/* 128 bits that nobody outside can aim at: they depend on a secret of the process's own, so that a
 * hash may stand for the bytes themselves even if these come from an attacker. */
struct hash_secret {
    unsigned char bytes[192];
};

struct hash128 {
    uint64_t low, high;
};

void hash_secret_init(struct hash_secret *s); /* anew, by the kernel */
struct hash128 hash_keyed(const struct hash_secret *s, const void *data, size_t len);

#endif
