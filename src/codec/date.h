/* date.h -- HTTP dates (RFC 9110 5.6.7). */
#ifndef CODEC_DATE_H
#define CODEC_DATE_H

#include "base/base.h"

enum { HTTP_DATE_LEN = 29 }; /* Sun, 06 Nov 1994 08:49:37 GMT, without a NUL */

/* Writes the IMF-fixdate of `seconds` since 1970. A year has four digits: a time outside of 0000 to
 * 9999 is brought to the nearest end. */
void http_date_print(int64_t seconds, char out[HTTP_DATE_LEN]);

/* Reads IMF-fixdate, and the obsolete RFC 850 and asctime forms; two-digit years as RFC 9110 says,
 * relative to `now`: not more than 50 years in the future. Strict: the day exists, the weekday is
 * its weekday, case and blanks are as in the grammar; second 60 is the one after 59. */
bool http_date_parse(weir_str text, int64_t now, int64_t *seconds);

#endif
