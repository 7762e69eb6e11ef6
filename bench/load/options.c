/* options.c -- see options.h. */
#include "load/options.h"

#include "common/fields.h"
#include "common/tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: load [options] ADDRESS        (loopback only: 127.x.y.z:PORT, [::1]:PORT, unix:PATH)\n"
    "  -c N              connections (64)\n"
    "  -n N, -t SPAN     how much: requests, time; the first to be reached ends the run\n"
    "  --busy N          at most N requests under way, on the connections in turn (all)\n"
    "  --rate N          open loop: N requests a second, whatever the answers do\n"
    "  --poisson         their distances random, not even\n"
    "  --close           a new connection for each request\n"
    "  --path PATH       what to get (/)\n"
    "  --post SIZE       send a body of that size\n"
    "  --length SIZE     the response's body must have this size\n"
    "  --class LIST      name=,weight=,path=,post=,length= instead; up to 8 times\n"
    "  --fields N        more request fields, as a browser sends\n"
    "  --header LINE     one more request field; may be repeated\n"
    "  --warmup SPAN     before the counted phase\n"
    "  --gate            after the warm-up print {\"ready\":true} and wait for a line on stdin;\n"
    "                    at the end keep the connections until stdin is closed\n"
    "  --hold WHAT       open the connections and hold them: idle, served, waiting\n"
    "  --attack WHAT     instead of requests: slow heads, bodies or readers, one a connection\n"
    "  --flood WHAT      or HTTP/2 frames: resets, pings, settings, empty, continuation, windows;\n"
    "                    -n bounds the connections, as who is cut comes back\n"
    "  --every SPAN      between two bytes of an attacker, two batches of a flood (500ms)\n"
    "  --tls             over TLS; the server's certificate is not verified\n"
    "  --tls-version V   only 1.2 or 1.3\n"
    "  --h2              HTTP/2: by ALPN over TLS, else by prior knowledge\n"
    "  --streams N       requests under way on each of its connections (1)\n"
    "  --resume          connections show the session they were given before\n"
    "  --timeout SPAN    of a request (10s)\n"
    "  --seed N          of all that is random (1)\n"
    "The result is one JSON object on stdout. Exit: 0 all well, 1 a request failed, 2 usage.";

enum {
    OPT_BUSY = 256,
    OPT_RATE,
    OPT_POISSON,
    OPT_CLOSE,
    OPT_PATH,
    OPT_POST,
    OPT_LENGTH,
    OPT_CLASS,
    OPT_FIELDS,
    OPT_HEADER,
    OPT_WARMUP,
    OPT_GATE,
    OPT_HOLD,
    OPT_TIMEOUT,
    OPT_SEED,
    OPT_ATTACK,
    OPT_FLOOD,
    OPT_EVERY,
    OPT_TLS,
    OPT_TLS_VERSION,
    OPT_RESUME,
    OPT_H2,
    OPT_STREAMS,
};

static const struct option long_options[] = {
    { "busy", required_argument, NULL, OPT_BUSY },
    { "rate", required_argument, NULL, OPT_RATE },
    { "poisson", no_argument, NULL, OPT_POISSON },
    { "close", no_argument, NULL, OPT_CLOSE },
    { "path", required_argument, NULL, OPT_PATH },
    { "post", required_argument, NULL, OPT_POST },
    { "length", required_argument, NULL, OPT_LENGTH },
    { "class", required_argument, NULL, OPT_CLASS },
    { "fields", required_argument, NULL, OPT_FIELDS },
    { "header", required_argument, NULL, OPT_HEADER },
    { "warmup", required_argument, NULL, OPT_WARMUP },
    { "gate", no_argument, NULL, OPT_GATE },
    { "hold", required_argument, NULL, OPT_HOLD },
    { "timeout", required_argument, NULL, OPT_TIMEOUT },
    { "seed", required_argument, NULL, OPT_SEED },
    { "attack", required_argument, NULL, OPT_ATTACK },
    { "flood", required_argument, NULL, OPT_FLOOD },
    { "every", required_argument, NULL, OPT_EVERY },
    { "tls", no_argument, NULL, OPT_TLS },
    { "tls-version", required_argument, NULL, OPT_TLS_VERSION },
    { "h2", no_argument, NULL, OPT_H2 },
    { "streams", required_argument, NULL, OPT_STREAMS },
    { "resume", no_argument, NULL, OPT_RESUME },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

/* What shapes every request and is only needed until they are printed. */
struct shape {
    uint64_t fields;
    FILE *headers; /* --header lines, one after the other */
    char *header_text;
    size_t header_len;
};

static const char *const hold_names[] = {
    [HOLD_IDLE] = "idle",
    [HOLD_SERVED] = "served",
    [HOLD_WAITING] = "waiting",
};

static const char *const attack_names[] = {
    [ATTACK_HEADS] = "heads",
    [ATTACK_BODIES] = "bodies",
    [ATTACK_READERS] = "readers",
};

static const char *const flood_names[] = {
    [FLOOD_RESETS] = "resets",
    [FLOOD_PINGS] = "pings",
    [FLOOD_SETTINGS] = "settings",
    [FLOOD_EMPTY] = "empty",
    [FLOOD_CONTINUATION] = "continuation",
    [FLOOD_WINDOWS] = "windows",
};

static const char *const version_names[] = { [TLS_1_2] = "1.2", [TLS_1_3] = "1.3" };

/* The index of a word among names from 1 on; 0 if it is none of them. */
static unsigned find_word(const char *text, const char *const *names, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    return 0;
}

static bool parse_length(const char *text, int64_t *out)
{
    uint64_t length;

    if (!parse_size(text, &length) || length > INT64_MAX)
        return false;
    *out = (int64_t)length;
    return true;
}

/* "name=light,weight=99,path=/b/100". Splits `text` in place; the class keeps pieces of it. */
static bool parse_class(struct options *o, char *text)
{
    enum { NAME, WEIGHT, PATH, POST, LENGTH };
    char *const keys[] = { "name", "weight", "path", "post", "length", NULL };
    struct class *c = &o->classes[o->class_count];
    bool good = o->class_count++ < MAX_CLASSES;
    char *value;

    if (good)
        *c = (struct class){ .name = "class", .path = "/", .weight = 1, .length = -1 };
    while (good && *text) {
        int key = getsubopt(&text, keys, &value);

        if (key < 0 || !value)
            return false;
        if (key == NAME)
            c->name = value;
        else if (key == PATH)
            c->path = value;
        else if (key == WEIGHT)
            good = parse_count(value, &c->weight) && c->weight > 0;
        else if (key == POST)
            good = parse_size(value, &c->post);
        else
            good = parse_length(value, &c->length);
    }
    return good;
}

/* One option. False if its value cannot be. */
static bool parse_option(struct options *o, struct shape *shape, struct class *only, int option)
{
    switch (option) {
    case 'c':
        return parse_count(optarg, &o->connections) && o->connections > 0 &&
               o->connections <= 1000000;
    case 'n':
        return parse_count(optarg, &o->requests) && o->requests > 0;
    case 't':
        return parse_span(optarg, &o->span) && o->span > 0;
    case OPT_BUSY:
        return parse_count(optarg, &o->busy) && o->busy > 0;
    case OPT_RATE:
        return parse_count(optarg, &o->rate) && o->rate > 0 && o->rate <= NS_PER_SEC;
    case OPT_POISSON:
        return o->poisson = true;
    case OPT_CLOSE:
        return o->close = true;
    case OPT_PATH:
        only->path = optarg;
        return optarg[0] == '/';
    case OPT_POST:
        return parse_size(optarg, &only->post);
    case OPT_LENGTH:
        return parse_length(optarg, &only->length);
    case OPT_CLASS:
        return parse_class(o, optarg);
    case OPT_FIELDS:
        return parse_count(optarg, &shape->fields) && shape->fields <= 1000;
    case OPT_HEADER:
        fprintf(shape->headers, "%s\r\n", optarg);
        return strchr(optarg, ':') && !strpbrk(optarg, "\r\n");
    case OPT_WARMUP:
        return parse_span(optarg, &o->warmup);
    case OPT_GATE:
        return o->gate = true;
    case OPT_HOLD:
        o->hold = find_word(optarg, hold_names, ARRAY_LEN(hold_names));
        return o->hold != HOLD_NOT;
    case OPT_ATTACK:
        o->attack = find_word(optarg, attack_names, ARRAY_LEN(attack_names));
        return o->attack != ATTACK_NOT;
    case OPT_FLOOD:
        o->flood = find_word(optarg, flood_names, ARRAY_LEN(flood_names));
        return o->flood != FLOOD_NOT;
    case OPT_EVERY:
        return parse_span(optarg, &o->every) && o->every > 0;
    case OPT_TLS:
        return o->use_tls = true;
    case OPT_TLS_VERSION:
        o->tls_version = find_word(optarg, version_names, ARRAY_LEN(version_names));
        return o->tls_version != TLS_ANY;
    case OPT_H2:
        return o->h2 = true;
    case OPT_STREAMS:
        return parse_count(optarg, &o->streams) && o->streams > 0 && o->streams <= 1000;
    case OPT_RESUME:
        return o->resume = true;
    case OPT_TIMEOUT:
        return parse_span(optarg, &o->timeout) && o->timeout > 0;
    case OPT_SEED:
        return parse_count(optarg, &o->seed);
    default:
        exit(option == 'h' ? (puts(usage), EXIT_SUCCESS) : EXIT_USAGE);
    }
}

/* The whole request as it goes over the wire. */
static void print_request(const struct options *o, struct class *c, const struct shape *shape)
{
    FILE *out = open_memstream(&c->bytes, &c->len);

    if (!out)
        die(EXIT_FAILURE, "open_memstream: %s", strerror(errno));
    fprintf(out, "%s %s HTTP/1.1\r\nHost: bench.example\r\n", c->post ? "POST" : "GET", c->path);
    fields_write(out, FIELDS_REQUEST, (unsigned)shape->fields);
    fwrite(shape->header_text, 1, shape->header_len, out);
    if (o->close)
        fputs("Connection: close\r\n", out);
    if (c->post)
        fprintf(out, "Content-Type: application/octet-stream\r\nContent-Length: %ju\r\n",
                (uintmax_t)c->post);
    fputs("\r\n", out);
    for (uint64_t i = 0; i < c->post; i++)
        putc_unlocked('A' + (int)(i % 26), out);
    if (fclose(out) != 0)
        die(EXIT_FAILURE, "out of memory");
}

/* What one option alone cannot tell. */
static void check(const struct options *o, const struct class *only)
{
    if (o->class_count > 0 && (strcmp(only->path, "/") != 0 || only->post || only->length >= 0))
        die(EXIT_USAGE, "--class says what --path, --post and --length would say");
    if (o->requests == 0 && o->span == 0)
        die(EXIT_USAGE, "neither -n nor -t: a load without an end is refused");
    if (o->poisson && o->rate == 0)
        die(EXIT_USAGE, "--poisson needs --rate");
    if (o->hold && (o->rate || o->close || o->gate || o->warmup || o->span == 0))
        die(EXIT_USAGE, "--hold goes with -c, -t and the requests' shape only");
    if (o->flood && (o->attack || o->h2 || o->span == 0))
        die(EXIT_USAGE, "--flood goes with -c, -n, -t and --every only, and needs -t");
    if ((o->attack || o->flood) &&
        (o->hold || o->rate || o->close || o->gate || o->warmup || o->use_tls))
        die(EXIT_USAGE, "--attack and --flood go with -c, -t and --every only");
    if ((o->h2 && (o->close || o->attack || o->resume)) || (!o->h2 && o->streams > 1))
        die(EXIT_USAGE, "--h2 goes with --streams, and not with --close, --resume or --attack");
    if ((o->resume || o->tls_version) && !o->use_tls)
        die(EXIT_USAGE, "--resume and --tls-version need --tls");
}

void options_parse(struct options *o, int argc, char **argv)
{
    struct class only = { .name = "all", .path = "/", .weight = 1, .length = -1 };
    struct shape shape = { 0 };
    const char *wrong;

    *o = (struct options){ .connections = 64,
                           .timeout = 10 * NS_PER_SEC,
                           .seed = 1,
                           .streams = 1,
                           .every = 500 * NS_PER_MS };
    shape.headers = open_memstream(&shape.header_text, &shape.header_len);
    if (!shape.headers)
        die(EXIT_FAILURE, "open_memstream: %s", strerror(errno));
    for (int i; (i = getopt_long(argc, argv, "c:n:t:h", long_options, NULL)) != -1;)
        if (!parse_option(o, &shape, &only, i))
            die(EXIT_USAGE, "a value that cannot be: %s", optarg);
    fclose(shape.headers);
    if (argc - optind != 1)
        die(EXIT_USAGE, "%s", usage);
    o->target = argv[optind];
    wrong = address_parse(o->target, &o->address);
    if (wrong)
        die(EXIT_USAGE, "%s: %s", o->target, wrong);
    check(o, &only);
    if (o->class_count == 0)
        o->classes[o->class_count++] = only;
    o->connections *= o->streams;
    if (o->busy == 0 || o->busy > o->connections)
        o->busy = o->connections;
    for (unsigned i = 0; i < o->class_count; i++) {
        print_request(o, &o->classes[i], &shape);
        o->weights += o->classes[i].weight;
    }
    free(shape.header_text);
    if (o->use_tls)
        o->tls = tls_client(o->tls_version, o->h2);
}
