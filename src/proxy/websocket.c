/* websocket.c -- a WebSocket of a client that speaks HTTP/2 (RFC 8441), to an upstream that speaks
 * HTTP/1.1 (RFC 6455).
 *
 * An extended CONNECT comes as a GET that asks for an upgrade (http/h2_parse.c), and its 101 leaves
 * as a 200 (http/h2_print.c), so that a WebSocket is one thing to all phases. What HTTP/2 does
 * without is added here: the key that shows the upstream to know the protocol, and the proof that
 * it does. */
#include <string.h>

#include "codec/base64.h"
#include "proxy/session.h"
#include "tls/tls.h"

enum { KEY_BYTES = 16 };

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/* RFC 6455 4.1, a key for this try. */
int websocket_ask(struct weir_session *s)
{
    char raw[KEY_BYTES], *text = arena_text(&s->arena, BASE64_LEN(KEY_BYTES));

    if (!s->down->connect_protocol)
        return 0;
    TRY(tls_random(raw, sizeof raw));
    if (text == NULL)
        return WEIR_ENOMEM;
    s->websocket_key = (weir_str){ text, base64_encode(text, (weir_str){ raw, sizeof raw }) };
    weir_head_set(&s->up_req, LIT("Sec-WebSocket-Key"), s->websocket_key);
    return s->up_req.failed;
}

/* RFC 6455 4.2.2 */
static int expected_accept(const struct weir_session *s, char out[BASE64_LEN(TLS_SHA1)])
{
    char text[BASE64_LEN(KEY_BYTES) + sizeof GUID - 1];
    unsigned char hash[TLS_SHA1];

    memcpy(text, s->websocket_key.ptr, BASE64_LEN(KEY_BYTES));
    memcpy(text + BASE64_LEN(KEY_BYTES), GUID, sizeof GUID - 1);
    TRY(tls_sha1((weir_str){ text, sizeof text }, hash));
    base64_encode(out, (weir_str){ (char *)hash, sizeof hash });
    return 0;
}

/* The response head to it. To the client a 2xx would say that its tunnel is open. */
int websocket_answered(struct weir_session *s)
{
    char want[BASE64_LEN(TLS_SHA1)];
    struct weir_head *res = &s->up_res;
    weir_str got;

    if (!s->down->connect_protocol || res->status >= 300)
        return 0;
    if (res->status != 101)
        return session_fail(s, WEIR_EUPSWITCH, "it did not switch, and said that all is well");
    TRY(expected_accept(s, want));
    got = weir_head_get(res, LIT("Sec-WebSocket-Accept"));
    if (!weir_str_eq(got, (weir_str){ want, sizeof want }))
        return session_fail(s, WEIR_EUPSWITCH, "its Sec-WebSocket-Accept is not of our key");
    weir_head_del(res, LIT("Sec-WebSocket-Accept"));
    return 0;
}
