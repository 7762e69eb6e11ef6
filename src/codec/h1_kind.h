/* h1_kind.h -- which instructions the passes over a head use: each pass exists for AVX2, for SSE4.2
 * and in portable C, all with the same results. The portable one is the oracle of the others. */
#ifndef CODEC_H1_KIND_H
#define CODEC_H1_KIND_H

#include "base/base.h"

enum h1_kind { H1_PORTABLE, H1_SSE42, H1_AVX2, H1_KINDS };

/* Bytes behind a text that the passes may read, and whose values do not matter. */
enum { H1_PAD = 32 };

/* What the functions below choose from; H1_KINDS: not chosen yet. */
extern uint8_t h1_kind_chosen;

enum h1_kind h1_kind_choose(void);

/* The best kind for this machine, looked up once; or what h1_use said. */
static inline enum h1_kind h1_kind(void)
{
    uint8_t kind = __atomic_load_n(&h1_kind_chosen, __ATOMIC_RELAXED);

    return likely(kind != H1_KINDS) ? (enum h1_kind)kind : h1_kind_choose();
}

/* Makes all later calls use this kind, for tests and benchmarks. False if this machine lacks it,
 * and then nothing changes. */
bool h1_use(enum h1_kind kind);

#endif
