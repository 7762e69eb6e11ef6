/* local.c -- per-worker state of the proxy layer: no locks, because only its worker touches it and
 * nothing here blocks. */
#include "proxy/local.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log_record.h"
#include "base/random.h"
#include "codec/date.h"
#include "runtime/runtime.h"

struct local {
    uint64_t numbers;   /* the worker above, a counter below */
    int64_t date_until; /* monotonic: the text is right until then */
    char date[HTTP_DATE_LEN];
    char record[LOG_RECORD_MAX];
};

static struct local **locals;
static unsigned count;
static uint64_t seed;

int local_start(void)
{
    struct random r;

    random_init(&r);
    seed = random_next(&r);
    locals = calloc(rt_workers(), sizeof *locals);
    if (locals == NULL)
        return WEIR_ENOMEM;
    count = rt_workers();
    for (unsigned id = 0; id < count; id++) {
        locals[id] = calloc(1, sizeof *locals[id]);
        if (locals[id] == NULL)
            return WEIR_ENOMEM;
        locals[id]->numbers = (uint64_t)id << 48;
        rt_set_local(id, RT_LOCAL_PROXY, locals[id]);
    }
    return 0;
}

void local_stop(void)
{
    for (unsigned id = 0; id < count; id++)
        free(locals[id]);
    free(locals);
    locals = NULL;
    count = 0;
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014) is a bijection of 64 bits: what goes in
 * once comes out once. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t request_number(void)
{
    struct local *l = rt_local(RT_LOCAL_PROXY);

    return l->numbers++;
}

uint64_t request_id(uint64_t number)
{
    return mix(number ^ seed);
}

weir_str http_date_now(void)
{
    struct local *l = rt_local(RT_LOCAL_PROXY);
    int64_t now = rt_now();

    if (now >= l->date_until) {
        int64_t wall = clock_wall();

        http_date_print(wall / WEIR_SEC, l->date);
        l->date_until = now + WEIR_SEC - wall % WEIR_SEC;
    }
    return (weir_str){ l->date, HTTP_DATE_LEN };
}

char *record_scratch(void)
{
    struct local *l = rt_local(RT_LOCAL_PROXY);

    return l->record;
}
