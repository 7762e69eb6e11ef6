/* cmdline.c -- `--name VALUE`, `--name=VALUE`, `--flag`, operands, and `--` before operands that
 * look like options. Names are not shortened: an abbreviation breaks when an option is added. */
#include "server/cmdline.h"

#include <stdio.h>

/* What an option of either table needs while it is read. */
struct known {
    const struct option_row *row; /* one of these two */
    const struct weir_option *own;
    const char *name, *value;
};

struct reader {
    struct cmdline *c;
    char **argv;
    int argc, at;
    void *state;
    bool seen[OWN_OPTIONS_MAX];
};

#define complain(r, ...) faults_add(&(r)->c->faults, __VA_ARGS__)

/* The table of own options ends with a row that has neither name nor set. */
static bool is_end(const struct weir_option *o)
{
    return o->name == NULL && o->set == NULL;
}

static size_t own_count(const struct cmdline *c)
{
    size_t n = 0;

    while (c->own != NULL && n < OWN_OPTIONS_MAX && !is_end(&c->own[n]))
        n++;
    return n;
}

/* The own option of that name; an absent one asks for the row of operands. */
static const struct weir_option *own_find(const struct cmdline *c, weir_str name)
{
    for (size_t i = 0; i < own_count(c); i++) {
        const struct weir_option *o = &c->own[i];

        if (o->name == NULL ? name.ptr == NULL : name.ptr != NULL && weir_eq(name, o->name))
            return o;
    }
    return NULL;
}

static bool find(const struct cmdline *c, weir_str name, struct known *out)
{
    const struct weir_option *own = own_find(c, name);
    const struct option_row *row = own == NULL ? option_find(name) : NULL;

    if (own != NULL)
        *out = (struct known){ .own = own, .name = own->name, .value = own->value };
    else if (row != NULL)
        *out = (struct known){ .row = row, .name = row->name, .value = row->value };
    return own != NULL || row != NULL;
}

static const char *nearest_option(const struct cmdline *c, const char *word)
{
    const char *names[OPTION_MAX + OWN_OPTIONS_MAX + 4] = { "help", "version", "test" };
    size_t n = 3;

    for (size_t i = 0; i < own_count(c); i++) {
        if (c->own[i].name != NULL)
            names[n++] = c->own[i].name;
    }
    for (size_t g = 0; g < option_group_count; g++) {
        for (size_t i = 0; i < option_groups[g].count; i++)
            names[n++] = option_groups[g].rows[i].name;
    }
    return weir_nearest(word, names);
}

/* What stands behind an unknown option may be its value or an operand: one error is enough. */
static void pass_over_value(struct reader *r)
{
    const struct weir_option *operands = own_find(r->c, (weir_str){ NULL, 0 });

    if (r->at == r->argc || r->argv[r->at][0] == '-')
        return;
    r->at++;
    if (operands != NULL)
        r->seen[operands - r->c->own] = true;
}

static void unknown(struct reader *r, const char *arg, weir_str name)
{
    char word[64];
    const char *near;

    if (strchr(arg, '=') == NULL)
        pass_over_value(r);
    snprintf(word, sizeof(word), WEIR_FMT, (int)MIN(name.len, sizeof(word)), name.ptr);
    near = nearest_option(r->c, word);
    if (near != NULL)
        complain(r, "unknown option %.100s; did you mean --%s?", arg, near);
    else
        complain(r, "unknown option %.100s; --help lists them", arg);
}

/* The last one counts, so that a script may add to what another has written; but nobody shall have
 * to wonder which. */
static void note_again(struct reader *r, const struct known *k)
{
    bool repeats = k->own != NULL ? k->own->repeats : k->row->kind == OPT_NETS;
    bool before =
        k->own != NULL ? r->seen[k->own - r->c->own] : r->c->settings.given[option_number(k->row)];

    if (before && !repeats && k->name != NULL && k->value != NULL)
        faults_add(&r->c->warnings, "--%s is given more than once: the last one counts", k->name);
}

static void set(struct reader *r, const struct known *k, const char *value)
{
    const char *why;

    note_again(r, k);
    if (k->own != NULL) {
        r->seen[k->own - r->c->own] = true;
        why = k->own->set != NULL ? k->own->set(r->state, value) : NULL;
    } else {
        why = option_set(k->row, &r->c->settings, value);
    }
    if (why != NULL && value != NULL)
        complain(r, "%s%s: \"%.300s\": %s", k->name != NULL ? "--" : "",
                 k->name != NULL ? k->name : k->value, value, why);
    else if (why != NULL)
        complain(r, "--%s: %s", k->name, why);
}

static void read_operand(struct reader *r, const char *arg)
{
    struct known k;

    if (find(r->c, (weir_str){ NULL, 0 }, &k))
        set(r, &k, arg);
    else
        complain(r, "\"%.100s\": there are no operands here, only options", arg);
}

static void read_long(struct reader *r, const char *arg)
{
    const char *equals = strchr(arg, '=');
    const char *value = equals != NULL ? equals + 1 : NULL;
    weir_str name = { arg + 2, equals != NULL ? (size_t)(equals - arg - 2) : strlen(arg + 2) };
    struct known k;

    if (!find(r->c, name, &k)) {
        unknown(r, arg, name);
        return;
    }
    if (k.value == NULL && value != NULL) {
        complain(r, "--%s: it takes no value", k.name);
        return;
    }
    if (k.value != NULL && value == NULL) {
        if (r->at == r->argc) {
            complain(r, "--%s: its value is missing (--%s %s)", k.name, k.name, k.value);
            return;
        }
        value = r->argv[r->at++];
    }
    set(r, &k, value);
}

/* --test takes effect at the end; the others end the reading. */
static bool read_action(struct reader *r, const char *arg)
{
    static const struct {
        const char *name;
        enum action action;
    } actions[] = {
        { "-t", ACTION_TEST },
        { "--test", ACTION_TEST },
        { "-h", ACTION_HELP },
        { "--help", ACTION_HELP },
        { "-v", ACTION_VERSION },
        { "--version", ACTION_VERSION },
        { "--help-markdown", ACTION_MARKDOWN }, /* makes docs/options.md */
    };

    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (strcmp(arg, actions[i].name) == 0) {
            r->c->action = actions[i].action;
            return true;
        }
    }
    return false;
}

static void check_needed(struct reader *r, const struct weir_option *o)
{
    const struct weir_option *other = own_find(r->c, WEIR(o->needs));

    ensure(other != NULL);
    if (!r->seen[other - r->c->own])
        complain(r, "--%s needs --%s%s%s", o->name, other->name, other->value != NULL ? " " : "",
                 other->value != NULL ? other->value : "");
}

static void check_required(struct reader *r)
{
    for (size_t i = 0; i < own_count(r->c); i++) {
        const struct weir_option *o = &r->c->own[i];

        if (o->required && !r->seen[i])
            complain(r, "%s%s is missing (usage: %s)", o->name != NULL ? "--" : "",
                     o->name != NULL ? o->name : o->value,
                     r->c->usage != NULL ? r->c->usage : r->c->program);
        if (o->needs != NULL && r->seen[i])
            check_needed(r, o);
    }
}

static const char *last_part(const char *path)
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;

    if (slash != NULL)
        return slash + 1;
    return path != NULL ? path : "weir";
}

void cmdline_read(struct cmdline *c, int argc, char **argv, const char *usage,
                  const struct weir_option *own, void *state)
{
    struct reader r = { .c = c, .argv = argv, .argc = argc, .at = 1, .state = state };
    bool operands = false;

    *c = (struct cmdline){ .program = last_part(argc > 0 ? argv[0] : NULL),
                           .usage = usage,
                           .own = own };
    settings_init(&c->settings);
    while (r.at < argc && c->action <= ACTION_TEST) {
        const char *arg = argv[r.at++];

        if (operands || arg[0] != '-' || arg[1] == '\0')
            read_operand(&r, arg);
        else if (strcmp(arg, "--") == 0)
            operands = true;
        else if (read_action(&r, arg))
            continue;
        else if (arg[1] == '-')
            read_long(&r, arg);
        else
            unknown(&r, arg, WEIR(arg + 1));
    }
    check_required(&r);
    if (c->action > ACTION_TEST)
        c->faults = (struct faults){ 0 };
}
