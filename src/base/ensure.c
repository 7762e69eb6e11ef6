/* ensure.c -- the end of a process that found a bug in itself, or in the program around it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

void ensure_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "weir: bug: %s:%d: %s does not hold\n", file, line, what);
    abort();
}

void needs_failed(const char *call, const char *what)
{
    fprintf(stderr, "weir: bug of the program: %s needs %s\n", call, what);
    abort();
}
