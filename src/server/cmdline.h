/* cmdline.h -- a command line, read against the table of options and a program's own ones. */
#ifndef SERVER_CMDLINE_H
#define SERVER_CMDLINE_H

#include "base/faults.h"
#include "server/options.h"

enum action { ACTION_RUN, ACTION_TEST, ACTION_HELP, ACTION_VERSION, ACTION_MARKDOWN };

enum { OWN_OPTIONS_MAX = 64 };

struct cmdline {
    const char *program;           /* the last part of argv[0] */
    const char *usage;             /* behind "usage: "; NULL: made from `program` */
    const struct weir_option *own; /* NULL: none */
    struct settings settings;
    enum action action;
    struct faults faults; /* all that is wrong with it */
    struct faults warnings;
};

/* Reads it all; `own` and argv must outlive the result. Asking for help or the version wins over
 * errors. Own options are set as they are met. */
void cmdline_read(struct cmdline *c, int argc, char **argv, const char *usage,
                  const struct weir_option *own, void *state);

/* The texts of --help, --version and docs/options.md; malloc'ed, NULL without memory. */
char *usage_text(const struct cmdline *c);

#endif
