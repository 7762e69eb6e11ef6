/* date.h -- HTTP dates (RFC 9110 5.6.7). */
#ifndef CODEC_DATE_H
#define CODEC_DATE_H

#include "base/base.h"

enum { HTTP_DATE_LEN = 29 }; /* Sun, 06 Nov 1994 08:49:37 GMT, without a NUL */

/* Writes the IMF-fixdate of `seconds` since 1970. */
void http_date_print(int64_t seconds, char out[HTTP_DATE_LEN]);

/* Reads IMF-fixdate, and the obsolete RFC 850 and asctime forms; two-digit years as RFC 9110 says, relative to `now`. */
bool http_date_parse(weir_str text, int64_t now, int64_t *seconds);

#endif
