/* local.h -- what the proxy layer keeps for each worker: request numbers, the date, room for a log
 * record. */
#ifndef PROXY_LOCAL_H
#define PROXY_LOCAL_H

#include <inttypes.h>

#include "base/base.h"

/* Makes it for all workers, once they run; 0 or WEIR_ENOMEM. local_stop frees it after they have
 * ended. */
int local_start(void);
void local_stop(void);

/* A number for a request, never twice in a process; and its id: just as unique, and not to be
 * guessed from the last one. */
uint64_t request_number(void);
uint64_t request_id(uint64_t number);
#define REQUEST_ID_FORMAT "%016" PRIx64

/* The current value of Date (RFC 9110 6.6.1); valid until this code blocks. */
weir_str http_date_now(void);

/* LOG_RECORD_MAX bytes, free to use until this code blocks. */
char *record_scratch(void);

#endif
