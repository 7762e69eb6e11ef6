/* log.h -- where lines go: a hook that the server sets before it starts workers. Without one (unit
 * tests) lines are dropped. The sink never blocks. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/log_record.h"

/* SAY: plain lines for people and scripts: that it listens, that it cannot start. */
enum log_kind { LOG_ACCESS, LOG_ERROR, LOG_SAY };

extern void (*log_sink)(enum log_kind kind, weir_str line);

/* Hands a finished record (log_end) to the sink. */
static inline void log_line(enum log_kind kind, weir_str line)
{
    if (log_sink != NULL)
        log_sink(kind, line);
}

/* A short error-log record: time, level ("warning", "error", "notice"), msg, which is cut at
 * 1023 bytes. Never blocks. */
void log_message(const char *level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
