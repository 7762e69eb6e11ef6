/* sessions.h -- a request without a network, for the parts of the proxy that only look at heads:
 * what it and its response say comes from texts. Nothing here needs a worker; what would be sent to
 * the client is an error, since the client has had its answer. */
#ifndef TESTS_UNIT_SESSIONS_H
#define TESTS_UNIT_SESSIONS_H

#include "heads.h"
#include "proxy/module.h"

struct request {
    struct weir_session s;
    struct service service;
    struct weir_proxy proxy;
    struct http_stream down, up;
    struct addr client;
    char *texts[2]; /* of both heads */
};

static inline char *read_head_into(struct weir_head *head, struct arena *arena, const char *text,
                                   bool response)
{
    weir_str in = weir_str_from(text);
    char *copy = padded_copy(in, H1_PAD);
    struct h1_fault fault = { .reason = NULL };
    struct h1_scan scan;

    h1_scan_init(&scan);
    assert_int_equal(h1_scan(&scan, copy, in.len), 1);
    head_init(head, arena, 0);
    assert_int_equal(response ? h1_parse_response(copy, &scan, &usual_limits, head, &fault)
                              : h1_parse_request(copy, &scan, &usual_limits, head, &fault),
                     0);
    return copy;
}

/* `fields`: lines with CRLF behind each. */
static inline void request_made(struct request *r, const char *method, const char *fields)
{
    struct h1_fault fault;
    char text[8192];

    *r = (struct request){ .service = { .proxy = &r->proxy } };
    r->s.service = &r->service;
    r->s.down = &r->down;
    r->s.up_http = &r->up;
    r->s.client = &r->client;
    r->down.head_sent = true;
    arena_init(&r->s.arena, NULL, 0);
    snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n", method, fields);
    r->texts[0] = read_head_into(&r->s.req, &r->s.arena, text, false);
    assert_int_equal(framing_request(&r->s.req, &r->down.framing, &fault), 0);
}

/* Its response, as it came and as it is to go out. `head`: the status line behind the version, and
 * fields as above. */
static inline void request_answered(struct request *r, const char *head)
{
    struct h1_fault fault;
    char text[8192];

    r->s.answered = 1;
    snprintf(text, sizeof text, "HTTP/1.1 %s\r\n", head);
    r->texts[1] = read_head_into(&r->s.up_res, &r->s.arena, text, true);
    assert_int_equal(framing_response(&r->s.up_res, r->s.req.method_id, &r->up.framing, &fault), 0);
    assert_int_equal(head_copy_end_to_end(&r->s.res, &r->s.up_res, &r->s.arena), 0);
}

static inline void request_done(struct request *r)
{
    free(r->texts[0]);
    free(r->texts[1]);
    arena_done(&r->s.arena);
}

#endif
