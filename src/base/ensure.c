/* ensure.c -- the end of a process that found a bug in itself. */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

void ensure_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "weir: bug: %s:%d: %s does not hold\n", file, line, what);
    abort();
}
