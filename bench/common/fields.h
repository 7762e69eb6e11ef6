/* fields.h -- realistic field lines to fill a head with: names and lengths as browsers and
 * application servers send them. */
#ifndef BENCH_FIELDS_H
#define BENCH_FIELDS_H

#include <stdio.h>

enum fields_kind { FIELDS_REQUEST, FIELDS_RESPONSE, FIELDS_KINDS };

/* Writes `count` different field lines of that kind to `out`; past the end of the table they are
 * called x-bench-N. None of them has a meaning for framing or connection. */
void fields_write(FILE *out, enum fields_kind kind, unsigned count);

#endif
