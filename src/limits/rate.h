/* rate.h -- events counted by key, in windows of time: the inside of <weir/limits.h>.
 *
 * Fixed windows, one after the other for each key, each begun by the key's first event after the
 * one before: a count and a moment for each key, and no event is ever estimated. A key is known by
 * 128 bits of a hash whose secret nobody outside knows.
 *
 * Memory is bounded by a number of keys. A key that finds no place is counted in a place that it
 * shares with others, so its count may be too high for the rest of that window, never too low; no
 * key ever loses its place before its window is over, whatever others send.
 *
 * Sixty-four shards with a lock each, which is held for a few instructions: workers meet only
 * where they count the same key, or by chance. */
#ifndef LIMITS_RATE_H
#define LIMITS_RATE_H

#include <weir/limits.h>

#include "base/base.h"

enum { RATE_SHARDS = 64 };

/* For `keys` keys, a multiple of RATE_SHARDS, each of which has so many places; memory is used as
 * keys come, and given back as others come when windows are over. NULL without memory. Set-up, on
 * one thread. */
struct weir_rate *rate_new(weir_dur window, uint32_t keys);
void rate_free(struct weir_rate **r);

/* weir_rate_observe and weir_rate_left at the time `now`. From any thread; neither blocks. */
unsigned rate_observe(struct weir_rate *r, weir_str key, unsigned n, int64_t now);
weir_dur rate_left(struct weir_rate *r, weir_str key, int64_t now);

#endif
