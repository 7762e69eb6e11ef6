/* hash.c -- XXH3 behind our own name. */
#include "base/hash.h"

#include <sys/random.h>

#include <xxhash.h>

#include "base/random.h"

uint64_t hash_bytes(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

static_assert(sizeof(struct hash_secret) >= XXH3_SECRET_SIZE_MIN, "as much as XXH3 wants");

void hash_secret_init(struct hash_secret *s)
{
    struct random r;

    if (getrandom(s->bytes, sizeof s->bytes, 0) == (ssize_t)sizeof s->bytes)
        return;
    random_init(&r); /* a kernel without the call: better than a secret that is known */
    for (size_t i = 0; i < sizeof s->bytes; i++)
        s->bytes[i] = (unsigned char)random_next(&r);
}

struct hash128 hash_keyed(const struct hash_secret *s, const void *data, size_t len)
{
    XXH128_hash_t h = XXH3_128bits_withSecret(data, len, s->bytes, sizeof s->bytes);

    return (struct hash128){ .low = h.low64, .high = h.high64 };
}
