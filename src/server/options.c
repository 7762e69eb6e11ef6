/* options.c -- the table, and what its kinds of values look like. */
#include "server/options.h"

#include <stdio.h>

#include "net/addr.h"

#define PROCESS(member) .place = PLACE_PROCESS, .offset = offsetof(struct process_config, member)
#define SERVICE(member) \
    .place = PLACE_SERVICE, .offset = offsetof(struct weir_service, member), .field = #member

#define MOST(n)     .most = (n), .wrong = "must be at most " #n
#define MOST_MIB(n) .most = UINT64_C(n) << 20, .wrong = "must be at most " #n "MiB"

#define TIME(name_, member, fallback_, help_) \
    { \
        .name = (name_), .kind = OPT_TIME, SERVICE(member), .off = OFF_UNBOUNDED, .value = "TIME", \
        .fallback = (fallback_), .help = (help_) \
    }

/* clang-format off */
static const struct option_row process_rows[] = {
    { .name = "workers", .kind = OPT_COUNT, PROCESS(workers), MOST(1024), .value = "N",
      .fallback = "one per core", .computed = true,
      .help = "threads that run requests; the default follows affinity and cgroup" },
    { .name = "pool", .kind = OPT_COUNT, PROCESS(pool), MOST(10000000), .off = OFF_ZERO,
      .value = "N", .fallback = "512",
      .help = "idle upstream connections of the process; off: none" },
    { .name = "grace", .kind = OPT_TIME, PROCESS(grace), .off = OFF_UNBOUNDED, .value = "TIME",
      .fallback = "30s", .help = "how long running requests may take after SIGTERM" },
    { .name = "backlog", .kind = OPT_COUNT, PROCESS(backlog), MOST(1048576), .value = "N",
      .fallback = "4096", .help = "connections that wait to be accepted, for each listener" },
    { .name = "access-log", .kind = OPT_TEXT, PROCESS(access_log), .value = "off|FILE",
      .fallback = "-", .help = "one line for each request; -: standard output" },
    { .name = "error-log", .kind = OPT_TEXT, PROCESS(error_log), .value = "off|FILE",
      .fallback = "-", .help = "what went wrong; -: standard error" },
};

static const struct option_row time_rows[] = {
    TIME("timeout-header", header_timeout, "10s",
         "a request head, from its first byte to its end: 408"),
    TIME("timeout-body", body_timeout, "30s", "between two bytes of a request body: 408"),
    TIME("timeout-send", send_timeout, "30s", "between two bytes that a client takes"),
    TIME("timeout-idle", idle_timeout, "60s", "a kept-alive client connection"),
    TIME("timeout-connect", connect_timeout, "5s", "connecting to an upstream: 504"),
    TIME("timeout-upstream", upstream_timeout, "60s",
         "the response head, and between two bytes of its body: 504"),
    TIME("timeout-try", try_timeout, "off",
         "one try until its response head: another one where that is safe, or 504"),
    TIME("timeout-tunnel", tunnel_timeout, "1h",
         "an upgraded or CONNECT tunnel without a byte either way"),
    TIME("timeout-request", request_timeout, "off", "a whole request: 504"),
};

static const struct option_row bound_rows[] = {
    { .name = "max-head", .kind = OPT_SIZE, SERVICE(max_head), MOST_MIB(16), .value = "SIZE",
      .fallback = "32KiB", .help = "a request head: 431 (response heads: twice these four)" },
    { .name = "max-field", .kind = OPT_SIZE, SERVICE(max_field), MOST_MIB(16), .value = "SIZE",
      .fallback = "16KiB", .help = "one field of it: 431" },
    { .name = "max-target", .kind = OPT_SIZE, SERVICE(max_target), MOST_MIB(16),
      .value = "SIZE", .fallback = "8KiB", .help = "its target: 414" },
    { .name = "max-fields", .kind = OPT_COUNT, SERVICE(max_fields), MOST(100000), .value = "N",
      .fallback = "100", .help = "its number of fields: 431" },
    { .name = "max-body", .kind = OPT_SIZE, SERVICE(max_body), .off = OFF_UNBOUNDED,
      .value = "SIZE", .fallback = "1GiB", .help = "a request body: 413" },
    { .name = "max-requests", .kind = OPT_COUNT, SERVICE(max_requests), .off = OFF_UNBOUNDED,
      .value = "N", .fallback = "10000", .help = "requests on one connection" },
    { .name = "max-connections", .kind = OPT_COUNT, SERVICE(max_connections), .off = OFF_UNBOUNDED,
      .value = "N", .fallback = "90 % of RLIMIT_NOFILE / 2", .computed = true,
      .help = "client connections of a service; more wait in the backlog" },
    { .name = "max-per-client", .kind = OPT_COUNT, SERVICE(max_per_client), .off = OFF_UNBOUNDED,
      .value = "N", .fallback = "off", .help = "client connections from one address: 503" },
    { .name = "min-rate", .kind = OPT_SIZE, SERVICE(min_rate), .off = OFF_UNBOUNDED,
      .value = "SIZE", .fallback = "256B",
      .help = "bytes of a body a second, counted after 5 s while we wait for the peer" },
};

static const struct option_row retry_rows[] = {
    { .name = "buffer-request", .kind = OPT_SIZE, SERVICE(buffer_request), MOST_MIB(1024),
      .off = OFF_UNBOUNDED, .value = "SIZE", .fallback = "off",
      .help = "request bodies are read before an upstream is chosen, up to so much (more: 413)" },
    { .name = "max-tries", .kind = OPT_COUNT, SERVICE(max_tries), MOST(16), .value = "N",
      .fallback = "16", .help = "tries of one request; 1: nothing is sent again" },
    { .name = "replay", .kind = OPT_SIZE, SERVICE(replay), MOST_MIB(1024), .off = OFF_UNBOUNDED,
      .value = "SIZE", .fallback = "64KiB",
      .help = "how much of a request body is kept in memory, so that it can be sent again" },
    { .name = "replay-file", .kind = OPT_SIZE, SERVICE(replay_file), .off = OFF_UNBOUNDED,
      .value = "SIZE", .fallback = "off",
      .help = "and so much more of it in a temporary file ($TMPDIR or /tmp)" },
    { .name = "retry-budget", .kind = OPT_COUNT, SERVICE(retry_percent), .most = 100,
      .wrong = "a percentage is at most 100", .off = OFF_UNBOUNDED, .value = "PERCENT",
      .fallback = "20",
      .help = "of requests, up to 100: so many tries more, for what an upstream may have seen" },
    { .name = "retry-rate", .kind = OPT_COUNT, SERVICE(retry_rate), MOST(1000000),
      .off = OFF_UNBOUNDED, .value = "N", .fallback = "10",
      .help = "so many a second beside them" },
    TIME("retry-backoff", retry_backoff, "25ms",
         "before a second try at the same address; doubles, up to ten times that"),
};

static const struct option_row message_rows[] = {
    { .name = "forwarded", .kind = OPT_CHOICE, SERVICE(forwarding),
      .value = "off|replace|append", .wrong = "must be off, replace or append",
      .fallback = "off; weir proxy: replace", .computed = true,
      .help = "who asked, X-Forwarded-For, -Proto, -Host: pass them as they came, write our own, "
              "or add to those of trusted clients" },
    { .name = "forwarded-as", .kind = OPT_CHOICE, SERVICE(forwarded_as),
      .value = "x|rfc7239|both", .wrong = "must be x, rfc7239 or both", .fallback = "x",
      .help = "in which fields: X-Forwarded-*, Forwarded, or both" },
    { .name = "trusted", .kind = OPT_NETS, SERVICE(trusted), .value = "NET",
      .help = "an address or network (10.0.0.0/8) that append trusts; may be repeated" },
    { .name = "finish-when-client-leaves", .kind = OPT_FLAG, SERVICE(finish_when_client_leaves),
      .help = "a request that has gone upstream goes on when its client closes, or ends its "
              "direction (nc -N); otherwise it is cancelled at once" },
    { .name = "via", .kind = OPT_FLAG, SERVICE(via), .help = "add Via, both ways" },
    { .name = "server-name", .kind = OPT_FIELD, SERVICE(server_name), .value = "TEXT",
      .fallback = "weir", .help = "Server of our own answers; empty: none" },
};
/* clang-format on */

#define GROUP(title_, rows_) \
    { \
        .title = (title_), .rows = (rows_), .count = ARRAY_LEN(rows_) \
    }

const struct option_group option_groups[] = {
    GROUP("The process", process_rows),
    GROUP("Deadlines (500ms, 5s, 2m, 1h; off: none)", time_rows),
    GROUP("Bounds (sizes: 4096, 512B, 16KiB, 1MiB, 2GiB; off: none, where that makes sense)",
          bound_rows),
    GROUP("Sending a request again (docs/retry.md)", retry_rows),
    GROUP("Messages", message_rows),
};
const size_t option_group_count = ARRAY_LEN(option_groups);

static_assert(ARRAY_LEN(process_rows) + ARRAY_LEN(time_rows) + ARRAY_LEN(bound_rows) +
                      ARRAY_LEN(retry_rows) + ARRAY_LEN(message_rows) <=
                  OPTION_MAX,
              "settings.given has a place for every option");

const struct option_row *option_find(weir_str name)
{
    for (size_t g = 0; g < option_group_count; g++) {
        for (size_t i = 0; i < option_groups[g].count; i++) {
            if (weir_eq(name, option_groups[g].rows[i].name))
                return &option_groups[g].rows[i];
        }
    }
    return NULL;
}

size_t option_number(const struct option_row *row)
{
    size_t before = 0;

    for (size_t g = 0; g < option_group_count; g++) {
        const struct option_group *group = &option_groups[g];

        if (row >= group->rows && row < group->rows + group->count)
            return before + (size_t)(row - group->rows);
        before += group->count;
    }
    ensure(!"a row of the table");
    return 0;
}

static bool all_digits(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* Would a number do, with its unit, if it were 1? Then 0 is too small, and others too large. */
static bool is_amount(const struct option_row *row, const char *text)
{
    size_t digits = strspn(text, "0123456789");
    char one[8];
    weir_dur time;
    uint64_t size;

    if (digits == 0 || snprintf(one, sizeof one, "1%s", text + digits) >= (int)sizeof one)
        return false;
    if (row->kind == OPT_TIME)
        return weir_parse_dur(one, &time);
    return (row->kind == OPT_SIZE || one[1] == '\0') && weir_parse_size(one, &size);
}

/* What is wrong with a number that is none of those that can be. */
static const char *refuse_amount(const struct option_row *row, const char *text, const char *other)
{
    if (!is_amount(row, text))
        return other;
    if (text[strspn(text, "0")] >= '1' && text[strspn(text, "0")] <= '9')
        return row->wrong != NULL ? row->wrong : "that is too large";
    return row->off == OFF_REFUSED ? "must be more than 0"
                                   : "must be more than 0; \"off\" switches it off";
}

static const char *read_time(const struct option_row *row, const char *text, weir_dur *out)
{
    if (strcmp(text, "off") == 0 && row->off == OFF_REFUSED)
        return "it cannot be switched off";
    if (weir_parse_dur(text, out))
        return NULL;
    if (all_digits(text) && text[strspn(text, "0")] != '\0')
        return "a number needs a unit (500ms, 5s, 2m, 1h)";
    return refuse_amount(row, all_digits(text) ? "0s" : text, "not a time (500ms, 5s, 2m, 1h)");
}

static const char *check_number(const struct option_row *row, uint64_t n)
{
    if (n == WEIR_UNLIMITED)
        return row->off == OFF_REFUSED ? "it cannot be switched off" : NULL;
    return row->most > 0 && n > row->most ? row->wrong : NULL;
}

static const char *read_number(const struct option_row *row, const char *text, uint64_t *out)
{
    bool count = row->kind == OPT_COUNT;

    if (strcmp(text, "off") == 0 && row->off == OFF_ZERO) {
        *out = 0;
        return NULL;
    }
    if ((!count || all_digits(text) || strcmp(text, "off") == 0) && weir_parse_size(text, out))
        return check_number(row, *out);
    return refuse_amount(row, text,
                         count ? "not a number" : "not a size (4096, 512B, 16KiB, 1MiB, 2GiB)");
}

/* The choices are numbered in the order of help, as the constants are. */
static const char *read_choice(const struct option_row *row, const char *text, unsigned *out)
{
    const char *at = row->value;

    for (unsigned i = 0;; i++) {
        size_t len = strcspn(at, "|");

        if (strlen(text) == len && memcmp(at, text, len) == 0) {
            *out = i;
            return NULL;
        }
        if (at[len] == '\0')
            return row->wrong;
        at += len + 1;
    }
}

static unsigned choices(const struct option_row *row)
{
    unsigned n = 1;

    for (const char *at = row->value; *at != '\0'; at++)
        n += *at == '|';
    return n;
}

static const char *add_net(const char *text, const char **nets)
{
    struct addr_net net;
    const char *why = addr_net_parse(text, &net);

    for (size_t i = 0; why == NULL && i < WEIR_TRUSTED; i++) {
        if (nets[i] == NULL) {
            nets[i] = text;
            return NULL;
        }
    }
    return why != NULL ? why : "there are too many (16 at most)";
}

/* A field value goes out as it is: nothing in it may end the line. */
static const char *check_field(const char *text)
{
    size_t n = 0;

    while (text != NULL && text[n] >= 0x20 && text[n] <= 0x7e)
        n++;
    return text == NULL || (text[n] == '\0' && n <= 200) ? NULL : "not short, printable ASCII";
}

static const char *read_value(const struct option_row *row, void *place, const char *value)
{
    switch (row->kind) {
    case OPT_TIME:
        return read_time(row, value, place);
    case OPT_SIZE:
    case OPT_COUNT:
        return read_number(row, value, place);
    case OPT_TEXT:
    case OPT_FIELD:
        *(const char **)place = value;
        return row->kind == OPT_FIELD ? check_field(value) : NULL;
    case OPT_CHOICE:
        return read_choice(row, value, place);
    case OPT_NETS:
        return add_net(value, place);
    case OPT_FLAG:
        *(bool *)place = true;
        return NULL;
    }
    ensure(!"a kind of the table");
    return NULL;
}

static void *place_of(const struct option_row *row, struct settings *s)
{
    return (char *)(row->place == PLACE_PROCESS ? (void *)&s->process : (void *)&s->service) +
           row->offset;
}

const char *option_set(const struct option_row *row, struct settings *s, const char *value)
{
    s->given[option_number(row)] = true;
    return read_value(row, place_of(row, s), value);
}

static bool has_default(const struct option_row *row)
{
    return row->fallback != NULL && !row->computed;
}

void settings_init(struct settings *s)
{
    *s = (struct settings){ 0 };
    for (size_t i = 0; i < ARRAY_LEN(process_rows); i++) {
        const struct option_row *row = &process_rows[i];

        if (has_default(row))
            ensure(read_value(row, place_of(row, s), row->fallback) == NULL);
    }
}

static size_t size_of(enum option_kind kind)
{
    static const uint8_t sizes[] = {
        [OPT_TIME] = sizeof(weir_dur),
        [OPT_SIZE] = sizeof(uint64_t),
        [OPT_COUNT] = sizeof(uint64_t),
        [OPT_TEXT ... OPT_FIELD] = sizeof(char *),
        [OPT_CHOICE] = sizeof(unsigned), /* of any enum */
        [OPT_NETS] = WEIR_TRUSTED * sizeof(char *),
        [OPT_FLAG] = sizeof(bool),
    };

    return sizes[kind];
}

static bool all_zero(const char *bytes, size_t n)
{
    return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

static void apply_row(const struct option_row *row, const struct settings *s,
                      struct weir_service *service)
{
    char *place = (char *)service + row->offset;
    size_t size = size_of(row->kind);

    if (s->given[option_number(row)])
        memcpy(place, (const char *)&s->service + row->offset, size);
    else if (all_zero(place, size) && has_default(row))
        ensure(read_value(row, place, row->fallback) == NULL);
}

void settings_apply(const struct settings *s, struct weir_service *service)
{
    for (size_t g = 0; g < option_group_count; g++) {
        for (size_t i = 0; i < option_groups[g].count; i++) {
            const struct option_row *row = &option_groups[g].rows[i];

            if (row->place == PLACE_SERVICE)
                apply_row(row, s, service);
        }
    }
}

static const char *row_fault(const struct option_row *row, const void *place)
{
    if (row->kind == OPT_TIME)
        return *(const weir_dur *)place < 0 ? "a negative time" : NULL;
    if (row->kind == OPT_SIZE || row->kind == OPT_COUNT)
        return check_number(row, *(const uint64_t *)place);
    if (row->kind == OPT_CHOICE)
        return *(const unsigned *)place >= choices(row) ? "no such value" : NULL;
    if (row->kind == OPT_FIELD)
        return check_field(*(char *const *)place);
    return NULL;
}

const char *settings_fault(const struct weir_service *service, size_t *at, const char **why)
{
    for (size_t g = 0; g < option_group_count; g++) {
        for (size_t i = 0; i < option_groups[g].count; i++) {
            const struct option_row *row = &option_groups[g].rows[i];

            if (row->place != PLACE_SERVICE || option_number(row) < *at)
                continue;
            *why = row_fault(row, (const char *)service + row->offset);
            *at = option_number(row) + 1;
            if (*why != NULL)
                return row->field;
        }
    }
    return NULL;
}
