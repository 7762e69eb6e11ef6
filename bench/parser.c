/* parser.c -- what the parser of heads takes, for each kind of pass, over 512 different heads.
 *
 * The heads are made from a seed and look like those of browsers, of programs that call an API, and
 * of a network in front of us. Scan and parse of one after the other are measured, each with a
 * fresh arena, so that the processor cannot learn one of them by heart. Rounds are interleaved and
 * rotated; a figure is the median of the ratios of a round, with its 95 % bootstrap interval. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/random.h"
#include "codec/h1_parse.h"

enum { HEADS = 512, HEAD_MAX = 4096, ROUNDS = 31, PASSES = 16, RESAMPLES = 4000 };

static const struct h1_limits limits = {
    .max_head = 32768, .max_field = 16384, .max_target = 8192, .max_fields = 100
};

static struct {
    char text[HEAD_MAX + H1_PAD];
    size_t len;
} heads[HEADS];

static void put(size_t i, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(size_t i, const char *format, ...)
{
    size_t room = HEAD_MAX - heads[i].len;
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(heads[i].text + heads[i].len, room, format, ap);
    va_end(ap);
    ensure(n >= 0 && (size_t)n < room);
    heads[i].len += (size_t)n;
}

#define PICK(r, list) (list)[random_below((r), ARRAY_LEN(list))]

/* `count` letters and digits, new each time until the next call but three. */
static const char *word(struct random *r, size_t least, size_t most)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    static char texts[4][512];
    static unsigned next;
    char *text = texts[next++ % ARRAY_LEN(texts)];
    size_t count = least + random_below(r, most - least + 1);

    for (size_t i = 0; i < count; i++)
        text[i] = letters[random_below(r, sizeof(letters) - 1)];
    text[count] = '\0';
    return text;
}

static bool chance(struct random *r, unsigned percent)
{
    return random_below(r, 100) < percent;
}

static void put_target(size_t i, struct random *r)
{
    static const char *const folders[] = {
        "static", "assets/js", "img", "api/v2", "u", "blog/2026"
    };
    static const char *const ends[] = { ".js", ".css", ".png", ".webp", "", "", "/", ".html" };

    put(i, "/%s/%s%s", PICK(r, folders), word(r, 3, 40), PICK(r, ends));
    if (chance(r, 40))
        put(i, "?%s=%s", word(r, 1, 8), word(r, 1, 30));
    for (size_t n = random_below(r, 4); n > 0; n--)
        put(i, "%c%s=%s%s", '&', word(r, 1, 10), word(r, 1, 12), chance(r, 20) ? "%20x" : "");
}

static void put_cookies(size_t i, struct random *r)
{
    put(i, "Cookie: ");
    for (size_t n = 1 + random_below(r, 5); n > 0; n--)
        put(i, "%s=%s%s", word(r, 3, 12), word(r, 8, 60), n > 1 ? "; " : "");
    put(i, "\r\n");
}

static void make_browser_head(size_t i, struct random *r)
{
    static const char *const agents[] = {
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/131.0.0.0 Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/18.1 Safari/605.1.15",
    };
    static const char *const accepts[] = {
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        "*/*",
        "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
        "text/css,*/*;q=0.1",
    };
    static const char *const modes[] = { "navigate", "cors", "no-cors" };
    static const char *const sites[] = { "same-origin", "cross-site", "none" };

    put(i, "GET ");
    put_target(i, r);
    put(i, " HTTP/1.1\r\nHost: www.%s.example\r\n", word(r, 4, 14));
    if (chance(r, 70))
        put(i, "Connection: keep-alive\r\n");
    if (chance(r, 50))
        put(i, "sec-ch-ua: \"Chromium\";v=\"131\", \"Not_A Brand\";v=\"24\"\r\n"
               "sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n");
    if (chance(r, 40))
        put(i, "Upgrade-Insecure-Requests: 1\r\n");
    put(i, "User-Agent: %s\r\nAccept: %s\r\n", PICK(r, agents), PICK(r, accepts));
    put(i, "Sec-Fetch-Site: %s\r\nSec-Fetch-Mode: %s\r\nSec-Fetch-Dest: empty\r\n", PICK(r, sites),
        PICK(r, modes));
    if (chance(r, 80))
        put(i, "Referer: https://www.%s.example/%s\r\n", word(r, 4, 14), word(r, 0, 50));
    put(i, "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n");
    if (chance(r, 70))
        put_cookies(i, r);
    if (chance(r, 30))
        put(i, "If-None-Match: \"%s\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            word(r, 10, 30));
    if (chance(r, 20))
        put(i, "Cache-Control: max-age=0\r\n");
}

static void make_program_head(size_t i, struct random *r)
{
    static const char *const methods[] = { "GET", "GET", "POST", "PUT", "DELETE", "PATCH" };
    static const char *const agents[] = { "curl/8.11.0", "Go-http-client/1.1", "okhttp/4.12.0",
                                          "python-requests/2.32.3", "axios/1.7.7" };
    const char *method = PICK(r, methods);

    put(i, "%s ", method);
    put_target(i, r);
    put(i,
        " HTTP/1.1\r\nHost: api.%s.example:8443\r\nUser-Agent: %s\r\nAccept: application/json\r\n",
        word(r, 4, 14), PICK(r, agents));
    if (chance(r, 80))
        put(i, "Authorization: Bearer %s.%s.%s\r\n", word(r, 30, 40), word(r, 80, 200),
            word(r, 40, 44));
    if (*method == 'P')
        put(i, "Content-Type: application/json\r\nContent-Length: %u\r\n",
            (unsigned)random_below(r, 100000));
    if (chance(r, 50))
        put(i, "X-Request-Id: %s\r\n", word(r, 36, 36));
    if (chance(r, 40))
        put(i, "Accept-Encoding: gzip\r\n");
    if (chance(r, 30))
        put(i, "Idempotency-Key: %s\r\n", word(r, 32, 32));
}

static void make_network_head(size_t i, struct random *r)
{
    make_browser_head(i, r);
    put(i, "X-Forwarded-For: 192.0.2.%u, 198.51.100.%u\r\nX-Forwarded-Proto: https\r\n",
        (unsigned)random_below(r, 256), (unsigned)random_below(r, 256));
    put(i, "X-Real-IP: 192.0.2.%u\r\nVia: 2 edge-%s\r\n", (unsigned)random_below(r, 256),
        word(r, 5, 10));
    if (chance(r, 60))
        put(i, "traceparent: 00-%s-%s-01\r\n", word(r, 32, 32), word(r, 16, 16));
    if (chance(r, 50))
        put(i, "CDN-Loop: %s\r\nX-Country: DE\r\n", word(r, 5, 12));
    if (chance(r, 50))
        put(i, "X-Edge-Ray: %s\r\nX-Edge-Connecting-IP: 2001:db8::%x\r\n", word(r, 20, 20),
            (unsigned)random_below(r, 65536));
}

static void make_heads(void)
{
    static void (*const makers[])(size_t, struct random *) = { make_browser_head, make_program_head,
                                                               make_network_head };
    struct random r;

    random_seed(&r, 512);
    for (size_t i = 0; i < HEADS; i++) {
        makers[random_below(&r, ARRAY_LEN(makers))](i, &r);
        put(i, "\r\n");
    }
}

/* Scans and parses all heads; returns how many fields they have. */
static size_t parse_all(void)
{
    static char memory[1 << 14];
    size_t fields = 0;

    for (size_t i = 0; i < HEADS; i++) {
        struct h1_fault fault;
        struct weir_head head;
        struct h1_scan scan;
        struct arena arena;

        arena_init(&arena, memory, sizeof(memory));
        head_init(&head, &arena, 0);
        h1_scan_init(&scan);
        ensure(h1_scan(&scan, heads[i].text, heads[i].len) == 1);
        ensure(h1_parse_request(heads[i].text, &scan, &limits, &head, &fault) == 0);
        fields += head.count;
        arena_done(&arena);
    }
    return fields;
}

/* Of the processor: what others do on the machine counts less that way. */
static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const double *values, size_t n)
{
    double sorted[RESAMPLES];

    memcpy(sorted, values, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), compare);
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

/* The middle 95 % of the medians of samples drawn from `values`. */
static void bootstrap(const double *values, size_t n, double *low, double *high)
{
    static double medians[RESAMPLES];
    double sample[ROUNDS];
    struct random r;

    random_seed(&r, 95);
    for (size_t i = 0; i < RESAMPLES; i++) {
        for (size_t j = 0; j < n; j++)
            sample[j] = values[random_below(&r, n)];
        medians[i] = median(sample, n);
    }
    qsort(medians, RESAMPLES, sizeof(*medians), compare);
    *low = medians[RESAMPLES * 25 / 1000];
    *high = medians[RESAMPLES * 975 / 1000];
}

static double measure(enum h1_kind kind)
{
    double start;

    ensure(h1_use(kind));
    parse_all();
    start = seconds();
    for (unsigned i = 0; i < PASSES; i++)
        parse_all();
    return (seconds() - start) / (HEADS * PASSES) * 1e9;
}

int main(void)
{
    static const struct {
        const char *name;
        double bound; /* of the ratio to the portable one; 0: none */
    } kinds[H1_KINDS] = {
        [H1_PORTABLE] = { "portable", 0 },
        [H1_SSE42] = { "SSE4.2", 0.60 },
        [H1_AVX2] = { "AVX2", 0.45 },
    };
    static double taken[H1_KINDS][ROUNDS];
    size_t bytes = 0, fields;
    bool reached = true;

    make_heads();
    for (size_t i = 0; i < HEADS; i++)
        bytes += heads[i].len;
    fields = parse_all();
    printf("parser: %d heads, %zu bytes and %.1f fields each; %d interleaved rounds\n", HEADS,
           bytes / HEADS, (double)fields / HEADS, ROUNDS);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned k = 0; k < H1_KINDS; k++) {
            unsigned kind = (round + k) % H1_KINDS;

            if (h1_use((enum h1_kind)kind))
                taken[kind][round] = measure((enum h1_kind)kind);
        }
    }
    printf("%-10s %8s %8s  %s\n", "", "ns/head", "x port.", "95 %");
    for (int kind = 0; kind < H1_KINDS; kind++) {
        double ratios[ROUNDS], low, high;

        if (!h1_use((enum h1_kind)kind)) {
            printf("%-10s not on this machine\n", kinds[kind].name);
            continue;
        }
        for (unsigned i = 0; i < ROUNDS; i++)
            ratios[i] = taken[kind][i] / taken[H1_PORTABLE][i];
        bootstrap(ratios, ROUNDS, &low, &high);
        printf("%-10s %8.1f %8.3f  %.3f to %.3f", kinds[kind].name, median(taken[kind], ROUNDS),
               median(ratios, ROUNDS), low, high);
        if (kinds[kind].bound > 0) {
            bool good = median(ratios, ROUNDS) <= kinds[kind].bound || low <= kinds[kind].bound;

            printf("  at most %.2f: %s", kinds[kind].bound, good ? "reached" : "MISSED");
            reached &= good;
        }
        printf("\n");
    }
    return reached ? 0 : 1;
}
