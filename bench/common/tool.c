/* tool.c -- see tool.h. */
#include "common/tool.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit sizes[] = {
    { "", 1 }, { "B", 1 }, { "KiB", 1ull << 10 }, { "MiB", 1ull << 20 }, { "GiB", 1ull << 30 },
};

static const struct unit spans[] = {
    { "us", NS_PER_US },
    { "ms", NS_PER_MS },
    { "s", NS_PER_SEC },
    { "m", 60 * NS_PER_SEC },
};

uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

_Noreturn void die(int status, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(status);
}

void *must_calloc(uint64_t count, uint64_t size)
{
    void *memory = calloc(count, size);

    if (!memory)
        die(EXIT_FAILURE, "out of memory");
    return memory;
}

/* Digits followed by the name of one of `units`. */
static bool parse_with_unit(const char *text, const struct unit *units, size_t count, uint64_t *out)
{
    char *rest;
    uint64_t value;

    if (!isdigit((unsigned char)text[0]))
        return false; /* strtoull would take blanks and signs */
    errno = 0;
    value = strtoull(text, &rest, 10);
    if (errno)
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(rest, units[i].name) == 0)
            return !__builtin_mul_overflow(value, units[i].factor, out);
    return false;
}

bool parse_count(const char *text, uint64_t *out)
{
    return parse_with_unit(text, sizes, 1, out);
}

bool parse_size(const char *text, uint64_t *out)
{
    return parse_with_unit(text, sizes, ARRAY_LEN(sizes), out);
}

bool parse_span(const char *text, uint64_t *out)
{
    return parse_with_unit(text, spans, ARRAY_LEN(spans), out);
}

void raise_file_limit(uint64_t needed)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        die(EXIT_FAILURE, "getrlimit: %s", strerror(errno));
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        die(EXIT_FAILURE, "setrlimit: %s", strerror(errno));
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < needed)
        die(EXIT_FAILURE, "%ju descriptors needed, the hard limit is %ju", (uintmax_t)needed,
            (uintmax_t)limit.rlim_max);
}
