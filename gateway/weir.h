/* weir.h -- the commands of the `weir` binary. */
#ifndef GATEWAY_WEIR_H
#define GATEWAY_WEIR_H

struct command {
    const char *name;
    const char *usage; /* behind "usage: " */
    const char *help;  /* one line; NULL: not for people, and not shown */

    /* argv[0] is the program, argv[1] the first word behind the command. The exit code. */
    int (*run)(const struct command *self, int argc, char **argv);
};

int proxy_run(const struct command *self, int argc, char **argv);
int demo_run(const struct command *self, int argc, char **argv);
int demo_origin_run(const struct command *self, int argc, char **argv);

#endif
