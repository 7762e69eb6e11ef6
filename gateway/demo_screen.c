/* demo_screen.c -- what the demo tells: on a terminal one line that lives, elsewhere a line a
 * second. Colours are for terminals, and for people who want them (NO_COLOR). */
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "demo.h"

#define DRAW_EVERY (100 * WEIR_MS)
#define LINE_EVERY (1 * WEIR_SEC)
#define RATE_EVERY (500 * WEIR_MS)

enum { PIECES = 4 + DEMO_ORIGINS, PIECE = 48, PLAIN_WIDTH = 1000 };

enum paint { NONE, BOLD, DIM, GREEN, RED };
static const char *const paints[] = {
    [NONE] = "", [BOLD] = "\33[1m", [DIM] = "\33[2m", [GREEN] = "\33[32m", [RED] = "\33[1;31m",
};

/* A word of the line. Of a narrow terminal those with the highest rank are left out first. */
struct piece {
    char text[PIECE];
    enum paint paint;
    unsigned rank;
};

struct line {
    struct piece pieces[PIECES];
    unsigned count;
};

void demo_screen_init(struct demo_screen *s, FILE *out, int64_t now)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    bool terminal = isatty(fileno(out));

    *s = (struct demo_screen){ .out = out, .start = now, .drawn_at = now, .rate_at = now };
    s->live = terminal && (term == NULL || strcmp(term, "dumb") != 0);
    s->colour = s->live && (no_color == NULL || no_color[0] == '\0');
}

static unsigned width(const struct demo_screen *s)
{
    struct winsize size;

    if (!s->live)
        return PLAIN_WIDTH;
    if (ioctl(fileno(s->out), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

static void paint(const struct demo_screen *s, enum paint p, const char *text)
{
    bool painted = s->colour && p != NONE;

    fprintf(s->out, "%s%s%s", painted ? paints[p] : "", text, painted ? "\33[0m" : "");
}

/* ---- the line -------------------------------------------------------------------------------- */

__attribute__((format(printf, 4, 5))) static void add(struct line *l, enum paint paint,
                                                      unsigned rank, const char *fmt, ...)
{
    struct piece *p = &l->pieces[l->count++];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->text, sizeof(p->text), fmt, ap);
    va_end(ap);
    p->paint = paint;
    p->rank = rank;
}

static double reuse(const struct demo_counts *c)
{
    uint64_t all = c->opened + c->reused;

    return all > 0 ? 100.0 * (double)c->reused / (double)all : 0;
}

static uint64_t requests(const struct demo_tally *t)
{
    return t->answered[DEMO_PLAIN] + t->answered[DEMO_TLS] + t->failed;
}

static void make_line(struct line *l, const struct demo_screen *s, const struct demo_view *v,
                      int64_t now)
{
    enum { BACKENDS = 3 };

    l->count = 0;
    add(l, DIM, 9, "%llds", (long long)((now - s->start) / WEIR_SEC));
    add(l, BOLD, 0, "%llu requests", (unsigned long long)requests(v->tally));
    add(l, v->tally->failed > 0 ? RED : GREEN, 1, "%llu failed",
        (unsigned long long)v->tally->failed);
    add(l, NONE, 8, "reuse %.1f%%", reuse(v->counts));
    for (unsigned i = 0; i < DEMO_ORIGINS; i++)
        add(l, v->counts->up[i] ? GREEN : RED, BACKENDS + i, "%u %-4s%4u/s", i + 1,
            v->counts->up[i] ? "up" : "DOWN", s->rate[i]);
}

/* Leaves pieces out until the rest fits, two blanks between them. */
static void fit(struct line *l, unsigned columns)
{
    for (;;) {
        unsigned used = 0, worst = 0;

        for (unsigned i = 0; i < l->count; i++) {
            used += (unsigned)strlen(l->pieces[i].text) + 2;
            if (l->pieces[i].rank > l->pieces[worst].rank)
                worst = i;
        }
        if (used <= columns + 2 || l->count <= 1)
            return;
        l->count--;
        memmove(&l->pieces[worst], &l->pieces[worst + 1],
                (l->count - worst) * sizeof(struct piece));
    }
}

static void measure_rates(struct demo_screen *s, const struct demo_view *v, int64_t now)
{
    double seconds = (double)(now - s->rate_at) / (double)WEIR_SEC;

    if (now - s->rate_at < RATE_EVERY)
        return;
    for (unsigned i = 0; i < DEMO_ORIGINS; i++) {
        uint64_t served = atomic_load(&v->origins->page->origins[i].served);

        s->rate[i] = (unsigned)((double)(served - s->served[i]) / seconds + 0.5);
        s->served[i] = served;
    }
    s->rate_at = now;
}

int64_t demo_screen_due(const struct demo_screen *s)
{
    return s->drawn_at + (s->live ? DRAW_EVERY : LINE_EVERY);
}

void demo_screen_draw(struct demo_screen *s, const struct demo_view *v, int64_t now)
{
    struct line line;

    measure_rates(s, v, now);
    make_line(&line, s, v, now);
    fit(&line, width(s) - 1); /* a full line would make some terminals scroll */
    if (s->live)
        fputs("\r", s->out);
    for (unsigned i = 0; i < line.count; i++) {
        if (i > 0)
            fputs("  ", s->out);
        paint(s, line.pieces[i].paint, line.pieces[i].text);
    }
    fputs(s->live ? "\33[K" : "\n", s->out);
    fflush(s->out);
    s->drawn_at = now;
}

/* ---- before and after ------------------------------------------------------------------------ */

void demo_screen_explain(struct demo_screen *s, const struct demo_view *v)
{
    const char *plain = demo_balancer_addr(v->balancer, DEMO_PLAIN);
    const char *tls = demo_balancer_addr(v->balancer, DEMO_TLS);

    paint(s, BOLD, "A load balancer in front of three origins, one of which is killed every ");
    fprintf(s->out, "%d seconds.\n\n", (int)(DEMO_KILL_EVERY / WEIR_SEC));
    fprintf(s->out, "  client     %d requests a second, half of them over TLS\n", DEMO_RATE);
    fprintf(s->out, "  balancer   http://%s/ and https://%s/\n", plain, tls);
    for (unsigned i = 0; i < DEMO_ORIGINS; i++)
        fprintf(s->out, "  origin %u   http://%s/\n", i + 1, v->origins->list[i].addr);
    fprintf(s->out, "\nAsk it yourself, as often as you like:\n\n  curl http://%s/\n", plain);
    fprintf(s->out, "  curl -k https://%s/\n", tls);
    fputs("\nBelow: requests so far; those that failed; the share that went to an origin over a\n"
          "connection that was there already; each origin as the balancer sees it, and how many\n"
          "requests a second it answers.",
          s->out);
    if (v->length == WEIR_FOREVER)
        fputs(" Ctrl-C ends it.\n\n", s->out);
    else
        fprintf(s->out, " It ends after %g seconds, or with Ctrl-C.\n\n",
                (double)v->length / (double)WEIR_SEC);
    fflush(s->out);
}

static double ms(int64_t ns)
{
    return (double)ns / (double)WEIR_MS;
}

static void tell_origins(struct demo_screen *s, const struct demo_view *v)
{
    unsigned kills = 0, busy = 0;

    for (unsigned i = 0; i < DEMO_ORIGINS; i++) {
        kills += v->origins->list[i].kills;
        busy += v->origins->list[i].kills_busy;
    }
    fprintf(s->out, "  origins    %u killed, %u of them in the middle of an answer\n", kills, busy);
    fprintf(s->out, "             answers:");
    for (unsigned i = 0; i < DEMO_ORIGINS; i++)
        fprintf(s->out, " %lu by %u%s", atomic_load(&v->origins->page->origins[i].served), i + 1,
                i + 1 < DEMO_ORIGINS ? "," : "\n");
}

void demo_screen_summary(struct demo_screen *s, const struct demo_view *v, int64_t now)
{
    const struct demo_tally *t = v->tally;
    const struct demo_counts *c = v->counts;

    if (s->live)
        fputs("\r\33[K", s->out);
    else
        fputs("\n", s->out);
    fprintf(s->out, "%.1f seconds: ", (double)(now - s->start) / (double)WEIR_SEC);
    fprintf(s->out, "%llu requests, ", (unsigned long long)requests(t));
    fprintf(s->out, "%s%llu failed%s\n", !s->colour ? "" : paints[t->failed > 0 ? RED : GREEN],
            (unsigned long long)t->failed, s->colour ? "\33[0m" : "");
    fprintf(s->out, "  client     %llu answers over plain HTTP, %llu over TLS\n",
            (unsigned long long)t->answered[DEMO_PLAIN], (unsigned long long)t->answered[DEMO_TLS]);
    fprintf(s->out,
            "             %llu connections, and %llu over TLS, of which %llu were resumed\n",
            (unsigned long long)t->connects[DEMO_PLAIN], (unsigned long long)t->connects[DEMO_TLS],
            (unsigned long long)t->resumed);
    fprintf(s->out, "             median %.1f ms, 99 %% within %.1f ms, slowest %.1f ms\n",
            ms(t->median), ms(t->most), ms(t->slowest));
    tell_origins(s, v);
    fprintf(s->out, "  balancer   %llu connections made, used again %llu times (%.1f %%)\n",
            (unsigned long long)c->opened, (unsigned long long)c->reused, reuse(c));
    fprintf(s->out,
            "             %llu requests sent again: %llu found nobody, %llu lost their origin\n",
            (unsigned long long)(c->refused + c->cut), (unsigned long long)c->refused,
            (unsigned long long)c->cut);
    for (unsigned i = 0; i < DEMO_REASONS && t->reasons[i][0] != '\0'; i++)
        fprintf(s->out, "  failed     %s\n", t->reasons[i]);
    if (t->failed > 0)
        demo_balancer_print_errors(v->balancer, s->out);
    fflush(s->out);
}
