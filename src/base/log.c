/* log.c -- the hook for finished lines, and short messages of our own. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"

void (*log_sink)(enum log_kind kind, weir_str line);

void log_message(const char *level, const char *fmt, ...)
{
    char time[RFC3339_LEN], text[1024], line[4096];
    struct log_record r;
    va_list ap;
    int len;

    if (log_sink == NULL)
        return;
    va_start(ap, fmt);
    len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (len < 0)
        return;

    clock_rfc3339(clock_wall(), time);
    log_begin(&r, line, sizeof line);
    log_str(&r, "time", (weir_str){ time, sizeof time });
    log_str(&r, "level", weir_str_from(level));
    log_str(&r, "msg", (weir_str){ text, MIN((size_t)len, sizeof text - 1) });
    log_line(LOG_ERROR, log_end(&r));
}
