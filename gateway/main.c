/* main.c -- `weir COMMAND`: finds the command, or tells which there are. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <weir/weir.h>

#include "weir.h"

static int help_run(const struct command *self, int argc, char **argv);

static const struct command commands[] = {
    {
        .name = "proxy",
        .usage = "weir proxy [OPTION]... UPSTREAM...",
        .help = "passes requests on to its upstreams, in turn",
        .run = proxy_run,
    },
    {
        .name = "demo",
        .usage = "weir demo [--for SECONDS] [OPTION]...",
        .help = "a balancer, its load, and origins that die: see it survive",
        .run = demo_run,
    },
    {
        .name = "demo-origin",
        .usage = "weir demo-origin --listen ADDR --index N --parent PID",
        .run = demo_origin_run,
    },
    {
        .name = "help",
        .usage = "weir help [COMMAND]",
        .help = "this text, or that of a command",
        .run = help_run,
    },
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]), FAILED = 1, USAGE = 2 };

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    }
    return NULL;
}

static void print_commands(FILE *out)
{
    fputs("usage: weir COMMAND [OPTION]...\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++) {
        if (commands[i].help != NULL)
            fprintf(out, "  %-20s%s\n", commands[i].name, commands[i].help);
    }
    fputs("  --help              this text\n"
          "  --version           the version, the commit it was built from, and that of OpenSSL\n\n"
          "`weir help COMMAND` tells the options of a command.\n",
          out);
}

static int unknown(const char *name)
{
    const char *names[COMMANDS + 1] = { NULL }, *near;

    for (size_t i = 0, n = 0; i < COMMANDS; i++) {
        if (commands[i].help != NULL)
            names[n++] = commands[i].name;
    }
    near = weir_nearest(name, names);
    if (near != NULL)
        fprintf(stderr, "weir: unknown command %s; did you mean %s?\n", name, near);
    else
        fprintf(stderr, "weir: unknown command %s; `weir help` lists them\n", name);
    return USAGE;
}

static int surplus(const char *word, const char *after)
{
    fprintf(stderr, "weir: \"%.100s\": nothing may follow %s\n", word, after);
    return USAGE;
}

static int printed(void)
{
    return fflush(stdout) == 0 ? 0 : FAILED;
}

static int help_run(const struct command *self, int argc, char **argv)
{
    const struct command *asked = argc > 1 ? find(argv[1]) : NULL;
    char *args[] = { argv[0], "--help", NULL };

    if (argc > 1 && asked == NULL)
        return unknown(argv[1]);
    if (argc > 2)
        return surplus(argv[2], "help COMMAND");
    if (asked == NULL || asked == self) {
        print_commands(stdout);
        return printed();
    }
    return asked->run(asked, 2, args);
}

static bool is_option(const char *word, const char *name, const char *letter)
{
    return strcmp(word, name) == 0 || strcmp(word, letter) == 0;
}

int main(int argc, char **argv)
{
    const struct command *command;
    bool help, version;

    if (argc < 2) {
        print_commands(stderr);
        return USAGE;
    }
    help = is_option(argv[1], "--help", "-h");
    version = is_option(argv[1], "--version", "-v");
    if (argc > 2 && (help || version))
        return surplus(argv[2], argv[1]);
    if (help) {
        print_commands(stdout);
        return printed();
    }
    if (version) {
        printf("weir %s\n", weir_version());
        return printed();
    }
    command = find(argv[1]);
    if (command == NULL)
        return unknown(argv[1]);
    argv[1] = argv[0]; /* so that the command's errors begin with the program's name */
    return command->run(command, argc - 1, argv + 1);
}
