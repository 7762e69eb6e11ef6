/* usage.c -- the texts of --help, --version and docs/options.md, all printed from the tables. */
#include <stdio.h>
#include <stdlib.h>

#include "server/cmdline.h"

enum { LEFT = 26, WIDTH = 96 }; /* columns: of the names, of all */

/* One entry: the names on the left, the words on the right, wrapped between words. */
static void entry(FILE *out, const char *left, const char *words)
{
    int at = fprintf(out, "  %s", left);

    if (at >= LEFT) {
        fputc('\n', out);
        at = 0;
    }
    at += fprintf(out, "%*s", LEFT - at, "");
    for (bool first = true; *words != '\0'; first = false) {
        size_t n = strcspn(words, " ");

        if (!first && at + 1 + (int)n > WIDTH)
            at = fprintf(out, "\n%*s", LEFT, "") - 1;
        else if (!first)
            at += fprintf(out, " ");
        at += fprintf(out, "%.*s", (int)n, words);
        words += n + (words[n] == ' ');
    }
    fputc('\n', out);
}

static const char *shown_default(const struct option_row *row)
{
    if (row->fallback == NULL || strcmp(row->fallback, "-") == 0)
        return NULL;
    return row->fallback;
}

static void option_entry(FILE *out, const struct option_row *row)
{
    const char *fallback = shown_default(row);
    char left[80], words[400];

    snprintf(left, sizeof(left), "--%s%s%s", row->name, row->value != NULL ? " " : "",
             row->value != NULL ? row->value : "");
    snprintf(words, sizeof(words), "%s%s%s%s", row->help, fallback != NULL ? " [" : "",
             fallback != NULL ? fallback : "", fallback != NULL ? "]" : "");
    entry(out, left, words);
}

static void own_entry(FILE *out, const struct weir_option *o)
{
    char left[80];

    if (o->help == NULL)
        return;
    snprintf(left, sizeof(left), "%s%s%s%s", o->name != NULL ? "--" : "",
             o->name != NULL ? o->name : "", o->name != NULL && o->value != NULL ? " " : "",
             o->value != NULL ? o->value : "");
    entry(out, left, o->help);
}

static void help(FILE *out, const struct cmdline *c)
{
    if (c->usage != NULL)
        fprintf(out, "usage: %s\n\n", c->usage);
    else
        fprintf(out, "usage: %s [OPTION]...\n\n", c->program);
    for (size_t i = 0; c->own != NULL && (c->own[i].name != NULL || c->own[i].set != NULL); i++)
        own_entry(out, &c->own[i]);
    entry(out, "-t, --test",
          "only checks the configuration: looks names up, loads certificates, binds nothing; "
          "prints every error");
    entry(out, "-h, --help", "this text");
    entry(out, "-v, --version", "the version, the commit it was built from, and that of OpenSSL");
    for (size_t g = 0; g < option_group_count; g++) {
        fprintf(out, "\n%s:\n", option_groups[g].title);
        for (size_t i = 0; i < option_groups[g].count; i++)
            option_entry(out, &option_groups[g].rows[i]);
    }
    fprintf(out, "\nSIGTERM drains and ends, a second one or SIGINT ends at once, SIGUSR1 reopens "
                 "the log files.\n");
}

static void cell(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        fprintf(out, *text == '|' ? "\\|" : "%c", *text);
}

static void markdown_row(FILE *out, const struct option_row *row)
{
    fprintf(out, "| `--%s", row->name);
    if (row->value != NULL) {
        fputc(' ', out);
        cell(out, row->value);
    }
    fprintf(out, "` | %s | ", row->fallback != NULL ? row->fallback : "");
    cell(out, row->help);
    fprintf(out, " | %s%s%s |\n", row->field != NULL ? "`" : "",
            row->field != NULL ? row->field : "", row->field != NULL ? "`" : "");
}

static void markdown(FILE *out)
{
    fprintf(out, "# Options\n\n"
                 "Every program made with Weir understands these, as `--name VALUE` or "
                 "`--name=VALUE`; `--` ends the\noptions. A given option wins over the field of a "
                 "service (`struct weir_service`), and that over the\ndefault. A number of seconds "
                 "needs its unit; zero is refused, `off` says what is meant. Wrong usage\nis "
                 "reported by name and ends with exit code 2. Of an option that is given more than "
                 "once the last one\ncounts, with a warning, unless it may be repeated.\n\n"
                 "`-t` (`--test`) only checks the configuration: names are looked up and "
                 "certificates loaded, nothing\nis bound. It prints `configuration ok`, or every "
                 "error, and then ends with exit code 1.\n\n"
                 "`weir proxy` listens on 127.0.0.1:8080 unless `--listen` is given.\n\n"
                 "This page is printed from the table in `src/server/options.c` by `weir proxy "
                 "--help-markdown`; a\nunit test compares them.\n");
    for (size_t g = 0; g < option_group_count; g++) {
        fprintf(out, "\n## %s\n\n| option | default | meaning | field |\n|---|---|---|---|\n",
                option_groups[g].title);
        for (size_t i = 0; i < option_groups[g].count; i++)
            markdown_row(out, &option_groups[g].rows[i]);
    }
}

char *usage_text(const struct cmdline *c)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return NULL;
    if (c->action == ACTION_VERSION)
        fprintf(out, "%s%s %s\n", c->program, strcmp(c->program, "weir") == 0 ? "" : ": weir",
                weir_version());
    else if (c->action == ACTION_MARKDOWN)
        markdown(out);
    else
        help(out, c);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
