/* random.c -- xoshiro256** by Blackman and Vigna, its state filled by splitmix64. */
#include "base/random.h"

#include <sys/random.h>

#include "base/clock.h"

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void random_seed(struct random *r, uint64_t seed)
{
    for (size_t i = 0; i < ARRAY_LEN(r->s); i++)
        r->s[i] = splitmix(&seed);
}

void random_init(struct random *r)
{
    uint64_t seed;

    /* Only a kernel without the call fails here; the numbers are not for secrets. */
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        seed = (uint64_t)clock_now() ^ (uint64_t)(uintptr_t)r;
    random_seed(r, seed);
}

uint64_t random_next(struct random *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

/* The high half of a 128-bit product is even over 0 to n - 1 once the few low halves that would
 * come up too often are thrown away. */
uint64_t random_below(struct random *r, uint64_t n)
{
    unsigned __int128 product;

    ensure(n > 0);
    do
        product = (unsigned __int128)random_next(r) * n;
    while (unlikely((uint64_t)product < -n % n));
    return (uint64_t)(product >> 64);
}
