/* fuzz_date.c -- a date that is accepted is printed as a date that means the same second. */
#include "heads.h"

#include "base/clock.h"
#include "codec/date.h"

static void check_date(weir_str text, int64_t now)
{
    int64_t seconds = INT64_MIN, again;
    char out[HTTP_DATE_LEN];
    struct civil c;

    if (!http_date_parse(text, now, &seconds))
        return;
    /* one second past the last year: its leap second */
    ensure(seconds >= INT64_C(-62167219200) && seconds <= INT64_C(253402300800));
    civil_of(seconds, &c);
    ensure(civil_seconds(&c) == seconds);
    ensure(c.month >= 1 && c.month <= 12 && c.day >= 1 && c.day <= 31 && c.weekday < 7);
    http_date_print(seconds, out);
    ensure(http_date_parse((weir_str){ out, sizeof(out) }, now, &again));
    ensure(again == seconds || seconds == INT64_C(253402300800));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_str text = { (const char *)data, size };
    char *copy = exact_copy(text), out[HTTP_DATE_LEN], stamp[RFC3339_LEN];
    int64_t any = (int64_t)hash_bytes(data, size);

    text.ptr = copy;
    check_date(text, 1795392000);
    check_date(text, any);
    http_date_print(any, out); /* any time at all can be printed, and reads back */
    check_date((weir_str){ out, sizeof(out) }, any);
    clock_rfc3339(any, stamp);
    ensure(stamp[10] == 'T' && stamp[23] == 'Z');
    free(copy);
    return 0;
}
