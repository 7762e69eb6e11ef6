/* h1_tables.c -- the two tables of cases, and the words they are written in. */
#include "h1_feed.h"

#define X(n) X_##n
#define X8   "xxxxxxxx"
#define X64  X8 X8 X8 X8 X8 X8 X8 X8
#define X256 X64 X64 X64 X64

#define X_255  X64 X64 X64 X8 X8 X8 X8 X8 X8 X8 "xxxxxxx"
#define X_256  X256
#define X_265  X256 X8 "x"
#define X_500  X256 X64 X64 X64 X8 X8 X8 X8 X8 X8 "xxxx"
#define X_509  X_500 X8 "x"
#define X_510  X_500 X8 "xx"
#define X_512  X256 X256
#define X_2048 X_512 X_512 X_512 X_512
#define X_2049 X_2048 "x"
#define X_4000 X_2048 X_512 X_512 X_512 X256 X64 X64 X8 X8 X8 X8
#define X_4096 X_2048 X_2048

#define TIMES5(z)  z z z z z
#define TIMES19(z) TIMES5(z) TIMES5(z) TIMES5(z) z z z z

#define KEEPS  true
#define CLOSES false

#define TITLE(title_, prose_)             { .title = title_, .prose = prose_ },
#define GOOD(in_, gives_, goes_on_, why_) TO(GET, in_, gives_, goes_on_, why_)
#define TO(method_, in_, gives_, goes_on_, why_) \
    { .in = TEXT(in_), .gives = gives_, .goes_on = goes_on_, .why = why_, \
      .method = METHOD_##method_ },
#define BAD(in_, want_, why_) { .in = TEXT(in_), .want = want_, .why = why_, .method = METHOD_GET },
#define CUT(in_, why_)        BAD(in_, FED_CUT, why_)

const struct h1_case request_cases[] = {
#include "h1_requests.inc"
};
const size_t request_case_count = ARRAY_LEN(request_cases);

const struct h1_case response_cases[] = {
#include "h1_responses.inc"
};
const size_t response_case_count = ARRAY_LEN(response_cases);
