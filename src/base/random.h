/* random.h -- pseudo-random numbers (xoshiro256**, seeded by getrandom or by a test). Not for
 * secrets. Each user keeps a state of its own; nothing is shared. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include "base/base.h"

struct random {
    uint64_t s[4];
};

void     random_seed(struct random *r, uint64_t seed); /* the same seed gives the same numbers */
void     random_init(struct random *r);                /* seeded by the kernel */
uint64_t random_next(struct random *r);
uint64_t random_below(struct random *r, uint64_t n);   /* 0 to n - 1, n > 0 */

#endif
