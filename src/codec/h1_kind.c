/* h1_kind.c -- asks the processor once. Two workers that ask at the same time get the same answer.
 */
#include "codec/h1_kind.h"

uint8_t h1_kind_chosen = H1_KINDS;

static bool has(enum h1_kind kind)
{
#if defined(__x86_64__)
    if (kind == H1_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    if (kind == H1_SSE42)
        return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
#endif
    return kind == H1_PORTABLE;
}

bool h1_use(enum h1_kind kind)
{
    if (!has(kind))
        return false;
    __atomic_store_n(&h1_kind_chosen, (uint8_t)kind, __ATOMIC_RELAXED);
    return true;
}

enum h1_kind h1_kind_choose(void)
{
    enum h1_kind kind = H1_AVX2;

    while (!h1_use(kind))
        kind--;
    return kind;
}
