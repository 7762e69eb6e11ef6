/* load.c -- a load generator for proxies: one thread, closed or open loop, strict about what
 * comes back, bounded, and for this host only. `load --help` tells the rest. */
#include "load/load.h"

#include "common/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

/* All is warm and quiet: whoever measures may take his readings now. */
static void wait_at_gate(void)
{
    char c = 0;

    puts("{\"ready\":true}");
    fflush(stdout);
    while (c != '\n')
        if (read(STDIN_FILENO, &c, 1) <= 0)
            die(EXIT_FAILURE, "stdin was closed before the counted phase");
}

static void wait_for_stdin_end(void)
{
    char bytes[64];

    while (read(STDIN_FILENO, bytes, sizeof(bytes)) > 0)
        ;
}

static void run(struct load *l)
{
    const struct options *o = l->options;

    if (!o->close)
        load_connect(l);
    if (o->warmup)
        load_phase(l, 0, o->warmup);
    if (o->gate)
        wait_at_gate();
    tally_reset(l);
    load_phase(l, o->requests, o->span);
}

int main(int argc, char **argv)
{
    static struct options options;
    struct load load;
    uint64_t failures;

    options_parse(&options, argc, argv);
    raise_file_limit(options.connections + 16);
    if (options.attack || options.flood) {
        (options.attack ? load_attack : load_flood)(&options);
        return EXIT_SUCCESS;
    }
    prctl(PR_SET_TIMERSLACK, 1ul); /* an open loop is meant to be on time */
    load_init(&load, &options);
    if (options.hold)
        load_hold(&load);
    else
        run(&load);
    report(&load);
    if (options.gate)
        wait_for_stdin_end(); /* closing the connections is work for the proxy: not counted */
    failures = load.tally.failures;
    load_close(&load);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
