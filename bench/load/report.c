/* report.c -- counting failures, and the result as JSON. */
#include "load/load.h"

#include "common/tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const failure_names[] = {
    [FAIL_CONNECT] = "connect", [FAIL_CLOSED] = "closed",   [FAIL_RESET] = "reset",
    [FAIL_STATUS] = "status",   [FAIL_FRAMING] = "framing", [FAIL_LENGTH] = "length",
    [FAIL_TIMEOUT] = "timeout", [FAIL_UNSENT] = "unsent",
};
_Static_assert(ARRAY_LEN(failure_names) == FAIL_KINDS, "every failure has a name");

void tally_fail(struct load *l, struct class *class, enum failure kind, const char *format, ...)
{
    va_list args;

    if (l->tally.failures++ == 0) {
        va_start(args, format);
        vsnprintf(l->tally.first, sizeof(l->tally.first), format, args);
        va_end(args);
    }
    l->tally.by_kind[kind]++;
    if (class)
        class->failed++;
}

void tally_reset(struct load *l)
{
    struct tally *t = &l->tally;

    t->begin = t->last = clock_ns();
    t->done = t->opened = t->closed_by_peer = t->resumed = t->body_in = t->late = 0;
    for (unsigned i = 0; i < l->options->class_count; i++)
        memset(&l->options->classes[i].hist, 0, sizeof(struct hist));
}

/* Quotes and backslashes are escaped, all else that JSON does not like becomes '?'. */
static void print_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < 0x20 ? '?' : *text);
    }
    putchar('"');
}

static double us(uint64_t ns)
{
    return (double)ns / NS_PER_US;
}

static void print_class(const struct class *c)
{
    const struct hist *h = &c->hist;

    fputs("{\"name\":", stdout);
    print_text(c->name);
    printf(",\"requests\":%ju,\"failed\":%ju,\"mean_us\":%.1f,\"p50_us\":%.1f,\"p90_us\":%.1f,"
           "\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f}",
           (uintmax_t)h->count, (uintmax_t)c->failed, h->count ? us(h->sum / h->count) : 0,
           us(hist_at(h, 0.5)), us(hist_at(h, 0.9)), us(hist_at(h, 0.99)), us(hist_at(h, 0.999)),
           us(h->max));
}

static void print_failures(const struct tally *t)
{
    printf("\"failures\":%ju,\"failure_kinds\":{", (uintmax_t)t->failures);
    for (unsigned i = 0, printed = 0; i < FAIL_KINDS; i++)
        if (t->by_kind[i])
            printf("%s\"%s\":%ju", printed++ ? "," : "", failure_names[i],
                   (uintmax_t)t->by_kind[i]);
    fputs("},\"first_failure\":", stdout);
    print_text(t->first);
}

static uint64_t count_open(const struct load *l)
{
    uint64_t open = 0;

    for (uint64_t i = 0; i < l->options->connections; i++)
        open += l->conns[i].state != CONN_CLOSED;
    return open;
}

void report(const struct load *l)
{
    const struct options *o = l->options;
    const struct tally *t = &l->tally;
    double seconds = (double)(t->last - t->begin) / NS_PER_SEC;

    fputs("{\"target\":", stdout);
    print_text(o->target);
    printf(",\"connections\":%ju,\"rate_asked\":%ju,\"seed\":%ju,", (uintmax_t)o->connections,
           (uintmax_t)o->rate, (uintmax_t)o->seed);
    printf("\"seconds\":%.6f,\"requests\":%ju,\"rate\":%.1f,\"body_in\":%ju,", seconds,
           (uintmax_t)t->done, seconds > 0 ? (double)t->done / seconds : 0, (uintmax_t)t->body_in);
    printf("\"opened\":%ju,\"open\":%ju,\"closed_by_peer\":%ju,\"late_us\":%.1f,",
           (uintmax_t)t->opened, (uintmax_t)count_open(l), (uintmax_t)t->closed_by_peer,
           us(t->late));
    printf("\"resumed\":%ju,\"tls\":", (uintmax_t)t->resumed);
    print_text(t->tls);
    putchar(',');
    print_failures(t);
    fputs(",\"classes\":[", stdout);
    for (unsigned i = 0; i < o->class_count; i++) {
        if (i > 0)
            putchar(',');
        print_class(&o->classes[i]);
    }
    puts("]}");
    fflush(stdout);
}
