/* checks.h -- for programs that are a table of checks: the first word of the command line names
 * one, the rest is what every program understands. */
#ifndef CHECKS_H
#define CHECKS_H

#include <stdio.h>
#include <unistd.h>

#include <weir/weir.h>

/* What does not hold ends the process, with 3. */
#define CHECK(x) ((void)((x) || (check_failed(#x, __FILE__, __LINE__), 0)))

static inline void check_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
    _exit(3);
}

struct check {
    const char *name;
    int (*run)(int argc, char **argv); /* returns what the process ends with */
};

static inline int run_check(int argc, char **argv, const struct check *checks)
{
    for (; argc > 1 && checks->name != NULL; checks++)
        if (strcmp(checks->name, argv[1]) == 0)
            return checks->run(argc - 1, argv + 1);
    fprintf(stderr, "there is no such check\n");
    return 2;
}

#endif
