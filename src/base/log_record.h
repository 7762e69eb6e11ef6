/* log_record.h -- one log line as a flat JSON object, built in place, never longer than its buffer.
 *
 * Every byte outside printable ASCII, the quote and the backslash are escaped (\u00XX, \" and \\),
 * so that no peer can write a line of its own. Values are cut at LOG_VALUE_MAX bytes of input, with
 * "..." behind. A record that does not fit ends with the last field that did. Names are ours: they
 * are written as they are. */
#ifndef BASE_LOG_RECORD_H
#define BASE_LOG_RECORD_H

#include "base/base.h"

enum { LOG_VALUE_MAX = 4096, LOG_RECORD_MAX = 16384 };

struct log_record {
    char  *buf;
    size_t len, cap;
    bool   full; /* a field was left out */
};

/* `cap` is at least 3. */
void log_begin(struct log_record *r, char *buf, size_t cap);

/* One field each. An absent `value` leaves the field out; log_usec writes seconds with 6
 * decimals. */
void log_str(struct log_record *r, const char *name, weir_str value);
void log_int(struct log_record *r, const char *name, int64_t value);
void log_usec(struct log_record *r, const char *name, weir_dur value);
void log_bool(struct log_record *r, const char *name, bool value);

/* Closes the object and adds a newline; the line is buf[0..len). */
weir_str log_end(struct log_record *r);

#endif
