/* nearest.c -- the word that was probably meant. */
#include "base/base.h"

#include <weir/server.h>

enum { WORD_MAX = 63 };

/* How many letters must be added, removed, replaced or swapped with their neighbour to turn `a`
 * into `b`. Rows of the usual table; `last` is the row before `prev`. */
static unsigned distance(weir_str a, weir_str b)
{
    unsigned last[WORD_MAX + 1] = { 0 }, prev[WORD_MAX + 1], row[WORD_MAX + 1];

    for (size_t j = 0; j <= b.len; j++)
        prev[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned change = prev[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            unsigned shift = MIN(prev[j], row[j - 1]) + 1;

            row[j] = MIN(change, shift);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                row[j] = MIN(row[j], last[j - 2] + 1);
        }
        memcpy(last, prev, sizeof(last));
        memcpy(prev, row, sizeof(prev));
    }
    return prev[b.len];
}

const char *weir_nearest(const char *word, const char *const *words)
{
    weir_str given = { word, word != NULL ? strnlen(word, WORD_MAX) : 0 };
    unsigned best = (unsigned)given.len / 2 + 1; /* further away than that is no likeness */
    const char *found = NULL;

    for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
        unsigned d = distance(given, (weir_str){ words[i], strnlen(words[i], WORD_MAX) });

        if (d < best) {
            best = d;
            found = words[i];
        }
    }
    return found;
}
