/* options.h -- what every program made with Weir understands on its command line, in one table.
 *
 * A row tells an option's name, kind, place, default and words; parsing, help, docs/options.md
 * and the defaults of a service's fields are all made from it. A given option wins over a
 * service's field, and that over the default. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <weir/server.h>

#include "base/base.h"

enum option_kind {
    OPT_TIME,
    OPT_SIZE,
    OPT_COUNT,
    OPT_TEXT,
    OPT_FIELD, /* a text that goes out as the value of a field */
    OPT_CHOICE,
    OPT_NETS, /* more, each time that it is given */
    OPT_FLAG,
};
enum option_place { PLACE_PROCESS, PLACE_SERVICE };

/* What `off` means for an option: nothing (refused), no bound, or zero. */
enum option_off { OFF_REFUSED, OFF_UNBOUNDED, OFF_ZERO };

struct option_row {
    const char *name; /* without dashes */
    enum option_kind kind;
    enum option_place place;
    size_t offset;     /* of the value, in struct process_config or struct weir_service */
    const char *field; /* of struct weir_service, for errors about it */
    enum option_off off;
    uint64_t most;        /* OPT_SIZE, OPT_COUNT: no larger ones; 0: no limit */
    const char *value;    /* how help calls it; NULL: a flag. OPT_CHOICE: what it may be, a|b|c */
    const char *wrong;    /* OPT_CHOICE: said of anything else; with `most`: of what is larger */
    const char *fallback; /* the default as one would write it; NULL: none */
    bool computed;        /* the default is found elsewhere; `fallback` describes it */
    const char *help;
};

/* In the order of help; groups begin at rows with a title. */
struct option_group {
    const char *title;
    const struct option_row *rows;
    size_t count;
};
extern const struct option_group option_groups[];
extern const size_t option_group_count;

enum { OPTION_MAX = 64 };

struct process_config {
    uint64_t workers; /* 0: one per core */
    uint64_t pool, backlog;
    weir_dur grace;
    const char *access_log, *error_log; /* a path, "-" (stdout, stderr) or "off" */
};

/* What was given on the command line. Texts point into argv. */
struct settings {
    struct process_config process;
    struct weir_service service; /* only what was given counts */
    bool given[OPTION_MAX];      /* by option_number */
};

/* The defaults of the process; of a service nothing is given yet. */
void settings_init(struct settings *s);

/* The option of that name, or NULL. */
const struct option_row *option_find(weir_str name);

/* Its number, from 0, in the order of help. */
size_t option_number(const struct option_row *row);

/* Reads `value` (NULL for a flag) into its place. NULL, or a static sentence that says what is
 * wrong with it and what would be right. */
const char *option_set(const struct option_row *row, struct settings *s, const char *value);

/* Options over fields over defaults. What is computed stays 0. */
void settings_apply(const struct settings *s, struct weir_service *service);

/* The next field with a value that cannot be (negative, too large, off where that makes no sense),
 * by its name, and why; NULL if there is none. `*at` is 0 for the first. */
const char *settings_fault(const struct weir_service *service, size_t *at, const char **why);

#endif
