/* error.c -- the table of <weir/error.h>, indexed by the negated number. */
#include "base/base.h"

struct error_row {
    const char *why, *text;
    uint16_t    source, status;
};

static const struct error_row rows[] = {
#define X(name, number, why_, source_, status_, text_) \
    [-(number)] = { \
        .why = why_, .text = text_, .source = WEIR_SRC_##source_, .status = status_ \
    },
    WEIR_ERRORS(X)
#undef X
};

static const struct error_row no_error = {
    .why = "none", .text = "no error", .source = WEIR_SRC_INTERNAL, .status = 0
};

static const struct error_row *row_of(int err)
{
    if (err >= 0 || err <= -(int)ARRAY_LEN(rows) || rows[-err].why == NULL)
        return &no_error;
    return &rows[-err];
}

const char *weir_error_why(int err)
{
    return row_of(err)->why;
}

const char *weir_error_text(int err)
{
    return row_of(err)->text;
}

enum weir_source weir_error_source(int err)
{
    return (enum weir_source)row_of(err)->source;
}

int weir_error_status(int err)
{
    return row_of(err)->status;
}
