/* last_hop.c -- OPTIONS and TRACE that ask for us and not for the origin: Max-Forwards is 0 (RFC
 * 9110 7.6.2). */
#include "codec/forwarded.h"
#include "codec/h1_print.h"
#include "proxy/session.h"

/* RFC 9110 9.3.8: what came, without what must not be seen by scripts of the client. */
static int answer_trace(struct weir_session *s)
{
    static const enum field_id secret[] = {
        FIELD_AUTHORIZATION,
        FIELD_COOKIE,
        FIELD_PROXY_AUTHORIZATION,
    };
    static const struct h1_extra none = { .no_length = true };
    struct weir_head *res = weir_new_response(s, 200), seen;
    char *text;

    TRY(head_copy_end_to_end(&seen, &s->req, &s->arena));
    for (size_t i = 0; i < ARRAY_LEN(secret); i++)
        head_del_id(&seen, secret[i]);
    text = arena_text(&s->arena, h1_print_bound(&seen, &none));
    if (text == NULL)
        return WEIR_ENOMEM;
    head_set_id(res, FIELD_CONTENT_TYPE, LIT("message/http"));
    return answer_send(s, res, (weir_str){ text, h1_print_request(text, &seen, &none) });
}

static int answer_options(struct weir_session *s)
{
    struct weir_head *res = weir_new_response(s, 200);

    weir_head_set(res, LIT("Allow"), answer_methods(s));
    return answer_send(s, res, LIT(""));
}

int last_hop(struct weir_session *s)
{
    unsigned left;

    switch (max_forwards(&s->req, &left)) {
    case FORWARDS_ON:
    case FORWARDS_LESS: /* fields_for_upstream counts it down */
        return 0;
    case FORWARDS_END:
        return s->req.method_id == METHOD_TRACE ? answer_trace(s) : answer_options(s);
    case FORWARDS_WRONG:
        break;
    }
    return session_fail(s, WEIR_EBADHEAD, "a Max-Forwards that is not one number");
}
