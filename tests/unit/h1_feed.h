/* h1_feed.h -- one message goes through the codec as a connection sends it through: head scan,
 * parse, framing, what Connection may say, body, trailers; in any splits. For the table of cases,
 * the page that is printed from it, and the comparison with another parser. */
#ifndef TESTS_UNIT_H1_FEED_H
#define TESTS_UNIT_H1_FEED_H

#include "cases.h"

#include "codec/framing.h"

extern const struct h1_limits case_limits;

enum { FED_CUT = 1 }; /* the input ended amid the message */

struct fed {
    int rc; /* 0: complete; FED_CUT; < 0: refused, with `reason` */
    const char *reason;
    bool goes_on; /* may the connection carry another message? */
    size_t left;  /* bytes of the input behind the message */
    struct weir_head head;
    struct framing framing;
    struct weir_head trailers;
    weir_str body;
    weir_str interim; /* of a response: what came before the final one, as text */
    struct arena arena;
};

/* Feeds `text`; `method` is that of the request which a response answers. fed_done gives the memory
 * back. */
void feed(struct fed *f, weir_str text, enum h1_side side, enum method method, enum feeding feeding,
          struct random *r);
void fed_done(struct fed *f);

/* A complete message in one line: `POST /x a {A: b} 'body' [T: v] +5`, or `103, 200 {A: b} 'body'`;
 * a number in parentheses is a length that is stated and not sent. Lives as long as `f`. */
const char *fed_text(struct fed *f);

struct h1_case {
    const char *title, *prose; /* a title begins a section; it is no case */
    weir_str in;
    const char *gives; /* of a good one */
    int want;          /* 0, FED_CUT, or the error */
    bool goes_on;
    const char *why;
    enum method method;
};

/* The tables of h1_requests.inc and h1_responses.inc. */
extern const struct h1_case request_cases[], response_cases[];
extern const size_t request_case_count, response_case_count;

/* Prints docs/http1.md. */
void print_page(FILE *out);

#endif
